"""`manifest.json` beside extracted features: how they were made, and each video's time grid.

    {"version": 1,
     "settings": {"encoder", "weights_sha256", "fps", "stride", "window", "dim", "dtype", ...},
     "videos": {ID: {"file": "ID.npy", "rows": n, "duration": seconds, "input": {...},
                     "warnings": [text, ...]}},
     "faults": {ID: {"fault": text, "input": {...}}}}

`input` names the video file, its size, its time of change and its SHA-256. `warnings` is there only
if something is wrong with a video that is used nevertheless, such as damaged frames. Nothing in the
file depends on when or how fast it was made: the same inputs and settings give the same.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, NamedTuple

from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError

NAME = "manifest.json"
_VERSION = 1


class Manifest(NamedTuple):
  """The file's content."""

  settings: dict[str, Any]
  videos: dict[str, dict[str, Any]]  # by id, those with features
  faults: dict[str, dict[str, Any]]  # by id, those without


class Grids(NamedTuple):
  """What a reader of the features needs."""

  grids: dict[str, TimeGrid]  # by id
  faults: dict[str, str]  # by id, why there are no features


def read_manifest(folder: str | os.PathLike) -> Grids:
  """Reads the time grids of a folder of extracted features.

  Raises:
    DataError: no manifest there, or not one of ours.
  """
  manifest = read(folder)
  settings = manifest.settings
  grid = TimeGrid(*(float(settings[name]) for name in ("fps", "stride", "window")))
  return Grids(dict.fromkeys(manifest.videos, grid),
               {video_id: entry["fault"] for video_id, entry in manifest.faults.items()})


def read(folder: str | os.PathLike) -> Manifest:
  """Reads the whole manifest.

  Raises:
    DataError: no manifest there, or not one of ours.
  """
  path = pathlib.Path(folder) / NAME
  try:
    content = json.loads(path.read_text(encoding="utf-8"))
  except FileNotFoundError as error:
    raise DataError(f"{path} does not exist: the folder holds no features that "
                    "experiments.extract_features has written") from error
  except ValueError as error:
    raise DataError(f"{path} is not JSON ({error})") from error
  if not isinstance(content, dict) or content.get("version") != _VERSION:
    raise DataError(f"{path} is not a manifest of version {_VERSION}")
  try:
    return Manifest(content["settings"], content["videos"], content["faults"])
  except KeyError as error:
    raise DataError(f"{path} has no {error}") from error


def write(folder: str | os.PathLike, manifest: Manifest) -> None:
  """Writes the manifest; the file changes at once, never half."""
  path = pathlib.Path(folder) / NAME
  content = {"version": _VERSION, "settings": manifest.settings,
             "videos": dict(sorted(manifest.videos.items())),
             "faults": dict(sorted(manifest.faults.items()))}
  part = path.with_name(NAME + ".part")
  part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
  os.replace(part, path)
