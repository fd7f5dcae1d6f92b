"""Actionness of feature rows: a linear SVM, and its decisions as probabilities.

Notation: rows x [n, d]; y = +1 for a row whose centre lies in a truth of any class, else -1.

The signal that TAG groups. SSN trains a deep network for it; here it is the attention module of the
paper's Sec. 3.1 (linear SVM and Platt's calibration), on single rows instead of proposals.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.data.records import TimeGrid
from tal_jax.encoders.pooling import row_centres
from tal_jax.errors import DataError
from tal_jax.models import platt, svm


class ActionnessParams(NamedTuple):
  mean: chex.Array  # [d] float32
  scale: chex.Array  # [d] float32, 1 / deviation; 0 for a constant dimension
  svm: svm.SvmParams
  platt: platt.PlattParams


def row_labels(num_rows: int, grid: TimeGrid, truths: np.ndarray) -> np.ndarray:
  """+1 for rows whose centre lies in a truth [t, 2], start included, else -1: [num_rows]."""
  centres = row_centres(num_rows, grid)[:, None]
  truths = np.asarray(truths, np.float64).reshape(-1, 2)
  inside = ((centres >= truths[:, 0]) & (centres < truths[:, 1])).any(axis=1)
  return np.where(inside, 1.0, -1.0).astype(np.float32)


def fit(rows: np.ndarray, labels: np.ndarray, *, c: float = 0.01, tol: float = 1e-3
        ) -> ActionnessParams:
  """Fits the SVM and the calibration on the same rows.

  Args:
    rows: [n, d] finite.
    labels: [n] in {-1, +1}.
    c: of the SVM.
    tol: its relative duality gap.

  Raises:
    DataError: rows of one kind only.
  """
  if len(np.unique(labels)) < 2:
    raise DataError("actionness needs feature rows inside and outside of truths to learn from; "
                    f"all {len(labels)} rows of the training videos are on one side")
  mean, deviation = rows.mean(axis=0), rows.std(axis=0)
  real = deviation > 1e-6 * np.abs(rows).max()
  scale = np.where(real, 1.0 / np.where(real, deviation, 1.0), 0.0)
  x, y = jnp.asarray((rows - mean) * scale, jnp.float32), jnp.asarray(labels)
  params, _ = svm.fit(x, y, c=c, loss="squared_hinge", tol=tol)
  calibration = platt.fit(svm.decision(params, x), y)
  return jax.tree.map(np.asarray, ActionnessParams(
      np.float32(mean), np.float32(scale), params, calibration))


def actionness(params: ActionnessParams, rows: np.ndarray) -> np.ndarray:
  """Probability of action of each row: [T, d] -> [T] float64."""
  x = (np.asarray(rows, np.float32) - params.mean) * params.scale
  decision = x @ params.svm.w + params.svm.b
  return np.asarray(platt.probability(params.platt, decision), np.float64)
