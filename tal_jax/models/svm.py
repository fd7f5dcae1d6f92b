"""Linear support vector machines with a certificate, one at a time or one per extra video.

Notation: x: [n, d] features; y: [n] in {-1, +1}; theta = (w, b) in R^(d+1), b the weight of a
constant feature 1 and regularised like the others (LIBLINEAR's `bias=1`); A: the rows
y_i (x_i, 1); u = 1 - A theta, so that row i violates its margin where u_i > 0.

    P(theta) = |theta|^2 / 2 + c sum_i loss(u_i)     loss = max(0, u) or max(0, u)^2
    D(alpha) = sum_i alpha_i - |A' alpha|^2 / 2 - [squared] sum_i alpha_i^2 / (4 c)

with 0 <= alpha_i (<= c for the hinge). Both losses are solved by one method, the augmented
Lagrangian of the dual with a semismooth Newton method inside (Li, Sun and Toh, 2018; Yan and Li,
2020): minimise over theta

    |theta|^2 / 2 + sum_i psi(u_i),   psi'(u_i) = alpha_i = clip(lambda_i + sigma u_i, 0, cap),

then set lambda <- alpha. For the hinge, cap = c. For the squared hinge lambda = 0, sigma = 2 c and
cap = inf make psi the loss itself, so that the first inner problem is already the whole one.

The certificate needs no solved subproblem: alpha is feasible at every iterate, and

    P(theta) - D(alpha) = |theta - A' alpha|^2 / 2
                          + sum_i [c loss(u_i) + (c loss)*(alpha_i) - alpha_i u_i]

is a sum of non-negative terms, which float32 adds without cancellation.

Source: the attention module of the paper, Sec. 3.1 ("a linear Support Vector Machine [17, 21]",
[21] = LIBLINEAR); the paper gives neither the loss nor C.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

LOSSES = ("hinge", "squared_hinge")
_PRECISION = jax.lax.Precision.HIGHEST  # float32 products on TPU are bfloat16 otherwise
_MAX_CG_ITERS = 30
_CG_TOL = 0.03
_MAX_LINE_SEARCH_ITERS = 25
_SIGMA_GROWTH = 3.0
_MAX_SIGMA = 1e6  # in units of the largest alpha
_PATIENCE = 12  # iterations without a clearly smaller gap after which sigma shrinks
_MAX_STALLED = 100  # iterations without a smaller gap: float32 gives no more
_ROUNDING = 1e-4  # violations below it may be rounding


class SvmParams(NamedTuple):
  w: chex.Array  # [..., d] float32
  b: chex.Array  # [...] float32


class SvmInfo(NamedTuple):
  """Diagnostics of a fit. `duality_gap` is relative to the objective."""

  objective: chex.Array  # [...] float32, P at the returned parameters
  duality_gap: chex.Array  # [...] float32, (P - D) / P of the original, unsmoothed problem
  num_iters: chex.Array  # [...] int32, Newton and multiplier steps
  converged: chex.Array  # [...] bool, duality_gap <= tol


def decision(params: SvmParams, x: chex.Array) -> chex.Array:
  """The decision function x w + b: [..., d] -> [...]; positive means action."""
  return jnp.matmul(x.astype(params.w.dtype), params.w, precision=_PRECISION) + params.b


@functools.partial(jax.jit, static_argnames=("loss", "max_iters"))
def fit(x: chex.Array, y: chex.Array, mask: chex.Array | None = None, *, c: float = 1.0,
        loss: str = "hinge", tol: float = 1e-4, init: SvmParams | None = None,
        max_iters: int = 500) -> tuple[SvmParams, SvmInfo]:
  """Fits one SVM to a certified relative duality gap.

  Jitted here, unlike most of this library: the loops inside would be compiled at every call
  otherwise. Under an outer jit or vmap that changes nothing.

  Args:
    x: [n, d] features, any float type; computed in float32.
    y: [n] labels in {-1, +1}. One class only is no error: the other side of the margin is free.
    mask: [n], True where real; None means all. Masked rows change nothing.
    c: weight of the loss of one row, > 0 (LIBLINEAR's C).
    loss: "hinge" or "squared_hinge".
    tol: relative duality gap at which to stop.
    init: where to start, for instance the solution of a smaller labelled set.
    max_iters: bound on Newton and multiplier steps; `converged` is False where it is met.

  Returns:
    (SvmParams, SvmInfo).
  """
  rows, theta = _as_rows(x, y, mask, init)
  state = _solve(rows, _cold(rows, theta, c, loss), c=c, loss=loss, tol=tol,
                 max_iters=max_iters, preconditioner=functools.partial(_fresh_factor, rows))
  params, info = _result(state)
  return jax.tree.map(lambda leaf: leaf[0], (params, info))


@functools.partial(jax.jit, static_argnames=("loss", "max_iters"))
def retrain_with_one_extra(
    x: chex.Array, y: chex.Array, mask: chex.Array | None, extra_x: chex.Array,
    extra_y: chex.Array, extra_mask: chex.Array | None, *, c: float = 1.0, loss: str = "hinge",
    tol: float = 1e-4, init: SvmParams | None = None,
    max_iters: int = 500) -> tuple[SvmParams, SvmInfo]:
  """Retrains the SVM of (x, y) once for each of b candidate videos added to it.

  Equal to a vmap of `fit` over the b enlarged problems, to the same certificate, but written
  batched: every product with the shared rows is one [b, d] x [d, n] matrix product, and [b, n, d]
  is never formed. The base problem is solved first (at once, if `init` is its solution); its
  solution is the starting point and its Newton matrix, corrected for each candidate's own rows,
  the preconditioner.

  Args:
    x, y, mask: [n, d], [n], [n]: the labelled set.
    extra_x, extra_y, extra_mask: [b, m, d], [b, m], [b, m]: the rows of each candidate.
    c, loss, tol, max_iters: as in `fit`.
    init: solution of the base problem, if known.

  Returns:
    (SvmParams, SvmInfo), batched over b.
  """
  chex.assert_rank([extra_x, extra_y], [3, 2])
  rows, theta = _as_rows(x, y, mask, init)
  base = _solve(rows, _cold(rows, theta, c, loss), c=c, loss=loss, tol=tol, max_iters=max_iters,
                preconditioner=functools.partial(_fresh_factor, rows))
  b, m = extra_y.shape
  extra_mask = jnp.ones((b, m), bool) if extra_mask is None else extra_mask
  extra_real = extra_mask.astype(jnp.float32)
  extra = _Extra(extra_x.astype(jnp.float32), extra_y.astype(jnp.float32) * extra_real)
  rows = rows._replace(
      extra=extra,
      real=jnp.concatenate([jnp.broadcast_to(rows.real, (b, rows.x.shape[0])), extra_real], 1))

  def spread(leaf):
    return jnp.broadcast_to(leaf, (b,) + leaf.shape[1:])

  start = _Start(spread(base.theta), jnp.concatenate(
      [spread(base.multipliers), jnp.zeros((b, m))], 1), spread(base.sigma))
  hessian = _base_hessian(rows, _curvature(rows.real[:1, :x.shape[0]], base.violation,
                                           base.multipliers, base.sigma, c, loss))
  state = _solve(rows, start, c=c, loss=loss, tol=tol, max_iters=max_iters,
                 preconditioner=functools.partial(_corrected_factor, rows, hessian))
  return _result(state)


# The problem as linear operators. Vectors over rows are [b, n + m], vectors over weights
# [b, d + 1]: batch first, the layout in which XLA multiplies fastest on CPU.


class _Extra(NamedTuple):
  x: chex.Array  # [b, m, d]
  y: chex.Array  # [b, m], 0 where padded


class _Rows(NamedTuple):
  x: chex.Array  # [n, d] shared by the whole batch
  y: chex.Array  # [n], 0 where padded
  extra: _Extra | None
  real: chex.Array  # [b, n + m] 1 where real, 0 where padded


class _Start(NamedTuple):
  theta: chex.Array  # [b, d + 1]
  multipliers: chex.Array  # [b, n + m]
  sigma: chex.Array  # [b]


class _State(NamedTuple):
  theta: chex.Array  # [b, d + 1]
  violation: chex.Array  # [b, n + m], u
  multipliers: chex.Array  # [b, n + m], lambda
  sigma: chex.Array  # [b]
  gradient: chex.Array  # [b, d + 1]
  slack: chex.Array  # [b], the gap without the gradient's part
  num_iters: chex.Array  # [b]
  best_theta: chex.Array  # [b, d + 1], of the smallest gap so far
  best_objective: chex.Array  # [b]
  best_gap: chex.Array  # [b]
  stalled: chex.Array  # [b] iterations without a clearly smaller gap
  done: chex.Array  # [b] certified


def _as_rows(x, y, mask, init) -> tuple[_Rows, chex.Array]:
  chex.assert_rank([x, y], [2, 1])
  chex.assert_equal_shape_prefix([x, y], 1)
  real = jnp.ones(y.shape) if mask is None else mask.astype(jnp.float32)
  rows = _Rows(x.astype(jnp.float32) * real[:, None], y.astype(jnp.float32) * real, None,
               real[None])
  if init is None:
    return rows, jnp.zeros((1, x.shape[1] + 1))
  return rows, jnp.append(init.w, init.b).astype(jnp.float32)[None]


def _forward(rows: _Rows, theta: chex.Array) -> chex.Array:
  """A theta: [b, d + 1] -> [b, n + m]."""
  w, b = theta[:, :-1], theta[:, -1:]
  margins = (jnp.einsum("bd,nd->bn", w, rows.x, precision=_PRECISION) + b) * rows.y
  if rows.extra is None:
    return margins
  extra = (jnp.einsum("bd,bmd->bm", w, rows.extra.x, precision=_PRECISION) + b) * rows.extra.y
  return jnp.concatenate([margins, extra], 1)


def _backward(rows: _Rows, alpha: chex.Array) -> chex.Array:
  """A' alpha: [b, n + m] -> [b, d + 1]."""
  n = rows.x.shape[0]
  signed = alpha[:, :n] * rows.y
  w, b = jnp.matmul(signed, rows.x, precision=_PRECISION), signed.sum(1)
  if rows.extra is not None:
    signed = alpha[:, n:] * rows.extra.y
    w += jnp.einsum("bm,bmd->bd", signed, rows.extra.x, precision=_PRECISION)
    b += signed.sum(1)
  return jnp.concatenate([w, b[:, None]], 1)


def _cold(rows: _Rows, theta: chex.Array, c, loss: str) -> _Start:
  """A start without multipliers; the hinge begins with psi a hinge smoothed over 0 < u < 1."""
  sigma = jnp.asarray([2.0 * c if loss == "squared_hinge" else c], jnp.float32)
  return _Start(theta, jnp.zeros_like(rows.real), sigma)


def _alpha(real, u, multipliers, sigma, c, loss):
  cap = jnp.inf if loss == "squared_hinge" else c
  return real * jnp.clip(multipliers + sigma[:, None] * u, 0.0, cap)


def _curvature(real, u, multipliers, sigma, c, loss):
  """The generalised second derivative of psi, sigma or 0: [b, n + m]."""
  cap = jnp.inf if loss == "squared_hinge" else c
  inner = multipliers + sigma[:, None] * u
  return real * sigma[:, None] * ((inner > 0) & (inner < cap))


def _primal_and_slack(real, theta, u, alpha, c, loss):
  """P(theta), and the part of the gap P - D that is a sum over rows."""
  positive = jnp.maximum(u, 0.0) * real
  if loss == "squared_hinge":
    losses, conjugate = c * positive**2, alpha**2 / (4.0 * c)
  else:
    losses, conjugate = c * positive, 0.0
  objective = 0.5 * (theta**2).sum(1) + losses.sum(1)
  slack = jnp.maximum(losses + conjugate - alpha * u, 0.0).sum(1)
  return objective, slack


def _solve(rows: _Rows, start: _Start, *, c, loss: str, tol, max_iters: int,
           preconditioner: Callable[[chex.Array], Callable[[chex.Array], chex.Array]]) -> _State:
  """The augmented Lagrangian loop; every problem of the batch moves at its own pace."""
  if loss not in LOSSES:
    raise ValueError(f"loss must be one of {LOSSES}, not {loss!r}")
  c = jnp.asarray(c, jnp.float32)

  def certify(state: _State) -> _State:
    u = 1.0 - _forward(rows, state.theta)
    alpha = _alpha(rows.real, u, state.multipliers, state.sigma, c, loss)
    dual_theta = _backward(rows, alpha)
    gradient = state.theta - dual_theta
    objective, slack = _primal_and_slack(rows.real, state.theta, u, alpha, c, loss)
    gap = slack + 0.5 * (gradient**2).sum(1)
    theta = state.theta
    if loss == "hinge":
      # On separable data with a large c the objective is small and c times the rounding of u is
      # not. Growing theta until violations of rounding size are gone is as good a solution, and
      # its own certificate decides whether it is taken.
      tiny = jnp.max(jnp.where(u < _ROUNDING, u, 0.0) * rows.real, axis=1, initial=0.0)
      grown = theta / (1.0 - 2.0 * tiny)[:, None]
      grown_u = 1.0 - (1.0 - u) / (1.0 - 2.0 * tiny)[:, None]
      grown_objective, grown_slack = _primal_and_slack(rows.real, grown, grown_u, alpha, c, loss)
      grown_gap = grown_slack + 0.5 * ((grown - dual_theta)**2).sum(1)
      take = (grown_gap <= tol * grown_objective) & (gap > tol * objective)
      theta = jnp.where(take[:, None], grown, theta)
      objective, gap = (jnp.where(take, new, old) for new, old in
                        ((grown_objective, objective), (grown_gap, gap)))
    better = gap < state.best_gap
    return state._replace(
        theta=theta, violation=u, gradient=gradient, slack=slack,
        best_theta=jnp.where(better[:, None], theta, state.best_theta),
        best_objective=jnp.where(better, objective, state.best_objective),
        best_gap=jnp.where(better, gap, state.best_gap),
        stalled=jnp.where(gap < 0.9 * state.best_gap, 0, state.stalled + 1),
        done=gap <= tol * objective)

  def unfinished(state: _State) -> chex.Array:
    return ~state.done & (state.stalled < _MAX_STALLED) & (state.num_iters < max_iters)

  def iterate(state: _State) -> _State:
    active = unfinished(state)
    curvature = _curvature(rows.real, state.violation, state.multipliers, state.sigma, c, loss)
    step, product = _conjugate_gradients(
        rows, curvature, -state.gradient, preconditioner(curvature))
    size, improves = _line_search(rows, state, step, product, c, loss)
    if loss == "hinge":
      # The inner problem need not be solved beyond the outer error that remains.
      late = state.stalled % _PATIENCE == _PATIENCE - 1
      outer = (0.5 * (state.gradient**2).sum(1) <= 0.1 * state.slack) | ~improves | late
      alpha = _alpha(rows.real, state.violation, state.multipliers, state.sigma, c, loss)
      moved = jnp.where((active & outer)[:, None], alpha, state.multipliers)
      # A larger sigma needs fewer multiplier steps until sigma times the rounding of u outweighs
      # alpha; where the gap has stalled, that is the likely reason, and sigma goes back.
      growth = jnp.where(late, _SIGMA_GROWTH**-2, _SIGMA_GROWTH)
      sigma = jnp.minimum(state.sigma * growth, _MAX_SIGMA * alpha.max(1) + 1e-6 * c)
      sigma = jnp.where(active & outer, sigma, state.sigma)
      size = jnp.where(outer, 0.0, size)
    else:
      moved, sigma = state.multipliers, state.sigma
    size = jnp.where(active, size, 0.0)
    state = state._replace(
        theta=state.theta + size[:, None] * step, multipliers=moved, sigma=sigma,
        num_iters=state.num_iters + active)
    fresh = certify(state)

    def keep(new, old):
      return jnp.where(active.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(keep, fresh, state)

  b = rows.real.shape[0]
  zero = jnp.zeros(b)
  state = certify(_State(
      theta=start.theta, violation=jnp.zeros_like(rows.real), multipliers=start.multipliers,
      sigma=start.sigma, gradient=jnp.zeros_like(start.theta), slack=zero,
      num_iters=jnp.zeros(b, jnp.int32), best_theta=start.theta, best_objective=zero,
      best_gap=zero + jnp.inf,
      stalled=jnp.zeros(b, jnp.int32), done=zero > 0))
  return jax.lax.while_loop(lambda state: jnp.any(unfinished(state)), iterate, state)


def _result(state: _State) -> tuple[SvmParams, SvmInfo]:
  gap, objective = state.best_gap, state.best_objective
  relative = jnp.where(gap > 0, gap / jnp.maximum(objective, 1e-30), 0.0)
  return (SvmParams(state.best_theta[:, :-1], state.best_theta[:, -1]),
          SvmInfo(objective, relative, state.num_iters, state.done))


def _conjugate_gradients(rows, curvature, rhs, precondition):
  """Solves (I + A' diag(curvature) A) v = rhs to a loose tolerance; returns v and A v."""

  def body(carry):
    k, v, product, r, p, rz, _ = carry
    a_p = _forward(rows, p)
    h_p = p + _backward(rows, curvature * a_p)
    p_hp = (p * h_p).sum(1)
    step = jnp.where(p_hp > 0, rz / jnp.where(p_hp > 0, p_hp, 1.0), 0.0)[:, None]
    v, product, r = v + step * p, product + step * a_p, r - step * h_p
    z = precondition(r)
    rz_new = (r * z).sum(1)
    p = z + jnp.where(rz > 0, rz_new / jnp.where(rz > 0, rz, 1.0), 0.0)[:, None] * p
    return k + 1, v, product, r, p, rz_new, (r**2).sum(1)

  z = precondition(rhs)
  target = _CG_TOL**2 * (rhs**2).sum(1)
  carry = (0, jnp.zeros_like(rhs), jnp.zeros_like(curvature), rhs, z, (rhs * z).sum(1),
           (rhs**2).sum(1))
  carry = jax.lax.while_loop(
      lambda carry: (carry[0] < _MAX_CG_ITERS) & jnp.any(carry[-1] > target), body, carry)
  return carry[1], carry[2]


def _line_search(rows, state: _State, step, product, c, loss):
  """Finds t >= 0 with |phi'(t)| <= |phi'(0)| / 4, phi the inner objective along the step.

  phi is convex and piecewise quadratic, phi' is monotone and costs one pass over the rows without
  a matrix product: a bracketed secant search. The unit step is tried first.

  Returns:
    t [b], and whether the step is a descent direction at all [b].
  """
  linear, quadratic = (state.theta * step).sum(1), (step**2).sum(1)

  def slope(t):
    alpha = _alpha(rows.real, state.violation - t[:, None] * product, state.multipliers,
                   state.sigma, c, loss)
    return linear + t * quadratic - (alpha * product).sum(1)

  start = (state.gradient * step).sum(1)
  improves = start < 0

  def body(carry):
    k, t, s, low, s_low, high, s_high = carry
    right = s > 0
    high, s_high = jnp.where(right, t, high), jnp.where(right, s, s_high)
    low, s_low = jnp.where(right, low, t), jnp.where(right, s_low, s)
    bounded = jnp.isfinite(high)
    ratio = jnp.clip(s_low / jnp.where(s_low != s_high, s_low - s_high, -1.0), 0.1, 0.9)
    inside = low + (jnp.where(bounded, high, 0.0) - low) * ratio
    fresh = jnp.where(bounded, inside, 2.0 * t)
    t = jnp.where(_flat(s), t, fresh)
    return k + 1, t, slope(t), low, s_low, high, s_high

  def _flat(s):
    return jnp.abs(s) <= 0.25 * jnp.abs(start)

  one = jnp.ones_like(start)
  carry = (0, one, slope(one), 0.0 * one, start, jnp.inf * one, one)
  carry = jax.lax.while_loop(
      lambda carry: (carry[0] < _MAX_LINE_SEARCH_ITERS) & jnp.any(improves & ~_flat(carry[2])),
      body, carry)
  return jnp.where(improves, carry[1], 0.0), improves


# Preconditioners: from the curvature [b, n + m] to a function r -> M^-1 r on [b, d + 1].


def _base_hessian(rows: _Rows, curvature: chex.Array) -> chex.Array:
  """I + A' diag(curvature) A over the shared rows: [1, n] -> [d + 1, d + 1]."""
  weight = curvature[0] * rows.y**2
  weighted = rows.x * weight[:, None]
  gram = jnp.matmul(weighted.T, rows.x, precision=_PRECISION)
  border = weighted.sum(0)
  hessian = jnp.block([[gram, border[:, None]], [border[None], weight.sum()[None, None]]])
  return hessian + jnp.eye(hessian.shape[0])


def _cholesky_solver(hessian: chex.Array) -> Callable[[chex.Array], chex.Array]:
  """r -> hessian^-1 r for [..., D, D], with unit diagonal and a little damping for float32."""
  scale = jax.lax.rsqrt(jnp.diagonal(hessian, axis1=-2, axis2=-1))
  d = hessian.shape[-1]
  unit = hessian * scale[..., :, None] * scale[..., None, :] + 1e-6 * jnp.eye(d)
  factor = jnp.linalg.cholesky(unit)

  def solve(r):
    return jax.scipy.linalg.cho_solve((factor, True), (r * scale)[..., None])[..., 0] * scale

  return solve


def _fresh_factor(rows: _Rows, curvature: chex.Array):
  """The exact Newton matrix of one problem, factorised anew: [1, n] curvature."""
  return _cholesky_solver(_base_hessian(rows, curvature)[None])


def _corrected_factor(rows: _Rows, hessian: chex.Array, curvature: chex.Array):
  """The base problem's Newton matrix plus each candidate's own rows: B + E' diag(s) E."""
  s = curvature[:, rows.x.shape[0]:] * rows.extra.y**2
  ones = jnp.ones(rows.extra.y.shape + (1,))
  e = jnp.concatenate([rows.extra.x, ones], 2) * jnp.sqrt(s)[..., None]
  if e.shape[1] >= e.shape[2]:
    return _cholesky_solver(hessian + jnp.einsum("bmi,bmj->bij", e, e, precision=_PRECISION))
  # Fewer rows than dimensions: Woodbury, (B + E'E)^-1 = B^-1 - B^-1 E' (I + E B^-1 E')^-1 E B^-1.
  scale = jax.lax.rsqrt(jnp.diagonal(hessian))
  factor = jnp.linalg.cholesky(hessian * scale[:, None] * scale + 1e-6 * jnp.eye(e.shape[2]))
  b, m, d = e.shape
  half = jax.scipy.linalg.solve_triangular(factor, (e * scale).reshape(b * m, d).T, lower=True)
  half = half.T.reshape(b, m, d)  # E L^-T, so that E B^-1 E' = half half'
  small = jnp.eye(m) + jnp.einsum("bid,bjd->bij", half, half, precision=_PRECISION)
  small_factor = jnp.linalg.cholesky(small)

  def solve(r):
    z = jax.scipy.linalg.solve_triangular(factor, (r * scale).T, lower=True).T
    t = jnp.einsum("bmd,bd->bm", half, z, precision=_PRECISION)
    t = jax.scipy.linalg.cho_solve((small_factor, True), t[..., None])[..., 0]
    z = z - jnp.einsum("bm,bmd->bd", t, half, precision=_PRECISION)
    return jax.scipy.linalg.solve_triangular(factor, z.T, lower=True, trans=1).T * scale

  return solve
