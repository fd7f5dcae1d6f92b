"""What a campaign has decided, as plain records: the one reading of the tables by all exports."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import rows
from tal_jax.annotation.rules.counting import COUNTS
from tal_jax.annotation.rules.states import DECIDED


class DecidedTask(NamedTuple):
  id: int
  label: str  # class name
  instructions: str  # of the class
  round: int
  state: str  # "agreed" or "adjudicated"
  agreement: float | None  # see consensus; None if an operator took it before any answers
  annotators: int  # whose answers it was merged from; of an operator's word, whose answers count
  segments: tuple[rows.FinalSegment, ...]  # by start; empty: the action is not in the video


class LabelledVideo(NamedTuple):
  name: str
  media_path: str  # what browsers play
  duration: float  # seconds
  fps: float
  num_frames: int  # 0: not known
  tasks: tuple[DecidedTask, ...]  # in the learner's order


def labelled_videos(db: sqlite3.Connection) -> list[LabelledVideo]:
  """The videos whose tasks are all decided, in the order in which the learner asked for them."""
  tasks, videos = {}, {}
  for row in db.execute(
      "SELECT t.id, t.video_id, c.name AS label, c.instructions, t.round_id, t.state, t.agreement, "
      "v.name, v.media_path, v.duration, v.fps, v.num_frames, "
      "COALESCE((SELECT m.answers FROM merged m WHERE m.task_id = t.id AND t.state = 'agreed'), "
      f"(SELECT COUNT(*) FROM assignments a WHERE a.task_id = t.id AND {COUNTS})) AS annotators "
      "FROM tasks t "
      "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
      "WHERE v.state = 'labelled' AND t.state IN (?, ?) ORDER BY t.id",
      DECIDED):
    tasks.setdefault(row["video_id"], []).append(DecidedTask(
        *(row[k] for k in ("id", "label", "instructions", "round_id", "state", "agreement",
                           "annotators")), tuple(rows.final_segments(db, row["id"]))))
    videos[row["video_id"]] = [
        row[k] for k in ("name", "media_path", "duration", "fps", "num_frames")]
  return [LabelledVideo(*video, tuple(tasks[key])) for key, video in videos.items()]


class ExcludedVideo(NamedTuple):
  """A video that could not be judged: nothing is known of what it shows."""

  name: str
  media_path: str
  duration: float  # seconds
  fps: float
  reason: str
  source: str  # who excluded it: operator, annotators or program
  tasks: tuple[tuple[int, str, str, int], ...]  # (id, label, instructions, round), where asked for


def excluded_videos(db: sqlite3.Connection) -> list[ExcludedVideo]:
  """In the order in which they were excluded."""
  return [ExcludedVideo(*row[1:], tuple(tuple(task) for task in db.execute(
      "SELECT t.id, c.name, c.instructions, t.round_id FROM tasks t "
      "JOIN classes c ON c.id = t.class_id WHERE t.video_id = ? AND NOT t.is_gold ORDER BY t.id",
      (row["id"],)))) for row in db.execute(
      "SELECT v.id, v.name, v.media_path, v.duration, v.fps, e.reason, e.source FROM excluded e "
      "JOIN videos v ON v.id = e.video_id WHERE v.id NOT IN "
      "(SELECT video_id FROM tasks WHERE is_gold) ORDER BY e.at, v.id").fetchall()]
