"""Which stream of a file is the video."""

from __future__ import annotations

import os
from typing import Any

from tal_jax.errors import DataError


class VideoFault(DataError):
  """A video that cannot be used: it is reported and skipped, the others go on."""


def video_streams(path: str | os.PathLike, container: Any) -> list[Any]:
  """The streams of moving pictures, the one that is taken first.

  That is one that can be decoded; among those, one that the file marks as its default, as players
  take it; among those, the one of the largest pictures, since small ones are previews; among those,
  the first.

  Raises:
    VideoFault: there is none, as in music with a cover.
  """
  kinds = pyav().stream.Disposition
  stills = kinds.attached_pic | kinds.timed_thumbnails | kinds.still_image
  moving = [stream for stream in container.streams.video if not stream.disposition & stills]
  if not moving:
    what = "has audio only" if container.streams.audio else "has no video stream"
    raise VideoFault(f"{path} {what}")
  return sorted(moving, key=lambda stream: (
      not _pixels(stream), not stream.disposition & kinds.default, -_pixels(stream), stream.index))


def choice(streams: list[Any]) -> str:
  """What is to be told of a file with these streams of moving pictures; "" of a single one."""
  if len(streams) == 1:
    return ""
  taken = streams[0].codec_context
  size = f" of {taken.width} x {taken.height} pixels" if taken else ""
  return f"{len(streams)} video streams: number {streams[0].index}{size} is taken"


def _pixels(stream: Any) -> int:
  """Of a picture; 0 if there is no decoder for the stream."""
  context = stream.codec_context
  return context.width * context.height if context else 0


def pyav():
  """The module av; DataError if it is not installed."""
  try:
    import av
  except ImportError as error:
    raise DataError("decoding video needs PyAV: pip install av, or the extra 'video'") from error
  return av
