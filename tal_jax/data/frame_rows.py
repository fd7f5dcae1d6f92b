"""From RawData to `Rows`: the frame-level features of each set of videos, end to end.

They are stored as they were read, in memory or in one file a set. The mean and scale that go with
them are those of Selection's rows, without labels: what a learner may look at before the first
annotation.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from tal_jax.data.moments import RunningMoments
from tal_jax.data.records import EncodedFeatures, RawData
from tal_jax.errors import DataError
from tal_jax.rows import Rows

_KEPT = (np.float16, np.float32)  # stored as they are; other numbers become float32


def read(raw: RawData, *, storage: str = "", progress: Callable[[], None] = lambda: None
         ) -> dict[str, Rows]:
  """The rows of the three sets, by the set's name in `Split`.

  Args:
    raw: the source.
    storage: a folder for the rows of Selection and Testing, as memory-mapped files that this call
      writes; "" keeps them in memory.
    progress: called after each video.

  Raises:
    DataError: features that are pooled already, not finite, or of several widths; or a folder that
      cannot be written.
  """
  moments = RunningMoments()
  selection = _read_set(raw, raw.split.selection, storage and f"{storage}/selection_rows.bin",
                        progress, moments)
  mean, scale = moments.mean.astype(np.float32), moments.scale().astype(np.float32)
  found = {"selection": selection}
  for name in ("testing", "knowledge_source"):
    file = f"{storage}/{name}_rows.bin" if storage and name == "testing" else ""
    ids = getattr(raw.split, name)
    if not ids:
      none = np.zeros(0, np.int32)
      found[name] = Rows(selection.values[:0], none, none, none.astype(np.float32),
                         none.astype(np.float32), mean, scale)
      continue
    found[name] = _read_set(raw, ids, file, progress, None)
    if found[name].dim != selection.dim:
      raise DataError(f"the features of {name} have {found[name].dim} dimensions, those of "
                      f"selection {selection.dim}")
  return {name: rows._replace(mean=mean, scale=scale) for name, rows in found.items()}


def _read_set(raw: RawData, ids: Sequence[str], file: str, progress: Callable[[], None],
              moments: RunningMoments | None) -> Rows:
  counts, starts, steps, parts, width = [], [], [], [], None
  store = _File(file) if file else parts.append
  for video_id in ids:
    features = raw.features(video_id)
    if isinstance(features, EncodedFeatures):
      raise DataError(f"{raw.caption}: its features are pooled over proposals already, and this "
                      "model reads frame-level ones: use --config.model=paper or stage_wise, or "
                      "the source 'files'")
    values = np.asarray(features.values)
    if values.dtype not in _KEPT:
      values = values.astype(np.float32)
    if not np.isfinite(values).all():
      raise DataError(f"{video_id}: its features hold NaN or infinite values: extract them again, "
                      "or take the video out")
    width = width or values.shape[1]
    if values.shape[1] != width:
      raise DataError(f"{video_id} has features of width {values.shape[1]}, others of {width}")
    if moments is not None:
      moments.add(values)
    store(values)
    grid = features.grid
    counts.append(len(values))
    starts.append(0.5 * grid.window / grid.fps)
    steps.append(grid.stride / grid.fps)
    progress()
  values = store.opened() if file else np.concatenate(parts)
  count = np.array(counts, np.int32)
  nothing = np.zeros(0, np.float32)
  return Rows(values, (np.cumsum(count) - count).astype(np.int32), count,
              np.array(starts, np.float32), np.array(steps, np.float32), nothing, nothing)


class _File:
  """Rows appended to a file, then mapped."""

  def __init__(self, path: str):
    self._path, self._shape, self._dtype = pathlib.Path(path), [0, 0], None
    try:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      self._path.unlink(missing_ok=True)  # a run that still reads the old file keeps it
      self._stream = self._path.open("wb")
    except OSError as error:
      raise self._fault(error) from error

  def __call__(self, values: np.ndarray) -> None:
    self._dtype = self._dtype or values.dtype
    if not np.can_cast(values.dtype, self._dtype):
      self._stream.close()
      raise DataError(f"data.storage: some features are {self._dtype}, others {values.dtype}, "
                      "which one file cannot hold: extract them alike, or keep them in memory")
    try:
      self._stream.write(np.ascontiguousarray(values, self._dtype).tobytes())
    except OSError as error:
      raise self._fault(error) from error
    self._shape = [self._shape[0] + len(values), values.shape[1]]

  def opened(self) -> np.memmap:
    self._stream.close()
    return np.memmap(self._path, self._dtype, "r", shape=tuple(self._shape))

  def _fault(self, error: OSError) -> DataError:
    return DataError(f"data.storage: cannot write {os.fspath(self._path)} ({error.strerror}): "
                     "choose a folder with more space")
