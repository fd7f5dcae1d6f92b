"""The unit of times: whether truths and proposals are the seconds that they are taken for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tal_jax.data import time_units
from tal_jax.data.checks.annotations import is_duration
from tal_jax.data.checks.problems import Problem
from tal_jax.data.records import Annotations, VideoAnnotation

_LONG = 36_000.0  # seconds: longer than nearly all videos


def check_units(annotations: Annotations, rates: Mapping[str, float],
                file: str) -> list[Problem]:
  """Of the truths and the durations; `rates`: frames per second by video."""
  ends = last_ends({key: video.segments for key, video in annotations.videos.items()})
  videos = [video for video in map(annotations.videos.get, ends) if is_duration(video.duration)]
  problems, arrays = [], _arrays(videos, ends, rates)
  for video, end, fps in zip(videos, arrays[0], arrays[2], strict=True):
    if time_units.far(end, video.duration):
      at = (f"; {fps:.5g} frames a second make it {end / fps:.5g} s"
            if time_units.in_frames(end, video.duration, fps) and not np.isnan(fps) else "")
      problems.append(Problem("truth far past its video", file, video.video_id,
                              f"ends at {end:.6g} in a video of {video.duration:.6g} s{at}"))
  unit = time_units.misread(*arrays)
  if unit in (time_units.FRAMES, time_units.OTHER):
    kind = "times in frames" if unit == time_units.FRAMES else "times not in seconds"
    problems.append(Problem(kind, file, "", f"{len(problems)} of {len(videos)} videos with truths; "
                            f"{describe(*arrays)}{would_fit(*arrays)}"))
  elif unit is not None:
    message = f"all {len(videos)} videos with truths; {describe(*arrays)}"
    if unit == time_units.DIVIDED:
      units = time_units.fitting_units(*arrays)
      unit = ("durations in frames" if any("frames" in name for name in units)
              else "durations not in seconds")
      message += would_fit(*arrays)
    else:
      unit = "times in shares"
    problems.append(Problem(unit, file, "", message))
  return problems or _check_lengths(annotations, file)


def check_proposal_units(segments: Mapping[str, np.ndarray], videos: Mapping[str, VideoAnnotation],
                         rates: Mapping[str, float], file: str) -> list[Problem]:
  """Of proposals, [p, 2] by the id of an annotated video."""
  ends = last_ends(segments)
  chosen = [videos[key] for key in ends if is_duration(videos[key].duration)]
  arrays = _arrays(chosen, ends, rates)
  unit = time_units.misread(*arrays)
  kind = {time_units.FRAMES: "proposals in frames", time_units.SHARES: "proposals in shares",
          time_units.DIVIDED: "proposals in seconds",
          time_units.OTHER: "proposals not in seconds"}.get(unit)
  if kind is None:
    return []
  fit = "" if unit == time_units.SHARES else would_fit(*arrays)
  return [Problem(kind, file, "", describe(*arrays) + fit)]


def last_ends(segments: Mapping[str, np.ndarray]) -> dict[str, float]:
  """The last finite end by video, of those that have any."""
  finite = {key: value[np.isfinite(value).all(axis=1), 1] for key, value in segments.items()}
  return {key: float(value.max()) for key, value in finite.items() if len(value)}


def describe(ends: np.ndarray, durations: np.ndarray, rates: np.ndarray) -> str:
  """For messages: how far the times reach, in durations."""
  ratio, known = ends / durations, rates[~np.isnan(rates)]
  rate = f"; {np.median(known):.5g} frames a second" if len(known) else "; frame rate not known"
  return (f"the last ends in a video are {np.median(ratio):.3g} (median), at most "
          f"{ratio.max():.3g}, times its duration{rate}")


def would_fit(ends: np.ndarray, durations: np.ndarray, rates: np.ndarray) -> str:
  """For messages: the units in which the times would lie inside the videos."""
  middle = float(np.median(ends / durations))
  fits = [f"{name} would make them {middle / x:.3g}"
          for name, x in time_units.fitting_units(ends, durations, rates).items()]
  return f"; {', '.join(fits[:4])}" if fits else "; no usual unit fits: truths of other videos?"


def _check_lengths(annotations: Annotations, file: str) -> list[Problem]:
  """Durations and truths in one unit, which is not the second, agree with each other."""
  lengths = [x.duration for x in annotations.videos.values() if is_duration(x.duration)]
  if not lengths or np.median(lengths) < _LONG:
    return []
  middle = float(np.median(lengths))
  return [Problem("very long videos", file, "", f"the median of {len(lengths)} durations is "
                  f"{middle:.6g} s, {middle / 3600:.3g} hours; in milliseconds it is "
                  f"{middle / 1000:.4g} s, in microseconds {middle / 1e6:.4g} s")]


def _arrays(videos, ends, rates):
  return (np.array([ends[video.video_id] for video in videos], np.float64),
          np.array([video.duration for video in videos], np.float64),
          np.array([rates.get(video.video_id, np.nan) for video in videos], np.float64))
