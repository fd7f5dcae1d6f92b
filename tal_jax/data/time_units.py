"""Seconds, frames, shares or milliseconds: telling the unit of times from the durations.

Notation: n videos; video i lasts d_i seconds at f_i frames per second (NaN: not known), and its
last truth (or proposal) ends at e_i in a unit that should be seconds. r_i = e_i / d_i is at most 1
where all is well. Read wrongly, r_i is
  in frames     up to f_i: far above 1, and r_i / f_i at most 1;
  in others     beyond f_i: milliseconds, microseconds, samples of sound, see `fitting_units`;
  in shares     e_i at most 1, whatever d_i is;
  divided by the frame rate (or the duration multiplied by it): r_i at most 1 / f_i.

One video proves nothing; the unit is one for a file, so it is told by most videos or by all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAMES, SHARES, DIVIDED, OTHER = "frames", "shares", "divided", "other"

# Units in which times are written: how many of them make a second.
UNITS = {"milliseconds": 1e3, "samples at 8 kHz": 8e3, "samples at 16 kHz": 16e3,
         "samples at 22.05 kHz": 22050.0, "samples at 44.1 kHz": 44100.0,
         "samples at 48 kHz": 48e3, "microseconds": 1e6, "units of 100 ns": 1e7,
         "nanoseconds": 1e9}
LONGER_UNITS = {"minutes": 60.0, "hours": 3600.0}  # how many seconds each has

_SLACK = 1.1  # ends reach over the duration by a little in real files
_FAR = 2.0  # times the duration: no slip of the annotator
_USUAL_RATE = 25.0  # frames per second where none is known
_MAX_RATE = 150.0
_SLOW = 10.0  # frames per second below which the first 1 / f of a video is no tiny share of it
_MOST = 0.8
_FEW = 3
_RATE_TOLERANCE = 0.02
_ALIKE = 0.4  # the least that a unit fills of the videos, to one that fills them best
_NEAR = 0.05  # around a fit, in which a usual rate is looked for
# Rows cannot tell 29.97 from 30: the slack of a window is more than that.
_COMMON_RATES = (1, 2, 5, 10, 12.5, 15, 20, 24, 25, 30, 50, 60, 100, 120)


class Rate(NamedTuple):
  """The frame rate that the rows of features would have."""

  fps: float  # that fits
  factor: float  # of the fitting rate to the one in use
  share: float  # of the videos that it fits


def far(end: float, duration: float) -> bool:
  """Whether a time lies far past the end of its video, whatever unit would explain it."""
  return end > _FAR * duration


def in_frames(end: float, duration: float, fps: float) -> bool:
  """Whether a time far past the end of its video lies inside it if it counts frames."""
  ratio = end / duration
  if np.isnan(fps):
    return 2 * _FAR < ratio <= _MAX_RATE
  return ratio > _FAR and fps > _FAR and ratio <= _SLACK * fps


def misread(ends: np.ndarray, durations: np.ndarray, rates: np.ndarray) -> str | None:
  """What the times really are: FRAMES, SHARES, DIVIDED or OTHER; None: they look like seconds.

  Args:
    ends: [n] the last end in each video that has any.
    durations: [n] seconds, positive.
    rates: [n] frames per second, NaN where not known.
  """
  if not len(ends):
    return None
  past = ends > _FAR * durations
  frames = np.array([in_frames(*row) for row in zip(ends, durations, rates, strict=True)])
  if past.mean() >= 0.5:
    if frames.sum() >= _MOST * past.sum():
      return FRAMES
    if past.sum() >= _FEW or past.all():
      return OTHER
  if ends.max() <= 1 + 1e-6 and ends.max() > 0 and np.median(durations) >= 10:
    return SHARES
  known = np.where(np.isnan(rates), _USUAL_RATE, rates)
  if (len(ends) >= _FEW and (known >= _SLOW).all() and ends.max() > 0
      and (ends * known <= _SLACK * durations).all()):
    return DIVIDED
  return None


def fitting_units(ends: np.ndarray, durations: np.ndarray, rates: np.ndarray) -> dict[str, float]:
  """The units in which the times would lie inside their videos and fill them, the best first.

  Args:
    ends, durations, rates: as in `misread`, which has found FRAMES, DIVIDED or OTHER.

  Returns:
    By name, what the times have to be divided by; below 1 where they are too small: durations in a
    short unit, or times in a long one.
  """
  ratio = ends / durations
  known = rates[~np.isnan(rates)]
  usual = float(np.median(known)) if len(known) else _USUAL_RATE
  frames = {f"frames at {usual:.5g} a second": usual}
  if np.median(ratio) > 1:
    units = frames | UNITS | {f"seconds, of durations in {name}": x
                              for name, x in LONGER_UNITS.items()}
  else:
    units = {f"seconds, of durations in {name}": 1 / x for name, x in (frames | UNITS).items()}
    units |= {name: 1 / x for name, x in LONGER_UNITS.items()}
  top = float(np.quantile(ratio, 0.9))  # a few wild ones hide nothing
  filled = {name: top / x for name, x in units.items() if top / x <= _SLACK}
  best = max(filled.values(), default=0.0)
  return {name: units[name] for name in sorted(filled, key=filled.get, reverse=True)
          if filled[name] >= _ALIKE * best}


def unit_of_durations(factor: float) -> str | None:
  """The unit of durations that make a frame rate wrong by a factor; None: of no usual unit."""
  units = {name: 1 / x for name, x in UNITS.items()} | LONGER_UNITS
  return next((name for name, x in units.items() if abs(factor / x - 1) < _SLACK - 1), None)


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
    # Rates of the videos' own, and features made at one for all.
    rates = np.full(len(rows), np.median(rates))
    factor = float(np.median(spans / durations / rates))
    if fits(rates * factor).mean() < _MOST:
      return None
  fps = float(np.median(rates * factor))
  near = min(_COMMON_RATES, key=lambda x: abs(np.log(x / fps)))
  # The windows at the ends blur the fit: a usual rate that fits as well is the likelier one.
  if abs(near / fps - 1) < _NEAR and fits(np.full(len(rows), near)).mean() >= _MOST:
    factor, fps = near / float(np.median(rates)), float(near)
  return Rate(fps, factor, float(fits(rates * factor).mean()))
