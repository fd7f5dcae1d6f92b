"""From a score per video to a batch."""

from __future__ import annotations

import chex
import jax
import numpy as np

from tal_jax import devices


def best(key: chex.PRNGKey, scores: chex.Array, labeled: chex.Array, *,
         batch_size: int) -> np.ndarray:
  """The unlabelled videos with the highest scores, best first; ties in random order.

  Args:
    scores: [v]; more where the pool is padded (`devices.place`).
    labeled: [v] bool, videos that cannot be chosen.
    batch_size: at most the number of unlabelled videos.

  Raises:
    ValueError: too few unlabelled videos, or a score that is NaN.
  """
  labeled = np.asarray(labeled)
  scores = devices.to_host(scores)[:len(labeled)]
  if np.isnan(scores[~labeled]).any():
    raise ValueError("a selection score is NaN")
  if batch_size > (~labeled).sum():
    raise ValueError(f"asked for {batch_size} videos, {(~labeled).sum()} are unlabelled")
  lots = np.asarray(jax.random.permutation(key, scores.shape[0]))
  order = np.lexsort((lots, -scores, labeled))  # last key first: unlabelled, score, lot
  return order[:batch_size]
