"""Oracles that answer from existing annotations: exact, or with a given amount of noise.

Notation: n videos asked, t truths; r: tIoU between an answer and the truth.

Source: the paper, Sec. 3.3 (simulated oracles) and Sec. 4.2 ("Effect of Noisy Annotations"): "at 5%
noise level, the oracle returns temporal instances sampled from a Gaussian distribution with mean
equal to 95% tIoU". Its standard deviation is not given there (a setting here), nor is the way in
which an instance is moved.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax import segments as seg

_MIN_TIOU = 0.05  # targets are drawn no lower: a segment of no overlap is not an answer


class Answer(NamedTuple):
  segments: chex.Array  # [n, t, 2] seconds
  mask: chex.Array  # [n, t] True where an instance was marked
  reached: chex.Array  # [n, t] tIoU with the truth that was really reached, 0 where padded


def answer(key: chex.PRNGKey, videos: chex.Array, truths: chex.Array, mask: chex.Array,
           durations: chex.Array, *, noise: float = 0.0, noise_sigma: float = 0.0) -> Answer:
  """Answers for a batch of videos.

  The noise of a video depends on the key and on its index alone: whichever strategy asks for it,
  and at whichever step, the same answer comes (the paired design of the experiments).

  Args:
    key: of the whole campaign, not consumed.
    videos: [n] int, index of each video in the pool.
    truths: [n, t, 2] seconds.
    mask: [n, t].
    durations: [n] seconds.
    noise: level p in [0, 1): the mean tIoU of an answer is 1 - p. 0 with no sigma is the exact,
      simulated oracle.
    noise_sigma: standard deviation of the tIoU.
  """
  if noise == 0 and noise_sigma == 0:
    return Answer(truths, mask, mask.astype(jnp.float32))
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(videos)
  moved = jax.vmap(lambda k, s, d: perturb(k, s, d, noise=noise, noise_sigma=noise_sigma))(
      keys, truths, durations)
  moved = jnp.where(mask[..., None], moved, 0.0)
  return Answer(moved, mask, jnp.where(mask, seg.paired_tiou(moved, truths), 0.0))


def perturb(key: chex.PRNGKey, truths: chex.Array, duration: chex.Array, *, noise: float,
            noise_sigma: float) -> chex.Array:
  """Moves each instance to a tIoU of r ~ N(1 - noise, noise_sigma) with itself.

  One of three exact ways, at random: a shift by L (1 - r) / (1 + r) to either side; a shrink to
  length r L at a random place inside; an expansion to L / r around a random place. Clipping to the
  video can only move r up for an expansion, either way for a shift: `Answer.reached` tells.

  Args:
    truths: [t, 2] seconds, of length L each.
    duration: [] seconds.

  Returns:
    [t, 2] seconds.
  """
  t = truths.shape[0]
  k_tiou, k_kind, k_place, k_side = jax.random.split(key, 4)
  r = jnp.clip(1.0 - noise + noise_sigma * jax.random.normal(k_tiou, (t,)), _MIN_TIOU, 1.0)
  start, length = truths[:, 0], seg.length(truths)
  place = jax.random.uniform(k_place, (t,))
  side = jnp.where(jax.random.bernoulli(k_side, shape=(t,)), 1.0, -1.0)
  offset = side * length * (1.0 - r) / (1.0 + r)
  shifted = truths + offset[:, None]
  inner = start + place * length * (1.0 - r)
  shrunk = jnp.stack([inner, inner + r * length], -1)
  outer = start - place * length * (1.0 / r - 1.0)
  expanded = jnp.stack([outer, outer + length / r], -1)
  kind = jax.random.randint(k_kind, (t, 1), 0, 3)
  moved = jnp.where(kind == 0, shifted, jnp.where(kind == 1, shrunk, expanded))
  return seg.clip(moved, duration)
