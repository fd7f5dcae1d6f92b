"""What an operator takes back or leaves out, and what annotators wrote."""

from __future__ import annotations

from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.rules import exclusions, remarks, second_thoughts
from tal_jax.annotation.web.messages import Done, LeftOutOut, RemarkOut, Remarks
from tal_jax.annotation.web.operations import Call, Operation
from tal_jax.annotation.web.requests import ById, MoreIn, ReasonIn, RemarksQuery


def _ask_again(call: Call) -> Done:
  second_thoughts.ask_again(call.campaign, call.worker.id, call.path.id, call.body.answers)
  return Done()


def _exclude(call: Call) -> Done:
  exclusions.exclude_by_operator(call.campaign, call.worker.id, call.path.id, call.body.reason)
  return Done()


def _include(call: Call) -> Done:
  exclusions.include(call.campaign, call.worker.id, call.path.id)
  return Done()


def _leave_out(call: Call) -> LeftOutOut:
  if call.path.id == call.worker.id:
    raise Conflict("these are your own answers; another operator must leave them out")
  return LeftOutOut(*second_thoughts.leave_answers_out(
      call.campaign, call.worker.id, call.path.id))


def _reinstate(call: Call) -> Done:
  second_thoughts.reinstate(call.campaign, call.worker.id, call.path.id)
  return Done()


def _remarks(call: Call) -> Remarks:
  with call.campaign.store.read() as db:
    total, found = remarks.remarks(db, worker_id=call.query.worker, offset=call.query.offset,
                                   limit=call.query.limit)
  return Remarks(total, [RemarkOut(*remark) for remark in found])


_WORKER = "/api/workers/{id}"
OPERATIONS = (
    Operation("POST", "/api/tasks/{id}/ask_again", "Gives a task that is decided or in dispute "
              "back to the annotators", _ask_again, Done, path_type=ById, body_type=MoreIn,
              refusals=(409,)),
    Operation("POST", "/api/videos/{id}/exclude", "Leaves a video out: it is no example of "
              "anything", _exclude, Done, path_type=ById, body_type=ReasonIn, refusals=(409,)),
    Operation("POST", "/api/videos/{id}/include", "Takes an exclusion back", _include, Done,
              path_type=ById, refusals=(409,)),
    Operation("POST", _WORKER + "/leave_out", "Ends a worker's link, and counts none of their "
              "answers", _leave_out, LeftOutOut, path_type=ById, refusals=(409,)),
    Operation("POST", _WORKER + "/reinstate", "Lets a stopped worker work again; their answers "
              "count again", _reinstate, Done, path_type=ById, refusals=(409,)),
    Operation("GET", "/api/remarks", "Comments, skips and unusable videos, the last first",
              _remarks, Remarks, query_type=RemarksQuery),
)
