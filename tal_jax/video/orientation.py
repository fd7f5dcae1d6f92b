"""From the picture that is stored to the one on the screen, by the file's display matrix.

Telephones turn their pictures, front cameras and editors mirror them, too. A matrix gives for the
stored place (x, y), y downwards, the place on the screen

    (a x + c y, b x + d y).

Players know multiples of 90 degrees only, so the nearest of the eight ways to lay a picture down is
taken. How large the matrix makes it is in the stream's aspect of pixels already.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tal_jax.video.streams import pyav


class Orientation(NamedTuple):
  """What is done to a stored picture, in this order."""

  transposed: bool  # rows become columns
  columns: bool  # left and right change places
  rows: bool  # top and bottom do


def orientation(frame: Any) -> Orientation:
  """How an av.VideoFrame is to be shown."""
  matrix = frame.side_data.get("DISPLAYMATRIX")
  if matrix is None:
    return Orientation(False, False, False)
  a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
  if abs(b) + abs(c) > abs(a) + abs(d):
    return Orientation(True, c < 0, b < 0)
  return Orientation(False, a < 0, d < 0)


def described(how: Orientation) -> str:
  """In words; "" if pictures are shown as they are stored."""
  mirrored = sum(how) % 2 == 1  # each of the three steps mirrors; two of them turn
  if mirrored:
    return "turned and mirrored" if how.transposed else "mirrored"
  degrees = (90 if how.columns else 270) if how.transposed else 180 * how.rows
  return f"turned by {degrees} degrees" if degrees else ""


def oriented(image: np.ndarray, how: Orientation) -> np.ndarray:
  """The picture [h, w, ...] as it is shown."""
  if how.transposed:
    image = image.swapaxes(0, 1)
  image = image[:, ::-1] if how.columns else image
  return np.ascontiguousarray(image[::-1] if how.rows else image)


def size_on_screen(frame: Any, aspect: Fraction) -> tuple[int, int]:
  """Width and height in square pixels, upright."""
  width, height = round(frame.width * aspect), frame.height
  return (height, width) if orientation(frame).transposed else (width, height)


def upright(frame: Any, size: Sequence[int]) -> Any:
  """The frame in yuv420p, scaled to the (width, height) on the screen, as it is shown."""
  how = orientation(frame)
  if not any(how):
    return frame.reformat(*size, format="yuv420p", interpolation="BILINEAR",
                          dst_color_range="MPEG")
  width, height = size[::-1] if how.transposed else size
  image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
  return pyav().VideoFrame.from_ndarray(oriented(image, how), format="rgb24").reformat(
      format="yuv420p")
