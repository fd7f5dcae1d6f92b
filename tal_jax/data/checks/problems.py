"""The report of what is wrong with a user's data: its problems, of the kinds in problem_kinds.py.

Nothing is dropped or changed in silence: what is, is a problem in the report, by file and video.
"""

from __future__ import annotations

import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tal_jax.data.checks.problem_kinds import CONSEQUENCES, FATAL, KINDS, NOTE, WARNING
from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError


class Problem(NamedTuple):
  """One fault; `video_id` is "" where it is the file's."""

  kind: str
  file: str
  video_id: str
  message: str

  @property
  def severity(self) -> str:
    return KINDS[self.kind].severity


class Extent(NamedTuple):
  """The size of a video's features."""

  rows: int
  width: int
  grid: TimeGrid | None  # None: the time of the rows is not known

  @property
  def seconds(self) -> float | None:
    """End of the last row's window."""
    if self.grid is None:
      return None
    return ((self.rows - 1) * self.grid.stride + self.grid.window) / self.grid.fps


class Report(NamedTuple):
  """All problems found, `unusable` videos among them, and the size of what was looked at."""

  problems: tuple[Problem, ...]
  unusable: frozenset[str]  # videos of the split without features or proposals
  summary: str
  extents: Mapping[str, Extent] = {}  # by video, of features that could be read

  def count(self, kind: str) -> int:
    return sum(problem.kind == kind for problem in self.problems)

  @property
  def is_fatal(self) -> bool:
    return any(problem.severity == FATAL for problem in self.problems)

  def by_kind(self) -> dict[str, list[Problem]]:
    """The problems by kind, in the order of KINDS, kinds without any left out."""
    groups: dict[str, list[Problem]] = {kind: [] for kind in KINDS}
    for problem in self.problems:
      groups[problem.kind].append(problem)
    return {kind: found for kind, found in groups.items() if found}

  def text(self, *, examples: int | None = 3) -> str:
    """The report as lines, kinds with their counts, fatal first.

    Args:
      examples: problems shown of each kind; None shows all.
    """
    lines = [self.summary]
    for name, found in self.by_kind().items():
      kind = KINDS[name]
      lines += [f"{kind.severity}: {name} ({len(found)}): {kind.meaning}",
                f"  To mend: {kind.remedy}."]
      for problem in found[:examples]:
        parts = [problem.file, problem.video_id, problem.message]
        lines.append("  " + ": ".join(part for part in parts if part))
      if examples is not None and len(found) > examples:
        lines.append(f"  ... and {len(found) - examples} more")
    if not self.problems:
      lines.append("no problem found")
    return "\n".join(lines)

  def write(self, path: str | os.PathLike) -> None:
    """Writes the full list."""
    pathlib.Path(path).write_text(self.text(examples=None) + "\n", encoding="utf-8")

  def raise_if_fatal(self) -> None:
    """Raises DataError with the bounded text if a problem is fatal."""
    if self.is_fatal:
      raise DataError("the data have faults that a run cannot go on with:\n" + self.text())


def without_consequences(problems: Iterable[Problem]) -> list[Problem]:
  """The problems without those that another one explains, see CONSEQUENCES."""
  problems = list(problems)
  explained = {name for problem in problems for name in CONSEQUENCES.get(problem.kind, ())}
  return [problem for problem in problems if problem.kind not in explained]


def counted(problems: tuple[Problem, ...]) -> str:
  """How many there are of each severity, e.g. "1 fatal problem(s), 2 warning(s)"."""
  counts = Counter(problem.severity for problem in problems)
  notes = f", {counts[NOTE]} note(s)" if counts[NOTE] else ""
  return f"{counts[FATAL]} fatal problem(s), {counts[WARNING]} warning(s){notes}"
