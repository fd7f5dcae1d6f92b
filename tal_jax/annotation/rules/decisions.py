"""What the answers to a task amount to: consensus, one more answer, or the operator's word.

The states and their steps are described in `campaign`. Which answers count is in `counting`. What
they amount to follows from the answers that count, so it is looked at again whenever these change:
a new or corrected answer, a worker who is stopped or reinstated. A decision stands, whoever is
stopped later; an operator may take it back (`second_thoughts`).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tal_jax.annotation import rows
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.errors import Conflict, IllegalTransition
from tal_jax.annotation.rules import closing, people, quality, standing, states
from tal_jax.annotation.rules.consensus import Consensus, consensus
from tal_jax.annotation.rules.counting import Given, counting
from tal_jax.annotation.workers import require_operator


class FinalAnswer(NamedTuple):
  """What a decided task says."""

  video: str
  label: str
  state: str  # "agreed" or "adjudicated"
  agreement: float | None  # of the task; None if an operator took it before any answers were in
  segments: tuple[rows.FinalSegment, ...]  # by start


def settle(db: sqlite3.Connection, task_id: int, policy: Policy, now: float) -> None:
  """Brings the state of a task in line with the answers that count.

  While fewer count than are wanted, it is open. With all of them it is agreed if a majority agrees;
  else it wants one answer more, if there may be more and somebody is left to give it; else it is in
  dispute. Where more than half of the answers wanted say that the video cannot be judged, the video
  is excluded. Part of the caller's transaction. A gold task is never decided, and a task that is
  closed, or that an operator took out of the queue, stays as it is.
  """
  state, wanted, is_gold, video_id = db.execute(
      "SELECT state, wanted, is_gold, video_id FROM tasks WHERE id = ?", (task_id,)).fetchone()
  if is_gold or state in states.CLOSED or (state == "disputed" and _is_taken_out(db, task_id)):
    return
  answers = counting(db, task_id)
  reasons = [answer.unusable for answer in answers if answer.unusable]
  if 2 * len(reasons) > wanted:
    exclude(db, video_id, _most_common(reasons), policy, now, source="annotators")
    return
  held = db.execute("SELECT COUNT(*) FROM leases WHERE task_id = ? AND state = 'held'",
                    (task_id,)).fetchone()[0]
  if len(answers) < wanted or held:  # who is at work may finish
    _move_to(db, task_id, state, "open" if wanted > len(answers) + held else "leased", now)
  else:
    _decide(db, task_id, state, answers, policy, now)


def exclude(db: sqlite3.Connection, video_id: int, reason: str, policy: Policy, now: float, *,
            source: str, operator_id: int | None = None) -> bool:
  """Leaves the video out (`closing.leave_out`); part of the caller's transaction.

  Returns:
    Whether it was not before.
  """
  if states.state(db, "videos", video_id) == "excluded":
    return False
  judge(db, closing.leave_out(db, video_id, reason, source=source, now=now,
                              operator_id=operator_id), policy, now)
  return True


def merge(answers: Sequence[Given], policy: Policy) -> Consensus:
  """The consensus of one answer or more."""
  return consensus([answer.answer for answer in answers], cluster_tiou=policy.cluster_tiou,
                   match_tiou=policy.match_tiou, min_agreement=policy.min_agreement)


def agreeing(answers: Sequence[Given], policy: Policy) -> list[Given]:
  """The largest set of the answers that count of which each two agree; none if no two do."""
  counted = [answer for answer in answers if answer.counts]
  if not counted:
    return []
  return [answer for answer, agrees in zip(counted, merge(counted, policy).agreeing, strict=True)
          if agrees]


def judge(db: sqlite3.Connection, task_ids: Iterable[int], policy: Policy, now: float) -> None:
  """Scores the answers to tasks, of which some are new or whose final answer is.

  Whoever is stopped by that, or may work again, has what they answered and is undecided settled
  anew. Part of the caller's transaction.
  """
  for task_id in task_ids:
    for worker_id in quality.score(db, task_id, policy):
      recount(db, worker_id, policy, now)


def recount(db: sqlite3.Connection, worker_id: int, policy: Policy, now: float) -> None:
  """Settles again what the worker answered and is undecided, if they were stopped or no longer are.

  Part of the caller's transaction.
  """
  if standing.note(db, policy, worker_id, now):
    for row in db.execute("SELECT t.id FROM assignments a JOIN tasks t ON t.id = a.task_id "
                          "WHERE a.worker_id = ? ORDER BY t.id", (worker_id,)).fetchall():
      _want_as_at_first(db, row["id"], policy)
      settle(db, row["id"], policy, now)


def recount_all(campaign: Campaign) -> None:
  """Follows a policy that changed while the campaign was not running; else changes nothing."""
  with campaign.store.write() as db:
    now = campaign.clock()
    unscored = [row["id"] for row in db.execute(
        "SELECT DISTINCT t.id FROM tasks t JOIN assignments a ON a.task_id = t.id "
        "JOIN scores s ON s.assignment_id = a.id WHERE t.state IN (?, ?) AND s.others = 0",
        states.DECIDED)]
    judge(db, unscored, campaign.policy, now)
    for row in db.execute("SELECT id FROM workers ORDER BY id").fetchall():
      recount(db, row["id"], campaign.policy, now)
    reconsider(db, campaign.policy, now)


def reconsider(db: sqlite3.Connection, policy: Policy, now: float) -> None:
  """Settles again what is in dispute: there may be somebody now who has yet to answer it.

  What an operator took out of the queue stays theirs. Part of the caller's transaction.
  """
  for row in db.execute("SELECT id FROM tasks WHERE state = 'disputed' ORDER BY id").fetchall():
    settle(db, row["id"], policy, now)


def put_consensus(db: sqlite3.Connection, task_id: int, result: Consensus) -> None:
  """Stores what the annotators agree on as the final answer, and how many they were."""
  db.execute("UPDATE tasks SET agreement = ? WHERE id = ?", (result.agreement, task_id))
  db.execute("INSERT INTO merged VALUES (?, ?) ON CONFLICT (task_id) DO UPDATE SET "
             "answers = excluded.answers", (task_id, len(result.agreeing)))
  closing.put_final(db, task_id, "consensus", [
      (float(s), float(e), float(a), float(p)) for (s, e), a, p in
      zip(result.segments, result.instance_agreement, result.support, strict=True)])


def _want_as_at_first(db, task_id: int, policy: Policy) -> None:
  """Forgets the answers that were wanted in addition since those so far did not agree."""
  db.execute("UPDATE tasks SET wanted = COALESCE((SELECT wanted FROM asked_again "
             "WHERE task_id = id), ?) WHERE id = ? AND state NOT IN (?, ?, ?) AND NOT is_gold",
             (policy.annotators, task_id, *states.CLOSED))


def _decide(db, task_id: int, state: str, answers: Sequence[Given], policy: Policy,
            now: float) -> None:
  result = merge(answers, policy)
  db.execute("UPDATE tasks SET agreement = ? WHERE id = ?", (result.agreement, task_id))
  more = len(answers) < policy.max_annotators and people.another(db, policy, task_id, now)
  if state == "disputed":
    if not result.majority and not more:
      return
    states.move(db, "tasks", task_id, "open", now=now)
  states.move(db, "tasks", task_id, "submitted", now=now)
  if result.majority:
    states.move(db, "tasks", task_id, "agreed", now=now, agreement=result.agreement)
    put_consensus(db, task_id, result)
    closing.close(db, task_id, now)
    judge(db, [task_id], policy, now)
  elif more:
    db.execute("UPDATE tasks SET wanted = ? WHERE id = ?", (len(answers) + 1, task_id))
    states.move(db, "tasks", task_id, "open", now=now, agreement=result.agreement)
  else:
    states.move(db, "tasks", task_id, "disputed", now=now, agreement=result.agreement)


def _move_to(db, task_id: int, state: str, to: str, now: float) -> None:
  """To open or leased, from either or from a dispute."""
  if state == "disputed":
    states.move(db, "tasks", task_id, "open", now=now)
    state = "open"
  if state != to:
    states.move(db, "tasks", task_id, to, now=now)


def _is_taken_out(db, task_id: int) -> bool:
  """Whether it was an operator who took a task in dispute out of the queue."""
  return db.execute("SELECT worker_id FROM events WHERE kind = 'tasks.disputed' AND subject_id = ? "
                    "ORDER BY id DESC LIMIT 1", (task_id,)).fetchone()["worker_id"] is not None


def _most_common(reasons: Sequence[str]) -> str:
  """The reason that most gave; of equally many the first."""
  return Counter(reasons).most_common(1)[0][0]


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
    states.move(db, "tasks", task_id, "adjudicated", now=now, worker_id=operator_id,
                replaced=closing.drop_final(db, task_id), segments=given)
    closing.put_final(db, task_id, "adjudication", [(*s, None, None) for s in given])
    closing.close(db, task_id, now)
    judge(db, [task_id], campaign.policy, now)


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
