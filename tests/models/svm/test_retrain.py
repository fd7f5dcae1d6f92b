"""Batched retraining: hard problems, bounded memory, and the parts it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import svm
from tal_jax.models.svm import batch as svm_batch, retrain as svm_retrain, solver as svm_solver
from tal_jax.models.svm.problem import LOSSES, as_rows

pytestmark = pytest.mark.slow

N, D, B, M = 120, 10, 7, 6


def problem(seed=0, *, scale=1.0, separable=False):
  """x, y of a labelled set and of B candidates."""
  rng = np.random.default_rng(seed)
  x = scale * rng.normal(size=(N + B * M, D)).astype(np.float32)
  noise = 0.0 if separable else 2.0
  y = np.where(x[:, 0] / scale + noise * rng.normal(size=len(x)) > 0.5, 1.0, -1.0)
  y = y.astype(np.float32)
  return x[:N], y[:N], x[N:].reshape(B, M, D), y[N:].reshape(B, M)




@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("c", [1e-3, 0.1, 10.0, 1e3])
@pytest.mark.parametrize("separable", [False, True])
def test_every_candidate_is_as_good_as_its_own_fit(loss, c, separable):
  x, y, extra_x, extra_y = problem(3, separable=separable)
  params, info = svm.retrain_with_one_extra(
      x, y, None, extra_x, extra_y, None, c=c, loss=loss, tol=1e-4)
  assert info.converged.all() and (info.duality_gap <= 1e-4).all()
  for i in range(B):
    rows, labels = np.concatenate([x, extra_x[i]]), np.concatenate([y, extra_y[i]])
    _, alone = svm.fit(rows, labels, c=c, loss=loss, tol=1e-5)
    assert float(info.objective[i]) <= float(alone.objective) * (1 + 1.2e-4)
    assert float(info.objective[i]) >= float(alone.objective) * (1 - 2e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-2, 30.0])
def test_features_of_any_length(loss, scale):
  x, y, extra_x, extra_y = problem(5, scale=scale)
  _, info = svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, c=1.0, loss=loss)
  assert info.converged.all()


@pytest.mark.parametrize("loss, tol", [("squared_hinge", 1e-4), ("hinge", 1e-3)])
def test_default_tolerances(loss, tol):
  x, y, extra_x, extra_y = problem()
  _, default = svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, loss=loss)
  _, explicit = svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, loss=loss, tol=tol)
  np.testing.assert_array_equal(default.duality_gap, explicit.duality_gap)
  assert (default.duality_gap <= tol).all()


def test_a_bound_on_iterations_is_reported_as_no_convergence():
  x, y, extra_x, extra_y = problem()
  _, info = svm.retrain_with_one_extra(
      x, y, None, extra_x, -extra_y, None, c=10.0, loss="hinge", tol=1e-5, max_iters=1)
  assert not info.converged.all()
  np.testing.assert_array_equal(info.converged, info.duality_gap <= 1e-5)
  assert (info.num_iters <= 1).all() and np.isfinite(info.objective).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_small_budget_gives_the_same_certificates(loss):
  x, y, extra_x, extra_y = problem(1)
  def solve(budget):
    return svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, loss=loss, tol=1e-5,
                                      byte_budget=budget)

  _, whole = solve(1 << 30)
  for budget in (1, 60_000):
    params, info = solve(budget)
    assert info.converged.all() and params.w.shape == (B, D)
    np.testing.assert_allclose(info.objective, whole.objective, rtol=2e-5)


def test_sizes_obey_the_budget():
  for b, n, m, d in ((1, 10, 1, 2), (256, 10_000, 50, 2048), (1000, 200_000, 64, 2048)):
    for kept in (0, n):
      for budget in (1, 10**8, 10**9, 10**12):
        chunk, group = svm_retrain._sizes(b, n, m, d, kept, budget)
        assert 1 <= chunk <= min(64, b) and group % chunk == 0 and group < b + chunk
        own = 4 * (3 * m * (d + 1) + 2 * kept)
        assert group == chunk == 1 or group * own <= budget


@pytest.mark.parametrize("loss", LOSSES)
def test_first_iterations_without_a_newton_matrix_and_a_softened_one(loss):
  """Neither changes what is solved: only how many steps it takes."""
  x, y, _, _ = problem(7)
  rows, theta = as_rows(x, y, None, None)
  start = svm_solver.cold_start(rows, theta, 0.1, loss)
  settings = {"c": 0.1, "loss": loss, "tol": 1e-5, "max_iters": 200}
  plain, _ = svm_solver.solve(rows, start, **settings)
  free, newton = svm_solver.solve(
      rows, start, **settings, matrix_free=2,
      soften=lambda u, curvature, sigma: 0.5 * (curvature + sigma[:, None]))
  assert plain.done.all() and free.done.all()
  assert float(free.best_objective[0]) == pytest.approx(float(plain.best_objective[0]), rel=2e-5)
  assert (newton.curvature >= 0.5 * free.sigma[0] * 0.99).all()  # what it was made of was softened


def test_small_matrices_of_woodbury():
  """Of rows of which some weigh nothing, and of a problem where none weighs anything."""
  rng = np.random.default_rng(0)
  v = rng.normal(size=(5, 8, 12))
  weights = rng.uniform(1, 100, size=(5, 8)) * (rng.random((5, 8)) < 0.5)
  weights[3] = 0
  gram = v @ v.transpose(0, 2, 1)
  shared = svm_batch.Preconditioner(jnp.zeros((1, 1)), jnp.zeros((5, 8, 1)),
                                    jnp.asarray(gram, jnp.float32))
  core = jax.jit(svm_batch._core)(shared, jnp.asarray(weights, jnp.float32))
  root = np.sqrt(weights)[:, :, None] * np.eye(8)
  expected = root @ np.linalg.inv(np.eye(8) + root @ gram @ root) @ root
  np.testing.assert_allclose(core, expected, atol=1e-4)
