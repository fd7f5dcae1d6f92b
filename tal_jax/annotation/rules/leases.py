"""Who is at which video: leases, which end by themselves when a worker goes away.

A worker visits a video: they hold a lease on each of its tasks that wants an answer from them, all
for the same time, and end them together. The states and their steps are described in `campaign`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from tal_jax.annotation import rows, store
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.errors import LeaseLost
from tal_jax.annotation.rules import ahead, gold, states
from tal_jax.annotation.rules.counting import places_free
from tal_jax.annotation.rules.decisions import settle
from tal_jax.annotation.rules.may_take import MAY_TAKE, PUT_OFF, UNSEEN
from tal_jax.annotation.rules.standing import QUALIFYING, STOPPED, standing


class Lease(NamedTuple):
  task_id: int
  expires_at: float


class Visit(NamedTuple):
  """What a worker is asked for at once: classes of one video."""

  task_ids: tuple[int, ...]  # ascending
  expires_at: float


def next_visit(campaign: Campaign, worker_id: int) -> Visit | None:
  """The visit that the worker is at, or else a new one; None where there is none for them.

  A worker who was stopped has none; the leases they may hold end. Gold comes first when it is due,
  and nothing else comes to a worker who has yet to qualify. Of the rest, videos that the worker
  never had come before those of which they have answered another class. Where nothing is left and
  the learner trains, the next video of its last ranking is asked for (`ahead`).
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    held = _held_by(db, worker_id)
    stand = standing(db, campaign.policy, worker_id)
    if stand.state == STOPPED:
      _end_all(db, held, "released", campaign.policy, now)
      return None
    if held:
      return _prolong(db, held, campaign.policy, now)
    _expire(db, campaign.policy, now)
    tasks = _left_by(db, worker_id) or gold.due(db, campaign.policy, worker_id, stand)
    if not tasks and stand.state != QUALIFYING:
      tasks = _first_open(db, worker_id)
      if not tasks and ahead.open_next(db, campaign.policy, now):
        tasks = _first_open(db, worker_id)
    if not tasks:
      return None
    granted = [grant(db, task, worker_id, campaign.policy, now)
               for task in tasks[:1 if is_paid_by_task(db, worker_id) else None]]
    return Visit(tuple(lease.task_id for lease in granted), granted[0].expires_at)


def next_task(campaign: Campaign, worker_id: int) -> Lease | None:
  """The first task of `next_visit`, for whoever answers one class after the other."""
  visit = next_visit(campaign, worker_id)
  return None if visit is None else Lease(visit.task_ids[0], visit.expires_at)


def renew(campaign: Campaign, worker_id: int, task_id: int) -> Lease:
  """Prolongs the visit that the task is of, or takes an expired one up again. Raises LeaseLost."""
  with campaign.store.write() as db:
    lease = hold(db, worker_id, task_id, campaign.policy, campaign.clock())
    return Lease(task_id, lease["expires_at"])


def release(campaign: Campaign, worker_id: int, task_id: int, reason: str = "",
            comment: str = "") -> None:
  """Gives the visit that the task is of back; the worker will not see the video again.

  Args:
    reason: why, of a short list that the caller has; kept for the operator, as is the comment.
    comment: more of it.

  Raises:
    LeaseLost: the worker does not hold the task.
    InvalidAnswer: a reason or a comment that is too long.
  """
  rows.require_text(reason, "a reason", 200)
  rows.require_text(comment, "a comment", campaign.policy.max_comment)
  with campaign.store.write() as db:
    lease = _held(db, worker_id, task_id)
    if lease is None:
      raise LeaseLost(f"task {task_id} is not held")
    if reason or comment:
      db.execute("INSERT INTO skips VALUES (?, ?, ?)", (lease["id"], reason, comment))
    _end_all(db, _held_by(db, worker_id), "released", campaign.policy, campaign.clock())


def put_off(campaign: Campaign, worker_id: int, task_id: int) -> None:
  """Ends the visit that the task is of for now: its video comes back after the others.

  The draft stays. Raises LeaseLost.
  """
  with campaign.store.write() as db:
    if _held(db, worker_id, task_id) is None:
      raise LeaseLost(f"task {task_id} is not held")
    held = _held_by(db, worker_id)
    db.executemany("INSERT INTO later VALUES (?)", [(lease["id"],) for lease in held])
    _end_all(db, held, "expired", campaign.policy, campaign.clock())


def leave(db: sqlite3.Connection, worker_id: int, policy: Policy, now: float) -> None:
  """Takes the worker from their visit, which they get back; part of the caller's transaction."""
  _end_all(db, _held_by(db, worker_id), "expired", policy, now)


def expire(campaign: Campaign) -> int:
  """Ends the leases that ran out, so that their tasks are offered again; how many."""
  with campaign.store.write() as db:
    return _expire(db, campaign.policy, campaign.clock())


def hold(db: sqlite3.Connection, worker_id: int, task_id: int, policy: Policy,
         now: float) -> sqlite3.Row:
  """The worker's lease on the task, prolonged with its visit.

  A visit that expired is granted again, as far as places are free, if the task's is. Part of the
  caller's transaction. Raises LeaseLost.
  """
  if _held(db, worker_id, task_id):
    _prolong(db, _held_by(db, worker_id), policy, now)
  else:
    last = db.execute("SELECT state FROM leases WHERE worker_id = ? AND task_id = ? "
                      "ORDER BY id DESC LIMIT 1", (worker_id, task_id)).fetchone()
    if last is None or last["state"] != "expired" or is_elsewhere(db, worker_id, task_id) or (
        states.state(db, "tasks", task_id) != "open") or (
        standing(db, policy, worker_id).state == STOPPED):
      raise LeaseLost(f"task {task_id} is not, or no longer, yours: ask for the next one")
    grant(db, task_id, worker_id, policy, now)
    for other in _left_with(db, worker_id, task_id):
      grant(db, other, worker_id, policy, now)
  return _held(db, worker_id, task_id)


