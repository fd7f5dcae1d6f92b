"""Tables in text files: a header that names the columns, a row a line.

Columns are separated by commas, semicolons, tabs or bars, whichever the header has. Names are told
apart without regard to capitals, and a blank or a hyphen is as good as an underscore. Lines before
the header that are empty or begin with "#", and columns without a name, are left out: these are
the row numbers that some programs write.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tal_jax.data.text.numerals import number
from tal_jax.data.text.text_file import read_text
from tal_jax.errors import DataError

_DELIMITERS = ",;\t|"
_UNNAMED = re.compile(r"(Unnamed: \d+(_level_\d+)?)?")  # pandas' name for a column without one
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's first line


class Row(NamedTuple):
  """A line of a table."""

  line: int  # in the file, from 1
  values: dict[str, str]
  decimal_comma: bool = False  # whether numbers may be written 30,5

  def number(self, column: str) -> float:
    """The finite number in a column; ValueError, which names line and column, if it is none."""
    text = self.values[column]
    value = number(text.replace(",", ".") if self.decimal_comma else text)
    if value is None or not math.isfinite(value):
      raise ValueError(f"line {self.line}: {column} = {text!r} is not a number")
    return value


class _Start(NamedTuple):
  """Where a table begins."""

  line: int  # of the header, from 0
  delimiter: str
  names: tuple[str, ...]


def header(text: str, delimiter: str | None = None) -> tuple[str, ...]:
  """The names of the columns, from the beginning of a file; "" for one without a name."""
  return _start(text, delimiter).names


def has_columns(text: str, columns: Iterable[str], delimiter: str | None = None) -> bool:
  """Whether the beginning of a file names all these columns."""
  return {column_key(name) for name in columns} <= set(
      map(column_key, header(text, delimiter)))


def column_key(name: str) -> str:
  """The same for all spellings of a column's name: Video ID, video-id, video_id."""
  return re.sub(r"[\s-]+", "_", name.strip().casefold())


def delimiter_of(text: str) -> str:
  """What separates the columns of the table that begins so."""
  return _start(text, None).delimiter


def read_table(path: str | os.PathLike, required: Sequence[str], *, optional: Sequence[str] = (),
               delimiter: str | None = None) -> tuple[list[Row], list[tuple[int, str]]]:
  """Reads a table.

  Args:
    path: the file.
    required: columns that must be there; the rows have them under these names.
    optional: others that the rows shall have under these names, if they are there.
    delimiter: between columns; " " takes any number of blanks for one; None finds it out.

  Returns:
    The rows, and (line, message) for the lines that have another number of columns. Blanks around
    a cell are left out.

  Raises:
    DataError: no such file, a required column is missing, or two columns have one name.
  """
  text = read_text(path)
  start = _start(text, delimiter)
  if not start.names:
    raise DataError(f"{path} has no line that names the columns" if text.strip()
                    else f"{path} is empty")
  names = _spelled(start.names, (*required, *optional))
  missing = [name for name in required if name not in names]
  if missing:
    raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; its first line "
                    f"names {', '.join(names[:10])}.")
  twice = [name for name in names if name and names.count(name) > 1]
  if twice:
    raise DataError(f"{path}: its first line names the column {twice[0]!r} twice. Keep one.")
  rows, faults = [], []
  lines = _reader("\n".join(text.split("\n")[start.line + 1:]), start.delimiter)
  decimal_comma = start.delimiter == ";"
  try:
    for cells in lines:
      line = start.line + 1 + lines.line_num
      if start.delimiter == " ":
        cells = [cell for cell in cells if cell]
      cells = [cell.strip() for cell in cells]
      if not any(cells):
        continue
      while len(cells) > len(names) and not cells[-1]:
        cells.pop()
      if len(cells) != len(names):
        faults.append((line, f"line {line} has {len(cells)} columns, the first "
                       f"line names {len(names)}"))
        continue
      values = dict(zip(names, cells, strict=True))
      values.pop("", None)
      rows.append(Row(line, values, decimal_comma))
  except csv.Error as error:
    line = start.line + 1 + lines.line_num
    raise DataError(f"{path} is no table: line {line}: {error}") from error
  return rows, faults


def _start(text: str, delimiter: str | None) -> _Start:
  """The header; columns without a name have the name ""."""
  line, first = -1, ""
  for first in io.StringIO(text.removeprefix("\ufeff"), newline=None):
    line += 1
    given = _SEPARATOR.fullmatch(first)
    if given and delimiter is None:
      delimiter = given.group(1)
    elif first.strip() and not first.startswith("#"):
      break
  else:
    return _Start(0, delimiter or ",", ())
  cut = {mark: _cells(first, mark) for mark in ([delimiter] if delimiter else _DELIMITERS)}
  delimiter = max(cut, key=lambda mark: len(cut[mark]))
  names = [cell.strip() for cell in cut[delimiter] if cell or delimiter != " "]
  return _Start(line, delimiter, tuple("" if _UNNAMED.fullmatch(name) else name for name in names))


def _cells(line: str, delimiter: str) -> list[str]:
  try:
    return next(_reader(line, delimiter), [])
  except csv.Error:
    return []


def _reader(text: str, delimiter: str):
  return csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)


def _spelled(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
  """The names, those that are one of `wanted` but for the spelling spelled so."""
  keys = {column_key(name): name for name in wanted if name not in names}
  keyed = [column_key(name) for name in names]
  return [keys[key] if key in keys and keyed.count(key) == 1 else name
          for name, key in zip(names, keyed, strict=True)]
