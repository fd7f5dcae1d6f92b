"""Seconds, frames or shares: telling the unit of times from how they fit the durations.

Notation: n videos; video i lasts d_i seconds at f_i frames per second (NaN: not known), and its
last truth (or proposal) ends at e_i in a unit that should be seconds. r_i = e_i / d_i is at most 1
where all is well. Read wrongly, r_i is
  in frames     up to f_i: far above 1, and r_i / f_i at most 1;
  in shares     e_i at most 1, whatever d_i is;
  divided by the frame rate (or the duration multiplied by it): r_i at most 1 / f_i.

One video proves nothing; the unit is one for a file, so it is told by most videos or by all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAMES, SHARES, DIVIDED = "frames", "shares", "divided"

_SLACK = 1.1  # ends reach over the duration by a little in real files
_FAR = 2.0  # times the duration: no slip of the annotator
_USUAL_RATE = 25.0  # frames per second where none is known
_MAX_RATE = 150.0
_SLOW = 10.0  # frames per second below which the first 1 / f of a video is no tiny share of it
_MOST = 0.8
_FEW = 3
_RATE_TOLERANCE = 0.02
_NEAR = 0.05  # around a fit, in which a usual rate is looked for
# Rows cannot tell 29.97 from 30: the slack of a window is more than that.
_COMMON_RATES = (1, 2, 5, 10, 12.5, 15, 20, 24, 25, 30, 50, 60, 100, 120)


class Rate(NamedTuple):
  """The frame rate that the rows of features would have."""

  fps: float  # that fits
  factor: float  # of the fitting rate to the one in use
  share: float  # of the videos that it fits


def in_frames(end: float, duration: float, fps: float) -> bool:
  """Whether a time far past the end of its video lies inside it if it counts frames."""
  ratio = end / duration
  if np.isnan(fps):
    return 2 * _FAR < ratio <= _MAX_RATE
  return ratio > _FAR and fps > _FAR and ratio <= _SLACK * fps


def misread(ends: np.ndarray, durations: np.ndarray, rates: np.ndarray) -> str | None:
  """What the times really are: FRAMES, SHARES or DIVIDED; None: they look like seconds.

  Args:
    ends: [n] the last end in each video that has any.
    durations: [n] seconds, positive.
    rates: [n] frames per second, NaN where not known.
  """
  if not len(ends):
    return None
  if np.mean([in_frames(*row) for row in zip(ends, durations, rates, strict=True)]) >= 0.5:
    return FRAMES
  if ends.max() <= 1 + 1e-6 and ends.max() > 0 and np.median(durations) >= 10:
    return SHARES
  known = np.where(np.isnan(rates), _USUAL_RATE, rates)
  if (len(ends) >= _FEW and (known >= _SLOW).all() and ends.max() > 0
      and (ends * known <= _SLACK * durations).all()):
    return DIVIDED
  return None


def fitting_rate(rows: np.ndarray, strides: np.ndarray, windows: np.ndarray, rates: np.ndarray,
                 durations: np.ndarray) -> Rate | None:
  """The frame rate at which features span their videos, if the one in use does not.

  T rows span (T - 1) stride + window frames, give or take the larger of the two, since extractors
  differ in how they treat the last window. A rate fits a video if that span over the rate can be
  its duration.

  Args:
    rows, strides, windows, rates, durations: [n], of the videos whose features could be read.

  Returns:
    None where the rates in use fit, or no single factor fits most of the videos.
  """
  if not len(rows):
    return None
  spans = (rows - 1) * strides + windows
  slack = np.maximum(strides, windows)
  low, high = (spans - slack) / durations, (spans + slack) / durations  # frames per second

  def fits(fps):
    return (low <= fps * (1 + _RATE_TOLERANCE)) & (fps * (1 - _RATE_TOLERANCE) <= high)

  if (~fits(rates)).mean() < _MOST:
    return None
  factor = float(np.median(spans / durations / rates))
  if fits(rates * factor).mean() < _MOST:
    return None
  fps = float(np.median(rates * factor))
  near = min(_COMMON_RATES, key=lambda x: abs(np.log(x / fps)))
  # The windows at the ends blur the fit: a usual rate that fits as well is the likelier one.
  if abs(near / fps - 1) < _NEAR and fits(np.full(len(rows), near)).mean() >= _MOST:
    factor, fps = near / float(np.median(rates)), float(near)
  return Rate(fps, factor, float(fits(rates * factor).mean()))
