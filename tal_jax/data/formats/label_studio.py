"""Label Studio's JSON: a list of tasks with their completed annotations.

    [{"data": {"video": address, "fps": f, ...}, "annotations": [{"result": [
       {"type": "timelinelabels", "value": {"ranges": [{"start": a, "end": b}],
                                            "timelinelabels": [label]}}, ...]}]}, ...]

Its time line counts frames from 1, and a range names its first and its last frame: [a, b] is the
segment [(a - 1) / fps, b / fps]. `data` may name the video (`tal_jax_video`; else it is called as
its file, without the suffix), its `duration`, and the exact seconds of instances (`instances`, as a
campaign exports them), which stand where they are of the same frames. Several tasks of a video are
one video. A task that was skipped, or has no annotation, tells nothing and is left out. Of several
annotations of a task one must be marked `ground_truth`.

Source: the tool's documentation of its task format and of the tag TimelineLabels.
"""

from __future__ import annotations

import math
import pathlib
import urllib.parse
from typing import Any

import numpy as np

from tal_jax.data.annotations import from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.json_file import load_json, plain, seen
from tal_jax.data.text.numerals import number
from tal_jax.errors import DataError

_RATES = ("fps", "frame_rate", "frameRate")


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations, videos in order of their first task, and what could not be read.

  Raises:
    DataError: no list of tasks.
  """
  tasks = plain(load_json(path))
  if not isinstance(tasks, list):
    raise DataError(f"{path} is no list of tasks.{seen(tasks)} Export the project as JSON, not as "
                    "JSON-MIN.")
  subset, faults = subset_of_file(path), []
  videos: dict[str, VideoAnnotation] = {}
  for i, task in enumerate(tasks):
    where = f"task {i}"
    try:
      data = _object(_object(task, where).get("data"), f"{where}: data")
      video_id = _video_id(data, where)
      truths = _truths(task, data, where)
    except ValueError as error:
      faults.append(StructuralFault("", str(error)))
      continue
    if truths is not None:
      before = videos.get(video_id) or _video(video_id, data, subset)
      videos[video_id] = before._replace(
          segments=np.concatenate([before.segments, np.reshape([t[:2] for t in truths], (-1, 2))]),
          labels=before.labels + tuple(label for *_, label in truths))
  return from_videos(videos.values()), faults


def _video(video_id: str, data: dict[str, Any], subset: str) -> VideoAnnotation:
  duration, fps = number(data.get("duration")), _rate(data)
  return VideoAnnotation(video_id, subset, math.nan if duration is None else duration,
                         np.zeros((0, 2)), (), {} if fps is None else {"fps": fps})


def _video_id(data: dict[str, Any], where: str) -> str:
  name = data.get("tal_jax_video")
  if isinstance(name, str) and name:
    return name
  address = data.get("video")
  if not isinstance(address, str) or not address:
    raise ValueError(f"{where}: data names no video")
  parts = urllib.parse.urlsplit(address)
  local = urllib.parse.parse_qs(parts.query).get("d", [urllib.parse.unquote(parts.path)])[0]
  return pathlib.PurePosixPath(local).stem


def _truths(task: dict[str, Any], data: dict[str, Any], where: str
            ) -> list[tuple[float, float, str]] | None:
  """(start, end, label) in seconds; None where nothing is known. Raises ValueError."""
  done = [_object(x, f"{where}: an annotation") for x in _list(task.get("annotations", []), where)]
  done = [x for x in done if not x.get("was_cancelled")]
  if len(done) > 1:
    done = [x for x in done if x.get("ground_truth")]
    if len(done) != 1:
      raise ValueError(f"{where} has several annotations: mark one of them as ground truth")
  if not done:
    return None
  exact = {_frames(*bounds, _rate(data)): bounds for bounds in _exact(data)}
  found = []
  for region in _list(done[0].get("result"), f"{where}: result"):
    value = _object(_object(region, f"{where}: a region").get("value", {}), f"{where}: value")
    for label in _list(value.get("timelinelabels", []), f"{where}: timelinelabels"):
      if not isinstance(label, str) or not label.strip():
        raise ValueError(f"{where}: the label is blank or no text, {label!r}")
      for span in _list(value.get("ranges"), f"{where}: ranges"):
        found.append((*_seconds(_object(span, f"{where}: a range"), exact, _rate(data), where),
                      label))
  return sorted(found)


def _seconds(span: dict[str, Any], exact: dict, fps: float | None, where: str
             ) -> tuple[float, float]:
  frames = span.get("start"), span.get("end")
  if not all(isinstance(k, int) and not isinstance(k, bool) for k in frames) or not (
      1 <= frames[0] <= frames[1]):
    raise ValueError(f"{where}: a range is two whole numbers of frames, from 1 on, not {frames}")
  if fps is None:
    raise ValueError(f"{where}: data has no fps, so that frames are no seconds: add a field fps to "
                     "the tasks' data")
  return exact.get(frames, ((frames[0] - 1) / fps, frames[1] / fps))


def _exact(data: dict[str, Any]) -> list[tuple[float, float]]:
  """The instances that the task's data tells in seconds."""
  given = data.get("instances")
  pairs = [(number(x.get("start")), number(x.get("end"))) for x in given
           if isinstance(x, dict)] if isinstance(given, list) and _rate(data) else []
  return [pair for pair in pairs if None not in pair]


def _frames(start: float, end: float, fps: float) -> tuple[int, int]:
  """The first and the last frame of a segment, as a campaign exports it."""
  first = round(start * fps) + 1
  return first, max(round(end * fps), first)


def _rate(data: dict[str, Any]) -> float | None:
  """Frames per second; None where the task does not tell."""
  rates = [number(data.get(name)) for name in _RATES]
  return next((rate for rate in rates if rate and rate > 0 and math.isfinite(rate)), None)


def _object(value: Any, where: str) -> dict[str, Any]:
  if not isinstance(value, dict):
    raise ValueError(f"{where} is not an object")
  return value


def _list(value: Any, where: str) -> list[Any]:
  if not isinstance(value, list):
    raise ValueError(f"{where} is not a list")
  return value


def _detect(probe: Probe) -> str | None:
  if not probe.text.lstrip().startswith("["):
    return None
  return ("a list of tasks with data, annotations and result"
          if probe.search(r'"annotations"\s*:\s*\[') and probe.search(r'"result"\s*:\s*\[')
          and probe.search(r'"data"\s*:\s*\{') else None)


FORMATS = (Format("label_studio", "annotations", "Label Studio's JSON: a list of tasks with their "
                  "annotations", _detect, read, fields=("data", "annotations", "result",
                                                        "timelinelabels")),)
