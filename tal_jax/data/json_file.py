"""JSON files in which repeated keys stay visible, and faults that name the file."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from tal_jax.data.types import DataError


class Members(list):
  """The members of a JSON object as (key, value) pairs, in file order, repeated keys and all."""


def load_json(path: str | os.PathLike) -> Any:
  """JSON with objects as `Members`, see `plain`.

  Raises:
    DataError: the file is missing or is not JSON.
  """
  text = read_text(path)
  try:
    return json.loads(text, object_pairs_hook=Members)
  except (ValueError, RecursionError) as error:
    raise DataError(f"{path} is not JSON: {error}. Is the file complete?") from error


def read_text(path: str | os.PathLike) -> str:
  """The text of a file in UTF-8, a byte-order mark taken off.

  Raises:
    DataError: the file is missing or is not text.
  """
  try:
    return pathlib.Path(path).read_text(encoding="utf-8-sig")
  except OSError as error:
    raise DataError(f"cannot read {path}: {error.strerror}") from error
  except UnicodeDecodeError as error:
    raise DataError(f"{path} is not a text file in UTF-8: {error}") from error


def members(value: Any) -> Members | None:
  """The members of the object `value`, None if it is none."""
  return value if isinstance(value, Members) else None


def as_dict(value: Any) -> Any:
  """An object as a dictionary, anything else as it is; of a repeated key the last value stands."""
  return dict(value) if isinstance(value, Members) else value


def plain(value: Any) -> Any:
  """Ordinary dictionaries and lists all the way down."""
  if isinstance(value, Members):
    return {key: plain(x) for key, x in value}
  return [plain(x) for x in value] if isinstance(value, list) else value
