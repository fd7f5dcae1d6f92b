"""Margin sampling: the videos whose picked segments lie closest to the decision boundary.

The paper names it among the popular strategies (Sec. 2) and does not run it. Aggregation from
segments to a video is ours: the mean of |2 h - 1| over the model's picks (its top-k), since the
many clear background proposals of a video would drown it otherwise.
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


def scores(state: LearnerState, pool: VideoPool) -> chex.Array:
  """Minus the mean margin of each video's picks: [v]; -1, the surest, without any."""
  picked = learner.picks(state, pool)
  return _scores(picked.confidence, picked.mask)


@jax.jit
def _scores(confidence, mask):
  margins = jnp.where(mask, jnp.abs(2.0 * confidence - 1.0), 0.0)
  return jnp.where(mask.any(1), -margins.sum(1) / jnp.maximum(mask.sum(1), 1), -1.0)


def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
           batch_size: int) -> chex.Array:
  """The videos of smallest mean margin."""
  return ranking.best(key, scores(state, pool), state.labeled, batch_size=batch_size)


STRATEGY = unprepared(select)
