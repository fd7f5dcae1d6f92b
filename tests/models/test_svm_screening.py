"""Folded rows are the loss that they stand for, and a wrong choice of them costs no exactness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import svm, svm_screening
from tal_jax.models.svm_preconditioner import follow, no_newton
from tal_jax.models.svm_problem import as_rows

N, D, B, M, C = 1100, 12, 4, 6, 0.1


@pytest.fixture(scope="module")
def problem():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(N + B * M, D)).astype(np.float32)
  y = np.where(x[:, 0] + rng.normal(size=len(x)) > 0.5, 1.0, -1.0).astype(np.float32)
  return x[:N], y[:N], x[N:].reshape(B, M, D), y[N:].reshape(B, M)


def screened_at(x, y, mask, theta):
  rows, _ = as_rows(x, y, mask, None)
  newton = follow(rows, no_newton(rows), 2.0 * C * rows.real)  # of all rows: not the exact one
  return jax.jit(svm_screening.screen)(rows, theta[None], newton, C)


def test_the_quadratic_is_the_loss_of_the_folded_rows(problem):
  x, y, _, _ = problem
  mask = np.arange(N) % 7 > 0
  params, _ = svm.fit(x, y, mask, c=C, loss="squared_hinge")
  theta = np.append(params.w, params.b)
  kept, rest = screened_at(x, y, mask, jnp.asarray(theta))
  a = (y[:, None] * np.concatenate([x, np.ones((N, 1))], 1)).astype(np.float64)
  folded = mask & ~np.isin(np.arange(N), kept)
  assert 0 < (1 - a[folded] @ theta > 0).mean() < 1
  nearest = np.argsort(np.where(mask, np.abs(1 - a @ theta), np.inf), kind="stable")
  assert set(np.asarray(kept).tolist()) == set(nearest[:len(kept)].tolist())

  def loss(theta):  # of all rows but the kept ones, in float64
    return 0.5 * theta @ theta + C * (np.maximum(1 - a[folded] @ theta, 0)**2).sum()

  rng = np.random.default_rng(1)
  for _ in range(5):
    moved = theta + 0.003 * rng.normal(size=D + 1)
    assert ((1 - a[folded] @ moved > 0) == (1 - a[folded] @ theta > 0)).all()
    step = jnp.asarray(moved - theta, jnp.float32)[None]
    slope = rest.gradient + rest.times(step)
    value = rest.value + 0.5 * ((rest.gradient + slope) * step).sum()
    assert float(value) == pytest.approx(loss(moved), rel=1e-6)


def test_candidates_are_as_good_as_their_own_fits(problem):
  x, y, extra_x, extra_y = problem
  assert svm_screening.pays(N, D, "squared_hinge")
  _, info = svm.retrain_with_one_extra(
      x, y, None, extra_x, extra_y, None, c=C, loss="squared_hinge", tol=1e-6)
  assert info.converged.all()
  for i in range(B):
    _, alone = svm.fit(np.concatenate([x, extra_x[i]]), np.concatenate([y, extra_y[i]]), c=C,
                       loss="squared_hinge", tol=1e-6)
    assert float(info.objective[i]) == pytest.approx(float(alone.objective), rel=2e-6)


def test_rows_folded_by_mistake_are_found_out(problem, monkeypatch):
  """Candidates that turn everything round: few folded rows keep their side."""
  x, y, extra_x, extra_y = problem
  loud = 30.0 * extra_x, -extra_y
  _, info = svm.retrain_with_one_extra(x, y, None, *loud, None, c=C, loss="squared_hinge")
  monkeypatch.setattr(svm_screening, "pays", lambda *_: False)
  svm.retrain_with_one_extra.clear_cache()
  _, without = svm.retrain_with_one_extra(x, y, None, *loud, None, c=C, loss="squared_hinge")
  svm.retrain_with_one_extra.clear_cache()
  assert info.converged.all() and without.converged.all()
  np.testing.assert_allclose(info.objective, without.objective, rtol=2e-4)


def test_few_rows_and_the_hinge_are_left_alone():
  assert not svm_screening.pays(1000, 12, "squared_hinge")
  assert not svm_screening.pays(4000, 2048, "squared_hinge")
  assert not svm_screening.pays(100_000, 12, "hinge")
