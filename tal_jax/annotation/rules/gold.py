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

from tal_jax.annotation import rows, store
from tal_jax.annotation.campaign import Campaign, Policy, by_name, hint_columns
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.rules import decisions, states
from tal_jax.annotation.rules.may_take import MAY_TAKE, UNANSWERED, UNSEEN
from tal_jax.annotation.rules.standing import QUALIFYING, Standing


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


def due(db: sqlite3.Connection, policy: Policy, worker_id: int, stand: Standing) -> list[int]:
  """The gold tasks of one video that this worker should get now; none if none is due.

  Of videos that the worker never had, before others of which they have answered another class;
  while qualifying also of one that they gave back, since otherwise who gives all of them back could
  never qualify.
  """
  if stand.state != QUALIFYING:
    run = max(stand.gold_done - policy.gold_before, 0)
    if not policy.gold_every or stand.answers < run * policy.gold_every + (
        _hash(worker_id, run) % policy.gold_every):
      return []
  for which in (UNSEEN, MAY_TAKE, UNANSWERED)[:2 + (stand.state == QUALIFYING)]:
    tasks = db.execute(
        "SELECT t.id, t.video_id FROM tasks t WHERE t.is_gold = 1 AND t.state = 'open' "
        f"AND {which} ORDER BY t.id", {"worker": worker_id}).fetchall()
    if tasks:
      first = min(tasks, key=lambda task: (_hash(worker_id, task["id"]), task["id"]))
      return [task["id"] for task in tasks if task["video_id"] == first["video_id"]]
  return []


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
    decisions.judge(db, [task_id], campaign.policy, now)
  return task_id


def _hash(worker_id: int, number: int) -> int:
  """The same in every process, unlike `hash`, and even over its range."""
  digest = hashlib.sha256(f"{worker_id} {number}".encode()).digest()
  return int.from_bytes(digest[:8], "big")
