"""The campaign at a glance, for whoever runs it: one snapshot of the database."""

from __future__ import annotations

import sqlite3

from tal_jax.annotation import payments, standing
from tal_jax.annotation.quality import worker_quality
from tal_jax.annotation.states import DECIDED
from tal_jax.annotation.web.messages import (
  CampaignOut,
  CurvePoint,
  Queue,
  Round,
  SpendOut,
  StalledTask,
  WorkerOut,
)
from tal_jax.annotation.web.operations import Call

_MOST_STALLED = 100
_VALID = "w.token_revoked_at IS NULL AND w.token_expires_at > :now"
# An open task that none of the workers in `able` may take: each has, or had, a lease on its video
# other than one on this task that expired.
_STALLED = """
SELECT t.id, v.name AS video, c.name AS label FROM tasks t
JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id
WHERE t.state = 'open' AND NOT t.is_gold AND NOT EXISTS (
  SELECT 1 FROM json_each(:able) w WHERE NOT EXISTS (
    SELECT 1 FROM tasks o CROSS JOIN leases l ON l.task_id = o.id
    WHERE l.worker_id = w.value AND o.video_id = t.video_id
    AND (o.id != t.id OR l.state != 'expired')))
ORDER BY t.id LIMIT :most"""


def overview(call: Call) -> CampaignOut:
  now = call.campaign.clock()
  with call.campaign.store.read() as db:
    workers = _workers(db, call, now)
    # Operators may answer, too, but it is they who are told that a task waits.
    able = [w.id for w in workers
            if w.role == "annotator" and w.state in (standing.QUALIFYING, standing.WORKING)]
    stalled = db.execute(_STALLED, {"able": str(able), "most": _MOST_STALLED}
                         ) if call.site.by_link_only else ()
    return CampaignOut(
        title=call.site.title,
        classes=[row[0] for row in db.execute("SELECT name FROM classes ORDER BY name")],
        rounds=_rounds(db),
        queue=Queue(**dict(db.execute(
            "SELECT state, COUNT(*) FROM tasks WHERE NOT is_gold GROUP BY state").fetchall())),
        stalled=[StalledTask(*row) for row in stalled],
        workers=workers,
        spend=SpendOut(*payments.spend(db)),
        curve=[CurvePoint(*row) for row in db.execute(
            "SELECT round_id, num_labeled, num_instances, map, attention_ap FROM results "
            "ORDER BY round_id")])


def _rounds(db: sqlite3.Connection) -> list[Round]:
  return [Round(*row) for row in db.execute(
      "SELECT r.id, r.state, COUNT(t.id), COUNT(t.id) FILTER (WHERE t.state IN (?, ?)), "
      "AVG(t.agreement), r.opened_at FROM rounds r LEFT JOIN tasks t ON t.round_id = r.id "
      "GROUP BY r.id ORDER BY r.id", DECIDED)]


def _workers(db: sqlite3.Connection, call: Call, now: float) -> list[WorkerOut]:
  measured = worker_quality(call.campaign)
  rows = db.execute(
      f"SELECT w.id, w.name, w.role, w.token_revoked_at IS NOT NULL AS revoked, {_VALID} AS valid "
      "FROM workers w ORDER BY w.name", {"now": now}).fetchall()
  found = []
  for row in rows:
    stand = standing.standing(db, call.campaign.policy, row["id"])
    more = measured.get(row["id"])
    found.append(WorkerOut(
        id=row["id"], name=row["name"], role=row["role"],
        state=stand.state if row["valid"] else "revoked" if row["revoked"] else "expired",
        answers=stand.answers, compared=stand.compared, f1=stand.f1, tiou=more and more.tiou,
        gold_done=stand.gold_done, gold_f1=stand.gold_f1,
        seconds_median=more and more.seconds_median))
  return found
