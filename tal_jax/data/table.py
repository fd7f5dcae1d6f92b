"""Tables in text files: a header that names the columns, a row a line."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from typing import NamedTuple

from tal_jax.data.json_file import read_text
from tal_jax.data.types import DataError


class Row(NamedTuple):
  """A line of a table."""

  line: int  # in the file, from 1
  values: dict[str, str]

  def number(self, column: str) -> float:
    """The finite number in a column; ValueError, which names line and column, if it is none."""
    try:
      value = float(self.values[column])
    except ValueError:
      value = math.nan
    if not math.isfinite(value):
      raise ValueError(f"line {self.line}: {column} = {self.values[column]!r} is not a number")
    return value


def header(text: str, delimiter: str = ",") -> tuple[str, ...]:
  """The names of the columns, from the beginning of a file."""
  first = text.split("\n", 1)[0].removeprefix("\ufeff")
  return tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter), ()))


def read_table(path: str | os.PathLike, required: Sequence[str], *,
               delimiter: str = ",") -> tuple[list[Row], list[tuple[int, str]]]:
  """Reads a table.

  Args:
    path: the file.
    required: columns that must be there.
    delimiter: between columns; " " takes any number of spaces for one.

  Returns:
    The rows, and (line, message) for the lines that have another number of columns.

  Raises:
    DataError: no such file, or a required column is missing.
  """
  lines = csv.reader(io.StringIO(read_text(path)), delimiter=delimiter,
                     skipinitialspace=delimiter == " ")
  names, rows, faults = None, [], []
  try:
    table = [(lines.line_num, cells) for cells in lines]
  except csv.Error as error:
    raise DataError(f"{path} is no table: line {lines.line_num}: {error}") from error
  for line, cells in table:
    if delimiter == " ":
      cells = [cell for cell in cells if cell]
    if not any(cell.strip() for cell in cells):
      continue
    if names is None:
      names = [cell.strip() for cell in cells]
      missing = [name for name in required if name not in names]
      if missing:
        raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; its first line "
                        f"names {', '.join(names[:10])}.")
    elif len(cells) != len(names):
      faults.append((line, f"line {line} has {len(cells)} columns, the first "
                     f"line names {len(names)}"))
    else:
      rows.append(Row(line, dict(zip(names, map(str.strip, cells), strict=True))))
  if names is None:
    raise DataError(f"{path} is empty")
  return rows, faults
