"""One report of everything that is wrong with a user's data, before anything runs on them.

Severities:
  fatal    the run would stop later, or give results that are wrong. It does not start.
  warning  the run goes on; the kind's entry in KINDS says what is done about it.

Nothing is dropped or changed in silence: what is, is a problem in the report, by file and video.
"""

from __future__ import annotations

import difflib
import os
import pathlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.data.annotations import StructuralFault, find_id
from tal_jax.data.features import FeatureStore, unused
from tal_jax.data.proposals import clip_to_video
from tal_jax.data.types import Annotations, DataError, Split, VideoAnnotation

FATAL, WARNING = "fatal", "warning"

# kind: (severity, what it means and what is done about it)
KINDS = {
    "structure": (FATAL, "entries of the annotation file that cannot be read"),
    "duplicate id": (FATAL, "one id, several entries or files: which one is meant?"),
    "subset without videos": (FATAL, "a subset that the split names does not occur"),
    "bad duration": (FATAL, "the duration is not a positive number of seconds"),
    "non-finite segment": (FATAL, "a truth has a bound that is not a number"),
    "no features": (FATAL, "a video of the split has no features; data.allow_missing=True takes "
                           "such videos out of the split"),
    "unreadable features": (FATAL, "the feature file is damaged or of another layout"),
    "no frame rate": (FATAL, "neither data.fps nor the video's own field 'fps' is given"),
    "wrong rank": (FATAL, "features are [T, d], T >= 1"),
    "wrong width": (FATAL, "all videos have features of one width d"),
    "non-finite feature": (FATAL, "NaN or infinite values in the features"),
    "no proposals": (FATAL, "a video of the split has no proposal inside it; "
                            "data.allow_missing=True takes such videos out of the split"),
    "non-finite proposal": (FATAL, "a proposal has a bound that is not a number"),
    "dropped video": (WARNING, "taken out of the split, as data.allow_missing=True asks; mAP on "
                               "fewer Testing videos does not compare with published numbers"),
    "empty truth": (WARNING, "end <= start: no proposal can match it, so it is left out of the "
                             "training truths; the metric keeps it, as the official code does"),
    "truth outside its video": (WARNING, "reaches over an end of the video; kept as it stands, in "
                                         "training and in the metric. Many of them: are the "
                                         "segments in frames, not seconds?"),
    "duplicate truth": (WARNING, "the same segment and label twice in a video; kept, as the "
                                 "official code keeps it (one of the two counts as missed)"),
    "unknown subset": (WARNING, "the split does not name this subset; the video is not used"),
    "in no set": (WARNING, "the split leaves the video out, e.g. a Testing video of a "
                           "Knowledge-Source class; not used"),
    "features without annotation": (WARNING, "not used"),
    "features do not span the video": (WARNING, "rows * stride / fps is far from the duration: "
                                                "wrong fps or stride, or times in frames? Used "
                                                "as they stand"),
    "proposals outside the video": (WARNING, "clipped to [0, duration]; those of which nothing "
                                             "is left, or with end <= start, are dropped"),
    "proposals without annotation": (WARNING, "not used"),
}

_SPAN_TOLERANCE = 0.2  # share of the duration by which the rows may be too short or too long
_TIME_TOLERANCE = 1e-6  # seconds


class Problem(NamedTuple):
  """One fault; `video_id` is "" where it is the file's."""

  kind: str
  file: str
  video_id: str
  message: str

  @property
  def severity(self) -> str:
    return KINDS[self.kind][0]


class Report(NamedTuple):
  """All problems found, `unusable` videos among them, and the size of what was looked at."""

  problems: tuple[Problem, ...]
  unusable: frozenset[str]  # videos of the split without features or proposals
  summary: str

  def count(self, kind: str) -> int:
    return sum(problem.kind == kind for problem in self.problems)

  @property
  def is_fatal(self) -> bool:
    return any(problem.severity == FATAL for problem in self.problems)

  def text(self, *, examples: int | None = 3) -> str:
    """The report as lines, kinds with their counts, fatal first.

    Args:
      examples: problems shown of each kind; None shows all.
    """
    counts = Counter(problem.kind for problem in self.problems)
    lines = [self.summary]
    for kind, (severity, meaning) in KINDS.items():  # fatal kinds stand first there
      if not counts[kind]:
        continue
      lines.append(f"{severity}: {kind} ({counts[kind]}): {meaning}")
      found = [problem for problem in self.problems if problem.kind == kind]
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


