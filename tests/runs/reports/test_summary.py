"""From rows to summary.json and the table, on curves by hand."""

import json

import numpy as np
import pytest

from tal_jax.runs.reports import summary as lib

X = (0.1, 0.4, 1.0)


def rows(**curves):
  """curves: strategy -> per seed [map_ratio at X]; as a run writes them."""
  return [{"strategy": name, "seed": seed, "step": step, "labeled_ratio": x, "map_ratio": y,
           "map": y / 4, "attention_ap": y / 2}
          for name, seeds in curves.items() for seed, ys in enumerate(seeds)
          for step, (x, y) in enumerate(zip(X, ys, strict=True))]


TWO = rows(random=[(0.2, 0.5, 1.0), (0.4, 0.7, 1.0)], mcle=[(0.2, 0.8, 1.0), (0.4, 0.8, 1.0)])


def test_curves_are_in_order():
  got = lib.curves(TWO)
  assert list(got) == ["random", "mcle"]
  assert [[row["map_ratio"] for row in run] for run in got["random"]] == [
      [0.2, 0.5, 1.0], [0.4, 0.7, 1.0]]


def test_summary_by_hand():
  got = lib.summarise(TWO)
  assert set(got) == {"random", "mcle"} and set(got["mcle"]) == {
      "aulc", "aulc_unnormalized", "label_fraction_at_80"}
  areas = [0.3 * 0.35 + 0.6 * 0.75, 0.3 * 0.55 + 0.6 * 0.85]
  np.testing.assert_allclose(got["random"]["aulc_unnormalized"]["per_seed"], areas)
  np.testing.assert_allclose(got["random"]["aulc"]["per_seed"], np.array(areas) / 0.9)
  np.testing.assert_allclose(got["random"]["aulc"]["mean"], np.mean(areas) / 0.9)
  # Student's t with one degree of freedom: 12.706.
  half = 12.7062 * np.std(areas, ddof=1) / np.sqrt(2) / 0.9
  np.testing.assert_allclose(got["random"]["aulc"]["ci95"], half, rtol=1e-4)
  np.testing.assert_allclose(got["random"]["label_fraction_at_80"]["per_seed"],
                             [0.4 + 0.6 * 0.3 / 0.5, 0.4 + 0.6 * 0.1 / 0.3])
  assert got["mcle"]["label_fraction_at_80"]["per_seed"] == (0.4, 0.4)
  json.dumps(got, allow_nan=False)


def test_never_reached_is_none_not_nan():
  got = lib.summarise(rows(random=[(0.1, 0.2, 0.3)]))
  assert got["random"]["label_fraction_at_80"] == {"mean": None, "ci95": None,
                                                   "per_seed": (None,)}
  assert got["random"]["aulc"]["ci95"] is None
  assert "not reached" in lib.table(rows(random=[(0.1, 0.2, 0.3)]), "made up")


def test_comparisons():
  assert lib.comparisons(rows(random=[(0.2, 0.5, 1.0)])) == {}
  assert set(lib.comparisons(TWO)) == {"wilcoxon_holm"}
  with_oracle = TWO + rows(greedy_oracle=[(0.2, 1.1, 1.0), (0.4, 0.9, 1.0)])
  got = lib.comparisons(with_oracle)
  # Mean gains in the middle point: mcle .3 and .1, oracle .6 and .2.
  for field in ("share_of_gap", "share_of_gap_attention_ap"):
    assert got[field]["mcle"]["share"] == pytest.approx(0.5)
    assert got[field]["mcle"]["per_seed"] == pytest.approx((0.5, 0.5))
    assert got[field]["random"]["share"] == 0 and got[field]["greedy_oracle"]["share"] == 1
  assert len(got["wilcoxon_holm"]) == 3
  json.dumps(got, allow_nan=False)


def test_table():
  text = lib.table(TWO, "Made up.")
  lines = text.splitlines()
  assert lines[1].startswith("random") and lines[2].startswith("mcle")
  assert "+-" in lines[1] and lines[1].endswith("0.2500")  # the final mAP
  assert "2 seeds; mean +- 95 % confidence interval. Made up." in text
  with_oracle = TWO + rows(greedy_oracle=[(0.2, 1.1, 1.0), (0.4, 0.9, 1.0)])
  assert "50%" in lib.table(with_oracle, "") and "random to oracle" in lib.table(with_oracle, "")
  assert "1 seed. " in lib.table(rows(random=[(0.2, 0.5, 1.0)]), "")


def test_no_gap_to_close():
  flat = [(0.2, 0.5, 1.0)]
  text = lib.table(rows(random=flat, greedy_oracle=flat), "")
  assert text.splitlines()[1].endswith("-")
