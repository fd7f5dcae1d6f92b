"""Preconditioners of the SVM's Newton systems (I + A' diag(weights) A) v = r.

Each takes the weights [b, n + m] and returns a function r -> M^-1 r on [b, d + 1]. A single
problem affords its exact Newton matrix; a batch of enlarged problems shares the base problem's,
corrected for each candidate's own rows. Notation as in `svm_problem`.

Every factorisation is of one matrix at a time, a batch of them is a loop. jaxlib 0.10 splits a
batched LAPACK call into tasks for the thread pool that it runs on, and waits for them: as many such
calls at once as there are threads wait for ever (two, on two cores).
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm_problem import PRECISION, Rows

_DAMPING = 1e-6  # of a matrix with unit diagonal
_MAX_RAISES = 7  # of the damping, tenfold each


def base_hessian(rows: Rows, curvature: chex.Array) -> chex.Array:
  """I + A' diag(curvature) A over the shared rows: [1, n] -> [d + 1, d + 1]."""
  weight = curvature[0] * rows.y**2
  weighted = rows.x * weight[:, None]
  gram = jnp.matmul(weighted.T, rows.x, precision=PRECISION)
  border = weighted.sum(0)
  hessian = jnp.block([[gram, border[:, None]], [border[None], weight.sum()[None, None]]])
  return hessian + jnp.eye(hessian.shape[0])


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


def _inverse(hessian: chex.Array) -> chex.Array:
  """The inverse of one matrix [D, D]: a preconditioner may be multiplied out."""
  factor, scale = _damped_cholesky(hessian)
  inverse = _back_substitute(factor, _forward_substitute(factor, jnp.eye(hessian.shape[0])))
  return inverse * scale[:, None] * scale


def fresh_factor(rows: Rows, curvature: chex.Array):
  """The exact Newton matrix of one problem, factorised anew: [1, n] curvature."""
  factor, scale = _damped_cholesky(base_hessian(rows, curvature))

  def solve(r):
    return _back_substitute(factor, _forward_substitute(factor, (r * scale).T)).T * scale

  return solve


def corrected_factor(rows: Rows, hessian: chex.Array, curvature: chex.Array):
  """The base problem's Newton matrix plus each candidate's own rows: B + E' diag(s) E."""
  s = curvature[:, rows.x.shape[0]:] * rows.extra.y**2
  ones = jnp.ones(rows.extra.y.shape + (1,))
  e = jnp.concatenate([rows.extra.x, ones], 2) * jnp.sqrt(s)[..., None]
  if e.shape[1] >= e.shape[2]:
    inverses = jax.lax.map(
        _inverse, hessian + jnp.einsum("bmi,bmj->bij", e, e, precision=PRECISION))
    return lambda r: jnp.einsum("bij,bj->bi", inverses, r, precision=PRECISION)
  # Fewer rows than dimensions: Woodbury, (B + E'E)^-1 = B^-1 - B^-1 E' (I + E B^-1 E')^-1 E B^-1.
  factor, scale = _damped_cholesky(hessian)
  b, m, d = e.shape
  half = _forward_substitute(factor, (e * scale).reshape(b * m, d).T)
  half = half.T.reshape(b, m, d)  # E L^-T, so that E B^-1 E' = half half'
  small = jax.lax.map(_inverse, jnp.eye(m) + jnp.einsum(
      "bid,bjd->bij", half, half, precision=PRECISION))

  def solve(r):
    z = _forward_substitute(factor, (r * scale).T).T
    t = jnp.einsum("bij,bj->bi", small, jnp.einsum("bmd,bd->bm", half, z, precision=PRECISION),
                   precision=PRECISION)
    z = z - jnp.einsum("bm,bmd->bd", t, half, precision=PRECISION)
    return _back_substitute(factor, z.T).T * scale

  return solve
