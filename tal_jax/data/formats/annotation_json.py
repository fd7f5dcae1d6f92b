"""Annotations in JSON: ActivityNet's format, and its dialects of THUMOS14 and OpenTAD.

    {"database": {id: {"subset": s, "duration": seconds, "annotations":
      [{"segment": [start, end], "label": name, ...}, ...], ...}}, ...}

All three are read alike, in seconds; a number may be written as a text, as in BSN's THUMOS14
truths, and a video may have no duration (NaN). THUMOS14's files add `segment_frame` and
`labelIndex` to a truth, and `fps` and `duration_frame` to a video; ActionFormer's and OpenTAD's add
`segment(frames)` and `label_id`, and `fps` or `frame`. Other fields are kept, see
tal_jax/data/annotations.py, and written back; those of the file (version, taxonomy) are not read.

Source: ActivityNet's evaluation kit, file format 1.3; ActionFormer's and OpenTAD's annotations.
"""

from __future__ import annotations

import json
import math
import pathlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from tal_jax.data.annotation_fields import ANNOTATION_FIELDS, frame_rate
from tal_jax.data.annotations import from_videos
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.json_file import Members, as_dict, load_json, members, plain, seen
from tal_jax.data.text.numerals import number
from tal_jax.errors import DataError

_OWN_FIELDS = ("subset", "duration", "annotations")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read; DataError without a `database`."""
  content = load_json(path)
  database = members(as_dict(content).get("database")) if members(content) is not None else None
  if database is None:
    raise DataError(f"{path} has no 'database' object at its top level.{seen(content)} "
                    "ActivityNet's format is "
                    '{"database": {id: {"subset", "duration", "annotations"}}}.')
  faults, videos = [], {}
  for video_id, count in Counter(key for key, _ in database).items():
    if count > 1:
      faults.append(StructuralFault(video_id, f"duplicate id, occurs {count} times in 'database'"))
  for video_id, entry in database:
    video = _video(video_id, as_dict(entry), faults)
    if video is not None:
      videos[video_id] = video
  return from_videos(videos.values()), faults


def read_by_id(path: pathlib.Path, field: str, of: str,
               video: Callable[[str, dict[str, Any], list[StructuralFault]], VideoAnnotation]
               ) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations of a JSON that has an object per video id, and what could not be read.

  Args:
    path: the file.
    field: the list of truths that each video has.
    of: what an object holds, for the message of another JSON.
    video: from an id and its object; adds its faults to the list.

  Raises:
    DataError: another JSON.
  """
  content = members(load_json(path))
  if content is None:
    raise DataError(f"{path} is no object {{id: {of}}}")
  videos: dict[str, VideoAnnotation] = {}
  faults: list[StructuralFault] = []
  for video_id, value in content:
    entry = as_dict(value)
    if video_id in videos:
      faults.append(StructuralFault(video_id, "duplicate id"))
    if not isinstance(value, Members) or not isinstance(entry.get(field), list):
      faults.append(StructuralFault(video_id, f"is no object with a list {field!r}"))
      continue
    videos[video_id] = video(video_id, entry, faults)
  return from_videos(videos.values()), faults


def write(path: pathlib.Path, annotations: Annotations) -> None:
  """Writes annotations so that `read` gives them back exactly, with all their fields."""
  _write(path, annotations, lambda video, i: _fields(video)[i])


def write_opentad(path: pathlib.Path, annotations: Annotations) -> None:
  """As `write`, with `label_id` (index into the sorted classes) and, where fps is known, frames."""
  index = {name: i for i, name in enumerate(annotations.classes)}

  def more(video, i):
    fps = frame_rate(video)
    own = {} if fps is None else {"segment(frames)": (video.segments[i] * fps).tolist()}
    return {"label_id": index[video.labels[i]]} | own | _fields(video)[i]

  _write(path, annotations, more)


def _write(path, annotations, more):
  database = {}
  for video_id, video in annotations.videos.items():
    extra = {key: value for key, value in video.extra.items() if key != ANNOTATION_FIELDS}
    duration = {} if math.isnan(video.duration) else {"duration": float(video.duration)}
    database[video_id] = {
        "subset": video.subset, **duration, **extra,
        "annotations": [{"segment": [float(start), float(end)], "label": label, **more(video, i)}
                        for i, ((start, end), label) in enumerate(
                            zip(video.segments, video.labels, strict=True))]}
  path.write_text(json.dumps({"version": "tal_jax", "database": database}), encoding="utf-8")


