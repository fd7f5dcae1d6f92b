"""What a build depends on, and where each data set looks for its files in `manual_dir`."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from tal_jax.encoders.pooling import ENCODERS
from tal_jax.errors import DataError

DTYPES = ("float32", "float16")


class Settings(NamedTuple):
  """How proposals are pooled; the fields up to `allow_missing` are those of `files.inspect`.

  "", 0 and {} stand for "not given". A path that is not given is looked for in `manual_dir`.
  """

  annotations: str = ""
  annotations_format: str = "auto"
  features: str = ""
  features_format: str = "auto"
  feature_key: str = ""
  fps: float = 0.0
  stride: float = 0.0
  window: float = 0.0
  proposals: str = ""
  proposals_format: str = "auto"
  num_proposals: int = 0
  windows: Mapping[str, float] = {}  # of `sliding_windows`, where there are no proposals
  video_info: str = ""
  label: str = ""
  background: bool = False
  allow_missing: bool = False  # videos without features or proposals are kept as annotations alone
  encoder: str = "context"
  dtype: str = "float32"  # of the pooled features
  caption: str = ""


class Layout(NamedTuple):
  """The names by which a data set's files are known; the first that exists is taken."""

  annotations: tuple[str, ...]
  features: tuple[str, ...] = ("features", "features.h5", "features.hdf5")
  proposals: tuple[str, ...] = ("proposals", "proposals.json", "proposals.csv", "proposals.txt")
  windows: Mapping[str, float] = {"shortest": 2.0, "ratio": 1.4, "overlap": 0.75}
  caption: str = ""


LAYOUTS = {
    "activitynet13": Layout(
        ("activity_net.v1-3.min.json", "activity_net.v1-3.json"),
        ("features", "sub_activitynet_v1-3.c3d.hdf5", "features.h5", "features.hdf5"),
        caption="ActivityNet 1.3 (Heilbron et al.)"),
    "thumos14": Layout(
        ("thumos14.json", "thumos_14_anno.json", "thumos14_v2.json"),
        windows={"shortest": 1.0, "longest": 60.0, "ratio": 1.4, "overlap": 0.75},
        caption="THUMOS14 (Idrees et al.)"),
    "hapt": Layout(
        (), windows={"shortest": 2.5, "longest": 40.0, "ratio": 1.3, "overlap": 0.8},
        caption="HAPT: one-minute recordings of 30 people, 12 activities and postural transitions "
                "(Reyes-Ortiz et al.)"),
    "custom": Layout(("annotations.json", "annotations.csv")),
}
INSTRUCTIONS = f"""Put into manual_dir, or name with the build's settings:
  activitynet13  {' or '.join(LAYOUTS['activitynet13'].annotations)}; features (a folder or an HDF5
                 file); proposals if there are any
  thumos14       {' or '.join(LAYOUTS['thumos14'].annotations)}; features; proposals if any
  hapt           the archive of the UCI repository, "smartphone+based+recognition+of+human+
                 activities+and+postural+transitions.zip" or "HAPT Data Set.zip", or its folder
  custom         {' or '.join(LAYOUTS['custom'].annotations)}; features; proposals if any"""


def complete(settings: Settings, dataset: str, manual_dir: str | os.PathLike) -> Settings:
  """The settings with the paths that are not given looked up in `manual_dir`.

  Raises:
    DataError: an unknown data set, encoder or dtype, or a file that is not there.
  """
  if dataset not in LAYOUTS:
    raise DataError(f"dataset = {dataset!r}; there are {', '.join(LAYOUTS)}.")
  if settings.encoder not in ENCODERS:
    raise DataError(f"encoder = {settings.encoder!r}; there are {', '.join(sorted(ENCODERS))}.")
  if settings.dtype not in DTYPES:
    raise DataError(f"dtype = {settings.dtype!r}; there are {', '.join(DTYPES)}.")
  layout, folder = LAYOUTS[dataset], pathlib.Path(manual_dir)
  if dataset == "hapt":
    given = [name for name in ("annotations", "features", "fps", "stride", "window")
             if getattr(settings, name)]
    if given:
      raise DataError(f"hapt is built from its archive: {', '.join(given)} cannot be given.")
  else:
    found: dict[str, Any] = {
        name: getattr(settings, name) or _find(folder, getattr(layout, name))
        for name in ("annotations", "features", "proposals")}
    lacking = [name for name in ("annotations", "features") if not found[name]]
    if lacking:
      raise DataError(_not_found(folder, dataset, {x: getattr(layout, x) for x in lacking}))
    settings = settings._replace(**found)
  if settings.proposals:
    windows = {}
  else:  # 0 of a config's field stands for "not given"
    windows = {key: value for key, value in settings.windows.items() if value} or layout.windows
  return settings._replace(windows=dict(windows), caption=settings.caption or layout.caption)


def _find(folder: pathlib.Path, names: tuple[str, ...]) -> str:
  return next((str(folder / name) for name in names if (folder / name).exists()), "")


def _not_found(folder: pathlib.Path, dataset: str, wanted: Mapping[str, tuple[str, ...]]) -> str:
  there = "it does not exist" if not folder.is_dir() else (
      "it holds " + (", ".join(sorted(os.listdir(folder))[:8]) or "nothing"))
  lines = "\n".join(f"  {what}: {' or '.join(names)}" for what, names in wanted.items())
  return (f"{dataset}: not found in manual_dir = {folder} ({there}):\n{lines}\nPut them there, or "
          f"name them, e.g. --config.build.{next(iter(wanted))}=PATH.")
