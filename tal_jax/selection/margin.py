"""Margin sampling: the videos whose picked segments lie closest to the decision boundary.

The paper names it among the popular strategies (Sec. 2) and does not run it. Aggregation from
segments to a video is ours: the mean of |2 h - 1| over the top-k, since the many clear background
proposals of a video would drown it otherwise.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from tal_jax.learner import LearnerState
from tal_jax.models import platt, stage_wise
from tal_jax.pool import VideoPool
from tal_jax.selection import ranking


@jax.jit
def scores(state: LearnerState, pool: VideoPool) -> chex.Array:
  """Minus the mean margin of each video's top-k: [v]; -1, the surest, without proposals."""
  decisions = stage_wise.decision(state.model.svm, pool)
  indices, kept = stage_wise.attend(decisions, pool, state.settings)
  picked = platt.probability(state.model.platt, jnp.take_along_axis(decisions, indices, axis=1))
  margins = jnp.where(kept, jnp.abs(2.0 * picked - 1.0), 0.0)
  return jnp.where(kept.any(1), -margins.sum(1) / jnp.maximum(kept.sum(1), 1), -1.0)


def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
           batch_size: int) -> chex.Array:
  """The videos of smallest mean margin."""
  return ranking.best(key, scores(state, pool), state.labeled, batch_size=batch_size)
