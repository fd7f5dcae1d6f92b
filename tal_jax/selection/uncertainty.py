"""Uncertainty sampling (US), two readings.

Notation: h: [v, p] confidences of the model at p places of a video, with the stage-wise model its
proposals; p_b: the share of a video's confidences in bin b.

Source: the paper, Sec. 3.2: "we compute the entropy of the video predictions (i.e. the histogram of
confidence scores in the columns of X) and select the one with highest entropy value". That entropy
measures the spread of the confidences: a video whose segments all score 0.5 has none. The mean
binary entropy, which is highest there, is the reading of other fields and stands beside it. The
number of bins is not given in the paper.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from tal_jax import learner
from tal_jax.learner import LearnerState
from tal_jax.pool import VideoPool
from tal_jax.selection import ranking
from tal_jax.selection.strategy import unprepared

NUM_BINS = 10


def histogram(confidence: chex.Array, mask: chex.Array, *, num_bins: int = NUM_BINS) -> chex.Array:
  """Normalised histogram over [0, 1] of each video's confidences.

  Args:
    confidence: [..., p] in [0, 1].
    mask: [..., p].
    num_bins: bins of equal width; the last one includes 1.

  Returns:
    [..., num_bins], sums to 1 (to 0 for a video without proposals).
  """
  bins = jnp.clip((confidence * num_bins).astype(jnp.int32), 0, num_bins - 1)
  counts = (jax.nn.one_hot(bins, num_bins) * mask[..., None]).sum(-2)
  return counts / jnp.maximum(mask.sum(-1, keepdims=True), 1)


def histogram_entropy(confidence: chex.Array, mask: chex.Array, *,
                      num_bins: int = NUM_BINS) -> chex.Array:
  """H = - sum_b p_b log p_b in nats: [..., p] -> [...]."""
  p = histogram(confidence, mask, num_bins=num_bins)
  return -jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0).sum(-1)


def binary_entropy(confidence: chex.Array, mask: chex.Array) -> chex.Array:
  """Mean over segments of - h log h - (1 - h) log(1 - h) in nats: [..., p] -> [...]."""
  h = jnp.clip(confidence, 1e-7, 1.0 - 1e-7)
  entropy = -h * jnp.log(h) - (1.0 - h) * jnp.log1p(-h)
  return (entropy * mask).sum(-1) / jnp.maximum(mask.sum(-1), 1)


def scores(state: LearnerState, pool: VideoPool) -> chex.Array:
  """The paper's histogram entropy of every video: [v]."""
  return _histogram_entropy(*learner.confidences(state, pool))


def binary_scores(state: LearnerState, pool: VideoPool) -> chex.Array:
  """The mean binary entropy of every video: [v]."""
  return _binary_entropy(*learner.confidences(state, pool))


_histogram_entropy, _binary_entropy = jax.jit(histogram_entropy), jax.jit(binary_entropy)


def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
           batch_size: int) -> chex.Array:
  """The videos of highest histogram entropy.

  The paper fills the batch one at a time without retraining (Sec. 4.2), which is the ranking.
  """
  return ranking.best(key, scores(state, pool), state.labeled, batch_size=batch_size)


def select_binary(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
                  batch_size: int) -> chex.Array:
  """The videos of highest mean binary entropy."""
  return ranking.best(key, binary_scores(state, pool), state.labeled, batch_size=batch_size)


STRATEGY, BINARY = unprepared(select), unprepared(select_binary)
