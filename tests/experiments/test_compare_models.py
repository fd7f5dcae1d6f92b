"""experiments.compare_models from end to end, on a made-up data set in a temporary folder."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from configs import compare_models as config_file, real
from experiments import compare_models, evaluate
from tal_jax.data.annotations import from_videos, write_annotations
from tal_jax.data.features import write_features
from tal_jax.data.records import FrameFeatures, Predictions, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.metrics.learning_curve import mean_ci95
from tal_jax.runs import model_variants
from tal_jax.runs.reports import compare_models_report
from tests.killing import Killed, stop_at

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
MODELS, SHARES, SEEDS = ("paper", "frames:linear"), (0.25, 1.0), 2
CELLS = [("toy", split, model, share) for split in range(SEEDS) for model in MODELS
         for share in SHARES]
OUTPUTS = {"cells.jsonl", "config.json", "models.csv", "models.md", "models.png", "predictions"}


def write(folder, *, subjects=10):
  """Two clips of each subject, of 60 rows and two actions; dimension k is high in action k."""
  rng = np.random.default_rng(0)
  videos, features = [], []
  for i in range(2 * subjects):
    starts = np.array([4.0, 18.0]) + rng.uniform(0, 4, 2)
    segments = np.stack([starts, starts + rng.uniform(5, 8, 2)], 1)
    values = 0.3 * rng.normal(size=(60, 4))
    centres = (np.arange(60) + 0.5) / 2
    for label, (start, end) in enumerate(segments):
      values[(centres >= start) & (centres <= end), label] += 2.0
    videos.append(VideoAnnotation(f"v{i}", "training", 30.0, segments, ("a", "b"),
                                  {"subject": i // 2, "fps": 2.0}))
    features.append((f"v{i}", FrameFeatures(values.astype(np.float32), TimeGrid(2.0))))
  (folder / "toy").mkdir(parents=True)
  write_annotations(folder / "toy" / "toy.json", from_videos(videos))
  write_features(folder / "toy" / "features", features)


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  write(folder)
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("TAL_JAX_DATA", str(folder))
    patch.setitem(real.SETS, "toy", ({"fps": 2.0, "stride": 1.0, "window": 1.0},
                                     {"shortest": 4.0, "longest": 10.0, "ratio": 1.4,
                                      "overlap": 0.5}))
    yield folder


def config(**changes):
  made = config_file.get_config("quick")
  made.update_from_flattened_dict({
      "sets": ("toy",), "models": MODELS, "shares": SHARES, "seeds": SEEDS, "encoder": "mean",
      "classifier.max_iters": 20, "svm.c": 0.1, "frames.steps": 50, "frames.width": 8,
      "frames.learning_rate": 0.05} | changes)
  return made


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory):
  folder = tmp_path_factory.mktemp("reference")
  return folder, compare_models.run(config(), folder)


def cells(folder):
  return [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]


def timeless(rows):
  return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def assert_same(folder, reference):
  assert timeless(cells(folder)) == timeless(cells(reference))
  for path in (reference / "predictions").iterdir():
    assert (folder / "predictions" / path.name).read_bytes() == path.read_bytes(), path.name


def test_outputs(reference):
  folder, rows = reference
  assert {path.name for path in folder.iterdir()} == OUTPUTS and rows == cells(folder)
  assert [(r["set"], r["split"], r["model"], r["share"]) for r in rows] == CELLS
  for row in rows:
    assert (row["labeled"], row["videos"]) == (4 if row["share"] == 0.25 else 14, 14)
    assert 0 <= row["map"] <= row["map_at_50"] <= 1 and row["fit_seconds"] > 0
  assert max(row["map_at_50"] for row in rows) > 0.5
  assert rows[2]["info"]["num_steps"] == 50 and rows[0]["info"]["svm_converged"] in (True, False)
  with Image.open(folder / "models.png") as image:
    assert min(image.size) > 300
  assert {path.name for path in (folder / "predictions").iterdir()} == {
      f"toy_{split}_{name}.json" for split in range(SEEDS)
      for name in ("truth", *(f"{model.replace(':', '_')}_{share:g}" for model in MODELS
                              for share in SHARES))}


def test_the_numbers_are_those_of_evaluate(reference):
  folder, rows = reference
  for row in rows:
    stem = folder / "predictions" / f"toy_{row['split']}"
    written = f"{stem}_{row['model'].replace(':', '_')}_{row['share']:g}.json"
    found = evaluate.run(f"{stem}_truth.json", written, "testing")
    assert (found["average_mAP"], found["mAP"][0]) == (row["map"], row["map_at_50"])
    assert found["num_videos"] == 6 and not found["num_outside_subset"]


def test_the_splits_are_by_subject(reference, data):
  """Testing differs between splits, and no subject of Testing is learnt from."""
  people = {}
  for split in range(SEEDS):
    path = reference[0] / "predictions" / f"toy_{split}_truth.json"
    videos = json.loads(path.read_text())["database"]
    people[split] = {int(name[1:]) // 2 for name in videos}
    assert len(videos) == 6 and len(people[split]) == 3
  assert people[0] != people[1]


def test_all_models_of_a_split_have_the_same_labels(tmp_path, monkeypatch):
  """And the smaller share is within the larger one."""
  chosen, init = {}, compare_models.learner.init

  def label(state, pool, indices, annotate):
    chosen[type(state.localizer).__name__, len(indices)] = indices.tolist()
    raise Killed

  monkeypatch.setattr(compare_models.learner, "label", label)
  for model in MODELS:
    for share in (0.01, 0.25, 0.5, 1.0):
      with pytest.raises(Killed):
        compare_models.run(config(models=(model,), shares=(share,)), tmp_path)
  assert {n for _, n in chosen} == {2, 4, 7, 14} and compare_models.learner.init is init
  for n in (2, 4, 7):
    a, b = (chosen[name, n] for name in ("StageWise", "Frames"))
    more = min(m for m in (4, 7, 14) if m > n)
    assert a == b == sorted(a) and set(a) < set(chosen["Frames", more])


def test_the_tables_by_hand(reference):
  folder, rows = reference
  with (folder / "models.csv").open() as file:
    table = list(csv.DictReader(file))
  assert [(r["set"], r["model"], float(r["share"])) for r in table] == [
      ("toy", model, share) for model in MODELS for share in SHARES]
  for got in table:
    mine = [r for r in rows if (r["model"], r["share"]) == (got["model"], float(got["share"]))]
    wanted = mean_ci95([r["map"] for r in mine])
    assert len(mine) == int(got["splits"]) == SEEDS
    np.testing.assert_allclose([float(got["map"]), float(got["map_ci95"])],
                               [wanted.mean, wanted.ci95])
    np.testing.assert_allclose(float(got["map_at_50"]), np.mean([r["map_at_50"] for r in mine]))
    np.testing.assert_allclose(float(got["fit_seconds"]),
                               np.median([r["fit_seconds"] for r in mine]))
  text = (folder / "models.md").read_text()
  assert text.startswith("**toy**, 2 splits") and "| 25% (4 clips) | 100% (14 clips) |" in text
  assert "| `paper` | " in text and "| `frames:linear` | " in text and "nan" not in text


@pytest.mark.parametrize(("owner", "name", "call", "after"), [
    (compare_models, "write_predictions", 3, True),  # predictions without their cell
    (compare_models.json, "dumps", 3, False),
    (compare_models_report, "write", 1, False)])
def test_killed_and_started_again(reference, tmp_path, monkeypatch, owner, name, call, after):
  with monkeypatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, owner, name, call=call, after=after)
    compare_models.run(config(), tmp_path)
  before = len(cells(tmp_path)) if (tmp_path / "cells.jsonl").exists() else 0
  assert before < len(CELLS) or name == "write"
  trained, train = [], compare_models.learner.train
  monkeypatch.setattr(compare_models.learner, "train",
                      lambda *args: trained.append(1) or train(*args))
  compare_models.run(config(), tmp_path)
  assert len(trained) == len(CELLS) - before
  assert_same(tmp_path, reference[0])


def test_a_torn_last_line(reference, tmp_path):
  shutil.copytree(reference[0], tmp_path / "run")
  path = tmp_path / "run" / "cells.jsonl"
  path.write_bytes(path.read_bytes()[:-7])
  rows = compare_models.run(config(), tmp_path / "run")
  assert len(rows) == len(CELLS)
  assert_same(tmp_path / "run", reference[0])


def test_a_damaged_line(reference, tmp_path):
  """What follows it is computed again."""
  shutil.copytree(reference[0], tmp_path / "run")
  path = tmp_path / "run" / "cells.jsonl"
  lines = path.read_text().splitlines()
  path.write_text("\n".join([*lines[:-2], "{}}"[1:], lines[-1], ""]))
  assert len(compare_models.run(config(), tmp_path / "run")) == len(CELLS)
  assert_same(tmp_path / "run", reference[0])


def test_finished_is_finished(reference, tmp_path, monkeypatch):
  """Nothing is loaded or trained; a run of a part of the cells reports that part."""
  shutil.copytree(reference[0], tmp_path / "run")
  monkeypatch.setattr(compare_models, "_load", None)
  (tmp_path / "run" / "models.md").unlink()
  assert compare_models.run(config(), tmp_path / "run") == reference[1]
  rows = compare_models.run(config(models=("paper",), seeds=1), tmp_path / "run")
  assert rows == reference[1][:2] and len(cells(tmp_path / "run")) == len(CELLS)
  text = (tmp_path / "run" / "models.md").read_text()
  assert "1 split:" in text and "frames" not in text and "±" not in text.split("\n", 2)[2]


def test_names_from_a_command_line(reference, tmp_path):
  """ml_collections hands `--config.models=a,b` over as one name."""
  shutil.copytree(reference[0], tmp_path / "run")
  rows = compare_models.run(config(models=("paper, frames:linear",)), tmp_path / "run")
  assert rows == reference[1]


def test_variants_are_compared_with_the_plain_model(reference, tmp_path):
  """A variant has the numbers of a run with those settings; the plain model's cells are reused."""
  shutil.copytree(reference[0], tmp_path / "run")
  name = "paper:classifier.c=0.01,classifier.score=classifier"
  wanted = {"models": ("paper", name), "shares": (1.0,), "seeds": 1}
  rows = compare_models.run(config(**wanted), tmp_path / "run")
  settings = {"classifier.c": 0.01, "classifier.score": "classifier"}
  other = compare_models.run(config(models=("paper",), shares=(1.0,), seeds=1, **settings),
                             tmp_path / "other")
  plain, variant = rows
  assert timeless([variant | {"model": "paper"}]) == timeless(other) and variant["model"] == name
  assert plain == reference[1][1] and len(cells(tmp_path / "run")) == len(CELLS) + 1
  change = variant["map"] - plain["map"]
  with (tmp_path / "run" / "differences.csv").open() as file:
    (got, all_sets) = csv.DictReader(file)
  assert (got["set"], got["model"], got["plain"]) == ("toy", name, "paper")
  assert float(got["difference"]) == change != 0 and (all_sets["set"], all_sets["pairs"]) == (
      "all", "1")
  assert f"| `{name}` | {change:+.3f} (" in (tmp_path / "run" / "models.md").read_text()
  wanted["models"] = ("paper", "paper:classifier.score=classifier,classifier.c=1e-2")
  again = compare_models.run(config(**wanted), tmp_path / "run")
  assert again == rows and len(cells(tmp_path / "run")) == len(CELLS) + 1


