"""MCLE's rule against a loop written from the module's docstring."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings, strategies as st

from tal_jax import learner
from tal_jax.models import stage_wise
from tal_jax.selection import mcle as lib
from tests import pools

V, B = 9, 4
fill = jax.jit(lib.fill_batch, static_argnames="batch_size")


def slow_batch(f, f0, positive, labeled, batch_size):
  labels = {int(i): 1 if positive[i] else -1 for i in np.flatnonzero(labeled)}
  batch = []
  for _ in range(batch_size):
    num_positive = sum(label == 1 for label in labels.values())
    num_negative = len(labels) - num_positive
    s = -1 if num_positive > num_negative else 1
    free = [i for i in range(len(f)) if i not in labels]
    hard = [i for i in free if np.sign(f[i]) == s]
    if hard:
      chosen = max(hard, key=lambda i, s=s: -s * f0[i])
    else:
      chosen = max(free, key=lambda i, s=s: s * (f[i] - f0[i]))
    labels[chosen] = int(np.sign(f[chosen]))  # counts with its predicted label
    batch.append(chosen)
  return batch


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.sampled_from([-3.0, -1.0, 0.0, 1.0, 3.0]),
       num_labeled=st.integers(0, V - B))
def test_fill_batch_against_a_loop(seed, shift, num_labeled):
  rng = np.random.default_rng(seed)
  f, f0 = (rng.normal(size=(2, V)) + [[shift], [0.0]]).astype(np.float32)
  positive = rng.random(V) < rng.random()
  labeled = rng.permutation(V) < num_labeled
  values = lib.VideoValues(jnp.array(f), jnp.array(f0), jnp.array(positive))
  batch = fill(jax.random.key(seed), values, jnp.array(labeled), batch_size=B)
  assert batch.tolist() == slow_batch(f, f0, positive, labeled, B)


def test_by_hand():
  """Two negatives so far: a positive is wanted, the one that the prior holds most negative."""
  f = jnp.array([1.0, 1.0, 2.0, -1.0, -1.0, -1.0, -2.0, -2.0, -2.0])
  f0 = jnp.array([0.5, -3.0, 9.0, 4.0, 1.0, 0.0, 0.0, 0.0, 0.0])
  labeled = jnp.arange(V) >= 7
  values = lib.VideoValues(f, f0, jnp.zeros(V, bool))
  # 1, 0 and 2 (balance -2 -> -1 -> 0 -> 1), then the negative of the highest prior.
  assert fill(jax.random.key(0), values, labeled, batch_size=B).tolist() == [1, 0, 2, 3]


def test_ties_depend_on_the_key():
  values = lib.VideoValues(jnp.ones(V), jnp.zeros(V), jnp.zeros(V, bool))
  first = {int(fill(jax.random.key(seed), values, jnp.zeros(V, bool), batch_size=B)[0])
           for seed in range(40)}
  assert len(first) > 5


def test_video_values_against_a_loop(state, pool):
  prior = pools.some_svm(1)
  values = lib.video_values(state, pool, stage_wise.decision(prior, pool))
  w, b = np.float64(state.model.svm.w), float(state.model.svm.b)
  prior_w, prior_b = np.float64(prior.w), float(prior.b)
  for i in range(pool.num_videos):
    x = np.float64(pool.features[i])[np.asarray(pool.proposal_mask[i])]
    segments = np.float64(pool.segments[i])[np.asarray(pool.proposal_mask[i])]
    decisions = x @ w + b
    picks = np.argsort(-decisions)[:learner.attention_settings(state).top_k]
    np.testing.assert_allclose(values.model[i], decisions[picks].mean(), atol=1e-4)
    np.testing.assert_allclose(values.prior[i], (x[picks] @ prior_w + prior_b).mean(), atol=1e-4)
    if state.labeled[i]:
      hits = 0
      for start, end in segments[picks]:
        overlaps = [max(0, min(end, e) - max(start, s)) / (max(end, e) - min(start, s))
                    for (s, e), real in zip(np.float64(state.annotations[i]),
                                            np.asarray(state.annotation_mask[i]), strict=True)
                    if real and min(end, e) > max(start, s)]
        hits += max(overlaps, default=0) > learner.attention_settings(state).positive_tiou
      assert bool(values.positive[i]) == (hits > len(picks) / 2)
