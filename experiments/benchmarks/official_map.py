"""The official metric's algorithm, written plainly: one prediction after the other.

Source: ActivityNet, Evaluation/eval_detection.py, without pandas. Sorts are stable, and two empty
segments overlap by 0, so that its numbers are those of tal_jax/metrics/average_precision.py.
"""

from __future__ import annotations

import collections

import numpy as np


def mean_average_precision(truth, predictions, tious) -> np.ndarray:
  """mAP per threshold [T] of a `GroundTruth` and `Predictions`."""
  tious = np.asarray(tious)
  aps = []
  for label in np.unique(truth.label):
    rivals = collections.defaultdict(list)
    for j in np.flatnonzero(truth.label == label):
      rivals[int(truth.video[j])].append(j)
    num_truths = sum(map(len, rivals.values()))
    mine = np.flatnonzero(predictions.label == label)
    mine = mine[np.argsort(predictions.scores[mine], kind="stable")[::-1]]
    hits = np.zeros((len(tious), len(mine)))
    taken = np.zeros((len(tious), len(truth.label)), bool)
    for rank, i in enumerate(mine):
      there = np.asarray(rivals.get(int(predictions.video[i]), []), int)
      overlaps = _overlaps(predictions.segments[i], truth.segments[there])
      order = np.argsort(overlaps, kind="stable")[::-1]
      for t, tiou in enumerate(tious):
        for k in order:
          if overlaps[k] < tiou:
            break
          if not taken[t, there[k]]:
            taken[t, there[k]] = True
            hits[t, rank] = 1
            break
    aps.append([_average_precision(row, num_truths) for row in hits])
  return np.mean(aps, axis=0)


def _overlaps(segment: np.ndarray, others: np.ndarray) -> np.ndarray:
  intersection = np.maximum(
      np.minimum(segment[1], others[:, 1]) - np.maximum(segment[0], others[:, 0]), 0.0)
  union = (segment[1] - segment[0]) + (others[:, 1] - others[:, 0]) - intersection
  return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _average_precision(hits: np.ndarray, num_truths: int) -> float:
  """Area under the precision envelope (VOC 2011)."""
  tp, fp = np.cumsum(hits), np.cumsum(1 - hits)
  recall = np.hstack([[0], tp / num_truths, [1]])
  precision = np.hstack([[0], tp / np.maximum(tp + fp, 1), [0]])
  for i in range(len(precision) - 1)[::-1]:
    precision[i] = max(precision[i], precision[i + 1])
  step = np.flatnonzero(recall[1:] != recall[:-1]) + 1
  return float(np.sum((recall[step] - recall[step - 1]) * precision[step]))
