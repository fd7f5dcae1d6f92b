"""Workers who do not come by a personal link: simulated ones, and those of other tools."""

from __future__ import annotations

import sqlite3

from tal_jax.annotation import leases, states, workers
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.standing import STOPPED, standing


def worker_id(db: sqlite3.Connection, name: str, *, now: float) -> int:
  """The annotator of that name, enrolled with a token that nobody has if they are new.

  Part of the caller's writing transaction. Raises InvalidAnswer for a name that is none.
  """
  known = db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone()
  if known:
    return known["id"]
  return workers.enrol(db, name, seconds=1.0, now=now)[0].id


def take(campaign: Campaign, worker: int, task_id: int) -> leases.Lease:
  """A lease on a given task, for a worker whose tool has chosen it; again: prolongs it.

  Raises:
    Conflict: the task is decided or all its places are taken; the worker is at another one, was
      stopped, or had the video before.
    NotFound: no such task.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    state = states.state(db, "tasks", task_id)
    had = {row["task_id"]: row["state"] for row in db.execute(
        "SELECT l.task_id, l.state FROM leases l JOIN tasks t ON t.id = l.task_id "
        "JOIN tasks same ON same.video_id = t.video_id "
        "WHERE l.worker_id = ? AND same.id = ? ORDER BY l.id", (worker, task_id))}
    if had.get(task_id) in ("held", "expired"):
      return leases.Lease(task_id, leases.hold(db, worker, task_id, campaign.policy,
                                               now)["expires_at"])
    if had:
      raise Conflict("this worker had the video before")
    if db.execute("SELECT 1 FROM leases WHERE worker_id = ? AND state = 'held'",
                  (worker,)).fetchone():
      raise Conflict("this worker is at another task")
    if standing(db, campaign.policy, worker).state == STOPPED:
      raise Conflict("this worker was stopped")
    if state != "open":
      raise Conflict(f"task {task_id} is {state}: no more answers are wanted")
    return leases.grant(db, task_id, worker, campaign.policy, now)
