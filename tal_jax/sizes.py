"""Sizes that arrays are padded to."""

from __future__ import annotations


def bucket(count: int, *, smallest: int = 64, most: int | None = None) -> int:
  """The smallest of a fixed series of sizes that holds `count`: 64, 128, 256, ... (or `most`).

  What is compiled depends on shapes; with sizes from a short series, a run of many steps compiles
  a fixed number of programs.
  """
  size = smallest
  while size < count:
    size *= 2
  return size if most is None else min(size, max(most, count))
