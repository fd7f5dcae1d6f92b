"""What was asked of a video stays as it was: a campaign's setup against its database."""

from __future__ import annotations

from collections.abc import Collection

from tal_jax.annotation import names
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules.intended import Intended
from tal_jax.errors import DataError
from tal_jax.runs.campaign.setup import Setup


def settled(campaign: Campaign, setup: Setup) -> tuple[Setup, list[str]]:
  """What the campaign works on, with what was asked before as it was asked.

  Returns:
    The setup, and what to tell: new classes of videos that were asked for before.

  Raises:
    DataError: a video that was asked for is not there any more, or has lost a label.
  """
  with campaign.store.read() as db:
    tasks = db.execute(
        "SELECT v.name AS video, c.name AS label, t.hint_start, t.hint_end FROM tasks t "
        "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
        "WHERE NOT t.is_gold ORDER BY t.id").fetchall()
    classes = {names.normal(row["name"]): row["name"] for row in db.execute(
        "SELECT name FROM classes")}
  asked: Intended = {}
  for task in tasks:
    hint = None if task["hint_start"] is None else (task["hint_start"], task["hint_end"])
    asked.setdefault(task["video"], {})[task["label"]] = hint
  _require(asked, setup)
  wanted = {video: {classes.get(names.normal(label), label): hint for label, hint in found.items()}
            for video, found in setup.intended.items()}
  late: dict[str, list[str]] = {}
  for video, labels in asked.items():
    lost = [label for label in labels if label not in wanted[video]]
    if lost:
      raise DataError(
          f"{video} was asked for {names.listed([*map(repr, lost)])}, which its labels do not have "
          "any more: the answers would be lost. Put the label back; to ask again, give the video's "
          "file another name")
    for label in wanted[video]:
      if label not in labels:
        late.setdefault(label, []).append(video)
  remarks = [f"{label!r} is not asked for in {len(videos)} videos that were asked for before: "
             f"{names.listed(videos)}" for label, videos in late.items()]
  return setup._replace(intended=wanted | asked), remarks


def _require(asked: Collection[str], setup: Setup) -> None:
  missing = sorted(set(asked) - set(setup.pool))
  if not missing:
    return
  why = {"file": [x for x in missing if x not in setup.paths],
         "cannot": [x for x in missing if x in setup.paths and x not in setup.probes]}
  mend = (f"put {names.listed(why['file'])} back into campaign.videos" if why["file"] else
          f"{names.listed(why['cannot'])} cannot be read any more: put the file back as it was"
          if why["cannot"] else "put their labels back, and keep them out of gold, Testing and "
          "Knowledge-Source")
  raise DataError(f"{len(missing)} videos that were asked for are not in the pool any more, e.g. "
                  f"{', '.join(missing[:5])}: put their files, features and labels back ({mend})")
