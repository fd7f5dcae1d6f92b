"""VideoPool: a set of videos as one padded, masked, immutable pytree.

Notation: v videos, p proposals, t truths, d feature dimensions. Ragged axes are padded to the
longest video and masked; padding never changes a result (tests/test_pool.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import rows as rows_lib
from tal_jax.rows import Rows
from tal_jax.segments import paired_tiou

PROPOSALS, ROWS = "proposals", "rows"  # what a localisation model reads of a pool


class VideoPool(NamedTuple):
  """Videos with pooled proposal features and their annotations.

  `features` may be stored as float16 or bfloat16; solvers convert what they gather to float32.
  """

  segments: chex.Array  # [v, p, 2] float32 seconds, the proposals S
  features: chex.Array  # [v, p, d] float16, bfloat16 or float32, the observations O
  proposal_mask: chex.Array  # [v, p] bool, True where real
  truths: chex.Array  # [v, t, 2] float32 seconds
  truth_labels: chex.Array  # [v, t] int32 class index, -1 where padded
  truth_mask: chex.Array  # [v, t] bool, True where real
  durations: chex.Array  # [v] float32 seconds
  rows: Rows | None = None  # frame-level features, for the models that read them

  @property
  def num_videos(self) -> int:
    return self.durations.shape[0]

  @property
  def dim(self) -> int:
    return self.features.shape[-1]


class Video(NamedTuple):
  """One unpadded video, what `from_videos` stacks."""

  segments: np.ndarray  # [p, 2] seconds
  features: np.ndarray  # [p, d]
  truths: np.ndarray  # [t, 2] seconds
  truth_labels: np.ndarray  # [t] class index
  duration: float  # seconds


FILL = VideoPool(segments=0, features=0, proposal_mask=False, truths=0, truth_labels=-1,
                  truth_mask=False, durations=0)
_OF_VIDEOS = VideoPool._fields[:-1]  # the fields that have an entry per video, all but `rows`


def from_videos(videos: Sequence[Video], *, dtype=np.float32, num_proposals: int | None = None,
                num_truths: int | None = None) -> VideoPool:
  """Pads and stacks videos into a VideoPool of NumPy arrays.

  Args:
    videos: at least one video, all with the same feature width.
    dtype: storage type of the features.
    num_proposals: padded length p; default: the longest video's.
    num_truths: padded length t; default: the longest video's, at least 1.

  Raises:
    ValueError: no videos, widths that differ, or a video longer than the padded lengths.
  """
  if not videos:
    raise ValueError("from_videos needs at least one video")
  dims = {video.features.shape[-1] for video in videos}
  if len(dims) > 1:
    raise ValueError(f"videos have features of different widths: {sorted(dims)}")
  v, d = len(videos), dims.pop()
  p = num_proposals or max(len(video.segments) for video in videos)
  t = num_truths or max(1, max(len(video.truths) for video in videos))
  pool = VideoPool(
      segments=np.zeros((v, p, 2), np.float32), features=np.zeros((v, p, d), dtype),
      proposal_mask=np.zeros((v, p), bool), truths=np.zeros((v, t, 2), np.float32),
      truth_labels=np.full((v, t), -1, np.int32), truth_mask=np.zeros((v, t), bool),
      durations=np.asarray([video.duration for video in videos], np.float32))
  for i, video in enumerate(videos):
    n, m = len(video.segments), len(video.truths)
    if n > p or m > t:
      raise ValueError(f"video {i} has {n} proposals and {m} truths, more than the {p} and {t} "
                       "that num_proposals and num_truths allow")
    pool.segments[i, :n], pool.features[i, :n] = video.segments, video.features
    pool.proposal_mask[i, :n] = True
    pool.truths[i, :m], pool.truth_labels[i, :m] = video.truths, video.truth_labels
    pool.truth_mask[i, :m] = True
  return pool


def take(pool: VideoPool, indices: chex.Array) -> VideoPool:
  """The videos at `indices` [n], in that order."""
  return pool._replace(
      rows=None if pool.rows is None else rows_lib.take(pool.rows, indices),
      **{name: leaf[indices] for name in _OF_VIDEOS if (leaf := getattr(pool, name)) is not None})


def without_features(pool: VideoPool) -> VideoPool:
  """Everything but the features (None): what a jitted function takes that needs none of them.

  Features may be a file on the host, which jit would copy to the device.
  """
  return pool._replace(features=None, rows=None)


def append(a: VideoPool, b: VideoPool) -> VideoPool:
  """The videos of a, then those of b; the shorter ragged axes are padded to the longer ones.

  Rows are left out.
  """
  a, b = a._replace(rows=None), b._replace(rows=None)
  if a.dim != b.dim:
    raise ValueError(f"cannot append features of width {b.dim} to features of width {a.dim}")
  p = max(a.segments.shape[1], b.segments.shape[1])
  t = max(a.truths.shape[1], b.truths.shape[1])
  a, b = pad(a, num_proposals=p, num_truths=t), pad(b, num_proposals=p, num_truths=t)
  return jax.tree.map(lambda x, y: jnp.concatenate([x, y.astype(x.dtype)]), a, b)


def pad(pool: VideoPool, *, num_videos: int | None = None, num_proposals: int | None = None,
        num_truths: int | None = None) -> VideoPool:
  """Grows the padded axes to the given lengths; what is added is masked out."""
  v, p = pool.proposal_mask.shape
  t = pool.truth_mask.shape[1]
  grow_v = (num_videos or v) - v
  grow = {"segments": (num_proposals or p) - p, "features": (num_proposals or p) - p,
          "proposal_mask": (num_proposals or p) - p, "truths": (num_truths or t) - t,
          "truth_labels": (num_truths or t) - t, "truth_mask": (num_truths or t) - t}
  if min(grow_v, *grow.values()) < 0:
    raise ValueError(f"cannot pad a pool of shape {(v, p, t)} down to "
                     f"{(num_videos, num_proposals, num_truths)}")

  def grow_leaf(name, leaf, fill):
    widths = [(0, grow_v), (0, grow.get(name, 0))] + [(0, 0)] * (leaf.ndim - 2)
    if not any(map(sum, widths[:leaf.ndim])):
      return leaf  # the features may be all the memory there is
    return jnp.pad(leaf, widths[:leaf.ndim], constant_values=fill)

  grown = VideoPool(*(grow_leaf(name, getattr(pool, name), getattr(FILL, name))
                      for name in _OF_VIDEOS))
  if pool.rows is None:
    return grown
  return grown._replace(rows=rows_lib.pad(pool.rows, v + grow_v) if grow_v else pool.rows)


def proposal_overlaps(segments: chex.Array, truths: chex.Array,
                      truth_mask: chex.Array) -> chex.Array:
  """tIoU of every proposal with every truth of its video, 0 at padded truths.

  Args:
    segments: [..., p, 2] seconds.
    truths: [..., t, 2] seconds.
    truth_mask: [..., t].

  Returns:
    [..., p, t] overlaps in [0, 1].
  """
  overlap = paired_tiou(segments[..., :, None, :], truths[..., None, :, :])
  return jnp.where(truth_mask[..., None, :], overlap, 0.0)
