"""Charades: a line per video, all its actions in one column.

    id,subject,scene,...,actions,length       actions: "c092 11.90 21.20;c147 0.00 12.60"

Seconds. Classes are the codes. The subset is not in the file: it is taken from the file's name
(Charades_v1_train.csv: "training", Charades_v1_test.csv: "testing"). `subject` is kept.
"""

from __future__ import annotations

import pathlib

import numpy as np

from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.numerals import number
from tal_jax.data.text.table import has_columns, read_table

_COLUMNS = ("id", "actions", "length")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read."""
  rows, bad = read_table(path, _COLUMNS, optional=("subject",))
  faults = [StructuralFault("", message) for _, message in bad]
  videos, subset = {}, subset_of_file(path)
  for row in rows:
    video_id = row.values["id"]
    if video_id in videos:
      faults.append(StructuralFault(video_id, f"duplicate id, again in line {row.line}"))
    try:
      duration = row.number("length")
      actions = [action.split() for action in row.values["actions"].split(";") if action.strip()]
      labels = tuple(label for label, _, _ in actions)
      times = [[number(x) for x in times] for _, *times in actions]
      if any(None in bounds for bounds in times):
        raise ValueError("no number")
      segments = np.array(times, np.float64).reshape(-1, 2)
    except ValueError as error:
      message = str(error)
      if not message.startswith("line"):
        message = f"line {row.line}: actions are 'code start end;...', not " \
                  f"{row.values['actions'][:60]!r}"
      faults.append(StructuralFault(video_id, message))
      continue
    extra = {"subject": row.values["subject"]} if row.values.get("subject") else {}
    videos[video_id] = VideoAnnotation(video_id, subset, duration, segments, labels, extra)
  return from_videos(videos.values()), faults


def _detect(probe: Probe) -> str | None:
  return ("csv with id, actions, length" if has_columns(probe.text, _COLUMNS) else None)


FORMATS = (Format("charades", "annotations", "Charades' csv with id,...,actions,length", _detect,
                  read, fields=_COLUMNS),)
