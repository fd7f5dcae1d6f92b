"""What the answers to a task amount to: consensus, one more answer, or the operator's word.

The states and their steps are described in `campaign`.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import rows, states, store
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.consensus import consensus
from tal_jax.annotation.errors import Conflict, IllegalTransition
from tal_jax.annotation.workers import require_operator


class FinalAnswer(NamedTuple):
  """What a decided task says."""

  video: str
  label: str
  state: str  # "agreed" or "adjudicated"
  agreement: float | None  # of the task; None if an operator took it before any answers were in
  segments: tuple[rows.FinalSegment, ...]  # by start


def settle(db: sqlite3.Connection, task_id: int, policy: Policy, now: float) -> None:
  """Decides a task that has all the answers it wants; asks for one more where they differ.

  Part of the caller's transaction, which stored the answer. A gold task is never decided.
  """
  answers = rows.answers_of(db, task_id)
  wanted, is_gold = db.execute("SELECT wanted, is_gold FROM tasks WHERE id = ?",
                               (task_id,)).fetchone()
  if is_gold or len(answers) < wanted:
    return
  states.move(db, "tasks", task_id, "submitted", now=now)
  result = consensus(list(answers.values()), cluster_tiou=policy.cluster_tiou,
                     match_tiou=policy.match_tiou)
  db.execute("UPDATE tasks SET agreement = ? WHERE id = ?", (result.agreement, task_id))
  if result.agreement >= policy.min_agreement:
    states.move(db, "tasks", task_id, "agreed", now=now, agreement=result.agreement)
    db.executemany(
        'INSERT INTO segments (task_id, start, "end", source, agreement, support) '
        "VALUES (?, ?, ?, 'consensus', ?, ?)",
        [(task_id, float(s), float(e), float(a), float(p)) for (s, e), a, p in
         zip(result.segments, result.instance_agreement, result.support, strict=True)])
    _close(db, task_id, now)
  elif wanted < policy.max_annotators:
    db.execute("UPDATE tasks SET wanted = wanted + 1 WHERE id = ?", (task_id,))
    states.move(db, "tasks", task_id, "open", now=now, agreement=result.agreement)
  else:
    states.move(db, "tasks", task_id, "disputed", now=now, agreement=result.agreement)


def requeue(db: sqlite3.Connection, worker_id: int, policy: Policy, now: float) -> None:
  """One more answer, up to the policy's limit, for what a stopped worker answered and is undecided.

  Their answer stays and is outvoted; to take answers back would make a decision depend on when it
  was made. Part of the caller's transaction.
  """
  for task in db.execute(
      "SELECT t.id, t.state FROM assignments a JOIN tasks t ON t.id = a.task_id "
      "WHERE a.worker_id = ? AND t.is_gold = 0 AND t.state IN ('open', 'leased') AND t.wanted < ? "
      "ORDER BY t.id", (worker_id, policy.max_annotators)).fetchall():
    db.execute("UPDATE tasks SET wanted = wanted + 1 WHERE id = ?", (task["id"],))
    store.log(db, "tasks.requeued", task["id"], now=now, worker_id=worker_id)
    if task["state"] == "leased":
      states.move(db, "tasks", task["id"], "open", now=now)


def _close(db, task_id: int, now: float) -> None:
  """Labels the video and completes the round if this was their last task."""
  task = db.execute("SELECT round_id, video_id FROM tasks WHERE id = ?", (task_id,)).fetchone()
  for table, column, before, after in (("videos", "video_id", "asked", "labelled"),
                                       ("rounds", "round_id", "open", "complete")):
    left = db.execute(f"SELECT COUNT(*) FROM tasks WHERE {column} = ? AND state NOT IN (?, ?)",
                      (task[column], *states.DECIDED)).fetchone()[0]
    if not left and states.state(db, table, task[column]) == before:
      states.move(db, table, task[column], after, now=now)


def dispute(campaign: Campaign, operator_id: int, task_id: int) -> None:
  """Takes an open task that nobody is at out of the queue, to be adjudicated.

  Raises Forbidden, IllegalTransition, NotFound, or Conflict while a worker is at it.
  """
  with campaign.store.write() as db:
    require_operator(db, operator_id)
    if db.execute("SELECT 1 FROM tasks WHERE id = ? AND is_gold = 1", (task_id,)).fetchone():
      raise IllegalTransition(f"task {task_id} is gold: its answer is known")
    if db.execute("SELECT 1 FROM leases WHERE task_id = ? AND state = 'held'",
                  (task_id,)).fetchone():
      raise Conflict(f"a worker is at task {task_id}: wait until they are done")
    states.move(db, "tasks", task_id, "disputed", now=campaign.clock(), worker_id=operator_id)


def adjudicate(campaign: Campaign, operator_id: int, task_id: int, segments: rows.Segments) -> None:
  """The operator's answer decides a disputed task, or corrects a decided one.

  What it replaces stays in the log. Raises Forbidden, IllegalTransition, InvalidAnswer, NotFound.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    require_operator(db, operator_id)
    given = rows.clean(db, task_id, segments, campaign.policy)
    before = [tuple(s)[:3] for s in rows.final_segments(db, task_id)]
    states.move(db, "tasks", task_id, "adjudicated", now=now, worker_id=operator_id,
                replaced=before, segments=given)
    db.execute("DELETE FROM segments WHERE task_id = ? AND assignment_id IS NULL", (task_id,))
    db.executemany('INSERT INTO segments (task_id, start, "end", source) '
                   "VALUES (?, ?, ?, 'adjudication')", [(task_id, *s) for s in given])
    _close(db, task_id, now)


def final_answers(campaign: Campaign, round_number: int) -> list[FinalAnswer]:
  """The decided tasks of a round, in the learner's order. Raises NotFound."""
  with campaign.store.read() as db:
    states.state(db, "rounds", round_number)
    tasks = db.execute(
        "SELECT t.id, v.name AS video, c.name AS label, t.state, t.agreement FROM tasks t "
        "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
        "WHERE t.round_id = ? AND t.state IN (?, ?) ORDER BY t.id",
        (round_number, *states.DECIDED)).fetchall()
    return [FinalAnswer(*task[1:], tuple(rows.final_segments(db, task[0]))) for task in tasks]
