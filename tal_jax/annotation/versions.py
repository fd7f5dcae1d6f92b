"""The versions of an answer: all are kept, the last one counts.

The first version is the answer as it was submitted (`assignments`, `segments`, `unusable`), the
later ones are in the table `versions`. Each has the id of the submission that it came in, so that
sending a submission again changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from tal_jax.annotation import rows
from tal_jax.annotation.errors import Conflict


def add(db: sqlite3.Connection, assignment_id: int, submission_id: str, segments: rows.Segments,
        comment: str, unusable: str, now: float) -> None:
  """One version more, which counts, also of an answer that was taken back."""
  db.execute("INSERT INTO versions (assignment_id, submission_id, segments, unusable, comment, at) "
             "VALUES (?, ?, ?, ?, ?, ?)",
             (assignment_id, submission_id, json.dumps(segments), unusable, comment, now))
  db.execute("DELETE FROM taken_back WHERE assignment_id = ?", (assignment_id,))


def replay(db: sqlite3.Connection, worker_id: int, given: Mapping[int, rows.Segments],
           submission_id: str, comment: str, unusable: str) -> int | None:
  """The first answer of a submission that is stored already; None if it is not.

  Args:
    given: task -> checked segments.

  Raises:
    Conflict: something else is stored under the submission's id.
  """
  known = _submitted(db, submission_id)
  if not known:
    return None
  if {task: content for task, (_, *content) in known.items()} != {
      task: [worker_id, segments, comment, unusable] for task, segments in given.items()}:
    raise Conflict("this submission's id was used for another answer")
  return known[min(known)][0]


def _submitted(db, submission_id: str) -> dict[int, tuple]:
  """Task -> (assignment, worker, segments, comment, unusable) of what came in a submission."""
  first = {
      row["task_id"]: (row["id"], row["worker_id"], rows.segments_of(db, row["id"]),
                       row["comment"], row["reason"] or "")
      for row in db.execute(
          "SELECT a.*, u.reason FROM assignments a LEFT JOIN unusable u ON u.assignment_id = a.id "
          "WHERE a.submission_id = :id OR a.id IN (SELECT assignment_id FROM together "
          "WHERE submission_id = :id)", {"id": submission_id}).fetchall()}
  later = {
      row["task_id"]: (row["assignment_id"], row["worker_id"],
                       [tuple(s) for s in json.loads(row["segments"])], row["comment"],
                       row["unusable"])
      for row in db.execute("SELECT v.*, a.task_id, a.worker_id FROM versions v "
                            "JOIN assignments a ON a.id = v.assignment_id "
                            "WHERE v.submission_id = ?", (submission_id,))}
  return first | later
