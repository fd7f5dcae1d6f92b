"""experiments.evaluate on files: numbers, every fault of the user, and the exit codes of cli."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments import evaluate
from tal_jax.data.predictions import read_predictions, reindex, write_predictions
from tal_jax.data.types import DataError
from tal_jax.metrics.average_precision import Predictions

ROOT = str(pathlib.Path(__file__).resolve().parents[2])

TRUTH = {"database": {
    "a": {"subset": "val", "duration": 60.0,
          "annotations": [{"segment": [0, 10], "label": "run"},
                          {"segment": [20, 30], "label": "jump"}]},
    "b": {"subset": "train", "duration": 60.0,
          "annotations": [{"segment": [0, 10], "label": "swim"}]},
    "c": {"subset": "test", "duration": 60.0, "annotations": []}}}


def entry(label="run", score=0.5, segment=(0, 10)):
  return {"label": label, "score": score, "segment": list(segment)}


@pytest.fixture
def files(tmp_path):
  """Writes both files and gives their paths; `results` may be JSON text."""
  def write(results, truth=TRUTH):
    truth_path, path = tmp_path / "truth.json", tmp_path / "predictions.json"
    truth_path.write_text(json.dumps(truth))
    path.write_text(results if isinstance(results, str) else json.dumps({"results": results}))
    return str(truth_path), str(path)
  return write


def test_numbers(files):
  results = {"a": [entry(), entry("jump", 0.9, (20, 26)), entry("swim")],
             "b": [entry("run", 0.9)]}
  result = evaluate.run(*files(results), "val", [0.5, 0.75])
  # run: a false positive of video b before the hit, AP 1/2; jump: tIoU 0.6.
  assert result == {"tiou": [0.5, 0.75], "mAP": [0.75, 0.25], "average_mAP": 0.5,
                    "num_predictions": 4, "num_ignored": 1, "num_outside_subset": 1,
                    "num_videos": 1, "num_truths": 2, "num_classes": 2, "subset": "val"}
  text = evaluate.table(result)
  assert "average   0.5000" in text and "1 predictions ignored" in text and "outside" in text


def test_default_thresholds_and_no_predictions(files):
  result = evaluate.run(*files({"a": []}), "val")
  assert result["tiou"] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
  assert result["average_mAP"] == 0 and result["num_predictions"] == 0


def test_official_files(data_dir):
  official = json.loads((data_dir / "evaluator/thumos14_predictions.official.json").read_text())
  result = evaluate.run(str(data_dir / "thumos14/thumos14_v2.json"),
                        str(data_dir / "evaluator/thumos14_predictions.json"), "test")
  np.testing.assert_allclose(result["mAP"], official["0.5:0.95"]["mAP"], rtol=0, atol=1e-9)
  assert result["tiou"] == official["0.5:0.95"]["tiou"]


@pytest.mark.parametrize(("results", "message"), [
    ('{"results": ', "is not JSON.*complete"),
    ("[1]", "no 'results' object"),
    (json.dumps(TRUTH), "is it the ground truth"),
    ({"a": entry()}, r"results\['a'\] is not a list"),
    ({"a": {}}, r"results\['a'\] is not a list"),
    ({"a": [entry(), 3]}, r"results\['a'\]\[1\] is not an object but 3"),
    ({"a": [{"label": "run", "segment": [0, 1]}]}, r"results\['a'\]\[0\] has no 'score'"),
    ({"a": [entry(label=3)]}, "label must be the text of a class name, not 3"),
    ({"a": [entry(score="0.5")]}, 'score must be a finite number, not "0.5"'),
    ({"a": [entry(score=True)]}, "score must be a finite number, not true"),
    ({"a": [entry(score=None)]}, "score must be a finite number, not null"),
    ({"a": [entry(score=float("nan"))]}, "score must be a finite number, not NaN"),
    ({"a": [entry(score=float("inf"))]}, "score must be a finite number, not Infinity"),
    ({"a": [entry(score=10**400)]}, "score must be a finite number, not 1000"),
    ({"a": [entry(segment=(0, 1, 2))]}, r"segment must be .* not \[0, 1, 2\]"),
    ({"a": [entry(), entry(segment=(0,))]}, r"results\['a'\]\[1\]: segment must be"),
    ({"a": [entry(segment=("0", "1"))]}, "segment must be"),
    ({"a": [entry(segment=(0, float("nan")))]}, "segment must be"),
    ({"a": [{"label": "run", "score": 1, "segment": "01"}]}, "segment must be"),
    ('{"results": {"a": [], "a": []}}', "repeated key.*'a'"),
    ({"v_a": [entry()]}, "none of its 1 video ids.*'v_a'.*prefix 'v_'"),
    ({"x": [entry()]}, "none of its 1 video ids"),
    ({"a": [entry(label="Run")]}, "none of its 1 labels.*'Run'"),
])
def test_faulty_predictions(files, results, message):
  with pytest.raises(DataError, match=message) as fault:
    evaluate.run(*files(results), "val")
  assert "predictions.json" in str(fault.value)


def test_faulty_files_and_subsets(files, tmp_path):
  truth, predictions = files({"a": [entry()]})
  with pytest.raises(DataError, match="'test', 'train', 'val'"):
    evaluate.run(truth, predictions, "validation")
  with pytest.raises(DataError, match="no video of the subset 'test' has an annotation"):
    evaluate.run(truth, predictions, "test")
  with pytest.raises(DataError, match="cannot read .*none.json"):
    evaluate.run(truth, str(tmp_path / "none.json"), "val")
  with pytest.raises(DataError, match="cannot read"):
    evaluate.run(truth, str(tmp_path), "val")
  (tmp_path / "latin.json").write_bytes(b'{"results": "\xe9"}')
  with pytest.raises(DataError, match="UTF-8"):
    evaluate.run(truth, str(tmp_path / "latin.json"), "val")


@pytest.mark.parametrize(("texts", "message"), [
    (["0.5", "x"], "'x' is not a number"), (["0"], "not in"), (["1.5"], "not in"),
    (["nan"], "not in"), ([], "empty"), (["0.5", "0.50"], "twice")])
def test_faulty_thresholds(texts, message):
  with pytest.raises(DataError, match=message):
    evaluate.parse_tious(texts)


def test_predictions_survive_the_file_exactly(tmp_path):
  rng = np.random.default_rng(0)
  video = np.sort(rng.integers(0, 3, 50))
  written = Predictions(video, rng.integers(0, 2, 50), rng.uniform(0, 99, (50, 2)),
                        rng.random(50, np.float32).astype(np.float64))
  path = tmp_path / "predictions.json"
  ids, classes = ["a", "b", 'quote " \u00e9', "empty"], ["run", "jump"]
  write_predictions(path, written, ids, classes)
  file = read_predictions(path)
  assert list(file.video_ids) == ids
  for given, read in zip(written, reindex(file, ids, classes), strict=True):
    np.testing.assert_array_equal(given, read)
  assert json.loads(path.read_text()).keys() == {"version", "results", "external_data"}
  assert list(tmp_path.iterdir()) == [path]
  np.testing.assert_array_equal(reindex(file, ["b"], ["run"]).video, np.where(video == 1, 0, -1))
  with pytest.raises(ValueError, match="not finite"):
    write_predictions(path, written._replace(scores=written.scores * np.nan), ids, classes)


def run_command(*args):
  return subprocess.run([sys.executable, *args], cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT},
                        capture_output=True, text=True, check=False)


def test_command(files, tmp_path):
  truth, predictions = files({"a": [entry()]})
  flags = ["-m", "experiments.evaluate", f"--ground_truth={truth}", "--subset=val"]
  output = tmp_path / "result.json"
  done = run_command(*flags, f"--predictions={predictions}", "--tiou=0.5,0.75",
                     f"--output={output}")
  assert (done.returncode, done.stderr) == (0, "")
  assert "average   0.5000" in done.stdout
  result = json.loads(output.read_text())
  assert (result["tiou"], result["mAP"], result["average_mAP"], result["num_predictions"]) == (
      [0.5, 0.75], [0.5, 0.5], 0.5, 1)

  for extra, message in [
      (["--predictions=none.json"], "cannot read none.json"),
      ([f"--predictions={predictions}", "--tiuo=0.5"], "Did you mean: tiou"),
      ([f"--predictions={predictions}", "0.5"], "unexpected argument '0.5'"),
      ([f"--predictions={predictions}", f"--output={tmp_path}/no/r.json"], "No such file")]:
    done = run_command(*flags, *extra)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 3


def test_faults_of_a_config(tmp_path):
  binary, config = tmp_path / "binary.py", tmp_path / "config.py"
  binary.write_text("from ml_collections import config_flags\nfrom experiments import cli\n"
                    "_CONFIG = config_flags.DEFINE_config_file('config')\n"
                    "cli.run_main(lambda: print(1 / _CONFIG.value.seeds))\n")
  config.write_text("import ml_collections\ndef get_config(variant=''):\n"
                    "  if variant: raise ValueError(f'no variant {variant}')\n"
                    "  return ml_collections.ConfigDict({'seeds': 5})\n")
  for args, code, message in [
      ([f"--config={config}:x"], 2, "no variant x"),
      ([f"--config={config}", "--config.seed=1"], 2, "no such field: 'seed'"),
      ([f"--config={config}", "--config.seeds=one"], 2, "invalid literal"),
      ([f"--config={tmp_path}/none.py"], 2, "none.py"),
      ([f"--config={config}", "--config.seeds=0"], 1, "ZeroDivisionError")]:  # a bug, not a fault
    done = run_command(str(binary), *args)
    assert done.returncode == code, done.stderr
    assert message in done.stderr and ("Traceback" in done.stderr) == (code == 1)
