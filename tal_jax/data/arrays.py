"""One video's feature array in a file: .npy, .npz, .csv or HDF5; and its shape without reading it.

All are [T, d], time first. Nothing is cached, and nothing that could run code is read: pickles
(.pkl, .pt, .pth, object arrays) are refused, with how to convert them (containers.py).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import zipfile
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data import containers
from tal_jax.data.records import TimeGrid
from tal_jax.data.text import csv_rows
from tal_jax.errors import DataError

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
SUFFIXES = (".npy", ".npz", ".csv", ".csv.gz", *HDF5_SUFFIXES)
_TRIES = 5  # see _again
_DEFAULT_KEY = "feats"
_GRID_ATTRIBUTES = TimeGrid._fields
_MOST_KEPT = 8  # files, in `kept_open`
_KEPT: ContextVar[dict[str, Any] | None] = ContextVar("kept", default=None)


class Place(NamedTuple):
  """Where an array is: a file, or a member of an HDF5 file."""

  file: pathlib.Path
  member: str | None = None

  def __str__(self) -> str:
    return str(self.file) if self.member is None else f"{self.file}[{self.member}]"


def shape(place: Place, key: str | None = None) -> tuple[int, ...]:
  """The array's shape, from the file's header; a csv has none and is gone through.

  Raises:
    DataError: it cannot be read.
  """
  return _read(place, key, shape_only=True)


def values(place: Place, key: str | None = None) -> np.ndarray:
  """The array; `key` names it inside an .npz file or an HDF5 group.

  Raises:
    DataError: it cannot be read, or does not hold numbers.
  """
  array = _read(place, key, shape_only=False)
  if not np.issubdtype(array.dtype, np.number):
    raise DataError(f"{place} holds {array.dtype}, not numbers")
  return array


def stem(name: str) -> str:
  """A file's name without the suffixes of a feature file."""
  low = name.lower()
  return next((name[:-len(x)] for x in SUFFIXES if low.endswith(x)), name)


def npz_members(path: pathlib.Path) -> list[str]:
  """The names of the arrays in an .npz file, sorted; DataError if it is none."""
  try:
    with zipfile.ZipFile(path) as archive:
      return sorted(member.removesuffix(".npy") for member in archive.namelist())
  except (OSError, zipfile.BadZipFile) as error:
    raise DataError(f"{path} cannot be read ({error})") from error


def hdf5_members(path: pathlib.Path, group: str = "/") -> list[str]:
  """The names in a group of an HDF5 file, sorted; none if it is no group."""
  with open_hdf5(path) as root:
    return sorted(getattr(root[group], "keys", tuple)())


def hdf5_grids(path: pathlib.Path) -> dict[str, TimeGrid]:
  """The time grids that `write_hdf5` stored with the arrays; those at the top of the file."""
  exists = _h5py().h5a.exists
  with open_hdf5(path) as root:
    # Asked of the library itself: opening each of many members would take longer than all else.
    timed = [name for name in root if all(exists(root.id, x.encode(), obj_name=name.encode())
                                          for x in _GRID_ATTRIBUTES)]
    return {name: TimeGrid(*(float(root[name].attrs[x]) for x in _GRID_ATTRIBUTES))
            for name in timed}


def write_hdf5(path: pathlib.Path, arrays: Iterable[tuple[str, np.ndarray, TimeGrid]]) -> None:
  """Writes one file with a dataset per video, its time grid in the attributes."""
  with _h5py().File(path, "w") as root:
    for name, array, grid in arrays:
      dataset = root.create_dataset(name, data=array)
      dataset.attrs.update(grid._asdict())


def open_hdf5(path: pathlib.Path):
  """The open HDF5 file, in a context that closes it; DataError if it is none."""
  kept = _KEPT.get()
  if kept is None:
    return _opened(path)
  key = os.fspath(path)
  if key not in kept:
    if len(kept) >= _MOST_KEPT:
      kept.pop(next(iter(kept))).close()
    kept[key] = _opened(path)
  return contextlib.nullcontext(kept[key])


