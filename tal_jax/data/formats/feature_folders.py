"""Features in a folder of folders, or of HDF5 files, that each have other videos.

    training/ID.npy, validation/ID.npy     a folder per subset or person
    training.h5, validation.h5             a file per subset, f[ID]

Folders with the same videos (rgb, flow) are not put together unasked: they may as well be two
extractions of which one is meant.
"""

from __future__ import annotations

import os
import pathlib

from tal_jax.data import arrays
from tal_jax.data.feature_groups import arranged, named
from tal_jax.data.feature_store import FeatureStore, Part
from tal_jax.data.formats import hdf5_tree
from tal_jax.data.formats.feature_files import folder
from tal_jax.data.formats.format import Format, Probe
from tal_jax.errors import DataError

_MOST = 200  # folders, beyond which they are not subsets or people
_SHOWN = 5


def listing(path: pathlib.Path) -> str:
  """For messages: what a folder holds."""
  if not path.is_dir():
    return f"{path} is no folder."
  names = sorted(x for x in os.listdir(path) if not x.startswith("."))
  more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
  return f"{path} holds {', '.join(names[:_SHOWN]) or 'nothing'}{more}."


def explain(path: pathlib.Path) -> str:
  """For a folder that is in no known format: how its folders can be named; "" if they cannot."""
  inside = _folders(path) if path.is_dir() else []
  if not inside:
    return ""
  names = [sorted(_names(x)) for x in inside[:_MOST]]
  if len(inside) > len(names[0]) and all(x == names[0] for x in names):
    return f"A folder per video? data.features={path}/{{}}/{names[0][0]}"
  return ("Its folders have some videos in common: name the one that is meant, or those to be put "
          f"side by side: data.features={','.join(map(str, inside[:_SHOWN]))}")


def _read(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
  inside = _folders(path)
  parts = [folder(x) for x in inside] or [_file(x, key) for x in _files(path)]
  if not parts:
    raise DataError(f"{path} holds no folders with features, nor HDF5 files with several videos")
  found = arranged([part._replace(key=key) for part in parts])
  if len(found) > 1:
    raise DataError(f"{path}: {explain(path) or 'its files have videos in common'}")
  return FeatureStore(tuple(found), found[0].grids), ()


def _detect(probe: Probe) -> str | None:
  """Folders of which no two have a name in common, with more files than stand beside them."""
  if not probe.path.is_dir():
    return None
  inside = _folders(probe.path)
  own = probe.files(*arrays.SUFFIXES)
  names = [{arrays.stem(x).removeprefix("v_") for x in _names(folder)} for folder in inside]
  if inside and len(inside) <= _MOST and _disjoint(names) and sum(map(len, names)) > len(own):
    return f"folders of features, each with other videos: {_some([x.name for x in inside])}"
  files = _files(probe.path)
  return (f"HDF5 files, each with several videos: {_some([x.name for x in files])}" if files
          and len(files) == len(own) else None)


def _folders(path: pathlib.Path) -> list[pathlib.Path]:
  """The folders that hold feature files, sorted."""
  found = sorted(x.name for x in os.scandir(path) if x.is_dir() and not x.name.startswith("."))
  return [path / name for name in found if _names(path / name)]


def _names(path: pathlib.Path) -> list[str]:
  return [x for x in os.listdir(path) if x.lower().endswith(arrays.SUFFIXES)
          and not x.startswith(".")]


def _files(path: pathlib.Path) -> list[pathlib.Path]:
  """The HDF5 files of a folder, if each has several videos and no two have one in common."""
  found = sorted(path / x for x in os.listdir(path) if x.lower().endswith(arrays.HDF5_SUFFIXES)
                 and not x.startswith("."))
  if not 1 <= len(found) <= _MOST:
    return []
  try:
    names = [set(arrays.hdf5_members(x)) for x in found]
  except DataError:
    return []
  videos = all(len(x) > 1 for x in names) and _disjoint(names)
  return found if videos and not any("feats" in x for x in names) else []


def _file(path: pathlib.Path, key: str | None) -> Part:
  with arrays.open_hdf5(path) as root:
    found = hdf5_tree.videos(root, key)
  places, duplicates = named([(name, arrays.Place(path, member), member)
                              for name, member in found])
  return Part(str(path), places, duplicates, grids=arrays.hdf5_grids(path))


def _disjoint(names: list[set[str]]) -> bool:
  return len(set().union(*names)) == sum(map(len, names))


def _some(names: list[str]) -> str:
  return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more"
                                      if len(names) > _SHOWN else "")


FORMATS = (Format("folders", "features", "a folder of folders (or HDF5 files) that each have other "
                  "videos, per subset or person", _detect, _read, options=("key",)),)
