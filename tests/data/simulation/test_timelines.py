"""Simulated timelines against the real ones of ActivityNet 1.3."""

import numpy as np
import pytest
from scipy import stats

from tal_jax.data.annotations import read_annotations
from tal_jax.data.records import Annotations
from tal_jax.data.simulation import timelines
from tal_jax.errors import DataError


@pytest.fixture(scope="module")
def real(data_dir):
  path = data_dir / "activitynet" / "activity_net.v1-3.json"
  if not path.is_file():
    pytest.skip(f"ActivityNet annotations not found at {path}")
  return read_annotations(path)


@pytest.fixture(scope="module")
def drawn():
  rng = np.random.default_rng(0)
  return [timelines.draw_timeline(rng, timelines.ACTIVITYNET) for _ in range(10_000)]


def _statistics(videos):
  """Slow loop: what describes the joint structure, one list a quantity."""
  out = {name: [] for name in ("duration", "number", "coverage", "lead", "trail", "length", "gap")}
  for duration, segments in videos:
    segments = np.clip(segments, 0, duration)
    segments = segments[segments[:, 1] > segments[:, 0]]
    if not len(segments):
      continue
    segments = segments[np.argsort(segments[:, 0], kind="stable")]
    lengths = segments[:, 1] - segments[:, 0]
    out["duration"].append(duration)
    out["number"].append(len(segments))
    out["coverage"].append(min(lengths.sum() / duration, 1.0))
    out["lead"].append(segments[0, 0] / duration)
    out["trail"].append(1 - segments[:, 1].max() / duration)
    out["length"].extend(lengths)
    out["gap"].extend(np.maximum(segments[1:, 0] - segments[:-1, 1], 0))
  return {name: np.asarray(values, float) for name, values in out.items()}


def test_quantiles_agree_with_activitynet(real, drawn):
  truth = _statistics((v.duration, v.segments) for v in real.videos.values())
  ours = _statistics(drawn)
  # lead and trail have a lump at 0 whose place (0 or 0.001) dominates the KS distance.
  limits = {"duration": 0.03, "number": 0.03, "coverage": 0.06, "lead": 0.1, "trail": 0.1,
            "length": 0.05, "gap": 0.07}
  for name, limit in limits.items():
    assert stats.ks_2samp(truth[name], ours[name]).statistic < limit, name
  levels = np.linspace(0.05, 0.95, 19)
  for name, tolerance in {"duration": 4.0, "coverage": 0.03, "lead": 0.03, "trail": 0.04,
                          "length": 6.0}.items():
    np.testing.assert_allclose(np.quantile(ours[name], levels), np.quantile(truth[name], levels),
                               atol=tolerance, err_msg=name)


def test_number_coverage_and_duration_hang_together_as_in_activitynet(real, drawn):
  truth = _statistics((v.duration, v.segments) for v in real.videos.values())
  ours = _statistics(drawn)
  for a, b in (("number", "coverage"), ("number", "duration"), ("duration", "coverage")):
    expected = stats.spearmanr(truth[a], truth[b]).statistic
    assert abs(stats.spearmanr(ours[a], ours[b]).statistic - expected) < 0.06, (a, b)
  for n in (1, 2, 3):
    medians = [np.median(x["coverage"][x["number"] == n]) for x in (truth, ours)]
    assert abs(medians[0] - medians[1]) < 0.08, n


def test_committed_numbers_are_the_refit(real):
  refit = timelines.fit_timelines(real)
  for name, committed, fitted in zip(refit._fields, timelines.ACTIVITYNET, refit, strict=True):
    tolerance = 0.051 if name == "duration" else 6e-4
    np.testing.assert_allclose(committed, fitted, atol=tolerance, err_msg=name)


def test_what_the_docstring_says_the_model_leaves_out(real):
  several = overlapping = two_classes = videos = 0
  for video in real.videos.values():
    segments = video.segments[video.segments[:, 1] > video.segments[:, 0]]
    segments = segments[np.argsort(segments[:, 0], kind="stable")]
    videos += len(segments) > 0
    several += len(segments) > 1
    latest = np.maximum.accumulate(segments[:, 1])
    overlapping += bool(np.any(latest[:-1] > segments[1:, 0] + 1e-6))
    two_classes += len(segments) > 0 and len(set(video.labels)) > 1
  assert (videos, several, overlapping, two_classes) == (14_940, 3_678, 184, 13)


def test_timelines_are_in_order_inside_and_disjoint(drawn):
  for duration, segments in drawn[:3000]:
    assert duration > 0 and len(segments) >= 1
    assert np.all(segments[:, 1] > segments[:, 0])
    assert np.all(segments >= 0) and np.all(segments <= duration)
    assert np.all(segments[1:, 0] >= segments[:-1, 1] - 1e-9)


def test_fit_refuses_too_few_videos():
  with pytest.raises(DataError, match="at least 10 videos"):
    timelines.fit_timelines(Annotations({}, ()))
