"""What is asked of annotations, whatever format they came in."""

import json

import numpy as np
import pytest

from tal_jax.data import annotations as lib
from tal_jax.data.annotation_fields import frame_rate, frame_segments
from tal_jax.data.records import VideoAnnotation
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError


def content(*ids, **fields):
  return {"database": {i: {"subset": "training", "duration": 10, "annotations": [
      {"segment": [1, 2], "label": f"c{i}"}], **fields} for i in ids}}


def write(path, *args, **fields):
  path.write_text(json.dumps(content(*args, **fields)))
  return path


def video(duration=10.0, **extra):
  return VideoAnnotation("x", "s", duration, np.zeros((2, 2)), ("l", "l"), extra)


def test_several_files(tmp_path):
  paths = [write(tmp_path / "train.json", "b", "a"), write(tmp_path / "val.json", "c")]
  for path in (paths, f"{paths[0]}, {paths[1]}"):
    read = lib.read_annotations(path)
    assert tuple(read.videos) == ("b", "a", "c") and read.classes == ("ca", "cb", "cc")
  found = lib.scan(paths)
  assert not found.faults and ["train.json" in x for x in found.statements] == [True, False]
  twice = [*paths, write(tmp_path / "again.json", "a", "c")]
  assert [x.video_id for x in lib.scan(twice).faults] == ["a", "c"]
  with pytest.raises(DataError, match="a: duplicate id, in 2 annotation files, and 1 more"):
    lib.read_annotations(twice)


def test_several(tmp_path):
  odd = write(tmp_path / "a,b.json", "a")
  assert lib.several(str(odd)) == [str(odd)]
  assert lib.several(odd) == [odd] and lib.several("x") == ["x"]
  assert lib.several("x, y,") == ["x", "y"] and lib.several(("x,y", "z")) == ["x,y", "z"]


def test_scan_leaves_out_and_lists(tmp_path):
  broken = content("a", "b")
  broken["database"]["a"] = {}
  (tmp_path / "a.json").write_text(json.dumps(broken))
  read, faults, _ = lib.scan(tmp_path / "a.json")
  assert tuple(read.videos) == ("b",)
  assert faults == [("a", "lacks the field(s) subset, duration, annotations")]


def test_missing_file(tmp_path):
  with pytest.raises(DataError, match="cannot read .*nothing.json"):
    lib.read_annotations(tmp_path / "nothing.json")


def test_select(tmp_path):
  read = lib.read_annotations(write(tmp_path / "a.json", "b", "a"))
  assert lib.select(read, ["a"]).classes == ("ca",)
  assert tuple(lib.select(read, "ab").videos) == ("a", "b")
  with pytest.raises(DataError, match="1 video id.*: c$"):
    lib.select(read, ["a", "c"])


def test_find_id():
  assert find_id("x", {"x", "v_x"}) == "x"
  assert find_id("x", {"v_x"}) == "v_x"
  assert find_id("v_x", {"x"}) == "x"
  assert find_id("y", {"x"}) is None


@pytest.mark.parametrize("names", [
    ("Validation", "validation", "val", "VALID", " val ", "val_subset"),
    ("train", "Training", "training_subset"), ("Test", "test", "testing"), ("fold1", "Fold1")])
def test_spellings_of_subsets(names):
  assert all(lib.same_subset(names[0], name) for name in names)
  assert not any(lib.same_subset(name, "other") for name in names)


@pytest.mark.parametrize(("name", "subset"), [
    ("EPIC_100_train.csv", "training"), ("/data/test/Charades_v1_test.csv", "testing"),
    ("activitynet1.2_tag_val_normalized.txt", "validation"), ("contest.csv", "contest")])
def test_subset_of_file(name, subset):
  assert lib.subset_of_file(name) == subset


def test_frame_rate():
  assert frame_rate(video(fps=25)) == 25 and frame_rate(video()) is None
  assert frame_rate(video(frame=300)) == frame_rate(video(duration_frame=300)) == 30
  assert frame_rate(video(fps="x", frame=300)) is None  # not what it says it is
  assert frame_rate(video(fps=0)) is None and frame_rate(video(0.0, frame=3)) is None


def test_frame_segments():
  fields = [{"segment(frames)": [30, 60.5], "label_id": 1}, {"label_id": 2}]
  np.testing.assert_array_equal(frame_segments(video(annotation_fields=fields)),
                                [[30, 60.5], [np.nan, np.nan]])
  assert frame_segments(video()) is None
  assert frame_segments(video(annotation_fields=[{"x": 1}, {"segment_frame": [1]}])) is None


@pytest.mark.parametrize(("subsets", "name", "expected"), [
    (("validation", "validation"), "", "validation"),
    (("training", "validation"), "", "testing"),
    (("training", "training"), "testing", "testing"),
])
def test_one_subset(subsets, name, expected):
  videos = [VideoAnnotation(f"v{i}", subset, 9.0, np.array([[1.0, 2.0]]), ("run",), {"url": "x"})
            for i, subset in enumerate(subsets)]
  found = lib.in_one_subset(lib.from_videos(videos), name)
  assert [video.subset for video in found.videos.values()] == [expected] * 2
  assert found.videos["v1"]._replace(subset="") == videos[1]._replace(subset="")
