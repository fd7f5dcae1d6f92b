"""Whether a worker gets tasks: it follows from their answers and the campaign's policy.

    qualifying  fewer than `gold_before` gold tasks are answered: only gold is offered
    stopped     the mean F1 with the gold answers is below `min_gold_f1`, once `gold_before` of them
                (without that bound, `min_compared`) are answered; or the mean F1 with the others is
                below `min_worker_f1`, once `min_compared` answers could be compared
    working     otherwise

After VATIC (Vondrick et al. 2013), which has workers pass a video of known answer before real work;
the paper does not say how it chose its workers [Sec. 5.1]. Nothing of it is stored: another policy
judges the same answers anew, and as others answer, the agreement with them moves, so that a worker
may be stopped, or work again, without having done anything.

An operator may let a stopped worker work again (`reinstate`): the bounds then hold for the answers
that they give from there on.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.errors import Conflict

QUALIFYING, WORKING, STOPPED = "qualifying", "working", "stopped"
_OFF_GOLD = "Your answers to videos whose right answer is known differ too much from it."
_OFF_OTHERS = "Your answers differ too much from those of the other annotators."


class Standing(NamedTuple):
  state: str
  reason: str  # why stopped, for the worker; says nothing about single tasks
  gold_done: int
  gold_f1: float | None  # None while gold_done is 0; for operators
  answers: int  # to real tasks
  compared: int  # of them, that someone else answered, too
  f1: float | None  # None while compared is 0; for operators


def standing(db: sqlite3.Connection, policy: Policy, worker_id: int) -> Standing:
  """The worker's standing now, from the kept scores; a new worker's if there is no such worker."""
  row = db.execute("SELECT assignment_id FROM reinstated WHERE worker_id = ?",
                   (worker_id,)).fetchone()
  since = "FILTER (WHERE assignment_id > :since)"
  found = {row[0]: row[1:] for row in db.execute(
      f"SELECT is_gold, COUNT(*), SUM(others > 0), AVG(f1), COUNT(*) {since}, "
      f"COALESCE(SUM(others > 0) {since}, 0), AVG(f1) {since} "
      "FROM scores WHERE worker_id = :worker GROUP BY is_gold",
      {"worker": worker_id, "since": row[0] if row else 0})}
  gold_done, _, gold_f1, gold_judged, _, judged_gold_f1 = found.get(1, (0, 0, None, 0, 0, None))
  answers, compared, f1, _, judged, judged_f1 = found.get(0, (0, 0, None, 0, 0, None))
  state, reason = WORKING, ""
  if gold_done < policy.gold_before:
    state = QUALIFYING
  elif gold_judged and gold_judged >= (policy.gold_before or policy.min_compared) and (
      judged_gold_f1 < policy.min_gold_f1):
    state, reason = STOPPED, _OFF_GOLD
  elif judged and judged >= policy.min_compared and judged_f1 < policy.min_worker_f1:
    state, reason = STOPPED, _OFF_OTHERS
  return Standing(state, reason, gold_done, gold_f1, answers, compared, f1)


def reinstate(db: sqlite3.Connection, policy: Policy, worker_id: int, *, operator_id: int,
              now: float) -> None:
  """Lets a stopped worker work again; part of the caller's transaction.

  What their stop asked for, one more answer to each undecided task of theirs, stays.

  Raises Conflict unless the worker is stopped.
  """
  if standing(db, policy, worker_id).state != STOPPED:
    raise Conflict(f"worker {worker_id} is not stopped")
  db.execute("INSERT INTO reinstated SELECT ?, MAX(assignment_id) FROM scores WHERE worker_id = ? "
             "ON CONFLICT (worker_id) DO UPDATE SET assignment_id = excluded.assignment_id",
             (worker_id, worker_id))
  store.log(db, "workers.reinstated", worker_id, now=now, worker_id=operator_id)
