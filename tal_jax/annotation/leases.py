"""Who is at which task: leases, which end by themselves when a worker goes away.

The states and their steps are described in `campaign`.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import gold, states, store
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.errors import LeaseLost
from tal_jax.annotation.standing import QUALIFYING, STOPPED, standing


class Lease(NamedTuple):
  task_id: int
  expires_at: float


def next_task(campaign: Campaign, worker_id: int) -> Lease | None:
  """The task that the worker is at, or else a new one; None where there is none for them.

  A worker who was stopped has none; the lease they may hold ends. Gold comes first when it is due,
  and nothing else comes to a worker who has yet to qualify.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    held = db.execute("SELECT id, task_id FROM leases WHERE worker_id = ? AND state = 'held'",
                      (worker_id,)).fetchone()
    stand = standing(db, campaign.policy, worker_id)
    if stand.state == STOPPED:
      if held:
        _end(db, held["id"], held["task_id"], "released", now)
      return None
    if held:
      return _prolong(db, held, campaign.policy, now)
    _expire(db, now)
    task_id = _left_by(db, worker_id) or gold.due(db, campaign.policy, worker_id, stand)
    if task_id is None and stand.state != QUALIFYING:
      task_id = _first_open(db, worker_id)
    return None if task_id is None else grant(db, task_id, worker_id, campaign.policy, now)


def renew(campaign: Campaign, worker_id: int, task_id: int) -> Lease:
  """Prolongs the worker's lease, or takes an expired one up again. Raises LeaseLost."""
  with campaign.store.write() as db:
    lease = hold(db, worker_id, task_id, campaign.policy, campaign.clock())
    return Lease(task_id, lease["expires_at"])


def release(campaign: Campaign, worker_id: int, task_id: int) -> None:
  """Gives the task back unanswered; the worker will not see its video again. Raises LeaseLost."""
  with campaign.store.write() as db:
    lease = _held(db, worker_id, task_id)
    if lease is None:
      raise LeaseLost(f"task {task_id} is not held")
    _end(db, lease["id"], task_id, "released", campaign.clock())


def expire(campaign: Campaign) -> int:
  """Ends the leases that ran out, so that their tasks are offered again; how many."""
  with campaign.store.write() as db:
    return _expire(db, campaign.clock())


def hold(db: sqlite3.Connection, worker_id: int, task_id: int, policy: Policy,
         now: float) -> sqlite3.Row:
  """The worker's lease on the task, prolonged; granted anew if it expired and a place is free.

  Part of the caller's transaction. Raises LeaseLost.
  """
  held = _held(db, worker_id, task_id)
  if held:
    _prolong(db, held, policy, now)
  else:
    last = db.execute("SELECT state FROM leases WHERE worker_id = ? AND task_id = ? "
                      "ORDER BY id DESC LIMIT 1", (worker_id, task_id)).fetchone()
    other = db.execute("SELECT 1 FROM leases WHERE worker_id = ? AND state = 'held'",
                       (worker_id,)).fetchone()
    if last is None or last["state"] != "expired" or other or (
        states.state(db, "tasks", task_id) != "open") or (
        standing(db, policy, worker_id).state == STOPPED):
      raise LeaseLost(f"task {task_id} is not, or no longer, yours: ask for the next one")
    grant(db, task_id, worker_id, policy, now)
  return _held(db, worker_id, task_id)


def places_free(db: sqlite3.Connection, task_id: int) -> int:
  """Answers wanted of a real task, less those given and those being worked on."""
  return db.execute(
      "SELECT wanted - (SELECT COUNT(*) FROM assignments WHERE task_id = :t) - (SELECT COUNT(*) "
      "FROM leases WHERE task_id = :t AND state = 'held') FROM tasks WHERE id = :t",
      {"t": task_id}).fetchone()[0]


def grant(db: sqlite3.Connection, task_id: int, worker_id: int, policy: Policy,
          now: float) -> Lease:
  """A new lease on a task that may have one, part of the caller's transaction."""
  expires_at = now + policy.lease_seconds
  lease_id = db.execute("INSERT INTO leases (task_id, worker_id, granted_at, expires_at) "
                        "VALUES (?, ?, ?, ?)", (task_id, worker_id, now, expires_at)).lastrowid
  store.log(db, "leases.held", lease_id, now=now, worker_id=worker_id, task=task_id)
  is_gold = db.execute("SELECT is_gold FROM tasks WHERE id = ?", (task_id,)).fetchone()["is_gold"]
  if not is_gold and places_free(db, task_id) == 0:
    states.move(db, "tasks", task_id, "leased", now=now)
  return Lease(task_id, expires_at)


def _first_open(db, worker_id: int) -> int | None:
  """The first real task with a free place, of a video that the worker never had."""
  row = db.execute(
      "SELECT id FROM tasks WHERE is_gold = 0 AND state = 'open' AND video_id NOT IN ("
      "  SELECT t.video_id FROM leases l JOIN tasks t ON t.id = l.task_id WHERE l.worker_id = ?) "
      "ORDER BY id LIMIT 1", (worker_id,)).fetchone()
  return row and row["id"]


def _left_by(db, worker_id: int) -> int | None:
  """The first task with a free place that the worker let expire and has not ended since."""
  row = db.execute(
      "SELECT t.id FROM leases l JOIN tasks t ON t.id = l.task_id "
      "WHERE l.worker_id = :w AND l.state = 'expired' AND t.state = 'open' AND NOT EXISTS ("
      "  SELECT 1 FROM leases m WHERE m.worker_id = :w AND m.task_id = t.id"
      "  AND m.state IN ('released', 'submitted')) ORDER BY t.id LIMIT 1",
      {"w": worker_id}).fetchone()
  return row and row["id"]


def _held(db, worker_id: int, task_id: int) -> sqlite3.Row | None:
  return db.execute("SELECT * FROM leases WHERE worker_id = ? AND task_id = ? AND state = 'held'",
                    (worker_id, task_id)).fetchone()


def _prolong(db, lease: sqlite3.Row, policy: Policy, now: float) -> Lease:
  expires_at = now + policy.lease_seconds
  db.execute("UPDATE leases SET expires_at = ? WHERE id = ?", (expires_at, lease["id"]))
  return Lease(lease["task_id"], expires_at)


def _end(db, lease_id: int, task_id: int, to: str, now: float) -> None:
  states.move(db, "leases", lease_id, to, now=now, task=task_id)
  if states.state(db, "tasks", task_id) == "leased":
    states.move(db, "tasks", task_id, "open", now=now)


def _expire(db, now: float) -> int:
  late = db.execute("SELECT id, task_id FROM leases WHERE state = 'held' AND expires_at <= ? "
                    "ORDER BY id", (now,)).fetchall()
  for lease in late:
    _end(db, lease["id"], lease["task_id"], "expired", now)
  return len(late)
