"""The rows of the labelled videos on the device, and random crops of them to train on.

Notation: v videos, n rows in all, d dimensions, t truths a video; b crops of l rows in a batch.

A crop is a stretch of one video, played faster or slower, with noise. Its rows are computed from
the stored ones inside the training program: nothing is sent to the device after the start.

Source: none of this is in the paper. Crops that keep the instances of which half remains are
ActionFormer's; the rest and all sizes are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices, rows as rows_lib
from tal_jax.pool import VideoPool
from tal_jax.sizes import bucket

MULTIPLE = 64  # lengths are multiples of it: few are compiled
_ROOM = 32 << 20  # bytes of values: see `_sizes`
_ROOM_VIDEOS = 1024


class LabeledRows(NamedTuple):
  """Padded in v and n to sizes of a short series, which changes nothing; t is the pool's.

  Of a pool that is small enough all sets of labels have the same sizes: one program for them all.
  """

  values: chex.Array  # [n, d] float32, normalised
  first: chex.Array  # [v] int32
  count: chex.Array  # [v] int32, 0 where padded
  truths: chex.Array  # [v, t, 2] rows, fractional
  labels: chex.Array  # [v, t] int32 class index
  mask: chex.Array  # [v, t] True where real


class Augmentation(NamedTuple):
  """How crops are drawn; hashable."""

  stretch: float = 0.15  # the logarithm of the speed is uniform in +- this
  crop: float = 0.7  # share of the samples that are cropped
  shortest: float = 0.6  # share of the video that a crop keeps at least
  noise: float = 0.1  # standard deviation of a value's noise, features having 1
  channel_noise: float = 0.1  # of a dimension's, the same at all rows
  drop: float = 0.1  # share of the dimensions that are set to 0
  kept: float = 0.5  # share of an instance that must be inside the crop


NONE = Augmentation(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


class Batch(NamedTuple):
  x: chex.Array  # [b, l, d]
  mask: chex.Array  # [b, l] True where there is a row; these come first
  truths: chex.Array  # [b, t, 2] rows of the crop, fractional
  labels: chex.Array  # [b, t]
  truth_mask: chex.Array  # [b, t]


def of_pool(pool: VideoPool, labeled: np.ndarray) -> LabeledRows:
  """Collects the labelled videos of a pool that has rows, in the pool's order.

  A truth of no length, or of no class, is left out, and so is one that no row is in.
  """
  rows = rows_lib.take(pool.rows, np.flatnonzero(labeled))
  rows = rows._replace(**{name: np.asarray(getattr(rows, name))
                          for name in ("first", "count", "start", "step")})
  index = np.flatnonzero(labeled)
  values = rows_lib.gather(rows, np.arange(len(index)))
  values = rows_lib.normalised(values, np.asarray(rows.mean), np.asarray(rows.scale))
  truths, labels, real = (leaf[index] for leaf in devices.to_host(
      (pool.truths, pool.truth_labels, pool.truth_mask)))
  truths = truths.astype(np.float32)
  bounds = (truths - rows.start[:, None, None]) / rows.step[:, None, None]
  mask = (real & (labels >= 0) & (bounds[..., 1] > bounds[..., 0])
          & (bounds[..., 1] > -0.5) & (bounds[..., 0] < rows.count[:, None] - 0.5))
  n, v = _sizes(pool, len(values), len(index))

  def padded(leaf, length=v):
    return jnp.asarray(np.pad(leaf, [(0, length - len(leaf))] + [(0, 0)] * (leaf.ndim - 1)))

  return LabeledRows(
      padded(values, n),
      padded((np.cumsum(rows.count) - rows.count).astype(np.int32)), padded(rows.count),
      padded(np.where(mask[..., None], bounds, 0.0).astype(np.float32)),
      padded(np.where(mask, labels, 0).astype(np.int32)), padded(mask))


def _sizes(pool: VideoPool, rows: int, videos: int) -> tuple[int, int]:
  """n and v: those of the whole pool if it takes little room, else enough for what is labelled."""
  row = 4 * max(pool.rows.dim, 1)
  every_row = bucket(int(np.sum(pool.rows.count)), smallest=1024)
  every_video = bucket(pool.num_videos, smallest=16)
  most_rows = 1 << max(_ROOM // row, 1).bit_length() - 1  # a power of two that has room
  return (bucket(rows, smallest=max(1024, min(every_row, most_rows))),
          bucket(videos, smallest=min(every_video, _ROOM_VIDEOS)))


def crop_length(counts: np.ndarray, *, most: int, multiple: int = MULTIPLE) -> int:
  """Rows of a crop: all of the longest video, or `most`; the next multiple."""
  longest = min(int(np.max(counts, initial=1)), most)
  return -(-longest // multiple) * multiple


def draw_order(rng: np.random.Generator, counts: np.ndarray, num: int, *, length: int
               ) -> np.ndarray:
  """Which video each of `num` samples is of: [num] int32.

  Passes over the videos in random order, one after the other; a video that is longer than a crop
  comes as often in a pass as it has crops. Videos without rows never come.
  """
  counts = np.asarray(counts)
  units = np.repeat(np.arange(len(counts)), -(-counts // length))
  passes = -(-num // len(units))
  return np.concatenate([rng.permutation(units) for _ in range(passes)])[:num].astype(np.int32)


def draw_noise(key: chex.PRNGKey, length: int, dim: int) -> chex.Array:
  """Standard normal noise [n, d], of which every crop takes a stretch: a draw for each is slow."""
  return jax.random.normal(key, (4 * length, dim))


def crops(key: chex.PRNGKey, data: LabeledRows, videos: chex.Array, noise: chex.Array, *,
          length: int, augmentation: Augmentation) -> Batch:
  """One random crop of each of b videos.

  Args:
    key: of the crops.
    data: the labelled videos.
    videos: [b] indices of videos that have rows.
    noise: of `draw_noise`.
    length: l, rows of a crop; shorter ones are padded.
    augmentation: how crops are drawn.
  """
  keys = jax.random.split(key, videos.shape[0])
  return jax.vmap(lambda k, video: _crop(k, data, video, noise, length, augmentation))(
      keys, videos)


def _crop(key, data: LabeledRows, video, noise, length: int, how: Augmentation) -> Batch:
  k_speed, k_share, k_begin, k_noise, k_channel, k_drop = jax.random.split(key, 6)
  count = data.count[video]
  stretch = jnp.exp(jax.random.uniform(k_speed, minval=-how.stretch, maxval=how.stretch))
  total = jnp.maximum(jnp.floor((count - 1) * stretch).astype(jnp.int32) + 1, 1)
  chance, share = jax.random.uniform(k_share, (2,))
  share = jnp.where(chance < how.crop, how.shortest + (1.0 - how.shortest) * share, 1.0)
  kept = jnp.clip(jnp.round(total * share).astype(jnp.int32), 1, length)
  begin = jnp.floor(jax.random.uniform(k_begin) * (total - kept + 1)).astype(jnp.int32)
  place = jnp.arange(length)
  source = jnp.clip((begin + place) / stretch, 0.0, count - 1.0)
  left = jnp.floor(source).astype(jnp.int32)
  part = (source - left)[:, None]
  row = data.first[video] + left
  after = data.first[video] + jnp.minimum(left + 1, count - 1)
  x = (1.0 - part) * data.values[row] + part * data.values[after]
  dim = x.shape[1]
  if how.noise > 0:
    at = jax.random.randint(k_noise, (), 0, len(noise) - length + 1)
    x += how.noise * jax.lax.dynamic_slice_in_dim(noise, at, length)
  if how.channel_noise > 0:
    x += how.channel_noise * jax.random.normal(k_channel, (dim,))
  if how.drop > 0:
    x = jnp.where(jax.random.uniform(k_drop, (dim,)) < how.drop, 0.0, x)
  mask = place < kept
  x = jnp.where(mask[:, None], x, 0.0)
  # Where the crop cuts an instance it gets the crop's bound; the video's own ends cut nothing.
  low = jnp.where(begin > 0, -0.5, -jnp.inf)
  high = jnp.where(begin + kept < total, kept - 0.5, jnp.inf)
  bounds = data.truths[video] * stretch - begin
  inside = jnp.clip(bounds, low, high)
  whole = bounds[:, 1] - bounds[:, 0]
  remains = (inside[:, 1] - inside[:, 0]) >= how.kept * jnp.maximum(whole, 1e-6)
  return Batch(x, mask, inside, data.labels[video], data.mask[video] & remains)
