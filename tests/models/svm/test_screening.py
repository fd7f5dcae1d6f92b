"""Folded rows are the loss that they stand for, and a wrong choice of them costs no exactness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import svm
from tal_jax.models.svm import screening as svm_screening
from tal_jax.models.svm.newton import follow, no_newton
from tal_jax.models.svm.problem import as_rows

pytestmark = pytest.mark.slow

N, D, B, M, C = 1100, 12, 4, 6, 0.1


@pytest.fixture(scope="module")
def problem():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(N + B * M, D)).astype(np.float32)
  y = np.where(x[:, 0] + rng.normal(size=len(x)) > 0.5, 1.0, -1.0).astype(np.float32)
  return x[:N], y[:N], x[N:].reshape(B, M, D), y[N:].reshape(B, M)


def screened_at(x, y, mask, theta, loss):
  rows, _ = as_rows(x, y, mask, None)
  newton = follow(rows, no_newton(rows), 2.0 * C * rows.real)  # of all rows: not the exact one
  return jax.jit(svm_screening.screen, static_argnames="loss")(rows, theta[None], newton, C,
                                                               loss=loss)


@pytest.mark.parametrize("svm_loss", ["squared_hinge", "hinge"])
def test_the_quadratic_is_the_loss_of_the_folded_rows(problem, svm_loss):
  x, y, _, _ = problem
  mask = np.arange(N) % 7 > 0
  params, _ = svm.fit(x, y, mask, c=C, loss=svm_loss)
  theta = np.append(params.w, params.b)
  kept, rest, crowded = screened_at(x, y, mask, jnp.asarray(theta), svm_loss)
  assert not crowded
  a = (y[:, None] * np.concatenate([x, np.ones((N, 1))], 1)).astype(np.float64)
  folded = mask & ~np.isin(np.arange(N), kept)
  assert 0 < (1 - a[folded] @ theta > 0).mean() < 1
  nearest = np.argsort(np.where(mask, np.abs(1 - a @ theta), np.inf), kind="stable")
  assert set(np.asarray(kept).tolist()) == set(nearest[:len(kept)].tolist())

  def loss(theta):  # of all rows but the kept ones, in float64
    violation = np.maximum(1 - a[folded] @ theta, 0)
    return 0.5 * theta @ theta + C * (
        violation if svm_loss == "hinge" else violation**2).sum()

  rng = np.random.default_rng(1)
  for _ in range(5):
    moved = theta + 0.003 * rng.normal(size=D + 1)
    assert ((1 - a[folded] @ moved > 0) == (1 - a[folded] @ theta > 0)).all()
    step = jnp.asarray(moved - theta, jnp.float32)[None]
    slope = rest.gradient + rest.times(step)
    value = rest.value + 0.5 * ((rest.gradient + slope) * step).sum()
    assert float(value) == pytest.approx(loss(moved), rel=1e-6)


@pytest.mark.parametrize("loss, tol", [("squared_hinge", 1e-6), ("hinge", 1e-5)])
def test_candidates_are_as_good_as_their_own_fits(problem, monkeypatch, loss, tol):
  x, y, extra_x, extra_y = problem
  assert svm_screening.pays(N, D)
  monkeypatch.setattr(svm_screening, "pays", lambda *_: True)
  svm.retrain_with_one_extra.clear_cache()
  _, info = svm.retrain_with_one_extra(
      x, y, None, extra_x, extra_y, None, c=C, loss=loss, tol=tol)
  svm.retrain_with_one_extra.clear_cache()
  assert info.converged.all()
  for i in range(B):
    _, alone = svm.fit(np.concatenate([x, extra_x[i]]), np.concatenate([y, extra_y[i]]), c=C,
                       loss=loss, tol=tol)
    assert float(info.objective[i]) == pytest.approx(float(alone.objective), rel=2 * tol)


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


def test_multipliers_come_back_in_their_places():
  few = (jnp.full((B, 2), 7.0), jnp.full((B, M), 8.0))
  screened = svm_screening.Screened(jnp.array([3, 1]), None, jnp.asarray(False))
  whole = (jnp.zeros((B, 5)), jnp.zeros((B, M)))
  shared, own = svm_screening.put_back(few, whole, screened)
  assert shared[0].tolist() == [0, 7, 0, 7, 0] and (own == 8).all()
  assert svm_screening.kept_of((shared.at[:, 1].set(1.0), own), screened)[0][0].tolist() == [7, 1]
  none = jnp.zeros((B, 0))
  assert svm_screening.put_back((none, none), (none, none), screened)[0].shape == (B, 0)


def test_few_rows_are_left_alone():
  assert not svm_screening.pays(1000, 12)
  assert not svm_screening.pays(4000, 2048)
  assert svm_screening.pays(10_000, 2048)


def test_a_crowded_margin_is_not_screened(problem):
  """Features that say nothing and few positive rows: w = 0, b = -1, all others on the margin."""
  x, _, extra_x, extra_y = problem
  y = np.where(np.arange(N) % 10, -1.0, 1.0).astype(np.float32)
  base, _ = svm.fit(x, y, c=C, loss="hinge")
  assert np.linalg.norm(base.w) < 1e-2
  *_, crowded = screened_at(x, y, np.ones(N), jnp.append(base.w, base.b), "hinge")
  assert crowded
  _, info = svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, c=C, loss="hinge",
                                       tol=1e-5)
  assert info.converged.all()
