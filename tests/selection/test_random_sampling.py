"""The passive learner is uniform, and blind to the model."""

import jax
import numpy as np

from tal_jax.selection import random_sampling as lib
from tests import pools


def test_uniform_over_the_unlabelled(state, pool):
  counts = np.zeros(pool.num_videos)
  for seed in range(240):
    counts[lib.select(jax.random.key(seed), state, pool, batch_size=2)] += 1
  labeled = np.asarray(state.labeled)
  assert (counts[labeled] == 0).all()
  expected = 2 * 240 / (~labeled).sum()
  assert (((counts[~labeled] - expected)**2) / expected).sum() < 31.3  # chi-square, 11 df, p = .001


def test_the_model_does_not_matter(state, pool):
  other = state.replace(model=state.model._replace(svm=pools.some_svm(5)))
  np.testing.assert_array_equal(lib.select(jax.random.key(1), state, pool, batch_size=4),
                                lib.select(jax.random.key(1), other, pool, batch_size=4))
