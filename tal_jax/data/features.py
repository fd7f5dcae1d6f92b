"""Frame-level features on disk: a folder with one file per video, or one HDF5 file.

Layouts, all [T, d] with time first:
  folder/ID.npy          the array
  folder/ID.npz          the array under `key`, else under "feats", else the only one
  file.h5                f[ID], or f[ID][key] (ActivityNet's C3D: f["v_" + id]["c3d_features"])
An id may stand with or without the prefix `v_`. Every read is a new one: nothing is cached, so a
data set larger than the memory streams through.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tal_jax.data.annotations import find_id
from tal_jax.data.types import Annotations, DataError, FrameFeatures, TimeGrid

_DEFAULT_KEY = "feats"
_HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
_FILE_SUFFIXES = (".npy", ".npz")


def time_grids(annotations: Annotations, *, fps: float | None, stride: float,
               window: float) -> dict[str, TimeGrid]:
  """The time grid of every annotated video.

  Args:
    annotations: the videos.
    fps: samples per second; None reads each video's own field `fps` in the annotation file.
    stride: samples from one row to the next.
    window: samples that one row covers.

  Returns:
    Grids by video id. A video whose rate is not known (no `fps`, or not a positive number) has
    none; validation reports it.

  Raises:
    DataError: a rate, stride or window that is not positive.
  """
  for name, value in (("fps", 1.0 if fps is None else fps), ("stride", stride),
                      ("window", window)):
    if not _is_positive(value):
      raise DataError(f"data.{name} = {value}: it must be a positive number.")
  rates = {video_id: video.extra.get("fps") if fps is None else fps
           for video_id, video in annotations.videos.items()}
  return {video_id: TimeGrid(float(rate), float(stride), float(window))
          for video_id, rate in rates.items() if _is_positive(rate)}


@dataclasses.dataclass(frozen=True)
class FeatureStore:
  """Features by video id; made by `open_store`.

  `duplicates` maps an id that two files claim to all of them; the first is the one read.
  """

  path: pathlib.Path
  files: Mapping[str, pathlib.Path]  # stored name -> file
  duplicates: Mapping[str, tuple[str, ...]]
  grids: Mapping[str, TimeGrid]
  key: str | None

  def ids(self) -> tuple[str, ...]:
    """Names as stored, sorted."""
    return tuple(sorted(self.files))

  def where(self, video_id: str) -> str:
    """The place of a video's features, for messages."""
    name = self._name(video_id)
    file = self.files[name]
    return f"{file}[{name}]" if _is_hdf5(file) else str(file)

  def shape(self, video_id: str) -> tuple[int, ...]:
    """The array's shape, read from the file's header."""
    return self._read(video_id, shape_only=True)

  def __call__(self, video_id: str) -> FrameFeatures:
    """Reads one video.

    Raises:
      DataError: no such video, not readable, not two-dimensional, or its rate is not known.
    """
    values = self._read(video_id, shape_only=False)
    if values.ndim != 2:
      raise DataError(f"{self.where(video_id)} has the shape {values.shape}; features are [T, d], "
                      "one row per time step.")
    if video_id not in self.grids:
      raise DataError(f"{video_id}: the frame rate of the features is not known. Set data.fps, or "
                      "give the video a field 'fps' in the annotation file.")
    return FrameFeatures(values, self.grids[video_id])

  def _name(self, video_id: str) -> str:
    name = find_id(video_id, self.files)
    if name is None:
      raise DataError(f"{video_id} has no features in {self.path}")
    return name

  def _read(self, video_id: str, *, shape_only: bool) -> Any:
    where = self.where(video_id)
    name = self._name(video_id)
    file = self.files[name]
    read = _read_hdf5 if _is_hdf5(file) else _READERS[file.suffix]
    try:
      value = read(file, name, self.key, shape_only)
    except DataError as error:
      raise DataError(f"{where}: {error}") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
      raise DataError(f"{where} cannot be read ({error}). Is the file complete, and are its values "
                      "plain numbers?") from error
    if not shape_only and not np.issubdtype(value.dtype, np.number):
      raise DataError(f"{where} holds {value.dtype}, not numbers")
    return value


