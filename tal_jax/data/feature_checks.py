"""Checks of features: there, readable, of one width, finite, not zero, as long as their video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tal_jax.data import time_units
from tal_jax.data.annotation_checks import is_duration
from tal_jax.data.annotations import find_id
from tal_jax.data.features import FeatureStore, unused
from tal_jax.data.problems import Extent, Problem
from tal_jax.data.types import Annotations, DataError, VideoAnnotation

_SPAN_TOLERANCE = 0.1  # share of the duration by which the rows may be too short or too long
_ZERO_SHARE = 0.1  # of the rows, from which zeros are reported


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
  path = store.path
  extra = unused(store, annotations.videos)
  problems = [Problem("duplicate id", path, name, f"claimed by {', '.join(places)}")
              for name, places in store.duplicates.items()]
  problems += [Problem("features without annotation", path, name, "") for name in extra]
  problems += prefix_problems(annotations.videos, store.files, path)
  alike = {plain_id(name): name for name in extra}
  shapes = {}
  for video_id in used:
    if find_id(video_id, store.files) is None:
      problems.append(Problem("no features", path, video_id,
                              store.why_missing(video_id) or _hint(video_id, alike, extra)))
      continue
    try:
      shapes[video_id] = store.shape(video_id)
    except DataError as error:
      problems.append(_unreadable(store.where(video_id), video_id, error))
  widths = Counter(shape[1] for shape in shapes.values() if len(shape) == 2)
  width = widths.most_common(1)[0][0] if widths else None
  extents = {}
  for done, (video_id, shape) in enumerate(shapes.items(), 1):
    file = store.where(video_id)
    timed = find_id(video_id, store.grids) is not None
    if not timed:
      problems.append(Problem("no frame rate", file, video_id, ""))
    if len(shape) != 2 or not shape[0] or not shape[1]:
      problems.append(Problem("wrong rank", file, video_id, f"shape {shape}"))
      continue
    if shape[1] != width:
      hint = "; transposed?" if shape[0] == width else ""
      problems.append(Problem("wrong width", file, video_id,
                              f"shape {shape}, most have the width {width}{hint}"))
    extents[video_id] = Extent(shape[0], shape[1], None)
    if timed:
      found, extent = _check_values(annotations.videos[video_id], store, file)
      problems += found
      extents[video_id] = extent or extents[video_id]
    if progress:
      progress(done, len(shapes))
  return problems + _check_rate(annotations, extents, path), extents


def prefix_problems(video_ids: Mapping[str, object], names: Mapping[str, object],
                    file: str) -> list[Problem]:
  """Videos that a file keeps under their id with `v_` added or taken off."""
  found = ((video_id, find_id(video_id, names)) for video_id in video_ids)
  return [Problem("ids differ by v_", file, video_id, f"stored as {name!r}")
          for video_id, name in found if name not in (None, video_id)]


def plain_id(name: str) -> str:
  """What is left of an id without prefix, file suffix and case, to find near misses."""
  for suffix in (".mp4", ".mkv", ".avi", ".webm"):
    name = name.removesuffix(suffix)
  return name.lower().removeprefix("v_").removeprefix("video_")


def _hint(video_id: str, alike: Mapping[str, str], extra: Sequence[str]) -> str:
  if plain_id(video_id) in alike:
    return f"there is {alike[plain_id(video_id)]!r}: the same with another spelling?"
  return f"there is, for example, {extra[0]!r} instead" if extra else ""


def _unreadable(file: str, video_id: str, error: DataError) -> Problem:
  return Problem("unreadable features", file, video_id,
                 str(error).removeprefix(file).lstrip(": "))  # the file is said already


def _check_values(video: VideoAnnotation, store: FeatureStore, file: str
                  ) -> tuple[list[Problem], Extent | None]:
  video_id = video.video_id
  try:
    values, grid = store(video_id)
  except DataError as error:
    return [_unreadable(file, video_id, error)], None
  problems = []
  bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
  if len(bad):
    problems.append(Problem("non-finite feature", file, video_id,
                            f"{len(bad)} of {len(values)} rows, the first is row {bad[0]}"))
  zero = np.flatnonzero(~values.any(axis=1))
  if len(zero) > _ZERO_SHARE * len(values):
    problems.append(Problem("all-zero features", file, video_id,
                            f"{len(zero)} of {len(values)} rows, the first is row {zero[0]}"))
  extent = Extent(*values.shape, grid)
  if not is_duration(video.duration):
    return problems, extent
  size = (f"{extent.rows} rows at fps {grid.fps:g}, stride {grid.stride:g}, window "
          f"{grid.window:g} span {extent.seconds:.5g} s of {video.duration:.5g} s")
  # One step of the rows is no fault: extractors differ in how they treat the last window.
  step = max(grid.stride, grid.window) / grid.fps
  missing = video.duration - extent.seconds
  if abs(missing) > _SPAN_TOLERANCE * video.duration + step:
    problems.append(Problem("features do not span the video", file, video_id, size
                            + ("; cut off?" if missing > 0 else "; of another video?")))
  late = [f"[{start:.6g}, {end:.6g}] {label}" for (start, end), label
          in zip(video.segments, video.labels, strict=True)
          if extent.seconds + step < start < end <= video.duration]
  if late:
    problems.append(Problem("truth without features", file, video_id, f"{', '.join(late)}: {size}"))
  return problems, extent


def _check_rate(annotations: Annotations, extents: Mapping[str, Extent],
                path: str) -> list[Problem]:
  """Whether one other frame rate would make nearly all features span their videos."""
  timed = [(extent, annotations.videos[key].duration) for key, extent in extents.items()
           if extent.grid is not None and is_duration(annotations.videos[key].duration)]
  if not timed:
    return []
  table = np.array([(extent.rows, extent.grid.stride, extent.grid.window, extent.grid.fps, duration)
                    for extent, duration in timed], np.float64)
  rows, strides, windows, rates, durations = table.T
  rate = time_units.fitting_rate(rows, strides, windows, rates, durations)
  if rate is None:
    return []
  # The rows cannot tell a wrong rate from a wrong stride: name both.
  stride = np.median(strides) / rate.factor
  message = (f"{rate.share:.0%} of {len(timed)} videos have about {rate.factor:.4g} times the "
             f"rows that fps {np.median(rates):.5g} and stride {np.median(strides):g} give: "
             f"data.fps = {rate.fps:.5g} would fit, or data.stride = {stride:.4g} with the fps as "
             "it is")
  if abs(rate.fps - 1) < 0.05 and np.median(rates) > 4:
    return [Problem("durations in frames", path, "", message
                    + "; one frame a second: the durations are frames")]
  return [Problem("wrong fps", path, "", message)]
