"""Temporal proposals: multi-scale sliding windows, and proposals read from a file.

The paper takes DAPs proposals (Sec. 3.1). Where none are at hand, sliding windows are the plain
substitute; both give [p, 2] float64 seconds per video. Scores serve to keep the best of a file;
from there on the attention module ranks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.formats import registry
from tal_jax.data.records import ScoredProposals
from tal_jax.errors import DataError


def sliding_windows(duration: float, *, shortest: float = 2.0, longest: float | None = None,
                    ratio: float = 1.4, overlap: float = 0.75,
                    most: int | None = None) -> np.ndarray:
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
    most: how many windows there may be, at least 1: of more, the shortest lengths are left out.
      None: any number.

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
  # The 1e-9 keeps rounding from adding one window where the steps fit exactly.
  counts = [1 + math.ceil((duration - length) / ((1 - overlap) * length) - 1e-9)
            for length in lengths]
  first = 0
  while most and first < len(lengths) - 1 and sum(counts[first:]) > most:
    first += 1
  windows = []
  for length, num in zip(lengths[first:], counts[first:], strict=True):
    starts = np.linspace(0.0, duration - length, num)
    windows.append(np.stack([starts, starts + length], axis=1))
  return np.minimum(np.concatenate(windows), duration)


def read_proposals(path: str | os.PathLike, *, limit: int | None = None,
                   format: str = registry.AUTO, durations: Mapping[str, float] | None = None,
                   rates: Mapping[str, float] | None = None) -> dict[str, np.ndarray]:
  """Reads proposals of any format, see tal_jax/data/formats.

  Args:
    path: file or folder.
    limit: keeps the best `limit` of a video; None keeps all.
    format: a format's name; "auto" detects it.
    durations: seconds by video id, for formats in shares of the video.
    rates: frames per second by video id, for formats in frames.

  Returns:
    [p, 2] float64 seconds per id, best score first (ties in file order).

  Raises:
    DataError: not such a file; the message names the first faulty videos.
  """
  read = registry.read(path, "proposals", format=format, durations=durations, rates=rates).value
  return {video_id: ranked(proposals, limit) for video_id, proposals in read.items()}


def write_proposals(path: str | os.PathLike, proposals: Mapping[str, ScoredProposals], *,
                    format: str = "activitynet", **options: Any) -> None:
  """Writes proposals: activitynet, bmn (durations=), daps (rates=) or ssn (annotations=)."""
  registry.write(path, "proposals", proposals, format=format, **options)


def ranked(proposals: ScoredProposals, limit: int | None = None) -> np.ndarray:
  """The best `limit` segments, best first, ties and proposals without scores in file order."""
  segments, scores = proposals
  if scores is not None:
    segments = segments[np.argsort(-scores, kind="stable")]
  return segments[:limit]


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
