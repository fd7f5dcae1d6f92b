"""From RawData to a Dataset: encodes every proposal and builds the three pools.

Frames are read one video at a time; what stays in memory are the proposals' features.

Standardisation uses the features of the Selection proposals alone, without labels: what a learner
may look at before the first annotation. The same mean and scale serve Knowledge-Source, Testing
and the search results, so that a model or prior moves between them.

Truths with end <= start overlap with nothing (tIoU 0), so the pools leave them out; the
`testing_annotations` keep them, since the official metric counts them as missed.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np

from tal_jax.data.annotations import select
from tal_jax.data.types import DataError, Dataset, RawData, SearchResults, Split, VideoAnnotation
from tal_jax.encoders.pooling import ENCODERS, encode
from tal_jax.pool import Video, VideoPool, from_videos

NORMALIZATIONS = ("standardize", "l2", "none")
_CONSTANT = 1e-6  # of the largest |value|: below it a dimension's deviation is rounding


def assemble(raw: RawData, *, name: str, encoder: str, dtype: str = "float32",
             normalize: str = "standardize",
             progress: Callable[[int, int], None] | None = None) -> Dataset:
  """Encodes and normalises all videos of the split.

  Args:
    raw: the source.
    name: of the data set.
    encoder: a name in `ENCODERS`, "mean" (the paper's, Sec. 3.1) or "context".
    dtype: storage type of the pools: float32, float16 or bfloat16.
    normalize: "standardize" (zero mean and unit variance per dimension over the Selection
      proposals; a constant dimension becomes 0), "l2" (each proposal to unit length), or "none".
      The paper does not say.
    progress: called with (videos done, videos in all) after each video.

  Returns:
    The data set; pools hold NumPy arrays.

  Raises:
    DataError: an unknown encoder, dtype or normalisation.
  """
  if encoder not in ENCODERS:
    raise DataError(f"encoder = {encoder!r}; there are {', '.join(sorted(ENCODERS))}.")
  if normalize not in NORMALIZATIONS:
    raise DataError(f"normalize = {normalize!r}; there are {', '.join(NORMALIZATIONS)}.")
  if dtype not in ("float32", "float16", "bfloat16"):
    raise DataError(f"dtype = {dtype!r}; there are float32, float16, bfloat16.")
  videos = raw.annotations.videos
  search = raw.search.videos if raw.search is not None else {}
  total = sum(map(len, raw.split)) + len(set(search) - set(raw.split.knowledge_source))
  done = 0

  def encoded(video: VideoAnnotation,
              segments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The segments, their features, and the feature of the whole video."""
    nonlocal done
    frames, grid = raw.features(video.video_id)
    segments = np.asarray(segments, np.float64).reshape(-1, 2)
    whole = np.array([[0.0, video.duration]])
    rows = encode(frames, np.concatenate([segments, whole]), grid, encoder=encoder)
    done += 1
    if progress is not None:
      progress(done, total)
    return segments, rows[:-1].astype(np.float32), rows[-1]

  # Selection comes first: its statistics normalise the others as they are encoded.
  statistics = RunningMoments()
  selection = collections.deque()
  for video_id in raw.split.selection:
    segments, rows, _ = encoded(videos[video_id], raw.proposals(video_id))
    if normalize == "standardize":
      statistics.add(rows)
    selection.append((segments, rows))
  normalise = _normaliser(normalize, statistics)

  ids = raw.split.selection + raw.split.testing
  classes, knowledge_classes = _classes(raw, ids), _classes(raw, raw.split.knowledge_source)
  whole_features = {}

  def pool(members: Iterable[tuple[str, np.ndarray, np.ndarray]],
           names: tuple[str, ...]) -> VideoPool:
    storage = jnp.dtype(dtype)
    return from_videos([_video(videos[i], segments, normalise(rows).astype(storage), names)
                        for i, segments, rows in members], dtype=storage)

  def stream(ids):
    for i in ids:
      segments, rows, whole = encoded(videos[i], raw.proposals(i))
      if i in search:
        whole_features[i] = whole
      yield i, segments, rows

  def drain():  # lets go of each raw video as soon as its normalised copy is made
    for i in raw.split.selection:
      yield i, *selection.popleft()

  selection_pool = pool(drain(), classes)
  knowledge_pool = pool(stream(raw.split.knowledge_source), knowledge_classes)
  testing_pool = pool(stream(raw.split.testing), classes)
  for video_id, video in search.items():
    if video_id not in whole_features:
      whole_features[video_id] = encoded(video, np.zeros((0, 2)))[2]
  results = None
  if search:
    results = SearchResults(
        normalise(np.stack([whole_features[i] for i in search])),
        np.array([_first_label(video, classes) for video in search.values()], np.int32))
  return Dataset(
      name=name, caption=raw.caption, classes=classes, knowledge_classes=knowledge_classes,
      knowledge_source=knowledge_pool, selection=selection_pool, testing=testing_pool,
      ids=Split(*map(tuple, raw.split)),
      testing_annotations=select(raw.annotations, raw.split.testing), search=results)


class RunningMoments:
  """Mean and variance per dimension over a stream of rows, in float64 [Chan et al., 1979]."""

  def __init__(self):
    self.count, self.mean, self.squares, self.largest = 0, 0.0, 0.0, 0.0

  def add(self, rows: np.ndarray) -> None:
    """Takes in [n, d] more rows."""
    if not len(rows):
      return
    rows = rows.astype(np.float64)
    count, mean = len(rows), rows.mean(axis=0)
    squares = np.square(rows - mean).sum(axis=0)
    total, delta = self.count + count, mean - self.mean
    self.squares = self.squares + squares + np.square(delta) * (self.count * count / total)
    self.mean = self.mean + delta * (count / total)
    self.count = total
    self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))

  def scale(self) -> np.ndarray:
    """Factor [d] to unit variance, 0 for a dimension that is constant."""
    deviation = np.sqrt(self.squares / max(self.count, 1))
    constant = deviation <= _CONSTANT * self.largest
    return np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))


def _normaliser(normalize: str, statistics: RunningMoments):
  """A function [n, d] -> [n, d] float32."""
  if normalize == "standardize":
    mean, scale = statistics.mean, statistics.scale()
    return lambda rows: ((rows - mean) * scale).astype(np.float32)
  if normalize == "l2":
    def unit(rows):
      norm = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
      return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32)
    return unit
  return lambda rows: rows.astype(np.float32)


def _classes(raw: RawData, ids: Iterable[str]) -> tuple[str, ...]:
  return tuple(sorted({label for i in ids for label in raw.annotations.videos[i].labels}))


def _video(video: VideoAnnotation, segments: np.ndarray, features: np.ndarray,
           classes: tuple[str, ...]) -> Video:
  index = {label: i for i, label in enumerate(classes)}
  real = video.segments[:, 1] > video.segments[:, 0]
  labels = np.array([index[label] for label in video.labels], np.int32)
  return Video(segments, features, video.segments[real], labels[real], video.duration)


def _first_label(video: VideoAnnotation, classes: tuple[str, ...]) -> int:
  """Class index of the video's first instance, -1 where it has none or is of another class."""
  if video.labels and video.labels[0] in classes:
    return classes.index(video.labels[0])
  return -1
