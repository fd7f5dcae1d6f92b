"""A labelled set enlarged by each of b candidates, as optimisation problems: rows and objective.

Notation as in `problem`, but the rows of a problem are a pair: A: [n, D] the rows y_i (x_i, 1)
that all problems share, E: [b, m, D] those of each one; a vector over rows is a pair ([b, n],
[b, m]), so that A is never copied and pairs never joined.

    P(theta) = r(theta) + c sum_i loss(u_i)

r is |theta|^2 / 2, or what that becomes when further rows are taken to keep their side of the
margin (`screening`): a quadratic.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax.numpy as jnp

from tal_jax.models.svm.problem import PRECISION

Pair = tuple[chex.Array, chex.Array]


class Quadratic(NamedTuple):
  """r(theta) = value + gradient (theta - origin) + (theta - origin)' H (theta - origin) / 2."""

  origin: chex.Array  # [D]
  value: chex.Array  # []
  gradient: chex.Array  # [D]
  hessian: chex.Array | None  # [D, D]; None stands for the identity

  def times(self, p: chex.Array) -> chex.Array:
    """p H: [b, D] -> [b, D]."""
    return p if self.hessian is None else jnp.matmul(p, self.hessian, precision=PRECISION)


def norm(size: int) -> Quadratic:
  """|theta|^2 / 2 of theta [D]."""
  return Quadratic(jnp.zeros(size), jnp.zeros(()), jnp.zeros(size), None)


class Problems(NamedTuple):
  """Rows times their labels. A padded row is 0 and its target -1: it is never violated."""

  a: chex.Array  # [n, d]
  y: chex.Array  # [n]
  target: chex.Array  # [n] 1 where real
  own_a: chex.Array  # [b, m, d]
  own_y: chex.Array  # [b, m]
  own_target: chex.Array  # [b, m]
  rest: Quadratic  # r, shared too


def mapped(f, *pairs) -> Pair:
  """f of the shared parts, and of the own ones."""
  return tuple(f(*parts) for parts in zip(*pairs, strict=True))


def summed(f, *pairs) -> chex.Array:
  """The sum of f over all rows of each problem: [b]."""
  shared, own = mapped(f, *pairs)
  return shared.sum(1) + own.sum(1)


def forward(problems: Problems, theta: chex.Array) -> Pair:
  """A theta and E theta: [b, D] -> ([b, n], [b, m])."""
  w, b = theta[:, :-1], theta[:, -1:]
  return (jnp.einsum("bd,nd->bn", w, problems.a, precision=PRECISION) + b * problems.y,
          jnp.einsum("bd,bmd->bm", w, problems.own_a, precision=PRECISION) + b * problems.own_y)


def backward(problems: Problems, alpha: Pair) -> chex.Array:
  """A' alpha + E' alpha: ([b, n], [b, m]) -> [b, D]."""
  shared, own = alpha
  w = (jnp.matmul(shared, problems.a, precision=PRECISION)
       + jnp.einsum("bm,bmd->bd", own, problems.own_a, precision=PRECISION))
  b = jnp.matmul(shared, problems.y, precision=PRECISION) + (own * problems.own_y).sum(1)
  return jnp.concatenate([w, b[:, None]], 1)


def dual(u: Pair, multipliers: Pair, sigma, c, loss) -> Pair:
  """alpha = psi'(u), feasible for any multipliers and sigma [b]."""
  if loss == "squared_hinge":
    return mapped(lambda v: 2.0 * c * jnp.maximum(v, 0.0), u)
  return mapped(lambda v, old: jnp.clip(old + sigma[:, None] * v, 0.0, c), u, multipliers)


def curvature(u: Pair, multipliers: Pair, sigma, c, loss) -> Pair:
  """psi''(u), in the generalised sense: 0 where it jumps."""
  if loss == "squared_hinge":
    return mapped(lambda v: jnp.where(v > 0, 2.0 * c, 0.0), u)

  def one(v, old):
    alpha = old + sigma[:, None] * v
    return jnp.where((alpha > 0) & (alpha < c), sigma[:, None], 0.0)

  return mapped(one, u, multipliers)


def gap_parts(rest, gradient, u: Pair, alpha: Pair, c, loss):
  """P(theta) and the two parts of P - D, as in `problem`: over rows, and the gradient's.

  Rows within r have no part in the gap as long as they are on the side that r takes them to be.

  Args:
    rest: [b] r(theta).
    gradient: [b, D] of P with `alpha` for the slopes of the losses.
    u, alpha: of the rows.
    c, loss: as everywhere.
  """
  if loss == "squared_hinge":
    losses, conjugate = mapped(lambda v: c * jnp.maximum(v, 0.0)**2, u), 1.0 / (4.0 * c)
  else:
    losses, conjugate = mapped(lambda v: c * jnp.maximum(v, 0.0), u), 0.0
  slack = summed(lambda l, v, a: jnp.maximum(l + conjugate * a * a - a * v, 0.0), losses, u, alpha)
  objective = rest + summed(lambda l: l, losses)
  return objective, slack, 0.5 * (gradient**2).sum(1)
