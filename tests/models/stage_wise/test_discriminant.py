"""The pool-whitened discriminant against scikit-learn and NumPy, wherever the features are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tal_jax.models.stage_wise import discriminant as lib
from tal_jax.models.svm import blocks as svm_blocks

V, P, D = 21, 9, 5
RNG = np.random.default_rng(0)
FEATURES = (RNG.normal(size=(V, P, D)) * [1, 2, 0.5, 1, 3] + [0, 5, 0, 0, 1]).astype(np.float16)
MASK = (RNG.random((V, P)) < 0.8) & (np.arange(V) % 7 > 0)[:, None]
DIRTY = np.where(MASK[..., None], FEATURES, np.float16(np.nan))
ROWS = FEATURES[MASK].astype(np.float64)


def stored(kind, tmp_path):
  if kind == "device":
    return jnp.asarray(DIRTY)
  file = np.memmap(tmp_path / "features.bin", np.float16, "w+", shape=DIRTY.shape)
  file[:] = DIRTY
  return file


@pytest.mark.parametrize("kind", ["device", "file"])
def test_moments_equal_numpy(kind, tmp_path, monkeypatch):
  monkeypatch.setattr(svm_blocks, "STREAMED_BYTES", 4 * FEATURES[:1].nbytes)
  known = lib.moments(stored(kind, tmp_path), jnp.asarray(MASK))
  np.testing.assert_allclose(known.mean, ROWS.mean(0), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(known.covariance, np.cov(ROWS.T, bias=True), rtol=1e-4, atol=1e-5)
  assert known.count == MASK.sum()


def test_moments_far_from_zero_keep_their_digits():
  rows = RNG.normal(size=(4, 50, 2)).astype(np.float32) + np.float32(1e4)
  known = lib.moments(jnp.asarray(rows), jnp.ones((4, 50), bool))
  np.testing.assert_allclose(known.covariance, np.cov(rows.reshape(-1, 2).astype(np.float64).T,
                                                      bias=True), rtol=1e-2, atol=1e-2)


def test_a_hand_value():
  # Variances 4 and 2, so l = 3 and S = diag(7, 5).
  known = lib.Moments(jnp.asarray([1.0, 0.0]), jnp.diag(jnp.asarray([4.0, 2.0])), jnp.asarray(8.0))
  white = lib.whitening(known)
  w = lib.direction(white, jnp.asarray([14.0, 10.0, 2.0]), jnp.asarray([0.0, 0.0, 4.0]))
  np.testing.assert_allclose(w, [1.0, 1.0], rtol=1e-6)
  unit = lib.standardised(known, w)  # variance 6, mean 1
  np.testing.assert_allclose(unit.w, np.ones(2) / np.sqrt(6), rtol=1e-6)
  np.testing.assert_allclose(unit.b, -1 / np.sqrt(6), rtol=1e-6)
  # t = .5 * 2 = 1 and three instances: a quarter of the discriminant.
  svm = jnp.asarray([0.0, 3.0])  # variance 18
  mixed, share = lib.mixed(known, w, svm, jnp.asarray(3.0), instances_per_dim=0.5)
  expected = 0.25 * np.ones(2) / np.sqrt(6) + 0.75 * np.asarray([0, 3]) / np.sqrt(18)
  assert share == 0.25
  np.testing.assert_allclose(mixed.w, expected / np.sqrt(expected**2 @ [4, 2]), rtol=1e-6)


def test_direction_is_that_of_scikit_learns_discriminant():
  """Given the same covariance, which is what it estimates within the classes."""
  half = 200
  base = RNG.normal(size=(half, D)) @ RNG.normal(size=(D, D))
  rows = np.concatenate([base, base + RNG.normal(size=D)])
  y = np.repeat([0, 1], half)
  within = np.cov(base.T, bias=True)
  known = lib.Moments(jnp.asarray(rows.mean(0), jnp.float32), jnp.asarray(within, jnp.float32),
                      jnp.asarray(2.0 * half))
  sums = [jnp.asarray(np.append(rows[y == k].sum(0), half), jnp.float32) for k in (1, 0)]
  w = lib.direction(lib.whitening(known), *sums)

  class Regularised:
    def fit(self, x):
      centred = x - x.mean(0)
      covariance = centred.T @ centred / len(x)
      self.covariance_ = covariance + np.trace(covariance) / D * np.eye(D)
      return self

  oracle = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Regularised())
  oracle.fit(rows, y)
  np.testing.assert_allclose(w, oracle.coef_[0], rtol=2e-3, atol=2e-4)


def test_whitening_and_back():
  known = lib.moments(jnp.asarray(DIRTY), jnp.asarray(MASK))
  white = lib.whitening(known)
  x = jnp.asarray(ROWS[:20], jnp.float32)
  w, b = jnp.asarray(RNG.normal(size=(D, 3)), jnp.float32), jnp.asarray([1.0, 2.0, 3.0])
  there = lib.whiten(white, x)
  s = np.cov(ROWS.T, bias=True)
  s += np.trace(s) / D * np.eye(D)
  centred = ROWS[:20] - ROWS.mean(0)
  np.testing.assert_allclose(np.asarray(there) @ np.asarray(there).T,
                             centred @ np.linalg.solve(s, centred.T), rtol=1e-3, atol=1e-4)
  raw = lib.from_whitened(white, w, b)
  np.testing.assert_allclose(x @ raw[0] + raw[1], there @ w + b, rtol=1e-4, atol=1e-4)
  for found, expected in zip(lib.to_whitened(white, *raw), (w, b), strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_nothing_to_learn_from():
  white = lib.whitening(lib.no_moments(D))
  np.testing.assert_array_equal(white.factor, np.eye(D))
  rows = jnp.asarray(np.append(np.ones(D), 2.0), jnp.float32)
  assert not lib.direction(white, rows, jnp.zeros(D + 1)).any()
  assert not lib.direction(white, jnp.zeros(D + 1), rows).any()
  known = lib.moments(jnp.asarray(DIRTY), jnp.asarray(MASK))
  mixed, _ = lib.mixed(known, jnp.zeros(D), jnp.zeros(D), jnp.zeros(()), instances_per_dim=0.15)
  assert not mixed.w.any() and mixed.b == 0
  alone, share = lib.mixed(known, jnp.zeros(D), jnp.ones(D), jnp.zeros(()), instances_per_dim=0.0)
  assert share == 0
  np.testing.assert_allclose(alone.w, lib.standardised(known, jnp.ones(D)).w, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_standardised_has_unit_deviation_over_the_pool(seed):
  rng = np.random.default_rng(seed)
  known = lib.moments(jnp.asarray(DIRTY), jnp.asarray(MASK))
  unit = lib.standardised(known, jnp.asarray(rng.normal(size=D) * 10.0**rng.integers(-3, 4),
                                             jnp.float32))
  values = ROWS @ np.float64(unit.w) + float(unit.b)
  assert abs(values.mean()) < 1e-4 and abs(values.std() - 1) < 1e-4


def test_padding_changes_nothing():
  padded = np.pad(DIRTY, ((0, 3), (0, 2), (0, 0)), constant_values=7)
  found = lib.moments(jnp.asarray(padded), jnp.asarray(np.pad(MASK, ((0, 3), (0, 2)))))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found,
               lib.moments(jnp.asarray(DIRTY), jnp.asarray(MASK)))
