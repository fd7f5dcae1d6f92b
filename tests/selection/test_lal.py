"""The regressor as a function, and the ranking by it. How it is fitted: test_lal_regression."""

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from tal_jax.selection import lal, lal_selector as lib
from tests import pools


def slow_predict(selector, state, samples):
  """The module docstring's sum, in float64, one support vector at a time."""
  s = jax.tree.map(np.float64, selector)
  z = s.state_components @ (np.float64(state) - s.state_mean)
  result = []
  for x in np.float64(samples):
    u = (x - s.sample_mean) / s.sample_scale
    value = s.intercept
    for z_j, u_j, a_j in zip(s.support_states, s.support_samples, s.coefficients, strict=True):
      value += (a_j * np.exp(-s.gamma_state * ((z - z_j)**2).sum())
                * np.exp(-s.gamma_sample * ((u - u_j)**2).sum()))
    result.append(value * s.target_scale + s.target_mean)
  return np.array(result)


def test_predict_against_a_loop():
  rng = np.random.default_rng(0)
  selector = pools.selector(0)
  state, samples = rng.normal(size=pools.DIM + 1), rng.uniform(size=(9, 10))
  got = lib.predict(selector, jnp.array(state, jnp.float32), jnp.array(samples, jnp.float32))
  np.testing.assert_allclose(got, slow_predict(selector, state, samples), atol=1e-6)


def test_product_kernel_against_a_loop():
  rng = np.random.default_rng(1)
  z, u, a, b = (rng.normal(size=shape) for shape in ((3, 2), (3, 4), (5, 2), (5, 4)))
  got = lib.product_kernel(z, u, a, b, 0.3, 0.7)
  for i in range(3):
    for j in range(5):
      expected = np.exp(-0.3 * ((z[i] - a[j])**2).sum() - 0.7 * ((u[i] - b[j])**2).sum())
      np.testing.assert_allclose(got[i, j], expected, rtol=1e-5)


def test_the_state_changes_the_ranking():
  """The reason for a product kernel: with a sum, one order would hold at every state."""
  rng = np.random.default_rng(2)
  selector, samples = pools.selector(0), jnp.array(rng.uniform(size=(9, 10)), jnp.float32)
  orders = {tuple(np.argsort(lib.predict(selector, jnp.array(w, jnp.float32), samples)).tolist())
            for w in rng.normal(size=(20, pools.DIM + 1))}
  assert len(orders) > 1


def test_scores_describe_state_and_videos(state, pool):
  described = np.append(state.model.svm.w, state.model.svm.b)
  np.testing.assert_array_equal(lib.describe_state(state.model.svm), described)
  samples = lib.describe_samples(state.model.svm, state.model.platt, pool, num_bins=10)
  np.testing.assert_allclose(samples.sum(-1), 1.0, rtol=1e-6)
  h = 1 / (1 + np.exp(float(state.model.platt.a) * (
      np.float64(pool.features) @ np.float64(state.model.svm.w) + float(state.model.svm.b))
      + float(state.model.platt.b)))
  for i, mask in enumerate(np.asarray(pool.proposal_mask)):
    np.testing.assert_allclose(samples[i], np.histogram(h[i][mask], 10, (0, 1))[0] / mask.sum(),
                               atol=1e-6)
  selector = pools.selector()
  scores = slow_predict(selector, described, samples)
  np.testing.assert_allclose(lal.scores(selector, state, pool), scores, atol=1e-6)
  picks = lal.using(selector)(jax.random.key(0), state, pool, batch_size=4)
  free = ~np.asarray(state.labeled)
  np.testing.assert_allclose(scores[picks], np.sort(scores[free])[::-1][:4], atol=1e-6)


def test_ties_are_reported(state, pool, monkeypatch):
  """Far from every state of the training set, the kernel is 0 and all candidates tie."""
  warnings = []
  monkeypatch.setattr(logging, "warning", lambda text, *args: warnings.append(text % args))
  select = lal.using(pools.selector())
  select(jax.random.key(0), state, pool, batch_size=4)
  assert not warnings
  svm = state.model.svm
  far = state.replace(model=state.model._replace(svm=svm._replace(w=svm.w + 1e3)))
  batches = {tuple(select(jax.random.key(seed), far, pool, batch_size=4).tolist())
             for seed in range(3)}
  assert len(warnings) == 3 and "all 12 candidates tie at step 0" in warnings[0]
  assert len(batches) > 1  # at random, not the first of the pool
