"""experiments.simulate from end to end, on a tiny configuration.

What is compiled is kept in a folder that all runs here share, those in other processes included.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from absl import logging
from jax.experimental.compilation_cache import compilation_cache

from configs import anet, hapt
from experiments import simulate
from tal_jax.checkpoints import Checkpoints
from tal_jax.errors import DataError
from tal_jax.runs.workdir import Workdir
from tests.killing import Killed, stop_at

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
STEPS, STRATEGIES, SEEDS = 4, ("random", "mcle"), 2
# One size of the labelled set, and data seeds (2, 3) that give pools of one shape.
TINY = {"strategies": STRATEGIES, "seeds": SEEDS, "batch_size": 4, "initial_ratio": 0.25,
        "budget_ratio": 1.0, "encoder": "mean", "mcle.results_per_class": 2, "data.seed": 2,
        "data.num_knowledge_videos": 8, "data.num_selection_videos": 16,
        "data.num_testing_videos": 8, "data.num_knowledge_classes": 2,
        "data.num_selection_classes": 3, "data.num_search_per_class": 2, "data.frame_dim": 8,
        "data.num_proposals": 12}
OUTPUTS = {"config.json", "metrics.jsonl", "selections.jsonl", "summary.json", "comparisons.json",
           "learning_curves.png", "predictions.json", "ground_truth.json", "data.json",
           "checkpoints"}


def config(**changes):
  made = anet.get_config("smoke")
  made.update_from_flattened_dict(TINY | changes)
  return made


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory):
  """The environment of other processes; this one keeps what it compiles in the same folder."""
  folder = str(tmp_path_factory.mktemp("compiled"))
  names = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": 0,
           "jax_persistent_cache_min_entry_size_bytes": -1}
  before = {name: getattr(jax.config, name) for name in names}
  for name, value in names.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()
  yield os.environ | {name.upper(): str(value) for name, value in names.items()}
  for name, value in before.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def reference(environment, tmp_path_factory):
  """A run that nothing interrupts."""
  folder = tmp_path_factory.mktemp("reference")
  simulate.run(config(), folder)
  return folder


def command(workdir, *flags, file="configs/anet.py:smoke", overrides=TINY):
  values = [f"--config.{key}={value}" for key, value in overrides.items()]
  return [sys.executable, "-m", "experiments.simulate", f"--config={file}", f"--workdir={workdir}",
          *values, *flags]


def rows(folder):
  return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def content(folder):
  """What must not depend on kills: all rows but their timings, and the summary's bytes."""
  metrics = [{key: value for key, value in row.items() if key != "seconds"}
             for row in rows(folder)]
  return metrics, *[(folder / name).read_bytes() for name in (
      "selections.jsonl", "summary.json", "comparisons.json", "predictions.json",
      "ground_truth.json", "config.json")]


def assert_same(folder, reference):
  for got, wanted in zip(content(folder), content(reference), strict=True):
    assert got == wanted


def test_every_output_is_there(reference):
  assert {path.name for path in reference.iterdir()} == OUTPUTS
  assert (reference / "learning_curves.png").stat().st_size > 10_000
  for row in rows(reference):
    assert set(row) >= {"strategy", "seed", "step", "num_labeled", "labeled_ratio", "map",
                        "map_ratio", "attention_ap", "seconds"}
    assert row["num_labeled"] == 4 * (row["step"] + 1)
    assert row["labeled_ratio"] == row["num_labeled"] / 16 and row["svm_converged"]
    assert 0 <= row["map"] <= 1 and 0 <= row["attention_ap"] <= 1
    np.testing.assert_allclose(row["map_ratio"], row["map"] / row["full_map"])
  assert [(row["seed"], row["strategy"], row["step"]) for row in rows(reference)] == [
      (seed, name, step) for seed in range(SEEDS) for name in STRATEGIES for step in range(STEPS)]
  assert json.loads((reference / "config.json").read_text())["data"]["num_proposals"] == 12


def test_summary(reference):
  summary = json.loads((reference / "summary.json").read_text())
  assert set(summary) == set(STRATEGIES)
  for measures in summary.values():
    assert set(measures) == {"aulc", "aulc_unnormalized", "label_fraction_at_80"}
    for measure in measures.values():
      assert set(measure) == {"mean", "ci95", "per_seed"} and len(measure["per_seed"]) == SEEDS
  heights = [row["map_ratio"] for row in rows(reference)[:STEPS]]
  np.testing.assert_allclose(summary["random"]["aulc"]["per_seed"][0],
                             (heights[0] / 2 + sum(heights[1:-1]) + heights[-1] / 2) / 3)


def test_selections_are_a_partition_of_the_pool(reference):
  chosen = [json.loads(line) for line in (reference / "selections.jsonl").read_text().splitlines()]
  first = {}
  for seed in range(SEEDS):
    for name in STRATEGIES:
      batches = [row["video_ids"] for row in chosen
                 if (row["strategy"], row["seed"]) == (name, seed)]
      assert [len(batch) for batch in batches] == [4] * STEPS
      assert len({video for batch in batches for video in batch}) == 16
      first.setdefault(seed, []).append(batches[0])
  assert first[0][0] == first[0][1] and first[1][0] == first[1][1]  # paired
  assert first[0] != first[1]