def test_more_cells_are_added(reference, tmp_path):
  shutil.copytree(reference[0], tmp_path / "run")
  rows = compare_models.run(config(shares=(0.25, 0.5, 1.0), seeds=1, models=("frames:linear",)),
                            tmp_path / "run")
  assert [row["share"] for row in rows] == [0.25, 0.5, 1.0] and rows[0] == reference[1][2]
  assert len(cells(tmp_path / "run")) == len(CELLS) + 1


def test_another_configuration_is_refused(reference, tmp_path):
  shutil.copytree(reference[0], tmp_path / "run")
  for changes in ({"frames.steps": 100}, {"svm.c": 0.2}, {"top_k": 3}):
    with pytest.raises(DataError, match="holds a run of another configuration") as fault:
      compare_models.run(config(**changes), tmp_path / "run")
    assert next(iter(changes)) in str(fault.value)
  assert_same(tmp_path / "run", reference[0])
  # A folder without results belongs to nobody.
  (tmp_path / "run" / "cells.jsonl").unlink()
  compare_models._read(tmp_path / "run", config(top_k=3))


@pytest.mark.parametrize(("changes", "message"), [
    ({"sets": ("toys",)}, "sets: there is no 'toys' in configs/real.py: hapt"),
    ({"sets": ()}, r"sets = \(\): it must be at least one"),
    ({"models": ()}, r"models = \(\)"), ({"shares": ()}, r"shares = \(\)"),
    ({"shares": (0.0, 0.5)}, r"shares = .*each in \(0, 1\]"), ({"shares": (2.0,)}, "each in"),
    ({"seeds": 0}, "seeds = 0: it must be at least 1"),
    ({"models": ("svm",)}, "model = 'svm'; there are paper"),
    ({"models": ("svm:conv",)}, "model = 'svm'; there are paper"),
    ({"models": ("paper:conv",)}, "models: 'paper:conv': paper has no setting `context`"),
    ({"models": ("auto:conv",)}, "auto has no setting `context`"),
    ({"models": ("frames:lstm",)}, "frames.context = 'lstm': it must be one of linear, conv"),
    ({"models": ("paper", "point"), "point.steps": 20}, "point.steps = 20")])
