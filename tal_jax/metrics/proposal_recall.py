"""Recall of temporal proposals, and ActivityNet's average recall against their average number.

Notation: V videos; video i has truths [t_i, 2] and proposals [p_i, 2] in seconds (or any other unit
that is one within a video: tIoU has none), best proposal first. A truth is found at a threshold by
the first n proposals if one of them overlaps it by tIoU >= threshold; one proposal may find several
truths, and labels do not count. Recall is the share of all truths that are found.

AR-AN, ActivityNet's proposal task: AR is the mean of the recalls at tIoU 0.5:0.05:0.95. AN, the
average number of proposals per video, is set by taking the same *share* of each video's proposals,
not the same number: video i gives n_i = floor(p_i * share). The curve has 100 points, up to
`max_average` proposals per video; the score is the area under it, divided by the last AN.

How it is computed: the first proposal that finds a truth settles every n, so only its rank is kept,
per truth and threshold; a point of the curve then counts ranks below n_i.

Where this differs from the official code, on purpose:
  - Two empty segments overlap by 0; there 0 / 0 gives NaN.
  - Equal scores keep the caller's order; there it depends on the sort.
  - Only proposals of the V videos set the share; there those of other subsets in the file, too.

Source: ActivityNet, Evaluation/eval_proposal.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.errors import DataError
from tal_jax.host_segments import tiou_float64

AR_TIOUS = np.linspace(0.5, 0.95, 10)  # not arange: these are the official floats
RECALL_TIOUS = (0.5, 0.7, 0.9)
_NUM_POINTS = 100


class Recall(NamedTuple):
  """Recall and what it was computed from."""

  tious: np.ndarray  # [T]
  recall: np.ndarray  # [T]
  num_videos: int
  num_truths: int
  num_proposals: int  # that were looked at


class AverageRecall(NamedTuple):
  """The AR-AN curve."""

  num_proposals: np.ndarray  # [100] AN, average number of proposals per video, ascending
  average_recall: np.ndarray  # [100] AR at each
  recall: np.ndarray  # [T, 100]
  tious: np.ndarray  # [T]
  area: float  # under the curve, as a share of the last AN; ActivityNet prints 100 times this


def recall(truths: Sequence[np.ndarray], proposals: Sequence[np.ndarray],
           tious: Sequence[float] = RECALL_TIOUS, *, first: int | None = None) -> Recall:
  """Recall at each threshold.

  Args:
    truths: V arrays [t_i, 2].
    proposals: V arrays [p_i, 2], best first; p_i may be 0.
    tious: [T] thresholds.
    first: looks at the first so many proposals of each video; None at all.

  Raises:
    DataError: no truths at all.
    ValueError: lists of different lengths.
  """
  proposals = [_segments(segments)[:first] for segments in proposals]
  tious = np.asarray(tious, np.float64)
  ranks, _ = _first_hits(truths, proposals, tious)
  return Recall(tious, (ranks < np.inf).mean(axis=1), len(proposals), ranks.shape[1],
                sum(map(len, proposals)))


def average_recall(truths: Sequence[np.ndarray], proposals: Sequence[np.ndarray],
                   tious: Sequence[float] = AR_TIOUS, *,
                   max_average: float | None = None) -> AverageRecall:
  """The AR-AN curve.

  Args:
    truths, proposals: as for `recall`; videos without truths are left out, as in ActivityNet's.
    tious: [T] thresholds.
    max_average: the largest AN, ActivityNet's challenge takes 100; None: all proposals.

  Raises:
    DataError: no truths, or no proposals.
    ValueError: lists of different lengths.
  """
  pairs = [(t, _segments(p)) for t, p in zip(truths, proposals, strict=True) if len(t)]
  num_videos, total = len(pairs), sum(len(p) for _, p in pairs)
  if pairs and not total:
    raise DataError("average recall: no video with truths has a proposal. Do the ids match?")
  tious = np.asarray(tious, np.float64)
  # The floats below are multiplied in the official order: the counts are truncated products.
  limit = float(total) / max(num_videos, 1) if max_average is None else max_average
  ratio = limit * float(num_videos) / max(total, 1)
  kept = [p[:min(int(len(p) * ratio), len(p))] for _, p in pairs]
  ranks, video = _first_hits([t for t, _ in pairs], kept, tious)
  counts = np.array([len(p) for p in kept])
  if not counts.sum():
    raise DataError(f"average recall: max_average = {max_average} leaves no proposal in any video")
  shares = np.arange(1, _NUM_POINTS + 1) / 100.0 * (limit * float(num_videos) / counts.sum())
  taken = np.minimum((counts[:, None] * shares).astype(np.int64), counts[:, None])  # [V, 100]
  found = np.stack([(row[:, None] < taken[video]).mean(axis=0) for row in ranks])  # [T, 100]
  average, numbers = found.mean(axis=0), shares * (float(counts.sum()) / num_videos)
  area = np.sum(0.5 * (average[1:] + average[:-1]) * np.diff(numbers)) / numbers[-1]
  return AverageRecall(numbers, average, found, tious, float(area))


def _first_hits(truths, proposals, tious) -> tuple[np.ndarray, np.ndarray]:
  """Rank of the first proposal that finds each truth, inf for none, [T, n]; its video, [n]."""
  ranks, video = [], []
  for i, (own, candidates) in enumerate(zip(truths, proposals, strict=True)):
    own = _segments(own)
    if not len(own):
      continue
    video.append(np.full(len(own), i))
    if not len(candidates):
      ranks.append(np.full((len(tious), len(own)), np.inf))
      continue
    hit = tiou_float64(own, candidates) >= tious[:, None, None]  # [T, t, p]
    ranks.append(np.where(hit.any(axis=2), hit.argmax(axis=2), np.inf))
  if not ranks:
    raise DataError("recall of proposals: there is no truth to find")
  return np.concatenate(ranks, axis=1), np.concatenate(video)


def _segments(segments) -> np.ndarray:
  return np.asarray(segments, np.float64).reshape(-1, 2)
