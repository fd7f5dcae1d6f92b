"""Platt calibration against scikit-learn's and a hand value."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.calibration import _SigmoidCalibration

from tal_jax.models import platt

N = 200


def scores_and_labels(seed=0, noise=1.0):
  rng = np.random.default_rng(seed)
  y = np.sign(rng.normal(size=N))
  return (y + noise * rng.normal(size=N)).astype(np.float32), y


CASES = {
    "noisy": lambda s, y: (s, y),
    "separable": lambda s, y: (y * (0.5 + np.abs(s)), y),
    "inverted": lambda s, y: (-s, y),
    "positive_only": lambda s, y: (s, np.ones(N)),
    "negative_only": lambda s, y: (s, -np.ones(N)),
    "one_positive": lambda s, y: (s, np.where(np.arange(N) == 0, 1, -1)),
    "outlier": lambda s, y: (np.where(np.arange(N) == 0, 1e4, s), y),
    "shifted": lambda s, y: (s + 100, y),
    "constant": lambda s, y: (np.full(N, 0.1), y),
    "small": lambda s, y: (s * 1e-6, y),
    "large": lambda s, y: (s * 1e6, y),
    "huge": lambda s, y: (s * 1e20, y),  # squares overflow float32
}


@pytest.mark.parametrize("case", CASES)
def test_equals_scikit_learn(case):
  s, y = CASES[case](*scores_and_labels())
  s = np.float32(s)
  params = platt.fit(s, y)
  reference = _SigmoidCalibration().fit(np.float64(s), (y > 0).astype(float))
  chex.assert_tree_all_finite(params)
  np.testing.assert_allclose(platt.probability(params, s), reference.predict(np.float64(s)),
                             atol=1e-4)
  if case not in ("constant", "positive_only", "negative_only"):  # a and b are not both determined
    np.testing.assert_allclose([params.a, params.b], [reference.a_, reference.b_], rtol=1e-4)


def test_tiny_scores_by_invariance():
  # Too small for scikit-learn's own tolerance: the fit of 1e-25 s is that of s, with a scaled.
  s, y = scores_and_labels()
  params, tiny = platt.fit(s, y), platt.fit(s * np.float32(1e-25), y)
  np.testing.assert_allclose([tiny.a * 1e-25, tiny.b], [params.a, params.b], rtol=1e-4)


def test_hand_values():
  # Two scores, each with one label of its own: the sigmoid meets Platt's targets 2/3 and 1/3.
  params = platt.fit(np.float32([1.0, -1.0]), np.asarray([1, -1]))
  np.testing.assert_allclose([params.a, params.b], [-np.log(2), 0.0], atol=1e-5)
  np.testing.assert_allclose(platt.probability(params, jnp.asarray([1.0, -1.0, 0.0])),
                             [2 / 3, 1 / 3, 1 / 2], atol=1e-5)


def test_equal_scores_are_no_signal():
  for value, n in ((0.1, 7), (1e3 / 3, 1000), (-1e-8, 3)):
    y = np.where(np.arange(n) < n // 3, 1, -1)
    params = platt.fit(np.full(n, value, np.float32), y)
    assert float(params.a) == 0
    positive, negative = n // 3, n - n // 3
    targets = positive * (positive + 1) / (positive + 2) + negative / (negative + 2)
    assert float(platt.probability(params, jnp.asarray(value))) == pytest.approx(targets / n,
                                                                                abs=1e-4)


def test_nothing_and_one_row():
  params = platt.fit(np.zeros(4, np.float32), np.ones(4), np.zeros(4, bool))
  assert float(platt.probability(params, jnp.asarray(3.0))) == 0.5
  params = platt.fit(np.float32([2.0]), np.asarray([1]))
  assert float(platt.probability(params, jnp.asarray(2.0))) == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.parametrize("garbage", [-np.inf, np.nan, 1e30])
def test_masked_rows_change_nothing(garbage):
  s, y = scores_and_labels()
  mask = np.arange(N) % 4 != 0
  expected = platt.fit(s[mask], y[mask])
  masked = platt.fit(np.where(mask, s, garbage).astype(np.float32), y, mask)
  chex.assert_trees_all_close(masked, expected, rtol=1e-4)


class VariantsTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_fit(self):
    s, y = scores_and_labels(noise=0.5)
    params = self.variant(platt.fit)(s, y)
    chex.assert_trees_all_close(params, platt.fit(s, y), rtol=1e-5)

  def test_vmap(self):
    pairs = [scores_and_labels(seed, noise) for seed, noise in ((0, 0.1), (1, 3.0))]
    s, y = (np.stack(leaf) for leaf in zip(*pairs, strict=True))
    params = jax.vmap(platt.fit)(s, y)
    for i, pair in enumerate(pairs):
      chex.assert_trees_all_close(jax.tree.map(lambda leaf, i=i: leaf[i], params),
                                  platt.fit(*pair), rtol=1e-4)


_fit = jax.jit(platt.fit)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), noise=st.floats(0, 5), scale=st.floats(-3, 3))
def test_any_scores(seed, noise, scale):
  s, y = scores_and_labels(seed, noise)
  s = s * np.float32(10**scale)
  params = _fit(s, y)
  p = np.asarray(platt.probability(params, s))
  reference = _SigmoidCalibration().fit(np.float64(s), (y > 0).astype(float))
  np.testing.assert_allclose(p, reference.predict(np.float64(s)), atol=1e-4)
  assert np.all((p > 0) & (p < 1)) or np.abs(s).max() > 10
