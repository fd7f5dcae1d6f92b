"""What a file or folder holds that is in no known format, in a line for the message."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tal_jax.data import arrays
from tal_jax.data.formats.format import Probe
from tal_jax.data.text.numerals import number
from tal_jax.data.text.table import delimiter_of, header
from tal_jax.data.text.text_file import what_it_is
from tal_jax.errors import DataError

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[\[\]{}]')
_LEVELS = 4  # of objects in JSON that are looked at
_SHOWN = 12  # names that a message shows
_TEXTS = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xml", ".eaf")
_VIDEOS = {".mp4", ".mkv", ".avi", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".ts"}
_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def describe(probe: Probe) -> str:
  """A sentence or two on what is there: keys, columns, suffixes, the first line."""
  if probe.path.is_dir():
    return _folder(probe)
  if probe.suffix in (".npy", ".npz"):
    return _array(probe)
  if not probe.text.strip():
    other = what_it_is(probe.path)
    if other:
      return f"The file is {other.split(':')[0]}."
    return "The file is empty." if probe.whole else "The file has only blank lines."
  if is_json(probe):
    levels = _keys(probe.text)
    top = ("a list" if probe.text.lstrip()[0] == "[" else
           "an object with the keys " + _names(levels[0]) if levels and levels[0] else
           "an empty object")
    inner = levels if top == "a list" else levels[1:]
    lines = [line for line in probe.text.split("\n")[:3] if line.strip()]
    if top != "a list" and len(lines) > 1 and all(x.startswith("{") for x in lines):
      top = f"Lines, a value a line, each {top}"
      return f"It is JSON {top}" + "".join(
          f"; in it objects with the keys {_names(keys)}" for keys in inner) + "."
    return f"It is JSON, {top}" + "".join(
        f"; in it objects with the keys {_names(keys)}" for keys in inner) + "."
  columns = header(probe.text)
  if len(columns) > 1 and any(number(name) is not None for name in columns):
    return ("It is a table without a line that names the columns; its first line is "
            f"{_first(probe)}.")
  if len(columns) > 1:
    separator = _SEPARATORS.get(delimiter_of(probe.text), "another character")
    return f"It is a table, separated by {separator}, with the columns {_names(columns)}."
  return f"It is a text that begins with the line {_first(probe)}."


def fields(probe: Probe) -> list[str]:
  """The names of the columns of a table, or of the keys in JSON."""
  if is_json(probe):
    return list(dict.fromkeys(key for keys in _keys(probe.text) for key in keys))
  return [name for name in header(probe.text) if name]


def first_text(probe: Probe) -> str:
  """The name of the first text file in a folder; "" if there is none."""
  return next((name for name in probe.names if name.lower().endswith(_TEXTS)
               and (probe.path / name).is_file()), "")


def hint_of_features(probe: Probe) -> str:
  """For what was named as features: what is to be done with it, after a blank; else ""."""
  suffixes = {os.path.splitext(name)[1].lower() for name in probe.names or (probe.path.name,)}
  if suffixes & _VIDEOS:
    return " These are videos: experiments.extract_features makes features of them."
  if suffixes & _PICTURES:
    return " These are pictures: features of them are wanted, made by a network."
  if not probe.names and probe.path.is_file() and probe.suffix != ".mat":
    what = what_it_is(probe.path) or ""
    if "HDF5" in what:
      return " Give its name the suffix .h5."
  return ""


def _first(probe: Probe) -> str:
  """The first line that is not blank, in quotes."""
  return repr(next(line for line in probe.text.split("\n") if line.strip())[:80])


def _array(probe: Probe) -> str:
  try:
    if probe.suffix == ".npz":
      return f"It is a NumPy archive of the arrays {_names(arrays.npz_members(probe.path))}."
    return f"It is one array of shape {arrays.shape(arrays.Place(probe.path))}."
  except DataError as error:
    return f"It is a NumPy file that {str(error).removeprefix(f'{probe.path}').lstrip(': ')}."


def _folder(probe: Probe) -> str:
  folders = [name for name in probe.names if (probe.path / name).is_dir()]
  if folders:
    inside = sorted(x for x in os.listdir(probe.path / folders[0]) if not x.startswith("."))
    return (f"It holds the folders {', '.join(folders[:5])}: is it one of them, or several with a "
            f"comma between? In {folders[0]}: {_kinds(inside)}.")
  if not probe.names:
    return "The folder is empty."
  return f"It is a folder of {_kinds(probe.names)}."


def _kinds(names: Sequence[str]) -> str:
  """How many entries of a folder have which suffix, and an example."""
  counts = Counter(os.path.splitext(name)[1].lower() or "no suffix" for name in names)
  return ", ".join(f"{count} {'file' if count == 1 else 'files'} with {suffix}"
                   for suffix, count in counts.most_common(5)) + (
                       f", e.g. {names[0]}" if names else "nothing")


def is_json(probe: Probe) -> bool:
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