def test_faults(tmp_path, changes, message):
  """One line each, before anything is written."""
  with pytest.raises(DataError, match=message) as fault:
    compare_models.run(config(**changes), tmp_path / "new")
  assert "\n" not in str(fault.value) and not (tmp_path / "new").exists()


def test_a_data_set_that_is_not_there(tmp_path, monkeypatch):
  monkeypatch.setenv("TAL_JAX_DATA", str(tmp_path))
  with pytest.raises(DataError, match="cannot read .*toy.json"):
    compare_models.run(config(), tmp_path / "new")


def test_a_model_that_finds_nothing(tmp_path, monkeypatch):
  nothing = Predictions(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)), np.zeros(0))
  monkeypatch.setattr(compare_models, "to_predictions", lambda _: nothing)
  row, = compare_models.run(config(models=("frames:linear",), shares=(1.0,), seeds=1), tmp_path)
  assert row["map"] == row["map_at_50"] == 0.0


def test_the_report_of_a_few_rows(tmp_path):
  """Sets with other shares and models; one split has no interval; a model without a style."""
  def row(name, split, model, share, value):
    return {"set": name, "split": split, "model": model, "share": share, "labeled": 3,
            "map": value, "map_at_50": 2 * value, "fit_seconds": 1.0 + split,
            "detect_seconds": 0.5}

  rows = [row("x", 0, "paper", 0.1, 0.125), row("x", 1, "paper", 0.1, 0.375),
          row("y", 0, "new", 1.0, 0.5)]
  first, second = compare_models_report.summarise(rows)
  assert (first["map"], first["splits"], first["fit_seconds"]) == (0.25, 2, 1.5)
  np.testing.assert_allclose(first["map_ci95"], 12.706 * 0.125, rtol=1e-3)
  assert second["map_ci95"] is None and second["map_at_50"] == 1.0
  compare_models_report.write(rows, tmp_path)
  lines = (tmp_path / "models.md").read_text().splitlines()
  assert "| `paper` | 0.250 ± 1.588 (0.50) | - | - |" in lines
  assert "| `new` | - | 0.500 (1.00) | 1.0 |" in lines
  assert {path.name for path in tmp_path.iterdir()} == {"models.csv", "models.md", "models.png"}


