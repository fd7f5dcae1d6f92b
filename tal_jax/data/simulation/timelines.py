"""Timelines of made-up videos: durations and instances that follow ActivityNet 1.3's.

Notation: a video of D seconds has n instances; coverage c is the share of D that they fill; the
lead l is the share of the uncovered time before the first instance, the trail r the share of
what is left then after the last one (1 where n = 1: no gap between instances remains).

The model, fitted apart in four groups of n (1, 2, 3-4, 5 and more) so that n, coverage and length
keep their joint structure:

  n ~ categorical;  (D, c) ~ two quantile functions joined by a Gaussian copula;
  l, r ~ quantile functions;  lengths = c D * Dirichlet(a_len);  gaps = rest * Dirichlet(a_gap).

What it leaves out: instances that overlap (in ActivityNet 1.3, 14,940 videos of train+val with a
non-empty instance, those of 184 do: 1.2 %, or 5.0 % of the 3,678 with more than one), a second
class in a video (13 videos), and lengths typical of a class. `fit_timelines` skips videos with
overlap and ignores the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats

from tal_jax.data.records import Annotations
from tal_jax.errors import DataError

LEVELS = (0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 0.998, 1.0)
_GROUP_STARTS = (1, 2, 3, 5)
_MAX_INSTANCES = 16  # more (0.1 % of the videos) count as 16
_MIN_LENGTH = 0.1  # seconds; a Dirichlet share may come out as zero


class Timelines(NamedTuple):
  """Fitted numbers; quantile functions are given at LEVELS, linear in between."""

  num_instances: tuple[float, ...]  # [16] P(n = 1), P(n = 2), ...
  duration: tuple[tuple[float, ...], ...]  # [4, 14] seconds
  coverage: tuple[tuple[float, ...], ...]  # [4, 14]
  lead: tuple[tuple[float, ...], ...]  # [4, 14]
  trail: tuple[tuple[float, ...], ...]  # [4, 14]
  correlation: tuple[float, ...]  # [4] of the copula of (D, c)
  length_concentration: tuple[float, ...]  # [4] a_len
  gap_concentration: tuple[float, ...]  # [4] a_gap


def _group(n: int) -> int:
  return int(np.searchsorted(_GROUP_STARTS, n, side="right")) - 1


def draw_timeline(rng: np.random.Generator, model: Timelines) -> tuple[float, np.ndarray]:
  """Draws one video.

  Returns:
    duration: seconds.
    segments: [n, 2] float64 seconds, in order of time, without overlap, inside the video.
  """
  n = 1 + int(rng.choice(len(model.num_instances), p=model.num_instances))
  g = _group(n)
  z = rng.standard_normal(2)
  z[1] = model.correlation[g] * z[0] + np.sqrt(1 - model.correlation[g] ** 2) * z[1]
  u = special.ndtr(z)
  duration = float(np.interp(u[0], LEVELS, model.duration[g]))
  coverage = np.interp(u[1], LEVELS, model.coverage[g])
  lead, trail = (np.interp(rng.random(), LEVELS, table[g]) for table in (model.lead, model.trail))
  lengths = duration * coverage * rng.dirichlet(np.full(n, model.length_concentration[g]))
  lengths = np.maximum(lengths, _MIN_LENGTH)
  lengths *= min(1.0, duration / lengths.sum())
  rest = max(duration - lengths.sum(), 0.0)
  gaps = np.zeros(n)
  gaps[0] = lead * rest
  if n > 1:
    shares = rng.dirichlet(np.full(n - 1, model.gap_concentration[g]))
    gaps[1:] = (rest - gaps[0]) * (1 - trail) * shares
  ends = np.cumsum(gaps + lengths)
  return duration, np.clip(np.stack([ends - lengths, ends], axis=1), 0.0, duration)


def fit_timelines(annotations: Annotations) -> Timelines:
  """Fits the model; what it gives on ActivityNet 1.3 is committed below as ACTIVITYNET.

  Quantile functions are empirical quantiles; a_len and a_gap match the mean of the sum of squared
  shares; the copula's correlation is the normal scores' one. Videos without a non-empty instance,
  or whose instances overlap after exact duplicates are dropped, are skipped.

  Raises:
    DataError: fewer than ten usable videos in a group of n.
  """
  rows = []
  for video in annotations.videos.values():
    segments = np.clip(np.unique(np.reshape(video.segments, (-1, 2)), axis=0), 0, video.duration)
    segments = segments[segments[:, 1] > segments[:, 0]]
    if len(segments) and np.all(segments[1:, 0] >= segments[:-1, 1] - 1e-6):
      rows.append((video.duration, segments))
  counts = np.array([min(len(segments), _MAX_INSTANCES) for _, segments in rows], int)
  groups = [[row for row in rows if _group(len(row[1])) == g] for g in range(len(_GROUP_STARTS))]
  if min(map(len, groups)) < 10:
    raise DataError("fitting timelines needs at least 10 videos with 1, 2, 3-4 and 5 or more "
                    f"instances; found {[len(group) for group in groups]}: use more annotations")
  frequencies = np.bincount(counts, minlength=_MAX_INSTANCES + 1)[1:] / len(counts)
  columns = [_fit_group(group) for group in groups]
  return Timelines(tuple(frequencies.tolist()), *zip(*columns, strict=True))


def _fit_group(rows: list[tuple[float, np.ndarray]]) -> tuple:
  durations, coverages, leads, trails, length_shares, gap_shares = [], [], [], [], [], []
  for duration, segments in rows:
    lengths = segments[:, 1] - segments[:, 0]
    rest = duration - lengths.sum()
    durations.append(duration)
    coverages.append(lengths.sum() / duration)
    length_shares.append(lengths / lengths.sum())
    if rest > 0.01 * duration:  # below it, where the rest lies is rounding
      leads.append(segments[0, 0] / rest)
      after = rest - segments[0, 0]
      gapless = len(segments) == 1 or after <= 0
      trails.append(1.0 if gapless else (duration - segments[-1, 1]) / after)
      gaps = np.maximum(segments[1:, 0] - segments[:-1, 1], 0.0)
      if gaps.sum() > 0:
        gap_shares.append(gaps / gaps.sum())
  scores = special.ndtri([stats.rankdata(x) / (len(x) + 1) for x in (durations, coverages)])
  return (*(_quantiles(x) for x in (durations, coverages, leads, trails)),
          float(np.corrcoef(scores)[0, 1]), _concentration(length_shares),
          _concentration(gap_shares))


def _quantiles(values: list[float]) -> tuple[float, ...]:
  return tuple(np.quantile(values, LEVELS).tolist())


def _concentration(shares: list[np.ndarray]) -> float:
  """The a for which Dirichlet(a) gives the mean of sum(share^2); 1 where every n is below 2.

  E sum(share^2) = (a + 1) / (n a + 1) for n parts; it falls with a.
  """
  shares = [share for share in shares if len(share) > 1]
  if not shares:
    return 1.0
  grid = np.geomspace(0.05, 50.0, 2000)
  sizes, num = np.unique([len(share) for share in shares], return_counts=True)
  expected = ((grid[:, None] + 1) / (sizes * grid[:, None] + 1)) @ (num / num.sum())
  observed = np.mean([np.sum(share ** 2) for share in shares])
  return float(np.interp(-observed, -expected, grid))


# fit_timelines on ActivityNet 1.3, train+val, rounded; test_timelines.py refits it.
ACTIVITYNET = Timelines(
    num_instances=(
        0.7634, 0.1267, 0.046, 0.027, 0.0141, 0.0086, 0.005, 0.0035, 0.0018, 0.0016, 0.0008,
        0.0005, 0.0003, 0, 0.0002, 0.0005),
    duration=(
        (1.1, 9.4, 24.9, 42.7, 62.2, 80.8, 104, 128.1, 154.1, 180.7, 208.5, 233.5, 238.9, 536.8),
        (5, 23.7, 47, 66.7, 88.4, 107, 126.5, 145.2, 167.8, 186.4, 211.9, 234.2, 238.7, 619.3),
        (17, 38.9, 65.8, 89.9, 106.6, 123.6, 143.4, 163.7, 181.9, 199.9, 217.8, 233.6, 238.8, 755),
        (25.4, 53.7, 89.7, 116.5, 133.6, 151.5, 167.4, 180.6, 192.9, 206.7, 220.8, 234.9, 238,
         238.7)),
    coverage=(
        (0, 0.052, 0.256, 0.465, 0.609, 0.712, 0.794, 0.859, 0.91, 0.957, 0.998, 1, 1, 1),
        (0.002, 0.059, 0.15, 0.253, 0.359, 0.46, 0.563, 0.648, 0.713, 0.783, 0.859, 0.931, 0.988,
         0.998),
        (0.033, 0.071, 0.134, 0.204, 0.268, 0.334, 0.406, 0.483, 0.56, 0.64, 0.731, 0.854, 0.93,
         0.962),
        (0.055, 0.117, 0.189, 0.261, 0.322, 0.368, 0.409, 0.475, 0.532, 0.592, 0.681, 0.796, 0.873,
         0.906)),
    lead=(
        (0, 0, 0.008, 0.148, 0.303, 0.418, 0.514, 0.597, 0.685, 0.789, 0.928, 1, 1, 1),
        (0, 0, 0.004, 0.08, 0.16, 0.227, 0.302, 0.365, 0.441, 0.522, 0.633, 0.799, 0.925, 0.952),
        (0, 0, 0.007, 0.072, 0.128, 0.174, 0.219, 0.279, 0.356, 0.426, 0.53, 0.678, 0.777, 0.883),
        (0, 0, 0.004, 0.053, 0.087, 0.121, 0.158, 0.196, 0.241, 0.291, 0.378, 0.519, 0.666,
         0.673)),
    trail=(
        (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
        (0, 0, 0.064, 0.215, 0.335, 0.429, 0.52, 0.614, 0.692, 0.774, 0.862, 0.957, 0.995, 1),
        (0, 0, 0.058, 0.134, 0.203, 0.27, 0.339, 0.407, 0.477, 0.564, 0.669, 0.817, 0.93, 0.938),
        (0, 0.001, 0.043, 0.09, 0.131, 0.162, 0.203, 0.248, 0.302, 0.382, 0.484, 0.68, 0.763,
         0.842)),
    correlation=(-0.083, 0.020, -0.010, 0.078),
    length_concentration=(1.000, 1.643, 1.516, 1.517),
    gap_concentration=(1.000, 1.000, 2.068, 1.711),
)
