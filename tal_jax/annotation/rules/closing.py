"""The end of a task, its final answer, what follows for its video and round; and the way back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from tal_jax.annotation import rows
from tal_jax.annotation.errors import IllegalTransition
from tal_jax.annotation.rules import states


def close(db: sqlite3.Connection, task_id: int, now: float) -> None:
  """Labels the video and completes the round if this was their last task that was not closed."""
  task = db.execute("SELECT round_id, video_id FROM tasks WHERE id = ?", (task_id,)).fetchone()
  for table, column, before, after in (("videos", "video_id", "asked", "labelled"),
                                       ("rounds", "round_id", "open", "complete")):
    left = db.execute(f"SELECT COUNT(*) FROM tasks WHERE {column} = ? AND state NOT IN (?, ?, ?)",
                      (task[column], *states.CLOSED)).fetchone()[0]
    if table == "rounds" and db.execute("SELECT 1 FROM begun WHERE round_id = ?",
                                        (task["round_id"],)).fetchone():
      continue  # the learner has yet to choose the rest of it
    if not left and states.state(db, table, task[column]) == before:
      states.move(db, table, task[column], after, now=now)


def reopen(db: sqlite3.Connection, task_id: int, *, wanted: int, now: float,
           worker_id: int | None = None, **detail: Any) -> None:
  """Gives a task that is closed or in dispute back to the annotators, without its final answer.

  Part of the caller's transaction. The round stays as it is: what the learner took, it keeps.

  Args:
    wanted: answers, more than count now.
    now: seconds since the epoch.
    worker_id: on whose behalf.
    **detail: more for the log.

  Raises IllegalTransition if it is with the annotators.
  """
  if states.state(db, "tasks", task_id) in ("open", "leased", "submitted"):
    raise IllegalTransition(f"task {task_id} is with the annotators already")
  states.move(db, "tasks", task_id, "open", now=now, worker_id=worker_id, wanted=wanted,
              replaced=drop_final(db, task_id), **detail)
  want(db, task_id, wanted)
  video_id = db.execute("SELECT video_id FROM tasks WHERE id = ?", (task_id,)).fetchone()[0]
  if states.state(db, "videos", video_id) == "labelled":
    states.move(db, "videos", video_id, "asked", now=now)


def want(db: sqlite3.Connection, task_id: int, wanted: int) -> None:
  """So many answers are wanted of a task that was given back."""
  db.execute("UPDATE tasks SET wanted = ? WHERE id = ?", (wanted, task_id))
  db.execute("INSERT INTO asked_again VALUES (?, ?) ON CONFLICT (task_id) DO UPDATE SET "
             "wanted = excluded.wanted", (task_id, wanted))


def leave_out(db: sqlite3.Connection, video_id: int, reason: str, *, source: str, now: float,
              operator_id: int | None = None) -> list[int]:
  """Excludes a video that is not, with its tasks; whoever is at it loses it.

  Part of the caller's transaction, which scores the answers to these tasks anew.

  Returns:
    The tasks. Raises NotFound.
  """
  states.move(db, "videos", video_id, "excluded", now=now, worker_id=operator_id, reason=reason,
              source=source)
  db.execute("INSERT INTO excluded VALUES (?, ?, ?, ?, ?)",
             (video_id, reason, source, operator_id, now))
  for lease in db.execute("SELECT l.id, l.task_id FROM leases l JOIN tasks t ON t.id = l.task_id "
                          "WHERE t.video_id = ? AND l.state = 'held'", (video_id,)).fetchall():
    states.move(db, "leases", lease["id"], "expired", now=now, task=lease["task_id"])
  tasks = [row["id"] for row in db.execute(
      "SELECT id FROM tasks WHERE video_id = ? AND NOT is_gold ORDER BY id", (video_id,))]
  for task_id in tasks:
    states.move(db, "tasks", task_id, "excluded", now=now, worker_id=operator_id, reason=reason,
                replaced=drop_final(db, task_id))
    close(db, task_id, now)
  return tasks


def drop_final(db: sqlite3.Connection, task_id: int) -> list[tuple[float, float, str]]:
  """Takes the final answer away; (start, end, source) of each segment, for the log."""
  before = [tuple(s)[:3] for s in rows.final_segments(db, task_id)]
  db.execute("DELETE FROM segments WHERE task_id = ? AND assignment_id IS NULL", (task_id,))
  return before


def put_final(db: sqlite3.Connection, task_id: int, source: str,
              segments: Sequence[tuple[float, float, float | None, float | None]]) -> None:
  """Stores the final answer: (start, end, agreement, support) each."""
  db.executemany('INSERT INTO segments (task_id, source, start, "end", agreement, support) '
                 "VALUES (?, ?, ?, ?, ?, ?)", [(task_id, source, *s) for s in segments])
