"""What every source of data gives, before it becomes a `Dataset`.

Host-side NumPy in float64: times read from files keep their precision, and the metrics compare
them as the official evaluator does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class VideoAnnotation(NamedTuple):
  """The annotation of one video."""

  video_id: str
  subset: str
  duration: float  # seconds
  segments: np.ndarray  # [t, 2] float64 seconds
  labels: tuple[str, ...]  # [t] class names
  extra: Mapping[str, Any] = {}  # other fields of the file, e.g. fps, subject


class Annotations(NamedTuple):
  """An annotated data set: `videos` in file order, `classes` sorted."""

  videos: Mapping[str, VideoAnnotation]
  classes: tuple[str, ...]


class StructuralFault(NamedTuple):
  """A place in a file that cannot be read."""

  video_id: str  # "" where the fault is the file's
  message: str


class ScoredProposals(NamedTuple):
  """The proposals of one video."""

  segments: np.ndarray  # [p, 2] float64 seconds
  scores: np.ndarray | None  # [p] float64, higher is better; None where the format has none


class GroundTruth(NamedTuple):
  """The annotated instances to be found."""

  video: np.ndarray  # [n] int, index into any list of videos
  label: np.ndarray  # [n] int in [0, num_classes)
  segments: np.ndarray  # [n, 2] float64 seconds
  num_classes: int


class Predictions(NamedTuple):
  """Detections. -1 stands for a video or a label that the truth's lists do not have."""

  video: np.ndarray  # [m] int
  label: np.ndarray  # [m] int
  segments: np.ndarray  # [m, 2] float64 seconds
  scores: np.ndarray  # [m] float64, higher is surer; comparable within a class


class TimeGrid(NamedTuple):
  """Row i of a feature matrix covers samples [i * stride, i * stride + window) at `fps`.

  `fps` is in samples (frames) per second; stride and window count samples. The centre of row i
  is at time (i * stride + window / 2) / fps seconds.
  """

  fps: float
  stride: float = 1.0
  window: float = 1.0


class FrameFeatures(NamedTuple):
  """Frame-level features of one video on a regular time grid."""

  values: np.ndarray  # [frames, d]
  grid: TimeGrid


class EncodedFeatures(NamedTuple):
  """Features of one video that are pooled already."""

  values: np.ndarray  # [p, d], one row per proposal of the video, in their order
  whole: np.ndarray  # [d], of the segment [0, duration]
  encoder: str  # that pooled them


class Split(NamedTuple):
  """Video ids of the three disjoint sets of the paper, Sec. 4.1."""

  knowledge_source: tuple[str, ...]
  selection: tuple[str, ...]
  testing: tuple[str, ...]


class SearchResults(NamedTuple):
  """Videos that a web search could return, for the video-search prior of MCLE (Sec. 3.2).

  Disjoint from Selection and Testing. One row a video: the feature of the whole video, as the
  encoder gives it for the segment [0, duration], and its one true class (index into
  `Dataset.classes`), or -1 for a video that shows none of them.
  """

  features: np.ndarray  # [n, d] float32
  labels: np.ndarray  # [n] int32


class RawData(NamedTuple):
  """One source of data, before encoding.

  `features(video_id)` and `proposals(video_id)` are functions so that a source may read or draw
  one video at a time; both are pure (the same id gives the same arrays).
  """

  annotations: Annotations
  features: Callable[[str], FrameFeatures | EncodedFeatures]
  proposals: Callable[[str], np.ndarray]  # -> [p, 2] float64 seconds
  split: Split
  search: Annotations | None  # videos for SearchResults (whole-video use, first label), or None
  caption: str  # is shown under every plot: what the data are; says so if they are simulated
