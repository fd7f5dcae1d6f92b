"""The operations of whoever runs the campaign: overview, browse, correct, invite, export."""

from __future__ import annotations

import json
import sqlite3

from tal_jax.annotation import exports, rows, workers
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.rules import counting, decisions
from tal_jax.annotation.web import second_thoughts, tasks
from tal_jax.annotation.web.messages import (
  CampaignOut,
  Done,
  Event,
  FinalSegmentOut,
  GivenAnswer,
  TaskOut,
  VideoRow,
  Videos,
  WorkerLink,
)
from tal_jax.annotation.web.operations import Attachment, Call, Operation
from tal_jax.annotation.web.overview import overview
from tal_jax.annotation.web.requests import ByFormat, ById, SegmentsIn, VideosQuery, WorkerIn

_DAY = 86400.0
_MEDIA_TYPES = {"activitynet": "application/json", "csv": "text/csv",
                "label_studio": "application/json"}


def _videos(call: Call) -> Videos:
  given = call.query
  where = ("FROM tasks t JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
           "WHERE NOT t.is_gold AND (:worker = 0 OR t.id IN "
           "(SELECT a.task_id FROM assignments a WHERE a.worker_id = :worker "
           f"AND {counting.STANDS})) "
           "AND (:state = '' OR t.state = :state) AND (:label = '' OR "
           "c.name = :label) AND (:query = '' OR instr(lower(v.name), lower(:query)))")
  values = {k: getattr(given, k) for k in VideosQuery.__struct_fields__}
  with call.campaign.store.read() as db:
    total = db.execute(f"SELECT COUNT(*) {where}", values).fetchone()[0]
    found = db.execute(
        "SELECT t.id, v.id, v.name, c.name, t.round_id, t.state, t.agreement, "
        "(SELECT COUNT(*) FROM segments s WHERE s.task_id = t.id AND s.assignment_id IS NULL), "
        f"(SELECT COUNT(*) FROM assignments a WHERE a.task_id = t.id AND {counting.STANDS}) "
        f"{where} ORDER BY t.id LIMIT :limit OFFSET :offset",
        values)
    return Videos(total, [VideoRow(*row) for row in found])


def _task(call: Call) -> TaskOut:
  task_id = call.path.id
  with call.campaign.store.read() as db:
    view = tasks.view(db, call.site, call.worker.id, task_id)
    row = db.execute("SELECT t.*, e.reason FROM tasks t LEFT JOIN excluded e "
                     "ON e.video_id = t.video_id WHERE t.id = ?", (task_id,)).fetchone()
    answers = counting.given(db, task_id)
    agreeing = decisions.agreeing(answers, call.campaign.policy)
    merged = decisions.merge(agreeing, call.campaign.policy).segments if agreeing else ()
    return TaskOut(view, row["video_id"], row["state"], row["wanted"], row["agreement"],
                   [FinalSegmentOut(*s) for s in rows.final_segments(db, task_id)],
                   [tuple(map(float, s)) for s in merged], row["reason"] or "",
                   [_given(db, answer, answer in agreeing) for answer in answers],
                   _events(db, task_id))


def _given(db: sqlite3.Connection, answer: counting.Given, agrees: bool) -> GivenAnswer:
  name = db.execute("SELECT name FROM workers WHERE id = ?", (answer.worker_id,)).fetchone()["name"]
  return GivenAnswer(name, list(answer.segments), answer.comment, answer.at, answer.unusable,
                     answer.version, answer.counts, agrees)


def _events(db: sqlite3.Connection, task_id: int) -> list[Event]:
  found = db.execute(
      "SELECT e.at, e.kind, w.name, e.detail FROM events e LEFT JOIN workers w "
      "ON w.id = e.worker_id WHERE (e.kind GLOB 'tasks.*' AND e.subject_id = :task) OR "
      "(e.kind GLOB 'leases.*' AND e.subject_id IN (SELECT id FROM leases WHERE task_id = :task)) "
      "ORDER BY e.id", {"task": task_id})
  return [Event(at, kind, worker, json.loads(detail)) for at, kind, worker, detail in found]


def _dispute(call: Call) -> Done:
  decisions.dispute(call.campaign, call.worker.id, call.path.id)
  return Done()


def _adjudicate(call: Call) -> Done:
  decisions.adjudicate(call.campaign, call.worker.id, call.path.id, call.body.segments)
  return Done()


def _enrol(call: Call) -> WorkerLink:
  with call.campaign.store.write() as db:
    worker, token = workers.enrol(db, call.body.name, role=call.body.role,
                                  seconds=call.body.days * _DAY, now=call.campaign.clock())
    decisions.reconsider(db, call.campaign.policy, call.campaign.clock())
  return WorkerLink(worker.id, link(call.origin, worker.role, token))


def link(origin: str, role: str, token: str) -> str:
  """What a worker opens; a browser keeps what is behind the # to itself."""
  return f"{origin}{'/campaign' if role == 'operator' else '/'}#{token}"


def _revoke(call: Call) -> Done:
  if call.path.id == call.worker.id:
    raise Conflict("this is your own link; another operator must revoke it")
  with call.campaign.store.write() as db:
    workers.revoke(db, call.path.id, now=call.campaign.clock())
  return Done()


def _export(call: Call) -> Attachment:
  kind = call.path.format
  return Attachment(exports.text(call.campaign, kind).encode(), _MEDIA_TYPES[kind],
                    f"{kind}.{'csv' if kind == 'csv' else 'json'}")


_TASK = "/api/tasks/{id}"
_OPERATIONS = (
    Operation("GET", "/api/campaign", "Rounds, queue, workers, money, learning curve", overview,
              CampaignOut),
    Operation("GET", "/api/videos", "The tasks, to browse; by the learner's order", _videos, Videos,
              query_type=VideosQuery),
    Operation("GET", _TASK, "Everything about a task", _task, TaskOut, path_type=ById),
    Operation("POST", _TASK + "/dispute", "Takes an open task out of the queue", _dispute, Done,
              path_type=ById, refusals=(409,)),
    Operation("POST", _TASK + "/adjudicate", "Decides a disputed task, or corrects a decided one",
              _adjudicate, Done, path_type=ById, body_type=SegmentsIn, refusals=(409,)),
    Operation("POST", "/api/workers", "Invites a worker, or gives a known one a new link", _enrol,
              WorkerLink, body_type=WorkerIn),
    Operation("POST", "/api/workers/{id}/revoke", "Makes a worker's link void", _revoke, Done,
              path_type=ById, refusals=(409,)),
    *second_thoughts.OPERATIONS,
    Operation("GET", "/api/export/{format}", "The data set so far, as a file", _export,
              tuple(dict.fromkeys(_MEDIA_TYPES.values())), path_type=ByFormat),
)
OPERATIONS = tuple(o._replace(role="operator") for o in _OPERATIONS)
