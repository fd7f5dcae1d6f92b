"""EPIC-Kitchens-100: a line per action.

    narration_id,participant_id,video_id,...,start_timestamp,stop_timestamp,start_frame,stop_frame,
    narration,verb,verb_class,noun,noun_class,...

Times are hh:mm:ss.ff. The file has neither durations nor frame rates: `video_info` names
EPIC_100_video_info.csv; without it durations are NaN. The class is the number of the verb
("verb 0"; the column `verb` is what a person said, many words to a class) or with label="noun" of
the noun. The subset is taken from the file's name; `extra["subject"]` is the participant.
"""

from __future__ import annotations

import math
import pathlib
import re

import numpy as np

from tal_jax.data.annotation_fields import ANNOTATION_FIELDS
from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.option_names import option
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.table import Row, has_columns, read_table
from tal_jax.data.video_info import VideoInfo, lookup, read_video_info
from tal_jax.errors import DataError

_TIMES = ("video_id", "start_timestamp", "stop_timestamp")
_FRAMES = ("start_frame", "stop_frame")
_COLUMNS = (*_TIMES, "verb_class", "noun_class")


def read(path: pathlib.Path, *, video_info: str = "",
         label: str = "verb") -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read.

  Raises:
    DataError: a column is missing, or another label than verb and noun.
  """
  if label not in ("verb", "noun"):
    raise DataError(f"{option('label')} = {label!r}; there are verb, noun.")
  info = read_video_info(video_info) if video_info else {}
  subset, needed = subset_of_file(path), (*_TIMES, f"{label}_class")
  rows, bad = read_table(path, needed, optional=(*_FRAMES, "participant_id"))
  faults = [StructuralFault("", message) for _, message in bad]
  found: dict[str, list[tuple[list[float], str, list[float], str]]] = {}
  for row in rows:
    try:
      truth = [_seconds(row, "start_timestamp"), _seconds(row, "stop_timestamp")]
      frames = [row.number(name) for name in _FRAMES if row.values.get(name)]
      name = f"{label} {int(row.number(f'{label}_class'))}"
    except ValueError as error:
      faults.append(StructuralFault(row.values["video_id"], str(error)))
      continue
    found.setdefault(row.values["video_id"], []).append(
        (truth, name, frames, row.values.get("participant_id", "")))
  videos = []
  for video_id, actions in found.items():
    known = lookup(info, video_id) if video_info else VideoInfo(math.nan, None)
    if known is None:
      faults.append(StructuralFault(video_id, f"no duration in {video_info}"))
      continue
    truths, labels, frames, people = zip(*actions, strict=True)
    extra = {ANNOTATION_FIELDS: [{"segment(frames)": x} for x in frames]} if all(frames) else {}
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
          if has_columns(probe.text, _COLUMNS) else None)


FORMATS = (Format("epic", "annotations", "EPIC-Kitchens' csv with video_id,start_timestamp,"
                  "stop_timestamp,...,verb_class,noun_class", _detect, read,
                  options=("video_info", "label"), fields=_COLUMNS),)
