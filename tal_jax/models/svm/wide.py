"""Solves an SVM of few, long rows: `solver`'s method, its Newton step in the dual variables.

With n rows of d > n dimensions the Newton matrix I + A' diag(curvature) A is a large matrix that
knows little: float32 loses its identity beside rows of length sqrt(d). Every iterate is of the form
theta = A' beta, and in beta the step solves a small system. With K = A A', the curved rows S, sigma
on them, and alpha the dual point of theta:

    beta_i moves by alpha_i - beta_i                        i not in S
    (I / sigma + K_SS) move_S = (alpha - beta)_S / sigma - K_SN move_N

in which nothing cancels, whatever sigma is. The certificates are those of theta.

Source: the semismooth Newton system of Li, Sun and Toh (2018) by the matrix inversion lemma.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm import solver as svm_solver
from tal_jax.models.svm.newton import Factor, damped_factor
from tal_jax.models.svm.problem import (
  PRECISION,
  Rows,
  backward,
  dual_point,
  forward,
  newton_weights,
)

_ROWS = 2  # per dimension, at most: beyond, the matrix over the dimensions is the small one
_SMOOTH = 10.0  # sigma at the start, in units of 1 / mean |a|^2
_STALE = 0.05  # curvature that changed, as a share, after which the matrix is made again
_CG_TOL = 1e-3  # of the residual, relative to the right-hand side
_MAX_CG_ITERS = 30
_LARGEST_RESCUE = 1024  # dimensions up to which `solver` tries what is not certified here


class _Newton(NamedTuple):
  curvature: chex.Array  # [1, n]
  factor: Factor  # of I + diag(curvature)^(1/2) K diag(curvature)^(1/2)


def pays(num_rows: int, dim: int) -> bool:
  """Whether a problem of this shape is one of few, long rows."""
  return num_rows <= _ROWS * dim


def solve_any(rows: Rows, theta: chex.Array, *, c, loss: str, tol, max_iters,
              is_wide: bool | None = None) -> svm_solver.State:
  """`solve`, or `solver.solve` where there are many rows (or `is_wide` says so)."""
  if pays(*rows.x.shape) if is_wide is None else is_wide:
    return solve(rows, theta, c=c, loss=loss, tol=tol, max_iters=max_iters)
  start = svm_solver.cold_start(rows, theta, c, loss)
  return svm_solver.solve(rows, start, c=c, loss=loss, tol=tol, max_iters=max_iters)[0]


def solve(rows: Rows, theta: chex.Array, *, c, loss: str, tol, max_iters) -> svm_solver.State:
  """The state at the end, certified where `done`.

  Args:
    rows: the problem, n of them.
    theta: [1, d + 1] where to start.
    c, loss, tol, max_iters: as in `svm.fit`.
  """
  c = jnp.asarray(c, jnp.float32)
  kernel = _kernel(rows)
  length = jnp.diagonal(kernel).sum() / jnp.maximum(rows.real.sum(), 1.0)
  start = svm_solver.cold_start(rows, theta, c, loss)
  start = start._replace(sigma=jnp.minimum(start.sigma, _SMOOTH / jnp.maximum(length, 1e-30)))
  beta = jax.lax.cond(theta.any(), lambda: _projected(rows, kernel, theta),
                      lambda: jnp.zeros_like(rows.real))
  state = _loop(rows, kernel, start, beta, c, loss, tol, max_iters)
  if rows.x.shape[1] > _LARGEST_RESCUE:
    return state
  return jax.lax.cond(
      ~state.done[0] & (state.num_iters[0] <= max_iters),
      lambda: _rescued(rows, state, c, loss, tol, max_iters), lambda: state)


def _loop(rows: Rows, kernel, start, beta, c, loss, tol, max_iters) -> svm_solver.State:
  real, n = rows.real, rows.y.shape[0]

  def iterate(carry):
    state, beta, newton = carry
    state = state._replace(theta=backward(rows, beta))
    u = 1.0 - forward(rows, state.theta)
    alpha = dual_point(real, u, state.multipliers, state.sigma, c, loss)
    certified = svm_solver.certify(real, state, u, alpha, backward(rows, alpha), c, loss, tol)
    was_going = svm_solver.unfinished(state, max_iters)
    state = jax.tree.map(functools.partial(svm_solver.where, was_going), certified, state)
    curvature = newton_weights(real, u, state.multipliers, state.sigma, c, loss)
    needs_step = svm_solver.unfinished(state, max_iters).any()
    move, newton = _move(kernel, newton, curvature, alpha - beta, needs_step)
    step = backward(rows, move)
    state, size = svm_solver.advance(real, state, step, forward(rows, step), c, loss, tol,
                                     max_iters)
    return state, beta + size[:, None] * move, newton

  newton = _Newton(jnp.zeros_like(real), Factor(jnp.eye(n)))
  state, _, _ = jax.lax.while_loop(
      lambda carry: svm_solver.unfinished(carry[0], max_iters).any(), iterate,
      (svm_solver.begin(real, start, c), beta, newton))
  return state


def _rescued(rows: Rows, state: svm_solver.State, c, loss, tol, max_iters) -> svm_solver.State:
  """Goes on over the dimensions: rows that repeat each other make a kernel matrix that is flat."""
  start = svm_solver.cold_start(rows, state.best_theta, c, loss)
  other, _ = svm_solver.solve(rows, start, c=c, loss=loss, tol=tol,
                              max_iters=max_iters - state.num_iters[0])
  better = (other.best_objective < state.best_objective) | other.done
  best = jax.tree.map(functools.partial(svm_solver.where, better), other, state)
  return best._replace(
      best_dual=jnp.maximum(other.best_dual, state.best_dual),
      num_iters=state.num_iters + other.num_iters)


def _kernel(rows: Rows) -> chex.Array:
  """K = A A': [n, n]."""
  a = rows.x * rows.y[:, None]
  return jnp.matmul(a, a.T, precision=PRECISION) + rows.y[:, None] * rows.y


