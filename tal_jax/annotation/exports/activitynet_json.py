"""ActivityNet's format, with the agreement and the origin of every instance.

    {"version": "tal_jax", "provenance": {...}, "database": {video: {
      "subset": s, "duration": seconds, "fps": f, "num_frames": n (where known),
      "annotations": [{"segment": [start, end], "label": name, "agreement": mean tIoU of all pairs
        of annotators, "support": share of them that marked it, "source": "consensus" or
        "adjudication", "round": number, "annotators": who answered}, ...],
      "answers": [{"label", "round", "state", "agreement": the majority's F1, "annotators"}, ...]}},
     "excluded": {video: {"reason": text, "source": "program", "annotators" or "operator"}}}

A video under `excluded` could not be judged: it is not among the videos, and nothing is known of
what it shows. `answers` has one entry for every class that was asked for, so that it can be told
which classes a video is known not to show from those that nobody looked for. An operator's segment
has agreement and support null.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import tal_jax
from tal_jax.annotation import schema
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.exports.records import DecidedTask, excluded_videos, labelled_videos
from tal_jax.annotation.rules.counting import STANDS


def activitynet(campaign: Campaign, *, subset: str = "training") -> dict[str, Any]:
  """The labelled videos as the content of a JSON file.

  The same database gives the same content: its time is that of the last event.
  """
  with campaign.store.read() as db:
    videos = labelled_videos(db)
    excluded = {video.name: {"reason": video.reason, "source": video.source}
                for video in excluded_videos(db)}
    provenance = _provenance(db, campaign)
  database = {}
  for video in videos:
    known = {"num_frames": video.num_frames} if video.num_frames else {}
    database[video.name] = {
        "subset": subset, "duration": video.duration, "fps": video.fps, **known,
        "annotations": sorted((x for task in video.tasks for x in _instances(task)),
                              key=lambda x: (x["segment"], x["label"])),
        "answers": [{"label": task.label, "round": task.round, "state": task.state,
                     "agreement": task.agreement, "annotators": task.annotators}
                    for task in video.tasks]}
  return {"version": "tal_jax", "provenance": provenance, "database": database,
          "excluded": excluded}


def _instances(task: DecidedTask) -> list[dict[str, Any]]:
  return [{"segment": [s.start, s.end], "label": task.label, "agreement": s.agreement,
           "support": s.support, "source": s.source, "round": task.round,
           "annotators": task.annotators} for s in task.segments]


def _provenance(db: sqlite3.Connection, campaign: Campaign) -> dict[str, Any]:
  """How the labels came about."""
  def count(query):
    return db.execute(query).fetchone()[0]

  return {
      "made_by": f"tal_jax {tal_jax.__version__}, annotation campaign",
      "schema": schema.version(db),
      "as_of": count("SELECT MAX(at) FROM events"),  # seconds since the epoch
      "policy": campaign.policy._asdict(),
      "rounds": [dict(row) for row in db.execute(
          "SELECT r.id AS number, r.state, r.opened_at, COUNT(t.id) AS tasks FROM rounds r "
          "LEFT JOIN tasks t ON t.round_id = r.id GROUP BY r.id ORDER BY r.id")],
      "annotators": count("SELECT COUNT(DISTINCT a.worker_id) FROM assignments a "
                          f"JOIN tasks t ON t.id = a.task_id WHERE t.is_gold = 0 AND {STANDS}"),
      "answers": count("SELECT COUNT(*) FROM assignments a JOIN tasks t ON t.id = a.task_id "
                       f"WHERE t.is_gold = 0 AND {STANDS}"),
      "gold_tasks": count("SELECT COUNT(*) FROM gold"),
  }
