"""How many answers of a round the learner waits for, and which videos it learns in the round.

A round need not hold everybody up for its last task: the learner may go on once a share of its
videos, the quorum, is decided. It closes the round: from there on the database says which videos
the round trains with, so that a learner that begins again trains on the same ones. What is decided
later trains the next round to close. A video that was left out counts nowhere.
"""

from __future__ import annotations

import math
import sqlite3

from tal_jax.annotation import rows
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules import states
from tal_jax.annotation.rules.decisions import FinalAnswer

_IN_USE = "v.state != 'excluded'"


def has_enough(campaign: Campaign, number: int, quorum: float) -> bool:
  """Whether the round may be closed; once it is closed, whether all that it learns is decided.

  Args:
    campaign: where.
    number: of the round, which is open or was.
    quorum: the share in (0, 1] of the round's videos that must be decided.
  """
  with campaign.store.read() as db:
    if _is_closed(db, number):
      return not db.execute(
          "SELECT 1 FROM learnt l JOIN videos v ON v.id = l.video_id "
          "WHERE l.round_id = ? AND v.state = 'asked' LIMIT 1", (number,)).fetchone()
    videos, decided = db.execute(
        "SELECT COUNT(*), COUNT(*) FILTER (WHERE v.state = 'labelled') FROM videos v "
        f"WHERE {_IN_USE} AND v.id IN (SELECT video_id FROM tasks WHERE round_id = ?)",
        (number,)).fetchone()
    return decided >= enough_of(videos, quorum)


def enough_of(videos: int, quorum: float) -> int:
  """How many of a round's videos must be decided: quorum * videos, rounded down, and one at least.

  So one person who is away holds up no batch of two videos or more, unless the quorum is 1.
  """
  return min(videos, max(1, math.floor(quorum * videos + 1e-9)))


def all_decided(campaign: Campaign) -> bool:
  """Whether no task of any round waits for an answer or for the operator."""
  with campaign.store.read() as db:
    return not db.execute(
        f"SELECT 1 FROM tasks WHERE NOT is_gold AND state NOT IN {states.CLOSED} LIMIT 1"
        ).fetchone()


def close(campaign: Campaign, number: int) -> tuple[list[str], list[FinalAnswer]]:
  """Closes a round; again: gives what it was closed with.

  Returns:
    The videos that the round learns, in the order in which they were asked for: those that are
    decided, all classes of them, and that no earlier round learnt. And their answers, as they are
    now.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    if not _is_closed(db, number):
      db.execute("INSERT INTO closings (round_id, at) VALUES (?, ?)", (number, now))
      db.execute(
          "INSERT INTO learnt (video_id, round_id) SELECT id, ? FROM videos WHERE "
          "state = 'labelled' AND id NOT IN (SELECT video_id FROM learnt) "
          "AND id IN (SELECT video_id FROM tasks WHERE round_id <= ?)", (number, number))
      if states.state(db, "rounds", number) == "open":
        states.move(db, "rounds", number, "complete", now=now)
    tasks = db.execute(
        "SELECT t.id, v.name AS video, c.name AS label, t.state, t.agreement FROM learnt l "
        "JOIN videos v ON v.id = l.video_id JOIN tasks t ON t.video_id = v.id "
        "JOIN classes c ON c.id = t.class_id WHERE l.round_id = ? AND v.state = 'labelled' "
        "ORDER BY t.id", (number,)).fetchall()
    return list(dict.fromkeys(task["video"] for task in tasks)), [
        FinalAnswer(*task[1:], tuple(rows.final_segments(db, task["id"]))) for task in tasks]


def unavailable(campaign: Campaign) -> set[str]:
  """The videos that no round may ask for any more: asked for before, or left out."""
  with campaign.store.read() as db:
    return {row["name"] for row in db.execute(
        "SELECT name FROM videos WHERE state != 'unlabelled'")}


def num_asked(campaign: Campaign) -> int:
  """How many videos were asked for in rounds, without those that were left out."""
  with campaign.store.read() as db:
    return db.execute("SELECT COUNT(*) FROM videos WHERE state IN ('asked', 'labelled')"
                      ).fetchone()[0]


def num_late(campaign: Campaign, number: int) -> int:
  """How many tasks of the rounds before are not decided yet."""
  with campaign.store.read() as db:
    return db.execute("SELECT COUNT(*) FROM tasks WHERE round_id < ? AND state NOT IN "
                      f"{states.CLOSED}", (number,)).fetchone()[0]


def num_rounds(campaign: Campaign) -> int:
  """How many rounds were opened."""
  with campaign.store.read() as db:
    return db.execute("SELECT COUNT(*) FROM rounds").fetchone()[0]


def num_trained(campaign: Campaign) -> int:
  """How many rounds are trained."""
  with campaign.store.read() as db:
    return db.execute("SELECT COUNT(*) FROM rounds WHERE state = 'trained'").fetchone()[0]


def is_there(campaign: Campaign, number: int) -> bool:
  """Whether anything of the round was asked for."""
  with campaign.store.read() as db:
    return db.execute("SELECT 1 FROM rounds WHERE id = ?", (number,)).fetchone() is not None


def is_closed(campaign: Campaign, number: int) -> bool:
  """Whether the database says which videos the round learns."""
  with campaign.store.read() as db:
    return _is_closed(db, number)


def _is_closed(db: sqlite3.Connection, number: int) -> bool:
  return db.execute("SELECT 1 FROM closings WHERE round_id = ?", (number,)).fetchone() is not None
