"""When decoded frames appear, also where their own timestamps are in another order or start.

A decoder gives frames in the order of showing. Some writers (VLC's stream output, for one) give the
packets of a stream with B-frames the times of their storage, so that every second frame seems to go
back. The times are right, but at the wrong frames: in ascending order they are the frames' own.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

_AHEAD = 8  # frames that are held back; more than encoders reorder in practice


def stamped(frames: Iterable[Any]) -> Iterator[tuple[Any, Fraction | None]]:
  """Yields each frame with its timestamp, seconds; None where the stream has none.

  Of any _AHEAD + 1 frames the times ascend; a time that goes back further than that is given as it
  is.
  """
  waiting: collections.deque[Any] = collections.deque()
  stamps: list[Fraction] = []
  for frame in frames:
    if frame.pts is None:
      yield from _given(waiting, stamps, 0)
      yield frame, None
      continue
    waiting.append(frame)
    heapq.heappush(stamps, frame.pts * frame.time_base)
    yield from _given(waiting, stamps, _AHEAD)
  yield from _given(waiting, stamps, 0)


def _given(waiting: collections.deque[Any], stamps: list[Fraction],
           left: int) -> Iterator[tuple[Any, Fraction]]:
  """Takes the first frame and the least time, until so many are left."""
  while len(waiting) > left:
    yield waiting.popleft(), heapq.heappop(stamps)


def origin(container: Any, first: Fraction, earliest: Fraction | None) -> Fraction:
  """The stamp of time 0, which is where players show 0:00, but never after the first frame.

  Audio that starts before 0 (an encoder's priming) does not count. The start that is told of a
  single stream may be that of storage, which is before the first picture of an AVI with B-frames.

  Args:
    container: open for reading.
    first: the stamp of the first frame that could be decoded, seconds.
    earliest: the least stamp of the stream's packets so far; None if they have none.
  """
  if len(container.streams) == 1 and earliest is not None:
    return min(first, earliest)
  if container.start_time is None:
    return first
  return min(first, max(Fraction(container.start_time, 1_000_000), Fraction(0)))
