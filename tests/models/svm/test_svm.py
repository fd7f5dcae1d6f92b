"""The SVM against LinearSVC, a float64 dual bound, and itself: masks, vmap, retraining."""

import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import lsq_linear, minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from tal_jax.models import svm

N, D = 64, 8
LOSSES = ("hinge", "squared_hinge")
CASES = ("noisy", "separable", "duplicated", "contradictory", "constant", "zero", "zero_rows",
         "positive_only", "negative_only", "imbalanced", "shifted", "far_shifted", "scaled", "tiny",
         "collinear", "wide")


def problem(case, seed=0):
  """x [n, d], y [n] of a named kind of trouble."""
  rng = np.random.default_rng(seed)
  n, d = (24, 60) if case == "wide" else (N, D)
  x = rng.normal(size=(n, d))
  y = np.sign(x @ rng.normal(size=d) + (0 if case == "separable" else 2 * rng.normal(size=n)))
  half = n // 2
  if case in ("duplicated", "contradictory"):
    x[half:], y[half:] = x[:half], y[:half] * (1 if case == "duplicated" else -1)
  elif case in ("constant", "zero"):
    x[:] = case == "constant"
  elif case == "zero_rows":
    x[::2] = 0
  elif case in ("positive_only", "negative_only"):
    y[:] = 1 if case == "positive_only" else -1
  elif case == "imbalanced":
    y[:], y[0] = -1, 1
  elif case in ("shifted", "far_shifted"):
    x += 5 if case == "shifted" else 100
  elif case == "scaled":
    x *= np.logspace(-2, 2, d)
  elif case == "tiny":
    x *= 1e-4
  elif case == "collinear":
    x[:, 1:] = x[:, :1]
  return x.astype(np.float32), y.astype(np.float32)


def fit(x, y, mask=None, *, init=None, **kwargs):
  """`svm.fit` with every argument an array, so that one program serves most tests."""
  mask = np.ones(len(x), bool) if mask is None else mask
  init = svm.SvmParams(jnp.zeros(x.shape[1]), jnp.zeros(())) if init is None else init
  return svm.fit(np.float32(x), np.float32(y), mask, init=init, **kwargs)


def primal(params, x, y, c, loss):
  """The objective in float64, row by row as in the definition."""
  w, b = np.float64(params.w), float(params.b)
  u = np.maximum(0.0, 1.0 - np.float64(y) * (np.float64(x) @ w + b))
  return 0.5 * (w @ w + b * b) + c * (u.sum() if loss == "hinge" else (u**2).sum())


def dual_bound(x, y, c, loss):
  """A lower bound of the optimum: D at a feasible point found by an active-set method, float64."""
  a = np.float64(y)[:, None] * np.append(np.float64(x), np.ones((len(x), 1)), 1)
  ridge = 1.0 / (2.0 * c) if loss == "squared_hinge" else 0.0
  cap = np.inf if loss == "squared_hinge" else c
  prox = 1e-8 * (a**2).sum() / len(a)  # proximal point steps: each a bounded least-squares problem
  root = np.sqrt(ridge + prox)
  matrix = np.concatenate([a.T, root * np.eye(len(a))])
  alpha, bounds = np.zeros(len(a)), [-np.inf, 0.0]
  while bounds[-1] - bounds[-2] > 1e-7 * bounds[-1] and len(bounds) < 30:
    target = np.append(np.zeros(a.shape[1]), (1.0 + prox * alpha) / root)
    alpha = np.clip(lsq_linear(matrix, target, (0.0, cap), method="bvls", tol=1e-14).x, 0.0, cap)
    dual_w = a.T @ alpha
    bounds.append(alpha.sum() - 0.5 * dual_w @ dual_w - 0.5 * ridge * alpha @ alpha)
  # The active-set method may stop short on badly scaled features: a gradient method goes on.
  polished = minimize(
      lambda v: 0.5 * (a.T @ v) @ (a.T @ v) + 0.5 * ridge * v @ v - v.sum(), alpha,
      jac=lambda v: a @ (a.T @ v) + ridge * v - 1.0, bounds=[(0.0, cap)] * len(a),
      method="L-BFGS-B", options={"maxiter": 20000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-10})
  return max(*bounds, -polished.fun)


