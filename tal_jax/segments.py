"""Temporal geometry: overlap, suppression and clipping of segments.

Notation: a segment is [start, end] in seconds; tIoU is the temporal intersection over union,
|a intersect b| / |a union b|, in [0, 1]. Everything is pure and works under jit and vmap;
`host_segments` has tIoU in float64 without JAX.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp


def length(segments: chex.Array) -> chex.Array:
  """Lengths in seconds, never negative: [..., 2] -> [...]."""
  return jnp.maximum(segments[..., 1] - segments[..., 0], 0.0)


def tiou(a: chex.Array, b: chex.Array) -> chex.Array:
  """Temporal intersection over union of every pair.

  A pair whose union is empty (two segments of zero length) overlaps by 0, not by NaN.

  Args:
    a: [n, 2] segments, seconds.
    b: [m, 2] segments, seconds.

  Returns:
    [n, m] overlaps in [0, 1].
  """
  chex.assert_axis_dimension(a, -1, 2)
  chex.assert_axis_dimension(b, -1, 2)
  return paired_tiou(a[:, None, :], b[None, :, :])


def paired_tiou(a: chex.Array, b: chex.Array) -> chex.Array:
  """tIoU of segments that are broadcast against each other: [..., 2], [..., 2] -> [...]."""
  intersection = jnp.minimum(a[..., 1], b[..., 1]) - jnp.maximum(a[..., 0], b[..., 0])
  intersection = jnp.maximum(intersection, 0.0)
  union = length(a) + length(b) - intersection
  return jnp.where(union > 0, intersection / jnp.where(union > 0, union, 1.0), 0.0)


def clip(segments: chex.Array, duration: chex.Array) -> chex.Array:
  """Clips segments [..., 2] to [0, duration]; duration broadcasts against [...]."""
  return jnp.clip(segments, 0.0, jnp.asarray(duration)[..., None])


def nms(segments: chex.Array, scores: chex.Array, mask: chex.Array, *, k: int,
        threshold: float) -> tuple[chex.Array, chex.Array]:
  """Greedy non-maximum suppression that stops after k segments.

  Repeats k times: take the best segment left, then drop every segment whose tIoU with it
  exceeds `threshold`. Ties go to the lower index. With `threshold >= 1` it is a plain top-k.

  Args:
    segments: [n, 2] seconds.
    scores: [n].
    mask: [n] boolean, True where real.
    k: how many segments to keep at most.
    threshold: tIoU above which the lower-scoring segment is dropped.

  Returns:
    indices: [k] int32, best first; 0 where nothing was left.
    kept: [k] boolean, False where nothing was left.
  """
  chex.assert_rank([segments, scores, mask], [2, 1, 1])

  def pick(alive, _):
    i = jnp.argmax(jnp.where(alive, scores, -jnp.inf))
    kept = alive[i]
    overlap = paired_tiou(segments, segments[i])
    alive = alive & ((overlap <= threshold) | ~kept)
    alive = alive.at[i].set(False)
    return alive, (jnp.where(kept, i, 0).astype(jnp.int32), kept)

  _, (indices, kept) = jax.lax.scan(pick, mask, None, length=k)
  return indices, kept


def soft_nms(segments: chex.Array, scores: chex.Array, mask: chex.Array, *, k: int,
             sigma: float) -> tuple[chex.Array, chex.Array, chex.Array]:
  """Gaussian soft-NMS that stops after k segments.

  Repeats k times: take the segment of the highest score, then multiply the score of every segment
  left by exp(-tIoU^2 / sigma), tIoU being its overlap with the segment taken. Ties go to the lower
  index.

  Source: Bodla et al. (ICCV 2017), as ActionFormer (ECCV 2022) has it for segments.

  Args:
    segments: [n, 2] seconds.
    scores: [n] not negative.
    mask: [n] boolean, True where real.
    k: how many segments to keep at most.
    sigma: width of the decay, > 0.

  Returns:
    indices: [k] int32, in the order in which they were taken; 0 where nothing was left.
    scores: [k] after the decay, descending; 0 where nothing was left.
    kept: [k] boolean, False where nothing was left.
  """
  chex.assert_rank([segments, scores, mask], [2, 1, 1])

  def pick(left, _):
    i = jnp.argmax(left)
    score = left[i]
    kept = score >= 0
    overlap = paired_tiou(segments, segments[i])
    left = jnp.where(left >= 0, left * jnp.exp(-(overlap**2) / sigma), -1.0)
    left = left.at[i].set(-1.0)
    return left, (jnp.where(kept, i, 0).astype(jnp.int32), jnp.where(kept, score, 0.0), kept)

  return jax.lax.scan(pick, jnp.where(mask, scores, -1.0), None, length=k)[1]
