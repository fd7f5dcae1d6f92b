"""Which point learns which truth.

Notation: p points, t truths of a video, c classes. A point learns a truth if it lies inside it,
within 1.5 strides of its centre, and if the longer of its two ways to a bound is in the range of
its level. Of several truths the shortest wins; truths of the same length share its classes.

Source: ActionFormer, Sec. 3.3 and its released code.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models.point.levels import Points

_RADIUS = 1.5  # strides
_SAME = 1e-3  # rows: lengths that differ by less are the same


class Targets(NamedTuple):
  classes: chex.Array  # [p, c] in {0, 1}
  offsets: chex.Array  # [p, 2] ways to start and end in strides; meaningless where not positive
  positive: chex.Array  # [p] bool


def assign(points: Points, truths: chex.Array, labels: chex.Array, mask: chex.Array, *,
           num_classes: int) -> Targets:
  """The targets of every point of one video.

  Args:
    points: p points.
    truths: [t, 2] rows, fractional.
    labels: [t] int class index.
    mask: [t] True where real.
    num_classes: c.
  """
  chex.assert_rank([truths, labels, mask], [2, 1, 1])
  position, stride = points.positions[:, None], points.strides[:, None]
  left, right = position - truths[:, 0], truths[:, 1] - position  # [p, t]
  longer = jnp.maximum(left, right)
  centre = 0.5 * (truths[:, 0] + truths[:, 1])
  fits = ((left > 0) & (right > 0) & (jnp.abs(position - centre) < _RADIUS * stride)
          & (longer >= points.low[:, None]) & (longer < points.high[:, None]) & mask)
  length = jnp.where(fits, truths[:, 1] - truths[:, 0], jnp.inf)
  shortest = length.min(1)
  positive = jnp.isfinite(shortest)
  wins = fits & (length <= shortest[:, None] + _SAME)
  one_hot = jax.nn.one_hot(labels, num_classes)
  classes = (wins[..., None] * one_hot).max(1)
  first = jnp.argmin(length, axis=1)
  ways = jnp.stack([left, right], -1)
  offsets = jnp.take_along_axis(ways, first[:, None, None], axis=1)[:, 0] / stride
  return Targets(classes, jnp.where(positive[:, None], offsets, 0.0), positive)
