"""Checks of the annotations: subsets, truths and classes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection

import numpy as np

from tal_jax.data.annotation_fields import frame_rate, frame_segments
from tal_jax.data.annotations import same_subset
from tal_jax.data.checks import labels as label_checks
from tal_jax.data.checks.problems import Problem
from tal_jax.data.records import Annotations, Split, VideoAnnotation

TIME_TOLERANCE = 1e-6  # seconds
# Truths closer than this are one truth twice, as in ActionFormer's and OpenTAD's readers. Of
# ActivityNet 1.3's 52 copies 49 are equal to the last bit, 3 differ in the 14th digit.
SAME_TRUTH = 1e-3  # seconds
_RATE_TOLERANCE = 0.05
_EMPTY_SHARE = 0.3  # of the truths, from which their bounds are something else than start and end
_FEW = 3


def check_subsets(annotations: Annotations, split: Split | None,
                  subsets: Collection[str] | None, file: str) -> list[Problem]:
  """Subsets that the split names and that are not there, and videos that it leaves out."""
  problems = []
  present = {video.subset for video in annotations.videos.values()}
  there = ", ".join(map(repr, sorted(present))) or "none"
  for name in sorted(set(subsets or ()) - present):
    alike = ([x for x in sorted(present) if same_subset(x, name)]
             or difflib.get_close_matches(name, sorted(present), n=1))
    hint = f"; did you mean {alike[0]!r}?" if alike else ""
    problems.append(Problem("subset without videos", file, "",
                            f"no video has the subset {name!r}; there are {there}{hint}"))
  in_split = {video_id for ids in split or () for video_id in ids}
  for video_id, video in annotations.videos.items():
    if subsets is not None and video.subset not in subsets:
      alike = [name for name in sorted(subsets) if same_subset(name, video.subset)]
      if alike:
        problems.append(Problem("subset spelling", file, video_id,
                                f"subset {video.subset!r}, the split says {alike[0]!r}"))
      else:
        problems.append(Problem("unknown subset", file, video_id, f"subset {video.subset!r}"))
    elif split is not None and video_id not in in_split:
      problems.append(Problem("in no set", file, video_id, f"subset {video.subset!r}, "
                              f"classes {', '.join(sorted(set(video.labels))) or 'none'}"))
  return problems


def check_sets(annotations: Annotations, split: Split | None, unlabelled: Collection[str],
               file: str) -> list[Problem]:
  """Sets of the split without a truth, but those that need none."""
  problems = []
  for name, ids in ({} if split is None else split._asdict()).items():
    segments = [annotations.videos[video_id].segments for video_id in ids]
    if ids and name not in unlabelled and not any((x[:, 1] > x[:, 0]).any() for x in segments):
      problems.append(Problem("set without truths", file, "",
                              f"{name}: none of its {len(ids)} videos has a truth"))
  return problems


def check_classes(annotations: Annotations, subsets: Collection[str] | None,
                  file: str) -> list[Problem]:
  """Classes without an instance in a subset that has truths (withheld ones are no fault)."""
  counts: dict[str, Counter[str]] = {}
  for video in annotations.videos.values():
    if subsets is None or video.subset in subsets:
      counts.setdefault(video.subset, Counter()).update(video.labels)
  labelled = {subset: labels for subset, labels in counts.items() if labels}
  problems = []
  for subset, labels in labelled.items():
    for name in annotations.classes:
      others = [f"{there[name]} in {other!r}" for other, there in labelled.items() if there[name]]
      if not labels[name] and others:
        problems.append(Problem("class without instances", file, "", f"class {name!r} has none in "
                                f"the subset {subset!r}, {', '.join(others)}"))
  return problems


def check_labels(annotations: Annotations, file: str) -> list[Problem]:
  """Labels that are no class, and classes whose names are one but for the spelling."""
  videos = annotations.videos.values()
  problems = [Problem("label that is no class", file, "", f"{name!r}, {count} instance(s)")
              for name, count in label_checks.no_classes(videos).items()]
  problems += [Problem("label that is no class", file, "", f"{count} instance(s) with the field "
                       f"{name!r}") for name, count in label_checks.marked(videos).items()]
  return problems + [Problem("labels alike", file, "", ", ".join(map(repr, names)))
                     for names in label_checks.alike(annotations.classes)]


def check_truths(video: VideoAnnotation, file: str) -> list[Problem]:
  """The truths of one video, and its duration."""
  problems = []

  def add(kind, message):
    problems.append(Problem(kind, file, video.video_id, message))

  known = is_duration(video.duration)
  if not known:
    add("bad duration", "lacks the field(s) duration" if np.isnan(video.duration)
        else f"duration {video.duration}")
  for (start, end), label in zip(video.segments, video.labels, strict=True):
    what = f"[{start:.6g}, {end:.6g}] {label}"
    if not np.isfinite([start, end]).all():
      add("non-finite segment", what)
      continue
    if end <= start:
      add("empty truth", what)
    if known and (start < -TIME_TOLERANCE or end > video.duration + TIME_TOLERANCE):
      add("truth outside its video", f"{what} in a video of {video.duration:.6g} s")
  for (start, end), label, count in duplicates(video):
    add("duplicate truth", f"[{start:.6g}, {end:.6g}] {label}, {count} times")
  return problems + _check_frames(video, file)


def check_bounds(annotations: Annotations, file: str) -> list[Problem]:
  """Whether the bounds of truths are start and end: not the other way round, nor a length."""
  segments = {key: x.segments[np.isfinite(x.segments).all(axis=1)]
              for key, x in annotations.videos.items()}
  bounds = np.concatenate([np.zeros((0, 2)), *segments.values()])
  durations = np.repeat([x.duration for x in annotations.videos.values()],
                        list(map(len, segments.values()))).astype(np.float64)
  empty = bounds[:, 1] <= bounds[:, 0]
  if empty.sum() < max(_FEW, _EMPTY_SHARE * len(bounds)):
    return []
  example = bounds[empty][0]
  inside = ~(bounds.sum(axis=1) > durations + TIME_TOLERANCE)
  if (bounds[empty, 0] == bounds[empty, 1]).all():
    why = "points in time? A truth needs a start and an end"
  elif empty.all():
    why = "[end, start]? The two are to be exchanged"
  elif inside.all():
    why = "[start, length]? Then the end is start + length"
  else:
    why = "some are [end, start]?"
  return [Problem("ends before starts", file, "", f"{empty.sum()} of {len(bounds)} truths, "
                  f"[{example[0]:.6g}, {example[1]:.6g}] say: {why}")]


def duplicates(video: VideoAnnotation, tolerance: float = SAME_TRUTH
               ) -> list[tuple[np.ndarray, str, int]]:
  """Truths that stand several times: the first one's segment and label, and how often."""
  if len(set(video.labels)) == len(video.labels):
    return []
  kept: list[list] = []
  # Those of one label whose starts are near, so that a video of thousands of truths takes no time.
  cells: dict[tuple[str, int], list[int]] = {}
  for segment, label in zip(video.segments, video.labels, strict=True):
    cell = (int(segment[0] // max(tolerance, SAME_TRUTH)) if np.isfinite(segment).all()
            else None)
    near = [] if cell is None else sorted(
        i for step in (-1, 0, 1) for i in cells.get((label, cell + step), ()))
    first = next((i for i in near if (np.abs(kept[i][0] - segment) <= tolerance).all()), None)
    if first is not None:
      kept[first][2] += 1
      continue
    if cell is not None:
      cells.setdefault((label, cell), []).append(len(kept))
    kept.append([segment, label, 1])
  return [tuple(group) for group in kept if group[2] > 1]


def is_duration(value: float) -> bool:
  return bool(np.isfinite(value) and value > 0)


def _check_frames(video: VideoAnnotation, file: str) -> list[Problem]:
  """What the file gives in frames, beside the seconds, against its frame rate."""
  problems = []
  given = {key: value for key, value in video.extra.items() if key != "fps"}
  counted, fps = frame_rate(video._replace(extra=given)), frame_rate(video)
  if counted and fps and abs(counted / fps - 1) > _RATE_TOLERANCE:
    problems.append(Problem(
        "frames contradict seconds", file, video.video_id,
        f"the number of frames over the duration, {video.duration:.6g} s, is {counted:.5g} a "
        f"second, the field 'fps' is {fps:.5g}" + ("; is the duration in frames?"
                                                   if abs(counted - 1) < _RATE_TOLERANCE else "")))
  frames = frame_segments(video)
  if frames is None:
    return problems
  for (start, end), (first, last), label in zip(video.segments, frames, video.labels, strict=True):
    length = end - start
    if not (np.isfinite([first, last]).all() and last > first and length > 0):
      continue
    fitting = (last - first) / length
    if fps is not None:  # either bound may be rounded to a frame, and counted from 1
      wrong = max(abs(first - start * fps), abs(last - end * fps)) > max(
          3.0, _RATE_TOLERANCE * end * fps)
    else:
      wrong = abs(fitting - 1) < _RATE_TOLERANCE / 10
    if wrong:
      says = "none" if fps is None else f"{fps:.5g}"
      problems.append(Problem(
          "frames contradict seconds", file, video.video_id,
          f"[{start:.6g}, {end:.6g}] s and [{first:.6g}, {last:.6g}] frames of {label}: "
          f"{fitting:.5g} frames a second would fit, the file says {says}"
          + ("; both are in one unit" if abs(fitting - 1) < _RATE_TOLERANCE / 10 else "")))
      break  # one a video says it
  return problems