def validate(annotations: Annotations, store: FeatureStore, *, split: Split | None,
             subsets: Collection[str] | None = None, annotations_file: str = "annotations",
             structural: Sequence[StructuralFault] = (),
             proposals: Mapping[str, np.ndarray] | None = None,
             proposals_file: str = "proposals", allow_missing: bool = False) -> Report:
  """Looks at every video and every value once.

  Args:
    annotations: what could be read of the annotation file.
    store: the features; every video of the split is read, one at a time.
    split: the videos that are used; None: not known (no split could be made), all are looked at.
    subsets: the subset names that the split uses; None: it uses none (a split by list).
    annotations_file, proposals_file: for messages.
    structural: faults from `annotations.scan`.
    proposals: [p, 2] seconds by id, as read; None: they are made from the duration.
    allow_missing: videos without features or proposals are dropped with a warning, not fatal.
  """
  problems = [Problem("duplicate id" if "duplicate id" in fault.message else "structure",
                      annotations_file, fault.video_id, fault.message) for fault in structural]
  used = ([video_id for ids in split for video_id in ids] if split is not None
          else list(annotations.videos))
  problems += _check_subsets(annotations, split, subsets, annotations_file)
  for video in annotations.videos.values():
    problems += _check_truths(video, annotations_file)
  problems += _check_features(annotations, store, used)
  if proposals is not None:
    problems += _check_proposals(annotations, proposals, used, proposals_file)
  unusable = frozenset(p.video_id for p in problems if p.kind in ("no features", "no proposals"))
  if allow_missing:
    problems = [p._replace(kind="dropped video", message=f"{p.kind}: {p.message}")
                if p.kind in ("no features", "no proposals") else p for p in problems]
  sizes = "" if split is None else ", ".join(
      f"{name} {len(ids)}" for name, ids in zip(Split._fields, split, strict=True))
  num_truths = sum(len(video.segments) for video in annotations.videos.values())
  num_fatal = sum(problem.severity == FATAL for problem in problems)
  summary = (f"{annotations_file}: {len(annotations.videos)} videos, {num_truths} truths, "
             f"{len(annotations.classes)} classes; {sizes or 'no split'}; {num_fatal} fatal "
             f"problem(s), {len(problems) - num_fatal} warning(s)")
  return Report(tuple(problems), unusable, summary)


def _check_subsets(annotations, split, subsets, file):
  problems = []
  present = {video.subset for video in annotations.videos.values()}
  for name in sorted(set(subsets or ()) - present):
    near = difflib.get_close_matches(name.lower(), [x.lower() for x in present], n=1)
    hint = f"; did you mean {[x for x in present if x.lower() == near[0]][0]!r}?" if near else ""
    there = ", ".join(map(repr, sorted(present))) or "none"
    problems.append(Problem("subset without videos", file, "",
                            f"no video has the subset {name!r}; there are {there}{hint}"))
  in_split = {video_id for ids in split or () for video_id in ids}
  for video_id, video in annotations.videos.items():
    if subsets is not None and video.subset not in subsets:
      problems.append(Problem("unknown subset", file, video_id, f"subset {video.subset!r}"))
    elif split is not None and video_id not in in_split:
      problems.append(Problem("in no set", file, video_id, f"subset {video.subset!r}, "
                              f"classes {', '.join(sorted(set(video.labels))) or 'none'}"))
  return problems


def _check_truths(video: VideoAnnotation, file: str) -> list[Problem]:
  problems = []

  def add(kind, message):
    problems.append(Problem(kind, file, video.video_id, message))

  known = bool(np.isfinite(video.duration) and video.duration > 0)
  if not known:
    add("bad duration", f"duration {video.duration}")
  for (start, end), label in zip(video.segments, video.labels, strict=True):
    what = f"[{start:.6g}, {end:.6g}] {label}"
    if not np.isfinite([start, end]).all():
      add("non-finite segment", what)
      continue
    if end <= start:
      add("empty truth", what)
    if known and (start < -_TIME_TOLERANCE or end > video.duration + _TIME_TOLERANCE):
      add("truth outside its video", f"{what} in a video of {video.duration:.6g} s")
  triples = Counter((*map(float, segment), label)
                    for segment, label in zip(video.segments, video.labels, strict=True))
  for (start, end, label), count in triples.items():
    if count > 1:
      add("duplicate truth", f"[{start:.6g}, {end:.6g}] {label}, {count} times")
  return problems


