"""The operations of an annotator: who am I, next task, renew, release, draft, answer."""

from __future__ import annotations

import msgspec

from tal_jax.annotation.errors import InvalidAnswer
from tal_jax.annotation.rules import answers, leases, standing
from tal_jax.annotation.rules.counting import STANDS
from tal_jax.annotation.rules.may_take import MAY_TAKE
from tal_jax.annotation.web import tasks, waiting
from tal_jax.annotation.web.messages import (
  Done,
  DraftOut,
  Kept,
  LeasedTask,
  LeaseOut,
  Me,
  Next,
  Progress,
  ReceiptOut,
  StandingOut,
)
from tal_jax.annotation.web.operations import Call, Operation
from tal_jax.annotation.web.requests import AnswerIn, ById, DraftIn

_RETRY_SECONDS = 5.0


def _me(call: Call) -> Me:
  with call.campaign.store.read() as db:
    stand = standing.standing(db, call.campaign.policy, call.worker.id)
    answered = db.execute(
        "SELECT COUNT(DISTINCT t.video_id) FROM assignments a JOIN tasks t ON t.id = a.task_id "
        f"WHERE a.worker_id = ? AND {STANDS}", (call.worker.id,)).fetchone()[0]
    left = 0 if stand.state == standing.STOPPED else db.execute(
        "SELECT COUNT(DISTINCT t.video_id) FROM tasks t WHERE t.is_gold = 0 AND t.state = 'open' "
        f"AND {MAY_TAKE} AND t.video_id NOT IN (SELECT o.video_id FROM leases l JOIN tasks o "
        "ON o.id = l.task_id WHERE l.worker_id = :worker AND l.state = 'held')",
        {"worker": call.worker.id}).fetchone()[0]
  return Me(call.worker.name, call.worker.role, call.site.title,
            StandingOut(stand.state, stand.reason), Progress(answered, left),
            call.campaign.policy.lease_seconds, call.site.suggestions)


def _next(call: Call) -> Next:
  visit = leases.next_visit(call.campaign, call.worker.id)
  if visit is None:
    return _nothing(call)
  draft = answers.load_draft(call.campaign, call.worker.id, visit.task_ids[0])
  with call.campaign.store.read() as db:
    task = tasks.view(db, call.site, call.worker.id, visit.task_ids[0])
    lanes = [tasks.lane(db, call.site, task_id) for task_id in visit.task_ids]
  return Next(LeasedTask(**msgspec.structs.asdict(task), lanes=lanes,
                         draft=draft and DraftOut(*draft),
                         **msgspec.structs.asdict(_lease(call, visit))), "", _RETRY_SECONDS)


def _nothing(call: Call) -> Next:
  with call.campaign.store.read() as db:
    stand = standing.standing(db, call.campaign.policy, call.worker.id)
    if stand.state == standing.STOPPED:
      return Next(None, "stopped", _RETRY_SECONDS)
    finished = call.site.finished()
    if finished and not waiting.is_undecided(db):
      return Next(None, "finished", _RETRY_SECONDS)
    return Next(None, "nothing", _RETRY_SECONDS,
                waiting.reason(db, call.worker.id, stand.state, finished=finished))


def _lease(call: Call, lease: leases.Lease | leases.Visit) -> LeaseOut:
  return LeaseOut(lease.expires_at, max(lease.expires_at - call.campaign.clock(), 0.0))


def _renew(call: Call) -> LeaseOut:
  return _lease(call, leases.renew(call.campaign, call.worker.id, call.path.id))


def _release(call: Call) -> Done:
  leases.release(call.campaign, call.worker.id, call.path.id)
  return Done()


def _draft(call: Call) -> Kept:
  return Kept(answers.save_draft(call.campaign, call.worker.id, call.path.id,
                                 answers.Draft(call.body.revision, call.body.body)))


def _answer(call: Call) -> ReceiptOut:
  given = {call.path.id: call.body.segments}
  for other in call.body.others:
    if other.task_id in given:
      raise InvalidAnswer(f"task {other.task_id} is answered twice in one submission")
    given[other.task_id] = other.segments
  return ReceiptOut(*answers.submit_all(call.campaign, call.worker.id, given,
                                        call.body.submission_id, call.body.comment,
                                        call.body.unusable))


_TASK = "/api/tasks/{id}"
OPERATIONS = (
    Operation("GET", "/api/me", "Who the token belongs to, and how far they are", _me, Me),
    Operation("POST", "/api/next", "The video that the worker is at, or else a new one", _next,
              Next),
    Operation("POST", _TASK + "/renew", "Keeps the visit for another while", _renew, LeaseOut,
              path_type=ById, refusals=(409,)),
    Operation("POST", _TASK + "/release", "Gives the visit back unanswered", _release, Done,
              path_type=ById, refusals=(409,)),
    Operation("PUT", _TASK + "/draft", "Keeps unfinished work of the visit", _draft, Kept,
              path_type=ById, body_type=DraftIn, refusals=(409,)),
    Operation("POST", _TASK + "/answer", "Stores the answers; acknowledged when on the disk",
              _answer, ReceiptOut, path_type=ById, body_type=AnswerIn, refusals=(409,)),
)