def _newton(kernel, curvature) -> _Newton:
  root = jnp.sqrt(curvature[0])
  return _Newton(curvature, damped_factor(
      jnp.eye(root.shape[0]) + root[:, None] * kernel * root))


def _move(kernel, newton: _Newton, curvature, missing, needs_step) -> tuple[chex.Array, _Newton]:
  """The Newton step in beta, by conjugate gradients; missing: [1, n] alpha - beta.

  A matrix is made and factorised, if the last one will not do, where they need one.
  """
  root = jnp.sqrt(curvature)
  outside = jnp.where(curvature > 0, 0.0, missing)
  rhs = (jnp.where(curvature > 0, missing / jnp.where(curvature > 0, root, 1.0), 0.0)
         - root * jnp.matmul(outside, kernel, precision=PRECISION))

  def hessian(z):
    return z + root * jnp.matmul(root * z, kernel, precision=PRECISION)

  def solve(start, precondition):
    return jax.scipy.sparse.linalg.cg(hessian, rhs, x0=start, tol=_CG_TOL, maxiter=_MAX_CG_ITERS,
                                      M=precondition)[0]

  def factorised(newton: _Newton):
    stale = jnp.abs(curvature - newton.curvature).sum() > _STALE * curvature.sum()
    newton = jax.lax.cond(stale, lambda: _newton(kernel, curvature), lambda: newton)
    return solve(plain, newton.factor.solve), newton

  diagonal = 1.0 + curvature * jnp.diagonal(kernel)
  plain = solve(jnp.zeros_like(rhs), lambda r: r / diagonal)
  enough = ((rhs - hessian(plain))**2).sum() <= _CG_TOL**2 * (rhs**2).sum()
  z, newton = jax.lax.cond(needs_step & ~enough, factorised, lambda newton: (plain, newton), newton)
  return outside + root * z, newton


def _projected(rows: Rows, kernel, theta) -> chex.Array:
  """beta of a point A' beta near theta, with about its decisions: [1, n]."""
  diagonal = jnp.maximum(jnp.diagonal(kernel), 1e-30)
  beta, _ = jax.scipy.sparse.linalg.cg(
      lambda z: jnp.matmul(z, kernel, precision=PRECISION), forward(rows, theta), tol=_CG_TOL,
      maxiter=_MAX_CG_ITERS, M=lambda r: r / diagonal)
  return beta * rows.real
