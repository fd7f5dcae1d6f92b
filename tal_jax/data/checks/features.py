"""Checks of features: there, readable, of one width, finite, not constant, as long as their video.

What most videos share is looked for first (feature_names.py, feature_sets.py), then each is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tal_jax.data import arrays
from tal_jax.data.checks import feature_sets
from tal_jax.data.checks.annotations import is_duration
from tal_jax.data.checks.feature_content import Contents, left_out
from tal_jax.data.checks.problems import Extent, Problem
from tal_jax.data.containers import Foreign
from tal_jax.data.feature_names import check_names
from tal_jax.data.feature_store import FeatureStore, Rescaled
from tal_jax.data.records import Annotations, FrameFeatures, VideoAnnotation
from tal_jax.data.text import csv_rows
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError

_ROWS_APART = 2  # by which the parts of a video may differ
Shapes = Mapping[str, Sequence[tuple[int, ...]]]  # by video, of its array in each part


def check_features(annotations: Annotations, store: FeatureStore, used: Sequence[str],
                   progress: Callable[[int, int], None] | None = None
                   ) -> tuple[list[Problem], dict[str, Extent]]:
  """All problems of the features, and how large those are that could be read.

  Args:
    annotations: the videos.
    store: their features; those of `used` are read once, one at a time.
    used: ids of the videos that must have features.
    progress: called with (videos done, videos in all).
  """
  problems = check_names(annotations.videos, used, store)
  there = [video_id for video_id in used if find_id(video_id, store.files) is not None]
  shapes, found = _shapes(store, there)
  problems += found
  joined, found = _join(store, shapes)
  shared = _judge_sets(annotations, store, shapes)
  problems += shared + found
  widths = Counter(shape[1] for shape in joined.values() if len(shape) == 2)
  width = widths.most_common(1)[0][0] if widths else None
  extents, contents = {}, Contents()
  for done, (video_id, shape) in enumerate(joined.items(), 1):
    file = store.where(video_id)
    timed = find_id(video_id, store.grids) is not None
    if not timed:
      problems.append(Problem("no frame rate", file, video_id, ""))
    if len(shape) != 2 or not all(shape):
      kind = "wrong rank" if len(shape) != 2 else "no columns" if shape[0] else "no rows"
      problems.append(Problem(kind, file, video_id, f"shape {shape}"))
      continue
    if shape[1] != width:
      hint = "; transposed?" if shape[0] == width else ""
      problems.append(Problem("wrong width", file, video_id,
                              f"shape {shape}, most have the width {width}{hint}"))
    extents[video_id] = Extent(shape[0], shape[1], None)
    if timed:
      try:
        features = store(video_id)
      except DataError as error:
        problems.append(_unreadable(file, video_id, error))
        continue
      problems += contents.add(video_id, features.values, file)
      extents[video_id] = Extent(*features.values.shape, features.grid)
      problems += _check_length(annotations.videos[video_id], features, file)
    if progress:
      progress(done, len(joined))
  problems += contents.judge(store.path)
  return problems + left_out(_left_out(store, there), store.path), extents


def _shapes(store: FeatureStore, video_ids: Sequence[str]) -> tuple[Shapes, list[Problem]]:
  """The shapes in each part, and what cannot be read."""
  shapes, problems, foreign = {}, [], {}
  for video_id in video_ids:
    try:
      shapes[video_id] = store.part_shapes(video_id)
    except Foreign as error:
      foreign[video_id] = str(error)
    except DataError as error:
      problems.append(_unreadable(store.where(video_id), video_id, error))
  if len(foreign) >= max(feature_sets.FEW, feature_sets.MOST * len(video_ids)):
    first = next(iter(foreign.values()))
    problems.append(Problem("pickled features", store.path, "",
                            f"{len(foreign)} of {len(video_ids)} videos: {first}"))
  else:
    problems += [Problem("pickled features", "", *item) for item in foreign.items()]
  return shapes, problems


def _join(store: FeatureStore, shapes: Shapes) -> tuple[dict[str, tuple[int, ...]], list[Problem]]:
  """The shapes side by side, and where the parts do not fit: of most videos, or of some."""
  joined, faults = {}, {}
  for video_id, own in shapes.items():
    try:
      joined[video_id] = store.joined_shape(video_id, own)
    except DataError as error:
      faults[video_id] = error
  if len(faults) < max(feature_sets.FEW, feature_sets.MOST * len(shapes)):
    return joined, [_unreadable(store.where(key), key, error) for key, error in faults.items()]
  key, error = next(iter(faults.items()))
  return joined, [Problem("parts do not fit", store.path, "",
                          f"{len(faults)} of {len(shapes)} videos, for example {error}")]


def _judge_sets(annotations: Annotations, store: FeatureStore, shapes: Shapes) -> list[Problem]:
  """The faults that most videos share, part by part."""
  durations = {key: annotations.videos[key].duration for key in shapes
               if is_duration(annotations.videos[key].duration)}
  problems = []
  for number, part in enumerate(store.parts):
    extents = {}
    for video_id, own in shapes.items():
      if len(own[number]) == 2 and min(own[number]) > 0:
        grid = store.grids.get(find_id(video_id, store.grids))
        extents[video_id] = Extent(*own[number], grid.grid(own[number][0]) if isinstance(
            grid, Rescaled) else grid)
    found = feature_sets.judge(
        extents, durations, lambda video_id, i=number: store.part_values(video_id)[i], part.path)
    problems += [problem for problem in found
                 if (problem.kind, problem.message) not in {(x.kind, x.message) for x in problems}]
  return problems


def _check_length(video: VideoAnnotation, features: FrameFeatures, file: str) -> list[Problem]:
  """Whether the rows span the video, and its truths."""
  grid, extent = features.grid, Extent(*features.values.shape, features.grid)
  if not is_duration(video.duration):
    return []
  problems = []
  size = (f"{extent.rows} rows at fps {grid.fps:g}, stride {grid.stride:g}, window "
          f"{grid.window:g} span {extent.seconds:.5g} s of {video.duration:.5g} s")
  if not feature_sets.spans(extent, video.duration):
    problems.append(Problem(
        "features do not span the video", file, video.video_id, size
        + ("; cut off?" if extent.seconds < video.duration else "; of another video?")))
  step = max(grid.stride, grid.window) / grid.fps
  late = [f"[{start:.6g}, {end:.6g}] {label}" for (start, end), label
          in zip(video.segments, video.labels, strict=True)
          if extent.seconds + step < start < end <= video.duration]
  if late:
    problems.append(Problem("truth without features", file, video.video_id,
                            f"{', '.join(late)}: {size}"))
  return problems


def _left_out(store: FeatureStore, video_ids: Sequence[str]) -> Counter[str]:
  """The columns that csv files have and their features do not, with the number of files."""
  counts: Counter[str] = Counter()
  for video_id in video_ids:
    for place in store.files[find_id(video_id, store.files)]:
      if arrays.is_csv(place.file):
        try:
          counts.update(csv_rows.left_out(place.file))
        except DataError:
          continue  # said already
  return counts


def _unreadable(file: str, video_id: str, error: DataError) -> Problem:
  return Problem("unreadable features", file, video_id,
                 str(error).removeprefix(file).lstrip(": "))  # the file is said already
