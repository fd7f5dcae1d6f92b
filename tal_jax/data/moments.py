"""Mean and variance of a stream of rows."""

from __future__ import annotations

import numpy as np

_CONSTANT = 1e-6  # of the largest |value|: below it a dimension's deviation is rounding


class RunningMoments:
  """Mean and variance per dimension over a stream of rows, in float64 [Chan et al., 1979]."""

  def __init__(self):
    self.count, self.mean, self.squares, self.largest = 0, 0.0, 0.0, 0.0

  def add(self, rows: np.ndarray) -> None:
    """Takes in [n, d] more rows."""
    if not len(rows):
      return
    rows = rows.astype(np.float64)
    count, mean = len(rows), rows.mean(axis=0)
    squares = np.square(rows - mean).sum(axis=0)
    total, delta = self.count + count, mean - self.mean
    self.squares = self.squares + squares + np.square(delta) * (self.count * count / total)
    self.mean = self.mean + delta * (count / total)
    self.count = total
    self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))

  def scale(self) -> np.ndarray:
    """Factor [d] to unit variance, 0 for a dimension that is constant."""
    deviation = np.sqrt(self.squares / max(self.count, 1))
    constant = deviation <= _CONSTANT * self.largest
    return np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
