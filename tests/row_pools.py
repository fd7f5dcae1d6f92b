"""Tiny pools of frame-level features for tests. Their truths are given in rows."""

from __future__ import annotations

import functools

import numpy as np

from tal_jax.pool import Video, VideoPool, from_videos
from tal_jax.rows import Rows

DIM, START, STEP = 4, 0.25, 0.5  # row i of a video stands at START + i * STEP seconds


def make(videos, *, num_truths: int | None = None, dtype=np.float32) -> VideoPool:
  """A pool of videos (values [n, d], truths [t, 2] in rows, labels [t])."""
  made, counts = [], []
  for values, truths, labels in videos:
    truths = START + STEP * np.asarray(truths, np.float32).reshape(-1, 2)
    made.append(Video(np.zeros((1, 2)), np.zeros((1, 1)), truths, np.asarray(labels, np.int32),
                      STEP * len(values)))
    counts.append(len(values))
  count = np.array(counts, np.int32)
  values = np.concatenate([np.asarray(values, dtype) for values, _, _ in videos])
  return from_videos(made, num_truths=num_truths)._replace(rows=rows_of(values, count))


def rows_of(values: np.ndarray, count) -> Rows:
  """Rows that are normalised already, of videos of these numbers of rows."""
  count, d = np.asarray(count, np.int32), values.shape[1]
  return Rows(values, (np.cumsum(count) - count).astype(np.int32), count,
              np.full(len(count), START, np.float32), np.full(len(count), STEP, np.float32),
              np.zeros(d, np.float32), np.ones(d, np.float32))


def noise(count: int, *, seed: int = 0, dim: int = DIM) -> np.ndarray:
  return np.random.default_rng((seed, count)).normal(size=(count, dim)).astype(np.float32)


def signal(count: int, truths, labels, *, seed: int = 0) -> tuple:
  """A video whose dimension `label` is high inside the instances of that class."""
  values = 0.1 * noise(count, seed=seed)
  place = np.arange(count)
  for (start, end), label in zip(truths, labels, strict=True):
    values[(place >= start) & (place <= end), label] += 2.0
  return values, truths, labels

@functools.cache
def five_videos() -> VideoPool:
  """Of at most 64 rows and two classes, the last without an instance.

  Its instances have 8 to 20 rows, for which the detector's `levels.DEFAULT` is right.
  """
  return make([
      signal(60, [[4.0, 14.0], [24.0, 42.0], [46.0, 56.0]], [0, 1, 0]),
      signal(64, [[10.0, 30.0]], [1], seed=1),
      signal(50, [[8.0, 20.0], [30.0, 40.0]], [1, 0], seed=2),
      signal(40, [[12.0, 28.0]], [0], seed=3),
      signal(33, [], [], seed=4)], num_truths=3)
