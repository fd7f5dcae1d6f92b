"""The pool-whitened discriminant: what a few labels and many unlabelled features give together.

Notation: v videos, p proposals, d dimensions; m, C: mean and covariance of the pool's proposals,
labelled or not; l = tr(C) / d, the mean eigenvalue; S = C + l I.

    w = S^-1 (mean positive row - mean negative row)      the discriminant, in closed form
    x -> L^-1 (x - m),  S = L L'                          whitening, for other linear models
    w = a w_lda / sd(w_lda) + (1 - a) w_svm / sd(w_svm)   the attention; a = t / (t + instances)

With few labels the covariance of the features is the part of a linear model that is known already:
it needs none. The SVM, which learns it from the labels, takes over as these grow. The deviations
are over the pool and in closed form, sd(w)^2 = w' C w.

Source: ours, from the measurements that the paper's Sec. 3.1 leaves to be made (few labels); the
paper's attention is a = 0. The regulariser l I is Ledoit and Wolf's (2004) target.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models.svm import SvmParams, blocks as svm_blocks
from tal_jax.models.svm.problem import PRECISION

_SMALL = 1e-6  # a deviation of a linear function, as a share of its size, that is rounding


class Moments(NamedTuple):
  """Of the rows of a pool. `count` is 0 where they are not known yet."""

  mean: chex.Array  # [d] float32
  covariance: chex.Array  # [d, d] float32
  count: chex.Array  # [] float32 rows


class Whitening(NamedTuple):
  """x -> L^-1 (x - m)."""

  mean: chex.Array  # [d]
  factor: chex.Array  # [d, d], L, lower triangular


def no_moments(dim: int) -> Moments:
  return Moments(jnp.zeros(dim), jnp.zeros((dim, dim)), jnp.zeros(()))


def moments(features: chex.Array, mask: chex.Array) -> Moments:
  """Mean and covariance of the rows that are real: two passes over them.

  The second pass subtracts the mean from the rows themselves: features far from 0 lose no digits.

  Args:
    features: [v, p, d] in any float type, on devices, or a NumPy array to be streamed.
    mask: [v, p] bool, True where real; what is elsewhere is not read.
  """
  weights = jnp.asarray(mask, jnp.float32)
  total = svm_blocks.weighted_sum(features, weights)
  count = jnp.maximum(total[-1], 1.0)
  mean = total[:-1] / count
  if isinstance(features, np.ndarray):
    scatter = _streamed_scatter(features, np.asarray(weights), mean)
  else:
    scatter = svm_blocks.on_devices(_scatter, features, (weights,), (mean,), added=True)
  return Moments(mean, scatter / count, total[-1])


def _scatter(features, weights, mean):
  d = features.shape[-1]
  return svm_blocks.over_rows(
      features, weights, lambda x, weight, total: total + _outer(x, weight, mean),
      jnp.zeros((d, d)))


def _outer(x, weight, mean):
  x = jnp.where(weight[:, None] > 0, x.astype(jnp.float32) - mean, 0.0)
  return jnp.matmul((x * weight[:, None]).T, x, precision=PRECISION)


_block_outer = jax.jit(_outer)


def _streamed_scatter(features, weights, mean):
  total = jnp.zeros((features.shape[-1],) * 2)
  for videos, block in svm_blocks.blocks(features, np.flatnonzero((weights != 0).any(1))):
    padded = np.zeros(block.shape[:2], np.float32)
    padded[:len(videos)] = weights[videos]
    total = total + _block_outer(block.reshape(-1, block.shape[-1]), padded.ravel(), mean)
  return total


@jax.jit
def whitening(known: Moments) -> Whitening:
  """The whitening of a pool; features without any variance are left as they are."""
  d = known.mean.shape[0]
  ridge = jnp.trace(known.covariance) / d
  ridge = jnp.where(ridge > 0, ridge, 1.0)
  return Whitening(known.mean, jnp.linalg.cholesky(known.covariance + ridge * jnp.eye(d)))


@jax.jit
def whiten(white: Whitening, x: chex.Array) -> chex.Array:
  """L^-1 (x - m): [n, d] -> [n, d]."""
  return _solve(white.factor, (x.astype(jnp.float32) - white.mean).T).T


@jax.jit
def from_whitened(white: Whitening, w: chex.Array, b: chex.Array) -> tuple[chex.Array, chex.Array]:
  """The linear function of x that L^-1 (x - m) w + b is: [d, k], [k] -> [d, k], [k]."""
  w = _solve(white.factor, w, transposed=True)
  return w, b - jnp.matmul(white.mean, w, precision=PRECISION)


@jax.jit
def to_whitened(white: Whitening, w: chex.Array, b: chex.Array) -> tuple[chex.Array, chex.Array]:
  """The inverse of `from_whitened`."""
  return (jnp.matmul(white.factor.T, w, precision=PRECISION),
          b + jnp.matmul(white.mean, w, precision=PRECISION))


def _solve(factor, right, transposed=False):
  return jax.scipy.linalg.solve_triangular(factor, right, lower=True, trans=int(transposed))


@jax.jit
def direction(white: Whitening, positive: chex.Array, negative: chex.Array) -> chex.Array:
  """S^-1 (mean positive - mean negative): [d]; 0 where there is no positive row, or no negative.

  Args:
    white: of the pool.
    positive, negative: [d + 1], the sums of the rows (x, 1), as of `svm.blocks.weighted_sum`.
  """
  difference = (positive[:-1] / jnp.maximum(positive[-1], 1.0)
                - negative[:-1] / jnp.maximum(negative[-1], 1.0))
  w = _solve(white.factor, _solve(white.factor, difference), transposed=True)
  return jnp.where((positive[-1] > 0) & (negative[-1] > 0), w, 0.0)


@jax.jit
def standardised(known: Moments, w: chex.Array) -> SvmParams:
  """x w, in standard deviations over the pool; 0 where it does not vary."""
  product = jnp.matmul(known.covariance, w, precision=PRECISION)
  deviation = jnp.sqrt(jnp.maximum(jnp.vdot(w, product, precision=PRECISION), 0.0))
  size = jnp.linalg.norm(w) * jnp.sqrt(jnp.trace(known.covariance))
  w = jnp.where(deviation > _SMALL * size, w / jnp.where(deviation > 0, deviation, 1.0), 0.0)
  return SvmParams(w, -jnp.vdot(known.mean, w, precision=PRECISION))


@jax.jit
def mixed(known: Moments, lda: chex.Array, svm: chex.Array, instances: chex.Array, *,
          instances_per_dim: float) -> tuple[SvmParams, chex.Array]:
  """The attention: discriminant and SVM, the first the more the fewer labels there are.

  Args:
    known: of the pool.
    lda, svm: [d], weights of the two.
    instances: [], number of labelled instances.
    instances_per_dim: t / d; 0 is the SVM alone.

  Returns:
    The attention, standardised over the pool, and a, the discriminant's share.
  """
  t = instances_per_dim * lda.shape[0]
  share = t / jnp.maximum(t + instances, 1.0)
  w = share * standardised(known, lda).w + (1.0 - share) * standardised(known, svm).w
  return standardised(known, w), share
