"""One report of everything that is wrong with a user's data, before anything runs on them.

`problem_kinds` has the kinds of problem there are, and what each means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.data import arrays
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.checks import annotations as annotation_checks, units as unit_checks
from tal_jax.data.checks.feature_sets import FEW, MOST
from tal_jax.data.checks.features import check_features
from tal_jax.data.checks.problems import (
  FATAL,
  Extent,
  Problem,
  Report,
  counted,
  without_consequences,
)
from tal_jax.data.feature_names import prefix_problems
from tal_jax.data.feature_store import FeatureStore
from tal_jax.data.proposals import clip_to_video
from tal_jax.data.records import Annotations, Split, StructuralFault, TimeGrid
from tal_jax.data.text.near_names import Near, by_plain_id, find_id, form, plain_id
from tal_jax.errors import DataError


class Read(NamedTuple):
  """What else came out of reading the files, and what messages call them."""

  annotations_file: str = "annotations"
  structural: Sequence[StructuralFault] = ()  # from `annotations.scan`
  proposals: Mapping[str, np.ndarray] | None = None  # [p, 2] seconds by id; None: they are drawn
  proposals_file: str = "proposals"
  proposal_faults: Sequence[StructuralFault] = ()  # entries that could not be read


def validate(annotations: Annotations, store: FeatureStore | None, *,
             split: Split | DataError | None, subsets: Collection[str] | None = None,
             read: Read | None = None, allow_missing: bool = False,
             unlabelled: Collection[str] = (),
             progress: Callable[[int, int], None] | None = None) -> Report:
  """Looks at every video and every value once.

  Args:
    annotations: what could be read of the annotation file.
    store: the features; every video of the split is read, one at a time. None: there are none,
      and none are asked for.
    split: the videos that are used; None: not known; an error: why no split could be made. All
      videos are looked at then.
    subsets: the subset names that the split uses; None: it uses none (a split by list).
    read: of the same files; None: there is nothing else.
    allow_missing: videos without features or proposals are dropped with a warning, not fatal.
    unlabelled: names of the split's sets that need no truths.
    progress: called with (videos done, videos in all) while features are read.
  """
  read = read or Read()
  annotations_file, proposals = read.annotations_file, read.proposals
  fault, split = (split, None) if isinstance(split, DataError) else (None, split)
  problems = [Problem("duplicate id" if "duplicate id" in found.message else "structure",
                      file, found.video_id, found.message)
              for file, faults in ((annotations_file, read.structural),
                                   (read.proposals_file, read.proposal_faults))
              for found in faults]
  used = ([video_id for ids in split for video_id in ids] if split is not None
          else list(annotations.videos))
  if fault is not None:
    problems.append(Problem("no split", annotations_file, "", str(fault)))
  problems += annotation_checks.check_subsets(annotations, split, subsets, annotations_file)
  problems += annotation_checks.check_sets(annotations, split, unlabelled, annotations_file)
  problems += annotation_checks.check_classes(annotations, subsets, annotations_file)
  problems += annotation_checks.check_labels(annotations, annotations_file)
  for video in annotations.videos.values():
    problems += annotation_checks.check_truths(video, annotations_file)
  problems += annotation_checks.check_bounds(annotations, annotations_file)
  rates = _rates(annotations, store)
  problems += unit_checks.check_units(annotations, rates, annotations_file)
  extents: dict[str, Extent] = {}
  if store is not None:
    with arrays.kept_open():
      found, extents = check_features(annotations, store, used, progress)
    problems += found
  if proposals is not None:
    problems += _check_proposals(annotations, proposals, used, rates, read.proposals_file)
  problems = _of_unused(problems, annotations, split)
  unusable = frozenset(p.video_id for p in problems if p.kind in ("no features", "no proposals"))
  if allow_missing:
    problems = [p._replace(kind="dropped video", message=f"{p.kind}: {p.message}")
                if p.kind in ("no features", "no proposals") else p for p in problems]
  problems = without_consequences(problems)
  sizes = "" if split is None else ", ".join(
      f"{name} {len(ids)}" for name, ids in zip(Split._fields, split, strict=True))
  num_truths = sum(len(video.segments) for video in annotations.videos.values())
  summary = (f"{annotations_file}: {len(annotations.videos)} videos, {num_truths} truths, "
             f"{len(annotations.classes)} classes; {sizes or 'no split'}; "
             f"{counted(tuple(problems))}")
  return Report(tuple(problems), unusable, summary, extents)


def _of_unused(problems: list[Problem], annotations: Annotations,
               split: Split | None) -> list[Problem]:
  """The problems, fatal ones of videos that the split does not use as notes; not those of ids."""
  if split is None:
    return problems
  unused_ids = set(annotations.videos) - {video_id for ids in split for video_id in ids}

  def unused(problem):
    return (problem.video_id in unused_ids and problem.severity == FATAL
            and problem.kind != "duplicate id" and "other fields" not in problem.message)

  return [problem._replace(kind="fault of an unused video",
                           message=f"{problem.kind}: {problem.message}")
          if unused(problem) else problem for problem in problems]


def _rates(annotations: Annotations, store: FeatureStore | None) -> dict[str, float]:
  """Frames per second by video: the file's, else that of the features."""
  rates = {}
  for video_id, video in annotations.videos.items():
    grid = store.grids.get(video_id) if store is not None else None
    rate = frame_rate(video) or (grid.fps if isinstance(grid, TimeGrid) else None)
    if rate is not None:
      rates[video_id] = rate
  return rates


def _other_names(video_ids, used, proposals, near, file) -> tuple[list[Problem], set[str]]:
  """Whether most videos have their proposals under another spelling; and the names it explains."""
  found = {x: near.same(x) for x in video_ids if find_id(x, proposals) is None}
  same = [x for x in used if found.get(x)]
  if len(same) < max(FEW, MOST * len(used)):
    return [], set()
  name = found[same[0]][0]
  return [Problem("names of proposals", file, "", f"{len(same)} of {len(used)} videos under "
                  f"another spelling, {name!r} for {same[0]!r}{form(name, same[0])}, say")], {
                      name for names in found.values() for name in names}


def _check_proposals(annotations, proposals, used, rates, file) -> list[Problem]:
  problems, matched = [], {}
  known = {find_id(video_id, proposals) for video_id in annotations.videos}
  near = Near([name for name in proposals if name not in known])
  shared, explained = _other_names(annotations.videos, used, proposals, near, file)
  problems += shared
  for video_id in used:
    name = find_id(video_id, proposals)
    duration = annotations.videos[video_id].duration
    if name is None or not len(proposals[name]):
      problems.append(Problem("no proposals", file, video_id,
                              near.hint(video_id) if name is None else "an empty list"))
      continue
    if not annotation_checks.is_duration(duration):
      continue  # reported as a bad duration
    matched[video_id] = proposals[name]
    clipped = clip_to_video(proposals[name], duration, tolerance=annotation_checks.TIME_TOLERANCE)
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
  problems += unit_checks.check_proposal_units(matched, annotations.videos, rates, file)
  problems += prefix_problems(annotations.videos, proposals, file)
  plain = by_plain_id(annotations.videos)
  for name in proposals:
    if name not in known and name not in explained:
      own = plain.get(plain_id(name))
      problems.append(Problem("proposals without annotation", file, name,
                              f"annotated is {own!r}: the same with another spelling?" if own
                              else ""))
  return problems
