"""Annotations in a table of our own: a line per truth.

    video_id,subset,duration,label,start,end[,further fields of the video]

Seconds. A video without truths has one line whose label, start and end are empty. Further columns
(fps, subject) go into `VideoAnnotation.extra`; they, the subset and the duration are those of the
video's first line, and a line that says otherwise is a fault.
"""

from __future__ import annotations

import csv
import pathlib
from typing import Any

import numpy as np

from tal_jax.data.annotations import from_videos
from tal_jax.data.formats.registry import Format, Probe
from tal_jax.data.table import Row, header, read_table
from tal_jax.data.types import Annotations, DataError, StructuralFault, VideoAnnotation

_COLUMNS = ("video_id", "subset", "duration", "label", "start", "end")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations, videos in order of their first line, and what could not be read."""
  rows, bad = read_table(path, _COLUMNS)
  faults = [StructuralFault("", message) for _, message in bad]
  videos: dict[str, VideoAnnotation] = {}
  truths: dict[str, list[tuple[float, float, str]]] = {}
  for row in rows:
    video_id = row.values["video_id"]
    try:
      video = _video(row)
      first = videos.setdefault(video_id, video)
      if (first.subset, first.duration, first.extra) != (video.subset, video.duration, video.extra):
        raise ValueError(f"line {row.line}: other fields of the video than in its first line")
      own = truths.setdefault(video_id, [])
      if row.values["label"] or row.values["start"] or row.values["end"]:
        own.append((row.number("start"), row.number("end"), row.values["label"]))
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
      start = [video.video_id, video.subset, float(video.duration)]
      end = [video.extra.get(name, "") for name in more]
      truths = [[label, float(s), float(e)]
                for (s, e), label in zip(video.segments, video.labels, strict=True)]
      writer.writerows([*start, *truth, *end] for truth in truths or [["", "", ""]])


def _video(row: Row) -> VideoAnnotation:
  extra = {name: _value(text) for name, text in row.values.items()
           if name not in _COLUMNS and text}
  return VideoAnnotation(row.values["video_id"], row.values["subset"], row.number("duration"),
                         np.zeros((0, 2)), (), extra)


def _value(text: str) -> Any:
  """The number that a text is, else the text."""
  for kind in (int, float):
    try:
      return kind(text)
    except ValueError:
      pass
  return text


def _detect(probe: Probe) -> str | None:
  return ("csv with video_id, label, start, end"
          if set(_COLUMNS) <= set(header(probe.text)) else None)


FORMATS = (Format("csv", "annotations", f"csv with {','.join(_COLUMNS)}: a line per truth",
                  _detect, read, write=write),)
