"""The way back of an annotator: skip and later, own answers, corrections, undo."""

from __future__ import annotations

from tal_jax.annotation.errors import InvalidAnswer, NotFound
from tal_jax.annotation.rules import corrections, leases
from tal_jax.annotation.rules.counting import Given
from tal_jax.annotation.web import tasks
from tal_jax.annotation.web.messages import (
  Corrected,
  Done,
  OwnAnswer,
  OwnAnswers,
  OwnAnswerTask,
  Undone,
)
from tal_jax.annotation.web.operations import Call, Operation
from tal_jax.annotation.web.requests import AnswerIn, ById, SkipIn, SubmissionIn


def _skip(call: Call) -> Done:
  leases.release(call.campaign, call.worker.id, call.path.id, call.body.reason, call.body.comment)
  return Done()


def _later(call: Call) -> Done:
  leases.put_off(call.campaign, call.worker.id, call.path.id)
  return Done()


def _mine(call: Call) -> OwnAnswers:
  with call.campaign.store.read() as db:
    found = corrections.open_answers(db, call.worker.id)
    return OwnAnswers([_own(tasks.lane(db, call.site, answer.task_id).label, answer,
                            tasks.video_name(db, answer.task_id)) for answer in found])


def _one(call: Call) -> OwnAnswerTask:
  with call.campaign.store.read() as db:
    found = {answer.task_id: answer for answer in corrections.open_answers(db, call.worker.id)}
    answer = found.get(call.path.id)
    if answer is None:
      raise NotFound("this was decided meanwhile, or is no answer of yours")
    task = tasks.view(db, call.site, call.worker.id, call.path.id)
  return OwnAnswerTask(task, _own(task.label, answer, task.video.name))


def _own(label: str, answer: Given, video: str) -> OwnAnswer:
  return OwnAnswer(answer.task_id, video, label, list(answer.segments), answer.comment,
                   answer.unusable, answer.at, answer.version)


def _correct(call: Call) -> Corrected:
  given = {call.path.id: call.body.segments} | {
      other.task_id: other.segments for other in call.body.others}
  if len(given) < 1 + len(call.body.others):
    raise InvalidAnswer("a task is answered twice in one submission")
  return Corrected(corrections.correct(call.campaign, call.worker.id, given,
                                       call.body.submission_id, call.body.comment,
                                       call.body.unusable))


def _undo(call: Call) -> Undone:
  return Undone(corrections.undo(call.campaign, call.worker.id, call.body.submission_id))


_TASK = "/api/tasks/{id}"
OPERATIONS = (
    Operation("POST", _TASK + "/skip", "Gives the visit back unanswered, and says why", _skip, Done,
              path_type=ById, body_type=SkipIn, refusals=(409,)),
    Operation("POST", _TASK + "/later", "Ends the visit; the video comes back after the others",
              _later, Done, path_type=ById, refusals=(409,)),
    Operation("GET", "/api/mine", "Own answers to what is undecided, the last first", _mine,
              OwnAnswers),
    Operation("GET", "/api/mine/{id}", "An own answer, with its task", _one, OwnAnswerTask,
              path_type=ById),
    Operation("POST", _TASK + "/correct", "Stores new versions of own answers to what is undecided",
              _correct, Corrected, path_type=ById, body_type=AnswerIn, refusals=(409,)),
    Operation("POST", "/api/undo", "Takes the last submission back, within some seconds", _undo,
              Undone, body_type=SubmissionIn, refusals=(404, 409)),
)
