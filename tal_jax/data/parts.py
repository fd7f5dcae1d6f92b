"""The parts of a data set on disk, read but not yet judged: annotations, features, proposals.

Only the annotations must be there. Features stay on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from tal_jax.data import annotations as annotations_lib, public_sets
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.checks import labels as label_checks
from tal_jax.data.feature_store import FeatureStore
from tal_jax.data.features import open_store, with_time
from tal_jax.data.file_options import FileOptions
from tal_jax.data.formats import registry
from tal_jax.data.proposals import clip_to_video, ranked, sliding_windows
from tal_jax.data.records import Annotations, StructuralFault
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError


class Parts(NamedTuple):
  """What could be read."""

  annotations: Annotations
  structural: tuple[StructuralFault, ...]  # entries of the annotations that could not be read
  store: FeatureStore | None  # with the time grids of the annotated videos; None: not given
  proposals: Mapping[str, np.ndarray] | None  # [p, 2] seconds, best first; None: not given
  proposal_faults: tuple[StructuralFault, ...]  # entries that could not be read
  detected: tuple[str, ...]  # what each path was read as, and why


def read_parts(options: FileOptions) -> Parts:
  """Reads what is given.

  Raises:
    DataError: a path or an option that makes even a report impossible.
  """
  files = annotations_lib.several(options.annotations)
  for path in files:
    public_sets.check_there(path)
  annotated, structural, detected = annotations_lib.scan(
      files, format=options.annotations_format, background=options.background,
      video_info=options.video_info, label=options.label)
  unwanted = options.no_class
  names = unwanted.split(",") if isinstance(unwanted, str) else unwanted
  annotated = label_checks.set_aside(annotated, [name for name in names if name.strip()])
  parts = parts_of(annotated, options)
  return parts._replace(structural=tuple(structural), detected=(*detected, *parts.detected))


def parts_of(annotated: Annotations, options: FileOptions) -> Parts:
  """`read_parts` of annotations that are in memory."""
  store, detected = None, []
  if options.features is not None:
    for path in annotations_lib.several(options.features):
      public_sets.check_there(path)
    store = open_store(options.features, key=options.feature_key, format=options.features_format)
    store = with_time(store, annotated, fps=options.fps, stride=options.stride,
                      window=options.window)
    detected.append(store.statement)
  read, faults = None, ()
  if options.proposals is not None:
    reading = registry.read(
        options.proposals, "proposals", format=options.proposals_format, strict=False,
        durations={video_id: video.duration for video_id, video in annotated.videos.items()},
        rates=frame_rates(annotated, options.fps))
    read = {video_id: ranked(found, options.num_proposals)
            for video_id, found in reading.value.items()}
    faults = reading.faults
    detected.append(reading.statement)
  return Parts(annotated, (), store, read, faults, tuple(detected))


def frame_rates(annotated: Annotations, fps: float | None = None) -> dict[str, float]:
  """Frames per second by video: the file's, else `fps`; those of which neither is known left out.

  In this order, because features are often made at another rate than the video's.
  """
  rates = {video_id: frame_rate(video) or fps
           for video_id, video in annotated.videos.items()}
  return {video_id: rate for video_id, rate in rates.items() if rate is not None}


def proposals_by_video(annotated: Annotations, read: Mapping[str, np.ndarray] | None,
                       windows: Mapping[str, float | None],
                       field: str) -> Callable[[str], np.ndarray]:
  """A function from a video's id to its proposals: those read, clipped, or else sliding windows.

  Args:
    annotated: the videos, with their durations.
    read: proposals of a file, or None.
    windows: options of `sliding_windows`.
    field: the setting that has them, for the message.

  Raises:
    DataError: faulty options; here, and not at the first video.
  """
  def draw(video_id):
    duration = annotated.videos[video_id].duration
    if read is None:
      return sliding_windows(duration, **windows)
    return clip_to_video(read[find_id(video_id, read)], duration).segments

  if read is None:
    try:
      sliding_windows(1.0, **windows)
    except TypeError as error:
      raise DataError(f"{field}: {error}") from error
  return draw
