"""Decodes the frames of a video and tells when each is shown, and what is wrong with the file.

Time 0 is where the container's timeline starts (players show 0:00 there), but never after the first
frame. A stream without a container has no timestamps: there a frame lasts as long as the stream
says, and what is assumed where it says nothing is told.

PyAV (extra `video`) decodes; it is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from tal_jax.video import promises
from tal_jax.video.damage import Tally
from tal_jax.video.streams import VideoFault, choice, pyav, video_streams
from tal_jax.video.timestamps import origin as origin_of, stamped

_MAX_GAP = 600  # seconds between two frames; beyond it the timestamps are broken
_MAX_BACK = 1  # seconds; so far the next frame may be before, and is shown at once
_ASSUMED_RATE = 25  # frames per second


class Shown(NamedTuple):
  """A decoded frame from the time at which it appears; the end of the video has no frame."""

  frame: Any  # av.VideoFrame or None
  aspect: Fraction  # width of a pixel / its height
  start: Fraction  # seconds
  warnings: tuple[str, ...] = ()  # what is to be told of the video; known at its end


def decode(path: str | os.PathLike) -> Iterator[Shown]:
  """Yields the frames in the order of showing, and the end.

  Raises:
    VideoFault: empty, not a video, audio only, damaged, or shorter than its header says.
    DataError: PyAV is not installed.
  """
  av = pyav()
  _require_content(path)
  time, length, start = None, Fraction(0), None
  try:
    with av.open(f"file:{os.fspath(path)}") as container:  # a name with a colon is no protocol
      packets = _Packets(path, container)
      stream, usual, tally = packets.stream, packets.usual, packets.tally
      aspect = Fraction(stream.sample_aspect_ratio or 1)
      for frame, stamp in stamped(packets.frames()):
        following = Fraction(0) if time is None else time + length
        if stamp is not None:
          if start is None:
            start = stamp - following if time is not None else (
                origin_of(container, stamp, min(packets.stamps, default=None)))
          following = stamp - start
        if time is not None:
          if not -_MAX_BACK <= following - time <= _MAX_GAP:
            raise VideoFault(f"{path}: the timestamps jump from {float(time):.1f} s to "
                             f"{float(following):.1f} s")
          if following > time:
            usual = following - time
          following = max(following, time)
        time = following
        length = frame.duration * frame.time_base if frame.duration else usual
        tally.frame(float(time), frame.is_corrupt)
        yield Shown(frame, aspect, time)
      start = start or Fraction(0)
      promised = promises.promise(container, stream, start)
      promises.require_parts(path, container)
  except (av.error.FFmpegError, OSError) as error:
    where = "cannot be opened" if time is None else f"is damaged after {float(time):.1f} s"
    raise VideoFault(f"{path} {where} ({error.strerror}): is the file complete, and a video?"
                     ) from error
  if time is None:
    raise VideoFault(f"{path} holds a video stream without a frame that can be decoded")
  end = time + length
  promises.require_whole(path, promised, float(end), float(packets.reach - start))
  told = tally.report(path, [float(stamp - start) for stamp in packets.stamps])
  yield Shown(None, aspect, end, packets.notes + told)


class _Packets:
  """Reads the packets of a file."""

  def __init__(self, path: str | os.PathLike, container: Any):
    streams = video_streams(path, container)
    self.container, self.stream = container, streams[0]
    # MPEG's program streams give some frames a time, and FFmpeg guesses those of the others.
    self.tally = Tally(stamped=container.format.name != "mpeg")
    bare = promises.is_bare(container)
    # `average_rate` of a bare stream is FFmpeg's default, whatever the stream says.
    rates = self.stream.guessed_rate, self.stream.average_rate
    rate = next(filter(None, rates if bare else rates[::-1]), _ASSUMED_RATE)
    self.usual = 1 / Fraction(rate)  # seconds a frame lasts
    self.notes = tuple(filter(None, (choice(streams), _assumed(self.stream, rate) if bare else "")))
    self.stamps: list[Fraction] = []  # the least and the greatest of the video's packets, seconds
    self.reach = Fraction(0)  # the end of any stream
    self.stream.thread_type = "AUTO"

  def frames(self) -> Iterator[Any]:
    """Yields what can be decoded."""
    av = pyav()
    for packet in self.container.demux():
      stamp = packet.dts if packet.pts is None else packet.pts
      if packet.size and stamp is not None:
        self.reach = max(self.reach, (stamp + (packet.duration or 0)) * packet.time_base)
      if packet.stream.index != self.stream.index:  # `stream_index` of the last, empty ones is 0
        continue
      if packet.size and packet.pts is not None and not packet.is_discard:
        seen = [*self.stamps, packet.pts * packet.time_base]
        self.stamps = [min(seen), max(seen)]
      try:
        frames = packet.decode()
      except av.error.InvalidDataError:
        self.tally.fail(float(self.stamps[1] - self.stamps[0]) if self.stamps else 0.0)
        continue
      yield from frames


def _assumed(stream: Any, rate: Fraction) -> str:
  """What is to be told of a bare stream that does not say how fast it is."""
  return "" if stream.codec_context.framerate else (
      f"no timestamps and no frame rate: {float(rate):g} frames a second are assumed; put the "
      "video into a container")


def _require_content(path: str | os.PathLike) -> None:
  try:
    empty = os.path.getsize(path) == 0
  except OSError as error:
    raise VideoFault(f"{path}: {error.strerror}") from error
  if empty:
    raise VideoFault(f"{path} is empty")
