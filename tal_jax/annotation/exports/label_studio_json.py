"""Label Studio's JSON: a task of ours is a task of its, with the decided instances as annotation.

To be imported into a project with the labelling interface of `oracles.label_studio_format`, which
also says how its frames are counted: a bound in seconds becomes the nearest border between two
frames, so that ranges are off by half a frame at most. The exact seconds, and where they came from,
are in the task's `data`. Videos are addressed as the tool serves its local files. A task whose
video could not be judged is one that was skipped, with the reason in its `data`.

Source: Label Studio's documentation of its task format and of the tag TimelineLabels.
"""

from __future__ import annotations

import pathlib
import urllib.parse
from typing import Any

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.exports.records import (
  DecidedTask,
  ExcludedVideo,
  LabelledVideo,
  excluded_videos,
  labelled_videos,
)
from tal_jax.annotation.oracles import label_studio_format as ls


def label_studio(campaign: Campaign) -> list[dict[str, Any]]:
  """The decided tasks of the labelled videos as the content of a JSON file."""
  with campaign.store.read() as db:
    return [*(_task(video, task) for video in labelled_videos(db) for task in video.tasks),
            *(task for video in excluded_videos(db) for task in _skipped(video))]


def _task(video: LabelledVideo, task: DecidedTask) -> dict[str, Any]:
  return {
      "data": {**_data(video, task.id, task.label, task.instructions), "round": task.round,
               "state": task.state, "agreement": task.agreement, "annotators": task.annotators,
               "instances": [segment._asdict() for segment in task.segments]},
      "annotations": [{"ground_truth": False, "was_cancelled": False, "result": [
          _region(i, task.label, s.start, s.end, video.fps) for i, s in enumerate(task.segments)
      ] or [_ABSENT]}]}


def _skipped(video: ExcludedVideo) -> list[dict[str, Any]]:
  return [{
      "data": {**_data(video, task_id, label, instructions), "round": number, "state": "excluded",
               "reason": video.reason, "excluded_by": video.source},
      "annotations": [{"ground_truth": False, "was_cancelled": True, "result": []}]}
          for task_id, label, instructions, number in video.tasks]


def _data(video: LabelledVideo | ExcludedVideo, task_id: int, label: str, instructions: str
          ) -> dict[str, Any]:
  address = "/data/local-files/?d=" + urllib.parse.quote(pathlib.PurePath(video.media_path).name)
  data = ls.TaskData(task_id, video.name, label, address, video.fps,
                     f"Every {label}, from its start to its end", instructions)
  return {**data._asdict(), "duration": video.duration}


def _region(i: int, label: str, start: float, end: float, fps: float) -> dict[str, Any]:
  first = round(start * fps) + 1
  return {"id": f"instance{i}", "from_name": "actions", "to_name": "video",
          "type": "timelinelabels",
          "value": {"ranges": [{"start": first, "end": max(round(end * fps), first)}],
                    "timelinelabels": [label]}}


_ABSENT = {"id": "absent", "from_name": "absent", "to_name": "video", "type": "choices",
           "value": {"choices": [ls.ABSENT]}}
