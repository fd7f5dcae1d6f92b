"""Labels that are no class: which they are, and annotations without them; and labels alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

import numpy as np

from tal_jax.data.annotation_fields import ANNOTATION_FIELDS
from tal_jax.data.annotations import IGNORED, from_videos
from tal_jax.data.records import Annotations, VideoAnnotation
from tal_jax.data.text.near_names import plain_id

AMBIGUOUS = "ambiguous"  # THUMOS14's
# What protocols call segments that are no instance of a class.
_NO_CLASS = {AMBIGUOUS, "background", "bg", "na", "n a", "nan", "none", "null", "difficult",
             "crowd", "iscrowd", "ignore", "ignored", "unknown", "unlabeled", "unlabelled",
             "unsure", "no action", "no label"}
_FIELDS = {"difficult", "crowd", "iscrowd", "ignore", "ambiguous"}  # of truths


def no_classes(videos: Iterable[VideoAnnotation]) -> dict[str, int]:
  """Labels that usually mean "no class", with their numbers of truths."""
  counts = Counter(label for video in videos for label in video.labels)
  return {label: count for label, count in counts.items() if _plain(label) in _NO_CLASS}


def marked(videos: Iterable[VideoAnnotation]) -> dict[str, int]:
  """Fields of truths, like "difficult", that usually mean "does not count", and how many have it.

  Those that say false or 0 do not have it.
  """
  return dict(Counter(key for video in videos for own in video.extra.get(ANNOTATION_FIELDS) or ()
                      for key, value in own.items() if value and key.casefold() in _FIELDS))


def alike(classes: Iterable[str]) -> list[list[str]]:
  """Groups of classes whose names differ in case, blanks, signs or Unicode form alone."""
  groups = defaultdict(list)
  for name in classes:
    groups[plain_id(name)].append(name)
  return [names for names in groups.values() if len(names) > 1]


def set_aside(annotations: Annotations, labels: Collection[str], *,
              ignored: bool = False) -> Annotations:
  """The annotations without the truths that do not count, and without their classes.

  Args:
    annotations: videos.
    labels: of these truths, without regard to capitals; or a field of theirs that is not false,
      "difficult" say.
    ignored: whether detections over them shall not count either: the segments are then kept in
      `extra["ignored_segments"]`.
  """
  names = {name.strip().casefold() for name in labels}
  videos = []
  for video in annotations.videos.values():
    fields = video.extra.get(ANNOTATION_FIELDS) or [{}] * len(video.labels)
    out = np.array([label.strip().casefold() in names or any(
        key.casefold() in names and value for key, value in own.items())
                    for label, own in zip(video.labels, fields, strict=True)], bool)
    if out.any():
      video = _without(video, out, ignored)
    videos.append(video)
  return from_videos(videos)


def _without(video: VideoAnnotation, out: np.ndarray, ignored: bool) -> VideoAnnotation:
  extra = dict(video.extra)
  if ANNOTATION_FIELDS in extra:
    extra[ANNOTATION_FIELDS] = [x for x, left in zip(extra[ANNOTATION_FIELDS], out, strict=True)
                                if not left]
  if ignored:
    extra[IGNORED] = [*extra.get(IGNORED, []), *video.segments[out].tolist()]
  return video._replace(
      segments=video.segments[~out], extra=extra,
      labels=tuple(x for x, left in zip(video.labels, out, strict=True) if not left))


def _plain(label: str) -> str:
  return " ".join(label.replace("_", " ").replace("-", " ").replace("/", " ").casefold().split())
