"""What an operator takes back: a decision, a person's answers, a stop.

Each function is one transaction. What the learner took of a round, it keeps: the data set has a new
decision at once, the learner when it starts again from the beginning.
"""

from __future__ import annotations

from typing import NamedTuple

from tal_jax.annotation import store, workers
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.errors import IllegalTransition, InvalidAnswer
from tal_jax.annotation.rules import closing, decisions, standing, states
from tal_jax.annotation.rules.counting import counting, given
from tal_jax.annotation.workers import require_operator

MOST_MORE = 20  # answers to be asked for again


class LeftOut(NamedTuple):
  """What came of the tasks that a person answered and that annotators had decided."""

  merged: int  # again, from the other answers
  asked: int  # of annotators again, since the others do not agree or are too few


def ask_again(campaign: Campaign, operator_id: int, task_id: int, more: int = 1) -> None:
  """Gives a task that is decided or in dispute back to the annotators; it has no final answer then.

  Args:
    more: answers that are wanted beside those that count, 1 to MOST_MORE.

  Raises:
    Forbidden: not an operator.
    IllegalTransition: the task is with the annotators, or its video is excluded.
    InvalidAnswer: `more` out of range.
    NotFound: no such task.
  """
  if not 1 <= more <= MOST_MORE:
    raise InvalidAnswer(f"1 to {MOST_MORE} more answers can be asked for")
  with campaign.store.write() as db:
    require_operator(db, operator_id)
    if states.state(db, "tasks", task_id) == "excluded":
      raise IllegalTransition(f"the video of task {task_id} is excluded: include it first")
    now = campaign.clock()
    closing.reopen(db, task_id, wanted=len(given(db, task_id)) + more, now=now,
                   worker_id=operator_id)
    decisions.judge(db, [task_id], campaign.policy, now)  # the answers of more people may count now
    closing.want(db, task_id, len(counting(db, task_id)) + more)


def leave_answers_out(campaign: Campaign, operator_id: int, worker_id: int) -> LeftOut:
  """Ends a person's link, and counts none of their answers.

  What they answered and is undecided is settled without them. What annotators had decided is merged
  again from the others' answers, or asked again where these do not agree. An operator's word
  stands.

  Raises:
    Forbidden: not an operator.
    Conflict: they are left out already.
    NotFound: no such worker.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    require_operator(db, operator_id)
    standing.leave_out(db, worker_id, operator_id=operator_id, now=now)
    workers.revoke(db, worker_id, now=now)
    for lease in db.execute("SELECT id, task_id FROM leases WHERE worker_id = ? "
                            "AND state = 'held'", (worker_id,)).fetchall():
      states.move(db, "leases", lease["id"], "released", now=now, task=lease["task_id"])
      decisions.settle(db, lease["task_id"], campaign.policy, now)
    decisions.recount(db, worker_id, campaign.policy, now)
    tasks = [row["id"] for row in db.execute(
        "SELECT t.id FROM assignments a JOIN tasks t ON t.id = a.task_id "
        "WHERE a.worker_id = ? AND t.state = 'agreed' ORDER BY t.id", (worker_id,))]
    done = [_without(db, task_id, campaign.policy, now, operator_id) for task_id in tasks]
  return LeftOut(*(done.count(kind) for kind in LeftOut._fields))


def reinstate(campaign: Campaign, operator_id: int, worker_id: int) -> None:
  """Lets a stopped worker work again; their answers count again where nothing is decided yet.

  Raises Conflict unless the worker is stopped, Forbidden.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    require_operator(db, operator_id)
    standing.reinstate(db, campaign.policy, worker_id, operator_id=operator_id, now=now)
    decisions.recount(db, worker_id, campaign.policy, now)
    decisions.reconsider(db, campaign.policy, now)


def _without(db, task_id: int, policy: Policy, now: float, operator_id: int) -> str:
  """One of LeftOut's fields."""
  answers = counting(db, task_id)
  result = decisions.merge(answers, policy) if answers else None
  if result and result.majority and not result.unusable and (
      len(answers) >= min(2, policy.annotators)):
    store.log(db, "tasks.merged", task_id, now=now, worker_id=operator_id,
              replaced=closing.drop_final(db, task_id))
    decisions.put_consensus(db, task_id, result)
    decisions.judge(db, [task_id], policy, now)
    return "merged"
  wanted = db.execute("SELECT wanted FROM tasks WHERE id = ?", (task_id,)).fetchone()["wanted"]
  closing.reopen(db, task_id, wanted=max(wanted, len(answers) + 1), now=now, worker_id=operator_id)
  decisions.judge(db, [task_id], policy, now)
  return "asked"
