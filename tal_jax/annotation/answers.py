"""Answers on their way in: drafts and submissions.

The states and their steps are described in `campaign`; what the answers amount to is in
`decisions`.
"""

from __future__ import annotations

from typing import NamedTuple

from tal_jax.annotation import quality, rows, states, store
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.decisions import requeue, settle
from tal_jax.annotation.errors import Conflict, InvalidAnswer, LeaseLost
from tal_jax.annotation.leases import hold
from tal_jax.annotation.standing import STOPPED, standing


class Draft(NamedTuple):
  revision: int
  body: str


class Receipt(NamedTuple):
  """Of an answer that is on the disk."""

  assignment_id: int
  replayed: bool  # it was there before


def save_draft(campaign: Campaign, worker_id: int, task_id: int, draft: Draft) -> bool:
  """Keeps the draft unless one of the same or a later revision is there; whether it was kept.

  Taken also when the lease has expired (nothing is lost), not once it was submitted or released.

  Raises:
    InvalidAnswer: too long, or a revision that is not a count.
    LeaseLost: the worker has no claim to the task.
  """
  rows.require_text(draft.body, "a draft", campaign.policy.max_draft)
  if not isinstance(draft.revision, int) or not 0 <= draft.revision < 2**53:
    raise InvalidAnswer("a draft's revision counts up from 0")
  with campaign.store.write() as db:
    last = db.execute("SELECT state FROM leases WHERE worker_id = ? AND task_id = ? "
                      "ORDER BY id DESC LIMIT 1", (worker_id, task_id)).fetchone()
    if last is None or last["state"] not in ("held", "expired"):
      raise LeaseLost(f"task {task_id} is not, or no longer, yours")
    return db.execute(
        "INSERT INTO drafts (task_id, worker_id, revision, body, saved_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (task_id, worker_id) DO UPDATE SET revision = excluded.revision, "
        "body = excluded.body, saved_at = excluded.saved_at WHERE excluded.revision > revision",
        (task_id, worker_id, *draft, campaign.clock())).rowcount > 0


def load_draft(campaign: Campaign, worker_id: int, task_id: int) -> Draft | None:
  with campaign.store.read() as db:
    row = db.execute("SELECT revision, body FROM drafts WHERE worker_id = ? AND task_id = ?",
                     (worker_id, task_id)).fetchone()
    return row and Draft(*row)


def submit(campaign: Campaign, worker_id: int, task_id: int, submission_id: str,
           segments: rows.Segments, comment: str = "") -> Receipt:
  """Stores an answer; acknowledged, by returning, only after it is on the disk.

  The last answer that a task wants also decides it, in the same transaction. The answer may also
  stop workers (`standing`): tasks that they answered and that are undecided get one more place.

  Args:
    campaign: where.
    worker_id: who answers; has, or had and nobody took it, a lease on the task.
    task_id: what is answered.
    submission_id: 1 to 64 characters chosen by the client, one a submission.
    segments: all instances of the class in the video, a list of pairs of seconds; an empty list
      says "the action is not here".
    comment: to the operator.

  Raises:
    InvalidAnswer: segments outside the video or without length, too many; a bad comment or id.
    Conflict: the id was used for something else, or the worker answered the task before.
    LeaseLost: the worker has no claim to the task.
    NotFound: no such task.
  """
  policy = campaign.policy
  rows.require_text(submission_id, "a submission's id", 64, least=1)
  rows.require_text(comment, "a comment", policy.max_comment)
  with campaign.store.write() as db:
    now = campaign.clock()
    given = rows.clean(db, task_id, segments, policy)
    known = db.execute("SELECT * FROM assignments WHERE submission_id = ?",
                       (submission_id,)).fetchone()
    if known:
      if (known["worker_id"], known["task_id"], known["comment"]) != (
          worker_id, task_id, comment) or rows.segments_of(db, known["id"]) != given:
        raise Conflict("this submission's id was used for another answer")
      return Receipt(known["id"], True)
    if db.execute("SELECT 1 FROM assignments WHERE task_id = ? AND worker_id = ?",
                  (task_id, worker_id)).fetchone():
      raise Conflict(f"task {task_id} has your answer already")
    lease = hold(db, worker_id, task_id, policy, now)
    assignment_id = db.execute(
        "INSERT INTO assignments (submission_id, task_id, worker_id, lease_id, comment, "
        "submitted_at) VALUES (?, ?, ?, ?, ?, ?)",
        (submission_id, task_id, worker_id, lease["id"], comment, now)).lastrowid
    db.executemany('INSERT INTO segments (task_id, assignment_id, start, "end", source) '
                   "VALUES (?, ?, ?, ?, 'worker')",
                   [(task_id, assignment_id, *s) for s in given])
    states.move(db, "leases", lease["id"], "submitted", now=now, worker_id=worker_id,
                task=task_id, assignment=assignment_id)
    db.execute("DELETE FROM drafts WHERE task_id = ? AND worker_id = ?", (task_id, worker_id))
    _judge(db, task_id, assignment_id, policy, now)
    settle(db, task_id, policy, now)
  return Receipt(assignment_id, False)


def _judge(db, task_id: int, assignment_id: int, policy: Policy, now: float) -> None:
  """Scores the answer; whoever is stopped by that has their undecided answers backed up."""
  workers = [row[0] for row in db.execute(
      "SELECT worker_id FROM assignments WHERE task_id = ?", (task_id,))]
  before = {worker: standing(db, policy, worker).state for worker in workers}
  for worker in quality.score(db, assignment_id, policy):
    after = standing(db, policy, worker)
    if after.state == STOPPED != before[worker]:
      store.log(db, "workers.stopped", worker, now=now, reason=after.reason)
      requeue(db, worker, policy, now)
