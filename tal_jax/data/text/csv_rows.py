"""The numbers of a csv file of features, without what its writer added.

Columns are separated by commas, by semicolons (with decimal commas or points) or by tabs.

A header is a first line that holds something else than numbers, or just counts 0, 1, 2, ...; it may
be a comment, as numpy.savetxt writes it. Left out are comments (#) and leading columns that number
or date the rows: one without a name (pandas, R), one named `Unnamed: 0`, `index`, `frame`, `time`
and the like if it grows, and one that the header does not name at all (R's write.table).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.data.text.text_file import read_head, read_text

_HEAD = 1 << 16  # bytes
_NAMELESS = re.compile(r"(unnamed: ?\d+(_level_\d+)?)?")
_COUNTERS = re.compile(
    r"(id|index|idx|((rows?|frames?|samples?|snippets?|clips?|segments?)([_ ]?"
    r"(id|no|nr|num|number|idx|index))?)|(t|times?|time[_ ]?stamps?)?[_ ]?"
    r"\(?(s|secs?|seconds?|ms|msecs?|milliseconds?|us|microseconds?)?\)?)")


class Table(NamedTuple):
  """A csv file before its numbers are read."""

  lines: list[str]  # of numbers, without the header and blank ones
  width: int  # columns of the features
  left_out: tuple[str, ...]  # the names of the leading columns that are no features


def shape(path) -> tuple[int, int]:
  """[T, d] of the file.

  Raises:
    DataError: it is no text.
  """
  table = _table(read_text(path))
  return len(table.lines), table.width


def values(path) -> np.ndarray:
  """[T, d] float32.

  Raises:
    DataError: it is no text.
    ValueError: something else than numbers in it, or lines of several lengths.
  """
  table = _table(read_text(path))
  if not table.lines:
    return np.zeros((0, table.width), np.float32)
  first = len(table.left_out)
  try:
    rows = np.loadtxt(table.lines, np.float32, delimiter=",", ndmin=2, quotechar='"', comments=None,
                      usecols=range(first, first + table.width) if first else None)
  except ValueError as error:
    raise _no_number(table, first) or error from error
  if rows.shape[1] != table.width:
    raise ValueError(f"{table.width} columns in its first line, {rows.shape[1]} below")
  return rows


def left_out(path) -> tuple[str, ...]:
  """The names of the leading columns that are no features; "" is a column without a name.

  From the beginning of the file alone.
  """
  head = read_head(path, _HEAD)
  text = head.text if head.whole else head.text.rpartition("\n")[0]
  return _table(text).left_out


def _table(text: str) -> Table:
  if ";" in text.partition("\n")[0]:  # then a comma is the decimal one
    text = text.replace(",", ".").replace(";", ",")
  elif "\t" in text.partition("\n")[0]:
    text = text.replace("\t", ",")
  lines = [line for line in text.split("\n") if line.strip()]
  comments = [line for line in lines if line.startswith("#")]
  lines = [line for line in lines if not line.startswith("#")]
  first = _cells(lines[0]) if lines else []
  named = _cells(comments[-1].lstrip("# ")) if comments else []
  if len(named) == len(first) > 1 and not _is_header(first) and _is_header(named):
    lines.insert(0, comments[-1].lstrip("# "))  # as numpy.savetxt writes it
    first = named
  if not _is_header(first):
    return Table(lines, len(first), ())
  width = len(_cells(lines[1])) if len(lines) > 1 else len(first)
  added: list[str] = []
  if width == len(first) + 1:
    added.append("")
  for number, name in enumerate(first):
    if len(added) + 1 >= width or number != len(added) - (width - len(first)):
      break
    plain = name.strip().lower()
    if not _NAMELESS.fullmatch(plain) and not (
        _COUNTERS.fullmatch(plain) and _grows(lines[1:], len(added))):
      break
    added.append(name.strip())
  return Table(lines[1:], width - len(added), tuple(added))


def _no_number(table: Table, first: int) -> ValueError | None:
  """What is where a number is wanted."""
  for number, line in enumerate(table.lines):
    for cell in _cells(line)[first:]:
      try:
        float(cell)
      except ValueError:
        where = ("the first line below the header" if number == 0 else "the last line"
                 if number == len(table.lines) - 1 else f"line {number + 1} of the numbers")
        what = {0: ": units? Take the line out", len(table.lines) - 1: ": a sum or mean of the "
                "writer's? Take the line out"}.get(number, "")
        return ValueError(f"{where} has {cell!r}, no number{what}")
  return None


def _cells(line: str) -> list[str]:
  return [cell.strip() for cell in next(csv.reader([line]), [])]


def _is_header(cells: Sequence[str]) -> bool:
  try:
    numbers = [float(cell) for cell in cells]
  except ValueError:
    return bool(cells)
  return len(numbers) > 1 and numbers == list(range(len(numbers)))


def _grows(lines: Sequence[str], column: int) -> bool:
  """Whether the numbers in a column become larger from line to line."""
  try:
    numbers = [float(line.split(",", column + 1)[column].strip(' "')) for line in lines]
  except (ValueError, IndexError):
    return False
  return all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
