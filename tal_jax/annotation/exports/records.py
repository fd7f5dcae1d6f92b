"""What a campaign has decided, as plain records: the one reading of the tables by all exports."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import rows
from tal_jax.annotation.states import DECIDED


class DecidedTask(NamedTuple):
  id: int
  label: str  # class name
  instructions: str  # of the class
  round: int
  state: str  # "agreed" or "adjudicated"
  agreement: float | None  # mean pairwise F1; None if an operator took it before any answers
  annotators: int  # who answered
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
      "(SELECT COUNT(*) FROM assignments a WHERE a.task_id = t.id) AS annotators FROM tasks t "
      "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
      "WHERE v.state = 'labelled' AND t.state IN (?, ?) ORDER BY t.id",
      DECIDED):
    tasks.setdefault(row["video_id"], []).append(DecidedTask(
        *(row[k] for k in ("id", "label", "instructions", "round_id", "state", "agreement",
                           "annotators")), tuple(rows.final_segments(db, row["id"]))))
    videos[row["video_id"]] = [
        row[k] for k in ("name", "media_path", "duration", "fps", "num_frames")]
  return [LabelledVideo(*video, tuple(tasks[key])) for key, video in videos.items()]
