"""The SVM of a pool against `svm.fit` on its rows, with and without memory, in memory or a file."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import svm
from tal_jax.models.svm import blocks as svm_blocks, pool as lib

V, P, D = 24, 20, 6
RNG = np.random.default_rng(1)
X = RNG.normal(size=(V, P, D)).astype(np.float32)
Y = np.where(X[..., 0] + RNG.normal(size=(V, P)) > 0.8, 1.0, -1.0).astype(np.float32)
EXISTS = RNG.random((V, P)) < 0.8
DIRTY = np.where(EXISTS[..., None], X, np.nan)
NEVER = svm.SvmParams(jnp.zeros(D), jnp.zeros(()))


def labeled(count):
  return jnp.asarray(EXISTS & (np.arange(V) < count)[:, None])


def fit(count, *, features=None, memory=None, loss="squared_hinge", c=1.0, tol=1e-6, **options):
  return lib.fit(jnp.asarray(DIRTY) if features is None else features, jnp.asarray(Y),
                 labeled(count), jnp.asarray(EXISTS), c=c, loss=loss, tol=tol,
                 memory=lib.empty_memory(V, P, D) if memory is None else memory, **options)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_equals_the_fit_of_its_rows(loss, c):
  tol = 1e-5
  params, info, memory = fit(12, loss=loss, c=c, tol=tol)
  real = np.asarray(labeled(12))
  wanted, wanted_info = svm.fit(X[real], Y[real], c=c, loss=loss, tol=tol)
  assert bool(info.converged) and bool(wanted_info.converged)
  np.testing.assert_allclose(info.objective, wanted_info.objective, rtol=3 * tol)
  # The certificate, from the definition, in float64.
  theta = np.append(np.float64(params.w), np.float64(params.b))
  rows = np.concatenate([X[real], np.ones((real.sum(), 1))], 1) * Y[real][:, None]
  u = np.maximum(1 - rows @ theta, 0)
  np.testing.assert_allclose(info.objective, 0.5 * theta @ theta + c * (
      u if loss == "hinge" else u**2).sum(), rtol=1e-5)
  np.testing.assert_allclose(memory.decisions, np.where(EXISTS, X @ theta[:-1] + theta[-1], 0),
                             atol=1e-4)


def test_a_start_from_a_part_of_many_rows(monkeypatch):
  wanted, _, _ = fit(V)
  monkeypatch.setattr(lib, "_LARGE", 4)
  params, info, memory = fit(V)
  assert bool(info.converged)
  chex.assert_trees_all_close(params, wanted, atol=2e-3)
  assert (np.asarray(memory.curved) <= EXISTS).all()


def test_growing_labels_with_memory(monkeypatch):
  """Warm fits certify as cold ones do; the Gram matrix is that of its rows after any history."""
  passes = []
  original = svm_blocks.margins
  monkeypatch.setattr(lib, "margins", lambda *args: passes.append(1) or original(*args))
  params, memory = NEVER, None
  for count in (4, 8, 12, 16, 20, 24, 10):
    before = len(passes)
    params, info, memory = fit(count, memory=memory)
    assert bool(info.converged)
    assert len(passes) - before <= int(info.num_iters) + 2
    rows = np.concatenate([X, np.ones((V, P, 1))], 2)[np.asarray(memory.curved)]
    np.testing.assert_allclose(memory.gram, rows.T @ rows, atol=1e-3)
    np.testing.assert_allclose(memory.pull, Y[np.asarray(memory.curved)] @ rows, atol=1e-3)
  chex.assert_trees_all_close(params, fit(10)[0], atol=2e-3)
  before = len(passes)
  again, info, _ = fit(10, memory=memory)
  assert int(info.num_iters) == 0 and len(passes) == before  # solved: not one pass forward
  chex.assert_trees_all_equal(again, params)


def test_the_same_memory_gives_the_same_bits():
  memory = fit(8)[2]
  chex.assert_trees_all_equal(fit(12, memory=memory), fit(12, memory=memory))


def test_another_start_than_the_one_remembered():
  memory = fit(8)[2]
  start = svm.SvmParams(jnp.arange(6.0), jnp.asarray(1.0))
  chex.assert_trees_all_close(fit(12, memory=memory, start=start)[0], fit(12)[0], atol=2e-3)


def test_a_file_gives_what_memory_gives(tmp_path):
  stored = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=X.shape)
  stored[:] = DIRTY
  got, info, memory = fit(12, features=stored)
  wanted, wanted_info, _ = fit(12)
  assert int(info.num_iters) == int(wanted_info.num_iters)
  chex.assert_trees_all_close(got, wanted, atol=1e-5)
  warm, _, _ = fit(16, features=stored, memory=memory)
  chex.assert_trees_all_close(warm, fit(16)[0], atol=2e-3)


@pytest.mark.parametrize("spoilt", ["gram", "pull", "curved"])
def test_a_wrong_memory_costs_steps_not_accuracy(spoilt):
  memory = fit(8)[2]
  wrong = {"gram": 1.3 * memory.gram, "pull": memory.pull + 5.0, "curved": ~memory.curved}
  params, info, _ = fit(12, memory=memory._replace(**{spoilt: wrong[spoilt]}))
  assert bool(info.converged)
  chex.assert_trees_all_close(params, fit(12)[0], atol=2e-3)


def test_labels_that_change():
  """Rows that are remembered with another label."""
  other = jnp.where(jnp.arange(V)[:, None] % 3 == 0, -1.0, 1.0) * jnp.asarray(Y)

  def run(memory):
    return lib.fit(jnp.asarray(DIRTY), other, labeled(12), jnp.asarray(EXISTS), c=1.0,
                   loss="squared_hinge", tol=1e-6, memory=memory)

  (params, info, _), (wanted, _, _) = run(fit(12)[2]), run(lib.empty_memory(V, P, D))
  assert bool(info.converged)
  chex.assert_trees_all_close(params, wanted, atol=2e-3)


def test_bounded_and_refused():
  _, info, _ = fit(12, max_iters=0)
  assert not bool(info.converged) and float(info.duality_gap) > 0.01
  with pytest.raises(ValueError, match="loss"):
    fit(12, loss="log")


def test_decisions_are_remembered_for_their_parameters_alone():
  params, _, memory = fit(8)
  features = jnp.asarray(DIRTY)
  assert lib.decisions(features, jnp.asarray(EXISTS), params, memory) is memory.decisions
  other = lib.decisions(features, jnp.asarray(EXISTS), NEVER._replace(b=jnp.asarray(2.0)), memory)
  np.testing.assert_array_equal(other, np.where(EXISTS, 2.0, 0.0))
