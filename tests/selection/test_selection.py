"""What every entry of the dictionary promises."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import selection
from tests import pools

STRATEGIES = sorted(selection.SELECTION)
BLIND = [name for name in STRATEGIES if name != "greedy_oracle"]


def pick(select, key, state, pool, batch_size=5):
  return np.asarray(select(jax.random.key(key), state, pool, batch_size=batch_size))


def test_the_names():
  assert set(selection.SELECTION) == {"random", "uncertainty", "uncertainty_binary", "margin",
                                      "mcle", "lal", "greedy_oracle"}


def test_what_each_reads():
  reads = {name for name in STRATEGIES if selection.SELECTION[name].reads_attention}
  assert reads == {"mcle", "lal", "greedy_oracle"}
  learns = {name: [selection.SELECTION[name].learns_from_knowledge_source(
      {"lal": {"artifact": artifact}}) for artifact in ("", "lal.npz")] for name in STRATEGIES}
  assert {name for name, (without, _) in learns.items() if without} == {"mcle", "lal"}
  assert {name for name, (_, with_artifact) in learns.items() if with_artifact} == {"mcle"}


@pytest.mark.parametrize("name", STRATEGIES)
def test_signature(name, selects):
  parameters = inspect.signature(selects[name]).parameters
  assert list(parameters) == ["key", "state", "pool", "batch_size"]
  assert parameters["batch_size"].kind == inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", STRATEGIES)
def test_distinct_unlabelled_and_deterministic(name, selects, state, pool):
  before = jax.tree.map(np.array, (state.labeled, state.annotations, state.model))
  picks = pick(selects[name], 3, state, pool)
  assert picks.shape == (5,) and len(set(picks.tolist())) == 5
  assert np.issubdtype(picks.dtype, np.integer) and (0 <= picks).all() and (picks < 16).all()
  assert not np.asarray(state.labeled)[picks].any()
  np.testing.assert_array_equal(pick(selects[name], 3, state, pool), picks)
  jax.tree.map(np.testing.assert_array_equal, before,
               (state.labeled, state.annotations, state.model))


@pytest.mark.parametrize("name", STRATEGIES)
def test_takes_all_that_is_left(name, selects, state, pool):
  picks = pick(selects[name], 0, state, pool, batch_size=12)
  assert set(picks.tolist()) == set(np.flatnonzero(~np.asarray(state.labeled)).tolist())


@pytest.mark.parametrize("name", BLIND)
def test_blind_to_the_truth(name, selects, state, pool):
  hidden, picks = pools.without_truths(pool), pick(selects[name], 3, state, pool)
  np.testing.assert_array_equal(pick(selects[name], 3, state, hidden), picks)
  order = np.random.default_rng(0).permutation(pool.num_videos)
  swapped = pool._replace(truths=pool.truths[order], truth_labels=pool.truth_labels[order],
                          truth_mask=pool.truth_mask[order])
  np.testing.assert_array_equal(pick(selects[name], 3, state, swapped), picks)


@pytest.mark.parametrize("name", BLIND)
def test_blind_to_the_truths_of_testing(name, selects, state, pool, testing):
  changed = pools.prepared(pool, pools.without_truths(testing))[name]
  np.testing.assert_array_equal(pick(changed, 3, state, pool), pick(selects[name], 3, state, pool))


@pytest.mark.parametrize("name", STRATEGIES)
def test_blind_to_what_stands_in_padding(name, selects, state, pool, testing):
  noise = 100 * jax.random.normal(jax.random.key(0), pool.features.shape)
  mask = pool.proposal_mask[..., None]
  dirty = pool._replace(features=jnp.where(mask, pool.features, noise),
                        segments=jnp.where(mask, pool.segments, noise[..., :2]))
  again = pools.prepared(dirty, testing)[name]
  np.testing.assert_array_equal(pick(again, 3, state, dirty), pick(selects[name], 3, state, pool))


@pytest.mark.parametrize("name", ["uncertainty", "uncertainty_binary", "margin"])
def test_a_video_without_proposals_comes_last(name, selects, state, pool):
  empty = int(np.flatnonzero(~np.asarray(state.labeled))[0])
  bare = pool._replace(proposal_mask=pool.proposal_mask.at[empty].set(False))
  assert pick(selects[name], 0, state, bare, batch_size=12)[-1] == empty
