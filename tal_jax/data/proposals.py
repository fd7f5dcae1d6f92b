"""Temporal proposals: multi-scale sliding windows, and proposals read from a file.

The paper takes DAPs proposals (Sec. 3.1). Where none are at hand, sliding windows are the plain
substitute; both give [p, 2] float64 seconds per video, without scores: the attention module ranks.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import numpy as np

from tal_jax.data.annotations import load_json, plain
from tal_jax.data.types import DataError


def sliding_windows(duration: float, *, shortest: float = 2.0, longest: float | None = None,
                    ratio: float = 1.4, overlap: float = 0.75) -> np.ndarray:
  """Windows of geometrically growing lengths, evenly spread over the video.

  The lengths are shortest * ratio^k as far as they fit into the video and do not exceed
  `longest`; the whole video is the last window where `longest` allows it. Windows of one length l
  start at equal steps of at most (1 - overlap) * l, the first at 0, the last ending at the
  duration.

  Args:
    duration: of the video, seconds, positive.
    shortest: first length, seconds.
    longest: upper bound of the lengths, seconds; None: the duration.
    ratio: from one length to the next, > 1.
    overlap: of neighbouring windows of one length, as a share of it, in [0, 1).

  Returns:
    [p, 2] float64 seconds, p >= 1, by length, then by start. A video shorter than `shortest` has
    one window, the whole video.

  Raises:
    DataError: parameters out of their range.
  """
  if not (shortest > 0 and ratio > 1 and 0 <= overlap < 1):
    raise DataError(f"sliding windows with shortest={shortest}, ratio={ratio}, overlap={overlap}: "
                    "shortest must be positive, ratio above 1, overlap in [0, 1).")
  if longest is not None and longest < shortest:
    raise DataError(f"sliding windows with longest={longest} below shortest={shortest}")
  if not (math.isfinite(duration) and duration > 0):
    raise DataError(f"sliding windows for a video of {duration} seconds")
  limit = duration if longest is None else min(duration, longest)
  num_lengths = 1 + math.floor(math.log(limit / shortest, ratio) + 1e-9) if limit >= shortest else 0
  lengths = [length for length in shortest * ratio ** np.arange(num_lengths)
             if length < duration * (1 - 1e-9)]
  if limit == duration or not lengths:
    lengths.append(duration)
  windows = []
  for length in lengths:
    slack = duration - length
    # The 1e-9 keeps rounding from adding one window where the steps fit exactly.
    num = 1 + math.ceil(slack / ((1 - overlap) * length) - 1e-9)
    starts = np.linspace(0.0, slack, num)
    windows.append(np.stack([starts, starts + length], axis=1))
  return np.minimum(np.concatenate(windows), duration)


def read_proposals(path: str | os.PathLike, *, limit: int | None = None) -> dict[str, np.ndarray]:
  """Reads proposals of ActivityNet's format, `{"results": {id: [{"score", "segment"}]}}`.

  Args:
    path: the JSON file.
    limit: keeps the best `limit` of a video; None keeps all.

  Returns:
    [p, 2] float64 seconds per id, best score first (ties in file order).

  Raises:
    DataError: not of this format; the message names the first faulty videos.
  """
  content = load_json(path)
  results = dict(content).get("results") if _is_object(content) else None
  if not _is_object(results):
    raise DataError(f"{path} has no 'results' object at its top level. Proposals are "
                    '{"results": {id: [{"score": s, "segment": [start, end]}]}}, in seconds.')
  proposals, faults = {}, []
  for video_id, entries in results:
    try:
      entries = plain(entries)
      segments = np.array([entry["segment"] for entry in entries], np.float64)
      scores = np.array([entry["score"] for entry in entries], np.float64)
      segments = segments.reshape(-1, 2) if segments.size == 0 else segments
      if segments.shape != (len(entries), 2) or scores.shape != (len(entries),):
        raise ValueError("shape")
    except (KeyError, TypeError, ValueError):
      faults.append(f"{video_id}: not a list of {{'score': number, 'segment': [start, end]}}")
      continue
    if video_id in proposals:
      faults.append(f"{video_id}: duplicate id")
    order = np.argsort(-scores, kind="stable")
    proposals[video_id] = segments[order][:limit]
  if faults:
    shown = "\n".join(f"  {fault}" for fault in faults[:20])
    more = f"\n  ... and {len(faults) - 20} more" if len(faults) > 20 else ""
    raise DataError(f"{path}: {len(faults)} video(s) with unreadable proposals:\n{shown}{more}")
  return proposals


class Clipped(NamedTuple):
  """Proposals inside their video, and what that took."""

  segments: np.ndarray  # [p, 2] seconds
  num_clipped: int  # reached over an end of the video
  num_dropped: int  # nothing of them inside the video, or end <= start
  num_nonfinite: int  # a bound that is NaN or infinite; dropped as well


def clip_to_video(segments: np.ndarray, duration: float, *, tolerance: float = 1e-6) -> Clipped:
  """Clips [p, 2] proposals to [0, duration]; those of which nothing is left are dropped.

  Args:
    segments: [p, 2] seconds.
    duration: seconds.
    tolerance: seconds over an end that are clipped without being counted.
  """
  finite = np.isfinite(segments).all(axis=1)
  inside = np.clip(segments[finite], 0.0, duration)
  real = inside[:, 1] > inside[:, 0]
  over = (np.abs(inside - segments[finite]) > tolerance).any(axis=1)
  return Clipped(inside[real], int((over & real).sum()), int((~real).sum()), int((~finite).sum()))


def _is_object(value) -> bool:
  """Whether `load_json` read a JSON object: a list subclass of (key, value) pairs."""
  return isinstance(value, list) and type(value) is not list
