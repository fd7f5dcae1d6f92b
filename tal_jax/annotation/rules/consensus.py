"""What several annotators of one video and class agree on, and how much.

Notation: n annotators, annotator i marked the segments A_i; an empty A_i says "the action is not
here". tIoU is the temporal intersection over union of two segments, F1(i, j) the agreement of two
answers (`pair_agreement`), b the bound from which two answers agree.

The paper does not say how it merged the answers of its workers [Sec. 5.1]; this is our choice.

Who agrees. A set of annotators agrees if F1(i, j) >= b for every pair in it. The agreeing set is
the largest such set of two or more; among equally large ones that of the highest mean F1, then the
one whose segments come first. It is a majority if it has more than half of the annotators: two of
three, three of four or five. A single annotator is a majority. The agreement is

    with a majority      the mean F1 over all pairs in it (1 of a single annotator), at least b
    without a majority   the highest bound for which there would be one, below b

so that one careless annotator of three does not matter, and who repeats an answer of the majority
can only make it larger.

What they say. The segments of all annotators are clustered by single linkage: pairs of different
annotators are joined down to a threshold of tIoU, as long as the cluster has at most one segment of
each annotator; first the pairs inside the agreeing set, then the others, highest tIoU first. So
what the majority has in common cannot be torn apart by the others. A cluster that more than half of
all n annotators marked is an instance; its bounds are the medians of its starts and of its ends,
which one careless annotator of three cannot move far.

An annotator may also say that the video cannot be judged: None in place of A_i. Such answers agree
with each other and with no other.

Host-side NumPy in float64: an answer has a handful of segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from tal_jax.host_segments import tiou_float64


class Consensus(NamedTuple):
  segments: np.ndarray  # [t, 2] float64 seconds, by start
  support: np.ndarray  # [t] fraction of the annotators that marked the instance, in (1/2, 1]
  instance_agreement: np.ndarray  # [t] mean tIoU over all pairs of annotators, 0 where one has none
  worker_f1: np.ndarray  # [n] mean F1 of each annotator with the others; 1 if there is no other
  worker_tiou: np.ndarray  # [n] the same with tIoU
  agreement: float  # of the majority, in [0, 1]; see the module
  agreeing: np.ndarray  # [n] bool, the agreeing set; none of several who all differ
  majority: bool  # whether it is one
  unusable: bool  # whether the majority says that the video cannot be judged


def consensus(answers: Sequence[np.ndarray | None], *, cluster_tiou: float = 0.5,
              match_tiou: float = 0.5, min_agreement: float = 0.5) -> Consensus:
  """Merges the answers of n >= 1 annotators; their order does not matter.

  Args:
    answers: n arrays [t_i, 2] of seconds with start < end; [0, 2] for "the action is not here",
      None for "the video cannot be judged". A segment that an annotator marked twice counts once.
    cluster_tiou: in (0, 1], pairs below are never joined.
    match_tiou: in (0, 1], the tIoU from which two annotators agree on an instance.
    min_agreement: the F1 from which two answers agree.
  """
  if not answers:
    raise ValueError("a consensus needs at least one answer")
  judged = np.array([a is not None for a in answers])
  unique = [np.unique(np.asarray([] if a is None else a, np.float64).reshape(-1, 2), axis=0)
            for a in answers]
  n = len(unique)
  f1, overlap = np.ones((n, n)), np.ones((n, n))
  for i in range(n):
    for j in range(i):
      f1[i, j], overlap[i, j] = pair_agreement(unique[i], unique[j], match_tiou) if (
          judged[i] == judged[j]) else (0.0, 0.0)
      f1[j, i], overlap[j, i] = f1[i, j], overlap[i, j]
  agreeing = np.isin(np.arange(n), _agreeing(unique, f1, min_agreement))
  majority = bool(2 * agreeing.sum() > n)
  clusters = [c for c in _clusters(unique, cluster_tiou, agreeing) if 2 * len(c) > n]
  merged = sorted((*np.median(c, 0), len(c) / n, _mean_tiou(c, n)) for c in clusters)
  table = np.asarray(merged, np.float64).reshape(-1, 4)
  return Consensus(table[:, :2], table[:, 2], table[:, 3], _of_others(f1), _of_others(overlap),
                   _mean_f1(f1, np.flatnonzero(agreeing)) if majority else _best_bound(f1),
                   agreeing, majority, majority and not judged[agreeing].any())


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


def _agreeing(answers: Sequence[np.ndarray], f1: np.ndarray, bound: float) -> list[int]:
  """The agreeing set; a single annotator agrees with themselves."""
  def rank(who):
    return -len(who), -_mean_f1(f1, who), sorted(answers[i].tolist() for i in who)

  found = min(_cliques(f1 >= bound), key=rank)
  return found if len(found) > 1 or len(answers) == 1 else []


def _best_bound(f1: np.ndarray) -> float:
  """The highest bound for which there is a majority."""
  return next(float(bound) for bound in np.unique(f1)[::-1]
              if 2 * max(map(len, _cliques(f1 >= bound))) > len(f1))


def _cliques(agree: np.ndarray) -> list[list[int]]:
  """The sets of annotators that agree in pairs and that nobody could join.

  Args:
    agree: [n, n] bool, symmetric.

  Source: Bron and Kerbosch (1973), with the pivot of Tomita et al. (2006).
  """
  near = [set(np.flatnonzero(row)) - {i} for i, row in enumerate(agree)]
  found = []

  def extend(chosen, open_to, done):
    if not open_to and not done:
      found.append(sorted(int(i) for i in chosen))
      return
    pivot = max(open_to | done, key=lambda i: len(near[i] & open_to))
    for i in open_to - near[pivot]:
      extend(chosen | {i}, open_to & near[i], done & near[i])
      open_to, done = open_to - {i}, done | {i}

  extend(set(), set(range(len(near))), set())
  return found


def _mean_f1(f1: np.ndarray, who: Sequence[int]) -> float:
  """Over the pairs; 1 where there is none."""
  inside = f1[np.ix_(who, who)]
  pairs = np.sort(inside[np.tril_indices(len(who), -1)])  # the sum rounds alike in every order
  return max(float(pairs.mean()), float(pairs[0])) if len(pairs) else 1.0


def _clusters(answers: Sequence[np.ndarray], threshold: float,
              agreeing: np.ndarray) -> list[np.ndarray]:
  """Clusters [size, 2] of segments, at most one of an annotator in each.

  Args:
    answers: [t_i, 2] each.
    threshold: of tIoU.
    agreeing: [n] bool, whose segments are joined with each other first.

  Equal segments are one node from the start, inside and outside the agreeing set, and pairs of
  equal tIoU go by their coordinates: so the order of the annotators cannot matter.
  """
  owner = np.repeat(np.arange(len(answers)), [len(a) for a in answers])
  nodes, which = np.unique(np.column_stack([np.concatenate(answers), ~agreeing[owner]]), axis=0,
                           return_inverse=True)
  nodes, outside = nodes[:, :2], nodes[:, 2] > 0
  members = {k: {} for k in range(len(nodes))}  # cluster -> annotator -> node
  for annotator, k in zip(owner, which.reshape(-1), strict=True):
    members[int(k)][int(annotator)] = int(k)
  cluster = list(range(len(nodes)))
  overlap = tiou_float64(nodes, nodes)
  rows, columns = np.nonzero(np.triu(overlap >= threshold, 1))
  later = outside[rows] | outside[columns]
  for k in np.lexsort((columns, rows, -overlap[rows, columns], later)):  # nodes are sorted
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
