"""The classifier against scikit-learn's LogisticRegression, which minimises the same objective."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tal_jax.models import classifier

N, D, K = 150, 6, 4


def problem(seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(N, D)).astype(np.float32)
  return x, np.argmax(x[:, :K] + rng.normal(size=(N, K)), 1)


def objective(w, b, x, labels, c):
  """L in float64."""
  z = np.float64(x) @ np.float64(w) + np.float64(b)
  z -= z.max(1, keepdims=True)
  entropies = np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]
  return 0.5 * (np.float64(w)**2).sum() + c * entropies.sum()


def reference(x, labels, c):
  model = LogisticRegression(C=c, tol=1e-9, max_iter=10_000).fit(np.float64(x), labels)
  return model, objective(model.coef_.T, model.intercept_, x, labels, c)


def test_equals_scikit_learn():
  x, labels = problem()
  for c in (0.01, 1.0, 100.0):
    params, info = classifier.fit(x, labels, num_classes=K, c=c)
    model, optimum = reference(x, labels, c)
    value = objective(params.w, params.b, x, labels, c)
    assert value == pytest.approx(optimum, rel=1e-5)
    assert float(info.objective) == pytest.approx(value / (1 + c * N), rel=1e-5)
    assert float(info.gradient_norm) <= 1e-4 and int(info.num_iters) < 100
    np.testing.assert_allclose(classifier.probability(params, x), model.predict_proba(x), atol=2e-3)


def test_relative_gap_bounds_what_is_left():
  x, labels = problem()
  for c in (0.01, 1.0, 100.0):
    model, optimum = reference(x, labels, c)
    for max_iters, tol in ((1, 0.0), (4, 0.0), (100, 1e-4)):
      params, info = classifier.fit(x, labels, num_classes=K, c=c, max_iters=max_iters, tol=tol)
      # The bound holds for biases near the fit's; they are determined up to a constant.
      shift = np.asarray(params.b) - model.intercept_
      assert np.abs(shift - shift.mean()).max() < 10
      value = objective(params.w, params.b, x, labels, c)
      assert value - optimum <= (float(info.relative_gap) + 1e-6) * value
    assert float(info.relative_gap) < 1e-2


def test_relative_gap_by_hand():
  # One class: softmax = 1, the loss is 0 and L = |W|^2 / 2, whose gradient is W.
  start = classifier.ClassifierParams(jnp.asarray([[2.0]]), jnp.zeros(1))
  _, info = classifier.fit(np.ones((3, 1), np.float32), np.zeros(3, int), num_classes=1,
                           start=start, tol=1e-9)
  assert float(info.relative_gap) == 0 and float(info.objective) == 0


def test_init_is_uniform_and_probability_is_a_softmax():
  p = classifier.probability(classifier.init(D, K), jnp.ones((2, 3, D), jnp.float16))
  np.testing.assert_allclose(p, np.full((2, 3, K), 1 / K))
  params = classifier.ClassifierParams(jnp.asarray([[0.0, np.log(3.0)]]), jnp.zeros(2))
  np.testing.assert_allclose(classifier.probability(params, jnp.ones((1, 1))), [[0.25, 0.75]],
                             rtol=1e-6)


def test_class_without_a_sample_and_then_with_one():
  x, labels = problem()
  labels = np.minimum(labels, K - 2)
  params, _ = classifier.fit(x, labels, num_classes=K)
  model, optimum = reference(x, labels, 1.0)
  p = np.asarray(classifier.probability(params, x))
  chex.assert_tree_all_finite(params)
  assert p[:, -1].max() < 1e-2
  np.testing.assert_allclose(p[:, :-1], model.predict_proba(x), atol=5e-3)
  assert objective(params.w, params.b, x, labels, 1.0) == pytest.approx(optimum, rel=1e-3)
  # The class appears: the fit goes on from where it stood and finds the optimum.
  labels[:5] = K - 1
  _, optimum = reference(x, labels, 1.0)
  warm, _ = classifier.fit(x, labels, num_classes=K, start=params)
  assert objective(warm.w, warm.b, x, labels, 1.0) == pytest.approx(optimum, rel=1e-4)


def test_no_rows_is_uniform():
  x, labels = problem()
  params, info = classifier.fit(x, labels, np.zeros(N, bool), num_classes=K)
  chex.assert_trees_all_close(params, classifier.init(D, K))
  assert float(info.objective) == 0 and float(info.gradient_norm) == 0


def test_masked_rows_change_nothing():
  x, labels = problem()
  mask = np.arange(N) % 3 != 0
  garbage, no_class = np.where(mask[:, None], x, np.nan), np.where(mask, labels, -1)
  params, _ = classifier.fit(garbage, no_class, mask, num_classes=K)
  expected, _ = classifier.fit(x[mask], labels[mask], num_classes=K)
  chex.assert_trees_all_close(params, expected, atol=2e-3)


def test_warm_start_is_quicker_and_no_different():
  x, labels = problem()
  cold, info = classifier.fit(x, labels, num_classes=K)
  warm, warm_info = classifier.fit(x, labels, num_classes=K, start=cold)
  assert int(warm_info.num_iters) <= 2 < int(info.num_iters)
  chex.assert_trees_all_close(warm, cold, atol=2e-3)


def test_storage_types():
  x, labels = problem()
  half = x.astype(np.float16)
  params, _ = classifier.fit(half, labels, num_classes=K)
  expected, _ = classifier.fit(half.astype(np.float32), labels, num_classes=K)
  assert params.w.dtype == jnp.float32
  jax.tree.map(np.testing.assert_array_equal, params, expected)
