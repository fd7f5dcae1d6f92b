"""ActivityNet's detection metric: mean average precision over tIoU thresholds.

Notation: n truths, m predictions, C classes, T thresholds. Truths and predictions are flat arrays;
`video` and `label` index lists that both share. Host-side NumPy in float64, because the official
numbers are compared with to 1e-9.

The metric, per class and threshold: visit the predictions by descending score. Each takes the
truth of its video and class that it overlaps most among those still free, provided that the tIoU
reaches the threshold: a true positive. All others are false positives. AP is the area under the
precision envelope over recall (VOC 2011); mAP is the mean over the classes that occur in the truth,
and a class without predictions scores 0.

How it is computed: a false positive only matters by the ranks that it pushes down, so overlaps are
taken only where a prediction's (video, class) has truths at all. The greedy matching then runs in
rounds for all videos, classes and predictions at once, see `_greedy_match`.

Where this differs from the official code, on purpose:
  - Two empty segments overlap by 0; there 0 / 0 gives NaN, which passes every threshold as a hit.
  - Predictions of a class without truth are left out and counted; there they raise a KeyError.
  - Ties are broken alike on every machine: of equal scores the later prediction goes first, of
    equal tIoU the later truth. The official `argsort()[::-1]` does so where NumPy's default sort
    happens to be stable (short arrays), and is not determined elsewhere.

Source: ActivityNet, Evaluation/eval_detection.py; the paper, Sec. 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.data.records import GroundTruth, Predictions

DEFAULT_TIOUS = np.linspace(0.5, 0.95, 10)  # not arange: these are the official floats


class MeanAP(NamedTuple):
  """The metric and what it was computed from."""

  tious: np.ndarray  # [T]
  mean_ap: np.ndarray  # [T] mean over the classes that have truth
  average_map: float  # mean of mean_ap
  ap: np.ndarray  # [T, C] NaN for classes without truth
  num_predictions: int  # all that were given
  num_ignored: int  # of these, the ones whose class has no truth


def detection_map(truth: GroundTruth, predictions: Predictions,
                  tious: Sequence[float] = DEFAULT_TIOUS, *,
                  excused: np.ndarray | None = None) -> MeanAP:
  """Mean average precision at every threshold.

  Predictions in a video that has no truth of their class (or no truth at all) are false positives.

  Args:
    truth: at least one instance.
    predictions: any number, in the order that breaks ties of score.
    tious: [T] thresholds in any order, at least one.
    excused: [m] bool, predictions that are no false positives where they hit nothing: they are left
      out then, as THUMOS14's evaluation leaves out those over an ambiguous segment. None: none.

  Raises:
    ValueError: no truth, no threshold, lengths that differ, a label of the truth outside
      [0, num_classes), a segment that is not finite, or a score that is NaN.
  """
  tious = np.asarray(tious, np.float64).reshape(-1)
  if not len(tious):
    raise ValueError("mAP needs at least one tIoU threshold")
  truth, predictions = _checked(truth, predictions)
  num_truths = np.bincount(truth.label, minlength=truth.num_classes)  # [C]
  has_truth = num_truths > 0

  # Stable order by label; uint16 gets NumPy's radix sort. Ignored ones form a last group.
  known = (predictions.label >= 0) & (predictions.label < truth.num_classes)
  label = np.where(known, predictions.label, 0)
  label = np.where(known & has_truth[label], label, truth.num_classes)
  by_label = np.argsort(label.astype(np.uint16 if truth.num_classes < 2**16 else np.int64),
                        kind="stable")
  counts = np.bincount(label, minlength=truth.num_classes + 1)
  num_ignored = int(counts[-1])

  pairs, pair = _pairs_with_truth(truth, predictions, label)
  excused = np.zeros(len(label), bool) if excused is None else np.asarray(excused, bool)
  candidate, rank = _ranked_candidates(predictions.scores, by_label, counts[:-1], pair >= 0,
                                       ~excused | (pair >= 0))
  segments, pair = predictions.segments[candidate], pair[candidate]
  entry_candidate, entry_truth, overlap = _overlapping(segments, pair, truth, pairs,
                                                         tious.min())

  ap = np.full((len(tious), truth.num_classes), np.nan)
  for i, tiou in enumerate(tious):
    hit = overlap >= tiou
    matched = _greedy_match(entry_candidate[hit], entry_truth[hit], len(candidate),
                            len(truth.label))
    above = _num_above(label[candidate], excused[candidate], matched)
    ap[i] = _average_precision(label[candidate[matched]], rank[matched] - above, num_truths)
  mean_ap = ap[:, has_truth].mean(axis=1)
  return MeanAP(tious, mean_ap, float(mean_ap.mean()), ap, len(predictions.label), num_ignored)


def _checked(truth: GroundTruth, predictions: Predictions) -> tuple[GroundTruth, Predictions]:
  """The arguments as arrays of the documented types."""
  truth = GroundTruth(np.asarray(truth.video, np.int64), np.asarray(truth.label, np.int64),
                      np.asarray(truth.segments, np.float64).reshape(-1, 2), truth.num_classes)
  predictions = Predictions(np.asarray(predictions.video, np.int64),
                            np.asarray(predictions.label, np.int64),
                            np.asarray(predictions.segments, np.float64).reshape(-1, 2),
                            np.asarray(predictions.scores, np.float64))
  if not len(truth.label):
    raise ValueError("mAP needs at least one truth")
  if len({len(x) for x in truth[:3]}) > 1 or len({len(x) for x in predictions}) > 1:
    raise ValueError("video, label, segments (and scores) differ in length")
  if truth.label.min() < 0 or truth.label.max() >= truth.num_classes or truth.video.min() < 0:
    raise ValueError("the truth has a label outside [0, num_classes) or a negative video")
  if not (np.isfinite(truth.segments).all() and np.isfinite(predictions.segments).all()):
    raise ValueError("a segment is not finite")
  if np.isnan(predictions.scores).any():
    raise ValueError("a score is NaN")
  return truth, predictions


def _pairs_with_truth(truth, predictions, label):
  """(video, class) pairs that have truth.

  Returns:
    pairs: (start [k], size [k], order [n]): the truths of pair i are
      order[start[i]:start[i] + size[i]], in their given order.
    pair: [m] the pair of every prediction, -1 where it has no truth.
  """
  num_videos = int(truth.video.max()) + 1
  key = truth.label * num_videos + truth.video
  order = np.argsort(key, kind="stable")
  keys, start, size = np.unique(key[order], return_index=True, return_counts=True)
  # One row more than there are classes, one column more than there are videos: both stay -1.
  table = np.full((truth.num_classes + 1, num_videos + 1), -1, np.int32)
  table[keys // num_videos, keys % num_videos] = np.arange(len(keys))
  known = (predictions.video >= 0) & (predictions.video < num_videos)
  return (start, size, order), table[label, np.where(known, predictions.video, num_videos)]


def _ranked_candidates(scores, by_label, counts, is_candidate, counts_at_all):
  """The candidates, class by class and best first, and their rank among those that count.

  Returns:
    candidate: [k] index of the prediction.
    rank: [k] from 1.
  """
  candidates, ranks, start = [], [], 0
  for count in counts:
    group = by_label[start:start + count]
    start += count
    if is_candidate[group].any():
      best_first = group[_stable_argsort(scores[group])[::-1]]
      if not counts_at_all[best_first].all():
        best_first = best_first[counts_at_all[best_first]]
      rank = np.flatnonzero(is_candidate[best_first])
      candidates.append(best_first[rank])
      ranks.append(rank + 1)
  empty = [np.zeros(0, np.int64)]
  return np.concatenate(candidates or empty), np.concatenate(ranks or empty)


def _num_above(label: np.ndarray, excused: np.ndarray, matched: np.ndarray) -> np.ndarray | int:
  """For each matched candidate, how many better ones of its class are excused and hit nothing.

  Args:
    label, excused: [k] of the candidates, class by class and best first.
    matched: indices of those that got a truth, ascending.
  """
  if not excused.any():
    return 0
  left_out = excused.copy()
  left_out[matched] = False
  before = np.concatenate([[0], np.cumsum(left_out)])
  first = np.searchsorted(label, label[matched])  # of the class: labels ascend
  return before[matched] - before[first]


def _stable_argsort(values: np.ndarray) -> np.ndarray:
  """np.argsort(values, kind="stable"), about four times faster where no two values are equal."""
  order = np.argsort(values)
  ascending = values[order]
  return (np.argsort(values, kind="stable") if (ascending[1:] == ascending[:-1]).any()
          else order)


def _overlapping(segments, pair, truth, pairs, min_tiou):
  """The (candidate, truth) that overlap by `min_tiou` at least.

  They ascend by candidate; of one candidate, the preferred truth comes first.

  Returns:
    candidate [e], truth [e], tIoU [e].
  """
  start, size, order = pairs
  repeats = size[pair]
  candidate = np.repeat(np.arange(len(pair)), repeats)
  first = np.cumsum(repeats) - repeats
  # Truths count down within a candidate, so that the stable sort below puts the later truth first.
  offset = np.repeat(start[pair] + repeats - 1 + first, repeats) - np.arange(len(candidate))
  truths = order[offset]
  a, b = segments[candidate], truth.segments[truths]
  intersection = (np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])).clip(0)
  union = (b[:, 1] - b[:, 0]) + (a[:, 1] - a[:, 0]) - intersection
  overlap = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
  enough = np.flatnonzero(overlap >= min_tiou)
  best_first = enough[np.lexsort((-overlap[enough], candidate[enough]))]
  return candidate[best_first], truths[best_first], overlap[best_first]


def _greedy_match(candidate: np.ndarray, truth: np.ndarray, num_candidates: int,
                  num_truths: int) -> np.ndarray:
  """Lets each candidate, best first, take its preferred truth among those still free.

  Instead of one candidate after the other, each round settles all pairs that are each other's
  first choice: a candidate whose preferred free truth is wanted by no better candidate will get
  it, whatever else happens. The best candidate left always does, so there are at most as many
  rounds as a video has truths of a class; one round, the first hit, where that is one.

  Args:
    candidate: [e] candidates of the admissible (candidate, truth) pairs, ascending: best first.
    truth: [e] their truths, per candidate the preferred one first.

  Returns:
    Indices of the candidates that got a truth, ascending.
  """
  taken, matched = np.zeros(num_truths, bool), np.zeros(num_candidates, bool)
  first_of_truth = np.empty(num_truths, np.int64)
  while len(candidate):
    index = np.arange(len(candidate))
    first_of_truth[truth[::-1]] = index[::-1]  # of a repeated index the last assignment counts
    preferred = np.ones(len(candidate), bool)
    preferred[1:] = candidate[1:] != candidate[:-1]
    settled = preferred & (first_of_truth[truth] == index)
    matched[candidate[settled]] = True
    taken[truth[settled]] = True
    left = ~(matched[candidate] | taken[truth])
    candidate, truth = candidate[left], truth[left]
  return np.flatnonzero(matched)


def _average_precision(label: np.ndarray, rank: np.ndarray, num_truths: np.ndarray) -> np.ndarray:
  """Area under the precision envelope, per class.

  The envelope only steps at true positives, so their ranks suffice: the k-th true positive, at
  rank r, has precision k / r and adds 1 / num_truths of recall.

  Args:
    label: [p] class of each true positive, ascending.
    rank: [p] from 1, ascending within a class.
    num_truths: [C].

  Returns:
    [C], NaN where num_truths is 0.
  """
  counts = np.bincount(label, minlength=len(num_truths))
  k = np.arange(len(label)) - np.repeat(np.cumsum(counts) - counts, counts)  # from 0
  precision = np.zeros((len(num_truths), counts.max(initial=1)))
  precision[label, k] = (k + 1) / rank
  area = np.maximum.accumulate(precision[:, ::-1], axis=1).sum(axis=1)  # below the envelope
  return np.divide(area, num_truths, out=np.full(len(area), np.nan), where=num_truths > 0)