def is_elsewhere(db: sqlite3.Connection, worker_id: int, task_id: int) -> bool:
  """Whether the worker is at another video than the task's."""
  return db.execute(
      "SELECT 1 FROM leases l JOIN tasks t ON t.id = l.task_id WHERE l.worker_id = ? "
      "AND l.state = 'held' AND t.video_id != (SELECT video_id FROM tasks WHERE id = ?)",
      (worker_id, task_id)).fetchone() is not None


def is_at_work(db: sqlite3.Connection, worker_id: int) -> bool:
  """Whether the worker holds a lease."""
  return bool(_held_by(db, worker_id))


def grant(db: sqlite3.Connection, task_id: int, worker_id: int, policy: Policy,
          now: float) -> Lease:
  """A new lease on a task that may have one, part of the caller's transaction."""
  expires_at = now + policy.lease_seconds
  lease_id = db.execute("INSERT INTO leases (task_id, worker_id, granted_at, expires_at) "
                        "VALUES (?, ?, ?, ?)", (task_id, worker_id, now, expires_at)).lastrowid
  store.log(db, "leases.held", lease_id, now=now, worker_id=worker_id, task=task_id)
  is_gold = db.execute("SELECT is_gold FROM tasks WHERE id = ?", (task_id,)).fetchone()["is_gold"]
  if not is_gold and places_free(db, task_id) <= 0 and (
      states.state(db, "tasks", task_id) == "open"):
    states.move(db, "tasks", task_id, "leased", now=now)
  return Lease(task_id, expires_at)


def _first_open(db, worker_id: int) -> list[int]:
  """The open tasks of the first video that the worker may visit, one they never had if there is."""
  for which in (UNSEEN, MAY_TAKE):
    row = db.execute(f"SELECT t.video_id FROM tasks t WHERE t.is_gold = 0 AND t.state = 'open' "
                     f"AND {which} ORDER BY {PUT_OFF} NULLS FIRST, t.id LIMIT 1",
                     {"worker": worker_id}).fetchone()
    if row:
      return _open_tasks(db, worker_id, row["video_id"])
  return []


def _left_by(db, worker_id: int) -> list[int]:
  """The open tasks of the first video that the worker left, and neither ended nor put off since."""
  row = db.execute(
      "SELECT t.video_id FROM leases l JOIN tasks t ON t.id = l.task_id "
      "WHERE l.worker_id = :worker AND l.state = 'expired' AND t.state = 'open' "
      f"AND {MAY_TAKE} AND l.id > COALESCE({PUT_OFF}, 0) ORDER BY t.id LIMIT 1",
      {"worker": worker_id}).fetchone()
  return _open_tasks(db, worker_id, row["video_id"]) if row else []


def _open_tasks(db, worker_id: int, video_id: int) -> list[int]:
  return [row["id"] for row in db.execute(
      f"SELECT t.id FROM tasks t WHERE t.video_id = :video AND t.state = 'open' AND {MAY_TAKE} "
      "ORDER BY t.id", {"worker": worker_id, "video": video_id})]


def _left_with(db, worker_id: int, task_id: int) -> list[int]:
  """The other tasks of the video whose leases the worker let expire, and that have a free place."""
  return [row["id"] for row in db.execute(
      "SELECT DISTINCT t.id FROM leases l JOIN tasks t ON t.id = l.task_id "
      "WHERE l.worker_id = :worker AND l.state = 'expired' AND t.state = 'open' AND t.id != :task "
      f"AND t.video_id = (SELECT video_id FROM tasks WHERE id = :task) AND {MAY_TAKE} "
      "ORDER BY t.id", {"worker": worker_id, "task": task_id}).fetchall()
      if not is_paid_by_task(db, worker_id)]


def is_paid_by_task(db, worker_id: int) -> bool:
  """Whether the worker came with seats of a crowd, each of which pays for one answer."""
  return db.execute("SELECT 1 FROM crowd WHERE worker_id = ?", (worker_id,)).fetchone() is not None


def _held(db, worker_id: int, task_id: int) -> sqlite3.Row | None:
  return db.execute("SELECT * FROM leases WHERE worker_id = ? AND task_id = ? AND state = 'held'",
                    (worker_id, task_id)).fetchone()


def _held_by(db, worker_id: int) -> list[sqlite3.Row]:
  return db.execute("SELECT id, task_id FROM leases WHERE worker_id = ? AND state = 'held' "
                    "ORDER BY task_id", (worker_id,)).fetchall()


def _prolong(db, leases: Sequence[sqlite3.Row], policy: Policy, now: float) -> Visit:
  expires_at = now + policy.lease_seconds
  db.executemany("UPDATE leases SET expires_at = ? WHERE id = ?",
                 [(expires_at, lease["id"]) for lease in leases])
  return Visit(tuple(lease["task_id"] for lease in leases), expires_at)


def _end_all(db, leases: Sequence[sqlite3.Row], to: str, policy: Policy, now: float) -> None:
  for lease in leases:
    states.move(db, "leases", lease["id"], to, now=now, task=lease["task_id"])
    settle(db, lease["task_id"], policy, now)


def _expire(db, policy: Policy, now: float) -> int:
  late = db.execute("SELECT id, task_id FROM leases WHERE state = 'held' AND expires_at <= ? "
                    "ORDER BY id", (now,)).fetchall()
  _end_all(db, late, "expired", policy, now)
  return len(late)
