"""configs/files.py: every kind of split, on six videos of three people with one class."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs import files
from tal_jax.errors import DataError
from tal_jax.runs import context, localizers
from tal_jax.runs.reporter import Reporter

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
IDS = tuple(f"v{i}" for i in range(6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  (folder / "features").mkdir()
  videos = {}
  for i, video_id in enumerate(IDS):
    np.save(folder / "features" / f"{video_id}.npy",
            np.random.default_rng(i).normal(size=(20, 4)).astype(np.float32))
    videos[video_id] = {"subset": "validation" if i > 3 else "training", "duration": 20.0,
                        "person": i % 3, "annotations": [{"segment": [4.0, 9.0], "label": "run"}]}
  (folder / "truth.json").write_text(json.dumps({"database": videos}))
  (folder / "split.json").write_text(json.dumps(
      {"knowledge_source": [], "selection": ["v1", "v3"], "testing": ["v0"]}))
  return folder


def config(folder, variant, **changes):
  made = files.get_config(variant)
  made.model = "point"
  made.update_from_flattened_dict({
      "data.annotations": str(folder / "truth.json"), "data.features": str(folder / "features"),
      "data.fps": 1.0} | changes)
  return context.checked(made)


def split(made):
  with Reporter("test") as report:
    return context.load_data(made, 0, report).ids


def test_drawn_subjects(folder):
  found = split(config(folder, "drawn_subjects", **{"data.split.key": "person"}))
  people = [{IDS.index(i) % 3 for i in ids} for ids in found]
  assert (list(map(len, found)), list(map(len, people))) == ([0, 4, 2], [0, 2, 1])
  assert not people[1] & people[2]
  with pytest.raises(DataError, match="have no field 'subject'.*data.split.key"):
    split(config(folder, "drawn_subjects"))


def test_subsets(folder):
  assert split(config(folder, "subsets")) == ((), IDS[:4], IDS[4:])
  assert split(config(folder, "subsets", **{"data.split.selection_subset": "validation",
                                            "data.split.testing_subset": "training"})) == (
      (), IDS[4:], IDS[:4])


def test_a_list_without_knowledge_source(folder):
  made = config(folder, "list", **{"data.split.path": str(folder / "split.json")})
  assert split(made) == ((), ("v1", "v3"), ("v0",))


def test_one_class_has_no_split_by_class(folder):
  with pytest.raises(DataError, match="configs/files.py:subsets"):
    split(config(folder, "class"))


@pytest.mark.parametrize("variant", ["drawn_subjects", "subsets", "list"])
def test_strategies_that_learn_from_knowledge_source(folder, variant, tmp_path):
  changes = {"drawn_subjects": {"data.split.key": "person"}, "subsets": {},
             "list": {"data.split.path": str(folder / "split.json")}}[variant]
  made = config(folder, variant, model="paper", strategies=("mcle",), **changes)
  with Reporter("test") as report, pytest.raises(
      DataError, match=f"mcle learns from .* data.split.kind = '{variant}' leaves it without"):
    context.build(made, 0, tmp_path, report)


def test_all_models_read_a_cold_split(folder, tmp_path):
  for model in localizers.MODELS:
    with Reporter("test") as report:
      shared = context.build(config(folder, "subsets", model=model), 0, tmp_path, report)
    assert shared.first.labeled.shape == (4,)


def test_the_command(folder, tmp_path):
  """Another kind on a variant: one line."""
  command = [sys.executable, "-m", "experiments.simulate", "--config=configs/files.py:list",
             f"--config.data.annotations={folder / 'truth.json'}", "--config.data.fps=1",
             f"--config.data.features={folder / 'features'}",
             "--config.data.split.kind=drawn_subjects", f"--workdir={tmp_path / 'run'}"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  error = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
  assert done.returncode == 2 and len(error) == 1 and "Traceback" not in done.stderr
  assert "data.split.kind = 'drawn_subjects' has no option path (path: an option" in error[0]
  assert "--config=configs/files.py:drawn_subjects" in error[0]