def test_strategies_coincide_at_both_ends(reference):
  """At the first labels exactly; at 100 % to the SVM's tolerance, as does full training."""
  by_run = {(row["seed"], row["strategy"], row["step"]): row for row in rows(reference)}
  for seed in range(SEEDS):
    a, b = (by_run[seed, name, 0] for name in STRATEGIES)
    assert (a["map"], a["attention_ap"]) == (b["map"], b["attention_ap"])
    a, b = (by_run[seed, name, STEPS - 1] for name in STRATEGIES)
    np.testing.assert_allclose(a["map"], b["map"], atol=2e-3)
    np.testing.assert_allclose(a["attention_ap"], b["attention_ap"], atol=2e-3)
    np.testing.assert_allclose([a["map_ratio"], b["map_ratio"]], 1.0, atol=0.1)


def test_evaluate_gives_the_same_map(reference, tmp_path):
  subprocess.run(
      [sys.executable, "-m", "experiments.evaluate", "--subset=testing",
       f"--ground_truth={reference / 'ground_truth.json'}",
       f"--predictions={reference / 'predictions.json'}", f"--output={tmp_path / 'e.json'}"],
      cwd=ROOT, check=True, capture_output=True)
  result = json.loads((tmp_path / "e.json").read_text())
  last = rows(reference)[STEPS - 1]
  assert (last["strategy"], last["seed"], last["is_last"]) == ("random", 0, True)
  np.testing.assert_allclose(result["average_mAP"], last["map"], rtol=0, atol=1e-12)
  np.testing.assert_allclose(result["mAP"][0], last["map_at_50"], rtol=0, atol=1e-12)


def test_killed_by_the_system_and_started_again(reference, tmp_path, environment):
  """SIGKILL twice, at moments that nobody chose; the third start runs to the end."""
  def count():
    path = tmp_path / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0

  for num_rows, delay in zip((2, 7), np.random.default_rng().uniform(0, 0.1, 2), strict=True):
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and count() < num_rows:
      time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    assert process.wait() in (-9, 0)
    assert num_rows <= count()
  result = subprocess.run(command(tmp_path), cwd=ROOT, env=environment, text=True,
                          capture_output=True)
  assert result.returncode == 0 and "curves:" in result.stdout, result.stderr
  assert "mcle" in result.stdout and "simulate: 100%" in result.stderr
  assert_same(tmp_path, reference)


def interrupt(workdir, owner, name, **options):
  with pytest.MonkeyPatch.context() as monkeypatch:
    stop_at(monkeypatch, owner, name, **options)
    with pytest.raises(Killed):
      simulate.run(config(), workdir)


@pytest.mark.parametrize(("owner", "name", "call", "after"), [
    (Workdir, "append", 1, True),  # the first row, no checkpoint yet
    (os, "fsync", 7, True),  # a selection without its metrics
    (Checkpoints, "save", 4, False),  # the last row of a run without its checkpoint
    (Checkpoints, "save", 6, True),
    (simulate, "write_predictions", 1, False),
    (simulate.summary, "summarise", 1, False)])
def test_stopped_between_any_two_writes(reference, tmp_path, owner, name, call, after):
  interrupt(tmp_path, owner, name, call=call, after=after)
  simulate.run(config(), tmp_path)
  assert_same(tmp_path, reference)


@pytest.mark.parametrize("damage", ["newest", "all", "rows"])
def test_damaged_in_between(reference, tmp_path, damage, monkeypatch):
  interrupt(tmp_path, Checkpoints, "save", call=7, after=True)
  said = []
  monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text % args))
  folder = tmp_path / "checkpoints" / "seed_0" / "mcle"
  assert {path.name for path in folder.iterdir()} == {"0", "1", "2"}
  if damage == "rows":  # a line cut in the middle
    for name in ("metrics.jsonl", "selections.jsonl"):
      text = (tmp_path / name).read_text()
      (tmp_path / name).write_text(text[:-9])
  else:
    for path in (folder / "2" if damage == "newest" else folder).rglob("*"):
      if path.is_file():
        path.write_bytes(path.read_bytes()[:20])
  simulate.run(config(), tmp_path)
  assert_same(tmp_path, reference)
  assert len([text for text in said if "is damaged" in text]) == {
      "newest": 1, "all": 3, "rows": 0}[damage]


def test_finished_is_finished(reference, tmp_path, monkeypatch):
  """A run that is done computes nothing; it only writes its summary anew."""
  shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
  (tmp_path / "summary.json").unlink()
  monkeypatch.setattr(simulate.context, "build", None)
  simulate.run(config(), tmp_path)
  assert_same(tmp_path, reference)


