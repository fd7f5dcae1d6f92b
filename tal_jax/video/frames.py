"""Frames of a video at a regular rate, by their timestamps, in constant memory.

The sample at time t is the frame that is on the screen at t: the last one whose timestamp is not
later than t + 1 ms, since containers such as Matroska and FLV round to milliseconds. Before the
first frame, it is the first; the last stays to the video's end. So a variable frame rate needs no
other treatment, a faster stream is thinned and a slower one repeats frames.

Pixels are uint8 RGB: swscale converts the colours, by the matrix that the stream names (BT.601 if
it names none), and scales bilinearly over all pixels covered, with non-square pixels made square. A
picture that the file turns or mirrors, as telephones do, is shown as players show it.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tal_jax.data.records import TimeGrid
from tal_jax.video.decoding import Shown, decode
from tal_jax.video.orientation import orientation, oriented
from tal_jax.video.streams import VideoFault

ROUNDING = Fraction(1, 1000)  # seconds
_MAX_ASPECT = 20


class Batch(NamedTuple):
  """Windows of frames of one video."""

  frames: np.ndarray  # [batch, window, size, size, 3] uint8 RGB; rows from `num_valid` on are zero
  num_valid: int
  end: float  # seconds of video read so far: in the last batch its duration
  warnings: tuple[str, ...] = ()  # what is to be told of the video; in the last batch


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
    VideoFault, DataError: as `decode`.
  """
  stride, window = int(grid.stride), int(grid.window)
  recent: collections.deque[np.ndarray] = collections.deque(maxlen=window)
  rows: list[np.ndarray] = []
  num_rows, duration, warnings = 0, 0.0, ()
  for index, (image, duration, told) in enumerate(_samples(path, grid.fps, resize, size)):
    if image is None:
      warnings = told
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
  yield _batch(rows, batch, duration, warnings)


def _batch(rows: list[np.ndarray], size: int, end: float,
           warnings: tuple[str, ...] = ()) -> Batch:
  # A new array each time: the device may still read the one before.
  frames = np.zeros((size, *rows[0].shape), np.uint8)
  frames[:len(rows)] = rows
  return Batch(frames, len(rows), end, warnings)


def _samples(path: str | os.PathLike, fps: float, resize: int,
             size: int) -> Iterator[tuple[np.ndarray | None, float, tuple[str, ...]]]:
  """Yields the image at each time k / fps, the seconds read so far and warnings; at last None."""
  last = image = None
  for shown, read in sampled(path, Fraction(fps).limit_denominator(1_000_000)):
    if shown.frame is not None and shown is not last:
      last, image = shown, _square(path, shown, resize, size)
    yield (None if shown.frame is None else image), read, shown.warnings


def sampled(path: str | os.PathLike, rate: Fraction) -> Iterator[tuple[Shown, float]]:
  """Yields what is on the screen at each time k / rate, and the seconds read; at last the end.

  Raises:
    VideoFault, DataError: as `decode`.
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
  return oriented(image, orientation(frame))
