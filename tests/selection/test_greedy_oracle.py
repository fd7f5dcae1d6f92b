"""The bound: it reads truths, which no strategy does. Its gains are tested in test_gain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.selection import greedy_oracle
from tests import pools

pytestmark = pytest.mark.slow


def test_reads_the_truths_of_the_pool(selects, state, pool):
  """With no truth in the pool, every candidate is all background: other gains, other picks."""
  key, select = jax.random.key(0), selects["greedy_oracle"]
  picks = select(key, state, pool, batch_size=12)
  blind = select(key, state, pools.without_truths(pool), batch_size=12)
  assert np.asarray(picks).tolist() != np.asarray(blind).tolist()


def test_learns_from_the_oracles_answers_not_the_pools_truths(selects, state, pool):
  """Truths of videos that are labelled already are not looked at again."""
  hide = np.asarray(state.labeled)
  changed = pool._replace(truths=jnp.where(hide[:, None, None], 0.0, pool.truths))
  picks = [np.asarray(selects["greedy_oracle"](jax.random.key(0), state, p, batch_size=12))
           for p in (pool, changed)]
  np.testing.assert_array_equal(*picks)


def test_without_truths_in_testing_all_tie(state, pool, testing):
  """AP is 0 whatever is added: the batch is random, not the first videos."""
  blank = greedy_oracle.using(pools.without_truths(testing))
  picks = {tuple(np.asarray(blank(jax.random.key(seed), state, pool, batch_size=3)).tolist())
           for seed in range(4)}
  assert len(picks) > 1
