"""The table that an annotation campaign exports: a line an instance.

    video,duration,label,start,end,agreement,support,source,round,annotators,task_state,...

Seconds. A line without start and end says that the class is not in the video; one whose task_state
is "excluded" that the video could not be judged: it is left out. An apostrophe at the beginning of
a name keeps a spreadsheet from running it as a formula, and is taken off.
"""

from __future__ import annotations

import math
import pathlib

import numpy as np

from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.table import has_columns, read_table

_COLUMNS = ("video", "duration", "label", "start", "end", "task_state")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations, videos in order of their first line, and what could not be read."""
  rows, bad = read_table(path, _COLUMNS)
  faults = [StructuralFault("", message) for _, message in bad]
  subset = subset_of_file(path)
  durations: dict[str, float] = {}
  truths: dict[str, list[tuple[float, float, str]]] = {}
  for row in rows:
    video_id = row.values["video"].removeprefix("'")
    label = row.values["label"].removeprefix("'")
    if row.values["task_state"] == "excluded":
      continue
    try:
      if not video_id or not label:
        raise ValueError(f"line {row.line}: the video or the label is blank")
      durations.setdefault(
          video_id, row.number("duration") if row.values["duration"] else math.nan)
      found = truths.setdefault(video_id, [])
      if row.values["start"] or row.values["end"]:
        found.append((row.number("start"), row.number("end"), label))
    except ValueError as error:
      faults.append(StructuralFault(video_id, str(error)))
  return from_videos(
      VideoAnnotation(video_id, subset, durations[video_id],
                      np.array([x[:2] for x in found]).reshape(-1, 2),
                      tuple(x[2] for x in found), {})
      for video_id, found in truths.items()), faults


def _detect(probe: Probe) -> str | None:
  return f"csv with {', '.join(_COLUMNS)}" if has_columns(probe.text, _COLUMNS) else None


FORMATS = (Format("campaign", "annotations", "the csv of an annotation campaign: a line an "
                  "instance", _detect, read),)
