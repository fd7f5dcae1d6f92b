"""Kinetics: one labelled clip of ten seconds per video.

    label,youtube_id,time_start,time_end,split[,is_cc]

Two readings [the paper, Sec. 5.3]:
  clips (default)     the video is the clip, as it is usually distributed: duration time_end -
                      time_start, one truth over all of it, and nothing is background.
  background=True     the video is the whole one: the clip is its truth, and "all remaining content
                      in the video is background". The file has no durations: `video_info` names a
                      file that does, see tal_jax/data/video_info.py.
Either way `extra["clip"]` is [time_start, time_end] in the whole video. A test set without labels
has no truths.
"""

from __future__ import annotations

import pathlib

import numpy as np

from tal_jax.data.annotations import from_videos
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.option_names import option
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.table import has_columns, read_table
from tal_jax.data.video_info import lookup, read_video_info
from tal_jax.errors import DataError

_COLUMNS = ("youtube_id", "time_start", "time_end")


def read(path: pathlib.Path, *, background: bool = False,
         video_info: str = "") -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read.

  Raises:
    DataError: a column is missing, or `background` without `video_info` or the other way round.
  """
  if background and not video_info:
    raise DataError(f"{path}: with {option('background')}=True a video is the whole one, and "
                    f"Kinetics' files have no durations. Give {option('video_info')}, a csv with "
                    f"youtube_id,duration (and fps), or leave {option('background')}=False: each "
                    "clip is a video.")
  if video_info and not background:
    raise DataError(f"{path}: {option('video_info')} is for whole videos"
                    + (f" (it is for {option('background')}=True)" if option("background") else "")
                    + "; here each clip is a video, and its duration is known. Leave it out.")
  info = read_video_info(video_info) if background else {}
  rows, bad = read_table(path, _COLUMNS, optional=("label", "split"))
  faults = [StructuralFault("", message) for _, message in bad]
  videos: dict[str, VideoAnnotation] = {}
  for row in rows:
    video_id, label = row.values["youtube_id"], row.values.get("label", "")
    try:
      start, end = row.number("time_start"), row.number("time_end")
    except ValueError as error:
      faults.append(StructuralFault(video_id, str(error)))
      continue
    truth = np.array([[start, end]] if label else []).reshape(-1, 2)
    labels, extra = (label,) if label else (), {"clip": [start, end]}
    if background:
      known = lookup(info, video_id)
      if known is None:
        faults.append(StructuralFault(video_id, f"no duration in {video_info}"))
        continue
      duration = known.duration
      extra |= {} if known.fps is None else {"fps": known.fps}
    else:
      duration, truth = end - start, truth - start
    if video_id in videos and background:  # later Kinetics have several clips of some videos
      first = videos[video_id]
      videos[video_id] = first._replace(segments=np.concatenate([first.segments, truth]),
                                        labels=first.labels + labels)
      continue
    if video_id in videos:
      faults.append(StructuralFault(video_id, f"duplicate id, again in line {row.line}"))
    videos[video_id] = VideoAnnotation(video_id, row.values.get("split", ""), duration, truth,
                                       labels, extra)
  return from_videos(videos.values()), faults


def _detect(probe: Probe) -> str | None:
  return ("csv with youtube_id, time_start, time_end"
          if has_columns(probe.text, _COLUMNS) else None)


FORMATS = (Format("kinetics", "annotations", "Kinetics' csv with label,youtube_id,time_start,"
                  "time_end,split: a clip per video", _detect, read,
                  options=("background", "video_info"), fields=_COLUMNS),)
