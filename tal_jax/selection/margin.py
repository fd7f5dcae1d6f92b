"""Margin sampling: the videos whose picked segments lie closest to the decision boundary.

The paper names it among the popular strategies (Sec. 2) and does not run it. Aggregation from
segments to a video is ours: the mean of |2 h - 1| over the top-k, since the many clear background
proposals of a video would drown it otherwise.
"""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp

from tal_jax import learner
from tal_jax.learner import LearnerState
from tal_jax.models import platt, stage_wise
from tal_jax.pool import VideoPool, without_features
from tal_jax.selection import ranking


def scores(state: LearnerState, pool: VideoPool) -> chex.Array:
  """Minus the mean margin of each video's top-k: [v]; -1, the surest, without proposals."""
  return _scores(learner.decisions(state, pool), state.model.platt, without_features(pool),
                 state.settings)


@functools.partial(jax.jit, static_argnames="settings")
def _scores(decisions, calibration, pool, settings):
  indices, kept = stage_wise.attend(decisions, pool, settings)
  picked = platt.probability(calibration, jnp.take_along_axis(decisions, indices, axis=1))
  margins = jnp.where(kept, jnp.abs(2.0 * picked - 1.0), 0.0)
  return jnp.where(kept.any(1), -margins.sum(1) / jnp.maximum(kept.sum(1), 1), -1.0)


def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
           batch_size: int) -> chex.Array:
  """The videos of smallest mean margin."""
  return ranking.best(key, scores(state, pool), state.labeled, batch_size=batch_size)