def open_store(path: str | os.PathLike, *, grids: Mapping[str, TimeGrid],
               key: str | None = None) -> FeatureStore:
  """Opens a folder of .npy and .npz files, or one HDF5 file.

  Args:
    path: the folder or file.
    grids: time grid per video id, see `time_grids`.
    key: the array's name inside an .npz file or an HDF5 group.

  Raises:
    DataError: nothing to read at `path`.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    found = [(file.stem, file) for file in sorted(path.iterdir())
             if file.suffix in _FILE_SUFFIXES]
    if not found:
      raise DataError(f"{path} holds no .npy or .npz file. data.features is a folder with one file "
                      "per video, ID.npy, or one HDF5 file.")
  elif path.is_file() and _is_hdf5(path):
    found = [(name, path) for name in _hdf5_names(path)]
  else:
    raise DataError(f"{path} is neither a folder nor an HDF5 file ({', '.join(_HDF5_SUFFIXES)}). "
                    "data.features names a folder with one file per video, or one HDF5 file.")
  files: dict[str, pathlib.Path] = {}
  claims: dict[str, list[str]] = {}
  for name, file in found:
    files.setdefault(name, file)
    claims.setdefault(name.removeprefix("v_"), []).append(name if _is_hdf5(file) else file.name)
  duplicates = {name: tuple(places) for name, places in claims.items() if len(places) > 1}
  return FeatureStore(path, files, duplicates, grids, key)


def unused(store: FeatureStore, video_ids: Iterable[str]) -> tuple[str, ...]:
  """Stored names that belong to none of the videos."""
  used = {find_id(video_id, store.files) for video_id in video_ids}
  return tuple(name for name in store.ids() if name not in used)


def _read_npy(file, name, key, shape_only):
  del name, key
  if shape_only:
    with open(file, "rb") as stream:
      return _header_shape(stream)
  return np.load(file, allow_pickle=False)


def _read_npz(file, name, key, shape_only):
  del name
  if shape_only:
    with zipfile.ZipFile(file) as archive:
      keys = [member.removesuffix(".npy") for member in archive.namelist()]
      with archive.open(_choose(keys, key) + ".npy") as stream:
        return _header_shape(stream)
  with np.load(file, allow_pickle=False) as archive:
    return archive[_choose(list(archive.keys()), key)]


def _read_hdf5(file, name, key, shape_only):
  h5py = _h5py()
  with h5py.File(file, "r") as root:
    item = root[name]
    if isinstance(item, h5py.Group):
      item = item[_choose(list(item.keys()), key)]
    if isinstance(item, h5py.Group):
      raise DataError("is a group of groups; expected one dataset per video")
    return item.shape if shape_only else item[()]


_READERS = {".npy": _read_npy, ".npz": _read_npz}


def _header_shape(stream) -> tuple[int, ...]:
  version = np.lib.format.read_magic(stream)
  read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
          else np.lib.format.read_array_header_2_0)
  return read(stream)[0]


def _choose(keys: list[str], key: str | None) -> str:
  """The array to read among several: the named one, else "feats", else the only one."""
  if key is not None:
    if key in keys:
      return key
    raise DataError(f"has no array {key!r}, only {', '.join(sorted(keys)) or 'none'}")
  if _DEFAULT_KEY in keys:
    return _DEFAULT_KEY
  if len(keys) == 1:
    return keys[0]
  raise DataError(f"holds {len(keys)} arrays ({', '.join(sorted(keys)[:5])}); name one with "
                  "data.feature_key")


def _hdf5_names(path: pathlib.Path) -> list[str]:
  try:
    with _h5py().File(path, "r") as root:
      names = sorted(root.keys())
  except OSError as error:
    raise DataError(f"{path} is not a readable HDF5 file: {error}") from error
  if not names:
    raise DataError(f"{path} holds no dataset")
  return names


def _h5py():
  """h5py is needed for HDF5 alone, so it is imported where it is used."""
  try:
    import h5py
  except ImportError as error:
    raise DataError("reading HDF5 needs h5py: pip install h5py") from error
  return h5py


def _is_hdf5(file: pathlib.Path) -> bool:
  return file.suffix.lower() in _HDF5_SUFFIXES


def _is_positive(value: Any) -> bool:
  return (isinstance(value, int | float) and not isinstance(value, bool)
          and math.isfinite(value) and value > 0)
