"""Linear support vector machines with a certificate, one at a time or one per extra video.

Notation: x: [n, d] features; y: [n] in {-1, +1}; theta = (w, b) in R^(d+1), b the weight of a
constant feature 1 and regularised like the others (LIBLINEAR's `bias=1`); A: the rows
y_i (x_i, 1); u = 1 - A theta, so that row i violates its margin where u_i > 0.

    P(theta) = |theta|^2 / 2 + c sum_i loss(u_i)     loss = max(0, u) or max(0, u)^2

`problem` holds P, its dual and the gap between them; `solver` the method for one problem,
`wide` the same for few, long rows;
`newton` its Newton matrix; `retrain` and `batch` what is done for a batch.

Source: the attention module of the paper, Sec. 3.1 ("a linear Support Vector Machine [17, 21]",
[21] = LIBLINEAR); the paper gives neither the loss nor C.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm import retrain as svm_retrain, wide as svm_wide
from tal_jax.models.svm.problem import PRECISION, as_rows


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
  return jnp.matmul(x.astype(params.w.dtype), params.w, precision=PRECISION) + params.b


@functools.partial(jax.jit, static_argnames=("loss", "is_wide"))
def fit(x: chex.Array, y: chex.Array, mask: chex.Array | None = None, *, c: float = 1.0,
        loss: str = "hinge", tol: float = 1e-4, init: SvmParams | None = None,
        max_iters: int = 500, is_wide: bool | None = None) -> tuple[SvmParams, SvmInfo]:
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
    is_wide: whether the Newton matrix is over the rows; default: where n is at most 2 d. For those
      who pad: masked rows do not count.

  Returns:
    (SvmParams, SvmInfo). Where float32 gives no certificate the parameters are those of the lowest
    objective that was seen.
  """
  rows, theta = as_rows(x, y, mask, init)
  state = svm_wide.solve_any(rows, theta, c=c, loss=loss, tol=tol, max_iters=max_iters,
                             is_wide=is_wide)
  params, info = _result(svm_retrain.solution(state), tol, max_iters)
  return jax.tree.map(lambda leaf: leaf[0], (params, info))


@functools.partial(jax.jit, static_argnames=("loss", "byte_budget"))
def retrain_with_one_extra(
    x: chex.Array, y: chex.Array, mask: chex.Array | None, extra_x: chex.Array,
    extra_y: chex.Array, extra_mask: chex.Array | None, *, c: float = 1.0, loss: str = "hinge",
    tol: float | None = None, init: SvmParams | None = None, max_iters: int = 500,
    byte_budget: int = 1 << 30) -> tuple[SvmParams, SvmInfo]:
  """Retrains the SVM of (x, y) once for each of b candidate videos added to it.

  Equal to a vmap of `fit` over the b enlarged problems, to the same certificate, but written
  batched: every product with the shared rows is one [b, d] x [d, n] matrix product, and [b, n, d]
  is never formed. The base problem is solved first (at once, if `init` is its solution); its
  solution is where each candidate starts, and its Newton matrix, corrected for the candidate's own
  rows, the preconditioner (`batch`).

  Args:
    x, y, mask: [n, d], [n], [n]: the labelled set.
    extra_x, extra_y, extra_mask: [b, m, d], [b, m], [b, m]: the rows of each candidate.
    c, loss: as in `fit`.
    tol: relative duality gap at which to stop; default 1e-4 for the squared hinge, 1e-3 for the
      hinge.
    init: solution of the base problem, if known.
    max_iters: bound on each candidate's iterations; `converged` is False where it is met.
    byte_budget: bytes that what is kept per candidate may take; more candidates than fit are taken
      in groups. (The labelled rows, in float32, and one Newton matrix come on top.)

  Returns:
    (SvmParams, SvmInfo), batched over b.
  """
  chex.assert_rank([extra_x, extra_y], [3, 2])
  chex.assert_equal_shape_prefix([extra_x, extra_y], 2)
  rows, theta = as_rows(x, y, mask, init)
  if tol is None:
    tol = 1e-4 if loss == "squared_hinge" else 1e-3
  real = jnp.ones(extra_y.shape) if extra_mask is None else extra_mask.astype(jnp.float32)
  found = svm_retrain.retrain(
      rows, theta, init is not None, extra_x, extra_y, real, c=c, loss=loss, tol=tol,
      max_iters=max_iters, byte_budget=byte_budget)
  return _result(found, tol, max_iters)


def _result(found: svm_retrain.Solution, tol, max_iters) -> tuple[SvmParams, SvmInfo]:
  gap, objective = found.gap, found.objective
  relative = jnp.where(gap > 0, gap / jnp.maximum(objective, 1e-30), 0.0)
  return (SvmParams(found.theta[:, :-1], found.theta[:, -1]),
          SvmInfo(objective, relative, jnp.minimum(found.num_iters, max_iters),
                  gap <= tol * objective))
