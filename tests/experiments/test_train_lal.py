"""experiments.train_lal, and simulate with the selector that it saved."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs import anet, files
from experiments import simulate, train_lal
from tal_jax.errors import DataError
from tal_jax.runs import context
from tal_jax.runs.reporter import Reporter

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
TINY = {"strategies": ("lal",), "seeds": 1, "batch_size": 8, "initial_ratio": 0.25,
        "budget_ratio": 0.75, "encoder": "mean", "data.num_knowledge_videos": 16,
        "data.num_selection_videos": 16, "data.num_testing_videos": 8,
        "data.num_knowledge_classes": 2, "data.num_selection_classes": 3,
        "data.num_search_per_class": 0, "data.frame_dim": 8, "data.num_proposals": 12,
        "lal.labeled_sizes": (2, 4), "lal.episodes_per_size": 4, "lal.extras_per_episode": 4}


def config(**changes):
  made = anet.get_config("smoke")
  made.update_from_flattened_dict(TINY | changes)
  return made


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
  path = tmp_path_factory.mktemp("lal") / "selector.npz"
  quality = train_lal.run(config(), path)
  assert (quality.num_episodes, quality.num_rows) == (8, 32)
  assert 0 < quality.nonzero_share <= 1 and np.isfinite(quality.held_out_r2)
  return path


def selections(folder):
  return [json.loads(line)["video_ids"]
          for line in (folder / "selections.jsonl").read_text().splitlines()]


def test_simulate_with_the_artifact_equals_simulate_that_trains(artifact, tmp_path):
  simulate.run(config(), tmp_path / "trains")
  simulate.run(config(**{"lal.artifact": str(artifact)}), tmp_path / "loads")
  assert selections(tmp_path / "trains") == selections(tmp_path / "loads")
  assert (tmp_path / "trains" / "lal" / "seed_0.npz").read_bytes() == artifact.read_bytes()
  assert not (tmp_path / "loads" / "lal").exists()


def test_a_killed_run_goes_on_to_the_same_bytes(artifact, tmp_path):
  """Killed while it wrote its fifth episode of eight."""
  episodes = artifact.with_suffix(".episodes.jsonl").read_bytes()
  lines = episodes.splitlines(keepends=True)
  assert len(lines) == 1 + 8
  output = tmp_path / "selector.npz"
  file = output.with_suffix(".episodes.jsonl")
  file.write_bytes(b"".join(lines[:5]) + lines[5][:100])
  train_lal.run(config(), output)
  assert file.read_bytes() == episodes and output.read_bytes() == artifact.read_bytes()


def test_the_episodes_of_another_configuration_are_refused(artifact):
  with pytest.raises(DataError, match=r"(?s)another configuration.*num_bins: 10 there, 5 now"):
    train_lal.run(config(**{"lal.num_bins": 5}), artifact)


def test_another_width_is_refused(artifact, tmp_path):
  with pytest.raises(DataError, match="9 dimensions|8 dimensions"):
    simulate.run(config(**{"lal.artifact": str(artifact), "data.frame_dim": 9}), tmp_path)


@pytest.mark.parametrize("model", ["point", "frames", "auto"])
def test_a_model_without_attention_is_refused(tmp_path, model):
  """Of whatever strategies the config names: the selector is made for a stage-wise model."""
  with pytest.raises(DataError) as fault:
    train_lal.run(config(model=model, strategies=("random",)), tmp_path / "selector.npz")
  assert str(fault.value) == (
      f"model = {model!r}: lal reads the attention of a stage-wise model, which this model does "
      "not have: add --config.model=paper or --config.model=stage_wise")
  assert not list(tmp_path.iterdir())


def cold_split(folder):
  """Four videos of two people on the disk, and a config of a split without Knowledge-Source."""
  (folder / "features").mkdir()
  videos = {}
  for i in range(4):
    np.save(folder / "features" / f"v{i}.npy",
            np.random.default_rng(i).normal(size=(20, 8)).astype(np.float32))
    videos[f"v{i}"] = {"subset": "training", "duration": 20.0, "subject": i % 2,
                       "annotations": [{"segment": [4.0, 9.0], "label": "run"}]}
  (folder / "truth.json").write_text(json.dumps({"database": videos}))
  made = config()
  made.data = files.get_config().data
  with made.data.unlocked():
    made.data.split = {"kind": "drawn_subjects"}
  made.update_from_flattened_dict({
      "data.annotations": str(folder / "truth.json"), "data.fps": 1.0, "mcle.prior": "search",
      "data.features": str(folder / "features"), "initial_ratio": 0.5, "budget_ratio": 0.5})
  return made


def test_a_split_without_knowledge_source_is_refused(tmp_path):
  made = cold_split(tmp_path)
  with pytest.raises(DataError, match="^lal learns from Knowledge-Source, and data.split.kind = "
                     "'drawn_subjects' leaves it without a video: take a split") as fault:
    train_lal.run(made, tmp_path / "selector.npz")
  assert "\n" not in str(fault.value) and "other strategies" not in str(fault.value)
  with pytest.raises(DataError, match="lal learns from .*, or choose other strategies$"):
    simulate.run(made, tmp_path / "run")


def test_an_artifact_needs_no_knowledge_source(artifact, tmp_path):
  made = cold_split(tmp_path)
  made.lal.artifact = str(artifact)
  with Reporter("test") as report:
    shared = context.build(context.checked(made), 0, tmp_path / "run", report)
  assert set(shared.selection) == {"lal"} and not shared.data.ids.knowledge_source


def test_the_command(tmp_path):
  command = [sys.executable, "-m", "experiments.train_lal", "--config=configs/anet.py:smoke",
             "--config.model=point", f"--output={tmp_path / 'selector.npz'}"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 2 and done.stderr.startswith("error: model = 'point': lal reads")
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output, changes, message", [
    ("selector.txt", {}, "npz"),
    ("selector.npz", {"lal.labeled_sizes": (2, 30)}, "Lower"),
    ("selector.npz", {"lal.episodes_per_size": 2}, "lal.episodes_per_size")])
def test_faults(tmp_path, output, changes, message):
  with pytest.raises(DataError, match=message):
    train_lal.run(config(**changes), tmp_path / output)
  assert not list(tmp_path.iterdir())