def linear_svc(x, y, c, loss):
  """The best objective of LinearSVC's solvers: an upper bound of the optimum."""
  best = np.inf
  for dual in (True, False) if loss == "squared_hinge" else (True,):
    with warnings.catch_warnings():
      warnings.simplefilter("ignore", ConvergenceWarning)  # why both are tried
      model = LinearSVC(C=c, loss=loss, dual=dual, tol=1e-8, max_iter=50_000, random_state=0)
      model.fit(np.float64(x), y)
    best = min(best, primal(svm.SvmParams(model.coef_[0], model.intercept_[0]), x, y, c, loss))
  return best


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_objective_gap_and_bounds(case, loss):
  x, y = problem(case)
  for c in (0.01, 1.0, 100.0):
    params, info = fit(x, y, c=c, loss=loss)
    value, bound = primal(params, x, y, c, loss), dual_bound(x, y, c, loss)
    # Rows 283 long leave float32 hardly enough digits: whether 1e-4 is reached hangs on how XLA
    # rounds (with or without fused multiply-add). Then a gap of a percent is to be said as it is.
    at_limit = (case, loss, c) == ("far_shifted", "hinge", 100.0) and not bool(info.converged)
    tol = 1e-2 if at_limit else 1e-4
    assert bool(info.converged) or at_limit
    assert 0 <= float(info.duality_gap) <= tol
    assert float(info.objective) == pytest.approx(value, rel=2e-5)
    assert value - bound <= 1.2 * tol * value
    if len(set(y)) == 2:
      reference = linear_svc(x, y, c, loss)
      assert value <= reference * (1 + tol)
      assert value * (1 - float(info.duality_gap) - 2e-5) <= reference


@pytest.mark.parametrize("loss", LOSSES)
def test_one_class_by_hand(loss):
  # All rows positive and centred on zero by symmetry: w = 0, and b minimises b^2/2 + c n loss(1-b).
  x, c = np.float32([[1.0], [-1.0]]), 0.1
  params, info = fit(x, np.ones(2), c=c, loss=loss, tol=1e-6)
  b = 2 * c if loss == "hinge" else 4 * c / (1 + 4 * c)
  np.testing.assert_allclose([params.w[0], params.b], [0.0, b], atol=1e-3)
  assert bool(info.converged)
  assert np.all(svm.decision(params, x) > 0)


def test_hard_margin_by_hand():
  # Rows at x = -1 (negative) and x = 1 (positive): w = 1, b = 0, both on the margin.
  params, info = fit(np.float32([[-1.0], [1.0]]), np.float32([-1, 1]), c=100.0)
  np.testing.assert_allclose([params.w[0], params.b], [1.0, 0.0], atol=1e-3)
  assert float(info.objective) == pytest.approx(0.5, rel=1e-4)


def test_decision():
  params = svm.SvmParams(jnp.asarray([1.0, -2.0]), jnp.asarray(0.5))
  x = np.float16([[[1, 1], [2, 0]]])
  decisions = svm.decision(params, jnp.asarray(x))
  np.testing.assert_allclose(decisions, [[-0.5, 2.5]])
  assert decisions.dtype == jnp.float32


@pytest.mark.parametrize("loss", LOSSES)
def test_reported_gap_is_true_when_stopped_early(loss):
  x, y = problem("noisy")
  for c in (1.0, 100.0):
    reference = min(linear_svc(x, y, c, loss), primal(fit(x, y, c=c, loss=loss)[0], x, y, c,
                                                      loss))
    for max_iters in (0, 1, 3):
      params, info = fit(x, y, c=c, loss=loss, max_iters=max_iters, tol=1e-5)
      value, gap = primal(params, x, y, c, loss), float(info.duality_gap)
      assert int(info.num_iters) <= max_iters
      assert float(info.objective) == pytest.approx(value, rel=1e-5)
      assert value * (1 - gap) <= reference * (1 + 1e-5)
      assert bool(info.converged) == (gap <= 1e-5)
    if loss == "hinge":
      assert not bool(info.converged)


