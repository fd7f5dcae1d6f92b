"""What the values of features are: finite, not zero, not constant, not copies, not row numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from tal_jax.data.checks.problems import Problem

_ZERO_SHARE = 0.1  # of the rows, from which zeros are reported
_FEW = 3  # videos, below which there is no set to judge
_LEAST_ROWS = 5  # in which a column that grows evenly is no chance
_LEAST_WIDTH = 8  # below which constant or equal values may be right: a sensor's few states
_COMPARED_ROWS = 16  # by which two videos are held to be copies
_SHOWN = 5


class Contents:
  """The videos looked at, one after the other; `judge` has what they have in common."""

  def __init__(self):
    self._files: dict[str, str] = {}  # by video
    self._copies: dict[tuple, list[str]] = {}  # videos by what represents their values
    self._constant: list[str] = []
    self._counting: dict[int, tuple[float, float]] | None = None  # column -> first value, step
    self._num_counted = 0

  def add(self, video_id: str, values: np.ndarray, file: str) -> list[Problem]:
    """Looks at a video's features, [T, d]; its own faults."""
    self._files[video_id] = file
    problems = []
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
      problems.append(Problem("non-finite feature", file, video_id,
                              f"{len(bad)} of {len(values)} rows, the first is row {bad[0]}"
                              + _every(bad, len(values))))
    zero = np.flatnonzero(~values.any(axis=1))
    if len(zero) > _ZERO_SHARE * len(values):
      problems.append(Problem("all-zero features", file, video_id,
                              f"{len(zero)} of {len(values)} rows, the first is row {zero[0]}"))
    if len(bad) == len(values) or len(zero) == len(values):
      return problems
    if values.shape[1] >= _LEAST_WIDTH:
      self._copies.setdefault(_fingerprint(values), []).append(video_id)
      if len(values) > 1 and (values[0] == values[-1]).all() and (values == values[0]).all():
        self._constant.append(video_id)
        problems.append(Problem("constant features", file, video_id,
                                f"its {len(values)} rows are all the same"))
    if len(values) >= _LEAST_ROWS:
      self._num_counted += 1
      columns = range(values.shape[1]) if self._counting is None else self._counting
      self._counting = _counting(values, np.fromiter(columns, int))
    return problems

  def judge(self, path: str) -> list[Problem]:
    """The faults that the videos share."""
    problems = []
    total = len(self._files)
    if self._num_counted >= _FEW and self._counting:
      column, (first, step) = next(iter(self._counting.items()))
      more = f" (and {len(self._counting) - 1} more)" if len(self._counting) > 1 else ""
      problems.append(Problem(
          "row numbers as features", path, "", f"column {column}{more} grows evenly in all "
          f"{self._num_counted} videos; in the last one from {first:.6g} in steps of {step:.6g}"))
    if total >= _FEW and len(self._constant) == total:
      problems.append(Problem("one row throughout", path, "", f"all {total} videos"))
    for video_ids in self._copies.values():
      if len(video_ids) == total >= _FEW:
        problems.append(Problem("the same features everywhere", path, "", f"all {total} videos"))
      elif len(video_ids) > 1:
        more = f" and {len(video_ids) - _SHOWN} more" if len(video_ids) > _SHOWN else ""
        problems.append(Problem("same features", self._files[video_ids[0]], video_ids[0],
                                f"as {', '.join(video_ids[1:_SHOWN])}{more}"))
    return problems


def left_out(columns: Mapping[str, int], path: str) -> list[Problem]:
  """Of the columns that were left out of csv: their names, and in how many files."""
  return [Problem("index column", path, "", f"{name!r} in {count} file(s)" if name else
                  f"a first column without a name in {count} file(s)")
          for name, count in columns.items()]


def _fingerprint(values: np.ndarray) -> tuple:
  rows = values[::max(1, len(values) // _COMPARED_ROWS)]
  return values.shape, hashlib.blake2b(rows.tobytes(), digest_size=16).digest()


def _counting(values: np.ndarray, columns: np.ndarray) -> dict[int, tuple[float, float]]:
  """Those of the columns that grow evenly, beyond 1, with their first value and step."""
  if not len(columns):
    return {}
  # The second row is looked at first: it leaves next to no column.
  first, second, last = values[[[0], [1], [-1]], columns].astype(np.float64)
  with np.errstate(invalid="ignore", over="ignore"):
    step = (last - first) / (len(values) - 1)
    slack = 0.5 * step + _resolution(values) * np.abs(last)
    near = (step > 0) & (last > 1) & (np.abs(second - first - step) <= slack)
  found = {}
  for column, start, each, within in zip(columns[near], first[near], step[near], slack[near],
                                         strict=True):
    line = start + each * np.arange(len(values))
    if (np.abs(values[:, column] - line) <= within).all():
      found[int(column)] = (float(start), float(each))
  return found


def _resolution(values: np.ndarray) -> float:
  return float(np.finfo(values.dtype).eps) if np.issubdtype(values.dtype, np.floating) else 0.0


def _every(bad: np.ndarray, rows: int) -> str:
  """Of rows that are finite but for a regular gap, which ones are."""
  good = np.setdiff1d(np.arange(rows), bad)
  steps = np.unique(np.diff(good))
  if len(good) < _FEW or len(steps) != 1 or steps[0] < 2:
    return ""
  return (f"; of every {steps[0]} rows one is finite, from row {good[0]}: features of stride "
          f"{steps[0]} between rows that were never filled?")
