"""The operations of an annotator: who am I, next task, renew, release, draft, answer."""

from __future__ import annotations

import msgspec

from tal_jax.annotation import answers, leases, standing
from tal_jax.annotation.web import tasks
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
    answered = db.execute("SELECT COUNT(*) FROM assignments WHERE worker_id = ?",
                          (call.worker.id,)).fetchone()[0]
    left = 0 if stand.state == standing.STOPPED else db.execute(
        "SELECT COUNT(*) FROM tasks WHERE is_gold = 0 AND state = 'open' AND video_id NOT IN ("
        "  SELECT t.video_id FROM leases l JOIN tasks t ON t.id = l.task_id WHERE l.worker_id = ?)",
        (call.worker.id,)).fetchone()[0]
  return Me(call.worker.name, call.worker.role, call.site.title,
            StandingOut(stand.state, stand.reason), Progress(answered, left),
            call.campaign.policy.lease_seconds, call.site.suggestions)


def _next(call: Call) -> Next:
  lease = leases.next_task(call.campaign, call.worker.id)
  if lease is None:
    return Next(None, _why_nothing(call), _RETRY_SECONDS)
  draft = answers.load_draft(call.campaign, call.worker.id, lease.task_id)
  with call.campaign.store.read() as db:
    task = tasks.view(db, call.site, call.worker.id, lease.task_id)
  return Next(LeasedTask(**msgspec.structs.asdict(task), draft=draft and DraftOut(*draft),
                         **msgspec.structs.asdict(_lease(call, lease))), "", _RETRY_SECONDS)


def _why_nothing(call: Call) -> str:
  with call.campaign.store.read() as db:
    if standing.standing(db, call.campaign.policy, call.worker.id).state == standing.STOPPED:
      return "stopped"
    more = db.execute("SELECT 1 FROM rounds WHERE state = 'open' LIMIT 1").fetchone()
  return "finished" if not more and call.site.finished() else "nothing"


def _lease(call: Call, lease: leases.Lease) -> LeaseOut:
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
  return ReceiptOut(*answers.submit(
      call.campaign, call.worker.id, call.path.id, call.body.submission_id, call.body.segments,
      call.body.comment))


_TASK = "/api/tasks/{id}"
OPERATIONS = (
    Operation("GET", "/api/me", "Who the token belongs to, and how far they are", _me, Me),
    Operation("POST", "/api/next", "The task that the worker is at, or else a new one", _next,
              Next),
    Operation("POST", _TASK + "/renew", "Keeps the lease for another while", _renew, LeaseOut,
              path_type=ById, refusals=(409,)),
    Operation("POST", _TASK + "/release", "Gives the task back unanswered", _release, Done,
              path_type=ById, refusals=(409,)),
    Operation("PUT", _TASK + "/draft", "Keeps unfinished work", _draft, Kept, path_type=ById,
              body_type=DraftIn, refusals=(409,)),
    Operation("POST", _TASK + "/answer", "Stores the answer; acknowledged when it is on the disk",
              _answer, ReceiptOut, path_type=ById, body_type=AnswerIn, refusals=(409,)),
)
