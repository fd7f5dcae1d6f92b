"""Segments and texts as they go into the tables and come out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.errors import Conflict, InvalidAnswer, NotFound

Segments = Sequence[tuple[float, float]]
_MIN_SECONDS = 1e-3  # of a segment: shorter than any frame, longer than any rounding


class FinalSegment(NamedTuple):
  start: float  # seconds
  end: float
  source: str  # "consensus" or "adjudication"
  agreement: float | None  # of the instance, see consensus; None of an operator's
  support: float | None


def clean(db: sqlite3.Connection, task_id: int, segments: Segments,
          policy: Policy) -> list[tuple[float, float]]:
  """Checks what a client sent as an answer to a task.

  Args:
    db: a transaction.
    task_id: gives the video's duration.
    segments: whatever JSON can hold.
    policy: bounds their number.

  Returns:
    (start, end) in seconds, sorted; 0 <= start < end <= duration, none shorter than a millisecond.

  Raises:
    InvalidAnswer: anything else.
    NotFound: no such task.
  """
  row = db.execute("SELECT v.duration FROM tasks t JOIN videos v ON v.id = t.video_id "
                   "WHERE t.id = ?", (task_id,)).fetchone()
  if row is None:
    raise NotFound(f"no task {task_id}")
  if not isinstance(segments, list | tuple) or len(segments) > policy.max_segments:
    raise InvalidAnswer(f"segments are a list of at most {policy.max_segments} pairs")
  given = []
  for segment in segments:
    if not isinstance(segment, list | tuple) or len(segment) != 2 or not all(
        isinstance(t, int | float) and not isinstance(t, bool) for t in segment):
      raise InvalidAnswer("a segment is two numbers, start and end in seconds")
    start, end = segment
    if not 0 <= start < end <= row["duration"] or end - start < _MIN_SECONDS:  # also not NaN
      raise InvalidAnswer(f"a segment must have 0 <= start < end <= {row['duration']}, the video's "
                          f"duration in seconds, and last {_MIN_SECONDS} seconds at least")
    given.append((float(start), float(end)))
  return sorted(given)


def require_one_video(db: sqlite3.Connection, task_ids: Iterable[int]) -> None:
  """Raises Conflict unless the tasks are of one video, as those of a visit are."""
  videos = {db.execute("SELECT video_id FROM tasks WHERE id = ?", (task_id,)).fetchone()[0]
            for task_id in task_ids}
  if len(videos) > 1:
    raise Conflict("a submission answers tasks of one video")


def segments_of(db: sqlite3.Connection, assignment_id: int) -> list[tuple[float, float]]:
  """One worker's answer, by start."""
  return [tuple(row) for row in db.execute(
      'SELECT start, "end" FROM segments WHERE assignment_id = ? ORDER BY start, "end"',
      (assignment_id,))]


def final_segments(db: sqlite3.Connection, task_id: int) -> list[FinalSegment]:
  """The task's final answer, by start; empty too while there is none."""
  return [FinalSegment(*row) for row in db.execute(
      'SELECT start, "end", source, agreement, support FROM segments '
      'WHERE task_id = ? AND assignment_id IS NULL ORDER BY start, "end"', (task_id,))]


def require_text(text: str, what: str, most: int, least: int = 0) -> None:
  """Raises InvalidAnswer unless `text` can be stored and has `least` to `most` characters."""
  if not isinstance(text, str) or not least <= len(text) <= most:
    raise InvalidAnswer(f"{what} must be text of {least} to {most} characters")
  try:
    text.encode("utf-8")
  except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and SQLite cannot
    raise InvalidAnswer(f"{what} must be valid Unicode") from None
