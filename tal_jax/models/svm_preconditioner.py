"""The SVM's Newton matrices I + A' diag(curvature) A, and their factors.

A single problem affords its own; a batch of enlarged problems shares the base problem's
(`svm_batch`). Notation as in `svm_problem`.

Every factorisation is of one matrix at a time, a batch of them is a loop. jaxlib 0.10 splits a
batched LAPACK call into tasks for the thread pool that it runs on, and waits for them: as many such
calls at once as there are threads wait for ever (two, on two cores).
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm_blocks import gram
from tal_jax.models.svm_problem import Rows

_DAMPING = 1e-6  # of a matrix with unit diagonal
_MAX_RAISES = 7  # of the damping, tenfold each


def hessian(rows: Rows, curvature: chex.Array) -> chex.Array:
  """I + A' diag(curvature) A: [1, n] -> [d + 1, d + 1]; costs only rows that are curved."""
  weight = curvature[0] * rows.y**2
  return jnp.eye(rows.x.shape[1] + 1) + gram(rows.x[:, None], weight[:, None])


@jax.custom_batching.sequential_vmap
def _cholesky(matrix: chex.Array) -> chex.Array:
  """The lower factor of one matrix [D, D]; NaN where it is not positive definite."""
  return jnp.linalg.cholesky(matrix)


@jax.custom_batching.sequential_vmap
def _forward_substitute(factor: chex.Array, rhs: chex.Array) -> chex.Array:
  """L^-1 rhs: [D, D], [D, k] -> [D, k]."""
  return jax.scipy.linalg.solve_triangular(factor, rhs, lower=True)


@jax.custom_batching.sequential_vmap
def _back_substitute(factor: chex.Array, rhs: chex.Array) -> chex.Array:
  """L'^-1 rhs: [D, D], [D, k] -> [D, k]."""
  return jax.scipy.linalg.solve_triangular(factor, rhs, lower=True, trans=1)


def _damped_cholesky(hessian: chex.Array) -> tuple[chex.Array, chex.Array]:
  """L [D, D] and s [D] with L L' = diag(s) hessian diag(s), of unit diagonal, + damping.

  The damping grows until float32 finds the sum positive definite: with many rows, a large c and
  rank-deficient features the rounding of the Gram matrix exceeds the identity in it.
  """
  scale = jax.lax.rsqrt(jnp.diagonal(hessian))
  unit = hessian * scale[:, None] * scale
  eye = jnp.eye(hessian.shape[0])

  def more(carry):
    k, damping, _ = carry
    return k + 1, 10.0 * damping, _cholesky(unit + damping * eye)

  # The first round always runs: its factor stands in for one that failed.
  start = (0, jnp.asarray(_DAMPING), jnp.full_like(unit, jnp.nan))
  _, _, factor = jax.lax.while_loop(
      lambda carry: (carry[0] <= _MAX_RAISES) & jnp.isnan(carry[2]).any(), more, start)
  return factor, scale


class Factor(NamedTuple):
  """A damped Cholesky factorisation of one Newton matrix: L L' = diag(s) H diag(s) + damping."""

  lower: chex.Array  # [D, D]
  scale: chex.Array  # [D]

  def solve(self, r: chex.Array) -> chex.Array:
    """H^-1 r: [b, D] -> [b, D]."""
    z = _back_substitute(self.lower, _forward_substitute(self.lower, (r * self.scale).T))
    return z.T * self.scale


  def inverse(self) -> chex.Array:
    """F^-1 [D, D] with F F' = H: a batch multiplies by it instead of substituting."""
    return _forward_substitute(self.lower, jnp.eye(self.lower.shape[0])) * self.scale


@jax.jit
def factorise(gram: chex.Array, sigma: chex.Array) -> Factor:
  """The factor of I + sigma gram: [D, D], []."""
  return Factor(*_damped_cholesky(jnp.eye(gram.shape[0]) + sigma * gram))


def fresh_factor(rows: Rows, curvature: chex.Array) -> Factor:
  """The exact Newton matrix of one problem, factorised anew: [1, n] curvature."""
  return Factor(*_damped_cholesky(hessian(rows, curvature)))
