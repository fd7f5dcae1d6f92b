"""How far the campaign is against its plan, and when it will be done at the present pace."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation.campaign import Campaign

_LATEST = 20  # videos that the pace is taken from, and how few are enough
_FEWEST = 3


class Pace(NamedTuple):
  labelled: int  # videos
  planned: int | None  # videos that are to be labelled, as far as there are; None: not known yet
  excluded: int
  seconds_left: float | None  # None where that cannot be told


def plan(campaign: Campaign, videos: int) -> None:
  """Notes how many videos are to be labelled."""
  with campaign.store.write() as db:
    db.execute("INSERT INTO plan VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET "
               "videos = excluded.videos", (videos,))


def pace(db: sqlite3.Connection, now: float) -> Pace:
  """The time left is the number of videos left, times the mean time that the latest ones took."""
  count = dict(db.execute(
      "SELECT state, COUNT(*) FROM videos WHERE id NOT IN (SELECT video_id FROM tasks "
      "WHERE is_gold) GROUP BY state").fetchall())
  row = db.execute("SELECT videos FROM plan").fetchone()
  times = [row["at"] for row in db.execute(
      "SELECT at FROM events WHERE kind = 'videos.labelled' ORDER BY id DESC LIMIT ?", (_LATEST,))]
  labelled, planned = count.get("labelled", 0), row and row["videos"]
  if planned is not None:  # what was left out cannot be labelled
    planned = min(planned, sum(count.values()) - count.get("excluded", 0))
  left = None
  if planned is not None and labelled >= planned:
    left = 0.0
  elif planned is not None and len(times) >= _FEWEST:
    left = (planned - labelled) * max(now - times[-1], 0.0) / (len(times) - 1)
  return Pace(labelled, planned, count.get("excluded", 0), left)
