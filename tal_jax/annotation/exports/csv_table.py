"""A table for spreadsheets: a line an instance, and one for each class that a video does not show.

A video that could not be judged has one line, of task_state "excluded", whose source says who
excluded it, and why. A text that a spreadsheet would run as a formula (a video or class named
"=1+1") is written behind an apostrophe; such a program shows the text without it. So that it can be
taken off again, a text that begins with one gets another.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.exports.records import excluded_videos, labelled_videos

COLUMNS = ("video", "duration", "label", "start", "end", "agreement", "support", "source", "round",
           "annotators", "task_state", "task_agreement")
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # as OWASP lists them; the last are wide


def csv_rows(campaign: Campaign) -> list[list[Any]]:
  """The header and the lines; texts escaped, numbers as they are, None where there is nothing."""
  with campaign.store.read() as db:
    videos, excluded = labelled_videos(db), excluded_videos(db)
  found: list[list[Any]] = [list(COLUMNS)]
  for video in videos:
    for task in video.tasks:
      for segment in task.segments or [(None, None, None, None, None)]:
        start, end, source, agreement, support = segment
        found.append([_escaped(video.name), video.duration, _escaped(task.label), start, end,
                      agreement, support, source, task.round, task.annotators, task.state,
                      task.agreement])
  for video in excluded:
    found.append([_escaped(video.name), video.duration, None, None, None, None, None,
                  _escaped(f"{video.source}: {video.reason}"), None, None, "excluded", None])
  return found


def text(table: Sequence[Sequence[Any]]) -> str:
  """RFC 4180: lines end in CR LF, None is an empty cell."""
  file = io.StringIO(newline="")
  csv.writer(file).writerows(table)
  return file.getvalue()


def _escaped(value: str) -> str:
  first, behind_spaces = value[:1], value.lstrip()[:1]  # some programs skip spaces
  return "'" + value if first in _FORMULA or behind_spaces in _FORMULA or (
      first == "'") else value
