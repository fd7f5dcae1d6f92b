"""Workers who do not come by a personal link: simulated ones, and those of other tools."""

from __future__ import annotations

import sqlite3

from tal_jax.annotation import workers
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.rules import leases, states
from tal_jax.annotation.rules.may_take import MAY_TAKE
from tal_jax.annotation.rules.standing import STOPPED, standing


def worker_id(db: sqlite3.Connection, name: str, *, now: float, seconds: float = 1.0) -> int:
  """The annotator of that name, enrolled with a token that nobody has if they are new.

  `seconds`: for how long they count among those who have a link (`people`).

  Part of the caller's writing transaction. Raises InvalidAnswer for a name that is none.
  """
  known = db.execute("SELECT id FROM workers WHERE name = ?", (name,)).fetchone()
  if known:
    db.execute("UPDATE workers SET token_expires_at = MAX(token_expires_at, ?) WHERE id = ?",
               (now + seconds, known["id"]))
    return known["id"]
  return workers.enrol(db, name, seconds=seconds, now=now)[0].id


def take(campaign: Campaign, worker: int, task_id: int) -> leases.Lease:
  """A lease on a given task, for a worker whose tool has chosen it; again: prolongs it.

  Raises:
    Conflict: the task is decided or all its places are taken; the worker is at another video, was
      stopped, answered the task, or gave the video back.
    NotFound: no such task.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    state = states.state(db, "tasks", task_id)
    last = db.execute("SELECT state FROM leases WHERE worker_id = ? AND task_id = ? "
                      "ORDER BY id DESC LIMIT 1", (worker, task_id)).fetchone()
    if last and last["state"] in ("held", "expired"):
      return leases.Lease(task_id, leases.hold(db, worker, task_id, campaign.policy,
                                               now)["expires_at"])
    if not db.execute(f"SELECT 1 FROM tasks t WHERE t.id = :task AND {MAY_TAKE}",
                      {"task": task_id, "worker": worker}).fetchone():
      raise Conflict("this worker answered the task before, or gave its video back")
    if leases.is_elsewhere(db, worker, task_id):
      raise Conflict("this worker is at another video")
    if standing(db, campaign.policy, worker).state == STOPPED:
      raise Conflict("this worker was stopped")
    if state != "open":
      raise Conflict(f"task {task_id} is {state}: no more answers are wanted")
    return leases.grant(db, task_id, worker, campaign.policy, now)
