"""LAL's episodes on disk, appended as they come, so that a killed generation goes on.

JSON lines: the first says what the episodes are of (`describe`), each other one is an episode, in
the order of the procedure. The numbers are written so that float32 is read back to the bit: the
file of a run that was killed and went on is byte for byte that of one that was not.

A kill, or a full disk, can leave a last line that is cut. It is taken out when the file is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np

from tal_jax.errors import DataError
from tal_jax.models import stage_wise
from tal_jax.pool import VideoPool

_FORMAT = 1  # to be raised when the procedure changes


def describe(key: Any, knowledge_source: VideoPool, settings: stage_wise.Settings,
             **options: Any) -> dict[str, Any]:
  """All that determines the episodes: key, data (as a digest), settings and sizes.

  Not the machine: its rounding may differ, in the last bits.
  """
  data = hashlib.sha256()
  for leaf in knowledge_source._replace(rows=None)[:-1]:  # the attention reads no rows
    array = np.ascontiguousarray(leaf)
    data.update(f"{array.dtype.name}{array.shape}".encode())
    data.update(array.reshape(-1).view(np.uint8))
  return json.loads(json.dumps({  # tuples become lists, as they are read back
      "format": _FORMAT, "key": np.asarray(jax.random.key_data(key)).tolist(),
      "data": data.hexdigest(), **settings._asdict(), **options}))


def open_rows(path: pathlib.Path, description: dict[str, Any]) -> list[dict[str, Any]]:
  """The complete episodes of a file, which is made if there is none.

  Afterwards the file ends with the last of them, ready for `append`.

  Raises:
    DataError: the file holds episodes of another description, or something else.
  """
  lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
  rows = _complete(lines)
  if lines and not rows and not _is_torn_header(lines, description):
    raise DataError(f"{path} is not a file of LAL's episodes: move it away")
  if not rows:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(_line(description))
    part.replace(path)
    return []
  differences = [f"  {name}: {rows[0].get(name)!r} there, {description.get(name)!r} now"
                 for name in sorted({*rows[0], *description})
                 if rows[0].get(name) != description.get(name)]
  if differences:
    raise DataError("\n".join([
        f"{path} holds {len(rows) - 1} episodes of another configuration:", *differences,
        "Delete it to begin again, write elsewhere, or go on with the same configuration."]))
  size = sum(map(len, lines[:len(rows)]))
  if size < path.stat().st_size:
    os.truncate(path, size)
  return rows[1:]


def append(path: pathlib.Path, row: dict[str, Any]) -> None:
  """Adds an episode; it is on disk when this returns."""
  with path.open("ab") as file:
    file.write(_line(row))
    file.flush()
    os.fsync(file.fileno())


def _line(row: dict[str, Any]) -> bytes:
  return json.dumps(row, allow_nan=False).encode() + b"\n"


def _complete(lines: list[bytes]) -> list[dict[str, Any]]:
  """The rows before the first line that is cut, or is none."""
  rows = []
  for line in lines:
    try:
      row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:  # not JSON, or not even text
      row = None
    if not isinstance(row, dict):
      break
    rows.append(row)
  return rows


def _is_torn_header(lines: list[bytes], description: dict[str, Any]) -> bool:
  return len(lines) == 1 and _line(description).startswith(lines[0])
