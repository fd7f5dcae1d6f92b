"""experiments.simulate with the models that are not the paper's, as small as it goes.

Rows of four seconds: every video is one window of 64 rows, so that few programs are compiled.
"""

import json
import time
import types

import numpy as np
import pytest

from configs import anet
from experiments import evaluate, simulate
from tal_jax.checkpoints import Checkpoints
from tal_jax.errors import DataError
from tal_jax.runs.workdir import Workdir
from tests.killing import Killed, stop_at

STRATEGIES, STEPS = ("random", "uncertainty", "margin"), 2
TINY = {"strategies": STRATEGIES, "seeds": 1, "batch_size": 4, "initial_ratio": 0.25,
        "budget_ratio": 0.5, "encoder": "mean", "classifier.max_iters": 20,
        "data.num_knowledge_videos": 2, "data.num_selection_videos": 16,
        "data.num_testing_videos": 12, "data.num_knowledge_classes": 1,
        "data.num_selection_classes": 2, "data.num_search_per_class": 0, "data.frame_dim": 8,
        "data.num_proposals": 12, "point.steps": 50, "point.warm_steps": 50, "point.width": 8,
        "point.learning_rate": 2e-2, "frames.steps": 50, "frames.width": 8,
        "frames.learning_rate": 1e-2, "stage_wise.num_kept": 6, "stage_wise.folds": 0}


def config(model, **changes):
  made = anet.get_config("smoke")
  made.model = model
  with made.data.unlocked():
    made.data.seconds_per_frame = 4.0
  made.update_from_flattened_dict(TINY | changes)
  return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """A run of each model, when it is first asked for."""
  made = {}

  def run(model):
    if model not in made:
      made[model] = tmp_path_factory.mktemp(model)
      simulate.run(config(model), made[model])
    return made[model]

  return run


def rows(folder, name="metrics.jsonl"):
  return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def content(folder):
  metrics = [{key: value for key, value in row.items() if key != "seconds"}
             for row in rows(folder)]
  return metrics, *[(folder / name).read_bytes() for name in (
      "selections.jsonl", "summary.json", "comparisons.json", "predictions.json", "config.json")]


OWN = {"point": {"loss", "num_steps"}, "frames": {"loss", "num_steps"},
       "stage_wise": {"svm_converged"}, "auto": {"model"}}


@pytest.mark.parametrize("model", list(OWN))
def test_each_model(folders, model):
  folder = folders(model)
  found = rows(folder)
  assert [(r["strategy"], r["step"], r["num_labeled"]) for r in found] == [
      (name, step, 4 * (step + 1)) for name in STRATEGIES for step in range(STEPS)]
  for row in found:
    assert set(row) >= OWN[model] and 0 <= row["map"] <= row["map_at_50"] <= 1
    assert row["full_map"] == found[0]["full_map"] > 0 and 0 <= row["attention_ap"] <= 1
    np.testing.assert_allclose(row["map_ratio"], row["map"] / row["full_map"])
    if "num_steps" in OWN[model]:
      assert row["num_steps"] == 50 and row["loss"] > 0
  assert len({row["map"] for row in found if row["step"] == 0}) == 1  # paired
  chosen = rows(folder, "selections.jsonl")
  for name in STRATEGIES:
    videos = sum((row["video_ids"] for row in chosen if row["strategy"] == name), [])
    assert len(set(videos)) == len(videos) == 8
  assert set(json.loads((folder / "summary.json").read_text())) == set(STRATEGIES)
  # The written predictions have the written score.
  result = evaluate.run(str(folder / "ground_truth.json"), str(folder / "predictions.json"),
                        "testing")
  assert result["average_mAP"] == pytest.approx(found[STEPS - 1]["map"], abs=1e-12)
  assert json.loads((folder / "config.json").read_text())["model"] == model


def test_auto_says_what_it_chose(folders, tmp_path, capfd, monkeypatch):
  """With four labels the first candidate, with eight a choice, said once a round."""
  found = rows(folders("auto"))
  assert {row["model"] for row in found if row["step"] == 0} == {"point"}
  assert {row["model"] for row in found} <= {"point", "frames", "stage_wise"}
  capfd.readouterr()
  monkeypatch.setattr(simulate, "_start", lambda *args, real=simulate._start: real(*args)._replace(
      seconds=1000.0))
  simulate.run(config("auto", strategies=("random",)), tmp_path)
  said = capfd.readouterr().err
  assert said.count("auto: mAP on held-out labels: point ") == 2
  assert "seed 0, all labels: auto: mAP on held-out labels: point " in said
  assert "random, seed 0, 4 labels: auto: point, since it takes 8 labelled videos to cho" in said
  assert "random, seed 0, 8 labels: auto: mAP on held-out labels: point " in said
  assert [row["seconds"] > 1000 for row in rows(tmp_path)] == [True, False]
  kept = [{**row, "seconds": 0} for row in rows(tmp_path)]
  assert kept == [{**row, "seconds": 0} for row in found[:STEPS]]


