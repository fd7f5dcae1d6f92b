"""Screens the shared rows of a batch of SVMs: few of them can change sides, the others are folded.

A candidate moves theta a little, so that only rows near the margin of the base problem enter or
leave the loss. The n / 8 nearest stay as they are; each of the others is taken to keep its side and
becomes a part of the quadratic r of `enlarged`: nothing where u < 0, and c u^2 (c u for the
hinge) where u > 0. That makes an iteration two to three times cheaper. Nothing is assumed in the
end: the certificate of the whole problem says which candidates were right, and the others go on
there.

A hinge can have more rows on the margin than may stay: where features say little and few rows are
positive, the best is w = 0, b = -1, with all negative rows there. Then none is folded.

Notation as in `batch`; k: the number of rows that stay.

Source: the idea is the shrinking of Joachims (1999) and of LIBLINEAR; to fold the rows of a batch
from one base solution, with the final word left to the full certificate, is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm.enlarged import Pair, Problems, Quadratic
from tal_jax.models.svm.newton import Newton, followed
from tal_jax.models.svm.problem import Rows, backward, forward

_SHARE = 8  # one row in so many stays
_FEWEST = 1024  # rows worth screening
_PER_DIMENSION = 2  # rows: an iteration with r costs a product [D, D] more
_ON_MARGIN = 1e-3  # |u| of a row that a solver leaves there


class Screened(NamedTuple):
  kept: chex.Array  # [k] int32, rows that stay
  rest: Quadratic
  crowded: chex.Array  # [] bool: rows on the margin had to be folded


def pays(num_rows: int, dim: int) -> bool:
  """Whether an iteration gets clearly cheaper."""
  return num_rows >= max(_FEWEST, _PER_DIMENSION * dim)


def num_kept(num_rows: int) -> int:
  """k."""
  return -(-num_rows // _SHARE)


def softened(u: chex.Array, real: chex.Array, c) -> chex.Array:
  """The curvature [1, n] of the squared hinge that preconditions screened candidates best.

  Rows that stay may enter or leave, each one a factor of up to 2 c |a|^2 or its inverse in one
  direction of the Newton matrix; a weight between the two, by how far the row is from its margin,
  leaves roots of these factors. The other rows have the curvature that folding gives them.

  Args:
    u: [1, n] at the base solution, or near it.
    real: [1, n] 1 or 0.
    c: as in `svm.fit`.
  """
  nearness, _ = _nearest(u[0], real[0])
  reach = jnp.maximum(-nearness[-1], _ON_MARGIN)
  return real * 2.0 * c * jnp.clip(0.5 + 0.5 * u / reach, 0.0, 1.0)


def _nearest(u: chex.Array, real: chex.Array) -> tuple[chex.Array, chex.Array]:
  """-|u| and the index of the k real rows nearest to the margin, the nearest first."""
  return jax.lax.top_k(jnp.where(real > 0, -jnp.abs(u), -jnp.inf), num_kept(len(u)))


def screen(rows: Rows, theta: chex.Array, newton: Newton, c, loss: str) -> Screened:
  """Chooses the rows that stay, and folds the others.

  Args:
    rows: the labelled set.
    theta: [1, D] the base solution.
    newton: a Newton matrix near that at theta; the hinge needs none.
    c, loss: as in `svm.fit`.
  """
  n = rows.x.shape[0]
  u = 1.0 - forward(rows, theta)[0]
  nearness, kept = _nearest(u, rows.real[0])
  folded = (u > 0) & (rows.real[0] > 0) & jnp.ones(n, bool).at[kept].set(False)
  violation = jnp.where(folded, u, 0.0)
  if loss == "hinge":
    losses, slope, hessian = c * violation, jnp.where(folded, c, 0.0), None
  else:
    losses, slope = c * violation**2, 2.0 * c * violation
    hessian = followed(rows, newton, jnp.where(folded, 2.0 * c, 0.0)[None])
  gradient = theta - backward(rows, slope[None])
  rest = Quadratic(theta[0], 0.5 * (theta**2).sum() + losses.sum(), gradient[0], hessian)
  return Screened(kept, rest, nearness[-1] > -_ON_MARGIN)


def reduced(problems: Problems, screened: Screened) -> Problems:
  """The problems with k shared rows instead of n."""
  return problems._replace(
      a=problems.a[screened.kept], y=problems.y[screened.kept],
      target=problems.target[screened.kept], rest=screened.rest)


def kept_of(multipliers: Pair, screened: Screened) -> Pair:
  """The multipliers of the rows that stay; the squared hinge has none."""
  shared, own = multipliers
  return (shared[:, screened.kept] if shared.shape[1] else shared), own


def put_back(few: Pair, multipliers: Pair, screened: Screened) -> Pair:
  """All multipliers, with those of the rows that stayed from `few`."""
  shared = multipliers[0]
  return (shared.at[:, screened.kept].set(few[0]) if shared.shape[1] else shared), few[1]