def _check_features(annotations, store: FeatureStore, used) -> list[Problem]:
  problems = [Problem("duplicate id", str(store.path), name, f"claimed by {', '.join(places)}")
              for name, places in store.duplicates.items()]
  problems += [Problem("features without annotation", str(store.path), name, "")
               for name in unused(store, annotations.videos)]
  shapes = {}
  for video_id in used:
    if find_id(video_id, store.files) is None:
      problems.append(Problem("no features", str(store.path), video_id, ""))
      continue
    try:
      shapes[video_id] = store.shape(video_id)
    except DataError as error:
      problems.append(Problem("unreadable features", "", video_id, str(error)))
  widths = Counter(shape[1] for shape in shapes.values() if len(shape) == 2)
  width = widths.most_common(1)[0][0] if widths else None
  for video_id, shape in shapes.items():
    file = store.where(video_id)
    if video_id not in store.grids:
      problems.append(Problem("no frame rate", file, video_id, ""))
    if len(shape) != 2 or not shape[0] or not shape[1]:
      problems.append(Problem("wrong rank", file, video_id, f"shape {shape}"))
      continue
    if shape[1] != width:
      hint = "; transposed?" if shape[0] == width else ""
      problems.append(Problem("wrong width", file, video_id,
                              f"shape {shape}, most have the width {width}{hint}"))
    if video_id in store.grids:
      problems += _check_values(annotations.videos[video_id], store, file)
  return problems


def _check_values(video: VideoAnnotation, store: FeatureStore, file: str) -> list[Problem]:
  try:
    values, grid = store(video.video_id)
  except DataError as error:
    return [Problem("unreadable features", "", video.video_id, str(error))]
  problems = []
  bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
  if len(bad):
    problems.append(Problem("non-finite feature", file, video.video_id,
                            f"{len(bad)} of {len(values)} rows, the first is row {bad[0]}"))
  span = ((len(values) - 1) * grid.stride + grid.window) / grid.fps
  # One step of the rows is no fault: extractors differ in how they treat the last window.
  slack = _SPAN_TOLERANCE * video.duration + max(grid.stride, grid.window) / grid.fps
  if video.duration > 0 and abs(span - video.duration) > slack:
    problems.append(Problem(
        "features do not span the video", file, video.video_id,
        f"{len(values)} rows at fps {grid.fps:g}, stride {grid.stride:g}, window {grid.window:g} "
        f"span {span:.5g} s of {video.duration:.5g} s"))
  return problems


def _check_proposals(annotations, proposals, used, file) -> list[Problem]:
  problems = []
  for video_id in used:
    name = find_id(video_id, proposals)
    duration = annotations.videos[video_id].duration
    if name is None or not len(proposals[name]):
      problems.append(Problem("no proposals", file, video_id, ""))
      continue
    if not (np.isfinite(duration) and duration > 0):
      continue  # reported as a bad duration
    clipped = clip_to_video(proposals[name], duration, tolerance=_TIME_TOLERANCE)
    if clipped.num_nonfinite:
      problems.append(Problem("non-finite proposal", file, video_id,
                              f"{clipped.num_nonfinite} of {len(proposals[name])}"))
    if clipped.num_clipped or clipped.num_dropped:
      problems.append(Problem(
          "proposals outside the video", file, video_id,
          f"{clipped.num_clipped} clipped and {clipped.num_dropped} dropped of "
          f"{len(proposals[name])}, video of {duration:.6g} s"))
    if not len(clipped.segments):
      problems.append(Problem("no proposals", file, video_id, "none inside the video"))
  known = {find_id(video_id, proposals) for video_id in annotations.videos}
  problems += [Problem("proposals without annotation", file, name, "")
               for name in proposals if name not in known]
  return problems
