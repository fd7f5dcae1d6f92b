"""The way back of an annotator: their answers to what is undecided, a correction, an undo.

A correction is a new version of an answer (`versions`); it may settle the task. Undo takes the last
submission back, also if it decided its tasks: the worker is at that video again, and what they were
at comes back later. An answer that was taken back does not count until it is given again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from tal_jax.annotation import rows, store, versions
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict, InvalidAnswer, NotFound
from tal_jax.annotation.rules import closing, leases, states
from tal_jax.annotation.rules.counting import STANDS, Given, counting, given_by
from tal_jax.annotation.rules.decisions import judge, settle
from tal_jax.annotation.rules.exclusions import MAX_REASON
from tal_jax.annotation.rules.standing import STOPPED, standing

UNDO_SECONDS = 10.0  # for which a page offers to undo a submission
_GRACE = 20.0  # seconds that the request may take beyond that
# A gold task is never decided; so that nothing tells it from others, it leaves the list as they do.
_GOLD_STAYS = 3
_CLOSED = json.dumps(states.CLOSED)


def open_answers(db: sqlite3.Connection, worker_id: int) -> list[Given]:
  """The worker's answers that they may correct, the last first."""
  found = db.execute(
      "SELECT a.task_id FROM assignments a JOIN tasks t ON t.id = a.task_id "
      "WHERE a.worker_id = :worker AND t.state NOT IN (SELECT value FROM json_each(:closed)) "
      f"AND {STANDS} "
      "AND (NOT t.is_gold OR :stays > (SELECT COUNT(*) FROM assignments b "
      "WHERE b.worker_id = :worker AND b.id > a.id)) ORDER BY a.id DESC",
      {"worker": worker_id, "closed": _CLOSED, "stays": _GOLD_STAYS}).fetchall()
  return [given_by(db, worker_id, row["task_id"]) for row in found]


def correct(campaign: Campaign, worker_id: int, given: Mapping[int, rows.Segments],
            submission_id: str, comment: str = "", unusable: str = "") -> bool:
  """Stores new versions of answers to tasks that are undecided, all or none.

  Args:
    given: task -> segments, and the rest as `answers.submit_all` takes it.

  Returns:
    Whether it was stored before.

  Raises:
    Conflict: a task is decided, two are of different videos, the worker was stopped, or the id was
      used for something else.
    InvalidAnswer: as `answers.submit_all`.
    NotFound: the worker has not answered one of the tasks.
  """
  rows.require_text(submission_id, "a submission's id", 64, least=1)
  rows.require_text(comment, "a comment", campaign.policy.max_comment)
  rows.require_text(unusable, "a reason", MAX_REASON)
  if not given or (unusable and any(given.values())):
    raise InvalidAnswer("a correction is of one task at least, without segments if unusable")
  with campaign.store.write() as db:
    now = campaign.clock()
    clean = {task: rows.clean(db, task, given[task], campaign.policy) for task in sorted(given)}
    rows.require_one_video(db, clean)
    if versions.replay(db, worker_id, clean, submission_id, comment, unusable):
      return True
    may = {answer.task_id: answer.assignment_id for answer in open_answers(db, worker_id)}
    for task_id, segments in clean.items():
      if given_by(db, worker_id, task_id) is None:
        raise NotFound(f"task {task_id} has no answer of yours")
      if task_id not in may or standing(db, campaign.policy, worker_id).state == STOPPED:
        raise Conflict("this was decided meanwhile: your answer cannot be changed any more")
      versions.add(db, may[task_id], submission_id, segments, comment, unusable, now)
      store.log(db, "tasks.corrected", task_id, now=now, worker_id=worker_id)
    judge(db, clean, campaign.policy, now)
    for task_id in clean:
      settle(db, task_id, campaign.policy, now)
  return False


def undo(campaign: Campaign, worker_id: int, submission_id: str) -> list[int]:
  """Takes the worker's last submission back; they are at its video again.

  Returns:
    The tasks of the video that they hold, ascending.

  Raises:
    NotFound: no such submission of this worker.
    Conflict: it is too long ago, an operator has decided a task of it or taken it out of the queue,
      its video was left out, the worker was stopped, or a crowd pays for the answer.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    answers = [given_by(db, worker_id, task) for task in _tasks(db, worker_id, submission_id)]
    if not answers:
      raise NotFound("there is no such answer of yours")
    if any(a.at < now - UNDO_SECONDS - _GRACE or a.taken_back for a in answers):
      raise Conflict("this cannot be undone any more: it was submitted too long ago")
    state = {a.task_id: states.state(db, "tasks", a.task_id) for a in answers}
    if "excluded" in state.values():
      raise Conflict("this cannot be undone: the video was left out of the campaign; an operator "
                     "can include it again")
    if "adjudicated" in state.values() or leases.is_paid_by_task(
        db, worker_id) or standing(db, campaign.policy, worker_id).state == STOPPED:
      raise Conflict("this cannot be undone any more: it was decided by somebody else")
    leases.leave(db, worker_id, campaign.policy, now)
    for answer in answers:
      db.execute("INSERT INTO taken_back VALUES (?)", (answer.assignment_id,))
      store.log(db, "tasks.taken_back", answer.task_id, now=now, worker_id=worker_id)
      if state[answer.task_id] == "agreed":
        wanted = db.execute("SELECT wanted FROM tasks WHERE id = ?",
                            (answer.task_id,)).fetchone()["wanted"]
        closing.reopen(db, answer.task_id, now=now, worker_id=worker_id,
                       wanted=max(wanted, len(counting(db, answer.task_id)) + 1))
      else:
        settle(db, answer.task_id, campaign.policy, now)
    judge(db, state, campaign.policy, now)
    for task_id in state:
      if states.state(db, "tasks", task_id) != "open":
        raise Conflict("this cannot be undone any more: it was decided by somebody else")
      leases.grant(db, task_id, worker_id, campaign.policy, now)
    return sorted(state)


def _tasks(db, worker_id: int, submission_id: str) -> list[int]:
  """The tasks that the submission, or its version of an answer, was to."""
  return [row["task_id"] for row in db.execute(
      "SELECT a.task_id FROM assignments a WHERE a.worker_id = :worker AND (a.submission_id = :id "
      "OR a.id IN (SELECT assignment_id FROM together WHERE submission_id = :id) "
      "OR a.id IN (SELECT assignment_id FROM versions WHERE submission_id = :id)) "
      "ORDER BY a.task_id", {"worker": worker_id, "id": submission_id})]
