"""The SVM's Newton matrices I + A' diag(curvature) A, and their factors.

A single problem affords its own; a batch of enlarged problems shares the base problem's
(`batch`). Notation as in `problem`.

Every factorisation is of one matrix at a time, a batch of them is a loop. jaxlib 0.10 splits a
batched LAPACK call into tasks for the thread pool that it runs on, and waits for them: as many such
calls at once as there are threads wait for ever (two, on two cores).
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm.blocks import gram
from tal_jax.models.svm.problem import PRECISION, Rows

_DAMPING = 1e-6  # of a matrix with unit diagonal
_MAX_RAISES = 7  # of the damping, tenfold each


@jax.custom_batching.sequential_vmap
def _inverse_factor(matrix: chex.Array) -> chex.Array:
  """L^-1 where L L' = matrix [D, D]; NaN where it is not positive definite."""
  lower = jnp.linalg.cholesky(matrix)
  return jax.scipy.linalg.solve_triangular(lower, jnp.eye(matrix.shape[0]), lower=True)


def damped_factor(hessian: chex.Array) -> Factor:
  """The factor of a matrix that is scaled to a unit diagonal and damped.

  The damping grows until float32 finds the sum positive definite: with many rows, a large c and
  rank-deficient features the rounding of the Gram matrix exceeds the identity in it.
  """
  scale = jax.lax.rsqrt(jnp.diagonal(hessian))
  unit = hessian * scale[:, None] * scale
  eye = jnp.eye(hessian.shape[0])

  def more(carry):
    k, damping, _ = carry
    return k + 1, 10.0 * damping, _inverse_factor(unit + damping * eye)

  # The first round always runs: its factor stands in for one that failed.
  start = (0, jnp.asarray(_DAMPING), jnp.full_like(unit, jnp.nan))
  _, _, inverse = jax.lax.while_loop(
      lambda carry: (carry[0] <= _MAX_RAISES) & jnp.isnan(carry[2]).any(), more, start)
  return Factor(inverse * scale)


class Factor(NamedTuple):
  """F^-1 with F F' = H, up to a little damping.

  To multiply by it is ten times as fast as LAPACK's substitution, for a few right-hand sides.
  """

  inverse: chex.Array  # [D, D]

  def solve(self, r: chex.Array) -> chex.Array:
    """H^-1 r: [b, D] -> [b, D]."""
    z = jnp.einsum("bi,ji->bj", r, self.inverse, precision=PRECISION)
    return jnp.matmul(z, self.inverse, precision=PRECISION)


@jax.jit
def factorise(gram: chex.Array, sigma: chex.Array) -> Factor:
  """The factor of I + sigma gram: [D, D], []."""
  return damped_factor(jnp.eye(gram.shape[0]) + sigma * gram)


class Newton(NamedTuple):
  """A Newton matrix, what it was made of, and its factor."""

  matrix: chex.Array  # [D, D] I + A' diag(curvature) A
  curvature: chex.Array  # [1, n]
  factor: Factor


def no_newton(rows: Rows) -> Newton:
  """That of rows without curvature: the identity."""
  size = rows.x.shape[1] + 1
  return Newton(jnp.eye(size), jnp.zeros_like(rows.real), Factor(jnp.eye(size)))


def follow(rows: Rows, newton: Newton, curvature: chex.Array) -> Newton:
  """The Newton matrix at another curvature [1, n], from the rows that changed."""
  matrix = followed(rows, newton, curvature)
  return Newton(matrix, curvature, damped_factor(matrix))


def followed(rows: Rows, newton: Newton, curvature: chex.Array) -> chex.Array:
  """`follow` without the factor: [D, D]. Anew, if that takes fewer rows."""
  change = curvature - newton.curvature
  anew = (change != 0).sum() >= (curvature > 0).sum()
  weight = jnp.where(anew, curvature, change)[0] * rows.y**2
  start = jnp.where(anew, jnp.eye(newton.matrix.shape[0]), newton.matrix)
  return start + gram(rows.x[:, None], weight[:, None])  # costs only rows of non-zero weight
