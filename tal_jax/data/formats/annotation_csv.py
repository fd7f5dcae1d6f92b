"""Annotations in a table of our own: a line per truth.

    video_id,subset,duration,label,start,end[,further fields of the video]

Seconds. A video without truths has one line whose label, start and end are empty. Further columns
(fps, subject) go into `VideoAnnotation.extra`; they, the subset and the duration are those of the
video's first line, and a line that says otherwise is a fault. They are texts, 007 as much as NaN,
but `fps` and numbers of frames. The columns subset and duration may be left out: the subset is then
taken from the file's name, the duration is NaN.
"""

from __future__ import annotations

import csv
import math
import pathlib
from typing import Any

import numpy as np

from tal_jax.data.annotation_fields import NUMBER_FIELDS
from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.numerals import number
from tal_jax.data.text.table import Row, has_columns, read_table
from tal_jax.errors import DataError

_COLUMNS = ("video_id", "subset", "duration", "label", "start", "end")
_REQUIRED = ("video_id", "label", "start", "end")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations, videos in order of their first line, and what could not be read."""
  rows, bad = read_table(path, _REQUIRED, optional=(*_COLUMNS, *NUMBER_FIELDS, "subject"))
  faults = [StructuralFault("", message) for _, message in bad]
  subset = subset_of_file(path)
  videos: dict[str, VideoAnnotation] = {}
  known: dict[str, dict[str, str]] = {}  # of each video's first line, what its others must have
  truths: dict[str, list[tuple[float, float, str]]] = {}
  for row in rows:
    video_id = row.values["video_id"]
    own = {name: text for name, text in row.values.items() if name not in _REQUIRED}
    try:
      if not video_id:
        raise ValueError(f"line {row.line}: video_id is blank")
      if video_id not in videos:
        videos[video_id], known[video_id] = _video(row, subset), own
      elif known[video_id] != own:
        _video(row, subset)
        raise ValueError(f"line {row.line}: other fields of the video than in its first line")
      found = truths.setdefault(video_id, [])
      if row.values["label"] or row.values["start"] or row.values["end"]:
        truth = (row.number("start"), row.number("end"), row.values["label"])
        if not truth[2]:
          raise ValueError(f"line {row.line}: label is blank")
        found.append(truth)
    except ValueError as error:
      faults.append(StructuralFault(video_id, str(error)))
  return from_videos(
      video._replace(segments=np.array([x[:2] for x in truths[video_id]]).reshape(-1, 2),
                     labels=tuple(x[2] for x in truths[video_id]))
      for video_id, video in videos.items()), faults


def write(path: pathlib.Path, annotations: Annotations) -> None:
  """Writes the table; of the videos' other fields those that are a number or a text.

  Raises:
    DataError: a field that is named like one of the table's own columns.
  """
  more = list(dict.fromkeys(name for video in annotations.videos.values()
                            for name, x in video.extra.items() if isinstance(x, str | int | float)))
  if set(more) & set(_COLUMNS):
    raise DataError(f"{path}: a video has a field named {(set(more) & set(_COLUMNS)).pop()!r}, "
                    "which is a column of the table")
  with open(path, "w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_COLUMNS, *more])
    for video in annotations.videos.values():
      duration = "" if math.isnan(video.duration) else float(video.duration)
      start = [video.video_id, video.subset, duration]
      end = [video.extra.get(name, "") for name in more]
      truths = [[label, float(s), float(e)]
                for (s, e), label in zip(video.segments, video.labels, strict=True)]
      writer.writerows([*start, *truth, *end] for truth in truths or [["", "", ""]])


def _video(row: Row, subset: str) -> VideoAnnotation:
  extra = {name: _number(text, row) if name in NUMBER_FIELDS else text
           for name, text in row.values.items() if name not in _COLUMNS and text}
  duration = row.number("duration") if row.values.get("duration") else math.nan
  return VideoAnnotation(row.values["video_id"], row.values.get("subset", subset), duration,
                         np.zeros((0, 2)), (), extra)


def _number(text: str, row: Row) -> Any:
  """The number that a text is, an int if it has no point, else the text."""
  value = number(text.replace(",", ".") if row.decimal_comma else text)
  return text if value is None else int(value) if text.isdecimal() else value


def _detect(probe: Probe) -> str | None:
  return f"csv with {', '.join(_REQUIRED)}" if has_columns(probe.text, _REQUIRED) else None


FORMATS = (Format("csv", "annotations", f"csv with {','.join(_COLUMNS)}: a line per truth",
                  _detect, read, write=write, fields=_REQUIRED),)
