"""Temporal overlap on the host, in NumPy's float64: for what must not load JAX."""

from __future__ import annotations

import numpy as np


def tiou_float64(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """`segments.tiou`, as exact as times read from files: [n, 2], [m, 2] -> [n, m] float64."""
  intersection = np.minimum(a[:, None, 1], b[:, 1]) - np.maximum(a[:, None, 0], b[:, 0])
  intersection = np.maximum(intersection, 0.0)
  union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0]) - intersection
  return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
