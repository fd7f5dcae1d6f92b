"""The binary: its files and its table, end to end, and the faults of its user."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import glance as lib
from tal_jax.errors import DataError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def database(num_classes=3):
  entry = {"subset": "training", "duration": 100.0, "annotations": [
      {"label": f"class {i:03d}", "segment": [i / 10, 15.0]} for i in range(num_classes)]}
  return {"a": entry, "b": {"subset": "validation", "duration": 40.0, "annotations": [
              {"label": "class 000", "segment": [0, 40.0]},
              {"label": "class 000", "segment": [3, 3]}]},
          "c": {"subset": "testing", "duration": 9.0, "annotations": []}}


@pytest.fixture
def write(tmp_path):
  def do(content):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"version": "1", "taxonomy": [], "database": content}))
    return str(path)
  return do


def command(*args, cwd=ROOT):
  return subprocess.run([sys.executable, "-m", "experiments.glance", *args], cwd=cwd,
                        capture_output=True, text=True, timeout=120)


def test_end_to_end(write, tmp_path):
  done = command(f"--annotations={write(database())}", f"--output={tmp_path}/new/out")
  assert (done.returncode, done.stderr) == (0, "")
  assert sorted(x.name for x in (tmp_path / "new/out").iterdir()) == ["glance.json", "glance.png"]
  result = json.loads((tmp_path / "new/out/glance.json").read_text())
  assert (result["annotations"], result["subset"]) == (["truth.json"], "all")
  assert (result["videos"], result["instances"], result["left_out"]["empty"]) == (3, 4, 1)
  assert result["attributes"]["number"]["share"] == [0.25, 0.75, 0, 0, 0]
  lines = done.stdout.splitlines()
  assert lines[0] == ("truth.json, subset all: 4 instances of 3 classes in 2 videos "
                      "(2.00 a video)")
  assert lines[1] == "note: 1 of 5 annotated truths left out: 1 empty"
  assert ["XS", "(0,", "0.2]", "3", "75.0"] in map(str.split, lines)
  assert ["class", "000", "2", "2"] in map(str.split, lines)
  assert str(tmp_path / "new/out/glance.png") in lines[-1]


def test_figure(write, tmp_path, monkeypatch):
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt
  kept = []
  monkeypatch.setattr(plt, "close", kept.append)
  result = lib.run(write(database(100)), tmp_path / "out")
  assert sorted(x.name for x in (tmp_path / "out").iterdir()) == ["glance.json", "glance.png"]
  with Image.open(tmp_path / "out/glance.png") as image:
    assert image.width > 1000 and np.asarray(image).std() > 5
  classes, *others = kept[0].axes
  drawn = [[bar.get_height() for bar in group] for group in classes.containers]
  assert drawn == [[row[key] for row in result["classes"]] for key in ("instances", "videos")]
  for axis, bins in zip(others[:3], result["attributes"].values(), strict=True):
    np.testing.assert_allclose([bar.get_height() for bar in axis.containers[0]],
                               100 * np.array(bins["share"]))
  for axis, pair in zip(others[3:], result["pairs"], strict=True):
    written = np.array([float(text.get_text()) for text in axis.texts]).reshape(5, 5)
    np.testing.assert_allclose(written, 100 * np.array(pair["share"]), atol=0.0501)
    assert pair["rows"].capitalize() in axis.get_title()


def test_a_subset(write, tmp_path, monkeypatch):
  monkeypatch.setattr(lib, "draw", lambda result, path: None)
  result = lib.run(write(database()), tmp_path / "out", subset="validation")
  assert (result["videos"], result["instances"], result["subset"]) == (1, 1, "validation")
  assert [row["name"] for row in result["classes"]] == ["class 000"]


def test_unknown_durations_are_said(write, tmp_path):
  content = database()
  content["a"]["duration"] = content["b"]["duration"] = 0.0
  result = lib.run(write(content), tmp_path / "out")
  assert (tmp_path / "out/glance.png").is_file()
  assert result["attributes"]["coverage"]["share"] is None
  assert "4 instances of videos without a duration" in lib.table(result)


def test_durations_of_another_file(tmp_path, monkeypatch):
  """EPIC-Kitchens has none: they come with --video_info, and no message names another option."""
  monkeypatch.setattr(lib, "draw", lambda result, path: None)
  path = tmp_path / "EPIC_100_train.csv"
  path.write_text("video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
                  "P1,00:00:00,00:00:30,3,7\nP1,00:00:40,00:00:50,4,7\n")
  (tmp_path / "info.csv").write_text("video_id,duration\nP1,100\n")
  result = lib.run(str(path), tmp_path / "out", video_info=str(tmp_path / "info.csv"), label="noun")
  assert [row["name"] for row in result["classes"]] == ["noun 7"]
  assert result["attributes"]["coverage"]["share"] == [0.5, 0.5, 0, 0, 0]
  assert "2 instances of videos without a duration" in lib.table(lib.run(str(path), tmp_path / "o"))
  with pytest.raises(DataError, match="--label = 'x'"):
    lib.run(str(path), tmp_path / "out", label="x")


def test_table_of_many_classes(write, tmp_path, monkeypatch):
  monkeypatch.setattr(lib, "draw", lambda result, path: None)
  text = lib.table(lib.run(write(database(30)), tmp_path / "out"), classes=2).splitlines()
  assert [line.split("  ")[0] for line in text[-5:]] == ["class 000", "class 001", "",
                                                         "class 028", "class 029"]


@pytest.mark.parametrize("subset, message", [
    ("val", "did you mean 'validation'"), ("testing", "no instance to count.*--subset=all"),
    ("nothing", "subsets there: 'testing', 'training', 'validation'")])
def test_faults_of_the_subset(write, tmp_path, subset, message):
  with pytest.raises(DataError, match=message):
    lib.run(write(database()), tmp_path / "out", subset=subset)
  assert not (tmp_path / "out").exists()


def test_faults_end_with_exit_code_2(tmp_path):
  done = command("--annotations=none.json", f"--output={tmp_path}/out")
  assert done.returncode == 2 and "none.json" in done.stderr, done.stderr
  assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
