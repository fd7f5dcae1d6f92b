"""The pyramid's levels: their strides, and the rule that chooses them.

Notation: s: a level's stride in rows; point i of the level is at row i s. A point learns truths
for which the longer way to a bound lies in [2 s, 4 s) rows; the first level takes all that are
shorter, the last one all that are longer.

Source: ActionFormer for points and ranges; the rule is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOST, FEWEST = 6, 5  # levels
_SHORT = 0.05  # quantile of the lengths that the first level is for


class Levels(NamedTuple):
  """Hashable: what is compiled depends on it."""

  first: int  # stride of the first level, a power of two
  count: int

  @property
  def strides(self) -> tuple[int, ...]:
    return tuple(self.first << i for i in range(self.count))


DEFAULT = Levels(2, 5)


class Points(NamedTuple):
  """The points of all levels, one after the other; p points."""

  positions: np.ndarray  # [p] float32 rows
  strides: np.ndarray  # [p] float32 rows
  low: np.ndarray  # [p] float32 rows, the shortest longer way to a bound
  high: np.ndarray  # [p] float32 rows, not included


def choose(lengths: np.ndarray, *, longest_crop: int = 1024) -> Levels:
  """The levels for instances of these lengths.

  A point at the middle of an instance of n rows has n / 2 to both bounds, and some more where it
  stands off the middle: level s is for instances of some 4 s to 8 s rows. The first level is for
  the short instances (5 % quantile), the last for the longest. Where that makes more than MOST
  levels, those are kept that are for the most instances, so that a single long one does not cost
  the short ones their levels; of two such choices the finer one. No level is for instances that
  are longer than a crop.

  Args:
    lengths: [n] rows, of the labelled instances.
    longest_crop: rows that the network sees at once in training, at least 64.

  Returns:
    From FEWEST to MOST levels. Where they would be fewer, as with the first few labels, coarser
    ones are added, since longer instances will come; but first a finer one, where the finest
    stands at every fourth row or less.
  """
  lengths = np.asarray(lengths, np.float64)
  lengths = lengths[lengths > 0]
  if not len(lengths):
    return DEFAULT
  coarsest = _power(longest_crop / 4)
  first = min(_power(np.quantile(lengths, _SHORT) / 4), coarsest)
  last = max(min(_power(lengths.max() / 4), coarsest), first)
  if last - first + 1 > MOST:
    choices = [Levels(1 << low, MOST) for low in range(first, last - MOST + 2)]
    return min(choices, key=lambda levels: sum(outside(lengths, levels)))
  if last - first + 1 < FEWEST and first > 1:
    first -= 1
  first = max(min(first, coarsest - FEWEST + 1), 0)
  return Levels(1 << first, max(last - first + 1, FEWEST))


def outside(lengths: np.ndarray, levels: Levels) -> tuple[int, int]:
  """How many instances are shorter than those the levels are for, and how many are longer.

  Args:
    lengths: [n] rows. Below 4 rows none is too short for a first level at every row.
  """
  lengths = np.asarray(lengths)
  shortest = 4 * levels.first if levels.first > 1 else 0
  return (int(np.sum(lengths < shortest)), int(np.sum(lengths >= 8 * levels.strides[-1])))


def _power(x: float) -> int:
  """The exponent of the largest power of two that is at most x, at least 0."""
  return max(0, int(np.floor(np.log2(max(x, 1.0)))))


def covers(levels: Levels, wanted: Levels) -> bool:
  """Whether a network of `levels` is as fine and as coarse as one of `wanted`."""
  return levels.first <= wanted.first and levels.strides[-1] >= wanted.strides[-1]


def points(levels: Levels, length: int) -> Points:
  """The points over `length` rows, a multiple of the coarsest stride."""
  if length % levels.strides[-1]:
    raise ValueError(f"{length} rows are no multiple of the coarsest stride {levels.strides[-1]}")
  parts = []
  for i, s in enumerate(levels.strides):
    n = length // s
    low = 0.0 if i == 0 else 2.0 * s
    high = np.inf if i == levels.count - 1 else 4.0 * s
    parts.append((np.arange(n) * s, np.full(n, s), np.full(n, low), np.full(n, high)))
  return Points(*(np.concatenate(x).astype(np.float32) for x in zip(*parts, strict=True)))
