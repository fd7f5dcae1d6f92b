"""Factorisations are of one matrix at a time, and invert what they should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from tal_jax.models import svm
from tal_jax.models.svm import newton as svm_preconditioner
from tal_jax.models.svm.problem import LOSSES

S, F = jax.ShapeDtypeStruct, jnp.float32
LAPACK = ("cholesky", "triangular_solve")


def equations(jaxpr):
  """All equations, those of inner programs included."""
  for equation in jaxpr.eqns:
    yield equation
    for value in jax.tree.leaves(list(equation.params.values()),
                                 is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")):
      inner = value.jaxpr if isinstance(value, core.ClosedJaxpr) else value
      if hasattr(inner, "eqns"):
        yield from equations(inner)


def ranks(function, *args):
  """The rank of the matrix of every LAPACK call."""
  jaxpr = jax.make_jaxpr(function)(*args).jaxpr
  return [equation.invars[0].aval.ndim for equation in equations(jaxpr)
          if equation.primitive.name in LAPACK]


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("m", [3, 12])
def test_no_batched_factorisation(m, loss):
  """Two batched LAPACK calls at once can deadlock jaxlib 0.10 on two cores, so there are none."""

  def retrain(x, y, extra_x, extra_y):
    return svm.retrain_with_one_extra(x, y, None, extra_x, extra_y, None, loss=loss)

  shapes = (S((2, 20, 5), F), S((2, 20), F), S((2, 4, m, 5), F), S((2, 4, m), F))
  found = ranks(jax.vmap(retrain), *shapes)
  assert len(found) >= 4 and set(found) == {2}
  found = ranks(jax.vmap(lambda x, y: svm.fit(x, y, loss=loss)), *shapes[:2])
  assert len(found) >= 2 and set(found) == {2}


def test_the_walk_sees_batched_calls():
  assert ranks(jax.jit(jax.vmap(jnp.linalg.cholesky)), S((3, 4, 4), F)) == [3]


def test_inverse_of_a_factor_also_under_vmap_and_of_a_singular_matrix():
  a = np.random.default_rng(0).normal(size=(3, 6, 6))
  grams = (a @ a.transpose(0, 2, 1)).astype(np.float32)

  def half(gram, sigma):
    return svm_preconditioner.factorise(gram, sigma).inverse

  halves = np.asarray(jax.vmap(half, in_axes=(0, None))(grams, 2.0))
  inverses = halves.transpose(0, 2, 1) @ halves
  np.testing.assert_allclose(
      inverses, np.linalg.inv(np.eye(6) + 2.0 * grams.astype(np.float64)), atol=1e-4)
  assert np.isfinite(half(jnp.ones((6, 6)), 1e12)).all()
