"""Gold tasks: tasks whose answer is known, given to workers to measure them.

`policy.gold_before` of them come before real work, and from then on one among `policy.gold_every`
real tasks, at a place in that run that depends on worker and run alone, so that it can be
repeated and not foretold. Which one a worker gets is decided the same way. A page sees nothing that
tells a gold task from another; the answers stay in the table `gold`, which only this module and
`quality` read.

After VATIC (Vondrick et al. 2013); the paper does not speak of it [Sec. 5.1].
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from tal_jax.annotation import quality, rows, states, store
from tal_jax.annotation.campaign import Campaign, Policy, by_name, hint_columns
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.standing import QUALIFYING, Standing


class Gold(NamedTuple):
  video: str  # name
  label: str  # class name
  segments: rows.Segments  # all instances, seconds; empty: the action is not in the video
  hint: tuple[float, float] | None = None  # seconds; where real tasks have one, gold should


def add_gold(campaign: Campaign, golds: Iterable[Gold | tuple]) -> list[int]:
  """Adds gold tasks; a known one with other segments is corrected, and its answers scored anew.

  Args:
    campaign: where.
    golds: `Gold`s, or tuples (video, label, segments[, hint]).

  Returns:
    Their task ids, in order.

  Raises:
    Conflict: the video is, or was, asked for in a round.
    NotFound: an unknown video or class.
    InvalidAnswer: segments or a hint that do not fit the video.
  """
  with campaign.store.write() as db:
    return [_add(db, Gold(*gold), campaign) for gold in golds]


def due(db: sqlite3.Connection, policy: Policy, worker_id: int, stand: Standing) -> int | None:
  """The gold task that this worker should get now, or None.

  Of videos that the worker never had; while qualifying also of one that they gave back, since
  otherwise who gives all of them back could never qualify.
  """
  if stand.state != QUALIFYING:
    run = max(stand.gold_done - policy.gold_before, 0)
    if not policy.gold_every or stand.answers < run * policy.gold_every + (
        _hash(worker_id, run) % policy.gold_every):
      return None
  for seen in ("leases", "assignments")[:1 + (stand.state == QUALIFYING)]:
    tasks = db.execute(
        "SELECT id FROM tasks WHERE is_gold = 1 AND state = 'open' AND video_id NOT IN (SELECT "
        f"t.video_id FROM {seen} s JOIN tasks t ON t.id = s.task_id WHERE s.worker_id = ?)",
        (worker_id,)).fetchall()
    if tasks:
      return min((row["id"] for row in tasks), key=lambda task: (_hash(worker_id, task), task))
  return None


def _add(db, gold: Gold, campaign: Campaign) -> int:
  now = campaign.clock()
  video = by_name(db, "videos", gold.video)
  class_id = by_name(db, "classes", gold.label)["id"]
  if states.state(db, "videos", video["id"]) != "unlabelled":
    raise Conflict(f"{gold.video} is asked for in a round: it cannot have a gold task, too")
  known = db.execute("SELECT id FROM tasks WHERE video_id = ? AND class_id = ? AND is_gold = 1",
                     (video["id"], class_id)).fetchone()
  task_id = known["id"] if known else db.execute(
      "INSERT INTO tasks (is_gold, video_id, class_id, wanted) VALUES (1, ?, ?, 1)",
      (video["id"], class_id)).lastrowid
  db.execute("UPDATE tasks SET hint_start = ?, hint_end = ? WHERE id = ?",
             (*hint_columns(video, gold.hint), task_id))
  text = json.dumps(rows.clean(db, task_id, gold.segments, campaign.policy))
  before = db.execute("SELECT segments FROM gold WHERE task_id = ?", (task_id,)).fetchone()
  if before is None or before["segments"] != text:
    db.execute("INSERT INTO gold VALUES (?, ?) ON CONFLICT (task_id) DO UPDATE SET segments = "
               "excluded.segments", (task_id, text))
    store.log(db, "gold.set", task_id, now=now, segments=json.loads(text))
    for row in db.execute("SELECT id FROM assignments WHERE task_id = ?", (task_id,)).fetchall():
      quality.score(db, row["id"], campaign.policy)
  return task_id


def _hash(worker_id: int, number: int) -> int:
  """The same in every process, unlike `hash`, and even over its range."""
  digest = hashlib.sha256(f"{worker_id} {number}".encode()).digest()
  return int.from_bytes(digest[:8], "big")
