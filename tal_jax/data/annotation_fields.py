"""What an annotation file says of a video beside its truths, in `VideoAnnotation.extra`."""

from __future__ import annotations

import numpy as np

from tal_jax.data.records import VideoAnnotation
from tal_jax.data.text.numerals import number, rate

ANNOTATION_FIELDS = "annotation_fields"
_FRAME_SEGMENT_FIELDS = ("segment(frames)", "segment_frame", "segment_frames")
_FRAME_COUNT_FIELDS = ("frame", "duration_frame", "num_frames", "frames")
NUMBER_FIELDS = ("fps", *_FRAME_COUNT_FIELDS)  # numbers also where a file has texts alone


def frame_rate(video: VideoAnnotation) -> float | None:
  """Frames per second by the file: its field `fps`, else its number of frames / the duration.

  None where neither is a positive number.
  """
  fps = video.extra.get("fps")
  if fps is not None:
    return rate(fps) if _is_positive(rate(fps)) else None
  count = number(next((video.extra[x] for x in _FRAME_COUNT_FIELDS if x in video.extra), None))
  if _is_positive(count) and _is_positive(video.duration):
    return count / video.duration
  return None


def frame_segments(video: VideoAnnotation) -> np.ndarray | None:
  """The truths in frames, [t, 2] float64, where the file gives them beside the seconds, else None.

  Nothing is computed with them: they are a cross-check. A truth without them is NaN.
  """
  entries = video.extra.get(ANNOTATION_FIELDS)
  if not entries:
    return None
  frames = np.full((len(entries), 2), np.nan)
  for row, entry in zip(frames, entries, strict=True):
    value = next((entry[name] for name in _FRAME_SEGMENT_FIELDS if name in entry), None)
    bounds = list(map(number, value)) if isinstance(value, list) and len(value) == 2 else [None]
    if all(map(_is_finite, bounds)):
      row[:] = bounds
  return frames if np.isfinite(frames).any() else None


def _is_finite(value: float | None) -> bool:
  return value is not None and bool(np.isfinite(value))


def _is_positive(value: float | None) -> bool:
  return _is_finite(value) and value > 0
