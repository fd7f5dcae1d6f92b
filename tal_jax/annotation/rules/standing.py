"""Whether a worker gets tasks: it follows from their answers and the campaign's policy.

    qualifying  fewer than `gold_before` gold tasks are answered: only gold is offered
    stopped     an operator left the worker out; or the mean F1 with the gold answers is below
                `min_gold_f1`, once `gold_before` of them (without that bound, `min_compared`) are
                answered; or the mean F1 with the final answers is below `min_worker_f1`, once
                `min_compared` answers could be compared
    working     otherwise

After VATIC (Vondrick et al. 2013), which has workers pass a video of known answer before real work;
the paper does not say how it chose its workers [Sec. 5.1]. It follows from the scores (`quality`)
and the policy: another policy judges the same answers again, and as tasks are decided a worker may
be stopped, or work again, without having done anything.

The answers of a stopped worker do not count (`counting`), so who is stopped is noted in a table as
well (`note`). An operator may let a stopped worker work again (`reinstate`): their answers count
again, and the bounds hold for the answers that they give from there on.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.errors import Conflict, NotFound

QUALIFYING, WORKING, STOPPED = "qualifying", "working", "stopped"
_OFF_GOLD = "Your answers to videos whose right answer is known differ too much from it."
_OFF_OTHERS = "Your answers differ too much from what the annotators agree on."
_LEFT_OUT = "The organisers have ended your work in this campaign."


class Standing(NamedTuple):
  state: str
  reason: str  # why stopped, for the worker; says nothing about single tasks
  gold_done: int
  gold_f1: float | None  # None while gold_done is 0; for operators
  answers: int  # to real tasks
  compared: int  # of them, that could be compared with a final answer
  f1: float | None  # None while compared is 0; for operators


def standing(db: sqlite3.Connection, policy: Policy, worker_id: int) -> Standing:
  """The worker's standing now, from the kept scores; a new worker's if there is no such worker."""
  row = db.execute("SELECT assignment_id FROM reinstated WHERE worker_id = ?",
                   (worker_id,)).fetchone()
  since = "FILTER (WHERE assignment_id > :since)"
  found = {row[0]: row[1:] for row in db.execute(
      f"SELECT is_gold, COUNT(*), SUM(others > 0), AVG(f1), COUNT(f1) {since}, "
      f"COALESCE(SUM(others > 0) {since}, 0), AVG(f1) {since} "
      "FROM scores WHERE worker_id = :worker GROUP BY is_gold",
      {"worker": worker_id, "since": row[0] if row else 0})}
  gold_done, _, gold_f1, gold_judged, _, judged_gold_f1 = found.get(1, (0, 0, None, 0, 0, None))
  answers, compared, f1, _, judged, judged_f1 = found.get(0, (0, 0, None, 0, 0, None))
  state, reason = WORKING, ""
  if db.execute("SELECT 1 FROM left_out WHERE worker_id = ?", (worker_id,)).fetchone():
    state, reason = STOPPED, _LEFT_OUT
  elif gold_done < policy.gold_before:
    state = QUALIFYING
  elif gold_judged and gold_judged >= (policy.gold_before or policy.min_compared) and (
      judged_gold_f1 < policy.min_gold_f1):
    state, reason = STOPPED, _OFF_GOLD
  elif judged and judged >= policy.min_compared and judged_f1 < policy.min_worker_f1:
    state, reason = STOPPED, _OFF_OTHERS
  return Standing(state, reason, gold_done, gold_f1, answers, compared, f1)


def note(db: sqlite3.Connection, policy: Policy, worker_id: int, now: float) -> bool:
  """Keeps whether the worker is stopped, so that their answers count or do not.

  Part of the caller's transaction, which settles what the worker answered and is undecided.

  Returns:
    Whether that changed.
  """
  found = standing(db, policy, worker_id)
  change = ("INSERT INTO stopped VALUES (?) ON CONFLICT DO NOTHING" if found.state == STOPPED
            else "DELETE FROM stopped WHERE worker_id = ?")
  changed = db.execute(change, (worker_id,)).rowcount > 0
  if changed:
    store.log(db, "workers.stopped" if found.state == STOPPED else "workers.working", worker_id,
              now=now, reason=found.reason)
  return changed


def reinstate(db: sqlite3.Connection, policy: Policy, worker_id: int, *, operator_id: int,
              now: float) -> None:
  """Lets a stopped worker work again; part of the caller's transaction, which calls `note`.

  Raises Conflict unless the worker is stopped.
  """
  if standing(db, policy, worker_id).state != STOPPED:
    raise Conflict(f"worker {worker_id} is not stopped")
  db.execute("DELETE FROM left_out WHERE worker_id = ?", (worker_id,))
  db.execute("INSERT INTO reinstated SELECT ?, COALESCE(MAX(assignment_id), 0) FROM scores "
             "WHERE worker_id = ? "
             "ON CONFLICT (worker_id) DO UPDATE SET assignment_id = excluded.assignment_id",
             (worker_id, worker_id))
  store.log(db, "workers.reinstated", worker_id, now=now, worker_id=operator_id)


def leave_out(db: sqlite3.Connection, worker_id: int, *, operator_id: int, now: float) -> None:
  """Stops a worker by an operator's word; part of the caller's transaction, which calls `note`.

  Raises Conflict if that was done before, NotFound.
  """
  if not db.execute("SELECT 1 FROM workers WHERE id = ?", (worker_id,)).fetchone():
    raise NotFound(f"no worker {worker_id}")
  if not db.execute("INSERT INTO left_out VALUES (?) ON CONFLICT DO NOTHING",
                    (worker_id,)).rowcount:
    raise Conflict(f"worker {worker_id} is left out already")
  store.log(db, "workers.left_out", worker_id, now=now, worker_id=operator_id)
