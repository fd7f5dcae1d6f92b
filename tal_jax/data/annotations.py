"""Reading and writing of ActivityNet-format annotations.

The format is `{"database": {id: {"subset": s, "duration": seconds, "annotations": [{"segment":
[start, end], "label": name}, ...], ...}}, ...}`. Other fields of a video (fps, subject, url) are
kept in `VideoAnnotation.extra`; other fields of the file (version, taxonomy) are not read.

Two kinds of fault are kept apart. A structural one (no JSON, a missing field, a text where a
number belongs, an id that occurs twice) makes the file unreadable: DataError, with all of them in
one message. A fault of value (end before start, a segment outside its video) is read as it stands
and left to tal_jax/data/validation.py, which reports it.

Source: ActivityNet's evaluation kit, file format 1.3.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections import Counter
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.types import Annotations, DataError, VideoAnnotation

_OWN_FIELDS = ("subset", "duration", "annotations")
_SHOWN = 20  # faults that one error message lists; the rest is counted


class StructuralFault(NamedTuple):
  """A place in the file that cannot be read."""

  video_id: str  # "" where the fault is the file's
  message: str


class _Members(list):
  """The members of a JSON object as (key, value) pairs, so that repeated keys stay visible."""


def read_annotations(path: str | os.PathLike) -> Annotations:
  """Reads annotations, float64 seconds, videos in file order.

  Raises:
    DataError: the file cannot be read; the message names every structural fault in it.
  """
  annotations, faults = scan(path)
  if faults:
    lines = [f"  {fault.video_id or 'the file'}: {fault.message}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
      lines.append(f"  ... and {len(faults) - _SHOWN} more")
    raise DataError(f"{path} is not in ActivityNet's format, {len(faults)} fault(s):\n"
                    + "\n".join(lines) + "\nMend these entries or take them out of the file.")
  return annotations


def scan(path: str | os.PathLike) -> tuple[Annotations, list[StructuralFault]]:
  """Reads what can be read, and lists what cannot.

  A faulty annotation is left out of its video, a faulty video out of the result; of an id that
  occurs twice the last entry stands. Each is in the list.

  Raises:
    DataError: no such file, not JSON, or no `database`.
  """
  content = _as_dict(load_json(path))
  if not isinstance(content, dict) or not isinstance(content.get("database"), _Members):
    raise DataError(f"{path} has no 'database' object at its top level. ActivityNet's format is "
                    '{"database": {id: {"subset", "duration", "annotations"}}}.')
  faults, videos = [], {}
  members = content["database"]
  for video_id, count in Counter(key for key, _ in members).items():
    if count > 1:
      faults.append(StructuralFault(video_id, f"duplicate id, occurs {count} times in 'database'"))
  for video_id, entry in members:
    video = _video(video_id, _as_dict(entry), faults)
    if video is not None:
      videos[video_id] = video
  return from_videos(videos.values()), faults


def from_videos(videos: Iterable[VideoAnnotation]) -> Annotations:
  """Annotations of the given videos, in that order; `classes` are those that occur in them."""
  videos = {video.video_id: video for video in videos}
  return Annotations(videos, tuple(sorted({x for video in videos.values() for x in video.labels})))


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


def find_id(video_id: str, names: Container[str]) -> str | None:
  """The name under which a file keeps a video: the id itself, else with `v_` added or removed.

  ActivityNet's annotations have ids without the prefix, many feature archives have them with it.
  """
  for name in (video_id, "v_" + video_id, video_id.removeprefix("v_")):
    if name in names:
      return name
  return None


def write_annotations(path: str | os.PathLike, annotations: Annotations) -> None:
  """Writes annotations so that `read_annotations` gives them back exactly."""
  database = {
      video_id: {
          "subset": video.subset, "duration": float(video.duration), **video.extra,
          "annotations": [{"segment": [float(start), float(end)], "label": label}
                          for (start, end), label in zip(video.segments, video.labels,
                                                         strict=True)]}
      for video_id, video in annotations.videos.items()}
  pathlib.Path(path).write_text(json.dumps({"version": "tal_jax", "database": database}),
                                encoding="utf-8")


def load_json(path: str | os.PathLike) -> Any:
  """JSON with objects as lists of (key, value) pairs, see `plain`.

  Raises:
    DataError: the file is missing or is not JSON.
  """
  try:
    text = pathlib.Path(path).read_text(encoding="utf-8")
  except OSError as error:
    raise DataError(f"cannot read {path}: {error.strerror}") from error
  except UnicodeDecodeError as error:
    raise DataError(f"{path} is not a text file in UTF-8: {error}") from error
  try:
    return json.loads(text, object_pairs_hook=_Members)
  except json.JSONDecodeError as error:
    raise DataError(f"{path} is not JSON: {error}. Is the file complete?") from error


def plain(value: Any) -> Any:
  """Ordinary dictionaries and lists; of a repeated key the last value stands."""
  if isinstance(value, _Members):
    return {key: plain(x) for key, x in value}
  return [plain(x) for x in value] if isinstance(value, list) else value


def _as_dict(value: Any) -> Any:
  return dict(value) if isinstance(value, _Members) else value


def _video(video_id: str, entry: Any, faults: list[StructuralFault]) -> VideoAnnotation | None:
  """One video; what is wrong with it is appended to `faults`."""
  def fault(message):
    faults.append(StructuralFault(video_id, message))

  if not isinstance(entry, dict):
    return fault("is not an object")
  missing = [name for name in _OWN_FIELDS if name not in entry]
  if missing:
    return fault(f"lacks the field(s) {', '.join(missing)}")
  if not isinstance(entry["subset"], str):
    return fault("'subset' is not a text")
  if not _is_number(entry["duration"]):
    return fault("'duration' is not a number")
  if not isinstance(entry["annotations"], list) or isinstance(entry["annotations"], _Members):
    return fault("'annotations' is not a list")
  segments, labels = [], []
  for i, item in enumerate(map(_as_dict, entry["annotations"])):
    segment = item.get("segment") if isinstance(item, dict) else None
    if not (isinstance(segment, list) and len(segment) == 2 and all(map(_is_number, segment))):
      fault(f"annotations[{i}] has no 'segment' of two numbers")
    elif not isinstance(item.get("label"), str):
      fault(f"annotations[{i}] has no text 'label'")
    else:
      segments.append(segment)
      labels.append(item["label"])
  extra = {key: plain(value) for key, value in entry.items() if key not in _OWN_FIELDS}
  return VideoAnnotation(
      video_id=video_id, subset=entry["subset"], duration=float(entry["duration"]),
      segments=np.asarray(segments, np.float64).reshape(-1, 2), labels=tuple(labels), extra=extra)


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
