"""experiments.propose from end to end, tiny; and with the published weights on a real video."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from absl import logging

from configs import propose as config_file
from experiments import propose
from tal_jax.data.proposals import read_proposals, sliding_windows
from tal_jax.errors import DataError
from tal_jax.metrics.proposal_recall import average_recall
from tal_jax.runs.propose import daps as propose_daps, data as propose_data

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
TINY = {"data.num_knowledge_videos": 12, "data.num_selection_videos": 4,
        "data.num_testing_videos": 5, "data.num_search_per_class": 0,
        "data.num_knowledge_classes": 2, "data.num_selection_classes": 2, "data.frame_dim": 6,
        "daps.num_anchors": 4, "daps.width": 5, "daps.num_chunks": 6, "daps.batch_size": 16,
        "num_proposals": 20, "tag.max_rows": 400}


def config(variant="smoke", **changes):
  made = config_file.get_config(variant)
  made.update_from_flattened_dict((TINY if variant == "smoke" else {}) | changes)
  return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
  folder = tmp_path_factory.mktemp("daps")
  return folder, propose.run(config(), folder)


def test_outputs(reference):
  folder, result = reference
  assert {path.name for path in folder.iterdir()} == {
      "config.json", "proposals.json", "report.json", "ar_an.png", "daps.npz",
      "daps_state.msgpack"}
  assert json.loads((folder / "report.json").read_text()) == result
  assert set(result["methods"]) == {"daps", "sliding windows, longest first",
                                    "sliding windows, random"}
  assert (result["num_videos"], result["seed"]) == (5, 0) and "imulated" in result["caption"]
  found = read_proposals(folder / "proposals.json")
  assert len(found) == 21
  assert max(map(len, found.values())) <= 20


def test_report_is_the_metric_of_the_files(reference):
  """The curve from the written proposals, and that of sliding windows from their function."""
  folder, result = reference
  data = propose_data.load(config().data, seed=0, train_sets=("knowledge_source",),
                           validation_share=0.2)
  truths = [data.annotations.videos[i].segments for i in data.held_out]
  written = read_proposals(folder / "proposals.json")
  windows = []
  for i in data.held_out:
    some = sliding_windows(data.annotations.videos[i].duration, ratio=1.4, overlap=0.5)
    windows.append(some[np.argsort(-(some[:, 1] - some[:, 0]), kind="stable")][:20])
  for name, proposals in (("daps", [written[i] for i in data.held_out]),
                          ("sliding windows, longest first", windows)):
    curve = average_recall(truths, proposals, max_average=100)
    found = result["methods"][name]
    np.testing.assert_allclose(found["average_recall"], curve.average_recall)
    np.testing.assert_allclose(found["area"], curve.area)
    np.testing.assert_allclose(found["at"]["10"]["recall_0.7"], curve.recall[4, 9])
    np.testing.assert_allclose(found["average_proposals"], np.arange(1, 101))


def test_the_parts_are_disjoint():
  data = propose_data.load(config().data, seed=0, train_sets=("knowledge_source",),
                           validation_share=0.25)
  parts = [data.training, data.validation, data.others, data.held_out]
  assert list(map(len, parts)) == [9, 3, 4, 5] and len(set(data.ids)) == 21
  other = propose_data.load(config().data, seed=0, train_sets=("selection", "knowledge_source"),
                            validation_share=0.25)
  assert len(other.training + other.validation) == 16 and not other.others


def test_goes_on_where_a_killed_training_stopped(reference, tmp_path, monkeypatch):
  """Killed after the first of two epochs: the same bytes as a run that nothing interrupted."""
  save = propose_daps._save

  def killed(*args):
    save(*args)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(propose_daps, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
      propose.run(config(), tmp_path)
  assert not (tmp_path / "proposals.json").exists()
  epochs = []
  run_epoch = propose_daps.daps_training.run_epoch
  monkeypatch.setattr(propose_daps.daps_training, "run_epoch",
                      lambda *args, **kw: epochs.append(1) or run_epoch(*args, **kw))
  propose.run(config(), tmp_path)
  assert len(epochs) == 1
  for name in ("proposals.json", "report.json", "daps.npz", "daps_state.msgpack"):
    assert (tmp_path / name).read_bytes() == (reference[0] / name).read_bytes(), name
  with pytest.raises(DataError, match="other settings"):
    propose.run(config(**{"daps.width": 6}), tmp_path)
  (tmp_path / "daps_state.msgpack").write_bytes(b"\x81")
  with pytest.raises(DataError, match="daps_state.msgpack is damaged"):
    propose.run(config(), tmp_path)


def test_a_trained_network_is_used_again(reference, tmp_path):
  folder, result = reference
  found = propose.run(config(**{"daps.weights": str(folder / "daps.npz"),
                                "daps.receptive_fields": (1.0,), "daps.num_chunks": 3}), tmp_path)
  assert found == result  # the file knows its windows and chunks
  assert not (tmp_path / "daps.npz").exists()


def test_tag(tmp_path):
  result = propose.run(config(method="tag"), tmp_path)
  assert result["methods"]["tag"]["average_recall"][-1] > 0
  assert len(read_proposals(tmp_path / "proposals.json")) == 21
  again = propose.run(config(method="tag"), tmp_path)
  assert again == result


def test_sliding_windows_in_their_own_order(tmp_path):
  result = propose.run(config(method="sliding_windows", num_proposals=5), tmp_path)
  assert len(result["methods"]) == 2
  data = json.loads((tmp_path / "proposals.json").read_text())["results"]
  for entries in data.values():
    lengths = [e["segment"][1] - e["segment"][0] for e in entries]
    assert len(entries) <= 5 and lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize(("changes", "message"), [
    ({"method": "bmn"}, "method = 'bmn'"),
    ({"daps.regress_to": "mean"}, "daps.regress_to"),
    ({"daps.weights": "nowhere.npz"}, "nowhere.npz"),
    ({"train_sets": ("testing",)}, "train_sets"),
    ({"validation_share": 1.0}, "validation_share"),
    ({"daps.num_anchors": 10 ** 6}, "lower num_anchors"),
    ({"data.source": "web"}, "data.source"),
    ({"data.source": "unsplit"}, "data"),
])
def test_faults(changes, message, tmp_path):
  with pytest.raises(DataError, match=message):
    propose.run(config(**changes), tmp_path)


def test_the_command(tmp_path):
  """The smoke variant's flags, the table, the progress bar; a fault ends with exit code 2."""
  flags = [f"--config.{key}={value}" for key, value in TINY.items()]
  command = [sys.executable, "-m", "experiments.propose", "--config=configs/propose.py:smoke",
             f"--workdir={tmp_path}", "--config.method=sliding_windows", *flags]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert "sliding windows, longest first" in done.stdout and "AR@100" in done.stdout
  assert "propose: 100%" in done.stderr
  done = subprocess.run([*command, "--config.method=x"], cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 2 and "\nerror: method = 'x'" in done.stderr


def test_published_weights_on_the_real_video(data_dir, tmp_path):
  """The variant `published`: two truths, both found; the rows of NaN do no harm."""
  pytest.importorskip("h5py")
  folder = data_dir / "daps"
  if not folder.is_dir():
    pytest.skip(f"no published weights at {folder}")
  result = propose.run(config("published", **{
      "daps.weights": str(folder / "T512K64_thumos14.npz"),
      "data.features": str(folder / "c3d_after_pca.hdf5"),
      "data.annotations": str(data_dir / "thumos14" / "thumos14_v2.json")}), tmp_path)
  assert result["num_videos"] >= 1 and result["num_truths"] >= 2
  truths = json.loads((data_dir / "thumos14" / "thumos14_v2.json").read_text())["database"]
  truths = [x["segment"] for x in truths["video_test_0000541"]["annotations"]]
  found = read_proposals(tmp_path / "proposals.json")["video_test_0000541"]
  curve = average_recall([np.array(truths)], [found[:50]], (0.5,), max_average=50)
  assert curve.recall[0, -1] == 1.0
  with pytest.raises(DataError, match="no videos to train DAPs on"):
    propose.run(config("published", **{
        "data.features": str(folder / "c3d_after_pca.hdf5"),
        "data.annotations": str(data_dir / "thumos14" / "thumos14_v2.json")}), tmp_path)


@pytest.fixture(autouse=True)
def quiet():
  before = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  yield
  logging.set_verbosity(before)
