"""The ground truth of the metrics, from annotations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.annotations import IGNORED, Paths, same_subset, scan, subset_of_file
from tal_jax.data.formats import registry
from tal_jax.data.records import Annotations, GroundTruth, Predictions, StructuralFault
from tal_jax.errors import DataError

_ABOUT_SUBSETS = ("duplicate id", "other fields")  # faults that may hide a video of the subset


class Subset(NamedTuple):
  """The videos of a subset, and the faults of other videos."""

  annotations: Annotations  # of the whole file
  ids: tuple[str, ...]  # of the subset, in file order
  faults: tuple[StructuralFault, ...]  # of videos that are not asked for


def read_subset(path: Paths, subset: str | None, **options: Any) -> Subset:
  """Reads annotations of which one subset is used; durations are not needed.

  Args:
    path, **options: as for `read_annotations`.
    subset: its name, as the file spells it; None: all videos are used.

  Raises:
    DataError: no such file or subset, or a fault that concerns the subset. Those of other videos
      are let pass, as the official code does, which does not look at them.
  """
  annotations, faults, statements = scan(path, **options)
  mine = [x for x in faults if subset is None or _concerns(x, annotations, subset)]
  if mine:
    raise registry.unreadable("; ".join(statements), mine)
  try:
    ids = tuple(annotations.videos) if subset is None else subset_ids(annotations, subset)
  except DataError as error:
    there = {video.subset for video in annotations.videos.values()}
    given = [name for name in there if isinstance(path, str | os.PathLike)
             and name == subset_of_file(path)]
    hint = (f" (from the file's name, if it has no subsets of its own: then ask for {given[0]!r})"
            if given and len(there) == 1 else "")
    raise DataError(f"{path}: {error}{hint}") from error
  return Subset(annotations, ids, tuple(x for x in faults if x not in mine))


def _concerns(fault: StructuralFault, annotations: Annotations, subset: str) -> bool:
  video = annotations.videos.get(fault.video_id)
  return (video is None or video.subset == subset
          or any(text in fault.message for text in _ABOUT_SUBSETS))


def over_ignored(predictions: Predictions, annotations: Annotations,
                 ids: Sequence[str]) -> np.ndarray | None:
  """[m] whether a prediction overlaps a segment that does not count, `extra["ignored_segments"]`.

  None if the videos `ids`, which `predictions.video` indexes, have none.
  """
  given: Mapping[int, Any] = {i: annotations.videos[key].extra[IGNORED]
                              for i, key in enumerate(ids)
                              if annotations.videos[key].extra.get(IGNORED)}
  if not given:
    return None
  over = np.zeros(len(predictions.video), bool)
  chosen = np.flatnonzero(np.isin(predictions.video, list(given)))
  chosen = chosen[np.argsort(predictions.video[chosen], kind="stable")]
  starts = np.searchsorted(predictions.video[chosen], list(given))
  ends = np.searchsorted(predictions.video[chosen], list(given), side="right")
  for ignored, first, last in zip(given.values(), starts, ends, strict=True):
    rows = chosen[first:last]
    segments = predictions.segments[rows]
    for start, end in ignored:
      over[rows] |= np.minimum(segments[:, 1], end) > np.maximum(segments[:, 0], start)
  return over


def subset_ids(annotations: Annotations, subset: str) -> tuple[str, ...]:
  """The ids of the videos of a subset, in file order.

  Raises:
    DataError: no such subset; the message lists those that there are.
  """
  ids = tuple(key for key, video in annotations.videos.items() if video.subset == subset)
  if not ids:
    there = sorted({video.subset for video in annotations.videos.values()})
    alike = [name for name in there if same_subset(name, subset)]
    hint = f"; did you mean {alike[0]!r}?" if alike else ""
    raise DataError(f"no video belongs to the subset {subset!r}; subsets there: "
                    f"{', '.join(map(repr, there)) or 'none, the file has no videos'}{hint}")
  return ids


def ground_truth(annotations: Annotations, ids: Sequence[str],
                 classes: Sequence[str]) -> GroundTruth:
  """The instances of `classes` in the videos `ids`, in that order, as float64 arrays.

  `video` indexes `ids` and `label` indexes `classes`. Instances of other classes are left out.
  """
  class_index = {name: i for i, name in enumerate(classes)}
  video, label, segments = [], [], []
  for i, video_id in enumerate(ids):
    annotation = annotations.videos[video_id]
    for name, segment in zip(annotation.labels, annotation.segments, strict=True):
      if name in class_index:
        video.append(i)
        label.append(class_index[name])
        segments.append(segment)
  return GroundTruth(np.asarray(video, np.int64), np.asarray(label, np.int64),
                     np.asarray(segments, np.float64).reshape(-1, 2), len(classes))
