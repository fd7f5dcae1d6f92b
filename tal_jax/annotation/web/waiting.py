"""Why there is no task for somebody now, in the words of `messages.Next.waiting`."""

from __future__ import annotations

import sqlite3

from tal_jax.annotation import learner_status
from tal_jax.annotation.rules.may_take import MAY_TAKE
from tal_jax.annotation.rules.standing import QUALIFYING
from tal_jax.annotation.rules.states import CLOSED

_UNDECIDED = f"SELECT 1 FROM tasks t WHERE NOT t.is_gold AND t.state NOT IN {CLOSED}"
_PREPARING = "t.video_id IN (SELECT video_id FROM preparing)"
_GOLD_TO_COME = (
    f"SELECT 1 FROM tasks t WHERE t.is_gold AND {_PREPARING} AND t.video_id NOT IN "
    "(SELECT video_id FROM excluded)")


def is_undecided(db: sqlite3.Connection) -> bool:
  """Whether any task of a round waits for an answer or for an operator."""
  return _any(db, _UNDECIDED)


def reason(db: sqlite3.Connection, worker_id: int, standing: str, *, finished: bool) -> str:
  """What somebody waits for who has no task, while something is undecided or a round may come.

  Args:
    db: a snapshot.
    worker_id: who waits.
    standing: their state, see `standing`; not stopped.
    finished: no more rounds will come.
  """
  if standing == QUALIFYING:
    return "videos" if _any(db, _GOLD_TO_COME) else "answered"
  if _any(db, f"{_UNDECIDED} AND t.state != 'disputed' AND {_PREPARING}"):
    return "videos"
  if not finished and _learner_is_at_work(db):
    status = learner_status.status(db)
    return "down" if status and status.state == learner_status.DOWN else "learner"
  if _any(db, f"{_UNDECIDED} AND t.state IN ('open', 'leased') AND {MAY_TAKE}", worker_id):
    return "others"
  if _any(db, f"{_UNDECIDED} AND t.state != 'disputed'"):
    return "answered"
  return "operator" if is_undecided(db) else "learner"


def _learner_is_at_work(db: sqlite3.Connection) -> bool:
  """Whether it trains, or chooses a round; not while the last round waits for tasks of others."""
  last = db.execute(
      "SELECT state, id IN (SELECT round_id FROM closings) AS closed FROM rounds "
      "WHERE id NOT IN (SELECT round_id FROM begun) ORDER BY id DESC LIMIT 1").fetchone()
  if last is None or last["state"] == "trained":
    return True
  return last["state"] == "complete" and (last["closed"] or not is_undecided(db))


def _any(db: sqlite3.Connection, query: str, worker_id: int = 0) -> bool:
  return db.execute(f"{query} LIMIT 1", {"worker": worker_id}).fetchone() is not None
