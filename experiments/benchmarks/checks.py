"""The data check on many videos, sound ones and others, against reading the same files alone.

Made up: annotations as ActivityNet's, in JSON, and features in one HDF5 file, a row every 16 frames
at 25 a second. The faults are such as all videos share: a message must not take longer for them.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from configs import files
from experiments import check_data
from experiments.benchmarks.timing import peak_mib, spread
from tal_jax.data.file_options import FileOptions
from tal_jax.data.parts import read_parts

_WIDTH = 16
_NUM_CLASSES = 200
_GRID = {"fps": 25.0, "stride": 16.0, "window": 16.0}
_FAULTS = {"sound": (), "ids in other capitals": ("names of features",),
           "ids with .mp4": ("names of features",),
           "durations of other videos": ("rows of other lengths",),
           "features as [d, T]": ("time is the second axis",)}  # the kinds that are to be found


def cases(size: str) -> list[dict[str, Any]]:
  return [{"videos": 20_000 if size == "full" else 200}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """A row for each fault; the peer opens the sound files and reads every array once."""
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    found = make(folder, case["videos"])
    alone = _seconds(lambda: _read(*found["sound"]))
    rows = []
    for name, (annotations, features) in found.items():
      config = files.get_config()
      config.data.annotations, config.data.features = str(annotations), str(features)
      config.data.update(_GRID)
      config.data.split.num_knowledge_classes = _NUM_CLASSES // 10
      seconds, result = _timed(lambda config=config: check_data.run(config, folder / "report"))
      rows.append({
          "case": f"{case['videos']:,} videos, {name}", "unit": "s", "ours": spread([seconds]),
          "peak_mib": peak_mib(),
          "peers": [{"name": "reading the sound files alone", **spread([alone]),
                     "ratio": alone / seconds}],
          "details": {"kinds": ", ".join(result.report.by_kind())}})
  return rows


def make(folder: pathlib.Path, num_videos: int) -> dict[str, tuple[pathlib.Path, pathlib.Path]]:
  """Writes annotations and features, sound and with each fault; paths by fault."""
  rng = np.random.default_rng(0)
  letters = np.array(list("ABCDEFGHabcdefgh0123456789"))
  ids = [f"{''.join(rng.choice(letters, 6))}Z{i:05d}" for i in range(num_videos)]
  durations = rng.uniform(20, 230, num_videos).round(2)
  database = {}
  for i, (video_id, duration) in enumerate(zip(ids, durations.tolist(), strict=True)):
    starts = rng.uniform(0, 0.7 * duration, 1 + i % 3).round(2).tolist()
    database[video_id] = {
        "subset": "validation" if i % 4 == 3 else "training", "duration": duration,
        "annotations": [{"segment": [start, round(start + 0.2 * duration, 2)],
                         "label": f"class {i // 4 % _NUM_CLASSES}"} for start in starts]}
  _write(folder / "truth.json", database)
  others = rng.permutation(durations).tolist()
  _write(folder / "durations.json", {
      key: entry | {"duration": other, "annotations": []}
      for (key, entry), other in zip(database.items(), others, strict=True)})
  values = rng.standard_normal((3000, _WIDTH)).astype(np.float16)
  lengths = np.maximum(2, durations * 25 / 16).astype(int)
  begins = rng.integers(0, len(values) - lengths.max(), num_videos)
  for name, rename, turned in (("sound", str, False), ("capitals", str.swapcase, False),
                               ("suffix", "{}.mp4".format, False), ("turned", str, True)):
    with h5py.File(folder / f"{name}.h5", "w") as file:
      for video_id, begin, length in zip(ids, begins, lengths, strict=True):
        array = values[begin:begin + length] * np.float16(1 + begin % 97 / 50)
        file.create_dataset(rename(video_id), data=array.T if turned else array)
  truth = folder / "truth.json"
  paths = ((truth, "sound"), (truth, "capitals"), (truth, "suffix"),
           (folder / "durations.json", "sound"), (truth, "turned"))
  return {fault: (annotations, folder / f"{name}.h5")
          for fault, (annotations, name) in zip(_FAULTS, paths, strict=True)}


def _write(path: pathlib.Path, database: dict[str, Any]) -> None:
  path.write_text(json.dumps({"version": "VERSION 1.3", "database": database}), encoding="utf-8")


def _read(annotations: pathlib.Path, features: pathlib.Path) -> None:
  store = read_parts(FileOptions(annotations=annotations, features=features, **_GRID)).store
  for video_id in store.ids():
    store(video_id)


def _seconds(function: Callable[[], Any]) -> float:
  return _timed(function)[0]


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
  begin = time.perf_counter()
  result = function()
  return time.perf_counter() - begin, result
