"""Paired differences of variants from their plain model, by hand values."""

import csv

import pytest

from tal_jax.runs.reports import compare_models_pairs as pairs, compare_models_report

T = {2: 12.7062, 3: 4.30265, 5: 2.77645}  # Student's t at 97.5 %, by the number of pairs


def cell(name, split, model, share, value):
  return {"set": name, "split": split, "model": model, "share": share, "labeled": 3, "map": value,
          "map_at_50": value, "fit_seconds": 1.0, "detect_seconds": 0.5}


ROWS = [
    cell("x", 0, "m", 0.1, 0.5), cell("x", 0, "m:a=1", 0.1, 0.4),
    cell("x", 1, "m", 0.1, 0.25), cell("x", 1, "m:a=1", 0.1, 0.55),
    cell("y", 0, "m", 0.1, 0.125), cell("y", 0, "m:a=1", 0.1, 0.125),
    cell("y", 0, "m", 1.0, 0.5), cell("y", 0, "m:a=1", 1.0, 0.25),
    cell("x", 2, "m:a=1", 0.1, 0.9),  # no plain cell beside it
    cell("x", 0, "other:a=1", 0.1, 0.9), cell("x", 0, "n", 0.1, 0.9)]  # nor here, nor a variant


def test_differences():
  found = {(row["set"], row["model"], row["share"]): row for row in pairs.differences(ROWS)}
  assert set(found) == {("x", "m:a=1", 0.1), ("y", "m:a=1", 0.1), ("all", "m:a=1", 0.1),
                        ("y", "m:a=1", 1.0), ("all", "m:a=1", 1.0)}
  x, y, both = (found[name, "m:a=1", 0.1] for name in ("x", "y", "all"))
  assert x["difference"] == pytest.approx(0.1) and (x["pairs"], x["wins"], x["losses"]) == (2, 1, 1)
  # -.1 and .3: the standard deviation is .4 / sqrt 2, the standard error .2.
  assert x["ci95"] == pytest.approx(T[2] * 0.2, rel=1e-4)
  assert (y["difference"], y["ci95"], y["pairs"], y["wins"], y["losses"]) == (0, None, 1, 0, 0)
  # -.1, .3, 0: mean 1/15, variance ((-1/6)^2 + (7/30)^2 + (-1/15)^2) / 2 = 13/300.
  assert both["difference"] == pytest.approx(1 / 15) and both["pairs"] == 3
  assert both["ci95"] == pytest.approx(T[3] * (13 / 900) ** 0.5, rel=1e-4)
  assert (both["wins"], both["losses"], both["plain"]) == (1, 1, "m")
  assert found["all", "m:a=1", 1.0]["difference"] == -0.25


def test_every_pair_counts_the_same_over_sets():
  rows = [cell(name, split, model, 1.0, value) for name, split, plain, variant in (
      ("x", 0, 0.0, 0.1), ("x", 1, 0.0, 0.1), ("x", 2, 0.0, 0.1), ("x", 3, 0.0, 0.1),
      ("y", 0, 0.5, 0.1)) for model, value in (("m", plain), ("m:a=1", variant))]
  *_, last = pairs.differences(rows)
  assert last["set"] == "all" and last["difference"] == pytest.approx(0.0)
  # .1 four times and -.4: variance (4 * .01 + .16) / 4 = .05.
  assert last["ci95"] == pytest.approx(T[5] * 0.1, rel=1e-4)
  assert (last["wins"], last["losses"]) == (4, 1)


def test_the_table():
  lines = pairs.markdown(ROWS).splitlines()
  assert lines[1].startswith("**Variants, 10% of the labels**")
  assert lines[3] == "| model | x, 2 pairs | y, 1 pair | all, 3 pairs |"
  assert lines[5] == "| `m:a=1` | +0.100 ± 2.541 (1:1) | +0.000 (0:0) | +0.067 ± 0.517 (1:1) |"
  assert lines[7].startswith("**Variants, 100% of the labels**")
  assert lines[9] == "| model | y, 1 pair |"  # a set without a pair has no column
  assert lines[11] == "| `m:a=1` | -0.250 (0:1) |"
  alone = pairs.markdown([row for row in ROWS if row["set"] == "x"]).splitlines()
  assert alone[3] == "| model | x, 2 pairs |"  # one set needs no column for all
  assert pairs.markdown([row for row in ROWS if row["model"] != "m"]) == ""


def test_the_files(tmp_path):
  compare_models_report.write(ROWS, tmp_path)
  with (tmp_path / "differences.csv").open() as file:
    table = list(csv.DictReader(file))
  assert [(row["set"], row["share"], row["wins"]) for row in table] == [
      ("x", "0.1", "1"), ("y", "0.1", "0"), ("y", "1.0", "0"), ("all", "0.1", "1"),
      ("all", "1.0", "0")]
  assert table[1]["ci95"] == "" and float(table[0]["difference"]) == pytest.approx(0.1)
  text = (tmp_path / "models.md").read_text()
  assert text.index("**y**") < text.index("**Variants, 10%") and text.endswith(" |\n")
  compare_models_report.write([row for row in ROWS if ":" not in row["model"]], tmp_path)
  assert not (tmp_path / "differences.csv").exists()  # an earlier run's
  assert "Variants" not in (tmp_path / "models.md").read_text()
