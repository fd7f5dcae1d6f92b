"""Solves a batch of SVMs that share most of their rows: preconditioned conjugate gradients.

Notation: theta: [b, D] = (w, b), D = d + 1; A: [n, D] the rows that all problems share and E:
[b, m, D] those of each one (`enlarged`); u = 1 - A theta, a pair (shared [b, n], own [b, m]);
phi: the augmented Lagrangian of `solver`, r(theta) + sum psi(u), for the squared hinge the
objective itself; H: the second derivative of r, most often the identity.

    z = M^-1 grad phi      M = B + E' diag(psi'') E,  B = F F' near the Newton matrix of the rest
    p = -z + beta p        beta of Polak and Ribiere, at least 0
    theta <- theta + t p   t where the slope of phi along p is nearly 0

F^-1 is shared by the batch, and V = E F'^-1 makes M^-1 two products with F^-1 and a system of size
m (Woodbury). An iteration costs one product with A and one with A', each a
matrix product for the whole chunk, and the active rows may change with every iteration: a Newton
method would spend as much on each of the few steps of its inner solver. Descent is monotone,
whatever c.

A round is a few iterations and opens with the certificate of every problem, from u computed again:
only that one counts. The problems that are left then share fewer chunks, so that a batch does not
wait for its slowest member.

Source: the method is the nonlinear conjugate gradient of Polak and Ribiere, preconditioned; Li, Sun
and Toh (2018) for the augmented Lagrangian. Using it to retrain is ours.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm.enlarged import (
  Pair,
  Problems,
  Quadratic,
  backward,
  curvature,
  dual,
  forward,
  gap_parts,
  mapped,
  summed,
)
from tal_jax.models.svm.problem import PRECISION

_ROUND_ITERS = 4
_LINE_SEARCH_ITERS = 12
_FLAT = 0.1  # of the slope at 0: where the line search stops
_SECURE = 0.8  # of the tolerance: where a problem waits for its certificate
_OUTER = 0.3  # of the gap's other part: a gradient small enough for new multipliers
_SIGMA_GROWTH = 1.5  # with each set of new multipliers
_PATIENCE = 6  # rounds without a clearly smaller gap, after which sigma shrinks
_SIGMA_CUT = 0.1  # and by how much
_MAX_STALLED = 14  # rounds without one: given up
_MANY = 16  # rows per dimension
_STRIPS = 4  # of a triangular matrix: products leave out most of its zeros


class Preconditioner(NamedTuple):
  half: chex.Array  # [D, D] F^-1, lower triangular
  v: chex.Array  # [b, m, D] E F'^-1
  gram: chex.Array  # [b, m, m] V V'


class State(NamedTuple):
  theta: chex.Array  # [b, D]
  multipliers: Pair  # of length 0 for the squared hinge, which needs none
  sigma: chex.Array  # [b]
  num_iters: chex.Array  # [b]
  best_theta: chex.Array  # [b, D], of the smallest certified gap so far
  best_objective: chex.Array  # [b]
  best_gap: chex.Array  # [b]
  stalled: chex.Array  # [b] rounds without a clearly smaller gap
  done: chex.Array  # [b] certified, or given up


def begin(theta: chex.Array, multipliers: Pair, sigma: chex.Array) -> State:
  zero = jnp.zeros(theta.shape[0])
  count = jnp.zeros(theta.shape[0], jnp.int32)
  return State(theta, multipliers, sigma, count, theta, zero, zero + jnp.inf, count, zero > 0)


def precondition(problems: Problems, half: chex.Array) -> Preconditioner:
  """Whitens each problem's own rows; half: [D, D], lower triangular."""
  d = problems.a.shape[1]
  parts = []
  for low, high in itertools.pairwise(sorted({(d + 1) * i // _STRIPS for i in range(_STRIPS + 1)})):
    width = min(high, d)
    parts.append(jnp.einsum("bmd,ed->bme", problems.own_a[..., :width], half[low:high, :width],
                            precision=PRECISION))
  parts[-1] += problems.own_y[..., None] * half[low:, d]
  v = jnp.concatenate(parts, -1)
  # One after the other, each on all cores: twice as fast as XLA's batched product.
  gram = jax.lax.map(lambda v: jnp.matmul(v, v.T, precision=PRECISION), v)
  return Preconditioner(half, v, gram)


def solve(problems: Problems, preconditioner: Preconditioner, state: State, *, c, loss: str, tol,
          max_iters, chunk_size: int, look_first: bool = False) -> State:
  """Rounds over chunks of the problems that are not done, until all are.

  With `look_first` the first round only certifies: where most problems begin as solutions, those
  that do not are together from the second on.
  """

  def one_chunk(length, i, carry):
    order, state = carry
    chosen = jax.lax.dynamic_slice_in_dim(order, i * chunk_size, chunk_size)
    part = problems._replace(own_a=problems.own_a[chosen], own_y=problems.own_y[chosen],
                             own_target=problems.own_target[chosen])
    local = jax.tree.map(lambda leaf: leaf[chosen], state)
    shared = Preconditioner(preconditioner.half, preconditioner.v[chosen],
                            preconditioner.gram[chosen])
    local = _round(part, shared, local, c, loss, tol, max_iters, length)
    return order, jax.tree.map(lambda whole, new: whole.at[chosen].set(new), state, local)

  def one_round(carry):
    state, length = carry
    left = (~state.done).sum()
    order = jnp.argsort(state.done, stable=True)
    _, state = jax.lax.fori_loop(
        0, -(-left // chunk_size), functools.partial(one_chunk, length), (order, state))
    return state, jnp.asarray(_ROUND_ITERS)

  start = (state, jnp.asarray(0 if look_first else _ROUND_ITERS))
  return jax.lax.while_loop(lambda carry: ~carry[0].done.all(), one_round, start)[0]


class _Moving(NamedTuple):
  """What changes within a round."""

  theta: chex.Array
  slope: chex.Array  # [b, D] r'(theta)
  u: Pair
  multipliers: Pair
  sigma: chex.Array
  gradient: chex.Array
  direction: chex.Array
  last_gradient: chex.Array
  last_gz: chex.Array  # gradient' M^-1 gradient; inf: forget the direction
  outer: chex.Array  # the inner problem is solved as well as the multipliers deserve
  frozen: chex.Array
  num_iters: chex.Array


def _round(problems, preconditioner, state: State, c, loss, tol, max_iters, length) -> State:
  b = state.theta.shape[0]
  target = (jnp.broadcast_to(problems.target, (b,) + problems.target.shape), problems.own_target)
  u = mapped(jnp.subtract, target, forward(problems, state.theta))
  alpha = dual(u, state.multipliers, state.sigma, c, loss)
  slope = problems.rest.gradient + problems.rest.times(state.theta - problems.rest.origin)
  gradient = slope - backward(problems, alpha)
  objective, slack, rest = gap_parts(
      _value(problems.rest, state.theta, slope), gradient, u, alpha, c, loss)
  gap = slack + rest
  better = (gap < state.best_gap) & ~state.done
  stalled = jnp.where(gap < 0.8 * state.best_gap, 0, state.stalled + ~state.done)
  late = (loss == "hinge") & (stalled % _PATIENCE == _PATIENCE - 1) & ~state.done
  sigma = jnp.where(late, _SIGMA_CUT * state.sigma, state.sigma)
  done = (state.done | (gap <= tol * objective) | (stalled >= _MAX_STALLED)
          | (state.num_iters >= max_iters))
  start = _Moving(
      state.theta, slope, u, state.multipliers, sigma, gradient, jnp.zeros_like(gradient), gradient,
      jnp.full(b, jnp.inf), late | (rest <= _OUTER * slack), done, state.num_iters)


  def core(u, multipliers, sigma):
    return _core(preconditioner, curvature(u, multipliers, sigma, c, loss)[1])

  first_core = core(u, state.multipliers, sigma)

  # The squared hinge needs it once a round; the hinge, whose curvature has sigma in it, at every
  # step, but for sets of so many rows that a candidate's own ones change little.
  n, d = problems.a.shape
  always = loss == "hinge" and n < _MANY * d

  def step(carry):
    k, now = carry
    small = core(now.u, now.multipliers, now.sigma) if always else first_core
    return k + 1, _step(problems, functools.partial(_apply, preconditioner, small), now, c, loss,
                        tol)

  _, end = jax.lax.while_loop(
      lambda carry: (carry[0] < length) & ~carry[1].frozen.all(), step, (0, start))
  return State(
      end.theta, end.multipliers, end.sigma, end.num_iters,
      jnp.where(better[:, None], state.theta, state.best_theta),
      jnp.where(better, objective, state.best_objective), jnp.where(better, gap, state.best_gap),
      stalled, done)


def _step(problems, precondition, now: _Moving, c, loss, tol) -> _Moving:
  z = precondition(now.gradient)
  gz = (now.gradient * z).sum(1)
  beta = jnp.maximum((z * (now.gradient - now.last_gradient)).sum(1) / now.last_gz, 0.0)
  p = beta[:, None] * now.direction - z
  descends = (now.gradient * p).sum(1) < 0
  p = jnp.where(descends[:, None], p, -z)
  q, bent = forward(problems, p), problems.rest.times(p)
  t = _line_search(now, p, q, bent, c, loss)
  t = jnp.where(now.frozen, 0.0, t)
  theta, slope = now.theta + t[:, None] * p, now.slope + t[:, None] * bent
  u = mapped(lambda a, b: a - t[:, None] * b, now.u, q)
  multipliers, sigma = now.multipliers, now.sigma
  if loss == "hinge":
    moved = (now.outer & ~now.frozen)[:, None]
    alpha = dual(u, multipliers, sigma, c, loss)
    most = 1e6 * jnp.maximum(alpha[0].max(1, initial=0.0), alpha[1].max(1, initial=0.0)) + 1e-6 * c
    multipliers = mapped(lambda old, new: jnp.where(moved, new, old), multipliers, alpha)
    sigma = jnp.where(moved[:, 0], jnp.minimum(_SIGMA_GROWTH * sigma, most), sigma)
  alpha = dual(u, multipliers, sigma, c, loss)
  gradient = slope - backward(problems, alpha)
  objective, slack, rest = gap_parts(
      _value(problems.rest, theta, slope), gradient, u, alpha, c, loss)
  return _Moving(
      theta, slope, u, multipliers, sigma, gradient, p, now.gradient,
      jnp.where(now.outer, jnp.inf, gz),  # new multipliers: another function
      rest <= _OUTER * slack, now.frozen | (slack + rest <= _SECURE * tol * objective),
      now.num_iters + ~now.frozen)


def _value(rest: Quadratic, theta, slope):
  """r(theta), from its derivative there: [b]."""
  return rest.value + 0.5 * ((theta - rest.origin) * (slope + rest.gradient)).sum(1)


def _line_search(now: _Moving, p, q, bent, c, loss):
  """t >= 0 with |phi'(t)| <= |phi'(0)| / 10: Newton's method inside a bracket."""
  linear, quadratic = (now.slope * p).sum(1), (bent * p).sum(1)

  def slope(t):  # and its derivative
    u = mapped(lambda a, b: a - t[:, None] * b, now.u, q)
    alpha = dual(u, now.multipliers, now.sigma, c, loss)
    weights = curvature(u, now.multipliers, now.sigma, c, loss)
    return (linear + t * quadratic - summed(lambda a, b: a * b, alpha, q),
            quadratic + summed(lambda a, b: a * b * b, weights, q))

  zero = jnp.zeros_like(linear)
  start, bend = slope(zero)

  def flat(s):
    return jnp.abs(s) <= _FLAT * jnp.abs(start)

  def body(carry):
    k, t, s, bend, low, high = carry
    low, high = jnp.where(s < 0, t, low), jnp.where(s > 0, t, high)
    newton = t - s / bend
    other = jnp.where(jnp.isfinite(high), 0.5 * (low + high), 2.0 * t)
    inside = (newton > low) & (newton < high)
    t = jnp.where(flat(s), t, jnp.where(inside, newton, other))
    return k + 1, t, *slope(t), low, high

  t = jnp.where(bend > 0, -start / jnp.where(bend > 0, bend, 1.0), 0.0)
  carry = jax.lax.while_loop(
      lambda carry: (carry[0] < _LINE_SEARCH_ITERS) & ~(flat(carry[2]) | now.frozen).all(), body,
      (0, t, *slope(t), zero, zero + jnp.inf))
  _, t, s, _, low, _ = carry
  return jnp.where(flat(s) | (s < 0), t, low)


def _core(preconditioner: Preconditioner, weights):
  """Woodbury's small matrix [b, m, m]; weights: [b, m], psi'' of each problem's own rows.

  root (I + root gram root)^-1 root, by the symmetric sweep operator, all problems at once: LAPACK
  takes them one after the other (and see `newton`). Rows without weight need no sweep,
  and most of a hinge's have none.
  """
  root = jnp.sqrt(weights)
  outer = root[:, :, None] * root[:, None, :]
  turn = jnp.where(weights > 0, jnp.cumsum(weights > 0, axis=1), 0)  # from 1

  def sweep(i, s):
    is_pivot = turn == i + 1
    pivot = is_pivot.argmax(1)[:, None]
    row = jnp.take_along_axis(s, pivot[..., None], 1)[:, 0]
    corner = jnp.take_along_axis(row, pivot, 1)
    scaled = jnp.where(is_pivot.any(1, keepdims=True), row / corner, 0.0)
    swept = s - row[:, :, None] * scaled[:, None, :]
    swept = jnp.where(is_pivot[:, :, None], scaled[:, None, :], swept)
    swept = jnp.where(is_pivot[:, None, :], scaled[:, :, None], swept)
    both = is_pivot[:, :, None] & is_pivot[:, None, :]
    return jnp.where(both, -1.0 / corner[..., None], swept)

  start = jnp.eye(root.shape[1]) + preconditioner.gram * outer
  return -outer * jax.lax.fori_loop(0, turn.max(), sweep, start)


def _apply(preconditioner: Preconditioner, core, r):
  """M^-1 r."""
  half, v, _ = preconditioner
  z = jnp.einsum("bi,ji->bj", r, half, precision=PRECISION)
  t = jnp.einsum("bmd,bd->bm", v, z, precision=PRECISION)
  t = jnp.einsum("bij,bj->bi", core, t, precision=PRECISION)
  corrected = z - jnp.einsum("bm,bmd->bd", t, v, precision=PRECISION)
  # Rounding can make the correction indefinite; without it the preconditioner never is.
  definite = (corrected * z).sum(1) > 0
  return jnp.matmul(jnp.where(definite[:, None], corrected, z), half, precision=PRECISION)
