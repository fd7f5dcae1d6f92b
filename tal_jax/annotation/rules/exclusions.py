"""Videos of which nothing is to be learnt: damaged, not to be played, or not fit for use.

What was not seen is not "the action is not here": an excluded video is neither labelled nor asked
for, its tasks want nothing more, and the learner and the data set do without it. The program
excludes a video that it cannot show, annotators do when most of those who are wanted say that it is
unusable, and an operator may, and may take it back.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from tal_jax.annotation import rows
from tal_jax.annotation.campaign import Campaign, by_name
from tal_jax.annotation.errors import Conflict, NotFound
from tal_jax.annotation.rules import closing, counting, decisions, states
from tal_jax.annotation.workers import require_operator

MAX_REASON = 2000  # characters


class Excluded(NamedTuple):
  video_id: int
  video: str  # name
  reason: str
  source: str  # operator, annotators or program
  at: float


def exclude(campaign: Campaign, video: str, reason: str) -> bool:
  """The program cannot show the video: leaves it out, and its tasks.

  Again: changes nothing. May complete the round.

  Returns:
    Whether it was not excluded before.

  Raises:
    NotFound: no such video.
  """
  with campaign.store.write() as db:
    return decisions.exclude(db, by_name(db, "videos", video)["id"], reason[:MAX_REASON],
                             campaign.policy, campaign.clock(), source="program")


def exclude_by_operator(campaign: Campaign, operator_id: int, video_id: int, reason: str) -> bool:
  """An operator leaves the video out, see `exclude`.

  Raises Forbidden, NotFound, InvalidAnswer without a reason, or Conflict for a gold video.
  """
  rows.require_text(reason.strip(), "a reason", MAX_REASON, least=1)
  with campaign.store.write() as db:
    require_operator(db, operator_id)
    if db.execute("SELECT 1 FROM tasks WHERE video_id = ? AND is_gold = 1", (video_id,)).fetchone():
      raise Conflict("this video's answer is known: it measures the annotators")
    return decisions.exclude(db, video_id, reason.strip(), campaign.policy, campaign.clock(),
                             source="operator", operator_id=operator_id)


def include(campaign: Campaign, operator_id: int, video_id: int) -> None:
  """Takes an exclusion back: its tasks go on from where they were, or it may be asked for again.

  What was decided is so again, without another answer: an operator's word stands, and what
  annotators agreed on is merged from their answers. Where most said that the video is unusable, so
  many more answers are wanted that they are not most.

  Raises Forbidden, or NotFound if the video is not excluded.
  """
  with campaign.store.write() as db:
    now = campaign.clock()
    require_operator(db, operator_id)
    if not db.execute("DELETE FROM excluded WHERE video_id = ?", (video_id,)).rowcount:
      raise NotFound(f"no video {video_id} is excluded")
    tasks = [row["id"] for row in db.execute(
        "SELECT id FROM tasks WHERE video_id = ? AND state = 'excluded' ORDER BY id", (video_id,))]
    states.move(db, "videos", video_id, "asked" if tasks else "unlabelled", now=now,
                worker_id=operator_id)
    for task_id in tasks:
      before, word = _before(db, task_id)
      closing.reopen(db, task_id, now=now, worker_id=operator_id, wanted=_wanted(
          db, task_id, campaign.policy.annotators, was_agreed=before == "agreed"))
      if before == "adjudicated":
        for state in ("disputed", "adjudicated"):
          states.move(db, "tasks", task_id, state, now=now, worker_id=operator_id)
        closing.put_final(db, task_id, "adjudication", [(*s, None, None) for s in word])
        closing.close(db, task_id, now)
      else:
        decisions.settle(db, task_id, campaign.policy, now)
    decisions.judge(db, tasks, campaign.policy, now)


def excluded(campaign: Campaign) -> dict[str, str]:
  """Video -> why it is excluded."""
  with campaign.store.read() as db:
    return {found.video: found.reason for found in all_excluded(db)}


def all_excluded(db: sqlite3.Connection) -> list[Excluded]:
  """By the time at which they were excluded, the last first."""
  return [Excluded(*row) for row in db.execute(
      "SELECT e.video_id, v.name, e.reason, e.source, e.at FROM excluded e "
      "JOIN videos v ON v.id = e.video_id ORDER BY e.at DESC, e.video_id DESC")]


def _before(db, task_id: int) -> tuple[str, list[tuple[float, float]]]:
  """The task's state before it was excluded, and the segments of its final answer."""
  detail = json.loads(db.execute(
      "SELECT detail FROM events WHERE kind = 'tasks.excluded' AND subject_id = ? "
      "ORDER BY id DESC LIMIT 1", (task_id,)).fetchone()["detail"])
  return detail["before"], [(start, end) for start, end, _ in detail["replaced"]]


def _wanted(db, task_id: int, annotators: int, *, was_agreed: bool) -> int:
  """As many answers as before.

  And so many that those who say that the video is unusable are not most of them: the operator says
  that it is not.
  """
  answers = counting.counting(db, task_id)
  row = db.execute("SELECT wanted FROM asked_again WHERE task_id = ?", (task_id,)).fetchone()
  least = len(answers) if was_agreed and answers else row["wanted"] if row else annotators
  return max(least, 2 * sum(bool(a.unusable) for a in answers))
