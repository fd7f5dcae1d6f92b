"""From RawData to a Dataset: encodes every proposal and builds the three pools.

Videos are encoded a few at a time, on all cores, and go at once to where they stay: an array of
the storage type in memory, or a memory-mapped file that may be larger than memory.

Standardisation uses the features of the Selection proposals alone, without labels: what a learner
may look at before the first annotation. The same mean and scale serve Knowledge-Source, Testing
and the search results, so that a model or prior moves between them. Selection's own features are
stored before its mean and scale are known, and standardised in place afterwards; where the storage
type is narrower than float32 they are kept relative to the first videos' mean and scale until then,
so that storing twice costs one more rounding of a number of size 1.

Truths with end <= start overlap with nothing (tIoU 0), so the pools leave them out; the
`testing_annotations` keep them, since the official metric counts them as missed.
"""

from __future__ import annotations

import collections
import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax.numpy as jnp
import numpy as np
import threadpoolctl

from tal_jax.data import frame_rows, pool_size
from tal_jax.data.annotations import select
from tal_jax.data.dataset import Dataset
from tal_jax.data.moments import RunningMoments
from tal_jax.data.records import EncodedFeatures, RawData, SearchResults, Split, VideoAnnotation
from tal_jax.encoders.pooling import ENCODERS, encode
from tal_jax.errors import DataError
from tal_jax.pool import PROPOSALS, ROWS, VideoPool, take
from tal_jax.rows import Rows

NORMALIZATIONS = ("standardize", "l2", "none")
_FIRST_VIDEOS = 64  # whose mean and scale Selection is kept relative to, for a while

Normalise = Callable[[np.ndarray], np.ndarray]  # [n, d] -> [n, d] float32