@contextlib.contextmanager
def kept_open() -> Iterator[None]:
  """Within it, in this thread, an HDF5 file that is read again and again is opened but once."""
  kept: dict[str, Any] = {}
  token = _KEPT.set(kept)
  try:
    yield
  finally:
    _KEPT.reset(token)
    for file in kept.values():
      file.close()


def _opened(path: pathlib.Path):
  try:
    return _h5py().File(path, "r")
  except OSError as error:
    raise DataError(f"{path} is not a readable HDF5 file: {error}") from error


def is_hdf5(path: pathlib.Path) -> bool:
  return path.suffix.lower() in HDF5_SUFFIXES


def is_csv(path: pathlib.Path) -> bool:
  return path.name.lower().endswith((".csv", ".csv.gz"))


def _read(place: Place, key: str | None, *, shape_only: bool) -> Any:
  suffix = place.file.name[len(stem(place.file.name)):].lower()
  other = containers.describe(place.file.name)
  if other:
    raise containers.Foreign(f"{place.file} is {other}")
  read = _read_hdf5 if is_hdf5(place.file) else _READERS.get(suffix)
  if read is None:
    raise DataError(f"{place.file}: features are kept in {', '.join(SUFFIXES)}")
  try:
    return _again(read, place, key, shape_only)
  except DataError as error:
    raise type(error)(f"{place}: {error}") from error
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
    raise DataError(f"{place} cannot be read ({error}). Is the file complete, and are its values "
                    "plain numbers?") from error


def _again(read, *args):
  """Calls `read`; again after a SystemError.

  NumPy parses a file's header as a Python literal, and CPython 3.11 may refuse one with that error
  while another thread parses something, too (python/cpython#106905).
  """
  for _ in range(_TRIES - 1):
    try:
      return read(*args)
    except SystemError:
      pass
  return read(*args)


def _read_npy(place, key, shape_only):
  del key
  if shape_only:
    with open(place.file, "rb") as stream:
      return _header_shape(stream)
  return _plain(np.load, place.file, allow_pickle=False)


def _read_npz(place, key, shape_only):
  if shape_only:
    with zipfile.ZipFile(place.file) as archive:
      keys = [member.removesuffix(".npy") for member in archive.namelist()]
      with archive.open(_choose(keys, key) + ".npy") as stream:
        return _header_shape(stream)
  with np.load(place.file, allow_pickle=False) as archive:
    return _plain(archive.__getitem__, _choose(list(archive.keys()), key))


def _read_csv(place, key, shape_only):
  del key
  return csv_rows.shape(place.file) if shape_only else csv_rows.values(place.file)


def _read_hdf5(place, key, shape_only):
  h5py = _h5py()
  with open_hdf5(place.file) as root:
    item = root if place.member is None else root[place.member]
    if isinstance(item, h5py.Group):
      item = item[_choose(list(item.keys()), key)]
    if isinstance(item, h5py.Group):
      raise DataError("is a group of groups; expected one dataset per video")
    return item.shape if shape_only else item[()]


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv, ".csv.gz": _read_csv}


def _header_shape(stream) -> tuple[int, ...]:
  version = np.lib.format.read_magic(stream)
  read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
          else np.lib.format.read_array_header_2_0)
  shape, _, dtype = read(stream)
  if dtype.hasobject:
    raise _foreign()
  return shape


def _plain(load, *args, **options) -> np.ndarray:
  """What NumPy loads, without pickles."""
  try:
    return load(*args, **options)
  except ValueError as error:
    if "allow_pickle" in str(error):
      raise _foreign() from error
    raise


def _foreign() -> containers.Foreign:
  return containers.Foreign("cannot be read: it holds pickled objects, " + containers.OBJECTS)


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


def _h5py():
  """h5py is needed for HDF5 alone, so it is imported where it is used."""
  try:
    import h5py
  except ImportError as error:
    raise DataError("reading HDF5 needs h5py: pip install 'tal_jax[hdf5]'") from error
  return h5py