@pytest.mark.parametrize("loss", LOSSES)
def test_extremes_stay_finite_and_no_worse_than_zero(loss):
  for case in ("noisy", "separable", "zero_rows", "positive_only", "far_shifted"):
    x, y = problem(case, seed=1)
    for scale, c in ((1.0, 1e6), (1e4, 0.01), (1e4, 100.0), (1e4, 1e6), (1.0, 1e-6)):
      params, info = fit(x * np.float32(scale), y, c=c, loss=loss)
      value = primal(params, x * np.float32(scale), y, c, loss)
      chex.assert_tree_all_finite((params, info))
      assert value <= c * len(x) * (1 + 1e-3), (case, scale, c)
      assert bool(info.converged) == (float(info.duality_gap) <= 1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_rounding_larger_than_the_regulariser(loss):
  # Many rows, large c: the Gram matrix of rank-deficient features is not positive definite in
  # float32, and 2 c times the rounding of u exceeds what one class needs as its dual point.
  rng = np.random.default_rng(0)
  noise = rng.normal(size=(4000, 10))
  low_rank = (noise @ rng.normal(size=(10, 64)) + 5).astype(np.float32)
  y = np.sign(noise[:, 0] + rng.normal(size=4000)).astype(np.float32)
  full_rank = rng.normal(size=(4000, 64)).astype(np.float32)
  for x, labels in ((low_rank, y), (full_rank, np.ones_like(y))):
    params, info = fit(x, labels, c=100.0, loss=loss)
    assert bool(info.converged)
    assert float(info.objective) == pytest.approx(
        primal(params, x, labels, 100.0, loss), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_rows_and_padding_change_nothing(loss):
  x, y = problem("noisy")
  mask = np.arange(N) % 3 != 0
  expected, _ = fit(x, y, mask, loss=loss, tol=1e-6)
  garbage = np.where(mask[:, None], x, np.nan)
  chex.assert_trees_all_equal(fit(garbage, np.where(mask, y, 7.0), mask, loss=loss, tol=1e-6)[0],
                              expected)
  if loss == "hinge":  # without any mask: another program, other rounding
    chex.assert_trees_all_close(svm.fit(x[mask], y[mask], tol=1e-6)[0], expected, atol=2e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("init", [None, svm.SvmParams(jnp.ones(D), jnp.asarray(-2.0))])
def test_nothing_to_learn_from_is_zero(loss, init):
  x, y = problem("noisy")
  params, info = fit(x, y, np.zeros(N, bool), loss=loss, init=init)
  chex.assert_trees_all_close(params, svm.SvmParams(jnp.zeros(D), jnp.zeros(())), atol=1e-6)
  assert bool(info.converged) and float(info.objective) == 0 and float(info.duality_gap) == 0


def test_no_rows():
  params, info = svm.fit(np.zeros((0, D), np.float32), np.zeros(0, np.float32))
  chex.assert_trees_all_close(params, svm.SvmParams(jnp.zeros(D), jnp.zeros(())))
  assert bool(info.converged)


@pytest.mark.parametrize("loss", LOSSES)
def test_start_does_not_matter_and_a_solution_needs_few_iterations(loss):
  x, y = problem("noisy")
  params, info = fit(x, y, loss=loss, init=svm.SvmParams(100 * jnp.ones(D), jnp.asarray(5.0)))
  cold, cold_info = fit(x, y, loss=loss)
  assert bool(info.converged)
  assert float(info.objective) == pytest.approx(float(cold_info.objective), rel=1e-4)
  _, again = fit(x, y, loss=loss, init=cold)
  assert int(again.num_iters) <= int(cold_info.num_iters)


def test_vmap_equals_fit(loss="hinge"):
  cases = [problem(case) for case in ("noisy", "separable", "positive_only", "shifted")]
  x, y = (np.stack(leaf) for leaf in zip(*cases, strict=True))
  params, info = jax.vmap(lambda x, y: svm.fit(x, y, loss=loss))(x, y)
  for i, (xi, yi) in enumerate(cases):
    _, alone = fit(xi, yi, loss=loss)  # [N, D] again: the program of the tests above
    one = jax.tree.map(lambda leaf, i=i: leaf[i], params)
    assert bool(info.converged[i])
    assert primal(one, xi, yi, 1.0, loss) == pytest.approx(float(alone.objective), rel=1e-4)


def test_no_recompilation_for_new_values():
  x, y = problem("noisy")

  @jax.jit
  @chex.assert_max_traces(n=1)
  def outer(x, y, c):
    return svm.fit(x, y, c=c)

  inner, _ = fit(x, y, c=0.5)
  chex.assert_trees_all_close(outer(x, y, 0.5)[0], inner, atol=1e-3)
  outer(2 * x, -y, 1.5)
  size = svm.fit._cache_size()
  fit(2 * x, -y, c=1.5, tol=1e-3, max_iters=50)
  fit(3 * x, -y, c=2.5, tol=1e-2, max_iters=60)
  assert svm.fit._cache_size() <= size + 1  # the first may be new, the second may not


def test_unknown_loss():
  with pytest.raises(ValueError, match="squared_hinge"):
    fit(*problem("noisy"), loss="logistic")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), log_c=st.floats(-2, 2), log_scale=st.floats(-2, 1.5),
       keep=st.floats(0.1, 1), loss=st.sampled_from(LOSSES))
def test_certified_on_random_problems(seed, log_c, log_scale, keep, loss):
  x, y = problem("noisy", seed)
  x, c = x * np.float32(10**log_scale), 10**log_c
  mask = np.random.default_rng(seed).random(N) < keep
  params, info = fit(x, y, mask, c=c, loss=loss)
  value = primal(params, x[mask], y[mask], c, loss)
  assert bool(info.converged)
  assert value <= dual_bound(x[mask], y[mask], c, loss) * (1 + 1.3e-4) + 1e-9


def enlarged(m, seed=0):
  """A labelled set and b = 3 candidates of m rows in float16, the last mostly masked."""
  rng = np.random.default_rng(seed)
  x, y = problem("noisy", seed)
  w = rng.normal(size=D)
  extra = rng.normal(size=(3, m, D)).astype(np.float16)
  extra_y = np.sign(extra @ w).astype(np.float32)
  extra_mask = rng.random((3, m)) < 0.7
  extra_mask[2] = np.arange(m) < 1
  return x.astype(np.float16), y, rng.random(N) < 0.9, extra, extra_y, extra_mask


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("m", [4, 12])  # fewer rows than dimensions, and more
def test_retraining_equals_separate_fits(m, loss):
  x, y, mask, extra_x, extra_y, extra_mask = enlarged(m)
  for c in (0.01, 1.0, 100.0):
    params, info = svm.retrain_with_one_extra(
        x, y, mask, extra_x, extra_y, extra_mask, c=c, loss=loss, tol=1e-4)
    assert params.w.shape == (3, D) and params.b.shape == (3,) and info.objective.shape == (3,)
    for i in range(3):
      rows = np.concatenate([x[mask], extra_x[i][extra_mask[i]]])
      labels = np.concatenate([y[mask], extra_y[i][extra_mask[i]]])
      value = primal(svm.SvmParams(params.w[i], params.b[i]), rows, labels, c, loss)
      bound = dual_bound(rows, labels, c, loss)
      assert bool(info.converged[i])
      assert float(info.objective[i]) == pytest.approx(value, rel=2e-5)
      assert bound * (1 - 1e-6) <= value <= bound * (1 + 1.2e-4)


def test_retraining_without_masks_from_a_solution(loss="squared_hinge"):
  x, y, _, extra_x, extra_y, _ = enlarged(4, seed=3)
  init, _ = fit(x, y, c=0.1, loss=loss)
  params, _ = svm.retrain_with_one_extra(
      x, y, None, extra_x, extra_y, None, c=0.1, loss=loss, init=init)
  for i in range(3):
    rows, labels = np.concatenate([x, extra_x[i]]), np.concatenate([y, extra_y[i]])
    value = primal(svm.SvmParams(params.w[i], params.b[i]), rows, labels, 0.1, loss)
    assert value == pytest.approx(dual_bound(rows, labels, 0.1, loss), rel=1.2e-4)


def test_retraining_with_nothing_added_is_the_base_problem():
  x, y, mask, extra_x, extra_y, _ = enlarged(4)
  garbage = np.full_like(extra_x, np.nan)
  params, info = svm.retrain_with_one_extra(
      x, y, mask, garbage, extra_y, np.zeros((3, 4), bool), c=1.0, loss="hinge", tol=1e-4)
  _, base = fit(x, y, mask)
  chex.assert_tree_all_finite(params)
  np.testing.assert_allclose(info.objective, float(base.objective), rtol=1e-4)
