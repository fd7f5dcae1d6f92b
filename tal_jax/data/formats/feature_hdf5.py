"""Features of all videos in one HDF5 file, or in one per modality and subset.

    hdf5             f[ID] or f[ID][key], or the same in groups per subset or person, f[group][ID];
                     time grids in attributes, if `write` put them there
    activitynet_c3d  f["v_" + ID]["c3d_features"] [T, 500]: window 16, stride 8
    gtad_thumos      a folder with rgb_val.h5, flow_val.h5, rgb_test.h5, flow_test.h5 or some of
                     them, f[ID] a row per frame; RGB and flow side by side, in this order (ours)
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable

from tal_jax.data import arrays
from tal_jax.data.feature_groups import named
from tal_jax.data.feature_store import FeatureStore, Layout, Part
from tal_jax.data.formats import hdf5_tree
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import FrameFeatures
from tal_jax.errors import DataError

_ANY = Layout()
_C3D = "c3d_features"
_GTAD = re.compile(r"(rgb|flow)_(val|test)\.h5")
_PER_FRAME = Layout(stride=1.0, window=1.0)
_C3D_GRID = Layout(stride=8.0, window=16.0)


def one_file(path: pathlib.Path, key: str | None, layout: Layout = _ANY) -> Part:
  """The videos of one file.

  Raises:
    DataError: no HDF5 file, or an empty one.
  """
  with arrays.open_hdf5(path) as root:
    found = hdf5_tree.videos(root, key)
  if not found:
    raise DataError(f"{path} holds no dataset")
  places, duplicates = named([(name, arrays.Place(path, member), member) for name, member in found])
  return Part(str(path), places, duplicates, layout, key, arrays.hdf5_grids(path))


def write(path: pathlib.Path, items: Iterable[tuple[str, FrameFeatures]]) -> None:
  """Writes one file, a dataset per video with its time grid."""
  arrays.write_hdf5(path, ((name, values, grid) for name, (values, grid) in items))


def _read(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
  part = one_file(path, key)
  return FeatureStore((part,), part.grids), ()


def _read_c3d(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
  return FeatureStore((one_file(path, key or _C3D, _C3D_GRID),)), ()


def _read_gtad(path: pathlib.Path, *, key: str | None = None) -> tuple[FeatureStore, tuple[()]]:
  parts = []
  for modality in ("rgb", "flow"):
    files = [one_file(file, key) for file in sorted(path.glob(f"{modality}_*.h5"))
             if _GTAD.fullmatch(file.name)]
    places = {name: place for part in files for name, place in part.places.items()}
    both = {name: tuple(part.path for part in files if name in part.places) for name in places}
    duplicates = {name: found for name, found in both.items() if len(found) > 1}
    if places:
      parts.append(Part(f"{path}/{modality}_*.h5", places, duplicates, _PER_FRAME, key))
  if not parts:
    raise DataError(f"{path} holds none of rgb_val.h5, flow_val.h5, rgb_test.h5, flow_test.h5")
  return FeatureStore(tuple(parts)), ()


def _detect(probe: Probe) -> str | None:
  if probe.names or not arrays.is_hdf5(probe.path):
    return None
  with arrays.open_hdf5(probe.path) as root:
    groups = sorted({member.rpartition("/")[0] for _, member in hdf5_tree.videos(root, None)})
    number = len(root)
  if groups in ([], [""]):
    return f"one HDF5 file with {number} members"
  return f"one HDF5 file with videos in the groups {', '.join(groups[:5])}" + (
      f" and {len(groups) - 5} more" if len(groups) > 5 else "")


def _detect_c3d(probe: Probe) -> str | None:
  """Both signs are asked for: files with c3d_features of other strides are about."""
  if probe.names or not arrays.is_hdf5(probe.path):
    return None
  with arrays.open_hdf5(probe.path) as root:
    name = next(iter(root), "")
    found = name.startswith("v_") and _C3D in getattr(root[name], "keys", tuple)()
  return f"HDF5 with 'v_...' / {_C3D!r}" if found else None


def _detect_gtad(probe: Probe) -> str | None:
  found = [name for name in probe.names if _GTAD.fullmatch(name)]
  return f"a folder with {', '.join(found)}" if found else None


FORMATS = (
    Format("gtad_thumos", "features", "a folder with {rgb,flow}_{val,test}.h5, a row per frame",
           _detect_gtad, _read_gtad, options=("key",)),
    Format("activitynet_c3d", "features", "HDF5 with v_ID/c3d_features, window 16, stride 8",
           _detect_c3d, _read_c3d, options=("key",)),
    Format("hdf5", "features", "one HDF5 file with a dataset or group per video", _detect, _read,
           options=("key",), write=write),
)
