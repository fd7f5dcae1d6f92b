"""Faults of a whole set of features, told by their shapes, their time grids and the durations.

Looked for before any one video is judged. Features kept as [d, T], spread over one number of rows
or read at another rate miss the duration of every video, and what would mend one video mends none
of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from tal_jax.data import time_units
from tal_jax.data.checks.problems import Extent, Problem

FEW = 3  # videos, below which there is no set to judge
MOST = 0.8
_SPAN_TOLERANCE = 0.1  # share of the duration by which the rows may be too short or too long
_SPREAD = 1.2  # of the durations, from which they are not of one length
_SAMPLE = 5  # videos read to tell one cause from another
_RESCALED_ROWS = 100  # that BSN and BMN spread over each video
_NO_GRID = "with data.fps, data.stride and data.window at 0"


def spans(extent: Extent, duration: float) -> bool:
  """Whether rows span a video; one step more or less is no fault, extractors differ in it."""
  step = max(extent.grid.stride, extent.grid.window) / extent.grid.fps
  return abs(duration - extent.seconds) <= _SPAN_TOLERANCE * duration + step


def judge(extents: Mapping[str, Extent], durations: Mapping[str, float],
          read: Callable[[str], np.ndarray], path: str) -> list[Problem]:
  """The fault that most videos share, if there is one: a list of at most one problem.

  Args:
    extents: rows, columns and time grid of the arrays by video, as they are stored.
    durations: seconds, of the videos whose duration is known.
    read: gives a video's array, [T, d]; called for a few videos, where the shapes are in doubt.
    path: of the features, for the message.
  """
  if len(extents) < FEW:
    return []
  known = {key: extent for key, extent in extents.items() if key in durations}
  timed = {key: extent for key, extent in known.items() if extent.grid is not None}
  return (_time_second(extents, timed, durations, path) or _one_number(known, durations, read, path)
          or _rate(timed, durations, path))


def _time_second(extents, timed, durations, path) -> list[Problem]:
  """[d, T]: one number of rows and many of columns, or columns that span the videos."""
  rows, columns = (Counter(getattr(x, name) for x in extents.values()) for name in
                   ("rows", "width"))
  (number, count), (_, common) = rows.most_common(1)[0], columns.most_common(1)[0]
  several = count >= MOST * len(extents) and common < 0.5 * len(extents) and number > 1
  fitting = {turned: np.mean([spans(x._replace(rows=x.width) if turned else x, durations[key])
                              for key, x in timed.items()]) if timed else np.nan
             for turned in (False, True)}
  if not several and not (len(timed) >= FEW and fitting[True] >= MOST
                          and fitting[False] <= 1 - MOST):
    return []
  why = (f"{_some(count, len(extents))} videos have {number} rows, and {_range(columns)} columns"
         if several else f"the columns span {fitting[True]:.0%} of {len(timed)} videos, the rows "
                         f"{fitting[False]:.0%}")
  return [Problem("time is the second axis", path, "",
                  f"{why}: [d, T], transposed? data.features_format=transposed")]


def _one_number(extents, durations, read, path) -> list[Problem]:
  """One number of rows, whatever the durations."""
  if len(extents) < FEW:
    return []
  number, count = Counter(x.rows for x in extents.values()).most_common(1)[0]
  alike = sorted((key for key, x in extents.items() if x.rows == number), key=durations.get)
  low, high = np.quantile([durations[key] for key in alike], (0.1, 0.9))
  if count < MOST * len(extents) or high < _SPREAD * low:
    return []
  columns = Counter(extents[key].width for key in alike).most_common(1)[0][0]
  missed = np.mean([x.grid is None or not spans(x, durations[key]) for key, x in extents.items()])
  rescaled = columns == _RESCALED_ROWS != number
  if missed < 0.5 and not rescaled:
    return []
  arrays = _sample(read, alike[:_SAMPLE])
  ratio = _steps(arrays)
  turned = ratio > 0.8 if missed < 0.5 else ratio > 1.5 or (rescaled and ratio > 0.5)
  if missed < 0.5 and not turned:
    return []
  said = (f"{_some(count, len(extents))} videos have {number} row(s) and {columns} columns, though "
          f"they last {durations[alike[0]]:.4g} to {durations[alike[-1]]:.4g} s: ")
  padding = [_padding(x) for x in arrays]
  if turned:
    return [Problem("time is the second axis", path, "", said + (
        f"[d, T], transposed? data.features_format=bmn_transposed, {_NO_GRID}, takes the "
        f"{columns} columns for rows that are spread evenly over each video"))]
  if padding and min(padding) > 0:
    why = (f"padded? The last {_range(padding)} rows of the shortest are one value: cut them off, "
           "and save each video's own rows")
  elif number == 1:
    why = "averaged over the video? Features are a row per time step: extract them so"
  else:
    why = (f"rows spread over the video? data.features_format=bmn_csv, {_NO_GRID} (if only the "
           f"first {number} were kept, extract the videos again)")
  return [Problem("one number of rows", path, "", said + why)]


def _rate(extents, durations, path) -> list[Problem]:
  """Whether one other frame rate would make nearly all features span their videos."""
  if not extents:
    return []
  table = np.array([(x.rows, x.grid.stride, x.grid.window, x.grid.fps, durations[key])
                    for key, x in extents.items()], np.float64)
  rows, strides, windows, rates, seconds = table.T
  rate = time_units.fitting_rate(rows, strides, windows, rates, seconds)
  if rate is None:
    return _no_rate(extents, durations, path)
  # The rows cannot tell a wrong rate from a wrong stride: name both.
  stride = np.median(strides) / rate.factor
  message = (f"{rate.share:.0%} of {len(extents)} videos have about {rate.factor:.4g} times the "
             f"rows that fps {np.median(rates):.5g} and stride {np.median(strides):g} give: "
             f"data.fps = {rate.fps:.5g} would fit, or data.stride = {stride:.4g} with the fps as "
             "it is")
  if abs(rate.fps - 1) < 0.05 and np.median(rates) > 4:
    return [Problem("durations in frames", path, "", message
                    + "; one frame a second: the durations are frames")]
  unit = time_units.unit_of_durations(rate.factor)
  if unit:
    return [Problem("durations not in seconds", path, "", f"{message}; durations in {unit} would "
                    "fit the features as they are")]
  return [Problem("wrong fps", path, "", message)]


def _no_rate(extents, durations, path) -> list[Problem]:
  """Rows that have nothing to do with the durations, whatever the rate."""
  factors = np.array([x.seconds / durations[key] for key, x in extents.items()])
  missed = np.mean([not spans(x, durations[key]) for key, x in extents.items()])
  if len(extents) < FEW or missed < MOST:
    return []
  return [Problem("rows of other lengths", path, "", (
      f"{missed:.0%} of {len(extents)} videos: the rows span {factors.min():.3g} to "
      f"{factors.max():.3g} times the duration, and no one rate fits"))]


def _sample(read, ids) -> list[np.ndarray]:
  """A few arrays; those that cannot be read are reported elsewhere."""
  found = []
  for video_id in ids:
    try:
      found.append(np.asarray(read(video_id), np.float32))
    except ValueError:  # DataError among them
      continue
  return found


def _padding(values: np.ndarray) -> int:
  """How many rows at the end hold one value throughout, zero or NaN."""
  one = np.isnan(values).all(axis=1) | (values == values[-1, 0]).all(axis=1)
  return len(one) if one.all() else int(np.argmin(one[::-1]))


def _steps(arrays: list[np.ndarray]) -> float:
  """How much farther neighbouring rows are apart than neighbouring columns; 1 if that is unknown.

  Features of neighbouring times are alike, so it is below 1 for [T, d] and above for [d, T].
  """
  steps = [[np.abs(np.diff(x, axis=axis)).mean() for axis in (0, 1)]
           for x in arrays if min(x.shape) > 1 and np.isfinite(x).all()]
  ratios = [rows / columns for rows, columns in steps if columns > 0]
  return float(np.median(ratios)) if ratios else 1.0


def _some(count: int, total: int) -> str:
  return f"all {total}" if count == total else f"{count} of {total}"


def _range(values) -> str:
  low, high = min(values), max(values)
  return f"{low}" if low == high else f"{low} to {high}"
