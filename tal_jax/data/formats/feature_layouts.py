"""Named layouts of features: a folder or an HDF5 file, and the time grid that goes with it.

Most look like any other folder and are named by the user; a wrong guess would shift all times in
silence.
    bmn_csv                  BSN's and BMN's: rows spread evenly over each video, 100 as a rule. A
                             folder of csv with 100 rows is found by just that; .npy and HDF5 are
                             read so where they are named so
    bmn_transposed           the same as [d, 100], as BMN holds them in memory
    transposed               [d, T] for each video, as MS-TCN's features are kept
    tsp                      TSP: 15 fps, window 16, stride 16
    actionformer_thumos      I3D: stride 4, window 16, the video's frame rate
    actionformer_activitynet I3D: 25 fps, stride 16, window 16
    epic_slowfast            EPIC SlowFast, .npz: 30 fps, stride 16, window 32
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from tal_jax.data import arrays
from tal_jax.data.feature_store import FeatureStore, Layout
from tal_jax.data.formats import bmn
from tal_jax.data.formats.feature_files import folder
from tal_jax.data.formats.feature_hdf5 import one_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.formats.registry import AUTO
from tal_jax.errors import DataError

_RESCALED_ROWS = 100
_RESCALED = Layout(rescaled=True)


def reader(layout: Layout, transposed: bool = False):
  """A reader of folders and HDF5 files whose time grid is the layout's."""
  def read(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
    part = (folder(path) if path.is_dir() or not arrays.is_hdf5(path) else one_file(path, key))
    part = part._replace(layout=layout, key=key, transposed=transposed)
    return FeatureStore((part,), part.grids), ()
  return read


def chosen(format: str, files: Sequence[pathlib.Path]) -> tuple[Layout, bool]:
  """The layout of files that a pattern has found, and whether it is transposed.

  Raises:
    DataError: a format that is no layout of such files.
  """
  if format == AUTO and files and all(map(arrays.is_csv, files)) and _rescaled(files):
    return _RESCALED, False
  if format not in (AUTO, "folder", "hdf5", *_LAYOUTS):
    raise DataError(f"data.features_format = {format!r} has files of its own names: give its "
                    "folder or file, without a pattern.")
  return _LAYOUTS.get(format, (Layout(), False))


def _detect_rescaled(probe: Probe) -> str | None:
  files = probe.files(".csv", ".csv.gz")
  if not files or len(files) < len(probe.files(*arrays.SUFFIXES)) or bmn.detect(probe):
    return None
  return f"a folder of csv files with {_RESCALED_ROWS} rows each" if _rescaled(files) else None


def _rescaled(files: Sequence[pathlib.Path]) -> bool:
  try:
    return all(arrays.shape(arrays.Place(file))[0] == _RESCALED_ROWS for file in files[:3])
  except DataError:
    return False


def _never(probe: Probe) -> None:
  """Layouts that have no sign of their own."""
  del probe


_LAYOUTS = {  # by name: the time grid, and whether the time is the second axis
    "bmn_csv": (_RESCALED, False),
    "bmn_transposed": (_RESCALED, True),
    "transposed": (Layout(), True),
    "tsp": (Layout(fps=15.0, stride=16.0, window=16.0), False),
    "actionformer_thumos": (Layout(stride=4.0, window=16.0), False),
    "actionformer_activitynet": (Layout(25.0, 16.0, 16.0), False),
    "epic_slowfast": (Layout(30.0, 16.0, 32.0), False),
}
_LOOKS = {
    "bmn_csv": "rows spread evenly over each video: BSN's and BMN's csv of 100 rows, or named so",
    "bmn_transposed": "the same with the time as second axis, [d, 100]",
    "transposed": "a folder or an HDF5 file with [d, T] for each video",
    "tsp": "HDF5 with ID [T, 512] or a folder of v_ID.npy, 15 fps, window 16, stride 16",
    "actionformer_thumos": "a folder of ID.npy, stride 4, window 16",
    "actionformer_activitynet": "a folder of v_ID.npy, 25 fps, stride 16, window 16",
    "epic_slowfast": "a folder of ID.npz, 30 fps, stride 16, window 32",
}
FORMATS = tuple(
    Format(name, "features", _LOOKS[name], _detect_rescaled if name == "bmn_csv" else _never,
           reader(*layout), options=("key",)) for name, layout in _LAYOUTS.items())
