"""What is asked for while the learner trains, so that nobody waits for it.

The learner's ranking goes on behind its batch: what comes next is noted with what would be asked of
it (`preparing.expect`). From the closing of a round until it is trained, whoever finds no task gets
the next of these (`open_next`). It belongs to the round after, which has begun: the learner fills
it up by its new ranking (`campaign.open_round`), and learns all of it when that round closes. Which
videos were asked for so, the database says for ever (`early`), so that a learner that starts again
comes to the same rounds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from tal_jax.annotation import store
from tal_jax.annotation.campaign import Ask, Campaign, Policy
from tal_jax.annotation.rules import states
from tal_jax.annotation.rules.intended import Intended, inside

_NEXT = """
SELECT u.video_id FROM upcoming_tasks u JOIN videos v ON v.id = u.video_id
WHERE v.state = 'unlabelled' AND v.id NOT IN (SELECT video_id FROM preparing)
AND v.id NOT IN (SELECT video_id FROM tasks WHERE is_gold) ORDER BY u.place LIMIT 1"""


def asks(names: Sequence[str], intended: Intended, durations: Mapping[str, float]) -> list[Ask]:
  """The tasks of a batch: each intended class of each video, in the batch's order."""
  return [Ask(name, label, inside(hint, durations[name]))
          for name in names for label, hint in intended[name].items()]


def open_next(db: sqlite3.Connection, policy: Policy, now: float) -> bool:
  """Asks for the next video of the last ranking, if the learner is at work; whether it did.

  Part of the caller's transaction. A video that no browser can play yet is passed over.
  """
  last = db.execute("SELECT id, state FROM rounds WHERE id NOT IN (SELECT round_id FROM begun) "
                    "ORDER BY id DESC LIMIT 1").fetchone()
  if last is None or last["state"] != "complete" or not db.execute(
      "SELECT 1 FROM closings WHERE round_id = ?", (last["id"],)).fetchone():
    return False
  video = db.execute(_NEXT).fetchone()
  if video is None:
    return False
  video_id, number = video["video_id"], last["id"] + 1
  if not db.execute("SELECT 1 FROM begun").fetchone():
    db.execute("INSERT INTO rounds (id, opened_at) VALUES (?, ?)", (number, now))
    db.execute("INSERT INTO begun VALUES (?)", (number,))
    store.log(db, "rounds.begun", number, now=now)
  states.move(db, "videos", video_id, "asked", now=now, while_training=last["id"])
  db.execute("INSERT INTO early VALUES (?, ?)", (video_id, number))
  db.execute("INSERT INTO tasks (round_id, video_id, class_id, hint_start, hint_end, wanted) "
             "SELECT ?, video_id, class_id, hint_start, hint_end, ? FROM upcoming_tasks "
             "WHERE video_id = ? ORDER BY place", (number, policy.annotators, video_id))
  return True


def early(campaign: Campaign, number: int) -> list[str]:
  """The videos of a round that were asked for before the learner had chosen it, in that order."""
  with campaign.store.read() as db:
    return [row["name"] for row in db.execute(
        "SELECT v.name FROM early e JOIN videos v ON v.id = e.video_id JOIN tasks t "
        "ON t.video_id = v.id WHERE e.round_id = ? GROUP BY v.id ORDER BY MIN(t.id)", (number,))]


def num_early(campaign: Campaign, number: int) -> int:
  """How many of these there are, without those that were left out."""
  with campaign.store.read() as db:
    return db.execute("SELECT COUNT(*) FROM early e JOIN videos v ON v.id = e.video_id "
                      "WHERE e.round_id = ? AND v.state != 'excluded'", (number,)).fetchone()[0]


def refresh(campaign: Campaign, intended: Intended, *, may_open: bool) -> None:
  """At a start: what was noted follows the videos and labels that there are now.

  Args:
    campaign: where.
    intended: what is asked for, of each video of the pool.
    may_open: whether any of it may be asked for while the learner trains.
  """
  with campaign.store.write() as db:
    noted = db.execute("SELECT v.id, v.name, v.duration FROM upcoming u JOIN videos v "
                       "ON v.id = u.video_id ORDER BY u.place").fetchall()
    db.executemany("DELETE FROM upcoming WHERE video_id = ?",
                   [(video["id"],) for video in noted if video["name"] not in intended])
    kept = [video for video in noted if video["name"] in intended]
    put(db, asks([video["name"] for video in kept], intended,
                 {video["name"]: video["duration"] for video in kept}) if may_open else ())


def keep(campaign: Campaign, videos: int) -> None:
  """Of what was noted, so many more videos may be asked for: the plan may be smaller now."""
  with campaign.store.write() as db:
    db.execute("DELETE FROM upcoming_tasks WHERE video_id NOT IN (SELECT video_id FROM upcoming "
               "JOIN videos v ON v.id = video_id WHERE v.state = 'unlabelled' "
               "ORDER BY place LIMIT ?)", (videos,))


def put(db: sqlite3.Connection, questions: Sequence[Ask]) -> None:
  """Notes what may be asked for next, in place of what was; part of the caller's transaction."""
  db.execute("DELETE FROM upcoming_tasks")
  db.executemany(
      "INSERT INTO upcoming_tasks (place, video_id, class_id, hint_start, hint_end) VALUES (?, "
      "(SELECT id FROM videos WHERE name = ?), (SELECT id FROM classes WHERE name = ?), ?, ?)",
      [(place, ask.video, ask.label, *(ask.hint or (None, None)))
       for place, ask in enumerate(questions)])
