"""Videos that no browser can play yet: which one to make ready next, and what came of it.

A task of such a video is open like any other, but is handed out only once the video is ready. Made
first is what people wait for, then what the learner expects to ask for in its next round.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.campaign import Ask, Campaign
from tal_jax.annotation.rules import ahead, states

_QUEUE = f"""
SELECT v.name, MIN(part) < 2 AS asked FROM (
  SELECT video_id, NOT is_gold AS part, id AS place FROM tasks
  WHERE is_gold OR state NOT IN {states.CLOSED}
  UNION ALL SELECT video_id, 2, place FROM upcoming
) AS wanted JOIN preparing USING (video_id) JOIN videos v ON v.id = video_id
WHERE v.state != 'excluded' GROUP BY video_id ORDER BY MIN(part), MIN(place)"""


class Job(NamedTuple):
  video: str  # name
  asked: bool  # a task waits for it; False: the learner may ask for it


def queue(campaign: Campaign) -> list[Job]:
  """The videos to make ready: gold, then the open rounds' by their tasks, then `upcoming`."""
  with campaign.store.read() as db:
    return [Job(row["name"], bool(row["asked"])) for row in db.execute(_QUEUE)]


def late(db: sqlite3.Connection) -> tuple[int, str]:
  """How many videos that were asked for are not ready, and a problem with one of them, or ""."""
  found = db.execute(
      "SELECT problem FROM preparing JOIN videos v ON v.id = video_id WHERE v.state = 'asked' "
      "ORDER BY problem DESC").fetchall()
  return len(found), found[0]["problem"] if found else ""


def postpone(campaign: Campaign, video: str, problem: str) -> None:
  """Keeps why a video is late, for the operator; it stays in the queue."""
  with campaign.store.write() as db:
    changed = db.execute(
        "UPDATE preparing SET problem = ? WHERE problem != ? AND video_id = "
        "(SELECT id FROM videos WHERE name = ?)", (problem, problem, video)).rowcount
    if changed:
      store.log(db, "videos.late", _id(db, video), now=campaign.clock(), problem=problem)


def expect(campaign: Campaign, videos: Sequence[str], asks: Sequence[Ask] = ()) -> None:
  """Replaces what the learner expects to ask for next, best first; a known video each.

  `asks`: what may be asked of them while the learner trains (`ahead`).
  """
  with campaign.store.write() as db:
    ahead.put(db, asks)
    db.execute("DELETE FROM upcoming")
    db.executemany("INSERT INTO upcoming (place, video_id) VALUES (?, ?)",
                   [(place, _id(db, name)) for place, name in enumerate(videos)])


def _id(db, name: str) -> int:
  return db.execute("SELECT id FROM videos WHERE name = ?", (name,)).fetchone()[0]
