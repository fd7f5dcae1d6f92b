"""Temporal actionness grouping (TAG): proposals from a signal that says where action is.

Notation: a: [T] actionness of the rows, in [0, 1]; for a threshold, basins are the maximal runs
of rows with (smoothed) actionness above it. For a tolerance, each basin starts a group that takes
in the following basins one by one as long as the rows below the threshold are at most that share of
the rows from the group's start to the next basin's. All groups of all thresholds and tolerances
are the proposals, each once, scored by the actionness in them; then NMS at 0.9.

Source: Zhao et al., ICCV 2017 (SSN), and its public code: a Gaussian of 3 rows, the thresholds and
tolerances below, the sum of actionness as score. The public code's groups reach one row too far;
here they end with their last basin. `score="mean"` does not favour long proposals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from tal_jax.data.records import ScoredProposals, TimeGrid
from tal_jax.errors import DataError
from tal_jax.proposals.daps.inference import suppress

SMOOTHING = 3.0  # rows, deviation of the Gaussian
THRESHOLDS = (0.01, 0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TOLERANCES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
SCORES = ("sum", "mean")


def group(signal: np.ndarray, *, thresholds: Sequence[float] = THRESHOLDS,
          tolerances: Sequence[float] = TOLERANCES) -> np.ndarray:
  """The groups of a signal [T]: [g, 2] int rows [first, stop), distinct, sorted."""
  found = [np.zeros((0, 2), int)]
  for threshold in thresholds:
    above = np.concatenate([[False], np.asarray(signal) > threshold, [False]])
    change = np.flatnonzero(above[1:] != above[:-1])
    first, stop = change[::2], change[1::2]
    if not len(first):
      continue
    # Rows below the threshold before each basin; a basin's own first row is above it.
    below = np.concatenate([[0], np.cumsum(stop - first)])[:-1]
    below = first - below
    for tolerance in tolerances:
      level = below - tolerance * first
      # later[x, y]: basin y ends the group of x before it. 1e-9: rounding of tolerance * row.
      later = np.triu(level[None, :] > level[:, None] + 1e-9, k=1)
      last = np.where(later.any(axis=1), later.argmax(axis=1) - 1, len(first) - 1)
      found.append(np.stack([first, stop[last]], axis=1))
  return np.unique(np.concatenate(found), axis=0)


def propose(actionness: np.ndarray, grid: TimeGrid, duration: float, *,
            smoothing: float = SMOOTHING, thresholds: Sequence[float] = THRESHOLDS,
            tolerances: Sequence[float] = TOLERANCES, score: str = "sum",
            nms_threshold: float = 0.9, num_proposals: int = 200) -> ScoredProposals:
  """Proposals of one video.

  A row stands for the step around its centre, so that rows that overlap, or leave gaps, tile the
  video, too: a group of the rows [i, j) lasts j - i steps.

  Args:
    actionness: [T] in [0, 1], T >= 1.
    grid: time of the rows.
    duration: seconds.
    smoothing: deviation of the Gaussian, rows; 0: none.
    thresholds, tolerances: see the top.
    score: "sum" or "mean" of the unsmoothed actionness in a proposal.
    nms_threshold: tIoU.
    num_proposals: keeps at most so many.

  Returns:
    Proposals, best first; none where no row exceeds the lowest threshold.

  Raises:
    DataError: an unknown score, or actionness that is not [T] finite numbers.
  """
  actionness = np.asarray(actionness, np.float64)
  if score not in SCORES:
    raise DataError(f"score = {score!r} of TAG: there are {', '.join(SCORES)}")
  if actionness.ndim != 1 or not len(actionness) or not np.isfinite(actionness).all():
    raise DataError(f"TAG needs one finite number a row, at least one; got the shape "
                    f"{actionness.shape}")
  smooth = ndimage.gaussian_filter1d(actionness, smoothing) if smoothing > 0 else actionness
  rows = group(smooth, thresholds=thresholds, tolerances=tolerances)
  if not len(rows):
    return ScoredProposals(np.zeros((0, 2)), np.zeros(0))
  total = np.concatenate([[0.0], np.cumsum(actionness)])
  scores = total[rows[:, 1]] - total[rows[:, 0]]
  if score == "mean":
    scores = scores / (rows[:, 1] - rows[:, 0])
  # The centre of row i is at (i stride + window / 2) / fps: its cell is a step around it.
  offset = 0.5 * (grid.window - grid.stride)
  found = (rows * grid.stride + offset) / grid.fps
  return suppress(found, scores, duration, threshold=nms_threshold, limit=num_proposals)
