"""Rows: the frame-level features of a set of videos, end to end in one array.

Notation: v videos, n rows in all, d dimensions. Row i of a video covers a short time around
start + i * step seconds.

Videos are of very different lengths, so their rows are not padded: one array holds the rows of all
videos, one after the other, and each video knows where its own begin. That array may be a
memory-mapped file. The features are stored as they were read; `normalised` standardises what was
gathered from them.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax.numpy as jnp
import numpy as np

LIMIT = 6.0  # standard deviations at which a value is cut off


class Rows(NamedTuple):
  """The rows of v videos."""

  values: chex.Array  # [n, d] float16, bfloat16 or float32, as they were read
  first: chex.Array  # [v] int32, where a video's rows begin
  count: chex.Array  # [v] int32, how many it has
  start: chex.Array  # [v] float32 seconds, the centre of its first row
  step: chex.Array  # [v] float32 seconds from one row to the next
  mean: chex.Array  # [d] float32, of Selection's rows
  scale: chex.Array  # [d] float32, 1 / their standard deviation; 0 for a constant dimension

  @property
  def dim(self) -> int:
    return self.values.shape[-1]

  @property
  def num_videos(self) -> int:
    return self.count.shape[0]


def take(rows: Rows, indices: chex.Array) -> Rows:
  """The videos at `indices` [n], in that order. The features themselves are shared."""
  return rows._replace(**{name: getattr(rows, name)[indices]
                          for name in ("first", "count", "start", "step")})


def pad(rows: Rows, num_videos: int) -> Rows:
  """Adds videos without rows, up to `num_videos`."""
  grow = num_videos - rows.num_videos

  def grown(leaf, fill):
    xp = jnp if isinstance(leaf, jnp.ndarray) else np
    return xp.pad(leaf, (0, grow), constant_values=fill)

  return rows._replace(first=grown(rows.first, 0), count=grown(rows.count, 0),
                       start=grown(rows.start, 0.0), step=grown(rows.step, 1.0))


def normalised(values: chex.Array, mean: chex.Array, scale: chex.Array) -> chex.Array:
  """Standardised rows, cut off at +-LIMIT: [..., d] -> [..., d] float32; on the host or in JAX."""
  mean, scale = mean.astype(np.float32), scale.astype(np.float32)
  return ((values.astype(np.float32) - mean) * scale).clip(-LIMIT, LIMIT)


def to_rows(times: chex.Array, start: chex.Array, step: chex.Array) -> chex.Array:
  """The (fractional) row at a time in seconds, elementwise."""
  return (times - start) / step


def to_times(rows: chex.Array, start: chex.Array, step: chex.Array) -> chex.Array:
  """The time in seconds of a (fractional) row, elementwise; the inverse of `to_rows`."""
  return start + rows * step


def gather(rows: Rows, indices: np.ndarray) -> np.ndarray:
  """The rows of the videos at `indices`, end to end, on the host: [m, d] as they are stored.

  Of a memory-mapped file these videos alone are read.
  """
  first, count = np.asarray(rows.first), np.asarray(rows.count)
  parts = [np.asarray(rows.values[first[i]:first[i] + count[i]]) for i in indices]
  return np.concatenate(parts) if parts else np.zeros((0, rows.dim), rows.values.dtype)
