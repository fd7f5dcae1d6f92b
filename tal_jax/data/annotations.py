"""Annotations: reading and writing in any format, and what is asked of them.

Two kinds of fault are kept apart. A structural one (not the format, a missing field, a text where a
number belongs, an id that occurs twice) makes the file unreadable: DataError, with all of them in
one message. A fault of value (end before start, a segment outside its video) is read as it stands
and left to tal_jax/data/checks/validation.py, which reports it.

The formats are in tal_jax/data/formats; whatever the format, times are float64 seconds, subsets are
spelled as in the file, and `VideoAnnotation.extra` keeps the video's other fields. Fields of single
truths (label_id, frames) are kept in `extra["annotation_fields"]`, a list in step with the truths.
A duration that the file does not have is NaN; `video_info`, a file that has it (see
tal_jax/data/video_info.py), is welcome whatever the format.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data import video_info
from tal_jax.data.file_options import Paths
from tal_jax.data.formats import registry
from tal_jax.data.option_names import advice
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.errors import DataError

ONE_SUBSET = "testing"  # of videos of several subsets that are measured together
IGNORED = "ignored_segments"  # in `extra`: [[start, end], ...] that count neither way
_GIVE_INFO = ("Give {}: a csv with video_id,duration, as EPIC_100_video_info.csv is, or other "
              "annotations that have them.")
_SUBSETS = {"train": "training", "val": "validation", "valid": "validation", "test": "testing"}


class Scan(NamedTuple):
  """Annotations as far as they could be read."""

  annotations: Annotations
  faults: list[StructuralFault]
  statements: list[str]  # what each file was read as


def read_annotations(path: Paths, *, format: str = registry.AUTO, needs_durations: bool = True,
                     **options: Any) -> Annotations:
  """Reads annotations, float64 seconds, videos in file order.

  Args:
    path: a file, or several that each hold other videos (say a file per subset).
    format: see tal_jax/data/formats; "auto" detects it.
    needs_durations: whether a video without a duration is an error; else it is NaN.
    **options: of the format: `background`, `video_info`, `label`.

  Raises:
    DataError: the file cannot be read; the message names every structural fault in it.
  """
  annotations, faults, _ = _scan(path, format, options, strict=True)
  if faults:
    raise DataError(f"{faults[0].video_id}: {faults[0].message}, and {len(faults) - 1} more")
  lacking = [key for key, video in annotations.videos.items() if np.isnan(video.duration)]
  if needs_durations and lacking:
    raise DataError(f"{path}: {len(lacking)} of {len(annotations.videos)} videos have no duration, "
                    f"e.g. {', '.join(lacking[:5])}." + (advice("video_info", _GIVE_INFO)
                                                         or " Write it into the file."))
  return annotations


def scan(path: Paths, *, format: str = registry.AUTO, **options: Any) -> Scan:
  """Reads what can be read, and lists what cannot; the arguments are those of `read_annotations`.

  A faulty truth is left out of its video, a video without a subset out of the result; of an id that
  occurs twice the last entry counts. Each is in the list. A missing duration is NaN, and no fault.

  Raises:
    DataError: no such file, or another format.
  """
  return _scan(path, format, options, strict=False)


def _scan(path: Paths, format: str, options: dict[str, Any], *, strict: bool) -> Scan:
  readings = [registry.read(file, "annotations", format=format, strict=strict, **options)
              for file in several(path)]
  annotations, faults = _merge(readings)
  statements = [reading.statement for reading in readings]
  info = options.get("video_info")
  if info:
    annotations, filled = _with_durations(annotations, info)
    statements += [f"{info}: durations of {filled} videos"] if filled else []
  return Scan(annotations, [x for reading in readings for x in reading.faults] + faults, statements)


def _with_durations(annotations: Annotations, path: Any) -> tuple[Annotations, int]:
  """The videos without a duration with that of a file, where it has one, and how many these are."""
  lacking = [key for key, video in annotations.videos.items() if np.isnan(video.duration)]
  info = video_info.read_video_info(path) if lacking else {}
  videos, filled = dict(annotations.videos), 0
  for key in lacking:
    known = video_info.lookup(info, key)
    if known is not None and not np.isnan(known.duration):
      fps = {} if known.fps is None else {"fps": known.fps}
      videos[key] = videos[key]._replace(duration=known.duration, extra=fps | videos[key].extra)
      filled += 1
  return annotations._replace(videos=videos), filled


def write_annotations(path: str | os.PathLike, annotations: Annotations, *,
                      format: str = "activitynet") -> None:
  """Writes annotations; "activitynet", the default, is read back exactly."""
  registry.write(path, "annotations", annotations, format=format)


def several(path: Paths) -> list[str | os.PathLike]:
  """One path, several, or several in a text with commas between, as a list.

  A text that names something that exists is one path, commas and all.
  """
  if isinstance(path, os.PathLike):
    return [path]
  if isinstance(path, str):
    parts = [part.strip() for part in path.split(",") if part.strip()]
    return [path] if len(parts) < 2 or os.path.exists(path) else parts
  return list(path)


def from_videos(videos: Iterable[VideoAnnotation]) -> Annotations:
  """Annotations of the given videos, in that order; `classes` are those that occur in them."""
  videos = {video.video_id: video for video in videos}
  return Annotations(videos, tuple(sorted({x for video in videos.values() for x in video.labels})))


def in_one_subset(annotations: Annotations, subset: str = "") -> Annotations:
  """The same videos in one subset, so that one name stands for all of them in an evaluation.

  Args:
    annotations: of the videos that are measured together.
    subset: its name. Default: the one that they have; ONE_SUBSET where they have several, as in a
      split that was drawn.
  """
  names = {video.subset for video in annotations.videos.values()}
  subset = subset or (names.pop() if len(names) == 1 else ONE_SUBSET)
  return from_videos(video._replace(subset=subset) for video in annotations.videos.values())


def select(annotations: Annotations, ids: Iterable[str]) -> Annotations:
  """The annotations of the videos `ids`, in that order, and the classes that occur in them.

  Raises:
    DataError: an id that is not annotated.
  """
  ids = list(ids)
  missing = [video_id for video_id in ids if video_id not in annotations.videos]
  if missing:
    raise DataError(f"{len(missing)} video id(s) are not in the annotations: "
                    f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}")
  return from_videos(annotations.videos[video_id] for video_id in ids)


def same_subset(a: str, b: str) -> bool:
  """Whether two names of a subset differ in spelling alone: Validation, validation, val."""
  return subset_key(a) == subset_key(b)


def subset_key(name: str) -> str:
  """One spelling for all of a subset: "training", "validation", "testing", else lower case."""
  name = name.strip().lower().removesuffix("_subset").removesuffix(" set")
  return _SUBSETS.get(name, name)


def subset_of_file(path: str | os.PathLike) -> str:
  """The subset that a file's name tells of, for formats with a file per subset.

  "training", "validation" or "testing", else the name without its suffix.
  """
  stem = os.path.splitext(os.path.basename(path))[0]
  words = [_SUBSETS.get(word, word) for word in re.split(r"[^a-z]+", stem.lower())]
  return next((word for word in words if word in _SUBSETS.values()), stem)


def _merge(readings: list[registry.Reading]) -> tuple[Annotations, list[StructuralFault]]:
  counts = Counter(video_id for reading in readings for video_id in reading.value.videos)
  faults = [StructuralFault(video_id, f"duplicate id, in {count} annotation files")
            for video_id, count in counts.items() if count > 1]
  return from_videos(x for reading in readings for x in reading.value.videos.values()), faults
