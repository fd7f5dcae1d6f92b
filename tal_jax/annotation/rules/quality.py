"""How well answers agree with what the task's answer is.

The score of an answer is its F1 and tIoU (`consensus.pair_agreement`) with the gold answer of a
gold task, and with the final answer of another one: what the annotators agree on, or an operator's
word. It has none before the task is decided, if the final answer rests on it alone, or if it says
that the video cannot be judged. So an honest annotator is not compared with a careless one. Of a
gold video it is known that it can be judged: who says that it cannot has a score of 0.

Scores are kept, because every request for a task asks for them, and made again whenever the final
answer changes; they use the `match_tiou` of the time.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from tal_jax.annotation import rows
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.rules.consensus import pair_agreement
from tal_jax.annotation.rules.counting import given
from tal_jax.annotation.rules.states import DECIDED


class WorkerQuality(NamedTuple):
  answers: int  # to real tasks
  compared: int  # answers to real tasks that could be compared with the final answer
  f1: float | None  # mean over those of the F1 with the final answer; None if there are none
  tiou: float | None  # the same with tIoU
  gold_done: int
  gold_f1: float | None  # mean F1 with the gold answers
  seconds_median: float | None  # from the grant of a lease to the answer to a real task


def score(db: sqlite3.Connection, task_id: int, policy: Policy) -> list[int]:
  """Scores all answers to a task; part of the caller's transaction.

  Returns:
    The workers who answered it, the one who answered first first.
  """
  answers = given(db, task_id)
  state, is_gold = db.execute("SELECT state, is_gold FROM tasks WHERE id = ?",
                              (task_id,)).fetchone()
  final = _final(db, task_id, state, is_gold)
  for answer in answers:
    others = 1 if is_gold else 0 if final is None or answer.unusable else (
        len(answers) - 1 + (state == "adjudicated"))
    pair = (None, None) if not others else (0.0, 0.0) if answer.unusable else map(
        _bounded, pair_agreement(_distinct(answer.segments), final, policy.match_tiou))
    db.execute("INSERT INTO scores (assignment_id, worker_id, is_gold, others, f1, tiou) VALUES "
               "(?, ?, ?, ?, ?, ?) ON CONFLICT (assignment_id) DO UPDATE SET "
               "others = excluded.others, f1 = excluded.f1, tiou = excluded.tiou",
               (answer.assignment_id, answer.worker_id, is_gold, others, *pair))
  return [answer.worker_id for answer in answers]


def _final(db, task_id: int, state: str, is_gold: int) -> np.ndarray | None:
  """[t, 2] seconds; None: not known."""
  if is_gold:
    return _distinct(json.loads(db.execute("SELECT segments FROM gold WHERE task_id = ?",
                                           (task_id,)).fetchone()["segments"]))
  if state not in DECIDED:
    return None
  return _distinct([s[:2] for s in rows.final_segments(db, task_id)])


def worker_quality(campaign: Campaign) -> dict[int, WorkerQuality]:
  """Worker id -> quality, of every worker who answered."""
  seconds = defaultdict(list)
  with campaign.store.read() as db:
    scores = db.execute(
        "SELECT worker_id, SUM(1 - is_gold), SUM(others > 0) FILTER (WHERE NOT is_gold), "
        "AVG(f1) FILTER (WHERE NOT is_gold), AVG(tiou) FILTER (WHERE NOT is_gold), SUM(is_gold), "
        "AVG(f1) FILTER (WHERE is_gold) FROM scores GROUP BY worker_id").fetchall()
    for worker_id, duration in db.execute(
        "SELECT a.worker_id, a.submitted_at - l.granted_at FROM assignments a "
        "JOIN leases l ON l.id = a.lease_id JOIN tasks t ON t.id = a.task_id "
        "WHERE t.is_gold = 0"):
      seconds[worker_id].append(duration)
  return {worker_id: WorkerQuality(
      answers, compared or 0, f1, tiou, gold_done, gold_f1,
      statistics.median(seconds[worker_id]) if seconds[worker_id] else None)
      for worker_id, answers, compared, f1, tiou, gold_done, gold_f1 in scores}


def _distinct(segments) -> np.ndarray:
  """What was marked twice counts once, as in the consensus."""
  return np.unique(np.asarray(segments, np.float64).reshape(-1, 2), axis=0)


def _bounded(agreement: float) -> float:
  """Rounding in a long sum could leave [0, 1]."""
  return min(max(float(agreement), 0.0), 1.0)
