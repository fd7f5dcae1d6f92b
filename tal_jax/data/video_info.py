"""Durations and frame rates of videos, for the formats that do not give them.

Either a csv with a column of ids (video_id, youtube_id, video or id), one of seconds (duration,
seconds or length) and perhaps fps, as EPIC_100_video_info.csv and BMN's video_info_new.csv are, or
any annotation file that holds the videos.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.formats import registry
from tal_jax.data.text.near_names import find_id
from tal_jax.data.text.numerals import rate
from tal_jax.data.text.table import Row, read_table
from tal_jax.data.text.text_file import read_head
from tal_jax.errors import DataError

_COLUMNS = {"id": ("video_id", "youtube_id", "video", "id"),
            "seconds": ("duration", "seconds", "length"), "fps": ("fps", "frame_rate")}


class VideoInfo(NamedTuple):
  """What is known of a video."""

  duration: float  # seconds
  fps: float | None


def read_video_info(path: str | os.PathLike) -> dict[str, VideoInfo]:
  """Reads durations, and frame rates where there are any, by video id.

  Raises:
    DataError: not such a file, or a duration that is not a number.
  """
  if read_head(path, 64).text.lstrip().startswith("{"):
    videos = registry.read(path, "annotations").value.videos
    return {key: VideoInfo(video.duration, frame_rate(video)) for key, video in videos.items()}
  rows, faults = read_table(path, (), optional=sum(_COLUMNS.values(), ()))
  if faults:
    raise DataError(f"{path}: {faults[0][1]}")
  names = rows[0].values if rows else {}
  name, seconds, fps = (next((x for x in choices if x in names), None)
                        for choices in _COLUMNS.values())
  if name is None or seconds is None:
    raise DataError(f"{path}: durations need a column of ids ({', '.join(_COLUMNS['id'])}) and one "
                    f"of seconds ({', '.join(_COLUMNS['seconds'])}); there are "
                    f"{', '.join(names) or 'no rows'}.")
  try:
    return {row.values[name]: VideoInfo(row.number(seconds),
                                        _rate(row, fps) if fps and row.values[fps] else None)
            for row in rows}
  except ValueError as error:
    raise DataError(f"{path}: {error}") from error


def _rate(row: Row, column: str) -> float:
  found = rate(row.values[column]) if "/" in row.values[column] else None
  return row.number(column) if found is None else found


def lookup(info: Mapping[str, VideoInfo], video_id: str) -> VideoInfo | None:
  """The entry of a video, with or without the prefix `v_`."""
  name = find_id(video_id, info)
  return None if name is None else info[name]
