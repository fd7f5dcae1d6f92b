"""Learning-curve measures against hand values and SciPy."""

import json

import numpy as np
import pytest
from scipy import stats

from tal_jax.metrics import learning_curve as lc

X = [0.1, 0.2, 0.5, 1.0]
Y = [0.2, 0.6, 0.9, 1.0]


def test_aulc_hand_values():
  area = 0.1 * 0.4 + 0.3 * 0.75 + 0.5 * 0.95
  assert lc.aulc_unnormalized(X, Y) == pytest.approx(area)
  assert lc.aulc(X, Y) == pytest.approx(area / 0.9)
  assert lc.aulc(X, [0.7] * 4) == pytest.approx(0.7)
  assert lc.aulc([0.1], [0.3]) == 0.3 and lc.aulc_unnormalized([0.1], [0.3]) == 0


@pytest.mark.parametrize(("x", "y", "message"), [
    ([], [], "needs points"), ([0.1, 0.2], [1.0], "needs points"),
    ([0.2, 0.2], [0.1, 0.2], "ascend"), ([0.1, 0.2], [0.1, np.nan], "not finite")])
def test_faulty_curves(x, y, message):
  with pytest.raises(ValueError, match=message):
    lc.aulc(x, y)


def test_label_fraction_hand_values():
  assert lc.label_fraction_at(X, Y) == pytest.approx(0.2 + 0.3 * 2 / 3)
  assert lc.label_fraction_at(X, Y, level=0.6) == pytest.approx(0.2)
  assert lc.label_fraction_at(X, Y, level=0.1) == 0.1
  assert lc.label_fraction_at(X[:2], Y[:2]) is None
  # A dip after the first crossing does not count.
  assert lc.label_fraction_at([0, 0.5, 0.6, 1], [0, 1, 0.5, 1]) == pytest.approx(0.4)


def test_mean_ci95():
  values = [0.5, 0.6, 0.7]
  summary = lc.mean_ci95(values)
  low, high = stats.t.interval(0.95, 2, loc=0.6, scale=stats.sem(values))
  assert summary.mean == pytest.approx(0.6)
  assert summary.ci95 == pytest.approx((high - low) / 2)
  assert lc.mean_ci95([0.5]) == (0.5, None, (0.5,))
  assert lc.mean_ci95([0.5, None]) == (None, None, (0.5, None))
  json.dumps(lc.mean_ci95(np.float32([0.5, 0.2]))._asdict(), allow_nan=False)


def test_holm_hand_values():
  assert lc.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
  assert lc.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
  assert lc.holm([]) == []


def test_wilcoxon_holm():
  rng = np.random.default_rng(0)
  base = rng.random(8)
  tests = lc.wilcoxon_holm({"random": base, "same": base, "lal": base + rng.uniform(1, 2, 8)})
  assert [(t.a, t.b) for t in tests] == [("random", "same"), ("random", "lal"), ("same", "lal")]
  assert [t.p_value for t in tests] == pytest.approx([1, 2 / 2**8, 2 / 2**8])  # all of one sign
  assert [t.p_holm for t in tests] == pytest.approx([1, 6 / 2**8, 6 / 2**8])
  assert tests[0].mean_difference == 0 and tests[1].mean_difference < -1
  with pytest.raises(ValueError, match="same seeds"):
    lc.wilcoxon_holm({"a": [1, 2], "b": [1]})


def test_share_of_gap():
  result = lc.share_of_gap([0.5, 0.5, 0.5], [0.6, 0.5, 0.6], [0.7, 0.9, 0.5])
  assert result.share == pytest.approx(0.2 / 0.6)
  assert result.per_seed == (pytest.approx(0.5), 0.0, None)
  assert lc.share_of_gap([0.5], [0.6], [0.5]) == (None, (None,))
  with pytest.raises(ValueError, match="same seeds"):
    lc.share_of_gap([0.5], [0.6, 0.7], [0.5])


def test_penalty_matrix():
  steps = np.linspace(0, 1, 4)
  noise = np.random.default_rng(0).normal(size=(5, 4)) * 0.01
  curves = {"worse": steps + 0 * noise, "better": steps + noise + [0, 0, 1, 1],
            "equal": steps + 0 * noise}
  p = lc.penalty_matrix(curves)
  assert p.shape == (3, 3) and not p.diagonal().any()
  assert p[0, 2] == p[2, 0] == 0
  expected = [stats.ttest_1samp(noise[:, t] + (t > 1), 0).pvalue < 0.05 for t in range(4)]
  assert p[1, 0] + p[0, 1] == pytest.approx(np.mean(expected)) and p[1, 0] >= 0.5
  with pytest.raises(ValueError, match="two seeds"):
    lc.penalty_matrix({"a": [[1, 2]], "b": [[1, 2]]})
