"""The SVM as an optimisation problem: its rows as linear operators, primal, dual and gap.

Notation as in `svm`: A: rows y_i (x_i, 1); u = 1 - A theta. With 0 <= alpha_i (<= c for the hinge),

    P(theta) = |theta|^2 / 2 + c sum_i loss(u_i)     loss = max(0, u) or max(0, u)^2
    D(alpha) = sum_i alpha_i - |A' alpha|^2 / 2 - [squared] sum_i alpha_i^2 / (4 c)

    P(theta) - D(alpha) = |theta - A' alpha|^2 / 2
                          + sum_i [c loss(u_i) + (c loss)*(alpha_i) - alpha_i u_i]

for any theta and any feasible alpha: a certificate that needs no solved problem, and a sum of
non-negative terms, which float32 adds without cancellation.

Vectors over rows are [b, n], vectors over weights [b, d + 1]: batch first, the layout in which
XLA multiplies fastest on CPU.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

LOSSES = ("hinge", "squared_hinge")
PRECISION = jax.lax.Precision.HIGHEST  # float32 products on TPU are bfloat16 otherwise


class Rows(NamedTuple):
  x: chex.Array  # [n, d] shared by the whole batch
  y: chex.Array  # [n], 0 where padded
  real: chex.Array  # [1, n] 1 where real, 0 where padded


def as_rows(x, y, mask, init) -> tuple[Rows, chex.Array]:
  chex.assert_rank([x, y], [2, 1])
  chex.assert_equal_shape_prefix([x, y], 1)
  real = jnp.ones(y.shape) if mask is None else mask.astype(jnp.float32)
  # Not x * real: what is in a masked row may be NaN.
  x = jnp.where(real[:, None] > 0, x.astype(jnp.float32), 0.0)
  rows = Rows(x, y.astype(jnp.float32) * real, real[None])
  if init is None:
    return rows, jnp.zeros((1, x.shape[1] + 1))
  return rows, jnp.append(init.w, init.b).astype(jnp.float32)[None]


def forward(rows: Rows, theta: chex.Array) -> chex.Array:
  """A theta: [b, d + 1] -> [b, n]."""
  w, b = theta[:, :-1], theta[:, -1:]
  return (jnp.einsum("bd,nd->bn", w, rows.x, precision=PRECISION) + b) * rows.y


def backward(rows: Rows, alpha: chex.Array) -> chex.Array:
  """A' alpha: [b, n] -> [b, d + 1]."""
  signed = alpha * rows.y
  w = jnp.matmul(signed, rows.x, precision=PRECISION)
  return jnp.concatenate([w, signed.sum(1, keepdims=True)], 1)


def dual_point(real, u, multipliers, sigma, c, loss):
  """alpha = psi'(u), feasible for any multipliers and sigma: [b, n]."""
  return real * jnp.clip(_inner(u, multipliers, sigma, c, loss), 0.0, _cap(c, loss))


def newton_weights(real, u, multipliers, sigma, c, loss):
  """The generalised second derivative of psi, sigma or 0: [b, n]."""
  inner = _inner(u, multipliers, sigma, c, loss)
  return real * sigma[:, None] * ((inner > 0) & (inner < _cap(c, loss)))


def _inner(u, multipliers, sigma, c, loss):
  kept = (1.0 - sigma / (2.0 * c))[:, None] if loss == "squared_hinge" else 1.0
  return kept * multipliers + sigma[:, None] * u


def _cap(c, loss):
  return jnp.inf if loss == "squared_hinge" else c


def primal_and_slack(real, theta, u, alpha, c, loss):
  """P(theta), and the part of the gap P - D that is a sum over rows."""
  positive = jnp.maximum(u, 0.0) * real
  if loss == "squared_hinge":
    losses, conjugate = c * positive**2, alpha**2 / (4.0 * c)
  else:
    losses, conjugate = c * positive, 0.0
  objective = 0.5 * (theta**2).sum(1) + losses.sum(1)
  slack = jnp.maximum(losses + conjugate - alpha * u, 0.0).sum(1)
  return objective, slack
