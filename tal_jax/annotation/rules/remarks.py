"""What annotators wrote: comments on answers, skips and why, videos that they found unusable."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation.rules.counting import STANDS


class Remark(NamedTuple):
  at: float
  kind: str  # answer, unusable or skip
  task_id: int
  video: str
  label: str
  worker_id: int
  worker: str
  reason: str  # of a skip, or of an unusable video
  comment: str


_REMARKS = f"""
SELECT at, kind, task_id, video, label, worker_id, worker, reason, comment FROM (
  SELECT a.submitted_at AS at, a.id AS place, CASE WHEN u.reason IS NULL THEN 'answer'
    ELSE 'unusable' END AS kind, a.task_id, a.worker_id, COALESCE(u.reason, '') AS reason,
    a.comment FROM assignments a LEFT JOIN unusable u ON u.assignment_id = a.id WHERE {STANDS}
  UNION ALL SELECT v.at, v.id, CASE v.unusable WHEN '' THEN 'answer' ELSE 'unusable' END,
    a.task_id, a.worker_id, v.unusable, v.comment
    FROM versions v JOIN assignments a ON a.id = v.assignment_id WHERE {STANDS}
  UNION ALL SELECT e.at, e.id, 'skip', l.task_id, l.worker_id, COALESCE(s.reason, ''),
    COALESCE(s.comment, '') FROM events e JOIN leases l ON l.id = e.subject_id
    LEFT JOIN skips s ON s.lease_id = l.id
    WHERE e.kind = 'leases.released' AND l.task_id = (SELECT MIN(o.task_id) FROM leases o
      JOIN tasks x ON x.id = o.task_id WHERE o.worker_id = l.worker_id AND o.state = 'released'
      AND x.video_id = (SELECT video_id FROM tasks WHERE id = l.task_id)))
JOIN (SELECT t.id AS task, t.is_gold, v.name AS video, c.name AS label FROM tasks t
  JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id) ON task = task_id
JOIN (SELECT id AS who, name AS worker FROM workers) ON who = worker_id
WHERE (reason != '' OR comment != '' OR kind = 'skip') AND NOT is_gold
  AND (:worker = 0 OR worker_id = :worker)
ORDER BY at DESC, place DESC"""


def remarks(db: sqlite3.Connection, *, worker_id: int = 0, offset: int = 0, limit: int = 50
            ) -> tuple[int, list[Remark]]:
  """The remarks, the last first: how many there are, and `limit` of them from `offset` on.

  Args:
    worker_id: whose; 0: everybody's.
  """
  values = {"worker": worker_id, "limit": limit, "offset": offset}
  total = db.execute(f"SELECT COUNT(*) FROM ({_REMARKS})", values).fetchone()[0]
  found = db.execute(f"{_REMARKS} LIMIT :limit OFFSET :offset", values)
  return total, [Remark(*row) for row in found]
