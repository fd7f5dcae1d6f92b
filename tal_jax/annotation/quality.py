"""How well answers agree: each with the gold answer, or with those of the others.

The score of an answer to a gold task is its F1 and tIoU with the gold answer; of another answer,
the means over all who answered the same task (`consensus.pair_agreement`). Scores are kept, and
brought up to date by each new answer, because every request for a task asks for them; they use the
`match_tiou` of the time.
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
from tal_jax.annotation.consensus import pair_agreement


class WorkerQuality(NamedTuple):
  answers: int  # to real tasks
  compared: int  # answers to real tasks that someone else answered, too
  f1: float | None  # mean over those of the mean F1 with the others; None if there are none
  tiou: float | None  # the same with tIoU
  gold_done: int
  gold_f1: float | None  # mean F1 with the gold answers
  seconds_median: float | None  # from the grant of a lease to the answer to a real task


def score(db: sqlite3.Connection, assignment_id: int, policy: Policy) -> list[int]:
  """Scores a new answer, and brings those of the others to the same task up to date.

  Part of the caller's transaction.

  Returns:
    The workers whose scores changed, the one who answered first.
  """
  own = db.execute("SELECT task_id, worker_id FROM assignments WHERE id = ?",
                   (assignment_id,)).fetchone()
  task_id, worker_id = own
  gold = db.execute("SELECT segments FROM gold WHERE task_id = ?", (task_id,)).fetchone()
  answers = {worker: _distinct(segments)
             for worker, segments in rows.answers_of(db, task_id).items()}
  mine = answers.pop(worker_id)
  if gold:
    pairs = {None: pair_agreement(mine, _distinct(json.loads(gold["segments"])), policy.match_tiou)}
  else:
    pairs = {worker: pair_agreement(mine, theirs, policy.match_tiou)
             for worker, theirs in answers.items()}
    db.executemany(
        "UPDATE scores SET f1 = (COALESCE(f1, 0) * others + ?) / (others + 1), "
        "tiou = (COALESCE(tiou, 0) * others + ?) / (others + 1), others = others + 1 "
        "WHERE assignment_id = (SELECT id FROM assignments WHERE task_id = ? AND worker_id = ?)",
        [(*map(_bounded, pair), task_id, worker) for worker, pair in pairs.items()])
  means = [_bounded(x) for x in np.mean(list(pairs.values()), axis=0)] if pairs else [None, None]
  db.execute("INSERT INTO scores (assignment_id, worker_id, is_gold, others, f1, tiou) VALUES "
             "(?, ?, ?, ?, ?, ?) ON CONFLICT (assignment_id) DO UPDATE SET f1 = excluded.f1, "
             "tiou = excluded.tiou", (assignment_id, worker_id, gold is not None, len(pairs),
                                      *means))
  return [worker_id, *(worker for worker in pairs if worker is not None)]


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
