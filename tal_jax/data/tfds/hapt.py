"""HAPT from the archive of the UCI repository: signals and labels to clips and features.

"Smartphone-Based Recognition of Human Activities and Postural Transitions" [Reyes-Ortiz et al.,
2016]: 61 recordings of 30 people with a smartphone at the waist, accelerometer and gyroscope at
50 Hz. Read are `RawData/acc_expXX_userYY.txt` and `gyro_expXX_userYY.txt` (3 columns),
`RawData/labels.txt` (experiment, user, activity, first and last sample) and `activity_labels.txt`.

What is ours, and not the archive's, so that the result is like data of this field's videos:

- Clips: a recording of N samples is cut into max(1, N // 3000) clips of one length, about a minute.
- Labels: an instance goes from first / 50 to last / 50 s. It belongs to the clip in which most of
  it lies, and is cut at that clip's ends: each instance is in one clip alone.
- Subsets: people 1 to 21 are "training", the others "validation" (the archive's own division is
  into other people).
- Features: a row every 10 samples over 50 samples, of the whole recording; a clip takes the rows
  from round(start / 10) on, so that the last windows of a clip reach into the next one, and the
  last clip of a recording ends with the last full window.
- A row has 8 statistics, each of 8 signals (6 axes, and the norms of acceleration and of angular
  velocity): mean, standard deviation, minimum, maximum, mean absolute difference of neighbouring
  samples, and log(1 + power) of the DFT in three bands: 1 to 3, 4 to 8 and 9 to 25 Hz (1 Hz a bin).
  Rows are float16.

The data of configs/hapt.py were made so, as far as they show it: lengths, rows and the relations
between the statistics agree (the powers, say, sum up to the variance). The bounds of the three
bands cannot be told from them and were chosen.
"""

from __future__ import annotations

import functools
import io
import os
import pathlib
import re
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tal_jax.data.annotations import from_videos
from tal_jax.data.records import Annotations, FrameFeatures, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError

ARCHIVES = ("HAPT Data Set.zip",
            "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip")
FPS, STRIDE, WINDOW = 50, 10, 50
GRID = TimeGrid(float(FPS), float(STRIDE), float(WINDOW))
_CLIP = 60 * FPS  # samples, the least length but for a shorter recording
_LAST_TRAINING_USER = 21
_BANDS = ((1, 4), (4, 9), (9, 26))  # bins of the DFT over WINDOW samples
_RECORDING = re.compile(r"acc_(exp(\d+)_user(\d+))\.txt")


class Hapt(NamedTuple):
  """The clips of the archive."""

  annotations: Annotations
  features: Callable[[str], FrameFeatures]
  path: pathlib.Path  # the archive, or its folder


class _Clip(NamedTuple):
  recording: str
  begin: float  # samples
  end: float
  is_last: bool


