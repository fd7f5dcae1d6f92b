"""What a data set holds, in numbers: per subset, and of all.

Coverage is the share of the videos' time that lies inside a truth. Empty truths have end <= start;
copied ones are those that could go without loss (of three equal truths, two). Recall counts the
truths of videos without proposals as missed; the average recall is ActivityNet's, over the first
100 proposals a video on average, or all where there are fewer: the best ones, or those that stand
first in a file without scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tal_jax.data.checks.annotations import duplicates, is_duration
from tal_jax.data.checks.problems import Extent
from tal_jax.data.records import Annotations, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.metrics.proposal_recall import RECALL_TIOUS, average_recall, recall

ALL = "all"
_MAX_AVERAGE = 100.0


def overview(annotations: Annotations, extents: Mapping[str, Extent] | None = None,
             proposals: Callable[[str], np.ndarray | None] | None = None, *,
             ranked: bool = True) -> list[dict[str, Any]]:
  """One row per subset, in alphabetic order, and one of all videos if there are several.

  Args:
    annotations: the videos.
    extents: of the features by video; None: there are none.
    proposals: [p, 2] seconds by video, best first, None for a video that has none; None: no
      proposals at all.
    ranked: whether the order of the proposals means anything; without it there is no AR-AN.

  Returns:
    Rows of JSON values; None where a number cannot be known.
  """
  subsets: dict[str, list[VideoAnnotation]] = {}
  for video in annotations.videos.values():
    subsets.setdefault(video.subset, []).append(video)
  groups = sorted(subsets.items())
  if len(groups) > 1:
    groups.append((ALL, list(annotations.videos.values())))
  found = None if proposals is None else {key: proposals(key) for key in annotations.videos}
  return [_row(name, videos, extents, found, ranked) for name, videos in groups]


def class_counts(annotations: Annotations) -> dict[str, dict[str, int]]:
  """Instances by class and subset, every class with every subset that has truths."""
  counts = {name: {subset: 0 for subset in sorted(
      {video.subset for video in annotations.videos.values() if video.labels})}
      for name in annotations.classes}
  for video in annotations.videos.values():
    for label in video.labels:
      counts[label][video.subset] += 1
  return counts


def covered(video: VideoAnnotation) -> float:
  """Seconds of the video inside at least one truth."""
  segments = _finite(video.segments).clip(0, video.duration)
  total, reached = 0.0, 0.0
  for start, end in segments[np.argsort(segments[:, 0])]:
    total += max(0.0, end - max(start, reached))
    reached = max(reached, end)
  return total


def _row(name: str, videos: Sequence[VideoAnnotation], extents: Mapping[str, Extent] | None,
         proposals: Mapping[str, np.ndarray | None] | None, ranked: bool) -> dict[str, Any]:
  timed = [video for video in videos if is_duration(video.duration)]
  seconds = sum(video.duration for video in timed)
  lengths = np.concatenate([np.zeros(0), *(np.diff(_finite(x.segments))[:, 0] for x in videos)])
  row = {
      "subset": name, "videos": len(videos), "hours": seconds / 3600,
      "classes": len({label for video in videos for label in video.labels}),
      "instances": sum(len(video.labels) for video in videos),
      "median_instance_seconds": float(np.median(lengths)) if len(lengths) else None,
      "empty_truths": sum(int((np.diff(_finite(x.segments)) <= 0).sum()) for x in videos),
      "copied_truths": sum(count - 1 for x in videos for _, _, count in duplicates(x)),
      "coverage": sum(map(covered, timed)) / seconds if seconds else None}
  if extents is not None:
    row |= _features([extents[x.video_id] for x in videos if x.video_id in extents])
  if proposals is not None:
    row |= _proposals(videos, proposals, ranked)
  return row


def _features(extents: Sequence[Extent]) -> dict[str, Any]:
  rates = [x.grid.fps / x.grid.stride for x in extents if x.grid is not None]
  widths = Counter(x.width for x in extents).most_common(1)  # the others are named as problems
  return {"videos_with_features": len(extents),
          "feature_width": widths[0][0] if widths else None,
          "features_per_second": float(np.median(rates)) if rates else None,
          "features_per_second_range": [min(rates), max(rates)] if rates else None}


def _proposals(videos: Sequence[VideoAnnotation], proposals: Mapping[str, np.ndarray | None],
               ranked: bool) -> dict[str, Any]:
  own = [proposals[video.video_id] for video in videos]
  row = {"videos_with_proposals": sum(x is not None and len(x) > 0 for x in own),
         "proposals_per_video": None, "recall": None, "average_recall": None}
  if not row["videos_with_proposals"]:
    return row
  truths = [_finite(video.segments) for video in videos]
  segments = [np.zeros((0, 2)) if x is None else _finite(x) for x in own]
  average = float(np.mean([len(x) for x in segments]))
  row["proposals_per_video"] = average
  if not sum(map(len, truths)):
    return row
  found = recall(truths, segments)
  row["recall"] = {f"{tiou:g}": float(x) for tiou, x in zip(RECALL_TIOUS, found.recall,
                                                            strict=True)}
  if not ranked:
    return row
  try:
    curve = average_recall(truths, segments,
                           max_average=_MAX_AVERAGE if average > _MAX_AVERAGE else None)
  except DataError:  # only videos without truths have proposals
    return row
  row["average_recall"] = {"number": curve.num_proposals.tolist(),
                           "recall": curve.average_recall.tolist(), "area": curve.area}
  return row


def _finite(segments: np.ndarray) -> np.ndarray:
  segments = np.asarray(segments, np.float64).reshape(-1, 2)
  return segments[np.isfinite(segments).all(axis=1)]
