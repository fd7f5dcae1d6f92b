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
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation.campaign import Policy

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
  found = {row[0]: row[1:] for row in db.execute(
      "SELECT is_gold, COUNT(*), SUM(others > 0), AVG(f1) FROM scores WHERE worker_id = ? "
      "GROUP BY is_gold", (worker_id,))}
  gold_done, _, gold_f1 = found.get(1, (0, 0, None))
  answers, compared, f1 = found.get(0, (0, 0, None))
  state, reason = WORKING, ""
  if gold_done < policy.gold_before:
    state = QUALIFYING
  elif gold_done and gold_done >= (policy.gold_before or policy.min_compared) and (
      gold_f1 < policy.min_gold_f1):
    state, reason = STOPPED, _OFF_GOLD
  elif compared and compared >= policy.min_compared and f1 < policy.min_worker_f1:
    state, reason = STOPPED, _OFF_OTHERS
  return Standing(state, reason, gold_done, gold_f1, answers, compared, f1)
