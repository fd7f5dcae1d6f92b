"""A pool's rows in windows of few lengths, to run a network over videos of any length.

Notation: v videos; a window has l rows, of which those from `begin` to `end` are its own; the
others are there because what a network says of a row depends on the rows around it.

A video that fits into a window is one. A longer one is cut into windows that overlap by `reach`
rows on either side of their own, so that what is said of a window's own rows is what one pass over
the whole video would say. Windows are batched by length, and every length is of a short series: few
programs are compiled, and the memory of a pass is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tal_jax.rows import Rows

LONGEST = 8192  # rows of a window
_ROWS_A_BATCH = 16384


class Windows(NamedTuple):
  """A batch of windows of one length, on the host; b windows."""

  values: np.ndarray  # [b, l, d] as stored, 0 where padded
  mask: np.ndarray  # [b, l]
  video: np.ndarray  # [b] index, -1 where padded
  offset: np.ndarray  # [b] the video's row at which the window begins
  own: np.ndarray  # [b, 2] rows of the window, from and to, that are its own


class _Window(NamedTuple):
  length: int
  video: int
  offset: int
  rows: int
  begin: int
  end: int


def batches(rows: Rows, *, reach: int, multiple: int, longest: int = LONGEST) -> Iterator[Windows]:
  """All windows of all videos that have rows: by length, then by video.

  Args:
    rows: of v videos; memory-mapped values are read window by window.
    reach: rows on either side that a network may look at.
    multiple: of it is every length.
    longest: rows of a window, at most; at least 4 * reach.
  """
  longest = max(longest, _up(4 * reach + multiple, multiple))
  first, count = np.asarray(rows.first), np.asarray(rows.count)
  windows = [window for video, n in enumerate(count)
             for window in _cut(video, int(n), reach, multiple, longest)]
  windows.sort(key=lambda window: (window.length, window.video, window.offset))
  begin = 0
  while begin < len(windows):
    length = windows[begin].length
    size = max(1, _ROWS_A_BATCH // length)
    some = [w for w in windows[begin:begin + size] if w.length == length]
    begin += len(some)
    yield _read(rows, first, some, length, size)


def _cut(video: int, count: int, reach: int, multiple: int, longest: int) -> Iterator[_Window]:
  if count <= longest:
    if count:
      yield _Window(_series(count, multiple, longest), video, 0, count, 0, count)
    return
  own = (longest - 2 * reach) // multiple * multiple
  for begin in range(0, count, own):
    # A window begins at a multiple of the strides, or its points would be others.
    offset = max(0, begin - _up(reach, multiple))
    stop = min(count, begin + own + reach)
    end = min(count, begin + own)
    yield _Window(_series(stop - offset, multiple, longest + multiple), video, offset,
                  stop - offset, begin - offset, end - offset)


def _read(rows: Rows, first, windows, length: int, size: int) -> Windows:
  values = np.zeros((size, length, rows.dim), rows.values.dtype)
  mask = np.zeros((size, length), bool)
  video, offset = np.full(size, -1, np.int32), np.zeros(size, np.int32)
  own = np.zeros((size, 2), np.int32)
  for i, w in enumerate(windows):
    at = int(first[w.video]) + w.offset
    values[i, :w.rows] = rows.values[at:at + w.rows]
    mask[i, :w.rows] = True
    video[i], offset[i], own[i] = w.video, w.offset, (w.begin, w.end)
  return Windows(values, mask, video, offset, own)


def _series(count: int, multiple: int, most: int) -> int:
  """The smallest of multiple * (1, 2, 3, 4, 6, 8, 12, ...) that holds `count`, at most `most`."""
  units = -(-count // multiple)
  power = 1
  while True:
    for candidate in (power, power * 3 // 2):
      if candidate >= units:
        return min(candidate * multiple, _up(most, multiple))
    power *= 2


def _up(count: int, multiple: int) -> int:
  return -(-count // multiple) * multiple
