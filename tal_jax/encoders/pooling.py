"""From frame-level features to one feature per proposal: mean and context pooling.

Notation: T rows (frames) of d features; p proposals. Means over intervals of rows come from one
prefix sum, so the cost is T d + p d, whatever the proposals' lengths.

A row belongs to an interval [s, e) if its centre time lies in it. An interval without any row
takes the row whose centre is nearest to the interval's middle: a proposal shorter than the step
of the rows takes its nearest row, and the context of a proposal at the video's edge, which has no
video to look at, takes the edge row.

Source: `mean` is the paper's (Sec. 3.1). `context` is ours: on real data the mean alone
cannot tell an action's bounds, since a part of an action has the same mean as the whole.
"""

from __future__ import annotations

import numpy as np

from tal_jax.data.records import TimeGrid


def encode(frames: np.ndarray, segments: np.ndarray, grid: TimeGrid, *,
           encoder: str) -> np.ndarray:
  """Encodes the proposals of one video.

  Args:
    frames: [T, d], T >= 1.
    segments: [p, 2] seconds.
    grid: time of the rows.
    encoder: a name in `ENCODERS`.

  Returns:
    float64 [p, d] ("mean") or [p, 3 d] ("context").

  Raises:
    ValueError: no such encoder, or arrays of another rank.
  """
  if encoder not in ENCODERS:
    raise ValueError(f"no encoder {encoder!r}; there are {', '.join(sorted(ENCODERS))}")
  if frames.ndim != 2 or not len(frames):
    raise ValueError(f"frames of shape {frames.shape}, expected [T, d] with T >= 1")
  return ENCODERS[encoder](frames, np.asarray(segments, np.float64).reshape(-1, 2), grid)


def mean(frames: np.ndarray, segments: np.ndarray, grid: TimeGrid) -> np.ndarray:
  """Mean of the rows inside each proposal: [T, d], [p, 2] -> [p, d]."""
  return _interval_means(frames, segments[None], grid)[0]


def context(frames: np.ndarray, segments: np.ndarray, grid: TimeGrid) -> np.ndarray:
  """[before | inside | after] means: [T, d], [p, 2] -> [p, 3 d].

  Before and after reach half the proposal's length to either side, as far as there are rows.
  """
  start, end = segments[:, 0], segments[:, 1]
  half = 0.5 * (end - start)
  intervals = np.stack([np.stack([start - half, start], 1), segments,
                        np.stack([end, end + half], 1)])
  return np.concatenate(_interval_means(frames, intervals, grid), axis=1)


ENCODERS = {"mean": mean, "context": context}


def row_centres(num_rows: int, grid: TimeGrid) -> np.ndarray:
  """Times of the rows' centres, seconds: [num_rows], ascending."""
  return (np.arange(num_rows) * grid.stride + 0.5 * grid.window) / grid.fps


def _interval_means(frames: np.ndarray, intervals: np.ndarray, grid: TimeGrid) -> np.ndarray:
  """Means of the rows in each interval: [T, d], [..., 2] -> [..., d]."""
  centres = row_centres(len(frames), grid)
  first = np.searchsorted(centres, intervals[..., 0], side="left")
  stop = np.searchsorted(centres, intervals[..., 1], side="left")
  nearest = _nearest(centres, intervals.mean(axis=-1))
  empty = stop <= first
  first, stop = np.where(empty, nearest, first), np.where(empty, nearest + 1, stop)
  # Sums of values around their mean cancel less; the mean is added back at the end.
  offset = frames.mean(axis=0, dtype=np.float64)
  prefix = np.zeros((len(frames) + 1, frames.shape[1]))
  np.cumsum(frames - offset, axis=0, out=prefix[1:])
  return (prefix[stop] - prefix[first]) / (stop - first)[..., None] + offset


def _nearest(centres: np.ndarray, times: np.ndarray) -> np.ndarray:
  """Index of the centre nearest to each time; a tie goes to the earlier row."""
  right = np.clip(np.searchsorted(centres, times), 0, len(centres) - 1)
  left = np.maximum(right - 1, 0)
  return np.where(times - centres[left] <= centres[right] - times, left, right)
