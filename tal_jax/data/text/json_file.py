"""JSON files in which repeated keys stay visible, and faults that name the file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from tal_jax.data.text.text_file import read_text
from tal_jax.errors import DataError

_SHOWN = 40  # characters of a file that a message shows
_KEYS = 8  # keys of an object that a message shows


class Members(list):
  """The members of a JSON object as (key, value) pairs, in file order, repeated keys and all."""


def load_json(path: str | os.PathLike) -> Any:
  """JSON with objects as `Members`, see `plain`.

  Raises:
    DataError: the file is missing or is not JSON.
  """
  return parse(read_text(path), path, Members)


def parse(text: str, path: str | os.PathLike, members: Callable[[list], Any]) -> Any:
  """The value that the text of the file `path` is, objects as `members` makes them of their pairs.

  Raises:
    DataError: it is no JSON; the message says where, and what is there.
  """
  try:
    return json.loads(text, object_pairs_hook=members)
  except json.JSONDecodeError as error:
    raise DataError(f"{path} is not JSON: {error}. {_cause(text, error)}") from error
  except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
    raise DataError(f"{path} is not JSON: {error}.") from error


def _cause(text: str, error: json.JSONDecodeError) -> str:
  start = text.strip()
  if not start:
    return "The file is empty."
  if start.startswith("<"):
    return f"It begins with {start[:_SHOWN]!r}: a web page, instead of the file?"
  if start.startswith("version https://git-lfs"):
    return "It is a pointer of Git LFS: fetch the file itself (git lfs pull)."
  if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
    return "Is the file complete?"
  if error.msg == "Extra data":
    return "A second value begins there; JSON is one (in JSON Lines each line is one)."
  return f"Found there: {text[error.pos:error.pos + _SHOWN]!r}."


def seen(value: Any) -> str:
  """For messages, after a blank: what is at the top level."""
  if isinstance(value, Members | dict):
    keys = list(dict(value))
    return (f" It has the keys {', '.join(map(repr, keys[:_KEYS]))}"
            + (", ..." if len(keys) > _KEYS else "") + "." if keys else " It is an empty object.")
  return f" It is {'a list' if isinstance(value, list) else repr(value)[:_SHOWN]}."


def refuse_repeated(value: Any, path: str | os.PathLike) -> None:
  """Raises DataError if an object in `value` has a key twice: one of its values would be lost."""
  if isinstance(value, Members):
    keys = [key for key, _ in value]
    twice = next((key for key, count in Counter(keys).items() if count > 1), None) if (
        len(set(keys)) < len(keys)) else None
    if twice is not None:
      raise DataError(f"{path}: {twice!r} is there {keys.count(twice)} times: keep one, with "
                      "all that it has")
    value = [item for _, item in value]
  for item in value if isinstance(value, list) else ():
    refuse_repeated(item, path)


def members(value: Any) -> Members | None:
  """The members of the object `value`, None if it is none."""
  return value if isinstance(value, Members) else None


def as_dict(value: Any) -> Any:
  """An object as a dictionary, anything else as it is; of a repeated key the last value counts."""
  return dict(value) if isinstance(value, Members) else value


def plain(value: Any) -> Any:
  """Ordinary dictionaries and lists all the way down."""
  if isinstance(value, Members):
    return {key: plain(x) for key, x in value}
  return [plain(x) for x in value] if isinstance(value, list) else value
