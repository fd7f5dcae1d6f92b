"""experiments.train_lal, and simulate with the selector that it saved."""

import json

import numpy as np
import pytest

from configs import anet
from experiments import simulate, train_lal
from tal_jax.data.types import DataError

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


@pytest.mark.parametrize("output, changes, message", [
    ("selector.txt", {}, "npz"),
    ("selector.npz", {"lal.labeled_sizes": (2, 30)}, "Lower"),
    ("selector.npz", {"lal.episodes_per_size": 2}, "lal.episodes_per_size")])
def test_faults(tmp_path, output, changes, message):
  with pytest.raises(DataError, match=message):
    train_lal.run(config(**changes), tmp_path / output)
  assert not list(tmp_path.iterdir())
