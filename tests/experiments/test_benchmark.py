"""The benchmark: it runs, its certificates hold, its peers solve the same problems. No timing."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments import benchmark
from experiments.benchmarks import (
  data,
  evaluator,
  official_map,
  retrain,
  startup,
  step,
  svm_peers,
)
from tal_jax.errors import DataError
from tal_jax.metrics.average_precision import DEFAULT_TIOUS, detection_map

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def problem():
  return data.problem(data.pools(num_rows=500, dim=16, num_candidates=4))


def test_small_size(tmp_path):
  output = tmp_path / "benchmark.json"
  done = subprocess.run(
      [sys.executable, "-m", "experiments.benchmark", f"--output={output}"], cwd=ROOT,
      env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert "Traceback" not in done.stderr and "leaked" not in done.stderr
  result = json.loads(output.read_text())
  assert result["size"] == "small" and "jax" in result["versions"]
  assert result["device"]["count"] >= 1 and result["host"]["cores"] >= 1
  rows = result["rows"]
  assert [row["item"] for row in rows] == ["retrain"] * 2 + ["lal", "step"] + [
      "evaluator"] * 2
  for row in rows:
    assert row["unit"] in ("s", "retrains/s") and row["peak_mib"] > 0
    for values in (row["ours"], *row["peers"]):
      assert 0 < values["min"] <= values["median"] <= values["max"] and values["repeats"] >= 1
    assert row["peers"] and all(peer["ratio"] > 0 for peer in row["peers"])
    assert row["case"] in done.stdout
  for row in rows[:2]:
    details = row["details"]
    assert details["certified"] and details["largest_relative_duality_gap"] <= details["tol"]
    # Both objectives are within their certificates of the optimum.
    assert row["peers"][0]["our_largest_relative_excess"] <= details["tol"]
    assert details["matrix_flops_per_second"]["highest"] > 0
  assert rows[2]["details"]["all_finite"]
  assert rows[3]["details"]["certified"]
  assert rows[3]["peers"][0]["our_relative_excess"] <= rows[3]["details"]["tol"]
  assert rows[4]["peers"][0]["largest_difference"] <= 1e-9
  assert rows[5]["details"]["average_mAP"] == pytest.approx(rows[4]["details"]["average_mAP"],
                                                            abs=1e-9)
  assert not benchmark.uncertified(rows)


def test_a_broken_certificate_is_named():
  row = {"item": "retrain", "case": "c", "details": {"certified": False}}
  assert benchmark.uncertified([row, {**row, "details": {}}]) == ["retrain: c"]


def test_what_the_user_may_get_wrong():
  for size, items, message in [("big", ("retrain",), "there are small, full"),
                               ("small", ("svm",), "'svm'"), ("small", (), "empty")]:
    with pytest.raises(DataError, match=message):
      benchmark.run(size, items)


def test_a_missing_folder_is_named_before_anything_is_measured(tmp_path):
  with pytest.raises(DataError, match="--output: there is no folder"):
    benchmark.run("full", output=tmp_path / "missing" / "benchmark.json")


def test_what_has_been_measured_is_kept(tmp_path, monkeypatch):
  class Broken:
    """A second case that fails."""

    def cases(self, size):
      return [{"number": 1}, {"number": 2}]

  class Executor:
    def __init__(self, *args, **kwargs):
      pass

    def __enter__(self):
      return self

    def __exit__(self, *args):
      pass

    def submit(self, function, *args):
      done = concurrent.futures.Future()
      done.set_result({"platform": "none"} if not args else self.rows(args[1]["number"]))
      return done

    def rows(self, number):
      if number == 2:
        raise OSError("no memory")
      values = {"min": 1.0, "median": 1.0, "max": 1.0, "repeats": 1}
      return [{"case": "first", "unit": "s", "ours": values, "peers": [], "peak_mib": 1.0,
               "details": {}}]

  monkeypatch.setattr(benchmark.importlib, "import_module", lambda name: Broken())
  monkeypatch.setattr(benchmark.concurrent.futures, "ProcessPoolExecutor", Executor)
  output = tmp_path / "benchmark.json"
  with pytest.raises(OSError, match="no memory"):
    benchmark.run("small", ["step"], output)
  assert [row["case"] for row in json.loads(output.read_text())["rows"]] == ["first"]


@pytest.mark.parametrize("size", benchmark.SIZES)
def test_every_size_has_cases_of_the_same_fields(size):
  for module in (retrain, evaluator, startup, step):
    assert {frozenset(case) for case in module.cases(size)} == {
        frozenset(case) for case in module.cases("full")}


def test_the_data_are_seeded_and_not_trivial(problem):
  again = data.problem(data.pools(num_rows=500, dim=16, num_candidates=4))
  np.testing.assert_array_equal(problem.x, again.x)
  assert problem.x.shape == (500, 16) and problem.extra_x.shape == (4, 50, 16)
  assert 0.02 < (problem.y > 0).mean() < 0.5
  unit = data.problem(data.pools(num_rows=500, dim=16, num_candidates=4, normalize="l2"))
  np.testing.assert_allclose(np.linalg.norm(unit.x, axis=1), 1, rtol=1e-5)
  with pytest.raises(ValueError, match="multiple of 50"):
    data.pools(num_rows=501, dim=16, num_candidates=4)


def test_two_classes_have_a_solution_that_is_not_zero():
  problem = data.two_classes(num_rows=500, dim=16, num_candidates=4)
  again = data.two_classes(num_rows=500, dim=16, num_candidates=4)
  np.testing.assert_array_equal(problem.extra_x, again.extra_x)
  assert problem.extra_x.shape == (4, 50, 16) and problem.extra_y.shape == (4, 50)
  assert 0.4 < (problem.y > 0).mean() < 0.6
  np.testing.assert_allclose(np.linalg.norm(problem.x, axis=1), 1, rtol=1e-5)
  fit = svm_peers.linear_svc(problem.x, problem.y, problem.extra_x[0], problem.extra_y[0], 1.0,
                             "hinge", 1000)
  assert np.linalg.norm(fit.w) > 1


def test_objective_by_hand():
  # Decisions 2.5 and -1.5: no violation at labels (1, -1), 3.5 and 2.5 at their opposites.
  x, y = np.array([[1.0], [-1.0]]), np.array([1.0, -1.0])
  assert svm_peers.objective([2.0], 0.5, x, y, 3.0, "hinge") == pytest.approx(2.125)
  assert svm_peers.objective([2.0], 0.5, x, -y, 3.0, "hinge") == pytest.approx(2.125 + 3 * 6)
  assert svm_peers.objective([2.0], 0.5, x, -y, 3.0, "squared_hinge") == pytest.approx(
      2.125 + 3 * (3.5**2 + 2.5**2))


def test_peers_reach_the_same_optimum(problem):
  w, b = svm_peers.vmapped_lbfgs(problem.x, problem.y, problem.extra_x[:2], problem.extra_y[:2],
                                 0.01, num_steps=60)
  for i in range(2):
    fit = svm_peers.linear_svc(problem.x, problem.y, problem.extra_x[i], problem.extra_y[i], 0.01,
                               "squared_hinge")
    x, y = svm_peers.enlarged(problem, i)
    assert svm_peers.objective(w[i], b[i], x, y, 0.01, "squared_hinge") == pytest.approx(
        svm_peers.objective(fit.w, fit.b, x, y, 0.01, "squared_hinge"), rel=1e-3)


def test_the_plain_metric_is_the_metric():
  truth, predictions = evaluator.made_up(12, 30, 4)
  plain = official_map.mean_average_precision(truth, predictions, DEFAULT_TIOUS)
  assert plain.max() > 0.01
  np.testing.assert_allclose(plain, detection_map(truth, predictions).mean_ap, atol=1e-12)
