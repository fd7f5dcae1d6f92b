"""ActivityNet's detection metric for detections that carry a score for every class.

The same numbers as `average_precision.detection_map` of the v k C predictions written out, from
the arrays as a model gives them. Only predictions in a video with a truth of their class can be
hits; of all others it counts how many come before, so one sort of plain numbers per class does
where the long way sorts indices of millions of predictions.

Notation: v videos, k segments kept per video, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tal_jax.data.records import GroundTruth, Predictions
from tal_jax.metrics import average_precision as flat
from tal_jax.metrics.average_precision import DEFAULT_TIOUS, MeanAP


def dense_detection_map(truth: GroundTruth, segments: np.ndarray, scores: np.ndarray,
                        mask: np.ndarray, tious: Sequence[float] = DEFAULT_TIOUS) -> MeanAP:
  """Mean average precision of segments that are each scored for all classes.

  Args:
    truth: at least one instance; `video` indexes the v videos.
    segments: [v, k, 2] seconds.
    scores: [v, k, C] no NaN; of equal scores in a class the later segment goes first.
    mask: [v, k] True where real.
    tious: [T] thresholds.

  Raises:
    ValueError: as `detection_map`.
  """
  tious = np.asarray(tious, np.float64).reshape(-1)
  scores, mask = np.asarray(scores), np.asarray(mask)
  if np.isnan(scores[mask]).any():
    raise ValueError("a score is NaN")
  video = np.nonzero(mask)[0]
  by_class = np.ascontiguousarray(scores[mask].T)  # [C, m]
  candidate, label, rank = _ranked_candidates(truth, video, by_class)
  candidates = Predictions(
      video[candidate], label, np.asarray(segments, np.float64)[mask][candidate],
      by_class[label, candidate].astype(np.float64))
  truth, candidates = flat._checked(truth, candidates)
  pairs, pair = flat._pairs_with_truth(truth, candidates, candidates.label)
  entry_candidate, entry_truth, overlap = flat._overlapping(
      candidates.segments, pair, truth, pairs, tious.min())
  num_truths = np.bincount(truth.label, minlength=truth.num_classes)
  ap = np.full((len(tious), truth.num_classes), np.nan)
  for i, tiou in enumerate(tious):
    hit = overlap >= tiou
    matched = flat._greedy_match(entry_candidate[hit], entry_truth[hit], len(label),
                                 len(truth.label))
    ap[i] = flat._average_precision(label[matched], rank[matched], num_truths)
  mean_ap = ap[:, num_truths > 0].mean(axis=1)
  ignored = len(video) * int((num_truths == 0).sum())
  return MeanAP(tious, mean_ap, float(mean_ap.mean()), ap, by_class.size, ignored)


def _ranked_candidates(truth: GroundTruth, video: np.ndarray, by_class: np.ndarray):
  """The predictions that may be hits, class by class and best first.

  Returns:
    candidate [n] index into the m segments, label [n], rank [n] among all of the class, from 1.
  """
  num_videos = 1 + max(int(video.max(initial=0)), int(np.max(truth.video)))
  candidates, labels, ranks = [], [], []
  for c in np.unique(truth.label):
    has_truth = np.zeros(num_videos, bool)
    has_truth[truth.video[truth.label == c]] = True
    candidate = np.flatnonzero(has_truth[video])
    values, ascending = by_class[c, candidate], np.sort(by_class[c])
    first, stop = (np.searchsorted(ascending, values, side) for side in ("left", "right"))
    rank = len(ascending) - stop + 1
    for i in np.flatnonzero(stop - first > 1):  # ties: the later ones go first
      rank[i] += (by_class[c, candidate[i] + 1:] == values[i]).sum()
    order = np.argsort(rank)
    candidates.append(candidate[order])
    ranks.append(rank[order])
    labels.append(np.full(len(order), c))
  return tuple(map(np.concatenate, (candidates, labels, ranks)))
