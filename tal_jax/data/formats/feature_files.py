"""Features in a folder, one file per video.

    ID.npy    the array [T, d]
    ID.npz    the array under `key`, else under "feats", else the only one
    ID.csv    rows of numbers, with or without a header line
    ID.h5     a file whose only dataset, or that under `key`, is the array

Ids stand with or without `v_`. What experiments.extract_features or `write` put into manifest.json
is the time grid. Folders with a time grid of their own stand in feature_layouts.py.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

import numpy as np

from tal_jax.data import arrays, containers
from tal_jax.data.feature_groups import named
from tal_jax.data.feature_store import FeatureStore, Part
from tal_jax.data.formats import bmn
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import FrameFeatures
from tal_jax.encoders import manifest
from tal_jax.errors import DataError


def _read(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
  part = folder(path)._replace(key=key)
  return FeatureStore((part,), part.grids), ()


def folder(path: pathlib.Path) -> Part:
  """The feature files of a folder.

  Raises:
    DataError: no folder, or none in it.
  """
  if not path.is_dir():
    raise DataError(f"{path} is no folder with a feature file per video")
  names = sorted(name for name in os.listdir(path) if not name.startswith("."))
  found = [name for name in names if name.lower().endswith(arrays.SUFFIXES)]
  if not found:
    other = containers.refused(path)
    raise DataError(f"{path} holds no file {', '.join(arrays.SUFFIXES)}."
                    + (f" There is {other}" if other else ""))
  places, duplicates = named([(arrays.stem(name), arrays.Place(path / name), name)
                              for name in found])
  grids, faults = {}, {}
  if (path / manifest.NAME).exists():
    grids, faults = manifest.read_manifest(path)
  refused = ((os.path.splitext(name)[0], name, containers.describe(name)) for name in names)
  faults = {stem: f"{name} is {what}" for stem, name, what in refused
            if what and stem not in places} | faults
  return Part(str(path), places, duplicates, grids=grids, faults=faults)


def write(path: pathlib.Path, items: Iterable[tuple[str, FrameFeatures]]) -> None:
  """Writes ID.npy for each video, and their time grid into manifest.json.

  Raises:
    DataError: videos with different time grids, which a manifest does not hold; "hdf5" does.
  """
  path.mkdir(parents=True, exist_ok=True)
  grid, videos = None, {}
  for video_id, features in items:
    if grid not in (None, features.grid):
      raise DataError(f"{path}: {video_id} has another time grid than the videos before it. Write "
                      "them in the format 'hdf5', which keeps the grid of each.")
    grid = features.grid
    np.save(path / f"{video_id}.npy", features.values)
    videos[video_id] = {"file": f"{video_id}.npy", "rows": len(features.values)}
  if grid is not None:
    manifest.write(path, manifest.Manifest(grid._asdict(), videos, {}))


def _detect(probe: Probe) -> str | None:
  files = probe.files(*arrays.SUFFIXES)
  if not files or bmn.detect(probe):
    return None
  kinds = sorted({file.suffix.lower() for file in files})
  made = " and a manifest" if manifest.NAME in probe.names else ""
  return f"a folder of {len(files)} {', '.join(kinds)} files{made}"


FORMATS = (
    Format("folder", "features", "a folder with a file per video: ID.npy, .npz, .csv or .h5",
           _detect, _read, options=("key",), write=write),
)
