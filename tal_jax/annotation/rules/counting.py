"""Which answers count, and what they say.

An answer counts unless its worker is stopped (`standing`), an operator left the worker out, or its
author took it back. Whatever asks how many answers a task has asks here.

A worker answers a task once, and may correct that answer while the task is undecided: every version
is kept, the last one counts.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

import numpy as np

from tal_jax.annotation import rows

# Conditions of SQL on a row `a` of assignments. The first: its author has not taken it back.
STANDS = "a.id NOT IN (SELECT assignment_id FROM taken_back)"
# The table `stopped` is kept by `standing.note`.
COUNTS = f"a.worker_id NOT IN (SELECT worker_id FROM stopped) AND {STANDS}"


class Given(NamedTuple):
  """An answer as its author wants it to be."""

  assignment_id: int
  task_id: int
  worker_id: int
  segments: tuple[tuple[float, float], ...]  # seconds, by start
  unusable: str  # why the video cannot be judged; "": it can
  comment: str
  at: float  # of this version
  version: int  # 1, 2, ...
  counts: bool
  taken_back: bool

  @property
  def answer(self) -> np.ndarray | None:
    """[t, 2] seconds; None: the video cannot be judged. As the consensus takes it."""
    if self.unusable:
      return None
    return np.asarray(self.segments, np.float64).reshape(-1, 2)


def given(db: sqlite3.Connection, task_id: int) -> list[Given]:
  """All answers to a task, also those that do not count, in the order of submission."""
  return [_given(db, row) for row in db.execute(_ANSWERS + "WHERE a.task_id = ? ORDER BY a.id",
                                                (task_id,)).fetchall()]


def given_by(db: sqlite3.Connection, worker_id: int, task_id: int) -> Given | None:
  """One worker's answer to a task."""
  row = db.execute(_ANSWERS + "WHERE a.task_id = ? AND a.worker_id = ?",
                   (task_id, worker_id)).fetchone()
  return row and _given(db, row)


def counting(db: sqlite3.Connection, task_id: int) -> list[Given]:
  """The answers to a task that count, in the order of submission."""
  return [answer for answer in given(db, task_id) if answer.counts]


def places_free(db: sqlite3.Connection, task_id: int) -> int:
  """Answers wanted of a real task, less those that count and those being worked on."""
  return db.execute(
      f"SELECT wanted - (SELECT COUNT(*) FROM assignments a WHERE a.task_id = :t AND {COUNTS}) - "
      "(SELECT COUNT(*) FROM leases WHERE task_id = :t AND state = 'held') FROM tasks "
      "WHERE id = :t", {"t": task_id}).fetchone()[0]


_ANSWERS = (f"SELECT a.*, COALESCE(u.reason, '') AS unusable, {COUNTS} AS counts, "
            f"NOT {STANDS} AS taken_back "
            "FROM assignments a LEFT JOIN unusable u ON u.assignment_id = a.id ")


def _given(db: sqlite3.Connection, row: sqlite3.Row) -> Given:
  last = db.execute("SELECT *, COUNT(*) OVER () AS number FROM versions WHERE assignment_id = ? "
                    "ORDER BY id DESC LIMIT 1", (row["id"],)).fetchone()
  if last is None:
    segments, source, at = rows.segments_of(db, row["id"]), row, row["submitted_at"]
  else:
    segments, source, at = [tuple(s) for s in json.loads(last["segments"])], last, last["at"]
  return Given(row["id"], row["task_id"], row["worker_id"], tuple(segments), source["unusable"],
               source["comment"], at, 1 + (last["number"] if last else 0), bool(row["counts"]),
               bool(row["taken_back"]))
