"""experiments.propose with the point detector of one class, tiny, from end to end."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs import propose as config_file
from experiments import propose
from tal_jax.data.annotations import from_videos
from tal_jax.data.proposals import read_proposals
from tal_jax.errors import DataError
from tal_jax.metrics.proposal_recall import average_recall
from tal_jax.runs.propose import data as propose_data, points as propose_points
from tal_jax.runs.reporter import Reporter

pytestmark = pytest.mark.slow

ROOT = str(pathlib.Path(__file__).resolve().parents[3])
TINY = {"method": "points", "data.num_knowledge_videos": 12, "data.num_selection_videos": 4,
        "data.num_testing_videos": 5, "data.num_search_per_class": 0,
        "data.num_knowledge_classes": 2, "data.num_selection_classes": 2, "data.frame_dim": 6,
        "num_proposals": 20, "points.steps": 50, "points.width": 8, "points.learning_rate": 1e-2}


def config(**changes):
  made = config_file.get_config("smoke")
  made.update_from_flattened_dict(TINY | changes)
  return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
  folder = tmp_path_factory.mktemp("points")
  return folder, propose.run(config(), folder)


def load(made):
  return propose_data.load(made.data, seed=0, train_sets=("knowledge_source",),
                           validation_share=0.2)


def test_outputs(reference):
  folder, result = reference
  assert {path.name for path in folder.iterdir()} == {
      "config.json", "proposals.json", "report.json", "ar_an.png"}
  assert json.loads((folder / "report.json").read_text()) == result
  assert set(result["methods"]) == {"points", "sliding windows, longest first",
                                    "sliding windows, random"}
  assert (result["num_videos"], result["method"]) == (5, "points")
  assert "imulated" in result["caption"]
  data, found = load(config()), read_proposals(folder / "proposals.json")
  assert len(found) == 21 and set(found) == set(data.ids)
  for video_id, segments in found.items():
    assert 0 < len(segments) <= 20
    assert (segments[:, 0] >= 0).all() and (segments[:, 1] > segments[:, 0]).all()
    assert segments.max() <= data.annotations.videos[video_id].duration + 1e-4


def test_report_is_the_metric_of_the_files(reference):
  folder, result = reference
  data, written = load(config()), read_proposals(folder / "proposals.json")
  curve = average_recall([data.annotations.videos[i].segments for i in data.held_out],
                         [written[i] for i in data.held_out], max_average=100)
  found = result["methods"]["points"]
  np.testing.assert_allclose(found["average_recall"], curve.average_recall)
  np.testing.assert_allclose(found["area"], curve.area)
  assert found["area"] > 0


def test_again_the_same_bytes(reference, tmp_path):
  propose.run(config(), tmp_path)
  for name in ("proposals.json", "report.json"):
    assert (tmp_path / name).read_bytes() == (reference[0] / name).read_bytes()


def test_classes_and_other_truths_play_no_part(reference):
  """Labels of any names, and whatever is annotated beyond the training videos."""
  made, written = config(), read_proposals(reference[0] / "proposals.json")
  data = load(made)
  learnt = set(data.training)
  changed = from_videos(
      video._replace(labels=tuple(f"c{i}" for i in range(len(video.labels))))
      if key in learnt else video._replace(segments=np.zeros((0, 2)), labels=())
      for key, video in data.annotations.videos.items())
  with Reporter("test") as report:
    found = propose_points.proposer(made, data._replace(annotations=changed), report)
  for video_id in data.ids:
    np.testing.assert_array_equal(found(video_id).segments, written[video_id])
    scores = found(video_id).scores
    assert (np.diff(scores) <= 0).all() and (scores > 0).all()


@pytest.mark.parametrize(("changes", "message"), [
    ({"method": "point"}, "method = 'point': it must be one of sliding_windows, daps, tag, points"),
    ({"points.context": "linear"}, "points.context = 'linear': it must be one of conv, maxpool, "),
    ({"points.width": 6}, "points.width = 6: it must be a multiple of 4"),
    ({"points.steps": 70}, "points.steps = 70: it must be a multiple of 50"),
    ({"points.batch_size": 0}, "points.batch_size = 0"),
    ({"points.learning_rate": 0.0}, "points.learning_rate = 0.0: it must be positive"),
    ({"points.members": 0}, "points.members = 0: it must be at least 1"),
    ({"points.longest_crop": 10}, "points.longest_crop = 10: it must be at least 64 rows"),
    ({"points.soft_nms_sigma": 0.0}, "points.soft_nms_sigma")])
def test_faults(changes, message, tmp_path):
  with pytest.raises(DataError, match=message) as fault:
    propose.run(config(**changes), tmp_path)
  assert "\n" not in str(fault.value)


@pytest.mark.parametrize("members", [1, 2])
def test_members(members, monkeypatch):
  settings = []

  def stop(given):
    settings.append(given)
    raise KeyboardInterrupt

  monkeypatch.setattr(propose_points.detector, "Point", stop)
  made = config(**{"points.members": members})
  with Reporter("test") as report, pytest.raises(KeyboardInterrupt):
    propose_points.proposer(made, load(made), report)
  assert [(one.members, one.steps, one.width) for one in settings] == [(members, 50, 8)]


def test_a_training_that_goes_astray(tmp_path):
  with pytest.raises(DataError, match="the training of the model 'points' ended") as fault:
    propose.run(config(**{"points.learning_rate": 1e30}), tmp_path)
  assert "lower points.learning_rate, which is 1e+30" in str(fault.value)
  assert not (tmp_path / "proposals.json").exists()


def test_a_split_without_videos_to_train_on(monkeypatch):
  def cold(real=propose_data.SOURCES["simulated"], **options):
    raw = real(**options)
    return raw._replace(split=raw.split._replace(knowledge_source=()))

  monkeypatch.setitem(propose_data.SOURCES, "simulated", cold)
  with pytest.raises(DataError, match="this split has no video there: add --config.train_sets=sel"):
    load(config())
  made = config(train_sets=("selection",))
  assert len(propose_data.load(made.data, seed=0, train_sets=made.train_sets,
                               validation_share=0.5).training) == 2


@pytest.mark.parametrize("method", ["points", "daps", "tag"])
def test_training_videos_without_an_instance(method, tmp_path, monkeypatch):
  data = load(config())
  blind = data._replace(annotations=from_videos(
      video._replace(segments=np.zeros((0, 2)), labels=())
      for video in data.annotations.videos.values()))
  monkeypatch.setattr(propose_data, "load", lambda *_, **__: blind)
  with pytest.raises(DataError, match="training videos") as fault:
    propose.run(config(method=method), tmp_path)
  assert "\n" not in str(fault.value) and not (tmp_path / "proposals.json").exists()


def test_a_source_without_a_training_set(reference):
  data = load(config())
  unsplit = data._replace(training=(), validation=(), others=(), held_out=data.ids)
  with Reporter("test") as report, pytest.raises(DataError, match="this source has no training"):
    propose_points.proposer(config(), unsplit, report)


def test_the_command(tmp_path):
  command = [sys.executable, "-m", "experiments.propose", "--config=configs/propose.py:smoke",
             f"--workdir={tmp_path}", "--config.method=points", "--config.points.width=3"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 2 and "error: points.width = 3" in done.stderr
  assert "Traceback" not in done.stderr
