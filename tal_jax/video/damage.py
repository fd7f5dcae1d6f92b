"""Counts the frames that are damaged or missing inside a video.

Decoders conceal errors: they fill in what they cannot read, and flag the frame; or leave it out, so
that the frame before it stands longer. Where almost all frames are equally far apart, a gap of a
whole number of such steps tells how many are missing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tal_jax.video.streams import VideoFault

_CONSTANT = 0.95  # part of the steps that are equal where the rate is called constant, but for one
_STEPS = 5  # equal ones that it takes
_ROUNDING = 0.002  # seconds off a whole number of steps, by stamps in milliseconds
_USABLE = 0.25  # part of the frames that may be damaged or impossible to decode


class Tally:
  """Of one video; its size does not grow with the video's length.

  `stamped`: each frame has a time of its own, so that gaps tell something.
  """

  def __init__(self, stamped: bool = True):
    self._stamped = stamped
    self.frames = self.damaged = self.failed = 0
    self._first: dict[str, float] = {}  # seconds of the first "damaged" and "failed"
    self._steps: dict[int, list] = {}  # milliseconds: number, sum of seconds, first time
    self._begin = self._time = None  # of the first and the last frame

  def frame(self, time: float, damaged: bool) -> None:
    """Counts a frame that is shown at `time` seconds; `damaged`: the decoder says so."""
    self.frames += 1
    if damaged:
      self.damaged += 1
      self._first.setdefault("damaged", time)
    if self._time is not None:
      step = time - self._time
      entry = self._steps.setdefault(round(1000 * step), [0, 0.0, time])
      entry[0] += 1
      entry[1] += step
    else:
      self._begin = time
    self._time = time

  def fail(self, time: float) -> None:
    """Counts a packet that cannot be decoded, to be shown at about `time` seconds."""
    self.failed += 1
    self._first.setdefault("failed", time)

  def report(self, path: str | os.PathLike, ends: Sequence[float]) -> tuple[str, ...]:
    """What is to be told of the video.

    Args:
      path: the file.
      ends: seconds at which the first and the last packet are to be shown; empty if unknown.

    Raises:
      VideoFault: too many frames are damaged or impossible to decode.
    """
    missing, first = self._missing(ends)
    if self.failed > missing:
      missing, first = self.failed, self._first["failed"]
    total = self.frames + missing
    broken = self.damaged + self.failed
    if broken > _USABLE * total:
      start = min(self._first.get("damaged", first), first if missing else float("inf"))
      raise VideoFault(f"{path}: {broken} of {total} frames are damaged, the first at "
                       f"{start:.1f} s: more than a quarter")
    told = []
    if self.damaged:
      told.append(f"{self.damaged} of {total} frames are damaged, the first at "
                  f"{self._first['damaged']:.1f} s")
    if missing:
      told.append(f"{missing} of {total} frames are missing, the first at {first:.1f} s")
    return tuple(told)

  def _missing(self, ends: Sequence[float]) -> tuple[int, float]:
    """How many frames the gaps have room for, and the time of the first."""
    if not (self._stamped and self._steps):
      return 0, 0.0
    number = sum(count for count, _, _ in self._steps.values())
    mode = max(self._steps, key=lambda key: self._steps[key][0])
    equal = [self._steps[key] for key in (mode - 1, mode, mode + 1) if key in self._steps]
    count, seconds = (sum(entry[i] for entry in equal) for i in (0, 1))
    if mode < 1 or count < _STEPS or number - count > max(1, (1 - _CONSTANT) * number):
      return 0, 0.0
    usual = seconds / count
    missing, first = 0, []
    for key, (times, total, time) in self._steps.items():
      step = total / times
      whole = round(step / usual)
      if whole > 1 and abs(key - mode) > 1 and abs(step - whole * usual) < (
          _ROUNDING + whole / count / 1000):
        missing += times * (whole - 1)
        first.append(time - step + usual)
    if ends:
      for step, time in ((self._begin - ends[0], ends[0]),
                         (ends[1] - self._time, self._time + usual)):
        if round(step / usual) > 1:  # the order of storage explains one
          missing += round(step / usual)
          first.append(time)
    return missing, min(first, default=0.0)
