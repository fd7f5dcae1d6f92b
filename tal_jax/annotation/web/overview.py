"""The campaign at a glance, for whoever runs it: one snapshot of the database."""

from __future__ import annotations

import sqlite3
import time

from tal_jax.annotation import learner_status
from tal_jax.annotation.rules import payments, people, standing
from tal_jax.annotation.rules.exclusions import all_excluded
from tal_jax.annotation.rules.pace import pace
from tal_jax.annotation.rules.quality import worker_quality
from tal_jax.annotation.rules.states import DECIDED
from tal_jax.annotation.videos import preparing
from tal_jax.annotation.web.messages import (
  CampaignOut,
  CurvePoint,
  ExcludedOut,
  LearnerOut,
  PaceOut,
  PreparingOut,
  Queue,
  Round,
  SpendOut,
  StalledTask,
  TroubleOut,
  WorkerOut,
)
from tal_jax.annotation.web.operations import Call

_MOST_STALLED = 100
_VALID = "w.token_revoked_at IS NULL AND w.token_expires_at > :now"


def overview(call: Call) -> CampaignOut:
  now = call.campaign.clock()
  with call.campaign.store.read() as db:
    workers = _workers(db, call, now)
    stalled = people.shortages(db, call.campaign.policy, now, _MOST_STALLED
                               ) if call.site.by_link_only else ()
    return CampaignOut(
        title=call.site.title,
        classes=[row[0] for row in db.execute("SELECT name FROM classes ORDER BY name")],
        troubles=[TroubleOut(*trouble[:-1], max(trouble.retry_at - time.time(), 0.0))
                  for trouble in call.site.troubles()],
        learner=(status := learner_status.status(db)) and LearnerOut(*status),
        preparing=PreparingOut(*preparing.late(db)),
        rounds=_rounds(db),
        queue=Queue(**dict(db.execute(
            "SELECT state, COUNT(*) FROM tasks WHERE NOT is_gold AND state != 'excluded' "
            "GROUP BY state").fetchall())),
        pace=PaceOut(*pace(db, now), call.site.finished()),
        excluded=[ExcludedOut(*video) for video in all_excluded(db)[:_MOST_STALLED]],
        stalled=[StalledTask(*task) for task in stalled],
        workers=workers,
        spend=SpendOut(*payments.spend(db)),
        curve=[CurvePoint(*row) for row in db.execute(
            "SELECT round_id, num_labeled, num_instances, map, attention_ap FROM results "
            "ORDER BY round_id")])


def _rounds(db: sqlite3.Connection) -> list[Round]:
  return [Round(*row) for row in db.execute(
      "SELECT r.id, r.state, COUNT(t.id) FILTER (WHERE t.state != 'excluded'), "
      "COUNT(t.id) FILTER (WHERE t.state IN (?, ?)), "
      "AVG(t.agreement), r.opened_at FROM rounds r LEFT JOIN tasks t ON t.round_id = r.id "
      "GROUP BY r.id ORDER BY r.id", DECIDED)]


def _workers(db: sqlite3.Connection, call: Call, now: float) -> list[WorkerOut]:
  measured = worker_quality(call.campaign)
  rows = db.execute(
      f"SELECT w.id, w.name, w.role, w.token_revoked_at IS NOT NULL AS revoked, {_VALID} AS valid, "
      "w.id IN (SELECT worker_id FROM left_out) AS left_out FROM workers w ORDER BY w.name",
      {"now": now}).fetchall()
  found = []
  for row in rows:
    stand = standing.standing(db, call.campaign.policy, row["id"])
    more = measured.get(row["id"])
    found.append(WorkerOut(
        id=row["id"], name=row["name"], role=row["role"],
        state=stand.state if row["valid"] else "revoked" if row["revoked"] else "expired",
        left_out=bool(row["left_out"]), answers=stand.answers, compared=stand.compared,
        f1=stand.f1, tiou=more and more.tiou, gold_done=stand.gold_done, gold_f1=stand.gold_f1,
        seconds_median=more and more.seconds_median))
  return found
