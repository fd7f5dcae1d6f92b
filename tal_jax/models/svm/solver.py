"""Solves a batch of SVMs to a certified gap: augmented Lagrangian, semismooth Newton inside.

Both losses are solved by one method, the augmented Lagrangian of the dual (`problem` has the
notation): minimise over theta

    |theta|^2 / 2 + sum_i psi(u_i),   psi'(u_i) = alpha_i = clip(lambda_i + sigma u_i, 0, c),

then set lambda <- alpha; for the squared hinge, whose dual is strongly concave,

    alpha_i = max(0, (1 - sigma / 2c) lambda_i + sigma u_i),   sigma <= 2c.

sigma = 2c makes this psi the loss itself, so that the first inner problem is already the whole one,
and multipliers are needed only where 2c times the rounding of u hides the solution's alpha.
alpha is feasible at every iterate, so that every iterate has its certificate. Where float32 gives
none that is good enough, the result is the lowest objective and the highest dual value that were
seen.

Source: Li, Sun and Toh (2018); Yan and Li (2020).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm.newton import Newton, follow, no_newton
from tal_jax.models.svm.problem import (
  LOSSES,
  Rows,
  backward,
  dual_point,
  forward,
  newton_weights,
  primal_and_slack,
)

_MAX_CG_ITERS = 30
# Curvature that changed, as a share, after which the Newton matrix is rebuilt. The hinge has few
# curved rows, and with a large sigma each of them matters.
_STALE = {"squared_hinge": 0.2, "hinge": 0.0}
_CG_TOL = 0.03
_MATRIX_FREE_CG_TOL = 1e-3  # without one, the first directions say little
_MAX_LINE_SEARCH_ITERS = 25
_OUTER = 0.1  # of what is left besides: a gradient small enough for new multipliers
_SIGMA_GROWTH = 3.0
_MAX_SIGMA = 1e6  # in units of the largest alpha
_PATIENCE = 12  # iterations without a clearly smaller gap after which sigma shrinks
_MAX_STALLED = 100  # iterations without a smaller gap: float32 gives no more
_ROUNDING = 1e-4  # violations below it may be rounding
_DUAL_ROUNDING = 1e-6  # of an objective, taken off its dual
_MARGIN = 1e-6  # added to what removes them, so that rounding does not bring them back


class Start(NamedTuple):
  theta: chex.Array  # [b, d + 1]
  multipliers: chex.Array  # [b, n]
  sigma: chex.Array  # [b]


class State(NamedTuple):
  theta: chex.Array  # [b, d + 1]
  violation: chex.Array  # [b, n], u
  multipliers: chex.Array  # [b, n], lambda
  sigma: chex.Array  # [b]
  gradient: chex.Array  # [b, d + 1]
  slack: chex.Array  # [b], the gap without the gradient's part
  num_iters: chex.Array  # [b]
  best_theta: chex.Array  # [b, d + 1], of the lowest objective so far, or the certified one
  best_objective: chex.Array  # [b]
  best_dual: chex.Array  # [b] the highest so far
  best_gap: chex.Array  # [b] the smallest of an iterate
  stalled: chex.Array  # [b] iterations without a clearly smaller gap
  done: chex.Array  # [b] certified


def cold_start(rows: Rows, theta: chex.Array, c, loss: str) -> Start:
  """A start without multipliers; the hinge begins with psi a hinge smoothed over 0 < u < 1."""
  return start_at(rows.real, theta, c, loss)


def start_at(real: chex.Array, theta: chex.Array, c, loss: str) -> Start:
  """`cold_start` of rows that are known by `real` [1, n] alone."""
  sigma = jnp.asarray([2.0 * c if loss == "squared_hinge" else c], jnp.float32)
  return Start(theta, jnp.zeros_like(real), sigma)


def is_stale(newton: Newton, curvature: chex.Array, loss: str) -> chex.Array:
  """Whether a Newton matrix was made of too different a curvature [1, n] to precondition with."""
  return jnp.abs(curvature - newton.curvature).sum() > _STALE[loss] * curvature.sum()


def solve(rows: Rows, start: Start, *, c, loss: str, tol, max_iters,
          soften: Callable = lambda u, curvature, sigma: curvature,
          matrix_free=0) -> tuple[State, Newton]:
  """The augmented Lagrangian loop on rows in memory.

  Args:
    rows: the problem.
    start: of `cold_start`, for instance.
    c, loss, tol, max_iters: as in `svm.fit`.
    soften: (u [1, n], curvature [1, n], sigma [1]) -> what the preconditioning Newton matrix is
      made of, near `curvature`.
    matrix_free: iterations before the first Newton matrix is made. Far from the solution it would
      be of rows that the next step drops.

  Returns:
    The last state; and the last Newton matrix that was factorised, near the solution's.
  """
  if loss not in LOSSES:
    raise ValueError(f"loss must be one of {LOSSES}, not {loss!r}")
  c = jnp.asarray(c, jnp.float32)
  real = rows.real

  def iterate(carry):
    # Certificate first, then the step: one copy of each in the compiled program. The round after
    # the last step certifies only, and is not counted in the result.
    state, newton = carry
    running = unfinished(state, max_iters)
    u = 1.0 - forward(rows, state.theta)
    alpha = dual_point(real, u, state.multipliers, state.sigma, c, loss)
    certified = certify(real, state, u, alpha, backward(rows, alpha), c, loss, tol)
    state = jax.tree.map(functools.partial(where, running), certified, state)
    curvature = newton_weights(real, state.violation, state.multipliers, state.sigma, c, loss)
    weights = soften(state.violation, curvature, state.sigma)
    free = state.num_iters[0] < matrix_free
    newton = jax.lax.cond(
        is_stale(newton, weights, loss) & unfinished(state, max_iters).any() & ~free,
        lambda: follow(rows, newton, weights), lambda: newton)
    step, product = conjugate_gradients(
        functools.partial(forward, rows), functools.partial(backward, rows), curvature,
        -state.gradient, newton.factor.solve, tol=jnp.where(free, _MATRIX_FREE_CG_TOL, _CG_TOL))
    state, _ = advance(real, state, step, product, c, loss, tol, max_iters)
    return state, newton

  return jax.lax.while_loop(
      lambda carry: jnp.any(unfinished(carry[0], max_iters)), iterate,
      (begin(real, start, c), no_newton(rows)))


def begin(real: chex.Array, start: Start, c) -> State:
  """The state before the first certificate; theta = 0 is the best so far, and its dual 0."""
  b = real.shape[0]
  zero = jnp.zeros(b)
  return State(
      theta=start.theta, violation=jnp.zeros_like(real), multipliers=start.multipliers,
      sigma=start.sigma, gradient=jnp.zeros_like(start.theta), slack=zero,
      num_iters=jnp.zeros(b, jnp.int32), best_theta=jnp.zeros_like(start.theta),
      best_objective=c * real.sum(1), best_dual=zero, best_gap=zero + jnp.inf,
      stalled=jnp.zeros(b, jnp.int32), done=zero > 0)


def certified_gap(state: State) -> chex.Array:
  """What is certified of `best_theta`: [b]."""
  return jnp.where(state.done, state.best_gap,
                   jnp.maximum(state.best_objective - state.best_dual, 0.0))


def unfinished(state: State, max_iters) -> chex.Array:
  """Which problems go on: [b]."""
  return ~state.done & (state.stalled < _MAX_STALLED) & (state.num_iters <= max_iters)


def certify(real, state: State, u, alpha, dual_theta, c, loss: str, tol) -> State:
  """Measures the gap at `state.theta` and keeps the best point so far.

  Args:
    real: [b, n].
    state: `violation`, `gradient`, `slack` and the best point are what is written.
    u: [b, n], 1 - A theta.
    alpha: [b, n], `dual_point` at u.
    dual_theta: [b, d + 1], A' alpha.
    c, loss, tol: as in `svm.fit`.
  """
  gradient = state.theta - dual_theta
  objective, slack = primal_and_slack(real, state.theta, u, alpha, c, loss)
  gap = slack + 0.5 * (gradient**2).sum(1)
  candidate = state.theta
  if loss == "hinge":
    # On separable data with a large c the objective is small and c times the rounding of u is
    # not. Growing theta until violations of rounding size are gone is as good a solution, and
    # its own certificate decides whether it is taken; the iterate stays as it is.
    tiny = jnp.max(jnp.where(u < _ROUNDING, u, 0.0) * real, axis=1, initial=0.0)
    shrink = (1.0 - 2.0 * tiny - _MARGIN)[:, None]
    grown, grown_u = state.theta / shrink, 1.0 - (1.0 - u) / shrink
    grown_objective, grown_slack = primal_and_slack(real, grown, grown_u, alpha, c, loss)
    grown_gap = grown_slack + 0.5 * ((grown - dual_theta)**2).sum(1)
    take = grown_gap < gap
    candidate = jnp.where(take[:, None], grown, candidate)
    objective, gap = (jnp.where(take, new, old) for new, old in
                      ((grown_objective, objective), (grown_gap, gap)))
  done = gap <= tol * objective
  better = (objective < state.best_objective) | done
  dual = (1.0 - _DUAL_ROUNDING) * objective - gap
  return state._replace(
      violation=u, gradient=gradient, slack=slack,
      best_theta=jnp.where(better[:, None], candidate, state.best_theta),
      best_objective=jnp.where(better, objective, state.best_objective),
      # (Comparisons that NaN, as infinities leave it, does not win.)
      best_dual=jnp.where(dual > state.best_dual, dual, state.best_dual),
      best_gap=jnp.where((gap < state.best_gap) | done, gap, state.best_gap),
      stalled=jnp.where(gap < 0.9 * state.best_gap, 0, state.stalled + 1),
      done=done)


def advance(real, state: State, step, product, c, loss: str, tol,
            max_iters) -> tuple[State, chex.Array]:
  """Moves along a Newton step, or moves the multipliers where the inner problem is solved.

  Args:
    real: [b, n].
    state: certified; problems that are finished stay.
    step, product: [b, d + 1], [b, n]: the Newton step and A step.
    c, loss, tol, max_iters: as in `svm.fit`.

  Returns:
    The state at the new theta, its `violation` included (with one more rounding than 1 - A theta);
    and how far along the step that is: [b], 0 where the multipliers moved.
  """
  active = unfinished(state, max_iters)
  size, improves = _line_search(real, state, step, product, c, loss)
  # The inner problem need not be solved beyond the outer error that remains, nor beyond what new
  # multipliers gain: with a large c the slack alone says nothing while the margin is violated.
  late = state.stalled % _PATIENCE == _PATIENCE - 1
  alpha = dual_point(real, state.violation, state.multipliers, state.sigma, c, loss)
  softness = 1.0 / state.sigma - (0.5 / c if loss == "squared_hinge" else 0.0)
  gain = 0.5 * softness * ((alpha - state.multipliers)**2).sum(1)
  enough = jnp.where(softness > 0, jnp.maximum(
      jnp.minimum(state.slack, gain), tol * state.best_objective), state.slack)
  outer = (0.5 * (state.gradient**2).sum(1) <= _OUTER * enough) | ~improves | late
  multipliers = jnp.where((active & outer)[:, None], alpha, state.multipliers)
  # A larger sigma needs fewer multiplier steps until sigma times the rounding of u outweighs
  # alpha; where the gap has stalled, that is the likely reason, and sigma goes back.
  growth = jnp.where(late, _SIGMA_GROWTH**-2, _SIGMA_GROWTH)
  most = (2.0 * c if loss == "squared_hinge" else
          _MAX_SIGMA * alpha.max(1, initial=0.0) + 1e-6 * c)
  sigma = jnp.where(active & outer, jnp.minimum(state.sigma * growth, most), state.sigma)
  size = jnp.where(active & ~outer, size, 0.0)
  return state._replace(
      theta=state.theta + size[:, None] * step,
      violation=state.violation - size[:, None] * product, multipliers=multipliers, sigma=sigma,
      num_iters=state.num_iters + active), size


def where(chosen: chex.Array, new: chex.Array, old: chex.Array) -> chex.Array:
  """Per problem, new where chosen: [b], [b, ...], [b, ...] -> [b, ...]."""
  return jnp.where(chosen.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)


def conjugate_gradients(forward, backward, curvature, rhs, precondition,
                        loop=jax.lax.while_loop, tol=_CG_TOL):
  """Solves (I + A' diag(curvature) A) v = rhs to a loose tolerance.

  Args:
    forward, backward: theta -> A theta and alpha -> A' alpha.
    curvature: [b, n].
    rhs: [b, d + 1].
    precondition: r -> M^-1 r.
    loop: `jax.lax.while_loop`, or the same on the host where the operators cannot be traced.
    tol: of the residual, relative to rhs.

  Returns:
    v and A v.
  """

  def body(carry):
    k, v, product, r, p, rz, _ = carry
    a_p = forward(p)
    h_p = p + backward(curvature * a_p)
    p_hp = (p * h_p).sum(1)
    step = jnp.where(p_hp > 0, rz / jnp.where(p_hp > 0, p_hp, 1.0), 0.0)[:, None]
    v, product, r = v + step * p, product + step * a_p, r - step * h_p
    z = precondition(r)
    rz_new = (r * z).sum(1)
    p = z + jnp.where(rz > 0, rz_new / jnp.where(rz > 0, rz, 1.0), 0.0)[:, None] * p
    return k + 1, v, product, r, p, rz_new, (r**2).sum(1)

  z = precondition(rhs)
  target = tol**2 * (rhs**2).sum(1)
  carry = (0, jnp.zeros_like(rhs), jnp.zeros_like(curvature), rhs, z, (rhs * z).sum(1),
           (rhs**2).sum(1))
  carry = loop(
      lambda carry: (carry[0] < _MAX_CG_ITERS) & jnp.any(carry[-1] > target), body, carry)
  return carry[1], carry[2]


def _line_search(real, state: State, step, product, c, loss):
  """Finds t >= 0 with |phi'(t)| <= |phi'(0)| / 4, phi the inner objective along the step.

  phi is convex and piecewise quadratic, phi' is monotone and costs one pass over the rows without
  a matrix product: a bracketed secant search. The unit step is tried first.

  Returns:
    t [b], and whether the step is a descent direction at all [b].
  """
  linear, quadratic = (state.theta * step).sum(1), (step**2).sum(1)

  def slope(t):
    alpha = dual_point(real, state.violation - t[:, None] * product, state.multipliers,
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
