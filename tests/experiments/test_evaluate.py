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
from tal_jax.errors import DataError
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
    ({"a": [entry(segment=("0", "1,5"))]}, r'segment must be .* not \["0", "1,5"\]'),
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


@pytest.mark.parametrize("results, hint", [
    ({"A.mp4": [entry()]}, "did you mean 'a'"),
    ({"a": [entry(label=" RUN")]}, "did you mean 'run'")])
def test_names_that_all_differ_are_named(files, results, hint):
  with pytest.raises(DataError, match=hint):
    evaluate.run(*files(results), "val")


def test_the_prefix_of_the_truth_is_named(files):
  truth = {"database": {"v_a": TRUTH["database"]["a"]}}
  with pytest.raises(DataError, match="Add the prefix 'v_' to the predictions' ids"):
    evaluate.run(*files({"a": [entry()]}, truth), "val")


def test_notes_name_what_does_not_match(files):
  """Both directions; the numbers are those of the letter."""
  truth = {"database": TRUTH["database"] | {
      "v_d": {"subset": "val", "duration": 9, "annotations": [{"segment": [0, 5], "label": "run"}]},
      "e": {"subset": "val", "duration": 9,
            "annotations": [{"segment": [0, 5], "label": "caf\u00e9"}]}}}
  results = {"a": [entry(), entry("Jump", 0.8, (20, 30)), entry("jump ", 0.7, (20, 30))],
             "d.mp4": [entry("run", 0.4, (0, 5))], "b": [entry("run", 0.1)],
             "e": [entry("cafe\u0301", 0.9, (0, 5))]}
  found = evaluate.examine(*files(results, truth), "val", [0.5])
  assert found.result["mAP"] == [pytest.approx(0.5 / 3)]
  ignored, outside, videos, classes = found.notes
  assert ignored.startswith("3 predictions ignored: ") and "composed" in ignored
  assert "labels 'Jump', 'jump ', 'cafe\u0301'; did you mean 'jump', 'caf\u00e9'" in ignored
  assert outside.startswith("2 predictions of videos outside")
  assert "1 of them of the subset 'train'" in outside
  assert outside.endswith("'d.mp4'; did you mean 'v_d'?")
  assert videos == "1 of 3 videos have truths and no prediction: 'v_d'; did you mean 'd.mp4'?"
  assert classes.startswith("2 of 3 classes have no prediction: 'caf\u00e9', 'jump'")
  assert all(f"note: {note}" in evaluate.table(*found) for note in found.notes)


def ambiguous(**fields):
  """Times: a hit at 0, an ambiguous segment at 40."""
  return {"database": {"a": {"subset": "test", "duration": 60, "annotations": [
      {"segment": [0, 10], "label": "run"},
      {"segment": [40, 50], "label": "Ambiguous", **fields}]}}}


def test_ambiguous_segments_count_neither_way(files):
  """As TH14eventdetpr: a prediction that touches one is left out, unless it is a hit."""
  results = {"a": [entry("run", 0.9, (49, 55)), entry("run", 0.8, (0, 10)),
                   entry("run", 0.7, (50, 60))]}
  paths = files(results, ambiguous())
  found = evaluate.examine(*paths, "test", [0.5])
  assert found.result["mAP"] == [1.0] and found.result["num_classes"] == 1
  assert "1 predictions overlap segments that count neither way (Ambiguous)" in found.notes[-1]
  counted = evaluate.examine(*paths, "test", [0.5], ignore=[])
  assert counted.result["mAP"] == [0.25]  # run has a false positive first, Ambiguous no hit
  assert any("'Ambiguous' has 1 instance" in note and "--ignore=Ambiguous" in note
             for note in counted.notes)
  assert evaluate.run(*paths, "test", [0.5], ignore=[], no_class=["Ambiguous"])["mAP"] == [0.5]


def test_a_class_that_is_predicted_stays_a_class(files):
  results = {"a": [entry("run", 0.8, (0, 10)), entry("Ambiguous", 0.9, (40, 50))]}
  assert evaluate.run(*files(results, ambiguous()), "test", [0.5])["num_classes"] == 2


def test_marked_truths_are_named_and_can_be_ignored(files):
  truth = ambiguous(difficult=1)
  truth["database"]["a"]["annotations"][1]["label"] = "run"
  results = {"a": [entry("run", 0.9, (41, 43)), entry("run", 0.8, (0, 10))]}
  found = evaluate.examine(*files(results, truth), "test", [0.5])
  assert found.result["mAP"] == [0.25] and "the field 'difficult'" in found.notes[-1]
  assert evaluate.run(*files(results, truth), "test", [0.5], ignore=["difficult"])["mAP"] == [1.0]


def test_neither_durations_nor_numbers_as_numbers_are_needed(files):
  truth = {"database": {"a": {"subset": "val", "annotations": [
      {"segment": ["0.5", "1e1"], "label": "run"}]}}}
  results = {"a": [entry(segment=(" 0.5", "10.0"))]}
  assert evaluate.run(*files(results, truth), "val", [0.99])["mAP"] == [1.0]


def test_faults_of_other_subsets_do_not_stop(files):
  truth = {"database": TRUTH["database"] | {
      "x": {"subset": "train", "annotations": {}},
      "y": {"subset": "train", "duration": 1, "annotations": [{"segment": [0], "label": "run"}]}}}
  paths = files({"a": [entry()]}, truth)
  found = evaluate.examine(*paths, "val", [0.5])
  assert found.result["mAP"] == [0.5]
  assert any(note.startswith("2 fault(s) of videos of other subsets") for note in found.notes)
  with pytest.raises(DataError, match=r"(?s)2 fault\(s\).*y: annotations\[0\].*but \[0\]"):
    evaluate.run(*paths, "train", [0.5])


def test_epic_needs_no_durations_and_names_its_own_options(files, tmp_path):
  truth = tmp_path / "EPIC_100_validation.csv"
  truth.write_text("video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
                   "P1,00:00:00,00:00:10,3,7\n")
  _, predictions = files({"P1": [entry("noun 7")]})
  assert evaluate.run(str(truth), predictions, "validation", [0.5], label="noun")["mAP"] == [1.0]
  ssn = tmp_path / "val.txt"
  ssn.write_text("# 1\na\n1\n1\n1\n1 0.1 0.2\n0\n")
  for path, message in ((ssn, "Give --video_info, a csv"),
                        (tmp_path / "t.txt", "Name one with --ground_truth_format")):
    if not path.exists():
      path.write_text("what is this?")
    with pytest.raises(DataError, match=message) as fault:
      evaluate.run(str(path), predictions, "validation")
    assert "data." not in str(fault.value).replace(str(tmp_path), "")


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
  binary.write_text("from ml_collections import config_flags\nfrom tal_jax.runs import cli\n"
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
