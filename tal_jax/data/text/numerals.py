"""Numbers as files have them: some write 65.9, some "65.9"."""

from __future__ import annotations

import math
import re
from typing import Any

_TEXT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def rate(value: Any) -> float | None:
  """As `number`; also a ratio, 30000/1001, as FFmpeg writes frame rates."""
  if isinstance(value, str) and value.count("/") == 1:
    over, under = map(number, value.split("/"))
    return over / under if over is not None and under else None
  return number(value)


def number(value: Any) -> float | None:
  """The number that a value is, or that its text says; None if it is none.

  A NaN or infinity that a file has as a number is given as it stands; their names are no numbers.
  """
  if isinstance(value, str):
    text = value.strip()
    found = float(text) if _TEXT.fullmatch(text) else math.nan
    return found if math.isfinite(found) else None
  if isinstance(value, bool) or not isinstance(value, int | float):
    return None
  try:
    return float(value)
  except OverflowError:  # an integer beyond the range of floats
    return None