@pytest.mark.parametrize(("model", "owner", "name", "call", "after"), [
    ("point", Workdir, "append", 1, True),  # the first row, no checkpoint yet
    ("point", Checkpoints, "save", 2, False),  # a row without its checkpoint
    ("auto", Checkpoints, "save", 3, True)])
def test_killed_and_started_again(folders, tmp_path, model, owner, name, call, after):
  wanted = content(folders(model))
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, owner, name, call=call, after=after)
    simulate.run(config(model), tmp_path)
  simulate.run(config(model), tmp_path)
  for got, expected in zip(content(tmp_path), wanted, strict=True):
    assert got == expected


@pytest.mark.parametrize("model", ["point", "auto"])
def test_the_full_map_does_not_depend_on_the_first_labels(folders, tmp_path, model):
  """With 12 of 16 labels first, a training that went on from theirs would be a brief one."""
  simulate.run(config(model, strategies=("random",), initial_ratio=0.75, budget_ratio=0.75),
               tmp_path)
  assert rows(tmp_path)[0]["full_map"] == rows(folders(model))[0]["full_map"]


def test_the_training_on_the_first_labels_is_timed(monkeypatch):
  def start(first, pool, *, num_initial, annotate):
    time.sleep(0.2)
    return types.SimpleNamespace(model=np.zeros(first)), (pool, num_initial, annotate)

  monkeypatch.setattr(simulate.learner, "start", start)
  shared = types.SimpleNamespace(first=3, data=types.SimpleNamespace(selection="pool"), seed=0,
                                 annotate="oracle", check_training=lambda *_, **__: None)
  found = simulate._start(shared, 7)
  assert found.state.model.shape == (3,) and found.info == ("pool", 7, "oracle")
  assert 0.2 <= found.seconds < 5.0


@pytest.mark.parametrize(("model", "own"), [("point", "point"), ("frames", "frames"),
                                            ("auto", "auto' \\(point")])
def test_a_training_that_goes_astray(tmp_path, model, own):
  changes = {"point.learning_rate": 1e30, "frames.learning_rate": 1e30}
  with pytest.raises(DataError, match=f"seed 0, 4 labels: the training of the model '{own}"
                     ) as fault:
    simulate.run(config(model, **changes), tmp_path)
  text = str(fault.value)
  assert "(loss = nan)" in text and "features are finite" in text and "\n" not in text
  assert f"lower {'point' if model == 'auto' else model}.learning_rate, which is 1e+30" in text
  assert not (tmp_path / "metrics.jsonl").exists() and "proposals" not in text


def test_another_model_is_another_configuration(folders):
  before = content(folders("point"))
  for changes in ({"point.width": 12}, {"model": "frames"}):
    made = config("point")
    made.update_from_flattened_dict(changes)
    with pytest.raises(DataError, match=next(iter(changes))):
      simulate.run(made, folders("point"))
  assert content(folders("point")) == before


@pytest.mark.parametrize(("model", "changes", "message"), [
    ("detector", {}, "model = 'detector'; there are paper, stage_wise, frames, point, auto"),
    ("point", {"strategies": ("random", "lal")}, "model = 'point': lal reads the attention"),
    ("auto", {"strategies": ("mcle", "greedy_oracle")},
     "model = 'auto': mcle and greedy_oracle read the"),
    ("frames", {"frames.steps": 49}, "frames.steps = 49: it must be a multiple of 50"),
    ("point", {"point.context": "lstm"}, "point.context = 'lstm': it must be one of conv"),
    ("stage_wise", {"stage_wise.folds": 1}, "stage_wise.folds = 1: it must be 0, or at least 2"),
    ("auto", {"point.warm_steps": 30}, "point.warm_steps = 30")])
def test_faults(tmp_path, model, changes, message):
  with pytest.raises(DataError, match=message) as fault:
    simulate.run(config(model, **changes), tmp_path / "new")
  assert "\n" not in str(fault.value) and not (tmp_path / "new").exists()
