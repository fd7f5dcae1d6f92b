"""The work directory: what a killed run leaves, and whom it belongs to."""

import json
import os

import pytest

from tal_jax.errors import DataError
from tal_jax.runs.workdir import Workdir, append_row, write_json

CONFIG = {"name": "x", "svm": {"c": 1.0, "loss": "hinge"}, "strategies": ("a", "b")}


def metrics(strategy="a", seed=0, step=0):
  return {"strategy": strategy, "seed": seed, "step": step, "map": 0.1 + step / 7}


def selection(strategy="a", seed=0, step=0):
  return {"strategy": strategy, "seed": seed, "step": step, "video_ids": [f"v{step}", "\u2028é"]}


@pytest.fixture
def filled(tmp_path):
  """Steps 0-2 of a and 0-1 of b."""
  workdir = Workdir(tmp_path, CONFIG)
  for strategy, count in (("a", 3), ("b", 2)):
    for step in range(count):
      workdir.append(metrics(strategy, step=step), selection(strategy, step=step))
  return tmp_path


def test_rows(filled):
  workdir = Workdir(filled, CONFIG)
  assert workdir.all_rows() == [metrics("a", step=i) for i in range(3)] + [
      metrics("b", step=i) for i in range(2)]
  assert workdir.rows("b", 0) == [metrics("b", step=i) for i in range(2)]
  assert workdir.rows("b", 1) == [] and workdir.rows("c", 0) == []
  lines = (filled / "selections.jsonl").read_text().split("\n")
  assert json.loads(lines[1]) == selection("a", step=1) and lines[-1] == ""


def test_all_rows_is_a_copy(filled):
  workdir = Workdir(filled, CONFIG)
  workdir.all_rows().clear()
  assert len(workdir.all_rows()) == 5


@pytest.mark.parametrize("name", ["metrics.jsonl", "selections.jsonl"])
@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_no_row(filled, name, cut):
  whole = {path.name: path.read_bytes() for path in filled.glob("*.jsonl")}
  (filled / name).write_bytes(whole[name][:-cut])
  workdir = Workdir(filled, CONFIG)
  if name == "metrics.jsonl":
    assert workdir.rows("b", 0) == [metrics("b")]
  workdir.keep("b", 0, 0)
  workdir.append(metrics("b", step=1), selection("b", step=1))
  assert {path.name: path.read_bytes() for path in filled.glob("*.jsonl")} == whole


def test_keep(filled):
  workdir = Workdir(filled, CONFIG)
  workdir.keep("a", 0, 1)
  workdir.keep("b", 0, -1)
  workdir.keep("b", 1, -1)
  for view in (workdir, Workdir(filled, CONFIG)):
    assert view.all_rows() == [metrics("a", step=i) for i in range(2)]
  assert len((filled / "selections.jsonl").read_text().splitlines()) == 2


def test_a_finished_run_has_its_selection(tmp_path, monkeypatch):
  """Killed between the two files of a step: the metrics, which end a run, are not there first."""
  workdir = Workdir(tmp_path, CONFIG)
  written = []
  monkeypatch.setattr("os.fsync", lambda fd: written.append(
      {path.name for path in tmp_path.glob("*.jsonl")}))
  workdir.append(metrics(), selection())
  assert written == [{"selections.jsonl"}, {"selections.jsonl", "metrics.jsonl"}]


def test_checkpoints_of_each_run_apart(tmp_path):
  workdir = Workdir(tmp_path, CONFIG)
  folders = {workdir.checkpoints(name, seed) for name in "ab" for seed in range(2)}
  assert len(folders) == 4 and all(tmp_path in folder.parents for folder in folders)


def test_the_same_configuration_goes_on(filled):
  Workdir(filled, json.loads(json.dumps(CONFIG)))  # tuples or lists


def test_another_configuration_is_refused_by_its_keys(filled):
  other = {"name": "x", "svm": {"c": 2.0, "loss": "hinge"}, "strategies": ("a",), "new": 1}
  with pytest.raises(DataError) as caught:
    Workdir(filled, other)
  message = str(caught.value)
  assert "svm.c: 1.0 there, 2.0 now" in message and "new: None there, 1 now" in message
  assert "strategies: ['a', 'b'] there, ['a'] now" in message and str(filled) in message
  assert "loss" not in message and "name" not in message and "Give another folder" in message
  assert len(Workdir(filled, CONFIG).all_rows()) == 5  # nothing was touched


def test_many_differences_are_counted(tmp_path):
  Workdir(tmp_path, {f"k{i}": 0 for i in range(20)})
  (tmp_path / "metrics.jsonl").write_text("")  # with results, it belongs to its configuration
  with pytest.raises(DataError, match="and 12 more"):
    Workdir(tmp_path, {f"k{i}": 1 for i in range(20)})


def test_folders_that_cannot_be_used(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(DataError, match="is a file"):
    Workdir(tmp_path / "file", CONFIG)
  (tmp_path / "old").mkdir()
  (tmp_path / "old" / "metrics.jsonl").write_text("")
  with pytest.raises(DataError, match="no config.json"):
    Workdir(tmp_path / "old", CONFIG)
  (tmp_path / "torn").mkdir()
  (tmp_path / "torn" / "config.json").write_text('{"name":')
  (tmp_path / "torn" / "metrics.jsonl").write_text("")
  with pytest.raises(DataError, match="is not JSON"):
    Workdir(tmp_path / "torn", CONFIG)


def test_json_appears_whole_or_not_at_all(tmp_path):
  path = tmp_path / "a.json"
  write_json(path, {"b": 1})
  with pytest.raises(ValueError):
    write_json(path, {"b": float("nan")})  # JSON has none
  assert json.loads(path.read_text()) == {"b": 1}
  assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_without_results_the_configuration_may_change(tmp_path):
  Workdir(tmp_path, CONFIG)
  Workdir(tmp_path, CONFIG | {"name": "corrected"})
  assert json.loads((tmp_path / "config.json").read_text())["name"] == "corrected"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_named(tmp_path):
  (tmp_path / "rows.jsonl").symlink_to("/dev/full")
  with pytest.raises(OSError) as fault:
    append_row(tmp_path / "rows.jsonl", {"step": 0})
  assert fault.value.filename == str(tmp_path / "rows.jsonl")
  (tmp_path / "config.json.part").symlink_to("/dev/full")
  with pytest.raises(OSError) as fault:
    write_json(tmp_path / "config.json", {})
  assert fault.value.filename == str(tmp_path / "config.json")
