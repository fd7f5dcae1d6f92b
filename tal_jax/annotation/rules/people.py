"""Who can still answer a task, and what is to be said where too few can.

Able is an annotator with a valid link who was not stopped and who has qualified, or can with the
gold that is left for them. An able annotator can answer a task unless they answered it before or
gave its video back. Other people come by themselves only where a crowd or another tool brings them
(`set_named_only`); everywhere else a task that wants more answers than there are people who can
give them waits for an invitation, or for the operator's word.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import NamedTuple

from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.rules.counting import COUNTS, STANDS
from tal_jax.annotation.rules.standing import QUALIFYING, STOPPED, standing

_VALID = "w.token_revoked_at IS NULL AND w.token_expires_at > :now"
# (task, worker): who cannot answer which undecided task, whoever else can.
_BARRED = (
    "SELECT t.id, l.worker_id FROM tasks t JOIN tasks o ON o.video_id = t.video_id "
    "JOIN leases l ON l.task_id = o.id WHERE {which} AND l.state = 'released' "
    "UNION SELECT t.id, a.worker_id FROM tasks t JOIN assignments a ON a.task_id = t.id "
    f"WHERE {{which}} AND {STANDS}")
_UNDECIDED = "NOT t.is_gold AND t.state IN ('open', 'leased')"
_GOLD = ("SELECT COUNT(*) FROM tasks WHERE is_gold "
         "AND video_id NOT IN (SELECT video_id FROM excluded)")


class Shortage(NamedTuple):
  """A task that wants more answers than there are people who can give them."""

  task_id: int
  video: str
  label: str
  missing: int  # people


def set_named_only(db: sqlite3.Connection, named_only: bool) -> None:
  """Notes whether nobody answers but the annotators whom the campaign knows.

  Until it is noted, others may come. Part of the caller's transaction.
  """
  db.execute("INSERT INTO audience VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET named_only = "
             "excluded.named_only", (named_only,))


def able(db: sqlite3.Connection, policy: Policy, now: float) -> list[int]:
  """The annotators who can answer something."""
  rows = db.execute(f"SELECT w.id FROM workers w WHERE w.role = 'annotator' AND {_VALID} "
                    "ORDER BY w.id", {"now": now}).fetchall()
  return [row["id"] for row in rows if _is_able(db, policy, row["id"])]


def another(db: sqlite3.Connection, policy: Policy, task_id: int, now: float) -> bool:
  """Whether somebody who has not answered the task can, now or after they come by themselves."""
  row = db.execute("SELECT named_only FROM audience").fetchone()
  if row is None or not row["named_only"]:
    return True
  barred = {worker for _, worker in db.execute(_BARRED.format(which="t.id = :task"),
                                              {"task": task_id})}
  return any(worker not in barred for worker in able(db, policy, now))


def shortages(db: sqlite3.Connection, policy: Policy, now: float,
              most: int | None = None) -> list[Shortage]:
  """The undecided tasks that want more answers than the able can give, by id; up to `most`.

  Each task by itself: it is not asked whether people have the time for all of them.
  """
  can = set(able(db, policy, now))
  barred = Counter(task for task, worker in db.execute(_BARRED.format(which=_UNDECIDED))
                   if worker in can)
  given = dict(db.execute(f"SELECT a.task_id, COUNT(*) FROM assignments a JOIN tasks t "
                          f"ON t.id = a.task_id WHERE {_UNDECIDED} AND {COUNTS} "
                          "GROUP BY a.task_id").fetchall())
  at_work = dict(db.execute(f"SELECT l.task_id, COUNT(*) FROM leases l JOIN workers w "
                            "ON w.id = l.worker_id WHERE l.state = 'held' AND "
                            f"w.role = 'operator' AND {_VALID} GROUP BY l.task_id",
                            {"now": now}).fetchall())
  found = []
  for task_id, video, label, wanted in db.execute(
      "SELECT t.id, v.name, c.name, t.wanted FROM tasks t JOIN videos v ON v.id = t.video_id "
      f"JOIN classes c ON c.id = t.class_id WHERE {_UNDECIDED} ORDER BY t.id"):
    missing = wanted - given.get(task_id, 0) - (len(can) - barred[task_id]) - (
        at_work.get(task_id, 0))
    if missing > 0:
      found.append(Shortage(task_id, video, label, missing))
  return found[:most]


def unheard(db: sqlite3.Connection, now: float) -> int:
  """How many tasks wait for an operator while no operator has a valid link."""
  if db.execute(f"SELECT 1 FROM workers w WHERE w.role = 'operator' AND {_VALID}",
                {"now": now}).fetchone():
    return 0
  return db.execute("SELECT COUNT(*) FROM tasks WHERE state = 'disputed'").fetchone()[0]


def missing_gold(db: sqlite3.Connection, policy: Policy) -> int:
  """How many gold tasks there are too few for anybody new to qualify."""
  return max(policy.gold_before - db.execute(_GOLD).fetchone()[0], 0)


def _is_able(db: sqlite3.Connection, policy: Policy, worker_id: int) -> bool:
  stand = standing(db, policy, worker_id)
  if stand.state != QUALIFYING:
    return stand.state != STOPPED
  left = db.execute(
      f"{_GOLD} AND id NOT IN (SELECT task_id FROM assignments WHERE worker_id = ?)",
      (worker_id,)).fetchone()[0]
  return stand.gold_done + left >= policy.gold_before
