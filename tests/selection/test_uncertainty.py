"""Both entropies by hand, and the ranking by them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.selection import uncertainty as lib


def test_histogram_by_hand():
  confidence = jnp.array([0.0, 0.05, 0.1, 0.55, 0.999, 1.0, 0.3])
  mask = jnp.array([True] * 6 + [False])
  expected = np.array([2, 1, 0, 0, 0, 1, 0, 0, 0, 2]) / 6
  np.testing.assert_allclose(lib.histogram(confidence, mask), expected, rtol=1e-6)
  np.testing.assert_array_equal(lib.histogram(confidence, jnp.zeros(7, bool)), np.zeros(10))


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_entropy_of_one_bin_and_of_all(bins):
  mask = jnp.ones(2 * bins, bool)
  one = jnp.full(2 * bins, 0.5 / bins)
  assert lib.histogram_entropy(one, mask, num_bins=bins) == 0
  uniform = (jnp.arange(2 * bins) // 2 + 0.5) / bins
  np.testing.assert_allclose(lib.histogram_entropy(uniform, mask, num_bins=bins), np.log(bins),
                             rtol=1e-6)


def test_entropy_by_hand():
  # Shares 1/2, 1/4, 1/4: entropy 1.5 bits.
  confidence, mask = jnp.array([0.01, 0.02, 0.5, 0.9]), jnp.ones(4, bool)
  np.testing.assert_allclose(lib.histogram_entropy(confidence, mask), 1.5 * np.log(2), rtol=1e-6)
  # The paper's reading: confidences of 1/2 throughout have no spread; the binary one is highest.
  half = jnp.full(4, 0.5)
  assert lib.histogram_entropy(half, mask) == 0
  np.testing.assert_allclose(lib.binary_entropy(half, mask), np.log(2), rtol=1e-6)


def test_binary_entropy_by_hand():
  confidence = jnp.array([0.25, 0.5, 0.9])
  terms = [-p * np.log(p) - (1 - p) * np.log(1 - p) for p in (0.25, 0.5)]
  np.testing.assert_allclose(
      lib.binary_entropy(confidence, jnp.array([True, True, False])), np.mean(terms), rtol=1e-6)
  certain = lib.binary_entropy(jnp.array([0.0, 1.0]), jnp.ones(2, bool))
  assert 0 <= certain < 1e-5
  assert lib.binary_entropy(confidence, jnp.zeros(3, bool)) == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6),
       st.lists(st.booleans(), min_size=6, max_size=6))
def test_histogram_against_a_loop(confidence, mask):
  shares = np.zeros(10)
  for h, real in zip(confidence, mask, strict=True):
    if real:
      shares[min(int(np.float32(h) * np.float32(10)), 9)] += 1 / sum(mask)
  h, m = jnp.array(confidence, jnp.float32), jnp.array(mask)
  np.testing.assert_allclose(lib.histogram(h, m), shares, atol=1e-6)
  positive = shares[shares > 0]
  np.testing.assert_allclose(lib.histogram_entropy(h, m), -(positive * np.log(positive)).sum(),
                             atol=1e-5)


@pytest.mark.parametrize(("select", "entropy"), [
    (lib.select, "histogram"), (lib.select_binary, "binary")])
def test_ranks_by_the_entropy_of_platts_confidences(select, entropy, state, pool):
  w, b = np.float64(state.model.svm.w), float(state.model.svm.b)
  values = []
  for features, mask in zip(np.float64(pool.features), np.asarray(pool.proposal_mask),
                            strict=True):
    s = features[mask] @ w + b
    h = 1 / (1 + np.exp(float(state.model.platt.a) * s + float(state.model.platt.b)))
    if entropy == "binary":
      values.append((-h * np.log(h) - (1 - h) * np.log(1 - h)).mean())
    else:
      p = np.histogram(h, bins=10, range=(0, 1))[0] / len(h)
      values.append(-(p[p > 0] * np.log(p[p > 0])).sum())
  values = np.array(values)
  picks = select(jax.random.key(0), state, pool, batch_size=6)
  free = ~np.asarray(state.labeled)
  np.testing.assert_allclose(values[picks], np.sort(values[free])[::-1][:6], atol=1e-5)