def assemble(raw: RawData, *, name: str, encoder: str, dtype: str = "float32",
             normalize: str = "standardize", storage: str = "",
             reads: Sequence[str] = (PROPOSALS,),
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
    storage: a folder for the features of Selection and Testing, as memory-mapped files that this
      call writes again; "" keeps them in memory.
    reads: what the model reads of a pool: PROPOSALS, pooled features; ROWS, frame-level ones. A
      pool that nobody reads the proposals of has one in each video, without features.
    progress: called with (videos done, videos in all) after each video.

  Returns:
    The data set; pools hold NumPy arrays.

  Raises:
    pool_size.TooLarge: pools that the memory has no room for; before any features are stored.
    DataError: an unknown encoder, dtype or normalisation, or a folder that cannot be written.
  """
  if encoder not in ENCODERS:
    raise DataError(f"encoder = {encoder!r}; there are {', '.join(sorted(ENCODERS))}.")
  if normalize not in NORMALIZATIONS:
    raise DataError(f"normalize = {normalize!r}; there are {', '.join(NORMALIZATIONS)}.")
  if dtype not in ("float32", "float16", "bfloat16"):
    raise DataError(f"dtype = {dtype!r}; there are float32, float16, bfloat16.")
  videos = raw.annotations.videos
  if PROPOSALS not in reads:
    raw = raw._replace(search=None)
  search = raw.search.videos if raw.search is not None else {}
  total = len(set(reads)) * sum(map(len, raw.split)) + len(
      set(search) - set(raw.split.knowledge_source))
  done = 0

  def step() -> None:
    nonlocal done
    done += 1
    if progress is not None:
      progress(done, total)

  def encoded(members: Iterable[tuple[VideoAnnotation, np.ndarray]]
              ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per video the features of its segments, and that of the whole video."""
    for rows in _in_threads(lambda member: _encode(raw, *member, encoder), members):
      step()
      yield rows[:-1].astype(np.float32), rows[-1]

  def build(set_name: str, names: tuple[str, ...], file: str, fill) -> VideoPool:
    """Fills a pool's features with what `fill(ids, features [v, p, d], stream)` stores."""
    ids, segments = getattr(raw.split, set_name), drawn[set_name]
    stream = encoded(zip((videos[i] for i in ids), segments, strict=True))
    first = next(stream)
    shape = (len(ids), max(map(len, segments)), len(first[1]))
    pool = _without_features([videos[i] for i in ids], segments, names)._replace(
        features=_allocate(shape, jnp.dtype(dtype), storage and file and
                           pathlib.Path(storage) / file))
    fill(ids, pool.features, _chain(first, stream))
    return pool

  ids = raw.split.selection + raw.split.testing
  classes, knowledge_classes = _classes(raw, ids), _classes(raw, raw.split.knowledge_source)
  if PROPOSALS in reads:
    drawn = {part: [np.asarray(raw.proposals(i), np.float64).reshape(-1, 2) for i in members]
             for part, members in zip(Split._fields, raw.split, strict=True)}
    dim = _encode(raw, videos[raw.split.selection[0]], np.zeros((0, 2)), encoder).shape[1]
    pool_size.check({part: pool_size.Set(getattr(raw.split, part), list(map(len, found)))
                     for part, found in drawn.items()}, dim=dim, storage=storage,
                    itemsize=jnp.dtype(dtype).itemsize, stored=("selection", "testing"))
  rows = (frame_rows.read(raw, storage=storage, progress=step) if ROWS in reads
          else dict.fromkeys(Split._fields))
  if PROPOSALS not in reads:
    pools = {"knowledge_source": _without_proposals(
        [videos[i] for i in raw.split.knowledge_source], knowledge_classes)}
    pools |= {name: _without_proposals([videos[i] for i in getattr(raw.split, name)], classes)
              for name in Split._fields[1:]}
    return _dataset(raw, name, pools, rows, classes, knowledge_classes, None)
  # Selection comes first: its statistics normalise the others as they are encoded.
  statistics = RunningMoments()
  selection_pool = build("selection", classes, "selection.bin",
                         lambda *args: _fill_selection(normalize, statistics, *args))
  normalise = _normaliser(normalize, statistics)
  whole_features = {}

  def fill(ids, features, stream):
    for i, (video_id, (rows, whole)) in enumerate(zip(ids, stream, strict=True)):
      _store(features, i, normalise(rows), video_id)
      if video_id in search:
        whole_features[video_id] = whole

  if raw.split.knowledge_source:
    knowledge_pool = build("knowledge_source", knowledge_classes, "", fill)
  else:
    knowledge_pool = take(selection_pool, np.arange(0))
  testing_pool = build("testing", classes, "testing.bin", fill)
  rest = [i for i in search if i not in whole_features]
  none = np.zeros((0, 2))
  for i, (_, whole) in zip(rest, encoded((search[i], none) for i in rest), strict=True):
    whole_features[i] = whole
  results = None
  if search:
    results = SearchResults(
        normalise(np.stack([whole_features[i] for i in search])),
        np.array([_first_label(video, classes) for video in search.values()], np.int32))
  pools = {"knowledge_source": knowledge_pool, "selection": selection_pool,
           "testing": testing_pool}
  return _dataset(raw, name, pools, rows, classes, knowledge_classes, results)


def _dataset(raw: RawData, name: str, pools: dict[str, VideoPool], rows: dict[str, Rows | None],
             classes, knowledge_classes, search: SearchResults | None) -> Dataset:
  return Dataset(
      name=name, caption=raw.caption, classes=classes, knowledge_classes=knowledge_classes,
      ids=Split(*map(tuple, raw.split)), search=search,
      testing_annotations=select(raw.annotations, raw.split.testing),
      **{name: pool._replace(rows=rows[name]) for name, pool in pools.items()})


def _without_proposals(videos: list[VideoAnnotation], classes: tuple[str, ...]) -> VideoPool:
  """A pool for models that read rows: each whole video stands for its proposals."""
  whole = [np.array([[0.0, video.duration]]) for video in videos]
  return _without_features(videos, whole, classes)._replace(
      features=np.zeros((len(videos), 1, 1), np.float32))


def _encode(raw: RawData, video: VideoAnnotation, segments: np.ndarray,
            encoder: str) -> np.ndarray:
  """Features of the segments (the video's proposals, or none) and, last, of the whole video."""
  features = raw.features(video.video_id)
  if isinstance(features, EncodedFeatures):
    if features.encoder != encoder:
      raise DataError(f"{raw.caption}: pooled by the encoder {features.encoder!r}, not "
                      f"{encoder!r}: set --config.encoder={features.encoder}, or build anew.")
    return np.concatenate([features.values[:len(segments)], features.whole[None]])
  frames, grid = features
  whole = np.array([[0.0, video.duration]])
  return encode(frames, np.concatenate([segments, whole]), grid, encoder=encoder)


def _in_threads(function: Callable, items: Iterable) -> Iterator:
  """map(function, items) in order, on all cores, a few items ahead.

  A product of one video's size is slower on all cores than on one.
  """
  workers = os.cpu_count() or 1
  with threadpoolctl.threadpool_limits(1), concurrent.futures.ThreadPoolExecutor(workers) as pool:
    ahead = collections.deque()
    for item in items:
      ahead.append(pool.submit(function, item))
      if len(ahead) > 2 * workers:
        yield ahead.popleft().result()
    while ahead:
      yield ahead.popleft().result()


def _chain(first, rest: Iterator) -> Iterator:
  yield first
  yield from rest


def _allocate(shape: tuple[int, int, int], dtype, path: pathlib.Path | str) -> np.ndarray:
  """Zeros, in memory or in a new file."""
  if not path:
    return np.zeros(shape, dtype)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a run that still reads the old file keeps it
    return np.memmap(path, dtype, "w+", shape=shape)
  except OSError as error:
    raise DataError(f"data.storage: cannot write {path} ({error.strerror}): choose a folder with "
                    f"{np.prod(shape) * np.dtype(dtype).itemsize >> 20} MiB to spare") from error


def _store(features: np.ndarray, i: int, rows: np.ndarray, video_id: str) -> None:
  """Stores a video's features; DataError where the storage type cannot hold them."""
  kept = features[i, :len(rows)]
  with np.errstate(over="ignore", invalid="ignore"):
    kept[:] = rows
  if not np.isfinite(kept).all():
    raise DataError(f"{video_id}: the features of its proposals hold NaN or infinite values once "
                    f"they are stored as {features.dtype}: set data.normalize=standardize or "
                    "data.dtype=float32, or extract them again")


def _fill_selection(normalize: str, statistics: RunningMoments, ids: Sequence[str],
                    features: np.ndarray, stream: Iterator) -> None:
  """Stores Selection's features, normalised; `statistics` takes in what they were before."""
  if normalize != "standardize":
    normalise = _normaliser(normalize, statistics)
    for i, (rows, _) in enumerate(stream):
      _store(features, i, normalise(rows), ids[i])
    return
  held = [rows for _, (rows, _) in zip(range(_FIRST_VIDEOS), stream, strict=False)]
  if features.dtype == np.float32:
    offset, factor = np.float32(0.0), np.float32(1.0)
  else:
    first = RunningMoments()
    for rows in held:
      first.add(rows)
    scale = np.asarray(first.scale(), np.float32)
    offset = np.asarray(first.mean, np.float32)
    factor = np.where(scale > 0, scale, np.float32(1.0))
  counts = []
  for i, rows in enumerate(_chain_all(held, (rows for rows, _ in stream))):
    statistics.add(rows)
    _store(features, i, (rows - offset) * factor, ids[i])
    counts.append(len(rows))
  normalise = _normaliser(normalize, statistics)

  def finish(i):
    kept = features[i, :counts[i]].astype(np.float32)
    _store(features, i, normalise(kept / factor + offset), ids[i])

  collections.deque(_in_threads(finish, range(len(counts))), maxlen=0)


def _chain_all(first: list, rest: Iterator) -> Iterator:
  while first:
    yield first.pop(0)
  yield from rest


def _without_features(videos: list[VideoAnnotation], segments: list[np.ndarray],
                      classes: tuple[str, ...]) -> VideoPool:
  """A pool without its features, in NumPy."""
  index = {label: i for i, label in enumerate(classes)}
  real = [video.segments[:, 1] > video.segments[:, 0] for video in videos]
  v, p = len(videos), max(map(len, segments), default=0)
  t = max([1, *(int(keep.sum()) for keep in real)])
  pool = VideoPool(
      segments=np.zeros((v, p, 2), np.float32), features=None,
      proposal_mask=np.zeros((v, p), bool), truths=np.zeros((v, t, 2), np.float32),
      truth_labels=np.full((v, t), -1, np.int32), truth_mask=np.zeros((v, t), bool),
      durations=np.asarray([video.duration for video in videos], np.float32))
  for i, (video, proposals, keep) in enumerate(zip(videos, segments, real, strict=True)):
    n, m = len(proposals), int(keep.sum())
    pool.segments[i, :n], pool.proposal_mask[i, :n] = proposals, True
    pool.truths[i, :m], pool.truth_mask[i, :m] = video.segments[keep], True
    pool.truth_labels[i, :m] = np.array([index[label] for label in video.labels], int)[keep]
  return pool


def _normaliser(normalize: str, statistics: RunningMoments) -> Normalise:
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


def _first_label(video: VideoAnnotation, classes: tuple[str, ...]) -> int:
  """Class index of the video's first instance, -1 where it has none or is of another class."""
  if video.labels and video.labels[0] in classes:
    return classes.index(video.labels[0])
  return -1
