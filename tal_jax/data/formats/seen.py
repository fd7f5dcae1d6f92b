"""What a file or folder holds that is in no known format, in a line for the message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tal_jax.data.table import column_key, delimiter_of, header
from tal_jax.data.text_file import what_it_is

if TYPE_CHECKING:
  from tal_jax.data.formats.registry import Format, Probe

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[\[\]{}]')
_LEVELS = 4  # of objects in JSON that are looked at
_SHOWN = 12  # names that a message shows
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def describe(probe: Probe) -> str:
  """A sentence or two on what is there: keys, columns, suffixes, the first line."""
  if probe.path.is_dir():
    return _folder(probe)
  if not probe.text.strip():
    other = what_it_is(probe.path)
    if other:
      return f"The file is {other.split(':')[0]}."
    return "The file is empty." if probe.whole else "The file has only blank lines."
  if _is_json(probe):
    levels = _keys(probe.text)
    top = ("a list" if probe.text.lstrip()[0] == "[" else
           "an object with the keys " + _names(levels[0]) if levels and levels[0] else
           "an empty object")
    inner = levels if top == "a list" else levels[1:]
    return f"It is JSON, {top}" + "".join(
        f"; in it objects with the keys {_names(keys)}" for keys in inner) + "."
  columns = header(probe.text)
  if len(columns) > 1:
    separator = _SEPARATORS.get(delimiter_of(probe.text), "another character")
    return f"It is a table, separated by {separator}, with the columns {_names(columns)}."
  first = next(line for line in probe.text.split("\n") if line.strip())
  return f"It is a text that begins with the line {first[:80]!r}."


def nearest(probe: Probe, formats: Sequence[Format]) -> str:
  """A sentence, after a blank, on the format that lacks least; "" if none has anything in common.

  Formats say in `Format.fields` which columns or keys they need.
  """
  if _is_json(probe):
    has = {column_key(key) for keys in _keys(probe.text) for key in keys}
  else:
    has = set(map(column_key, header(probe.text)))
  common = {x: sum(column_key(field) in has for field in x.fields) for x in formats}
  if not any(common.values()):
    return ""
  best = max(common, key=lambda x: (common[x], -len(x.fields)))
  lacks = [field for field in best.fields if column_key(field) not in has]
  return f" Nearest is {best.name!r}" + (f", which needs also {', '.join(lacks)}." if lacks
                                         else f": {best.looks}.")


def _folder(probe: Probe) -> str:
  folders = [name for name in probe.names if (probe.path / name).is_dir()]
  if folders:
    return (f"It holds the folders {', '.join(folders[:5])}: is it one of them, or several with a "
            "comma between?")
  if not probe.names:
    return "The folder is empty."
  counts = Counter((probe.path / name).suffix.lower() or "no suffix" for name in probe.names)
  return "It is a folder of " + ", ".join(
      f"{count} {'file' if count == 1 else 'files'} with {suffix}"
      for suffix, count in counts.most_common(5)) + f", e.g. {probe.names[0]}."


def _is_json(probe: Probe) -> bool:
  return probe.text.lstrip()[:1] in ("{", "[")


def _keys(text: str) -> list[list[str]]:
  """The keys of the first object of each level, outermost first; the text may be cut off."""
  levels: list[list[str]] = []
  complete: set[int] = set()
  for token, key, depth in _walk(text):
    if depth >= _LEVELS:
      continue
    if token == "{" and depth == len(levels):
      levels.append([])
    elif token == "}":
      complete.add(depth)
    elif key is not None and depth not in complete and key not in levels[depth]:
      levels[depth].append(key)
  return [keys for keys in levels if keys]


def _walk(text: str) -> Iterator[tuple[str, str | None, int]]:
  """(bracket or "key", the key, how many objects are around it)."""
  depth = 0
  for match in _TOKEN.finditer(text):
    token = match.group()[0]
    if token == "{":
      yield token, None, depth
      depth += 1
    elif token == "}":
      depth -= 1
      yield token, None, depth
    elif token == '"' and match.group(2) and depth:
      yield "key", match.group(1), depth - 1


def _names(names: Sequence[str]) -> str:
  shown = ", ".join(name or "(none)" for name in names[:_SHOWN])
  return shown + (f", ... ({len(names)} in all)" if len(names) > _SHOWN else "")
