"""Random sampling: the passive learner (the paper's baseline, Sec. 4.2)."""

from __future__ import annotations

import chex
import jax.numpy as jnp

from tal_jax.learner import LearnerState
from tal_jax.pool import VideoPool
from tal_jax.selection import ranking
from tal_jax.selection.strategy import unprepared


def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
           batch_size: int) -> chex.Array:
  """A batch drawn uniformly without replacement."""
  del pool
  return ranking.best(key, jnp.zeros(state.labeled.shape), state.labeled, batch_size=batch_size)


STRATEGY = unprepared(select)
