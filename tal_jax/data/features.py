"""Frame-level features on disk: which videos there are, their arrays, and the time of their rows.

A `FeatureStore` is one or several parts (RGB and flow, say), each a folder or a file in one of the
layouts of tal_jax/data/formats; the arrays of the parts stand side by side, [T, d1 + d2]. An id may
stand with or without the prefix `v_`. Every read is a new one: nothing is cached, so a data set
larger than the memory streams through.

Time: row i covers the samples [i * stride, i * stride + window) at fps samples per second, see
`TimeGrid`; `row_index` and `row_time` convert.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tal_jax.data import feature_paths
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.annotations import Paths, several
from tal_jax.data.feature_groups import arranged, describe
from tal_jax.data.feature_store import FeatureStore, Rescaled
from tal_jax.data.formats import registry
from tal_jax.data.records import Annotations, FrameFeatures, TimeGrid
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError


def row_index(times: np.ndarray | float, grid: TimeGrid) -> np.ndarray:
  """The (fractional) row whose centre is at a time: (t * fps - window / 2) / stride."""
  return (np.asarray(times, np.float64) * grid.fps - 0.5 * grid.window) / grid.stride


def row_time(rows: np.ndarray | float, grid: TimeGrid) -> np.ndarray:
  """The time of a row's centre, seconds; the inverse of `row_index`."""
  return (np.asarray(rows, np.float64) * grid.stride + 0.5 * grid.window) / grid.fps


def check_grid(**values: Any) -> None:
  """DataError for a setting of the time grid that is given and not a positive number."""
  for name, value in values.items():
    if value is not None and not (isinstance(value, int | float) and not isinstance(value, bool)
                                  and math.isfinite(value) and value > 0):
      raise DataError(f"data.{name} = {value}: it must be a positive number.")


def open_store(path: Paths, *, grids: Mapping[str, TimeGrid] | None = None, key: str | None = None,
               format: str = registry.AUTO) -> FeatureStore:
  """Opens features in any format.

  Several paths without a common video are one set; those with the same videos are put side by side,
  in their order, see feature_groups.py.

  Args:
    path: folder, file, pattern or group (feature_paths.py), several, or several in a text with
      commas between.
    grids: time grid per video id; None: those that the files have. `with_time` gives all.
    key: the array's name inside an .npz file or an HDF5 group.
    format: a format's name; "auto" detects each path's.

  Raises:
    DataError: nothing to read at a path, or paths that are neither.
  """
  readings = [feature_paths.read(file, format=format, key=key) for file in several(path)]
  parts = tuple(part for reading in readings for part in reading.value.parts)
  said = [reading.statement for reading in readings]
  if len(readings) > 1:
    parts = tuple(arranged(parts))
    said[-1] += f"; {describe(parts)}"
  if grids is None:
    grids = {name: grid for part in reversed(parts) for name, grid in part.grids.items()}
  return FeatureStore(parts, grids, "\n".join(said))


def with_time(store: FeatureStore, annotations: Annotations, *, fps: float | None = None,
              stride: float | None = None, window: float | None = None) -> FeatureStore:
  """The store with the time grids of all annotated videos; its statement says where from.

  Each of fps, stride and window is the one given, else the one stored with the features, else the
  layout's, else the video's own frame rate, stride 1 and window 1. Rows that the layout spreads
  over the video are taken so unless something is given.

  Raises:
    DataError: a number that is not positive, or parts whose layouts disagree.
  """
  given = {"fps": fps, "stride": stride, "window": window}
  check_grid(**given)
  layouts = {part.layout for part in store.parts}
  if len(layouts) > 1 and None in given.values():
    raise DataError(f"{store.path}: the layouts of these parts have different time grids. Give "
                    "data.fps, data.stride and data.window, one for all.")
  layout = store.parts[0].layout
  grids: dict[str, TimeGrid | Rescaled] = {}
  if layout.rescaled and not any(given.values()):
    grids = {key: Rescaled(video.duration) for key, video in annotations.videos.items()
             if math.isfinite(video.duration) and video.duration > 0}
    said = "rows spread evenly over each video"
  else:
    number_stored = 0
    for key, video in annotations.videos.items():
      own = _stored_grid(store, key)
      number_stored += own is not None
      values = [next((x for x in (given[field], own and getattr(own, field),
                                  getattr(layout, field), default) if x is not None), None)
                for field, default in (("fps", frame_rate(video)), ("stride", 1.0),
                                       ("window", 1.0))]
      if None not in values:
        grids[key] = TimeGrid(*map(float, values))
    said = ", ".join(_origin(field, given[field], number_stored, getattr(layout, field))
                     for field in TimeGrid._fields)
  statement = f"{store.statement}\ntime grid: {said}".strip()
  return dataclasses.replace(store, grids=grids, statement=statement)


def unused(store: FeatureStore, video_ids: Iterable[str]) -> tuple[str, ...]:
  """Stored names that belong to none of the videos."""
  used = {find_id(video_id, store.files) for video_id in video_ids}
  return tuple(name for name in store.ids() if name not in used)


def write_features(path: str | os.PathLike, items: Iterable[tuple[str, FrameFeatures]], *,
                   format: str = "folder") -> None:
  """Writes features video by video: "folder" (ID.npy) or "hdf5" (one file), with their grids."""
  registry.write(path, "features", items, format=format)


def _stored_grid(store: FeatureStore, video_id: str) -> TimeGrid | None:
  for part in store.parts:
    name = find_id(video_id, part.grids)
    if name is not None:
      return part.grids[name]
  return None


def _origin(field: str, given: float | None, number_stored: int, layout: float | None) -> str:
  if given is not None:
    return f"{field} {given:g} as given"
  if number_stored:
    return f"{field} as stored with the features ({number_stored} videos)"
  if layout is not None:
    return f"{field} {layout:g} of the layout"
  return "fps of each video" if field == "fps" else f"{field} 1"
