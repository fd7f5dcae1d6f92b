"""EPIC-Kitchens-100: a line per action.

    narration_id,participant_id,video_id,...,start_timestamp,stop_timestamp,start_frame,stop_frame,
    narration,verb,verb_class,noun,noun_class,...

Times are hh:mm:ss.ff. The file has neither durations nor frame rates: `video_info` names
EPIC_100_video_info.csv. The class is the number of the verb ("verb 0"; the column `verb` is what a
person said, many words to a class) or with label="noun" of the noun. The subset is taken from the
file's name; `extra["subject"]` is the participant.
"""

from __future__ import annotations

import pathlib
import re

import numpy as np

from tal_jax.data.annotations import ANNOTATION_FIELDS, from_videos, subset_of_file
from tal_jax.data.formats.registry import Format, Probe
from tal_jax.data.table import Row, header, read_table
from tal_jax.data.types import Annotations, DataError, StructuralFault, VideoAnnotation
from tal_jax.data.video_info import lookup, read_video_info

_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame",
            "verb_class", "noun_class")


def read(path: pathlib.Path, *, video_info: str = "",
         label: str = "verb") -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read.

  Raises:
    DataError: a column is missing, no `video_info`, or another label than verb and noun.
  """
  if not video_info:
    raise DataError(f"{path}: EPIC's annotations have no durations. Give data.video_info="
                    "EPIC_100_video_info.csv, which stands beside them.")
  if label not in ("verb", "noun"):
    raise DataError(f"data.label = {label!r}; there are verb, noun.")
  info, subset = read_video_info(video_info), subset_of_file(path)
  rows, bad = read_table(path, _COLUMNS)
  faults = [StructuralFault("", message) for _, message in bad]
  found: dict[str, list[tuple[list[float], str, list[float], str]]] = {}
  for row in rows:
    try:
      truth = [_seconds(row, "start_timestamp"), _seconds(row, "stop_timestamp")]
      frames = [row.number("start_frame"), row.number("stop_frame")]
      name = f"{label} {int(row.number(f'{label}_class'))}"
    except ValueError as error:
      faults.append(StructuralFault(row.values["video_id"], str(error)))
      continue
    found.setdefault(row.values["video_id"], []).append(
        (truth, name, frames, row.values.get("participant_id", "")))
  videos = []
  for video_id, actions in found.items():
    known = lookup(info, video_id)
    if known is None:
      faults.append(StructuralFault(video_id, f"no duration in {video_info}"))
      continue
    truths, labels, frames, people = zip(*actions, strict=True)
    extra = {ANNOTATION_FIELDS: [{"segment(frames)": x} for x in frames]}
    extra |= {} if known.fps is None else {"fps": known.fps}
    extra |= {"subject": people[0]} if people[0] else {}
    videos.append(VideoAnnotation(video_id, subset, known.duration, np.array(truths), labels,
                                  extra))
  return from_videos(videos), faults


def _seconds(row: Row, column: str) -> float:
  match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", row.values[column])
  if match is None:
    raise ValueError(f"line {row.line}: {column} = {row.values[column]!r} is not hh:mm:ss.ff")
  hours, minutes, seconds = map(float, match.groups())
  return 3600 * hours + 60 * minutes + seconds


def _detect(probe: Probe) -> str | None:
  return ("csv with start_timestamp, stop_timestamp, verb_class"
          if set(_COLUMNS) <= set(header(probe.text)) else None)


FORMATS = (Format("epic", "annotations", "EPIC-Kitchens' csv with video_id,start_timestamp,"
                  "stop_timestamp,...,verb_class,noun_class", _detect, read,
                  options=("video_info", "label")),)
