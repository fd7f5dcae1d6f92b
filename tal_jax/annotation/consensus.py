"""What several annotators of one video and class agree on, and how much.

Notation: n annotators, annotator i marked the segments A_i; an empty A_i says "the action is not
here". tIoU is the temporal intersection over union of two segments.

The paper does not say how it merged the answers of its workers [Sec. 5.1]; this is our choice. The
segments of all annotators are clustered by single linkage: pairs of different annotators are
joined, highest tIoU first, down to a threshold, as long as the cluster has at most one segment of
each annotator. A cluster that more than half of the annotators marked is an instance; its bounds
are the medians of its starts and of its ends, which one careless annotator of three cannot move
far.

Host-side NumPy in float64: an answer has a handful of segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from tal_jax.segments import tiou_float64


class Consensus(NamedTuple):
  segments: np.ndarray  # [t, 2] float64 seconds, by start
  support: np.ndarray  # [t] fraction of the annotators that marked the instance, in (1/2, 1]
  instance_agreement: np.ndarray  # [t] mean tIoU over all pairs of annotators, 0 where one has none
  worker_f1: np.ndarray  # [n] mean F1 of each annotator with the others; 1 if there is no other
  worker_tiou: np.ndarray  # [n] the same with tIoU
  agreement: float  # mean pairwise F1, in [0, 1]; 1 of a single annotator


def consensus(answers: Sequence[np.ndarray], *, cluster_tiou: float = 0.5,
              match_tiou: float = 0.5) -> Consensus:
  """Merges the answers of n >= 1 annotators; their order does not matter.

  Args:
    answers: n arrays [t_i, 2] of seconds with start < end; [0, 2] for "the action is not here". A
      segment that an annotator marked twice counts once.
    cluster_tiou: in (0, 1], pairs below are never joined.
    match_tiou: in (0, 1], the tIoU from which two annotators agree on an instance.
  """
  if not answers:
    raise ValueError("a consensus needs at least one answer")
  unique = [np.unique(np.asarray(a, np.float64).reshape(-1, 2), axis=0) for a in answers]
  n = len(unique)
  f1, overlap = np.ones((n, n)), np.ones((n, n))
  for i in range(n):
    for j in range(i):
      f1[i, j], overlap[i, j] = pair_agreement(unique[i], unique[j], match_tiou)
      f1[j, i], overlap[j, i] = f1[i, j], overlap[i, j]
  clusters = [c for c in _clusters(unique, cluster_tiou) if 2 * len(c) > n]
  merged = sorted((*np.median(c, 0), len(c) / n, _mean_tiou(c, n)) for c in clusters)
  table = np.asarray(merged, np.float64).reshape(-1, 4)
  pairs = np.sort(f1[np.tril_indices(n, -1)])  # sorted: the sum rounds alike in every order
  return Consensus(table[:, :2], table[:, 2], table[:, 3], _of_others(f1), _of_others(overlap),
                   float(pairs.mean()) if n > 1 else 1.0)


def pair_agreement(a: np.ndarray, b: np.ndarray, match_tiou: float = 0.5) -> tuple[float, float]:
  """Agreement of two answers, symmetric; two empty answers agree fully.

  Args:
    a: [t, 2] seconds.
    b: [s, 2] seconds.
    match_tiou: what is a match.

  Returns:
    F1: 2 m / (t + s) with m the largest number of one-to-one matches of tIoU >= match_tiou.
    tIoU: 2 o / (t + s) with o the largest sum of tIoU over one-to-one matches.
  """
  if not len(a) + len(b):
    return 1.0, 1.0
  overlap = tiou_float64(a, b)
  scale = 2.0 / (len(a) + len(b))
  return tuple(scale * float(w[optimize.linear_sum_assignment(w, maximize=True)].sum())
               for w in ((overlap >= match_tiou).astype(np.float64), overlap))


def _clusters(answers: Sequence[np.ndarray], threshold: float) -> list[np.ndarray]:
  """Clusters [size, 2] of segments, at most one of an annotator in each.

  Equal segments are one node from the start, and pairs of equal tIoU go by their coordinates: so
  the order of the annotators cannot matter.
  """
  nodes, which = np.unique(np.concatenate(answers), axis=0, return_inverse=True)
  owner = np.repeat(np.arange(len(answers)), [len(a) for a in answers])
  members = {k: {} for k in range(len(nodes))}  # cluster -> annotator -> node
  for annotator, k in zip(owner, which.reshape(-1), strict=True):
    members[int(k)][int(annotator)] = int(k)
  cluster = list(range(len(nodes)))
  overlap = tiou_float64(nodes, nodes)
  rows, columns = np.nonzero(np.triu(overlap >= threshold, 1))
  for k in np.lexsort((columns, rows, -overlap[rows, columns])):  # nodes are sorted by coordinates
    i, j = cluster[rows[k]], cluster[columns[k]]
    if i == j or members[i].keys() & members[j].keys():
      continue
    members[i] |= members.pop(j)
    cluster = [i if c == j else c for c in cluster]
  return [nodes[sorted(m.values())] for m in members.values()]


def _mean_tiou(segments: np.ndarray, n: int) -> float:
  """Mean over the n (n - 1) / 2 pairs of annotators, those without the instance giving 0."""
  if n == 1:
    return 1.0
  return float(np.triu(tiou_float64(segments, segments), 1).sum() / (n * (n - 1) / 2))


def _of_others(pairs: np.ndarray) -> np.ndarray:
  """Mean of each row [n, n] without the diagonal; 1 where n = 1."""
  n = len(pairs)
  return np.ones(1) if n == 1 else (pairs.sum(1) - np.diag(pairs)) / (n - 1)
