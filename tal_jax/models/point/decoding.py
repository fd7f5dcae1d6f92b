"""From points to segments.

Notation: p points of a window, c classes, m candidates a class, k segments kept a class.

Two stages, so that a video may be seen in several windows: the m best points of each class of a
window are its candidates; the candidates of all windows of a video, the m best of them, go through
soft-NMS, class by class.

Source: ActionFormer; m, k and sigma are ours.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import segments as seg
from tal_jax.models.point.levels import Points


class Settings(NamedTuple):
  """Hashable."""

  candidates: int = 100  # m
  kept: int = 20  # k
  sigma: float = 0.5  # of soft-NMS
  most: int = 200  # segments a video, classes together


class Candidates(NamedTuple):
  """Of one video or window, by class, best first."""

  scores: chex.Array  # [c, m] in [0, 1]; -1 where there is none
  segments: chex.Array  # [c, m, 2] rows of the video, fractional


def candidates(probabilities: chex.Array, offsets: chex.Array, real: chex.Array,
               begin: chex.Array, points: Points, *, num: int) -> Candidates:
  """The best points of each class of one window.

  Args:
    probabilities: [p, c].
    offsets: [p, 2] ways to start and end, in strides.
    real: [p] points that count: real, and of the window's own rows.
    begin: [] the video's row at which the window begins.
    points: their places in the window.
    num: m.
  """
  scores = jnp.where(real, probabilities.T, -1.0)  # [c, p]
  best, index = jax.lax.top_k(scores, min(num, scores.shape[1]))
  ways = offsets * points.strides[:, None]
  bounds = begin + jnp.stack([points.positions - ways[:, 0], points.positions + ways[:, 1]], -1)
  pad = num - best.shape[1]
  return Candidates(jnp.pad(best, ((0, 0), (0, pad)), constant_values=-1.0),
                    jnp.pad(bounds[index], ((0, 0), (0, pad), (0, 0))))


def merge(parts: list[Candidates]) -> Candidates:
  """The best candidates of several windows of a video, the earlier window first at equal scores.

  On the host: every number of windows would be a program of its own.
  """
  num = parts[0].scores.shape[1]
  scores = np.concatenate([part.scores for part in parts], axis=1)
  bounds = np.concatenate([part.segments for part in parts], axis=1)
  index = np.argsort(-scores, axis=1, kind="stable")[:, :num]
  return Candidates(np.take_along_axis(scores, index, axis=1),
                    np.take_along_axis(bounds, index[..., None], axis=1))


def segments(found: Candidates, start: chex.Array, step: chex.Array, duration: chex.Array,
             settings: Settings) -> tuple[chex.Array, chex.Array, chex.Array, chex.Array]:
  """Soft-NMS within each class of one video.

  Args:
    found: candidates.
    start, step: [] seconds, of the video's rows.
    duration: [] seconds: bounds are clipped to it.
    settings: how many are kept.

  Returns:
    segments [k', 2] seconds, scores [k'], labels [k'] int32 and mask [k'], the highest score
    first; k' = min(c k, most).
  """
  bounds = seg.clip(start + step * found.segments, duration)
  real = (found.scores > 0) & (bounds[..., 1] > bounds[..., 0])
  k = min(settings.kept, found.scores.shape[1])
  index, scores, kept = jax.vmap(
      lambda s, x, m: seg.soft_nms(s, x, m, k=k, sigma=settings.sigma))(bounds, found.scores, real)
  chosen = jnp.take_along_axis(bounds, index[..., None], axis=1)
  labels = jnp.broadcast_to(jnp.arange(index.shape[0], dtype=jnp.int32)[:, None], index.shape)
  most = min(settings.most, index.size)
  best, order = jax.lax.top_k(jnp.where(kept, scores, -1.0).ravel(), most)
  mask = best > 0
  return (jnp.where(mask[:, None], chosen.reshape(-1, 2)[order], 0.0),
          jnp.where(mask, best, 0.0), labels.ravel()[order], mask)


@functools.partial(jax.jit, static_argnames="settings")
def segments_of_videos(found: Candidates, start: chex.Array, step: chex.Array,
                       duration: chex.Array, *, settings: Settings
                       ) -> tuple[chex.Array, chex.Array, chex.Array, chex.Array]:
  """`segments` of v videos: all arrays, and the results, have a leading axis v."""
  return jax.vmap(functools.partial(segments, settings=settings))(found, start, step, duration)
