"""Reading of ActivityNet-format annotations."""

import json

import numpy as np
import pytest

from tal_jax.data import annotations as lib
from tal_jax.data.types import DataError

GOOD = {"database": {
    "b": {"subset": "training", "duration": 10, "fps": 25, "annotations": [
        {"segment": [1, 2.5], "label": "run"}, {"segment": [9, 3], "label": "jump"}]},
    "a": {"subset": "validation", "duration": 5.5, "tags": [{"x": 1}], "annotations": []}}}


def write(tmp_path, content):
  path = tmp_path / "a.json"
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def test_reads_and_writes_back(tmp_path):
  read = lib.read_annotations(write(tmp_path, GOOD))
  assert tuple(read.videos) == ("b", "a") and read.classes == ("jump", "run")
  video = read.videos["b"]
  assert (video.subset, video.duration, video.labels) == ("training", 10.0, ("run", "jump"))
  assert video.extra == {"fps": 25} and read.videos["a"].extra == {"tags": [{"x": 1}]}
  # Faults of value, here end < start, are read as they stand.
  np.testing.assert_array_equal(video.segments, [[1, 2.5], [9, 3]])
  assert read.videos["a"].segments.shape == (0, 2)
  lib.write_annotations(tmp_path / "again.json", read)
  again = lib.read_annotations(tmp_path / "again.json")
  assert again.classes == read.classes and tuple(again.videos) == tuple(read.videos)
  for video_id, video in read.videos.items():
    assert again.videos[video_id].extra == video.extra
    np.testing.assert_array_equal(again.videos[video_id].segments, video.segments)


@pytest.mark.parametrize(("content", "message"), [
    ("{", "is not JSON"), ("[]", "no 'database'"), ('{"database": []}', "no 'database'"),
    ("{}", "no 'database'"),
    ({"database": {"x": {"duration": 1, "annotations": []}}}, "x: lacks the field.* subset"),
    ({"database": {"x": 3}}, "x: is not an object"),
    ({"database": {"x": {"subset": 1, "duration": 1, "annotations": []}}}, "'subset' is not"),
    ({"database": {"x": {"subset": "s", "duration": "1", "annotations": []}}}, "'duration' is not"),
    ({"database": {"x": {"subset": "s", "duration": 1, "annotations": {}}}}, "is not a list"),
    ({"database": {"x": {"subset": "s", "duration": 1, "annotations": [{"label": "l"}]}}},
     r"annotations\[0\] has no 'segment'"),
    ({"database": {"x": {"subset": "s", "duration": 1, "annotations": [{"segment": [0, 1]}]}}},
     r"annotations\[0\] has no text 'label'"),
    ('{"database": {"x": {"subset": "s", "duration": 1, "annotations": []},'
     ' "x": {"subset": "s", "duration": 2, "annotations": []}}}',
     "x: duplicate id, occurs 2 times"),
])
def test_structural_faults(tmp_path, content, message):
  with pytest.raises(DataError, match=message):
    lib.read_annotations(write(tmp_path, content))


def test_all_faults_in_one_message(tmp_path):
  path = write(tmp_path, {"database": {f"x{i}": {} for i in range(30)} | GOOD["database"]})
  with pytest.raises(DataError, match=r"30 fault\(s\)(.|\n)*x19: lacks(.|\n)*and 10 more"):
    lib.read_annotations(path)
  read, faults = lib.scan(path)
  assert tuple(read.videos) == ("b", "a") and len(faults) == 30


def test_missing_file(tmp_path):
  with pytest.raises(DataError, match="cannot read .*nothing.json"):
    lib.read_annotations(tmp_path / "nothing.json")


def test_select(tmp_path):
  read = lib.read_annotations(write(tmp_path, GOOD))
  assert lib.select(read, ["a"]).classes == ()
  assert tuple(lib.select(read, "ab").videos) == ("a", "b")
  with pytest.raises(DataError, match="1 video id.*: c$"):
    lib.select(read, ["a", "c"])


def test_find_id():
  assert lib.find_id("x", {"x", "v_x"}) == "x"
  assert lib.find_id("x", {"v_x"}) == "v_x"
  assert lib.find_id("v_x", {"x"}) == "x"
  assert lib.find_id("y", {"x"}) is None


def test_real_files(data_dir):
  """The counts that the data sets publish."""
  anet = lib.read_annotations(data_dir / "activitynet" / "activity_net.v1-3.json")
  assert (len(anet.videos), len(anet.classes)) == (14950, 200)
  assert sum(len(video.segments) for video in anet.videos.values()) == 23064
  hapt = lib.read_annotations(data_dir / "hapt" / "hapt.json")
  assert (len(hapt.videos), len(hapt.classes)) == (340, 12)