def _fields(video: VideoAnnotation) -> list[dict[str, Any]]:
  return video.extra.get(ANNOTATION_FIELDS) or [{} for _ in video.labels]


def _video(video_id: str, entry: Any, faults: list[StructuralFault]) -> VideoAnnotation | None:
  """One video; what is wrong with it is appended to `faults`. None without a subset."""
  def fault(message):
    faults.append(StructuralFault(video_id, message))

  if not isinstance(entry, dict):
    return fault(f"is not an object but {_shown(entry)}")
  missing = [name for name in _OWN_FIELDS if name not in entry]
  if missing and missing != ["duration"]:
    fault(f"lacks the field(s) {', '.join(missing)}")
  if not isinstance(entry.get("subset"), str):
    return fault("'subset' is not a text") if "subset" in entry else None
  duration = entry.get("duration")
  if duration is not None and number(duration) is None:
    fault(f"'duration' is not a number but {_shown(duration)}")
  found = entry.get("annotations", [])
  if not isinstance(found, list) or members(found) is not None:
    fault("'annotations' is not a list")
    found = []
  truths = [(item, *x) for i, item in enumerate(map(as_dict, found))
            if (x := truth_of(item, f"annotations[{i}]", fault)) is not None]
  fields = [{key: plain(x) for key, x in item.items() if key not in ("segment", "label")}
            for item, _, _ in truths]
  extra = {key: plain(value) for key, value in entry.items() if key not in _OWN_FIELDS}
  if any(fields):
    extra[ANNOTATION_FIELDS] = fields
  known = number(duration)
  return VideoAnnotation(
      video_id=video_id, subset=entry["subset"], duration=math.nan if known is None else known,
      segments=np.asarray([x for _, x, _ in truths], np.float64).reshape(-1, 2),
      labels=tuple(label for _, _, label in truths), extra=extra)


def truth_of(item: Any, where: str, fault: Callable[[str], None]
             ) -> tuple[list[float], str] | None:
  """The segment and the label of a truth; None, after `fault` was told, if it has none.

  Args:
    item: what the file has, an object as a dictionary.
    where: for messages.
    fault: takes what is wrong.
  """
  segment = item.get("segment") if isinstance(item, dict) else None
  bounds = list(map(number, segment)) if isinstance(segment, list) else []
  if len(bounds) != 2 or None in bounds:
    given = "" if segment is None else f", but {_shown(segment)}"
    return fault(f"{where} has no 'segment' of two numbers{given}")
  label = item.get("label")
  if not isinstance(label, str):
    given = "" if label is None else f", but {_shown(label)}"
    return fault(f"{where} has no text 'label'{given}")
  if not label.strip():
    return fault(f"{where}: the label is blank, {label!r}")
  return bounds, label


def _shown(value: Any) -> str:
  text = repr(plain(value))
  return text if len(text) <= 60 else text[:57] + "..."


def _detect(*signs: str):
  """Detects a dialect by a field of its truths; ActivityNet's own needs none."""
  def detect(probe: Probe) -> str | None:
    if not probe.text.lstrip().startswith("{") or not probe.search(r'"database"\s*:\s*\{'):
      return None
    found = [sign for sign in signs if probe.search(f'"{sign}"'.replace("(", r"\(")
                                                    .replace(")", r"\)"))]
    if signs and not found:
      return None
    return "JSON with 'database'" + (f", truths with {found[0]!r}" if found else "")
  return detect


FORMATS = (
    Format("thumos14", "annotations", "JSON {database: {id: ...}}, truths with segment_frame",
           _detect("segment_frame", "labelIndex"), read),
    Format("opentad", "annotations", "JSON {database: {id: ...}}, truths with segment(frames), "
           "label_id; ActionFormer's and OpenTAD's", _detect("segment(frames)", "label_id"), read,
           write=write_opentad),
    Format("activitynet", "annotations", "JSON {database: {id: {subset, duration, annotations: "
           "[{segment, label}]}}}, seconds", _detect(), read, write=write,
           fields=("database", *_OWN_FIELDS, "segment", "label")),
)
