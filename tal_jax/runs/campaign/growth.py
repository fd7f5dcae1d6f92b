"""What changed between two starts of a campaign, and what of it the campaign can live with.

Answers stand: what was asked of a video cannot change any more. Everything else may: videos and
classes are added, unasked videos change or go, people, strategy, model and files change. What the
learner is depends on the pool (features by their content, not by their path) and on the model's
settings; where these changed, it is trained again on the answers that are there.

`config.json` in the work directory remembers the last start.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from tal_jax.annotation import names
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict
from tal_jax.data.dataset import Dataset
from tal_jax.errors import DataError
from tal_jax.runs import cli

FILE = "config.json"
# Sections and settings that the learner's state does not depend on.
_NOT_LEARNT = ("campaign", "name", "batch_size", "budget_ratio", "initial_ratio", "tensorboard",
               "oracle", "strategies", "seeds", "mcle", "lal")
# Files, known by what is in them.
_FILES = ("data.features", "data.features_format", "data.feature_key", "data.proposals",
          "data.proposals_format", "data.annotations", "data.annotations_format", "data.storage",
          "data.testing_subset", "data.knowledge_subset", "data.allow_missing")
# What the digest of the pool tells, where there is one.
_IN_POOL = ("data.fps", "data.stride", "data.window", "data.num_proposals", "data.windows.shortest",
            "data.windows.longest", "data.windows.ratio", "data.windows.overlap")
# What nobody needs to be told of.
_QUIET = ("name", "tensorboard", "strategies", "campaign.host", "campaign.port",
          "campaign.poll_seconds", "campaign.chosen_by", "campaign.serve_when_done")


def record(config: ConfigDict, data: Dataset, contents: Mapping[str, str], campaign: Campaign,
           before: Mapping[str, Any] | None) -> dict[str, Any]:
  """What `config.json` is to remember of this start.

  Args:
    config: from `setup.checked`.
    data: the pools.
    contents: a digest of each video's features.
    campaign: open.
    before: what it remembers of the last start, None of a first one.

  Raises:
    Conflict: another seed than that from which the first videos were drawn.
  """
  with campaign.store.read() as db:
    rounds = db.execute("SELECT COUNT(*) FROM rounds").fetchone()[0]
  if before and rounds and before["data"]["seed"] != config.data.seed:
    raise Conflict(f"data.seed = {config.data.seed}: the campaign's first videos and classes were "
                   f"drawn with {before['data']['seed']}; its seed or settings changed: set it "
                   "back")
  made = json.loads(json.dumps(config.to_dict()))  # tuples become lists, as they are read back
  labels = np.asarray(data.selection.truth_labels)
  ids = data.ids.selection
  of_pool = hashlib.sha256(repr((data.ids, data.classes, labels.shape)).encode())
  of_pool.update(labels.tobytes())
  content = {video: contents.get(video, "") for video in ids}
  proposals = hashlib.sha256(np.asarray(data.selection.segments).tobytes()).hexdigest()
  learnt = hashlib.sha256(repr((ids, data.classes, labels.shape, labels.tobytes(), content,
                                proposals)).encode())
  chosen = list((before or {}).get("campaign", {}).get("chosen_by", []))
  if not chosen and before and rounds:
    chosen = [[0, before["strategies"][0]]]
  if not chosen or chosen[-1][1] != config.campaign.strategy:
    chosen = [[start, by] for start, by in chosen if start < rounds]
    if not chosen or chosen[-1][1] != config.campaign.strategy:
      chosen.append([rounds if chosen else 0, config.campaign.strategy])
  made["pool"] = {
      "videos": len(ids), "classes": list(data.classes),
      "videos_and_labels": of_pool.hexdigest()[:16], "learnt": learnt.hexdigest()[:16],
      "labels": {video: sorted({data.classes[k] for k in row if k >= 0})
                 for video, row in zip(ids, labels, strict=True)},
      "features": content}
  made["campaign"]["chosen_by"] = chosen
  return made


def last(folder: pathlib.Path) -> dict[str, Any] | None:
  """What the last start was; None if there was none.

  Raises:
    DataError: the file is damaged.
  """
  path = folder / FILE
  if not path.exists():
    return None
  try:
    found = json.loads(path.read_text("utf-8"))
    return found if {"pool", "data", "campaign", "strategies"} <= found.keys() else None
  except (ValueError, AttributeError) as error:
    raise DataError(f"{path} is not what a campaign wrote ({error}): remove it; the learner is "
                    "then trained again from the answers") from error


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
  """What to tell of a start with other settings, or on other data, than the last one."""
  return [*_of_pool(before["pool"], now["pool"]), *_of_settings(before, now)]


def is_another_learner(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
  """Whether the checkpoints of the last start do not fit."""
  key, known = ("learnt", (*_FILES, *_IN_POOL)) if "learnt" in before["pool"] else (
      "videos_and_labels", _FILES)
  return before["pool"][key] != now["pool"][key] or any(
      name.split(".")[0] not in _NOT_LEARNT and name not in known
      for name, _, _ in _differences(before, now))


def is_another_lal(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
  """Whether what LAL learnt on Knowledge-Source does not fit."""
  return is_another_learner(before, now) or any(
      name.startswith("lal.") or name in ("data.annotations", "data.knowledge_subset")
      for name, _, _ in _differences(before, now))


def chosen_by(made: Mapping[str, Any], number: int) -> str:
  """The strategy that chose the videos of a round."""
  return next(by for start, by in reversed(made["campaign"]["chosen_by"]) if start <= number)


def _of_pool(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
  if "labels" not in before:  # an older version wrote it
    if before["videos"] != now["videos"]:
      yield f"videos: {before['videos']} -> {now['videos']}"
  else:
    old, new = before["labels"], now["labels"]
    added, removed = [x for x in new if x not in old], [x for x in old if x not in new]
    if added or removed:
      yield f"videos: {len(old)} -> {len(new)}" + _moved(added, removed)
    others = [x for x in new if x in old and new[x] != old[x]]
    if others:
      yield f"labels of {len(others)} videos changed: {names.listed(others)}"
    others = [x for x in new if x in old and before["features"][x] != now["features"][x]]
    if others:
      yield f"features of {len(others)} videos changed: {names.listed(others)}"
  added = [x for x in now["classes"] if x not in before["classes"]]
  removed = [x for x in before["classes"] if x not in now["classes"]]
  if added or removed:
    yield f"classes: {len(before['classes'])} -> {len(now['classes'])}" + _moved(added, removed)


def _of_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
  same = before["pool"].get("features") == now["pool"]["features"]
  old, new = (x["campaign"].get("chosen_by") or [[0, x["strategies"][0]]] for x in (before, now))
  if old[-1][1] != new[-1][1]:
    yield f"campaign.strategy: {old[-1][1]} -> {new[-1][1]} from round {new[-1][0]} on"
  for name, was, became in _differences(before, now):
    if name in _QUIET or name == "campaign.strategy":
      continue
    if isinstance(was, list) and isinstance(became, list):
      yield f"{name}: {len(was)} -> {len(became)}" + _moved(
          [x for x in became if x not in was], [x for x in was if x not in became])
    else:
      content = ", the same content" if name == "data.features" and same else ""
      yield f"{name}: {was} -> {became}{content}"


def _moved(added: list, removed: list) -> str:
  parts = [f"added {names.listed([*map(str, added)])}"] * bool(added)
  parts += [f"removed {names.listed([*map(str, removed)])}"] * bool(removed)
  return ": " + "; ".join(parts) if parts else ", in another order"


def _differences(before: Any, now: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
  """The settings that both have, and that differ; without the pool."""
  for key in sorted(set(before) & set(now) - ({"pool"} if not prefix else set())):
    name = f"{prefix}.{key}" if prefix else key
    if isinstance(before[key], dict) and isinstance(now[key], dict):
      yield from _differences(before[key], now[key], name)
    elif _entries(before[key]) != _entries(now[key]):
      yield name, _entries(before[key]), _entries(now[key])


def _entries(value: Any) -> Any:
  """Lists of names one by one: a command line gives them as one text with commas."""
  named = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
  return list(cli.names(value)) if named else value
