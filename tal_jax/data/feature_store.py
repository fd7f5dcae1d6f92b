"""A store of frame-level features: its parts, and the arrays of a video side by side.

Opened by `open_store` in tal_jax/data/features.py. Nothing is cached: every read is a new one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.data import arrays
from tal_jax.data.records import FrameFeatures, TimeGrid
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError

_ROWS_APART = 2  # by which the parts of a video may differ; the longer ones are cut


class Layout(NamedTuple):
  """What a format says of its time grid; None where it does not say."""

  fps: float | None = None
  stride: float | None = None
  window: float | None = None
  rescaled: bool = False  # the rows are spread evenly over the video, however long it is


class Rescaled(NamedTuple):
  """The time of rows that are spread evenly over a video."""

  duration: float  # seconds

  def grid(self, num_rows: int) -> TimeGrid:
    return TimeGrid(fps=num_rows / self.duration)


class Part(NamedTuple):
  """One folder or file of features."""

  path: str
  places: Mapping[str, arrays.Place]  # by stored name
  duplicates: Mapping[str, tuple[str, ...]] = {}  # id that two files claim -> all of them
  layout: Layout = Layout()
  key: str | None = None  # the array's name inside .npz files or HDF5 groups
  grids: Mapping[str, TimeGrid] = {}  # that are stored beside the arrays, by stored name
  faults: Mapping[str, str] = {}  # why a video has none, where the folder says so
  transposed: bool = False  # the files hold [d, T]
  pieces: tuple[tuple[str, Mapping[str, arrays.Place]], ...] = ()  # that it was put together of


@dataclasses.dataclass(frozen=True)
class FeatureStore:
  """Features by video id; made by `open_store`."""

  parts: tuple[Part, ...]
  grids: Mapping[str, TimeGrid | Rescaled] = dataclasses.field(default_factory=dict)
  statement: str = ""  # what the parts were read as

  @property
  def path(self) -> str:
    return " + ".join(part.path for part in self.parts)

  @functools.cached_property
  def files(self) -> Mapping[str, tuple[arrays.Place, ...]]:
    """Places by stored name (that of the first part), of the videos that all parts have."""
    first, *others = self.parts
    names = {name: [find_id(name, part.places) for part in others] for name in first.places}
    return {name: (first.places[name], *(part.places[other] for part, other in
                                         zip(others, found, strict=True)))
            for name, found in names.items() if None not in found}

  @property
  def pieces(self) -> tuple[tuple[str, Mapping[str, arrays.Place]], ...]:
    """The folders and files that the parts were put together of, each with its names."""
    return tuple(piece for part in self.parts
                 for piece in part.pieces or ((part.path, part.places),))

  @property
  def duplicates(self) -> dict[str, tuple[str, ...]]:
    """Ids that two files of a part claim, and the files; the first is the one read."""
    return {name: places for part in self.parts for name, places in part.duplicates.items()}

  def ids(self) -> tuple[str, ...]:
    """Names as stored, sorted."""
    return tuple(sorted(self.files))

  def why_missing(self, video_id: str) -> str:
    """For messages, why a video has no features, "" if nothing is known."""
    for part in self.parts:
      if video_id in part.faults:
        return part.faults[video_id]
    lacking = [part.path for part in self.parts if find_id(video_id, part.places) is None]
    return f"only {' and '.join(lacking)} lack(s) it" if len(lacking) < len(self.parts) else ""

  def where(self, video_id: str) -> str:
    """The place of a video's features, for messages."""
    return " + ".join(str(place) for place, _ in self._sources(video_id))

  def shape(self, video_id: str) -> tuple[int, ...]:
    """The shape of what `load` gives, from the files' headers.

    Raises:
      DataError: no such video, not readable, or its parts do not fit together.
    """
    return self.joined_shape(video_id, self.part_shapes(video_id))

  def joined_shape(self, video_id: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of a video's arrays side by side; DataError if they do not fit together."""
    if len(shapes) == 1:
      return shapes[0]
    self._check_parts(video_id, shapes)
    return min(rows for rows, _ in shapes), sum(width for _, width in shapes)

  def part_shapes(self, video_id: str) -> list[tuple[int, ...]]:
    """The shapes of a video's arrays in each part, from the files' headers.

    Raises:
      DataError: no such video, or not readable.
    """
    return [_turned(arrays.shape(place, part.key), part)
            for place, part in self._sources(video_id)]

  def part_values(self, video_id: str) -> list[np.ndarray]:
    """A video's arrays in each part.

    Raises:
      DataError: no such video, or not readable.
    """
    found = ((arrays.values(place, part.key), part) for place, part in self._sources(video_id))
    return [x.T if part.transposed and x.ndim == 2 else x for x, part in found]

  def load(self, video_id: str) -> FrameFeatures:
    """Reads one video.

    Raises:
      DataError: no such video, not readable, not two-dimensional, its parts do not fit together, or
        its rate is not known.
    """
    values = self.part_values(video_id)
    self._check_parts(video_id, [x.shape for x in values])
    name = find_id(video_id, self.grids)
    if name is None:
      raise DataError(f"{video_id}: the frame rate of the features is not known. Set data.fps, or "
                      "give the video a field 'fps' in the annotation file.")
    rows = min(map(len, values))
    whole = (values[0] if len(values) == 1
             else np.concatenate([x[:rows] for x in values], axis=1))
    grid = self.grids[name]
    return FrameFeatures(whole, grid.grid(rows) if isinstance(grid, Rescaled) else grid)

  __call__ = load  # a store is the `features` of RawData

  def _sources(self, video_id: str) -> list[tuple[arrays.Place, Part]]:
    name = find_id(video_id, self.files)
    if name is None:
      why = self.why_missing(video_id)
      raise DataError(f"{video_id} has no features in {self.path}" + (f": {why}" if why else ""))
    return list(zip(self.files[name], self.parts, strict=True))

  def _check_parts(self, video_id: str, shapes: Sequence[tuple[int, ...]]) -> None:
    if any(len(shape) != 2 for shape in shapes):
      raise DataError(f"{self.where(video_id)} has the shape {', '.join(map(str, shapes))}; "
                      "features are [T, d], one row per time step.")
    rows = [shape[0] for shape in shapes]
    if max(rows) - min(rows) > _ROWS_APART:
      raise DataError(f"{video_id}: the parts have {', '.join(map(str, rows))} rows "
                      f"({self.where(video_id)}). Up to {_ROWS_APART} more are cut off; these are "
                      "of different videos or strides.")


def _turned(shape: tuple[int, ...], part: Part) -> tuple[int, ...]:
  return shape[::-1] if part.transposed and len(shape) == 2 else shape