def load(manual_dir: str | os.PathLike) -> Hapt:
  """Reads the annotations; features are computed clip by clip.

  Args:
    manual_dir: holds the archive, or is or holds its unpacked folder.

  Raises:
    DataError: no archive there, or one that is not whole.
  """
  path, raw = _locate(pathlib.Path(manual_dir))
  names, labels = _activities(raw, path), _table(raw / "labels.txt", 5).astype(int)
  recordings = sorted(match.groups() for item in raw.iterdir()
                      if (match := _RECORDING.fullmatch(item.name)))
  if not recordings:
    raise DataError(f"{path} has no RawData/acc_expXX_userYY.txt: is the archive whole?")
  statistics = functools.lru_cache(maxsize=4)(lambda name: _statistics(_signals(raw, name)))
  clips, videos = {}, []
  for recording, experiment, user in recordings:
    number = len(_table(raw / f"acc_{recording}.txt", 3))
    if number < WINDOW:
      raise DataError(f"{path}: {recording} has {number} samples, fewer than a window of {WINDOW}")
    bounds = np.arange(max(1, number // _CLIP) + 1) * number / max(1, number // _CLIP)
    own = labels[(labels[:, 0] == int(experiment)) & (labels[:, 1] == int(user))]
    for k, instances in enumerate(_by_clip(own, bounds)):
      name = f"{recording}_{k:02d}"
      clips[name] = _Clip(recording, bounds[k], bounds[k + 1], k + 2 == len(bounds))
      videos.append(_annotation(name, clips[name], int(user), instances, names, path))

  def features(video_id):
    clip = clips[video_id]
    return FrameFeatures(statistics(clip.recording)[_rows(clip)], GRID)

  return Hapt(from_videos(videos), features, path)


def _rows(clip: _Clip) -> slice:
  """The clip's rows among those of its recording."""
  return slice(round(clip.begin / STRIDE), None if clip.is_last else round(clip.end / STRIDE))


def _by_clip(labels: np.ndarray, bounds: np.ndarray) -> list[np.ndarray]:
  """The labels of each clip: those of which it holds the most, the first of two that hold as much.

  Args:
    labels: [n, 5] of one recording.
    bounds: [clips + 1] samples.
  """
  first, last = labels[:, 3:4], labels[:, 4:5]
  shared = np.minimum(last, bounds[1:]) - np.maximum(first, bounds[:-1])  # [n, clips]
  home = shared.argmax(axis=1)
  return [labels[home == k] for k in range(len(bounds) - 1)]


def _annotation(name: str, clip: _Clip, user: int, labels: np.ndarray, names: dict[int, str],
                path: pathlib.Path) -> VideoAnnotation:
  unknown = sorted(set(labels[:, 2].tolist()) - set(names))
  if unknown:
    raise DataError(f"{path}: labels.txt has the activity {unknown[0]} of {clip.recording}, which "
                    "activity_labels.txt does not name")
  segments = np.clip(labels[:, 3:5], clip.begin, clip.end) - clip.begin
  return VideoAnnotation(
      name, "training" if user <= _LAST_TRAINING_USER else "validation",
      round(float(clip.end - clip.begin) / FPS, 3), np.round(segments / FPS, 3),
      tuple(names[activity] for activity in labels[:, 2].tolist()),
      {"subject": user, "fps": FPS})


def _signals(raw: pathlib.Path, recording: str) -> np.ndarray:
  """[N, 8] float64: acceleration (3), angular velocity (3), and the norm of each."""
  acc, gyro = (_table(raw / f"{kind}_{recording}.txt", 3) for kind in ("acc", "gyro"))
  if len(acc) != len(gyro):
    raise DataError(f"{raw / f'gyro_{recording}.txt'} has {len(gyro)} rows, the acceleration has "
                    f"{len(acc)}: is the archive whole?")
  norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in (acc, gyro)]
  return np.concatenate([acc, gyro, *norms], axis=1)


def _statistics(signals: np.ndarray) -> np.ndarray:
  """The rows of a recording: [N, 8] -> [(N - WINDOW) // STRIDE + 1, 64] float16."""
  windows = np.lib.stride_tricks.sliding_window_view(signals, WINDOW, axis=0)[::STRIDE]
  power = np.abs(np.fft.rfft(windows, axis=-1)) ** 2
  statistics = [windows.mean(-1), windows.std(-1), windows.min(-1), windows.max(-1),
                np.abs(np.diff(windows, axis=-1)).mean(-1),
                *(np.log1p(power[..., low:high].sum(-1)) for low, high in _BANDS)]
  return np.stack(statistics, axis=1).reshape(len(windows), -1).astype(np.float16)


def _locate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path | zipfile.Path]:
  """The archive or the unpacked folder, and RawData inside it."""
  roots: list[tuple[pathlib.Path, pathlib.Path | zipfile.Path]] = []
  for path in (folder / name for name in ARCHIVES):
    if path.exists():
      try:
        roots.append((path, zipfile.Path(path)))
      except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole zip file ({error}): download it again") from error
  if folder.is_dir():
    roots.append((folder, folder))
  for path, root in roots:
    for place in (root, *sorted((x for x in root.iterdir() if x.is_dir()), key=lambda x: x.name)):
      if (place / "RawData" / "labels.txt").exists():
        # Of a folder that holds other things, only HAPT's own.
        return (path if path.is_file() else pathlib.Path(str(place))), place / "RawData"
  raise DataError(
      f"hapt: manual_dir = {folder} holds neither {' nor '.join(map(repr, ARCHIVES))}, nor the "
      "unpacked archive (a folder with RawData/labels.txt). Download 'Smartphone-Based Recognition "
      "of Human Activities and Postural Transitions' from the UCI repository and put it there as "
      "it is.")


def _activities(raw: pathlib.Path | zipfile.Path, path: pathlib.Path) -> dict[int, str]:
  """Names by number; the file is beside RawData."""
  file = raw.parent / "activity_labels.txt"
  if not file.exists():
    raise DataError(f"{path} has no activity_labels.txt: is the archive whole?")
  rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
  if not all(len(row) == 2 and row[0].isdigit() for row in rows):
    raise DataError(f"{path}: activity_labels.txt has a line other than 'NUMBER NAME'")
  return {int(number): name for number, name in rows}


def _table(file: pathlib.Path | zipfile.Path, columns: int) -> np.ndarray:
  """Numbers with blanks between, [n, columns] float64."""
  try:
    with file.open("rb") as stream, io.TextIOWrapper(stream, "utf-8") as text:
      table = np.loadtxt(text, ndmin=2)
  except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
    raise DataError(f"cannot read {file}: {error}") from error
  if table.shape[1] != columns or not np.isfinite(table).all():
    raise DataError(f"{file}: {table.shape[1]} columns, expected {columns} of finite numbers")
  return table
