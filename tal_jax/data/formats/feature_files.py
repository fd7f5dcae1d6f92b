"""Features in a folder, one file per video, and the named layouts that the field passes around.

    ID.npy    the array [T, d]
    ID.npz    the array under `key`, else under "feats", else the only one
    ID.csv    rows of numbers, with or without a header line
    ID.h5     a file whose only dataset, or that under `key`, is the array

Ids stand with or without `v_`. What experiments.extract_features or `write` put into manifest.json
is the time grid. Layouts that look like any folder are not guessed, they are named:
    bmn_csv                  BSN's and BMN's: csv rescaled to 100 rows, found by just that
    tsp                      TSP: 15 fps, window 16, stride 16
    actionformer_thumos      I3D: stride 4, window 16, the video's frame rate
    actionformer_activitynet I3D: 25 fps, stride 16, window 16
    epic_slowfast            EPIC SlowFast, .npz: 30 fps, stride 16, window 32
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np

from tal_jax.data import arrays
from tal_jax.data.features import FeatureStore, Layout, Part
from tal_jax.data.formats import bmn
from tal_jax.data.formats.registry import Format, Probe
from tal_jax.data.types import DataError, FrameFeatures, TimeGrid
from tal_jax.encoders import manifest

_RESCALED_ROWS = 100


def reader(layout: Layout):
  """A reader of folders whose time grid is the layout's."""
  def read(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
    part = folder(path)._replace(layout=layout, key=key)
    return FeatureStore((part,), part.grids), ()
  return read


def folder(path: pathlib.Path) -> Part:
  """The feature files of a folder.

  Raises:
    DataError: no folder, or none in it.
  """
  if not path.is_dir():
    raise DataError(f"{path} is no folder with a feature file per video")
  found = sorted(file for file in path.iterdir()
                 if file.suffix.lower() in arrays.SUFFIXES and not file.name.startswith("."))
  if not found:
    raise DataError(f"{path} holds no file {', '.join(arrays.SUFFIXES)}.{_pickles(path)}")
  places: dict[str, arrays.Place] = {}
  claims: dict[str, list[str]] = {}
  for file in found:
    places.setdefault(file.stem, arrays.Place(file))
    claims.setdefault(file.stem.removeprefix("v_"), []).append(file.name)
  duplicates = {name: tuple(files) for name, files in claims.items() if len(files) > 1}
  grids, faults = {}, {}
  if (path / manifest.NAME).exists():
    grids, faults = manifest.read_manifest(path)
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


def _detect_rescaled(probe: Probe) -> str | None:
  files = probe.files(".csv")
  if not files or len(files) < len(probe.files(*arrays.SUFFIXES)) or bmn.detect(probe):
    return None
  try:
    same = all(arrays.shape(arrays.Place(file))[0] == _RESCALED_ROWS for file in files[:3])
  except DataError:
    return None
  return f"a folder of csv files with {_RESCALED_ROWS} rows each" if same else None


def _never(probe: Probe) -> None:
  """Layouts that have no sign of their own: a wrong guess would shift all times in silence."""
  del probe


def _pickles(path: pathlib.Path) -> str:
  found = [file.name for file in path.iterdir() if file.suffix.lower() in arrays.PICKLE_SUFFIXES]
  return (f" {found[0]} is a pickle, and loading one can run any code: convert such files where "
          "you trust them, numpy.save(ID + '.npy', array)." if found else "")


def _named(name: str, looks: str, grid: TimeGrid | Layout) -> Format:
  layout = Layout(*grid) if isinstance(grid, TimeGrid) else grid
  return Format(name, "features", looks, _never, reader(layout), options=("key",))


FORMATS = (
    Format("bmn_csv", "features", "a folder of csv with 100 rows each, rescaled to the video; "
           "BSN's and BMN's", _detect_rescaled, reader(Layout(rescaled=True)), options=("key",)),
    _named("actionformer_thumos", "a folder of ID.npy, stride 4, window 16",
           Layout(stride=4.0, window=16.0)),
    _named("actionformer_activitynet", "a folder of v_ID.npy, 25 fps, stride 16, window 16",
           TimeGrid(25.0, 16.0, 16.0)),
    _named("epic_slowfast", "a folder of ID.npz, 30 fps, stride 16, window 32",
           TimeGrid(30.0, 16.0, 32.0)),
    Format("folder", "features", "a folder with a file per video: ID.npy, .npz, .csv or .h5",
           _detect, reader(Layout()), options=("key",), write=write),
)
