"""Frames of a video at a regular rate, by their timestamps, in constant memory.

Time 0 is where the container's timeline starts (players show 0:00 there), but never after the first
frame. The sample at time t is the frame that is on the screen at t: the last one whose timestamp is
not later than t + 1 ms, since containers such as Matroska and FLV round to milliseconds. Before
the first frame, it is the first; the last stays to the video's end. So a variable frame rate needs
no other treatment, a faster stream is thinned and a slower one repeats frames.

Pixels are uint8 RGB: swscale converts the colours, by the matrix that the stream names (BT.601 if
it names none), and scales bilinearly over all pixels covered, with non-square pixels made square. A
rotation in the file, as telephones write it, is applied.

PyAV (extra `video`) decodes; it is imported where it is used.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.types import DataError, TimeGrid
from tal_jax.encoders.timestamps import stamped

ROUNDING = Fraction(1, 1000)  # seconds
_MAX_GAP = 600  # seconds between two frames; beyond it the timestamps are broken
_MAX_BACK = 1  # seconds; so far the next frame may be before, and is shown at once
_MAX_ASPECT = 20
_TRUNCATED = 1.0, 0.02  # seconds, part of the duration that may be missing at the end


class VideoFault(DataError):
  """A video that cannot be used: it is reported and skipped, the others go on."""


class Batch(NamedTuple):
  """Windows of frames of one video."""

  frames: np.ndarray  # [batch, window, size, size, 3] uint8 RGB; rows from `num_valid` on are zero
  num_valid: int
  end: float  # seconds of video read so far: in the last batch its duration


class Shown(NamedTuple):
  """A decoded frame from the time at which it appears; the end of the video has no frame."""

  frame: Any  # av.VideoFrame or None
  aspect: Fraction  # width of a pixel / its height
  start: Fraction  # seconds


def windows(path: str | os.PathLike, grid: TimeGrid, *, resize: int, size: int,
            batch: int) -> Iterator[Batch]:
  """Yields the windows of a video in batches of one shape.

  Row i shows the samples [i * stride, i * stride + window) at `grid.fps`. Only whole windows are
  given, except that a video shorter than one window gives one, with its last frame repeated.

  Args:
    path: the file.
    grid: whole numbers of samples as stride and window.
    resize: pixels of the shorter side after scaling.
    size: pixels of the square that is cut from the middle, size <= resize.
    batch: windows per batch.

  Raises:
    VideoFault: empty, not a video, audio only, damaged, or shorter than its header says.
    DataError: PyAV is not installed.
  """
  stride, window = int(grid.stride), int(grid.window)
  recent: collections.deque[np.ndarray] = collections.deque(maxlen=window)
  rows: list[np.ndarray] = []
  num_rows, duration = 0, 0.0
  for index, (image, duration) in enumerate(_samples(path, grid.fps, resize, size)):
    if image is None:
      break
    recent.append(image)
    if index >= window - 1 and (index - window + 1) % stride == 0:
      if len(rows) == batch:  # kept until more comes, so that the last batch tells the duration
        yield _batch(rows, batch, duration)
        rows = []
      rows.append(np.stack(recent))
      num_rows += 1
  if not num_rows:
    images = list(recent)
    rows.append(np.stack(images + images[-1:] * (window - len(images))))
  yield _batch(rows, batch, duration)


def _batch(rows: list[np.ndarray], size: int, end: float) -> Batch:
  # A new array each time: the device may still read the one before.
  frames = np.zeros((size, *rows[0].shape), np.uint8)
  frames[:len(rows)] = rows
  return Batch(frames, len(rows), end)


def _samples(path: str | os.PathLike, fps: float, resize: int,
             size: int) -> Iterator[tuple[np.ndarray | None, float]]:
  """Yields the image at each time k / fps with the seconds read so far; at last None."""
  last = image = None
  for shown, read in sampled(path, Fraction(fps).limit_denominator(1_000_000)):
    if shown.frame is not None and shown is not last:
      last, image = shown, _square(path, shown, resize, size)
    yield (None if shown.frame is None else image), read


def sampled(path: str | os.PathLike, rate: Fraction) -> Iterator[tuple[Shown, float]]:
  """Yields what is on the screen at each time k / rate, and the seconds read; at last the end.

  Raises:
    VideoFault, DataError: as `windows`.
  """
  index, shown = 0, None
  for following in decode(path):
    if shown is not None:
      # A video shorter than the rounding still has its first sample.
      while index / rate < following.start - ROUNDING or (following.frame is None and index == 0):
        yield shown, float(following.start)
        index += 1
    shown = following
  yield shown, float(shown.start)


def decode(path: str | os.PathLike) -> Iterator[Shown]:
  """Yields the frames in the order of showing, and the end."""
  av = pyav()
  try:
    empty = os.path.getsize(path) == 0
  except OSError as error:
    raise VideoFault(f"{path}: {error.strerror}") from error
  if empty:
    raise VideoFault(f"{path} is empty")
  time, length = None, Fraction(0)
  try:
    with av.open(f"file:{os.fspath(path)}") as container:  # a name with a colon is no protocol
      stream = video_stream(path, container)
      stream.thread_type = "AUTO"
      aspect = Fraction(stream.sample_aspect_ratio or 1)
      usual = 1 / Fraction(stream.average_rate) if stream.average_rate else Fraction(1, 25)
      origin = None
      for frame, stamp in stamped(container.decode(stream)):
        if stamp is not None:
          if origin is None:
            origin = _origin(container, stamp)
          next_time = stamp - origin
        else:  # a bare stream without timestamps
          next_time = Fraction(0) if time is None else time + usual
        if time is not None:
          if not -_MAX_BACK <= next_time - time <= _MAX_GAP:
            raise VideoFault(f"{path}: the timestamps jump from {float(time):.1f} s to "
                             f"{float(next_time):.1f} s")
          if next_time > time:
            usual = next_time - time
          next_time = max(next_time, time)
        time = next_time
        length = frame.duration * frame.time_base if frame.duration else usual
        yield Shown(frame, aspect, time)
      promised = _promised_duration(container, stream, origin or Fraction(0))
  except (av.error.FFmpegError, OSError) as error:
    where = "cannot be opened" if time is None else f"is damaged after {float(time):.1f} s"
    raise VideoFault(f"{path} {where} ({error.strerror}): is the file complete, and a video?"
                     ) from error
  if time is None:
    raise VideoFault(f"{path} holds a video stream without a frame that can be decoded")
  end = time + length
  require_whole(path, float(end), promised)
  yield Shown(None, aspect, end)


def require_whole(path: str | os.PathLike, end: float, promised: float | None) -> None:
  """Raises VideoFault if a video ends long before the seconds that its header tells, if any."""
  seconds, part = _TRUNCATED
  if promised is not None and promised - end > max(seconds, part * promised):
    raise VideoFault(f"{path} ends at {end:.1f} s of the {promised:.1f} s that its header tells: "
                     "it was cut off")


def video_stream(path: str | os.PathLike, container: Any) -> Any:
  """The first stream of moving pictures; VideoFault if there is none, as in music with a cover."""
  cover = pyav().stream.Disposition.attached_pic
  for stream in container.streams.video:
    if not stream.disposition & cover:
      return stream
  what = "has audio only" if container.streams.audio else "has no video stream"
  raise VideoFault(f"{path} {what}")


def size_on_screen(frame: Any, aspect: Fraction) -> tuple[int, int]:
  """Width and height in square pixels, upright."""
  width, height = round(frame.width * aspect), frame.height
  return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def upright(frame: Any, size: Sequence[int]) -> Any:
  """The frame in yuv420p, scaled to the (width, height) on the screen, its rotation applied."""
  turns = round(frame.rotation / 90) % 4
  if not turns:
    return frame.reformat(*size, format="yuv420p", interpolation="BILINEAR",
                          dst_color_range="MPEG")
  width, height = size if turns == 2 else size[::-1]
  image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
  turned = np.ascontiguousarray(np.rot90(image, k=turns))
  return pyav().VideoFrame.from_ndarray(turned, format="rgb24").reformat(format="yuv420p")


def _origin(container: Any, first: Fraction) -> Fraction:
  """The stamp of time 0. Audio that starts before 0 (an encoder's priming) does not count."""
  if container.start_time is None:
    return first
  return min(first, max(Fraction(container.start_time, 1_000_000), Fraction(0)))


def _promised_duration(container: Any, stream: Any, origin: Fraction) -> float | None:
  """Seconds of video by the file's header, if it tells; of the whole only where no audio is."""
  if stream.duration:
    return float(stream.duration * stream.time_base)
  if container.duration and not container.streams.audio:
    # Matroska's may be the last timestamp, which counts the time before the first one, too.
    return container.duration / 1e6 - float(origin)
  return None


def _square(path: str | os.PathLike, shown: Shown, resize: int, size: int) -> np.ndarray:
  """The middle [size, size, 3] of a frame whose shorter side was scaled to `resize`."""
  frame = shown.frame
  width, height = float(frame.width * shown.aspect), float(frame.height)
  if max(width, height) > _MAX_ASPECT * min(width, height):
    raise VideoFault(f"{path}: frames of {width:.0f} x {height:.0f} square pixels are too narrow")
  scale = resize / min(width, height)
  image = frame.to_ndarray(format="rgb24", width=max(round(width * scale), resize),
                           height=max(round(height * scale), resize), interpolation="BILINEAR")
  top, left = ((side - size) // 2 for side in image.shape[:2])
  image = image[top:top + size, left:left + size]
  # `rotation` counts degrees anticlockwise, as np.rot90 does; players know multiples of 90 only.
  return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90)))


def pyav():
  """The module av; DataError if it is not installed."""
  try:
    import av
  except ImportError as error:
    raise DataError("decoding video needs PyAV: pip install av, or the extra 'video'") from error
  return av
