"""A task as a page shows it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from tal_jax.annotation.errors import NotFound
from tal_jax.annotation.videos import sound
from tal_jax.annotation.web import tickets
from tal_jax.annotation.web.messages import Lane, Task, VideoOut
from tal_jax.annotation.web.operations import Site

_QUERY = (
    "SELECT t.id, t.video_id, t.class_id, t.hint_start, t.hint_end, c.name AS label, "
    "c.instructions, v.name, v.duration, v.fps, v.num_frames, v.width, v.height, v.media_path "
    "FROM tasks t JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
    "WHERE t.id = ?")


def view(db: sqlite3.Connection, site: Site, worker_id: int, task_id: int) -> Task:
  """The task for this worker's eyes: nothing tells a gold task from another. Raises NotFound."""
  row = _row(db, task_id)
  ticket = tickets.issue(site.key, worker_id, row["video_id"], site.campaign.clock())
  return Task(**_asked(db, site, row), video=VideoOut(row["name"], f"/media/{ticket}", *(
      row[k] for k in ("duration", "fps", "num_frames", "width", "height")),
      sound.is_heard(row["media_path"])), max_segments=site.campaign.policy.max_segments)


def lane(db: sqlite3.Connection, site: Site, task_id: int) -> Lane:
  """The task without its video. Raises NotFound."""
  return Lane(**_asked(db, site, _row(db, task_id)))


def video_name(db: sqlite3.Connection, task_id: int) -> str:
  """Raises NotFound."""
  return _row(db, task_id)["name"]


def _row(db, task_id: int) -> sqlite3.Row:
  row = db.execute(_QUERY, (task_id,)).fetchone()
  if row is None:
    raise NotFound(f"no task {task_id}")
  return row


def _asked(db, site: Site, row: sqlite3.Row) -> dict[str, Any]:
  """The fields of a lane."""
  return {"id": row["id"], "label": row["label"], "instructions": row["instructions"],
          "example": site.examples.get(row["label"]),
          "hint": None if row["hint_start"] is None else (row["hint_start"], row["hint_end"]),
          "suggestions": _suggestions(db, row) if site.suggestions else []}


def _suggestions(db, task: sqlite3.Row) -> list[tuple[float, float, float]]:
  row = db.execute("SELECT body FROM suggestions WHERE video_id = ? AND class_id = ?",
                   (task["video_id"], task["class_id"])).fetchone()
  return [] if row is None else [tuple(s) for s in json.loads(row["body"])]
