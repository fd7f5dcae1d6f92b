"""How well each worker agrees with the others who answered the same tasks."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from tal_jax.annotation import rows
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.consensus import consensus


class WorkerQuality(NamedTuple):
  answers: int
  compared: int  # answers to tasks that someone else answered, too
  f1: float  # mean over those tasks of the mean F1 with the others; NaN if there are none
  tiou: float  # the same with tIoU


def worker_quality(campaign: Campaign) -> dict[int, WorkerQuality]:
  """Worker id -> agreement with the others, of every worker who answered."""
  scores = defaultdict(list)  # worker -> (F1, tIoU), NaN where there was no other
  with campaign.store.read() as db:
    tasks = [row[0] for row in db.execute("SELECT DISTINCT task_id FROM assignments")]
    for task_id in tasks:
      answers = rows.answers_of(db, task_id)
      result = consensus(list(answers.values()), cluster_tiou=campaign.policy.cluster_tiou,
                         match_tiou=campaign.policy.match_tiou)
      pairs = zip(result.worker_f1, result.worker_tiou, strict=True)
      for worker, pair in zip(answers, pairs, strict=True):
        scores[worker].append(pair if len(answers) > 1 else (np.nan, np.nan))
  return {worker: _summary(np.asarray(pairs)) for worker, pairs in sorted(scores.items())}


def _summary(pairs: np.ndarray) -> WorkerQuality:
  real = pairs[~np.isnan(pairs[:, 0])]
  f1, tiou = real.mean(0) if len(real) else (np.nan, np.nan)
  return WorkerQuality(len(pairs), len(real), float(f1), float(tiou))
