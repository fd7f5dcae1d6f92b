"""What DAPs reads: a video's windows, and each window's rows pooled into chunks.

Notation: T seconds, the receptive field; w windows [start, end] of a video of D seconds; C chunks
a window. A window of m rows is cut at the rows round(j m / C), each chunk is the mean of its rows,
scaled to unit length.

A window's rows are those whose whole support [i stride, i stride + window) / fps lies in it.
Rows with a NaN or infinite value are left out: some feature files have a value in every 8th row
only, and NaN between them.

Where the public code leaves a gap the choice is ours:
- a last window ends at the video's end, so that none of the video goes unseen;
- a video shorter than T is one window, [0, D]: what the network calls T is D there (so does the
  public code, which refuses videos of fewer than C rows);
- a chunk without rows (fewer rows than chunks) takes the row nearest to its middle;
- a window without rows takes the row nearest to its middle.

Source: escorciav/daps (pooling `concat-32-mean`); the paper, Sec. 3.1, refers to DAPs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tal_jax.data.records import FrameFeatures, TimeGrid
from tal_jax.errors import DataError

_TOLERANCE = 1e-6  # seconds; rounding must not cost a window or a row


def windows(duration: float, receptive_fields: Sequence[float], *, stride: float = 0.125,
            cover_end: bool = True) -> np.ndarray:
  """The windows of one video.

  Args:
    duration: D, seconds.
    receptive_fields: lengths T, seconds; of several lengths >= D one remains, as all would be
      the window [0, D].
    stride: step from window to window as a share of T; the public code's is 64 / 512.
    cover_end: adds a window that ends at D, where the steps leave a rest.

  Returns:
    [w, 2] float64 seconds, w >= 1, by length as given, then by start.

  Raises:
    DataError: a duration, length or stride that is not positive.
  """
  if not (np.isfinite(duration) and duration > 0):
    raise DataError(f"DAPs on a video of {duration} seconds")
  if not receptive_fields or min(receptive_fields) <= 0 or not 0 < stride <= 1:
    raise DataError(f"DAPs with receptive_fields = {tuple(receptive_fields)} s, stride = {stride}: "
                    "lengths must be positive, the stride in (0, 1]")
  found = []
  lengths = dict.fromkeys(min(float(length), float(duration)) for length in receptive_fields)
  for length in lengths:
    rest = duration - length
    starts = np.arange(int(rest / (stride * length) + _TOLERANCE) + 1) * stride * length
    if cover_end and rest - starts[-1] > _TOLERANCE:
      starts = np.append(starts, rest)
    found.append(np.stack([starts, starts + length], axis=1))
  return np.concatenate(found)


def usable_rows(features: FrameFeatures, video_id: str = "", *, row_step: int = 1
                ) -> tuple[np.ndarray, np.ndarray]:
  """The rows without NaN and their indices.

  Args:
    features: [T, d] of one video.
    video_id: for the message.
    row_step: takes every `row_step`-th row of the file only.

  Returns:
    rows [m, d] float32, indices [m] int, ascending.

  Raises:
    DataError: no row is usable.
  """
  index = np.arange(0, len(features.values), row_step)
  index = index[np.isfinite(features.values[index]).all(axis=1)]
  if not len(index):
    raise DataError(f"{video_id}: none of its {len(features.values)} feature rows is free of NaN "
                    "and infinity: extract its features again or leave the video out")
  return np.asarray(features.values[index], np.float32), index


def standardise(rows: np.ndarray, mean: np.ndarray | None,
                scale: np.ndarray | None) -> np.ndarray:
  """(rows - mean) * scale, [m, d]; None stands for 0 and for 1.

  The published network reads features centred by their PCA. Unit vectors of features that are not
  centred, such as activations after a ReLU, all point nearly the same way.
  """
  rows = rows if mean is None else rows - mean
  return rows if scale is None else rows * scale


def chunks(rows: np.ndarray, index: np.ndarray, grid: TimeGrid, spans: np.ndarray, *,
           num_chunks: int = 32) -> np.ndarray:
  """Pools the rows of windows.

  Args:
    rows: [m, d] finite, m >= 1, see `usable_rows`.
    index: [m] their numbers in the feature file, ascending.
    grid: time of the file's rows.
    spans: [w, 2] windows, seconds.
    num_chunks: C.

  Returns:
    [w, C, d] float32, unit vectors (a chunk of zeros stays zero).
  """
  start = index * grid.stride / grid.fps
  end = start + grid.window / grid.fps
  first = np.searchsorted(start, spans[:, 0] - _TOLERANCE, side="left")
  stop = np.searchsorted(end, spans[:, 1] + _TOLERANCE, side="right")
  middle = np.abs((start + end)[None] / 2 - spans.mean(axis=1)[:, None]).argmin(axis=1)
  empty = stop <= first
  first, stop = np.where(empty, middle, first), np.where(empty, middle + 1, stop)
  num = (stop - first)[:, None]
  # The cumulated shares, as there, for the same rounding at halves.
  shares = np.concatenate([[0.0], np.cumsum(np.full(num_chunks, 1.0 / num_chunks))])
  cut = np.round(shares * num).astype(int)
  lo, hi = cut[:, :-1], cut[:, 1:]
  nearest = np.minimum(((np.arange(num_chunks) + 0.5) / num_chunks * num).astype(int), num - 1)
  lo, hi = np.where(hi > lo, lo, nearest), np.where(hi > lo, hi, nearest + 1)
  prefix = np.zeros((len(rows) + 1, rows.shape[1]))
  np.cumsum(rows, axis=0, dtype=np.float64, out=prefix[1:])
  means = (prefix[first[:, None] + hi] - prefix[first[:, None] + lo]) / (hi - lo)[..., None]
  norm = np.linalg.norm(means, axis=-1, keepdims=True)
  return (means / np.where(norm > 0, norm, 1.0)).astype(np.float32)
