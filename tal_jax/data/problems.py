"""What can be wrong with a user's data: the kinds of problem, and the report that lists them.

Severities:
  fatal    the run would stop later, or give results that are wrong. It does not start.
  warning  the run goes on; the kind's entry in KINDS says what is done about it.
  note     by design, most likely; said so that nothing is left out in silence.

Nothing is dropped or changed in silence: what is, is a problem in the report, by file and video.
"""

from __future__ import annotations

import os
import pathlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from tal_jax.data.types import DataError, TimeGrid

FATAL, WARNING, NOTE = "fatal", "warning", "note"


class Kind(NamedTuple):
  """A kind of problem."""

  severity: str
  meaning: str  # what it is, and what is done about it
  remedy: str  # how to mend it


# Fatal kinds first, then warnings, then notes: the order of the report.
KINDS = {
    "structure": Kind(
        FATAL, "entries of the annotations or proposals that cannot be read",
        "correct these entries, or take them out of the file"),
    "duplicate id": Kind(
        FATAL, "one id, several entries or files: which one is meant?",
        "keep one of them"),
    "subset without videos": Kind(
        FATAL, "a subset that the split names does not occur",
        "set data.split.knowledge_subset, selection_subset and testing_subset to names of the "
        "file, spelled as there"),
    "no split": Kind(
        FATAL, "the three sets of data.split cannot be drawn from these annotations",
        "set data.split as the message says"),
    "bad duration": Kind(
        FATAL, "the duration is not a positive number of seconds",
        "write the video's length in seconds into the annotations, or give data.video_info"),
    "non-finite segment": Kind(
        FATAL, "a truth has a bound that is not a number",
        "correct the segment, or take the truth out"),
    "times in frames": Kind(
        FATAL, "the truths of most videos end far past their video, as frames read as seconds do",
        "divide the segments by the frames per second of each video"),
    "durations in frames": Kind(
        FATAL, "the truths, or the features, fill a tiny share of the videos, as if the durations "
               "were frames (or the segments had been divided by the frame rate once too often)",
        "write seconds into 'duration': frames / fps"),
    "times in shares": Kind(
        FATAL, "all truths end within the first second, as shares of the video do",
        "multiply the segments by the duration"),
    "no features": Kind(
        FATAL, "a video of the split has no features",
        "add them, name them after the id, or set data.allow_missing=True, which takes such videos "
        "out of the split"),
    "unreadable features": Kind(
        FATAL, "the feature file is cut off, damaged or of another layout",
        "copy or extract it anew"),
    "no frame rate": Kind(
        FATAL, "neither data.fps nor the video's own field 'fps' is given",
        "set data.fps to the frame rate at which the features were extracted"),
    "wrong fps": Kind(
        FATAL, "rows * stride / fps misses the durations of nearly all videos by one factor",
        "set data.fps or data.stride as the message says"),
    "wrong rank": Kind(
        FATAL, "features are [T, d], T >= 1",
        "save one row per time step; average spatial axes away"),
    "wrong width": Kind(
        FATAL, "all videos have features of one width d",
        "extract these videos with the network of the others, or transpose them"),
    "non-finite feature": Kind(
        FATAL, "NaN or infinite values in the features",
        "extract the video anew"),
    "no proposals": Kind(
        FATAL, "a video of the split has no proposal inside it",
        "add some, or set data.allow_missing=True, which takes such videos out of the split"),
    "non-finite proposal": Kind(
        FATAL, "a proposal has a bound that is not a number",
        "take it out of the file"),
    "proposals in frames": Kind(
        FATAL, "the proposals of most videos end far past their video, as frames read as seconds "
               "do",
        "divide them by the frames per second of each video, or name the format that is in frames "
        "with data.proposals_format"),
    "proposals in seconds": Kind(
        FATAL, "the proposals of all videos end within the first frames' worth of them, as seconds "
               "do that are read as frames",
        "multiply them by the frames per second of each video, or name the format that is in "
        "seconds with data.proposals_format"),
    "proposals in shares": Kind(
        FATAL, "all proposals end within the first second, as shares of the video do",
        "multiply them by the duration, or name the format that is in shares with "
        "data.proposals_format"),
    "dropped video": Kind(
        WARNING, "taken out of the split, as data.allow_missing=True asks; mAP on fewer Testing "
                 "videos does not compare with published numbers",
        "add the features or proposals"),
    "empty truth": Kind(
        WARNING, "end <= start: no proposal can match it, so it is left out of the training "
                 "truths; the metric keeps it, as the official code does",
        "correct it, or take it out; ActivityNet's own are known and best left"),
    "truth outside its video": Kind(
        WARNING, "reaches over an end of the video; kept as it stands, in training and in the "
                 "metric",
        "correct the segment or the duration; where most videos have it, check their unit"),
    "truth far past its video": Kind(
        WARNING, "ends at more than twice the duration, as frames read as seconds do, or truths of "
                 "another video; kept as it stands",
        "divide the video's segments by its frames per second, or correct its duration"),
    "frames contradict seconds": Kind(
        WARNING, "what the file gives in seconds and in frames does not fit its frame rate; the "
                 "seconds are used, and the field 'fps'",
        "find out which of the two is right, and the frame rate that belongs to it"),
    "truth without features": Kind(
        WARNING, "begins after the last row of the features, so that nothing is pooled over it",
        "extract the video to its end, or correct the truth"),
    "duplicate truth": Kind(
        WARNING, "the same label and, to a millisecond, the same segment several times in a video; "
                 "kept, as the official code keeps it (all but one count as missed)",
        "take the copies out, if the numbers need not compare with the official ones"),
    "class without instances": Kind(
        WARNING, "nothing to learn from, or nothing to find",
        "check the labels' spelling; else leave the class out of the split"),
    "subset spelling": Kind(
        WARNING, "a subset of the split under another spelling; the video is not used",
        "spell the subset alike for all videos, or list all spellings in data.split.*_subset"),
    "ids differ by v_": Kind(
        WARNING, "found only after the prefix 'v_' was added or taken off; used, but other code "
                 "will not find it",
        "rename the files, or the ids, alike"),
    "features without annotation": Kind(
        WARNING, "not used",
        "annotate the videos, check the spelling of these ids, or delete the files"),
    "features do not span the video": Kind(
        WARNING, "rows * stride / fps is far from the duration; used as they stand",
        "extract the video anew, or correct its duration or frame rate"),
    "all-zero features": Kind(
        WARNING, "rows of zeros, as padding or a failed extraction leaves them; used as they stand",
        "extract the video anew, or cut the padding off"),
    "proposals outside the video": Kind(
        WARNING, "clipped to [0, duration]; those of which nothing is left, or with end <= start, "
                 "are dropped",
        "correct the duration or the proposals; where most videos have it, check their unit"),
    "proposals without annotation": Kind(
        WARNING, "not used",
        "annotate the videos, or check the spelling of these ids"),
    "unknown subset": Kind(
        NOTE, "the split does not name this subset; the video is not used",
        "name it in data.split.*_subset if it is to be used"),
    "in no set": Kind(
        NOTE, "the split leaves the video out, e.g. a Testing video of a Knowledge-Source class; "
              "not used",
        "nothing, unless data.split was meant otherwise"),
}


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


def counted(problems: tuple[Problem, ...]) -> str:
  """How many there are of each severity, e.g. "1 fatal problem(s), 2 warning(s)"."""
  counts = Counter(problem.severity for problem in problems)
  notes = f", {counts[NOTE]} note(s)" if counts[NOTE] else ""
  return f"{counts[FATAL]} fatal problem(s), {counts[WARNING]} warning(s){notes}"
