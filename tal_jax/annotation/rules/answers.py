"""Answers on their way in: drafts and submissions.

The states and their steps are described in `campaign`; what the answers amount to is in
`decisions`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from tal_jax.annotation import rows, versions
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict, InvalidAnswer, LeaseLost
from tal_jax.annotation.rules import states
from tal_jax.annotation.rules.counting import given_by
from tal_jax.annotation.rules.decisions import judge, settle
from tal_jax.annotation.rules.exclusions import MAX_REASON
from tal_jax.annotation.rules.leases import hold, is_at_work


class Draft(NamedTuple):
  revision: int
  body: str


class Receipt(NamedTuple):
  """Of an answer that is on the disk."""

  assignment_id: int
  replayed: bool  # it was there before


def save_draft(campaign: Campaign, worker_id: int, task_id: int, draft: Draft) -> bool:
  """Keeps the draft unless one of the same or a later revision is there; whether it was kept.

  A worker has one draft of a video, whichever of its tasks it is saved and loaded by. It is taken
  also when the lease has expired (nothing is lost), not once it was submitted or released.

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
        (_draft_task(db, task_id), worker_id, *draft, campaign.clock())).rowcount > 0


def load_draft(campaign: Campaign, worker_id: int, task_id: int) -> Draft | None:
  with campaign.store.read() as db:
    row = db.execute("SELECT revision, body FROM drafts WHERE worker_id = ? AND task_id = ?",
                     (worker_id, _draft_task(db, task_id))).fetchone()
    return row and Draft(*row)


def submit(campaign: Campaign, worker_id: int, task_id: int, submission_id: str,
           segments: rows.Segments, comment: str = "", unusable: str = "") -> Receipt:
  """`submit_all` of one task; what else the worker's visit holds stays theirs."""
  return submit_all(campaign, worker_id, {task_id: segments}, submission_id, comment, unusable)


def submit_all(campaign: Campaign, worker_id: int, given: Mapping[int, rows.Segments],
               submission_id: str, comment: str = "", unusable: str = "") -> Receipt:
  """Stores the answers to tasks of a visit, all or none; acknowledged, by returning, only after
  they are on the disk.

  The last answer that a task wants also decides it, in the same transaction. That may also stop
  workers (`standing`), whose answers to undecided tasks do not count any more.

  Args:
    campaign: where.
    worker_id: who answers; has, or had and nobody took it, a lease on each of the tasks.
    given: task -> all instances of its class in the video, a list of pairs of seconds; an empty
      list says "the action is not here".
    submission_id: 1 to 64 characters chosen by the client, one a submission.
    comment: to the operator; kept with each of the answers.
    unusable: why the video cannot be judged, which is an answer of its own, without segments; "":
      it can. Enough of them exclude the video (`decisions.settle`).

  Returns:
    The receipt of the first task's answer.

  Raises:
    InvalidAnswer: no task; segments outside the video or without length, too many, or any in a
      video that is unusable; a bad comment, reason or id.
    Conflict: tasks of two videos, the id was used for something else, or the worker answered one of
      the tasks before.
    LeaseLost: the worker has no claim to one of the tasks.
    NotFound: no such task.
  """
  policy = campaign.policy
  rows.require_text(submission_id, "a submission's id", 64, least=1)
  rows.require_text(comment, "a comment", policy.max_comment)
  rows.require_text(unusable, "a reason", MAX_REASON)
  if unusable and any(given.values()):
    raise InvalidAnswer("a video that is unusable has no segments")
  if not given:
    raise InvalidAnswer("a submission answers one task at least")
  with campaign.store.write() as db:
    now = campaign.clock()
    clean = {task: rows.clean(db, task, given[task], policy) for task in sorted(given)}
    rows.require_one_video(db, clean)
    replayed = versions.replay(db, worker_id, clean, submission_id, comment, unusable)
    if replayed:
      return Receipt(replayed, True)
    stored = {}
    for task_id, segments in clean.items():
      before = given_by(db, worker_id, task_id)
      if before and not before.taken_back:
        raise Conflict(f"task {task_id} has your answer already")
      lease = hold(db, worker_id, task_id, policy, now)
      if before:
        versions.add(db, before.assignment_id, submission_id, segments, comment, unusable, now)
        states.move(db, "leases", lease["id"], "submitted", now=now, worker_id=worker_id,
                    task=task_id, assignment=before.assignment_id)
        stored[task_id] = before.assignment_id
        continue
      stored[task_id] = _store(db, lease, segments, submission_id, comment, now,
                               alone=len(clean) == 1)
      if unusable:
        db.execute("INSERT INTO unusable VALUES (?, ?)", (stored[task_id], unusable))
    if not is_at_work(db, worker_id):
      db.execute("DELETE FROM drafts WHERE task_id = ? AND worker_id = ?",
                 (_draft_task(db, min(clean)), worker_id))
    judge(db, stored, policy, now)
    for task_id in stored:
      settle(db, task_id, policy, now)
  return Receipt(stored[min(clean)], False)


def _store(db, lease: sqlite3.Row, segments: rows.Segments, submission_id: str, comment: str,
           now: float, *, alone: bool) -> int:
  """One answer, whose id is made from its submission's where it is not `alone` in it."""
  task_id, worker_id = lease["task_id"], lease["worker_id"]
  own_id = submission_id if alone else f"{submission_id}/{task_id}"
  if db.execute("SELECT 1 FROM assignments WHERE submission_id = ?", (own_id,)).fetchone():
    raise Conflict("this submission's id was used for another answer")
  assignment_id = db.execute(
      "INSERT INTO assignments (submission_id, task_id, worker_id, lease_id, comment, "
      "submitted_at) VALUES (?, ?, ?, ?, ?, ?)",
      (own_id, task_id, worker_id, lease["id"], comment, now)).lastrowid
  if not alone:
    db.execute("INSERT INTO together VALUES (?, ?)", (assignment_id, submission_id))
  db.executemany('INSERT INTO segments (task_id, assignment_id, start, "end", source) '
                 "VALUES (?, ?, ?, ?, 'worker')", [(task_id, assignment_id, *s) for s in segments])
  states.move(db, "leases", lease["id"], "submitted", now=now, worker_id=worker_id,
              task=task_id, assignment=assignment_id)
  return assignment_id


def _draft_task(db, task_id: int) -> int | None:
  """The task that the drafts of a video are kept at: its first; None without such a task."""
  return db.execute("SELECT MIN(o.id) FROM tasks t JOIN tasks o ON o.video_id = t.video_id "
                    "WHERE t.id = ?", (task_id,)).fetchone()[0]
