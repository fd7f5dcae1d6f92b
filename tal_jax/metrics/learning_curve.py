"""Learning curves: quality against the number of labels, and comparisons over seeds.

Notation: a curve has points (x, y): x the labelled ratio, number of labelled over all Selection
videos, and y the mAP ratio, mAP over the mAP of training with all labels (the paper, Sec. 4.1).

Everything here may end in a JSON file, which has no NaN: a number that does not exist is None.

Source: the paper, Sec. 4; Ash et al. (2020), BADGE, Sec. 4 for the penalty matrix. The paper does
not say over which range its AULC is taken: both readings are here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Summary(NamedTuple):
  """A quantity over seeds."""

  mean: float | None  # None if a seed has none
  ci95: float | None  # half the width of the 95 % confidence interval of the mean
  per_seed: tuple[float | None, ...]


class PairedTest(NamedTuple):
  """Wilcoxon's signed-rank test of two strategies over the same seeds."""

  a: str
  b: str
  mean_difference: float  # a - b
  p_value: float  # two-sided
  p_holm: float  # corrected for the number of pairs


class GapShare(NamedTuple):
  """How much of the way from random to the oracle a strategy goes; 1 is the oracle's quality."""

  share: float | None  # of the mean gap over seeds; None if that is 0
  per_seed: tuple[float | None, ...]  # None where the seed's gap is 0


def aulc(labeled_ratio: Sequence[float], map_ratio: Sequence[float]) -> float:
  """Area under the curve over its range of x rescaled to [0, 1]: the curve's mean height.

  Args:
    labeled_ratio: [n] strictly ascending. With n = 1 the result is the one height.
    map_ratio: [n].

  Raises:
    ValueError: no point, lengths that differ, x not ascending, or a value that is not finite.
  """
  x, y = _curve(labeled_ratio, map_ratio)
  return float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else float(y[0])


def aulc_unnormalized(labeled_ratio: Sequence[float], map_ratio: Sequence[float]) -> float:
  """Area under the curve from its first x to its last as they stand, e.g. from 0.1 to 1."""
  x, y = _curve(labeled_ratio, map_ratio)
  return float(np.trapezoid(y, x))


def label_fraction_at(labeled_ratio: Sequence[float], map_ratio: Sequence[float],
                      level: float = 0.8) -> float | None:
  """The labelled ratio where the curve first reaches `level`, linear between its points.

  A curve that starts at or above the level gives its first x: it may have been reached before.

  Returns:
    None if the curve stays below.
  """
  x, y = _curve(labeled_ratio, map_ratio)
  reached = np.flatnonzero(y >= level)
  if not len(reached):
    return None
  i = reached[0]
  if i == 0:
    return float(x[0])
  return float(x[i - 1] + (level - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1]))


def mean_ci95(values: Sequence[float | None]) -> Summary:
  """Mean and 95 % confidence interval (Student's t) over seeds.

  One value has no interval. If a seed has no value (a level never reached), neither has the mean:
  over the other seeds it would be too good.
  """
  per_seed = tuple(None if value is None else float(value) for value in values)
  if not per_seed or None in per_seed:
    return Summary(None, None, per_seed)
  n = len(per_seed)
  mean = float(np.mean(per_seed))
  if n == 1:
    return Summary(mean, None, per_seed)
  half = stats.t.ppf(0.975, n - 1) * np.std(per_seed, ddof=1) / math.sqrt(n)
  return Summary(mean, float(half), per_seed)


def wilcoxon_holm(per_strategy: Mapping[str, Sequence[float]]) -> list[PairedTest]:
  """Every pair of strategies compared over paired seeds, with Holm's correction.

  With n seeds no two-sided p-value is below 2^(1 - n): 5 seeds (0.0625) can show nothing at the
  5 % level, however clear the curves look. Seeds without a difference are dropped, as Wilcoxon
  does; if none is left, p = 1.

  Args:
    per_strategy: the measure, e.g. AULC, per seed, in the same order of seeds.

  Returns:
    Pairs in the mapping's order.

  Raises:
    ValueError: strategies with different numbers of seeds.
  """
  values = {name: np.asarray(x, np.float64) for name, x in per_strategy.items()}
  if len({len(x) for x in values.values()}) > 1:
    raise ValueError("paired tests need the same seeds for every strategy")
  pairs = list(itertools.combinations(values, 2))
  differences = [values[a] - values[b] for a, b in pairs]
  p_values = [float(stats.wilcoxon(x).pvalue) if np.any(x) else 1.0 for x in differences]
  return [PairedTest(a, b, float(x.mean()), p, p_holm)
          for (a, b), x, p, p_holm in zip(pairs, differences, p_values, holm(p_values),
                                          strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
  """Holm's step-down correction: the i-th smallest of n p-values times n - i + 1, made monotone."""
  n = len(p_values)
  order = np.argsort(p_values, kind="stable")
  steps = np.asarray(p_values, np.float64)[order] * (n - np.arange(n))
  corrected = np.empty(n)
  corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
  return corrected.tolist()


def share_of_gap(random: Sequence[float], strategy: Sequence[float],
                 oracle: Sequence[float]) -> GapShare:
  """(strategy - random) / (oracle - random), paired over seeds.

  The overall share divides the mean differences. It is not the mean of the seeds' shares, which
  a single seed with a small gap would dominate.

  Args:
    random, strategy, oracle: [seeds] the measure, e.g. AULC, in the same order of seeds.

  Raises:
    ValueError: lengths that differ, or no seed.
  """
  r, s, o = (np.asarray(x, np.float64) for x in (random, strategy, oracle))
  if not len(r) or not len(r) == len(s) == len(o):
    raise ValueError("the share of the gap needs the same seeds, at least one, for all three")

  def ratio(gain, gap):
    return float(gain / gap) if gap != 0 else None

  return GapShare(ratio((s - r).mean(), (o - r).mean()),
                  tuple(ratio(gain, gap) for gain, gap in zip(s - r, o - r, strict=True)))


def penalty_matrix(curves: Mapping[str, Sequence[Sequence[float]]],
                   level: float = 0.05) -> np.ndarray:
  """BADGE's pairwise penalties.

  Entry [i, j] is the share of steps at which strategy i is better than j by a two-sided paired t
  test over seeds. A row's mean says how often a strategy wins, a column's how often it loses.

  Args:
    curves: per strategy [seeds, steps] quality, the same seeds and steps for all; seeds >= 2.
    level: of the test, not corrected for the number of comparisons (as in BADGE).

  Returns:
    [strategies, strategies] in the mapping's order.
  """
  y = np.stack([np.asarray(curve, np.float64) for curve in curves.values()])
  n = y.shape[1]
  if n < 2:
    raise ValueError("a paired t test needs at least two seeds")
  difference = y[:, None] - y[None]  # [i, j, seeds, steps]
  bound = stats.t.ppf(1 - level / 2, n - 1) / math.sqrt(n) * difference.std(axis=2, ddof=1)
  mean = difference.mean(axis=2)
  return ((mean > bound) & (mean > 0)).mean(axis=2)


def _curve(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  if x.ndim != 1 or not len(x) or x.shape != y.shape:
    raise ValueError(f"a curve needs points (x, y), got shapes {x.shape} and {y.shape}")
  if not (np.isfinite(x).all() and np.isfinite(y).all()):
    raise ValueError("a curve has a value that is not finite")
  if (np.diff(x) <= 0).any():
    raise ValueError("a curve's labelled ratio must ascend")
  return x, y
