"""The figures of experiments.check_data, as SVG texts: timelines, recall curves, class counts.

Told apart without colour: truths are dark, proposals light with an outline, features hatched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from tal_jax.data.checks.annotations import is_duration
from tal_jax.data.checks.problems import Extent
from tal_jax.data.records import VideoAnnotation

WIDTH = 900
_LEFT, _RIGHT = 190, 20  # of the plot, pixels
_LANE, _BAR = 18, 12
_MAX_LABELS, _MAX_PROPOSALS, _MAX_LANES = 8, 60, 12
_LONGEST = 3.0  # durations that are drawn: what lies farther is cut off, and said
_FILLS = ("#173f5f", "#e69f00", "#56b4e9", "#999999", "#cc79a7")
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5")
_OPEN = ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
         'role="img" font-family="system-ui, sans-serif" font-size="12"><title>{title}</title>')
_HATCH = ('<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
          'patternTransform="rotate(45)"><rect width="6" height="6" fill="#e3efe6"/>'
          '<line x1="0" y1="0" x2="0" y2="6" stroke="#2f7d4f" stroke-width="2"/></pattern></defs>')


def timeline(video: VideoAnnotation, extent: Extent | None,
             proposals: np.ndarray | None, *, ranked: bool = True) -> str:
  """One video: a lane for each class of its truths, the features' extent, some proposals.

  Args:
    video: the annotation.
    extent: of its features, None if there are none.
    proposals: [p, 2] seconds, best first, None if there are none.
    ranked: draws the first proposals; else some that are spread over the list.
  """
  known = is_duration(video.duration)
  ends = [video.duration] if known else []
  ends += [float(x) for x in video.segments.ravel() if np.isfinite(x)]
  if extent is not None and extent.seconds is not None:
    ends.append(extent.seconds)
  end = max([*ends, 1e-3])
  cut = known and end > _LONGEST * video.duration
  end = _LONGEST * video.duration if cut else end
  # Frames as seconds would squeeze the rest to nothing.
  labels = list(dict.fromkeys(video.labels))
  more = len(labels) - _MAX_LABELS
  lanes = {label: min(i, _MAX_LABELS - 1) for i, label in enumerate(labels)}
  names = labels[:_MAX_LABELS]
  if more > 0:
    names[-1] = f"{more + 1} other classes"
  packed = []
  if proposals is not None and len(proposals):
    number = min(len(proposals), _MAX_PROPOSALS)
    spread = np.linspace(0, len(proposals) - 1, number).astype(int)
    packed = pack(proposals[:number] if ranked else proposals[spread])
  num_lanes = max((lane for lane, _ in packed), default=-1) + 1
  features_y = 6 + len(names) * _LANE
  proposals_y = features_y + (_LANE if extent is not None else 0)
  axis_y = proposals_y + num_lanes * 6 + (4 if num_lanes else 0)
  parts = [_OPEN.format(w=WIDTH, h=axis_y + 36, title=escape(f"Timeline of {video.video_id}")),
           _HATCH]
  x = _scale(end)
  if known:
    parts.append(_rect(x(0), 2, x(video.duration) - x(0), axis_y - 2, 'fill="#f4f4f4"'))
  for i, name in enumerate(names):
    parts.append(_text(_LEFT - 8, 6 + i * _LANE + 11, _short(name), "end"))
  for (start, stop), label in zip(video.segments, video.labels, strict=True):
    if np.isfinite([start, stop]).all():
      parts.append(_rect(x(start), 6 + lanes[label] * _LANE, max(1.5, x(stop) - x(start)), _BAR,
                         'fill="#173f5f" stroke="#fff" stroke-width="0.7"',
                         f"{label}: {start:.6g} to {stop:.6g} s"))
  if extent is not None:
    parts.append(_text(_LEFT - 8, features_y + 11, "features", "end"))
    if extent.seconds is None:
      parts.append(_text(x(0) + 4, features_y + 11, f"{extent.rows} rows, frame rate not known"))
    else:
      parts.append(_rect(x(0), features_y, x(extent.seconds) - x(0), _BAR,
                         'fill="url(#hatch)" stroke="#2f7d4f"',
                         f"{extent.rows} rows, {extent.seconds:.6g} s"))
  if packed:
    parts.append(_text(_LEFT - 8, proposals_y + 9,
                       f"{len(packed)} of {len(proposals)} proposals", "end"))
  for lane, (start, stop) in packed:
    parts.append(_rect(x(start), proposals_y + lane * 6, max(1.5, x(stop) - x(start)), 4,
                       'fill="#fde3b0" stroke="#b36b00" stroke-width="0.6"'))
  parts += _time_axis(x, end, axis_y)
  if known:
    parts.append(_line(x(video.duration), 2, x(video.duration), axis_y, "#a00", "4 3"))
  note = f"duration {video.duration:.6g} s" + (f", cut off at {end:.6g} s" if cut else "")
  parts.append(_text(WIDTH - _RIGHT, axis_y + 32, note, "end"))
  return "".join(parts) + "</svg>"


def legend() -> str:
  """What the bars of a timeline mean."""
  parts = [_OPEN.format(w=WIDTH, h=22, title="Legend"), _HATCH]
  for x, style, name in (
      (2, 'fill="#173f5f"', "truth"), (90, 'fill="url(#hatch)" stroke="#2f7d4f"', "features"),
      (200, 'fill="#fde3b0" stroke="#b36b00"', "proposal"),
      (310, 'fill="#f4f4f4" stroke="#ccc"', "the video")):
    parts += [_rect(x, 4, 24, _BAR, style), _text(x + 30, 15, name)]
  parts += [_line(420, 2, 420, 20, "#a00", "4 3"), _text(428, 15, "its duration")]
  return "".join(parts) + "</svg>"


def recall_curves(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
  """AR against AN, one line a subset."""
  left, top, width, height = 60, 10, 420, 220
  limit = max(max(numbers) for numbers, _ in curves.values())
  parts = [_OPEN.format(w=WIDTH, h=290, title="Average recall against the number of proposals")]
  for tick in np.arange(0, 1.01, 0.2):
    y = top + height * (1 - tick)
    parts += [_line(left, y, left + width, y, "#ddd"), _text(left - 6, y + 4, f"{tick:.1f}", "end")]
  for tick in ticks(limit):
    x = left + width * tick / limit
    parts += [_line(x, top + height, x, top + height + 5, "#555"),
              _text(x, top + height + 18, f"{tick:g}", "middle")]
  parts += [_line(left, top + height, left + width, top + height, "#555"),
            _text(left + width / 2, top + height + 40, "average number of proposals per video",
                  "middle"),
            f'<text x="16" y="{top + height / 2:.1f}" text-anchor="middle" '
            f'transform="rotate(-90 16 {top + height / 2:.1f})">average recall, tIoU 0.5 to 0.95'
            "</text>"]
  for i, (name, (numbers, recall)) in enumerate(curves.items()):
    points = " ".join(f"{left + width * n / limit:.1f},{top + height * (1 - r):.1f}"
                      for n, r in zip(numbers, recall, strict=True))
    style = f'stroke="{_FILLS[i % 5]}" stroke-width="2.2" stroke-dasharray="{_DASHES[i % 5]}"'
    y = top + 14 + 20 * i
    parts += [f'<polyline points="{points}" fill="none" {style}/>',
              f'<line x1="510" y1="{y}" x2="550" y2="{y}" {style}/>', _text(558, y + 4, name)]
  return "".join(parts) + "</svg>"


def class_bars(counts: Sequence[tuple[str, Mapping[str, int]]]) -> str:
  """Instances by class, a bar each, its parts the subsets."""
  subsets = list(dict.fromkeys(subset for _, own in counts for subset in own))
  largest = max(1, max(sum(own.values()) for _, own in counts))
  height = 34 + len(counts) * _LANE
  parts = [_OPEN.format(w=WIDTH, h=height, title="Instances per class")]
  at = _LEFT + 20
  for i, subset in enumerate(subsets):
    parts += [_rect(at, 4, 14, _BAR, f'fill="{_FILLS[i % 5]}" stroke="#333"'),
              _text(at + 20, 15, _short(subset))]
    at += 50 + 7 * min(len(subset), 26)
  for row, (name, own) in enumerate(counts):
    y, x = 26 + row * _LANE, float(_LEFT + 20)
    parts.append(_text(_LEFT + 12, y + 11, _short(name), "end"))
    for i, subset in enumerate(subsets):
      width = (WIDTH - _LEFT - 100) * own[subset] / largest
      if width:
        parts.append(_rect(x, y, width, _BAR, f'fill="{_FILLS[i % 5]}" stroke="#333" '
                           'stroke-width="0.5"', f"{name}, {subset}: {own[subset]}"))
      x += width
    parts.append(_text(x + 6, y + 11, f"{sum(own.values()):,}"))
  return "".join(parts) + "</svg>"


def pack(segments: np.ndarray) -> list[tuple[int, tuple[float, float]]]:
  """Lanes for bars so that those of one lane do not overlap; what finds no lane is left out."""
  free: list[list[tuple[float, float]]] = []
  placed = []
  for start, end in segments[np.isfinite(segments).all(axis=1)].tolist():
    for lane in range(_MAX_LANES):
      if lane == len(free):
        free.append([])
      if all(end <= a or start >= b for a, b in free[lane]):
        free[lane].append((start, end))
        placed.append((lane, (start, end)))
        break
  return placed


def ticks(limit: float) -> np.ndarray:
  """Some five round numbers from 0 to `limit`."""
  step = 10.0 ** np.floor(np.log10(limit / 5))
  step *= next(factor for factor in (1, 2, 5, 10) if limit / (step * factor) <= 6)
  return np.arange(0, limit * (1 + 1e-9), step)


def _scale(end: float):
  def x(seconds: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(seconds, 0.0), end) / end
  return x


def _time_axis(x, end: float, y: float) -> list[str]:
  parts = [_line(x(0), y, x(end), y, "#555")]
  for tick in ticks(end):
    parts += [_line(x(tick), y, x(tick), y + 4, "#555"),
              _text(x(tick), y + 16, f"{tick:g} s", "middle")]
  return parts


def _rect(x, y, width, height, style: str, title: str = "") -> str:
  inside = f"<title>{escape(title)}</title>" if title else ""
  return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" '
          f"{style}>{inside}</rect>")


def _line(x1, y1, x2, y2, colour: str, dashes: str = "") -> str:
  return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
          f'stroke-dasharray="{dashes}"/>')


def _text(x, y, text: str, anchor: str = "start") -> str:
  return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(text: str) -> str:
  return text if len(text) <= 26 else text[:25] + "…"
