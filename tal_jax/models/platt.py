"""Platt calibration of SVM scores.

Notation: s: [n] scores; y: [n] labels, positive where > 0; P(y = 1 | s) = 1 / (1 + exp(a s + b)),
so that a < 0 where larger scores mean the positive class.

Source: Platt (1999); Lin, Lin and Weng (2007) for the safe Newton step. The paper, Sec. 3.1. The
paper does not say on which scores it calibrates; this project uses those of the training rows.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

_DAMPING = 1e-6  # added to the Hessian of the mean loss, keeps one-class data solvable
_NUM_HALVINGS = 10
_ROUNDING = 1e-6  # relative, of a mean in float32


class PlattParams(NamedTuple):
  a: chex.Array  # [] float32
  b: chex.Array  # [] float32


def probability(params: PlattParams, scores: chex.Array) -> chex.Array:
  """P(y = 1 | s) = 1 / (1 + exp(a s + b)), elementwise."""
  return jax.nn.sigmoid(-(params.a * scores + params.b))


def fit(scores: chex.Array, labels: chex.Array, mask: chex.Array | None = None, *,
        num_iters: int = 100) -> PlattParams:
  """Fits a and b by Newton's method on the cross-entropy with Platt's targets.

  The targets are (n+ + 1) / (n+ + 2) and 1 / (n- + 2), not 1 and 0, which keeps a finite on
  separable data. Scores are standardised inside, so that float32 is enough at any scale.

  Args:
    scores: [n] float.
    labels: [n], positive where > 0.
    mask: [n], True where real; None means all.
    num_iters: bound on Newton steps; it stops once the step is below float32's resolution.

  Returns:
    PlattParams; with one class only, a is near 0 and the probability near that class' target.
  """
  chex.assert_rank([scores, labels], 1)
  real = jnp.ones(scores.shape) if mask is None else mask.astype(jnp.float32)
  s = jnp.where(real > 0, scores.astype(jnp.float32), 0.0)  # padded scores may be -inf
  count = jnp.maximum(real.sum(), 1.0)
  positive = real * (labels > 0)
  num_positive, num_negative = positive.sum(), (real - positive).sum()
  target = jnp.where(labels > 0, (num_positive + 1.0) / (num_positive + 2.0),
                     1.0 / (num_negative + 2.0))
  mean = (real * s).sum() / count
  largest = jnp.abs(real * (s - mean)).max(initial=0.0)  # squares would overflow, or vanish
  relative = (s - mean) / jnp.where(largest > 0, largest, 1.0)
  scale = largest * jnp.sqrt((real * relative**2).sum() / count)
  # Equal scores differ from their mean by rounding, which must not be taken for a signal.
  varies = largest > _ROUNDING * jnp.abs(mean)
  scale = jnp.where(varies, scale, 1.0)
  z = jnp.where(varies, (s - mean) / scale, 0.0)

  def loss(theta):
    f = theta[0] * z + theta[1]
    # -[t log p + (1 - t) log(1 - p)] with p = sigmoid(-f), written without overflow.
    return (real * (jax.nn.softplus(f) - (1.0 - target) * f)).sum() / count

  def newton(carry):
    i, theta, value, _ = carry
    p = jax.nn.sigmoid(-(theta[0] * z + theta[1]))
    residual, weight = real * (target - p) / count, real * p * (1.0 - p) / count
    gradient = jnp.stack([(residual * z).sum(), residual.sum()])
    h11, h12, h22 = (weight * z * z).sum() + _DAMPING, (weight * z).sum(), weight.sum() + _DAMPING
    determinant = h11 * h22 - h12 * h12
    step = -jnp.stack([h22 * gradient[0] - h12 * gradient[1],
                       h11 * gradient[1] - h12 * gradient[0]]) / determinant

    # The first of 1, 1/2, 1/4, ... that does not raise the loss (Lin et al., Algorithm 1). One
    # after the other: the first is nearly always good, and each costs a pass over the scores.
    def good(size, trial):
      return trial <= value + 1e-4 * size * (gradient @ step) + 1e-7

    def halve(carry):
      j, size, _ = carry
      return j + 1, 0.5 * size, loss(theta + 0.5 * size * step)

    _, size, trial = jax.lax.while_loop(
        lambda carry: (carry[0] < _NUM_HALVINGS - 1) & ~good(carry[1], carry[2]), halve,
        (0, jnp.ones(()), loss(theta + step)))
    accepted = good(size, trial)
    size = jnp.where(accepted, size, 0.0)
    return (i + 1, theta + size * step, jnp.where(accepted, trial, value),
            jnp.abs(size * step).max())

  start = jnp.stack([0.0, jnp.log((num_negative + 1.0) / (num_positive + 1.0))])
  _, theta, _, _ = jax.lax.while_loop(
      lambda carry: (carry[0] < num_iters) & (carry[3] > 1e-6), newton,
      (0, start, loss(start), jnp.inf))
  return PlattParams(a=theta[0] / scale, b=theta[1] - theta[0] * mean / scale)
