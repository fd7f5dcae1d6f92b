"""A data set at a glance: classes, and the instances by coverage, length and number (Fig. 4).

Bins are those of Sec. 5.2, named XS, S, M, L, XL: coverage, the length of an instance as a share of
its video; length, in seconds; number, the instances in its video. All distributions are over
instances, so a video with five counts five times.

The paper leaves open, and we chose:

* the number of instances is of all classes together (Kinetics-Localization has one a video);
* a coverage above 1, of a truth that ends after its video, counts as XL; lengths are as annotated;
* truths that are not finite or have end <= start lie in no bin and are left out; so are copies of a
  truth (same class, bounds within a millisecond), which would also raise the number of instances.
  How many of each is part of the result, and annotated = instances + those left out;
* an instance of a video without a duration has no coverage: it is in the bins of length and number,
  and shares that need the coverage are of the instances that have one;
* values are rounded to 1e-9, so that 32.2 - 2.2 is 30 s and lies in (0, 30].
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.checks.annotations import SAME_TRUTH, is_duration
from tal_jax.data.records import Annotations, VideoAnnotation
from tal_jax.errors import DataError

BINS = ("XS", "S", "M", "L", "XL")
_DECIMALS = 9


class Attribute(NamedTuple):
  """The bins of one attribute; bin i is (edges[i - 1], edges[i]]."""

  edges: tuple[float, ...]  # upper bounds of all bins but the last
  ranges: tuple[str, ...]  # as the paper writes them


ATTRIBUTES = {
    "coverage": Attribute((0.2, 0.4, 0.6, 0.8), (
        "(0, 0.2]", "(0.2, 0.4]", "(0.4, 0.6]", "(0.6, 0.8]", "(0.8, 1]")),
    "length": Attribute((30.0, 60.0, 120.0, 180.0), (
        "(0, 30]", "(30, 60]", "(60, 120]", "(120, 180]", "> 180")),
    "number": Attribute((1.0, 4.0, 8.0, 16.0), (
        "[0, 1]", "(1, 4]", "(4, 8]", "(8, 16]", "> 16")),
}
PAIRS = (("coverage", "length"), ("coverage", "number"), ("length", "number"))


class Instances(NamedTuple):
  """The instances that count, video after video."""

  video: np.ndarray  # [n] int, index into the videos in file order
  label: np.ndarray  # [n] int, index into the classes
  coverage: np.ndarray  # [n] float64, NaN where the video has no duration
  length: np.ndarray  # [n] float64 seconds
  number: np.ndarray  # [n] int, of instances in the video
  left_out: dict[str, int]  # truths that do not count: not_finite, empty, copied


def instances(annotations: Annotations) -> Instances:
  """The attributes of every instance."""
  class_index = {name: i for i, name in enumerate(annotations.classes)}
  left_out: Counter[str] = Counter(not_finite=0, empty=0, copied=0)
  columns: list[tuple[np.ndarray, ...]] = []
  for i, video in enumerate(annotations.videos.values()):
    segments, labels, lost = _counted(video, class_index)
    left_out.update(lost)
    length = np.round(segments[:, 1] - segments[:, 0], _DECIMALS)
    coverage = (np.round(length / video.duration, _DECIMALS) if is_duration(video.duration)
                else np.full(len(length), np.nan))
    columns.append((np.full(len(length), i), labels, coverage, length,
                    np.full(len(length), len(length))))
  dtypes = (np.int64, np.int64, np.float64, np.float64, np.int64)
  return Instances(*(np.concatenate([np.zeros(0, dtype), *column]).astype(dtype)
                     for dtype, column in zip(dtypes, zip(*columns, strict=True) if columns
                                              else ((),) * len(dtypes), strict=True)),
                   dict(left_out))


def bin_index(values: np.ndarray, attribute: str) -> np.ndarray:
  """The bin of each value, [n] int in [0, 5), and -1 for NaN."""
  found = np.searchsorted(ATTRIBUTES[attribute].edges, values, side="left")
  return np.where(np.isnan(values), -1, found)


def glance(annotations: Annotations) -> dict[str, Any]:
  """What Fig. 4 shows, as JSON values.

  Returns:
    `videos`, `videos_without_instances`, `annotated` truths, `instances` that count,
    `instances_per_video` over the videos that have any, `left_out` truths by reason,
    `coverage_unknown`, `coverage_above_one`; `classes`, most instances first, ties by name:
    `name`, `videos`, `instances`; `attributes`, by name: `bins`, `ranges`, `instances` [5],
    `share` [5]; `pairs`: `rows`, `columns` (attributes), `instances` [5, 5], `share` [5, 5].
    Shares are of the instances that lie in a bin; None where none does.

  Raises:
    DataError: there is no instance to count.
  """
  found = instances(annotations)
  size = len(found.length)
  if not size:
    left_out = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items() if count)
    raise DataError(f"{len(annotations.videos)} video(s), but no instance to count"
                    + (f" (left out: {left_out})" if left_out else ""))
  index = {name: bin_index(getattr(found, name), name) for name in ATTRIBUTES}
  with_instances = len(np.unique(found.video))
  return {
      "videos": len(annotations.videos),
      "videos_without_instances": len(annotations.videos) - with_instances,
      "annotated": size + sum(found.left_out.values()), "instances": size,
      "instances_per_video": size / with_instances, "left_out": found.left_out,
      "coverage_unknown": int(np.isnan(found.coverage).sum()),
      "coverage_above_one": int((found.coverage > 1).sum()),
      "classes": _classes(annotations.classes, found),
      "attributes": {name: {"bins": list(BINS), "ranges": list(ATTRIBUTES[name].ranges),
                            **_shares(np.bincount(own[own >= 0], minlength=len(BINS)))}
                     for name, own in index.items()},
      "pairs": [{"rows": a, "columns": b, **_shares(_joint(index[a], index[b]))}
                for a, b in PAIRS]}


def _counted(video: VideoAnnotation, class_index: dict[str, int]
             ) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
  """Segments [t, 2] and classes [t] of the truths that count; the numbers of the others."""
  segments = np.asarray(video.segments, np.float64).reshape(-1, 2)
  labels = np.array([class_index[label] for label in video.labels], np.int64)
  finite = np.isfinite(segments).all(axis=1)
  length = np.zeros(len(segments))
  length[finite] = np.round(segments[finite, 1] - segments[finite, 0], _DECIMALS)
  kept = np.flatnonzero(length > 0)
  lost = {"not_finite": int((~finite).sum()), "empty": int((finite & (length <= 0)).sum())}
  segments, labels = segments[kept], labels[kept]
  first = _first(segments, labels)
  return segments[first], labels[first], lost | {"copied": int((~first).sum())}


def _first(segments: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """Which truths copy none before them, [t] bool; as annotation_checks.duplicates counts."""
  first = np.ones(len(labels), bool)
  for i in range(len(labels)):
    if first[i]:
      near = (np.abs(segments[i + 1:] - segments[i]) <= SAME_TRUTH).all(axis=1)
      first[i + 1:] &= ~(near & (labels[i + 1:] == labels[i]))
  return first


def _classes(names: tuple[str, ...], found: Instances) -> list[dict[str, Any]]:
  number = np.bincount(found.label, minlength=len(names))
  once = np.unique(np.stack([found.label, found.video]), axis=1)[0]
  videos = np.bincount(once, minlength=len(names))
  rows = [{"name": name, "videos": int(v), "instances": int(n)}
          for name, v, n in zip(names, videos, number, strict=True)]
  return sorted(rows, key=lambda row: (-row["instances"], row["name"]))


def _joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  known = (a >= 0) & (b >= 0)
  counts = np.zeros((len(BINS), len(BINS)), np.int64)
  np.add.at(counts, (a[known], b[known]), 1)
  return counts


def _shares(counts: np.ndarray) -> dict[str, Any]:
  total = counts.sum()
  return {"instances": counts.tolist(), "share": (counts / total).tolist() if total else None}