def test_another_data_seed_gives_another_result(reference, tmp_path):
  """And one seed's rows do not depend on how many seeds there are."""
  simulate.run(config(**{"seeds": 1, "data.seed": 3, "strategies": ("mcle",)}), tmp_path)
  wanted = [row for row in rows(reference) if (row["seed"], row["strategy"]) == (1, "mcle")]
  for got, want in zip(rows(tmp_path), wanted, strict=True):
    assert {**got, "seed": 1, "seconds": 0} == {**want, "seconds": 0}
  assert rows(tmp_path)[0]["map"] != rows(reference)[0]["map"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"strategies": ()}, "strategies"), ({"strategies": ("random", "random")}, "twice"),
    ({"seeds": 0}, "seeds = 0"), ({"batch_size": 0}, "batch_size"), ({"top_k": 0}, "top_k"),
    ({"budget_ratio": 0.1}, "budget_ratio"), ({"initial_ratio": 0.0}, "initial_ratio"),
    ({"svm.loss": "log"}, "svm.loss = 'log'; there are hinge"), ({"svm.c": 0.0}, "svm.c"),
    ({"oracle.noise": 1.0}, "oracle.noise"), ({"mcle.prior": "none"}, "mcle.prior"),
    ({"mcle.precision": 1.5}, "mcle.precision"), ({"classifier.score": "sum"}, "classifier"),
    ({"encoder": "max"}, "encoder = 'max'"),
    ({"data.num_search_per_class": 0}, "mcle.prior='search'"),
    ({"strategies": ("lal",)}, "LAL needs"),
    ({"lal.artifact": "/no/such/file", "strategies": ("lal",)}, "lal.artifact: no file")])
def test_faults(tmp_path, changes, message):
  with pytest.raises(DataError, match=message):
    simulate.run(config(**changes), tmp_path)


def test_faults_of_the_binary(reference, environment, tmp_path):
  """Exit code 2, a plain message, no traceback."""
  anywhere = tmp_path / "new"
  # Its own folder of data sets, which is not there.
  env = environment | {"TAL_JAX_DATA": str(tmp_path / "nowhere")}
  cases = [
      (command(reference, "--config.svm.c=2.0"), ["svm.c: 0.01 there, 2.0 now", str(reference)]),
      (command(anywhere, overrides={"strategies": ("random", "oracel")}), ["no oracel", "margin"]),
      (command(anywhere, overrides={"initial_ratio": 1.5}), ["initial_ratio = 1.5", "(0, 1]"]),
      (command(anywhere, file="configs/hapt.py", overrides={}),
       [str(tmp_path / "nowhere" / "hapt" / "hapt.json")])]
  processes = [subprocess.Popen(line, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for line, _ in cases]
  for process, (_, wanted) in zip(processes, cases, strict=True):
    _, stderr = process.communicate()
    assert process.returncode == 2 and "Traceback" not in stderr, stderr
    assert "error: " in stderr and all(text in stderr for text in wanted), stderr


def test_tensorboard_events(reference, tmp_path):
  """Written again on a restart from the rows that were kept."""
  shutil.copytree(reference, tmp_path / "run")
  (tmp_path / "run" / "metrics.jsonl").unlink()  # begins again, in the same folder
  (tmp_path / "run" / "selections.jsonl").unlink()
  simulate.run(config(tensorboard=True, seeds=1, strategies=("random",)), tmp_path / "run")
  events = list((tmp_path / "run" / "tensorboard" / "random_seed_0").iterdir())
  assert len(events) == 1 and events[0].stat().st_size > 0


def test_strategies_from_a_command_line(reference, tmp_path):
  """ml_collections hands `--config.strategies=random,mcle` over as one name."""
  shutil.copytree(reference, tmp_path / "run")
  simulate.run(config(strategies=("random, mcle",)), tmp_path / "run")  # the same configuration
  assert content(tmp_path / "run") == content(reference)


def test_a_run_that_failed_at_once_may_be_corrected(tmp_path):
  """Until there are results, the folder belongs to no configuration."""
  with pytest.raises(DataError, match="mcle.prior"):
    simulate.run(config(**{"data.num_search_per_class": 0}), tmp_path)
  simulate.run(config(seeds=1, strategies=("random",)), tmp_path)
  with pytest.raises(DataError, match="another configuration"):
    simulate.run(config(seeds=2, strategies=("random",)), tmp_path)


def test_real_data(data_dir, monkeypatch, tmp_path):
  """The same program on HAPT: five steps of two strategies; no tuning target, a sane level."""
  monkeypatch.setenv("TAL_JAX_DATA", str(data_dir))
  simulate.run(hapt.get_config("smoke"), tmp_path)
  last = {row["strategy"]: row for row in rows(tmp_path)}
  assert set(last) == {"random", "uncertainty"}
  for row in last.values():
    assert row["is_last"] and row["svm_converged"] and 0.1 < row["map"] < 0.4
    assert row["full_map"] > 0.2
