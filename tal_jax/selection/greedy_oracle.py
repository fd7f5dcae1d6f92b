"""The greedy oracle: the true one-step gain of every candidate, an upper bound and no strategy.

It reads the truths of the pool and of the test set, which no learner has. What a strategy closes of
the way from random sampling to this bound is a measure that does not depend on how much there is
to gain on a data set. Greedy by single videos: a batch is the top-b, as LAL's (Sec. 4.2).

What is retrained with each candidate is the paper's attention, an SVM: of a learner whose attention
is a mixture (`stage_wise.two_stage`) it is the part that is, with that model's settings.
"""

from __future__ import annotations

import chex
import numpy as np

from tal_jax import learner
from tal_jax.learner import LearnerState
from tal_jax.pool import VideoPool
from tal_jax.selection import gain, ranking
from tal_jax.selection.strategy import SelectFn, Shared, Strategy


def using(testing: VideoPool) -> SelectFn:
  """The bound for a test set, whose truths it looks at."""

  def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
             batch_size: int) -> chex.Array:
    """The videos whose single addition raises the attention AP on Testing the most."""
    free = np.flatnonzero(~np.asarray(state.labeled))
    scores = np.full(state.labeled.shape[0], -np.inf, np.float32)
    scores[free] = gain.all_gains(learner.annotated_pool(state, pool), pool, free, testing,
                                  learner.attention_settings(state), learner.attention(state).svm)
    return ranking.best(key, scores, state.labeled, batch_size=batch_size)

  return select


def _prepare(shared: Shared) -> SelectFn:
  return using(shared.data.testing)


STRATEGY = Strategy(_prepare, reads_attention=True)
