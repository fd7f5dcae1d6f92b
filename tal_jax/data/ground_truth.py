"""The ground truth of the metrics, from annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tal_jax.data.annotations import same_subset
from tal_jax.data.types import Annotations, DataError, GroundTruth


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
