"""What a proposal's neighbours in time say of it: sharpened scores, bounds and classes.

Notation: p proposals of one video, k of them picked, c classes; z: [p] their scores, logits; o_ij:
tIoU of i and j. A proposal is a neighbour of i, and so is i itself, where o_ij exceeds a threshold.

    sharpen   z_i + amount (z_i - mean of z over the neighbours)   what stands out among its like
    vote      sum_j a_j [start_j, end_j] / sum_j a_j,  a_j = exp(strength z_j / sd z)
    average   mean of the class probabilities over the neighbours

Every function is of one video; the caller maps over them. Proposals of zero length have no
neighbour, not even themselves, and stay as they are.

Source: box voting of Gidaris and Komodakis (ICCV 2015, Sec. 4.2), with weights that are a softmax;
the paper has neither.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.svm.problem import PRECISION
from tal_jax.segments import paired_tiou


def neighbours(of: chex.Array, segments: chex.Array, mask: chex.Array,
               threshold: float) -> chex.Array:
  """Which proposals are neighbours: [k, 2] and [p, 2] seconds, [p] -> [k, p] bool."""
  return (paired_tiou(of[:, None], segments[None]) > threshold) & mask


def sharpen(z: chex.Array, segments: chex.Array, mask: chex.Array, *, amount: float,
            threshold: float) -> chex.Array:
  """Scores moved away from the mean of their neighbours' by `amount` times the distance.

  Args:
    z: [p].
    segments: [p, 2] seconds.
    mask: [p] bool, True where real.
    amount: 0 changes nothing.
    threshold: tIoU above which a proposal is a neighbour.

  Returns:
    [p]; 0 where padded.
  """
  z = jnp.where(mask, z, 0.0)
  near = paired_tiou(segments[:, None], segments[None]) > threshold
  total, count = jnp.matmul(jnp.stack([z, mask.astype(jnp.float32)]), near.astype(jnp.float32),
                            precision=PRECISION)
  mean = total / jnp.maximum(count, 1.0)
  return jnp.where(mask & (count > 0), z + amount * (z - mean), z)


def vote(picked: chex.Array, z: chex.Array, segments: chex.Array, mask: chex.Array, *,
         strength: float, threshold: float, deviation: chex.Array) -> chex.Array:
  """Bounds of the picked segments as means over their neighbours, of which the better count more.

  Args:
    picked: [k, 2] seconds, among `segments`.
    z: [p].
    segments: [p, 2] seconds.
    mask: [p] bool, True where real.
    strength: 0 is the plain mean.
    threshold: tIoU above which a proposal is a neighbour.
    deviation: [], the standard deviation of z over the pool, > 0.

  Returns:
    [k, 2] seconds.
  """
  near = neighbours(picked, segments, mask, threshold)
  logits = jnp.where(near, strength * z / deviation, -jnp.inf)
  some = near.any(1)
  weights = jax.nn.softmax(jnp.where(some[:, None], logits, 0.0), axis=1)
  # Relative to the pick: a mean of large times in float32 would lose what bounds differ by.
  moved = segments[None] - picked[:, None]
  shift = (weights[..., None] * jnp.where(near[..., None], moved, 0.0)).sum(1)
  return picked + jnp.where(some[:, None], shift, 0.0)


def average(picked: chex.Array, probabilities: chex.Array, own: chex.Array, segments: chex.Array,
            mask: chex.Array, *, threshold: float) -> chex.Array:
  """Class probabilities of the picked segments as means over their neighbours.

  Args:
    picked: [k, 2] seconds, among `segments`.
    probabilities: [p, c] of all proposals.
    own: [k, c] of the picked ones.
    segments: [p, 2] seconds.
    mask: [p] bool, True where real.
    threshold: tIoU above which a proposal is a neighbour.

  Returns:
    [k, c], sums to 1.
  """
  near = neighbours(picked, segments, mask, threshold)
  count = near.sum(1)[:, None]
  probabilities = jnp.where(mask[:, None], probabilities, 0.0)
  total = jnp.matmul(near.astype(jnp.float32), probabilities, precision=PRECISION)
  return jnp.where(count > 0, total / jnp.maximum(count, 1), own)
