"""The SVM over a grid of shapes, scales and kinds of rows: certified, or no worse than LinearSVC.

The fast part has two shapes; `python -m pytest -m "" -n 0 -s tests/models/svm/test_grid.py` takes
all of them and prints the worst ratio of each.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tal_jax.models import svm
from tal_jax.models.svm import pool as svm_pool

pytestmark = pytest.mark.slow

LOSSES = ("hinge", "squared_hinge")
COSTS = (1e-3, 1e-2, 1.0, 100.0, 1e4)
TOL = 1e-4
KINDS = ("standardised", "signal", "unit", "unscaled", "shifted", "far shifted", "sparse",
         "duplicated", "contradictory", "constant", "constant rows", "one class", "low rank",
         "positive", "scales")
# Of which float32 certifies every solution; of the others some are beyond it.
CERTIFIED = ("standardised", "signal", "unit", "duplicated", "one class", "positive")
FAST = ((20, 300), (90, 60))
SLOW = ((1, 1), (1, 50), (2, 2), (2, 4096), (20, 20), (80, 500), (100, 80), (200, 200), (300, 2048),
        (300, 100), (1000, 1000), (1000, 50), (2000, 400), (20_000, 2), (20_000, 64))


def problem(kind, n, d, seed=0):
  rng = np.random.default_rng((seed, n, d))
  x, y = rng.normal(size=(n, d)), np.where(rng.random(n) < 0.2, 1.0, -1.0)
  half = n // 2
  if kind == "signal":
    y = np.sign(x @ rng.normal(size=d) + 0.5 * np.sqrt(d) * rng.normal(size=n))
  elif kind == "unit":
    x /= np.linalg.norm(x, axis=1, keepdims=True)
  elif kind == "unscaled":
    x *= 1e3
  elif kind in ("shifted", "far shifted"):
    x += 5.0 if kind == "shifted" else 100.0
  elif kind == "sparse":
    x *= rng.random(x.shape) < 0.03
  elif kind in ("duplicated", "contradictory"):
    x[half:2 * half] = x[:half]
    if kind == "duplicated":
      y[half:2 * half] = y[:half]
  elif kind == "constant":
    x[:] = x[0]
  elif kind == "constant rows":
    x[:] = rng.normal(size=(n, 1))
  elif kind == "low rank":
    x = rng.normal(size=(n, 5)) @ rng.normal(size=(5, d))
  elif kind == "positive":
    x = np.maximum(x, 0.0)
  elif kind == "scales":
    x *= np.logspace(-2, 2, d)
  y[0] = 1.0
  if n > 1:
    y[half] = -1.0
  if kind == "one class":
    y[:] = -1.0
  return x.astype(np.float32), y.astype(np.float32)


def fit(x, y, mask=None, init=None, **kwargs):
  """`svm.fit` with every argument an array, so that a shape is compiled once."""
  mask = np.ones(len(x), bool) if mask is None else mask
  init = svm.SvmParams(jnp.zeros(x.shape[1]), jnp.zeros(())) if init is None else init
  return svm.fit(x, y, mask, init=init, tol=TOL, **kwargs)


def objective(w, b, x, y, c, loss):
  """The objective in float64, as in the definition."""
  w, b, x = np.asarray(w, np.float64), float(b), np.asarray(x, np.float64)
  u = np.maximum(0.0, 1.0 - y * (x @ w + b))
  return 0.5 * (w @ w + b * b) + c * (u.sum() if loss == "hinge" else (u**2).sum())


def ratio(params, x, y, c, loss):
  """Our objective over that of LinearSVC at its default settings."""
  ours = objective(params.w, params.b, x, y, c, loss)
  if len(set(y)) < 2:  # which LinearSVC refuses
    return ours / (c * len(y))
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    model = LinearSVC(C=c, loss=loss, random_state=0).fit(x, y)
  theirs = objective(model.coef_[0], model.intercept_[0], x, y, c, loss)
  return ours / theirs if theirs > 0 else float(ours > 0)


def check(kind, params, info, x, y, c, loss):
  """The claim of one fit; its ratio."""
  name = f"{kind}, {len(x)} x {x.shape[1]}, {loss}, c = {c:g}"
  assert np.isfinite(params.w).all() and np.isfinite(params.b), name
  assert int(info.num_iters) <= 500, name
  value = objective(params.w, params.b, x, y, c, loss)
  if info.converged:  # up to the rounding of u, a number near 1 a row
    assert float(info.objective) == pytest.approx(value, rel=2 * TOL, abs=1e-6 * c * len(x)), name
  assert bool(info.converged) == (float(info.duality_gap) <= TOL), name
  if kind in CERTIFIED:
    assert bool(info.converged), name
  found = ratio(params, x, y, c, loss)
  assert found <= 1.0 + 2 * TOL, (name, found)
  return found


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [*FAST, *(pytest.param(s, marks=pytest.mark.exhaustive)
                                            for s in SLOW)], ids=str)
def test_fit(shape, loss):
  worst = 0.0, ""
  for kind in KINDS:
    x, y = problem(kind, *shape)
    for c in COSTS:
      params, info = jax.device_get(fit(x, y, c=c, loss=loss))
      worst = max(worst, (check(kind, params, info, x, y, c, loss), f"{kind}, c = {c:g}"))
  print(f"{shape} {loss}: our objective is at most {worst[0]:.6f} of LinearSVC's ({worst[1]})")


@pytest.mark.parametrize("loss", LOSSES)
def test_start(loss):
  """From the solution of most of the rows, and from nonsense, as from nothing."""
  x, y = problem("standardised", *FAST[0])
  plain, _ = fit(x, y, c=1.0, loss=loss)
  mask = np.arange(len(x)) < 15
  part, _ = fit(x, y, mask, c=1.0, loss=loss)
  for init in (part, svm.SvmParams(jnp.full(x.shape[1], 30.0), jnp.asarray(-7.0))):
    params, info = fit(x, y, c=1.0, loss=loss, init=init)
    assert bool(info.converged)
    assert objective(params.w, params.b, x, y, 1.0, loss) == pytest.approx(
        objective(plain.w, plain.b, x, y, 1.0, loss), rel=3 * TOL)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("d", [120, pytest.param(30, marks=pytest.mark.exhaustive)])
def test_retraining(d, loss):
  """Every enlarged problem, n + m = 30 rows."""
  tol = 1e-3 if loss == "hinge" else TOL
  for kind in ("standardised", "unit", "contradictory", "shifted"):
    x, y = problem(kind, 60, d)
    for c in (1e-2, 1.0, 100.0):
      params, info = jax.device_get(svm.retrain_with_one_extra(
          x[:20], y[:20], None, x[20:].reshape(4, 10, d), y[20:].reshape(4, 10), None, c=c,
          loss=loss))
      for i in range(4):
        rows = np.r_[:20, 20 + 10 * i:30 + 10 * i]
        one = svm.SvmParams(params.w[i], params.b[i])
        assert ratio(one, x[rows], y[rows], c, loss) <= 1.0 + 2 * tol, (kind, c, i)
        assert kind == "contradictory" or info.converged[i], (kind, c, i)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("streamed", [False, True])
def test_pool(loss, streamed):
  """Padded rows, and such that are not labelled, change nothing."""
  v, p, d = 6, 8, 100
  x, y = problem("standardised", v * p, d)
  exists = np.arange(p) < np.array([[8], [8], [5], [8], [1], [8]])
  labeled = exists & (np.arange(v) < 4)[:, None]
  features = np.where(exists[..., None], x.reshape(v, p, d), 0.0).astype(np.float32)
  for c in (1e-2, 1.0, 1e4):
    params, info, memory = svm_pool.fit(
        features if streamed else jnp.asarray(features), jnp.asarray(y.reshape(v, p)),
        jnp.asarray(labeled), jnp.asarray(exists), c=c, loss=loss, tol=TOL,
        memory=svm_pool.empty_memory(v, p, d))
    check("standardised", *jax.device_get((params, info)), x[labeled.ravel()],
          y[labeled.ravel()], c, loss)
    expected = np.where(exists, features @ np.asarray(params.w) + float(params.b), 0.0)
    np.testing.assert_allclose(memory.decisions, expected, atol=1e-4)
