"""The work directory of a run: what is in it, and how a killed run goes on.

    config.json            the configuration; once there are results, another one is refused, unless
                           the run may change it
    metrics.jsonl          a row per strategy, seed and step
    selections.jsonl       which videos were chosen in it
    checkpoints/           of each strategy and seed, written after their rows

A row stands before its checkpoint does. On a restart, the rows after the last good checkpoint of an
unfinished run, or a row cut in the middle, are taken out again; the run then writes the same.

Of several processes the writer alone (`devices.is_writer`) touches the directory, which the others
need not see: they hold the same rows in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tal_jax import devices
from tal_jax.errors import DataError

_ROW_FILES = ("metrics.jsonl", "selections.jsonl")


class Workdir:
  """Opens the directory for one configuration.

  Args:
    path: of the directory.
    config: of the run.
    may_change: whether the run goes on with another configuration.

  Raises:
    DataError: the directory holds a run of another configuration, or cannot be used.
  """

  def __init__(self, path: str | os.PathLike, config: dict[str, Any], *,
               may_change: bool = False):
    self.path = pathlib.Path(path)
    self._rows = devices.from_writer(lambda: self._open(config, may_change))

  def _open(self, config: dict[str, Any], may_change: bool) -> dict[str, list[dict[str, Any]]]:
    """Claims the directory for the configuration; the rows that are there."""
    if self.path.exists() and not self.path.is_dir():
      raise DataError(f"--workdir={self.path} is a file: give a folder")
    self.path.mkdir(parents=True, exist_ok=True)
    file = self.path / "config.json"
    config = json.loads(json.dumps(config))  # tuples become lists, as they are read back
    has_results = any((self.path / name).exists() for name in _ROW_FILES)
    if may_change:
      write_json(file, config)
    elif file.exists() and has_results:
      check_same(file, config)
    elif has_results:
      raise DataError(
          f"--workdir={self.path} has results but no config.json: give another folder")
    else:
      write_json(file, config)
    return {name: read_rows(self.path / name) for name in _ROW_FILES}

  def rows(self, strategy: str, seed: int) -> list[dict[str, Any]]:
    """The metrics of one run so far, by step."""
    return [row for row in self._rows["metrics.jsonl"]
            if (row["strategy"], row["seed"]) == (strategy, seed)]

  def all_rows(self) -> list[dict[str, Any]]:
    return list(self._rows["metrics.jsonl"])

  def append(self, metrics: dict[str, Any], selection: dict[str, Any]) -> None:
    """Adds a step's rows; they are on disk when this returns.

    The metrics come last, since they tell whether a run is finished.
    """
    for name, row in zip(reversed(_ROW_FILES), (selection, metrics), strict=True):
      self._rows[name].append(row)
      if not devices.is_writer():
        continue
      append_row(self.path / name, row)

  def keep(self, strategy: str | None, seed: int, last_step: int) -> None:
    """Takes the rows of a run after `last_step` out (-1: all), and any torn row.

    None is the run of all strategies.
    """
    for name in _ROW_FILES:
      self._rows[name] = [row for row in self._rows[name]
                          if strategy not in (None, row["strategy"]) or row["seed"] != seed
                          or row["step"] <= last_step]
      if devices.is_writer():
        write_text(self.path / name, "".join(
            json.dumps(row) + "\n" for row in self._rows[name]))

  def checkpoints(self, strategy: str, seed: int) -> pathlib.Path:
    return self.path / "checkpoints" / f"seed_{seed}" / strategy


def check_same(file: pathlib.Path, config: dict[str, Any]) -> None:
  """DataError if the work directory's config.json holds another configuration (plain JSON)."""
  try:
    old = json.loads(file.read_text())
  except ValueError as error:
    raise DataError(f"{file} is not JSON: give another --workdir") from error
  differences = [f"  {key}: {before!r} there, {after!r} now" for key, before, after
                 in _differences(old, config)]
  if differences:
    more = [f"  and {len(differences) - 8} more"] if len(differences) > 8 else []
    raise DataError("\n".join([f"--workdir={file.parent} holds a run of another configuration:",
                               *differences[:8], *more,
                               "Give another folder, or the same configuration to go on."]))


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of a file up to the first that is damaged: a kill cuts the last one, without its end.

  Without a file there are none.
  """
  rows = []
  for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
    try:
      row = json.loads(line) if line.endswith("\n") else None
    except ValueError:
      row = None
    if not isinstance(row, dict):
      break
    rows.append(row)
  return rows


def append_row(path: pathlib.Path, row: dict[str, Any]) -> None:
  """Adds a row; it is on disk when this returns."""
  with _naming(path), path.open("a") as file:
    file.write(json.dumps(row, allow_nan=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON; the file appears only when it is complete."""
  write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
  part = path.with_name(path.name + ".part")
  with _naming(path):
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
  """A full disk has no name of its own: the error gets the file's."""
  try:
    yield
  except OSError as error:
    error.filename = error.filename or str(path)
    raise


def _differences(old: Any, new: Any, prefix: str = ""):
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(set(old) | set(new)):
      yield from _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
  elif old != new:
    yield prefix, old, new
