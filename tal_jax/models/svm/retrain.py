"""Retrains an SVM once for each of b candidates: the base problem, and what a batch shares of it.

The base problem's solution is where every candidate starts, its Newton matrix what preconditions
them all. `batch` solves them twice: first with the few rows that may change sides
(`screening`), then, mostly for the certificate alone, with all. What that gives up on
`solver` takes up, one candidate after the other, each with Newton matrices of its own; and
hinges on few, long rows all go to `wide`. Notation as in `svm` and `batch`.

Memory is bounded by a budget: candidates whose own rows, whitened rows and multipliers exceed it
are taken one group after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm import (
  batch as svm_batch,
  screening as svm_screening,
  solver as svm_solver,
  wide as svm_wide,
)
from tal_jax.models.svm.enlarged import Problems, norm
from tal_jax.models.svm.newton import follow, no_newton
from tal_jax.models.svm.problem import (
  Rows,
  as_rows,
  backward,
  dual_point,
  forward,
  newton_weights,
  primal_and_slack,
)

_CHUNK = 64  # candidates of one matrix product
_CACHED = 320_000  # numbers of an array over all rows: longer sets of rows get smaller chunks
_NARROWEST = 16  # and no fewer than these
# A candidate that needs more is an ill-conditioned one; and of these, with few rows.
_MAX_BATCH_ITERS = {"squared_hinge": 120, "hinge": 200}
_MAX_REDUCED_ITERS = {"squared_hinge": 60, "hinge": 160}
_ENOUGH = 0.7  # of the tolerance, with few rows: all of them have rounding of their own
_POLISH_ITERS = 40  # of the base problem, to find a hinge's multipliers
_SHARP = 50.0  # a row within 1 / (2 * 50) of the margin may be on it
_BASE_TOL = 1e-4  # of a squared hinge: tighter ones are for the candidates
_MATRIX_FREE = 3  # iterations from zeros without a Newton matrix
_NEAR = 100.0  # tolerances: a base problem as good as this is a start
_SIGMA = 40.0  # see _sigma
_FEW = 3  # violated rows per dimension, see _softened
_REACH = 0.2  # of the margin, and
_PART = 0.5  # of sigma: see _softened_hinge


class Solution(NamedTuple):
  theta: chex.Array  # [b, D]
  objective: chex.Array  # [b]
  gap: chex.Array  # [b] certified
  num_iters: chex.Array  # [b]


def retrain(rows: Rows, theta: chex.Array, is_start: bool, extra_x: chex.Array,
            extra_y: chex.Array, extra_real: chex.Array, *, c, loss: str, tol, max_iters,
            byte_budget: int) -> Solution:
  """Solves the base problem, then all enlarged ones.

  Args:
    rows: the labelled set.
    theta: [1, D] where to start.
    is_start: whether `theta` is more than zeros.
    extra_x, extra_y, extra_real: [b, m, d], [b, m], [b, m]: the candidates' rows; real is 1 or 0.
    c, loss, tol, max_iters: as in `svm.retrain_with_one_extra`.
    byte_budget: for what is kept per candidate.
  """
  n, d = rows.x.shape
  b, m = extra_y.shape
  if loss == "hinge" and svm_wide.pays(n + m, d):
    # A hinge on few, long rows changes most of its multipliers with every candidate: a batch that
    # shares a Newton matrix gives all of them up.
    state = svm_wide.solve(rows, theta, c=c, loss=loss, tol=tol, max_iters=max_iters)
    nothing = Solution(jnp.repeat(state.best_theta, b, 0), jnp.zeros(b), jnp.full(b, jnp.inf),
                       jnp.zeros(b, jnp.int32))
    return _one_by_one(rows, (extra_x, extra_y, extra_real), nothing, c, loss, tol, max_iters)
  theta, multipliers, sigma, newton = _base(rows, theta, is_start, c, loss, tol, max_iters)
  half = newton.factor.inverse
  max_iters_batch = jnp.minimum(max_iters, _MAX_BATCH_ITERS[loss])
  screened = None
  if svm_screening.pays(n, d):
    screened = svm_screening.screen(rows, theta, newton, c, loss)
  kept = n if loss == "hinge" else 0  # shared multipliers a candidate
  chunk, group = _sizes(b, n, m, d, kept, byte_budget)
  padding = -b % group

  def groups(leaf):
    leaf = jnp.pad(leaf, [(0, padding)] + [(0, 0)] * (leaf.ndim - 1))
    return leaf.reshape((-1, group) + leaf.shape[1:])

  def solve(own):
    own_x, own_y, own_real = own
    signs = own_y.astype(jnp.float32) * own_real
    own_x = jnp.where(own_real[..., None] > 0, own_x.astype(jnp.float32), 0.0)
    problems = Problems(
        rows.x * rows.y[:, None], rows.y, 2.0 * rows.real[0] - 1.0,
        own_x * signs[..., None], signs, 2.0 * own_real - 1.0, norm(d + 1))
    preconditioner = svm_batch.precondition(problems, half)
    shared = jnp.broadcast_to(multipliers[:, :kept], (group, kept))
    start = svm_batch.begin(
        jnp.broadcast_to(theta, (group, d + 1)),
        (shared, jnp.zeros((group, m if kept else 0))), jnp.broadcast_to(sigma, group))
    if screened is not None:
      few = start._replace(
          multipliers=svm_screening.kept_of(start.multipliers, screened),
          done=start.done | screened.crowded)
      few = svm_batch.solve(
          svm_screening.reduced(problems, screened), preconditioner, few, c=c, loss=loss,
          tol=_ENOUGH * tol, max_iters=jnp.minimum(max_iters, _MAX_REDUCED_ITERS[loss]),
          chunk_size=chunk)
      together = svm_screening.put_back(few.multipliers, start.multipliers, screened)
      start = svm_batch.begin(few.theta, together, few.sigma)._replace(num_iters=few.num_iters)
    return solution(svm_batch.solve(
        problems, preconditioner, start, c=c, loss=loss, tol=tol, max_iters=max_iters_batch,
        chunk_size=min(chunk, max(_NARROWEST, _CACHED // n)), look_first=screened is not None))

  solutions = jax.lax.map(solve, (groups(extra_x), groups(extra_y), groups(extra_real)))
  solutions = jax.tree.map(
      lambda leaf: leaf.reshape((b + padding,) + leaf.shape[2:])[:b], solutions)
  return _one_by_one(rows, (extra_x, extra_y, extra_real), solutions, c, loss, tol, max_iters)


def solution(state: svm_batch.State | svm_solver.State) -> Solution:
  gap = (svm_solver.certified_gap(state) if isinstance(state, svm_solver.State)
         else state.best_gap)
  return Solution(state.best_theta, state.best_objective, gap, state.num_iters)


def _one_by_one(rows: Rows, extra, solutions: Solution, c, loss, tol, max_iters) -> Solution:
  """Solves what is not certified yet, each enlarged problem on its own."""
  left = (solutions.gap > tol * solutions.objective) & (solutions.num_iters < max_iters)
  order = jnp.argsort(~left, stable=True)

  def body(k, solutions):
    i = order[k]
    x, y, real = (leaf[i] for leaf in extra)
    enlarged, _ = as_rows(
        jnp.concatenate([rows.x, x.astype(jnp.float32)]), jnp.concatenate([rows.y, y]),
        jnp.concatenate([rows.real[0], real]), None)
    old = jax.tree.map(lambda leaf: leaf[i], solutions)
    state = svm_wide.solve_any(enlarged, old.theta[None], c=c, loss=loss, tol=tol,
                               max_iters=max_iters - old.num_iters)
    new = jax.tree.map(lambda leaf: leaf[0], solution(state))
    best = jax.tree.map(lambda a, b: jnp.where(new.gap < old.gap, a, b), new, old)
    best = best._replace(num_iters=old.num_iters + new.num_iters)
    return jax.tree.map(lambda whole, leaf: whole.at[i].set(leaf), solutions, best)

  return jax.lax.fori_loop(0, left.sum(), body, solutions)


def _sizes(b, n, m, d, kept, byte_budget) -> tuple[int, int]:
  """Candidates of a chunk, and of a group (a multiple of it, or all of a single chunk)."""
  own = 4 * (3 * m * (d + 1) + 2 * m * m + 2 * kept + 8 * d)
  working = own + 4 * 12 * n
  chunk = max(1, min(-(-b // -(-b // _CHUNK)), byte_budget // working))
  chunks = max(1, min(-(-b // chunk), byte_budget // (own * chunk)))
  return chunk, chunk * chunks


def _base(rows: Rows, theta, is_start, c, loss, tol, max_iters):
  """The base problem's theta [1, D], multipliers [1, n], sigma [1] and Newton matrix.

  That matrix is the one that the solver has preconditioned with, unless too much has changed since.
  """
  none = no_newton(rows)
  if loss == "squared_hinge":
    tol = jnp.maximum(tol, _BASE_TOL)
  start = svm_solver.cold_start(rows, theta, c, loss)

  def softened(u, curvature, sigma):
    if loss == "hinge":
      return _softened_hinge(u, curvature, sigma, rows)
    if svm_screening.pays(*rows.x.shape):
      return svm_screening.softened(u, rows.real, c)
    return _softened(u, curvature, rows, c)

  def solved(**hooks):
    state, newton = svm_solver.solve(rows, start, c=c, loss=loss, tol=tol, max_iters=max_iters,
                                     **hooks)
    alpha = dual_point(rows.real, state.violation, state.multipliers, state.sigma, c, loss)
    return state.theta, alpha, newton

  u = 1.0 - forward(rows, theta)
  if loss == "squared_hinge":
    alpha = dual_point(rows.real, u, start.multipliers, start.sigma, c, loss)
    objective, slack = primal_and_slack(rows.real, theta, u, alpha, c, loss)
    gap = slack + 0.5 * ((theta - backward(rows, alpha))**2).sum(1)
    theta, _, newton = jax.lax.cond(
        (gap <= tol * objective)[0], lambda: (theta, alpha, none),
        lambda: solved(soften=softened, matrix_free=jnp.where(theta.any(), 0, _MATRIX_FREE)))
    alpha, sigma = start.multipliers, start.sigma
  else:
    if is_start:
      polished, near = _polished(rows, theta, u, c, tol)
      theta, alpha, newton = jax.lax.cond(near, lambda: (*polished, none), solved)
    else:
      theta, alpha, newton = solved()
    sigma = _sigma(rows, alpha, c)
  u = 1.0 - forward(rows, theta)
  curvature = softened(u, newton_weights(rows.real, u, alpha, sigma, c, loss), sigma)
  # The solver's last matrix may be that of an iterate before.
  newton = jax.lax.cond(svm_solver.is_stale(newton, curvature, loss),
                        lambda: follow(rows, newton, curvature), lambda: newton)
  return theta, alpha, sigma, newton


def _softened(u, curvature, rows: Rows, c):
  """The curvature [1, n] that preconditions candidates best where none of the rows is folded.

  With many rows per dimension it is that of the base solution. With few, each row that a candidate
  makes enter or leave changes the Newton matrix by a factor in one direction, up to 2 c |a|^2 or
  its inverse; a weight between the two, by how far the row is from its margin, leaves roots of
  these factors and needs a third of the iterations. Found by trial.
  """
  few = (curvature > 0).sum() < _FEW * (rows.x.shape[1] + 1)
  soft = rows.real * 2.0 * c * jnp.clip(0.5 + 0.5 * u, 0.0, 1.0)**2
  return jnp.where(few, soft, curvature)


def _softened_hinge(u, curvature, sigma, rows: Rows):
  """The same for the hinge: rows next to those on the margin get a part of their weight.

  Some dozens of them enter with every candidate, each one more iteration if the preconditioner does
  not know of it. Halves the iterations at n = 10,000, d = 2,048, c = 1. Found by trial.
  """
  near = rows.real * jnp.clip(1.0 - jnp.abs(u) / _REACH, 0.0, 1.0)
  return jnp.maximum(curvature, _PART * sigma[:, None] * near)


def _sigma(rows: Rows, alpha, c):
  """40 sqrt(mean multiplier of a support vector / mean |a|^2): [1].

  With a small sigma the multipliers need many steps, with a large one theta many between them. The
  rule was found by trial at c from 0.1 to 10; the root gives it the unit of multipliers.
  """
  positive = (alpha > 0).sum(1)
  mean = jnp.where(positive > 0, alpha.sum(1) / jnp.maximum(positive, 1), c)
  length = ((rows.x**2).sum() + rows.real.sum()) / jnp.maximum(rows.real.sum(), 1)
  return _SIGMA * jnp.sqrt(mean / length)


def _polished(rows: Rows, theta, u, c, tol):
  """Finds the multipliers that belong to a hinge's solution theta, if it is near one.

  A row off the margin has multiplier 0 or c; those on it come from a few steps of the batch's
  method on the base problem alone, as a candidate without rows. They need not be exact: every
  candidate moves its own.
  """
  n, d = rows.x.shape
  guess = rows.real * jnp.clip(c / 2 + _SHARP * c * u, 0.0, c)
  sigma = _sigma(rows, guess, c)
  curvature = newton_weights(rows.real, u, guess, sigma, c, "hinge")
  newton = follow(rows, no_newton(rows), _softened_hinge(u, curvature, sigma, rows))
  problems = Problems(
      rows.x * rows.y[:, None], rows.y, 2.0 * rows.real[0] - 1.0, jnp.zeros((1, 1, d)),
      jnp.zeros((1, 1)), -jnp.ones((1, 1)), norm(d + 1))
  state = svm_batch.solve(
      problems, svm_batch.precondition(problems, newton.factor.inverse),
      svm_batch.begin(theta, (guess, jnp.zeros((1, 1))), sigma), c=c, loss="hinge", tol=tol,
      max_iters=_POLISH_ITERS, chunk_size=1)
  u = 1.0 - forward(rows, state.theta)
  alpha = dual_point(rows.real, u, state.multipliers[0], state.sigma, c, "hinge")
  return (state.theta, alpha), (state.best_gap <= _NEAR * tol * state.best_objective)[0]
