"""Runs of rows: from a probability at each row to segments.

Notation: t rows, c classes; p: [t, c] probability of a class at a row.

Source: TAG's grouping (Zhao et al., ICCV 2017) at one threshold and without its tolerance, in whose
place p is smoothed.
"""

from __future__ import annotations

import numpy as np


def smoothed(p: np.ndarray, size: int) -> np.ndarray:
  """The mean of `size` rows, an odd number, around each row, fewer at the ends: [t, c]."""
  half = size // 2
  total = np.concatenate([np.zeros((1, p.shape[1])), np.cumsum(p, 0, dtype=np.float64)])
  row = np.arange(len(p))
  begin, end = np.maximum(row - half, 0), np.minimum(row + half + 1, len(p))
  return (total[end] - total[begin]) / (end - begin)[:, None]


def runs(p: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Maximal runs of rows with p above the threshold, of every class of one video.

  Args:
    p: [t, c].

  Returns:
    bounds [n, 2] rows, half a row beyond the first and the last one; labels [n]; scores [n], the
    mean p of the run's rows.
  """
  edge = np.diff(np.pad(p > threshold, ((1, 1), (0, 0))).astype(np.int8), axis=0).T  # [c, t + 1]
  label, begin = np.nonzero(edge == 1)
  _, end = np.nonzero(edge == -1)
  total = np.concatenate([np.zeros((1, p.shape[1])), np.cumsum(p, 0, dtype=np.float64)])
  scores = (total[end, label] - total[begin, label]) / (end - begin)
  return np.stack([begin - 0.5, end - 0.5], 1).astype(np.float32), label, scores
