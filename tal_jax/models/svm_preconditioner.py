"""Preconditioners of the SVM's Newton systems (I + A' diag(weights) A) v = r.

Each takes the weights [b, n + m] and returns a function r -> M^-1 r on [b, d + 1]. A single
problem affords its exact Newton matrix; a batch of enlarged problems shares the base problem's,
corrected for each candidate's own rows. Notation as in `svm_problem`.
"""

from __future__ import annotations

from collections.abc import Callable

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


def _cholesky_solver(hessian: chex.Array) -> Callable[[chex.Array], chex.Array]:
  """r -> hessian^-1 r for [..., D, D]."""
  factor, scale = _damped_cholesky(hessian)

  def solve(r):
    return jax.scipy.linalg.cho_solve((factor, True), (r * scale)[..., None])[..., 0] * scale

  return solve


def _damped_cholesky(hessian: chex.Array) -> tuple[chex.Array, chex.Array]:
  """L [..., D, D] and s [..., D] with L L' = diag(s) hessian diag(s), of unit diagonal, + damping.

  The damping grows until float32 finds the sum positive definite: with many rows, a large c and
  rank-deficient features the rounding of the Gram matrix exceeds the identity in it.
  """
  scale = jax.lax.rsqrt(jnp.diagonal(hessian, axis1=-2, axis2=-1))
  unit = hessian * scale[..., :, None] * scale[..., None, :]
  eye = jnp.eye(hessian.shape[-1])

  def failed(factor):
    return jnp.isnan(factor).any((-2, -1))

  def more(carry):
    _, damping, factor = carry
    damping = jnp.where(failed(factor), 10.0 * damping, damping)
    return carry[0] + 1, damping, jnp.linalg.cholesky(unit + damping[..., None, None] * eye)

  damping = jnp.full(hessian.shape[:-2], _DAMPING)
  carry = (0, damping, jnp.linalg.cholesky(unit + _DAMPING * eye))
  _, _, factor = jax.lax.while_loop(
      lambda carry: (carry[0] < _MAX_RAISES) & failed(carry[2]).any(), more, carry)
  return factor, scale


def fresh_factor(rows: Rows, curvature: chex.Array):
  """The exact Newton matrix of one problem, factorised anew: [1, n] curvature."""
  return _cholesky_solver(base_hessian(rows, curvature)[None])


def corrected_factor(rows: Rows, hessian: chex.Array, curvature: chex.Array):
  """The base problem's Newton matrix plus each candidate's own rows: B + E' diag(s) E."""
  s = curvature[:, rows.x.shape[0]:] * rows.extra.y**2
  ones = jnp.ones(rows.extra.y.shape + (1,))
  e = jnp.concatenate([rows.extra.x, ones], 2) * jnp.sqrt(s)[..., None]
  if e.shape[1] >= e.shape[2]:
    return _cholesky_solver(hessian + jnp.einsum("bmi,bmj->bij", e, e, precision=PRECISION))
  # Fewer rows than dimensions: Woodbury, (B + E'E)^-1 = B^-1 - B^-1 E' (I + E B^-1 E')^-1 E B^-1.
  factor, scale = _damped_cholesky(hessian)
  b, m, d = e.shape
  half = jax.scipy.linalg.solve_triangular(factor, (e * scale).reshape(b * m, d).T, lower=True)
  half = half.T.reshape(b, m, d)  # E L^-T, so that E B^-1 E' = half half'
  small = jnp.eye(m) + jnp.einsum("bid,bjd->bij", half, half, precision=PRECISION)
  small_factor = jnp.linalg.cholesky(small)

  def solve(r):
    z = jax.scipy.linalg.solve_triangular(factor, (r * scale).T, lower=True).T
    t = jnp.einsum("bmd,bd->bm", half, z, precision=PRECISION)
    t = jax.scipy.linalg.cho_solve((small_factor, True), t[..., None])[..., 0]
    z = z - jnp.einsum("bm,bmd->bd", t, half, precision=PRECISION)
    return jax.scipy.linalg.solve_triangular(factor, z.T, lower=True, trans=1).T * scale

  return solve