def test_the_shipped_configs():
  full, quick, options = (config_file.get_config(variant) for variant in config_file.VARIANTS)
  assert set(full.sets) >= {"hapt", "bedsensor", "jaad", "rats", "myo"} and full.seeds == 5
  for made in (full, quick, options):
    models = [name for name, _ in model_variants.read(made, made.models)]
    assert tuple(models) == made.models
    compare_models._check(made, made.sets, models)
  for variant in ("hapt", "myo"):
    assert real.get_config(variant).data.split.kind == "drawn_subjects"
  for module in (real, config_file):
    with pytest.raises(ValueError, match="has no variant 'x'"):
      module.get_config("x")


def test_the_binary(tmp_path, data):
  """A fault of the user's: exit code 2, plain lines."""
  command = [sys.executable, "-m", "experiments.compare_models",
             "--config=configs/compare_models.py:quick", f"--workdir={tmp_path / 'w'}"]
  for flags, wanted in (
      (["--config.seeds=0"], "seeds = 0"), ([], "bedsensor.json"),
      (["--config.models=paper,stage_wise:voting=0,fold=0"],
       "models: 'stage_wise:voting=0,fold=0': stage_wise has no setting `fold`; did you mean")):
    env = os.environ | {"TAL_JAX_DATA": str(tmp_path / "nowhere")}
    done = subprocess.run([*command, "--config.sets=bedsensor", *flags], cwd=ROOT, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"error: {wanted}" in done.stderr or f"/{wanted}" in done.stderr


@pytest.mark.parametrize(("changes", "message"), [
    ({"sets": ("toy", "toy")}, "sets: 'toy' is given twice"),
    ({"models": ("point", "frames", "point")}, "models: 'point' is given twice"),
    ({"shares": (0.5, 1.0, 0.5)}, "shares: 0.5 is given twice"),
])
def test_nothing_counts_twice(changes, message, monkeypatch, tmp_path):
  monkeypatch.setitem(real.SETS, "toy", real.SETS["hapt"])
  config = config_file.get_config()
  config.update(changes)
  with pytest.raises(DataError, match=message):
    compare_models.run(config, tmp_path)


def test_settings_without_effect_are_unknown():
  config = config_file.get_config()
  for name in ("data", "strategies", "oracle", "batch_size"):
    assert name not in config
