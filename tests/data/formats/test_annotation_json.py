"""ActivityNet's JSON and its dialects."""

import json

import numpy as np
import pytest

from tal_jax.data import annotations as annotations_lib
from tal_jax.data.annotation_fields import ANNOTATION_FIELDS, frame_rate, frame_segments
from tal_jax.data.annotations import read_annotations
from tal_jax.data.formats import registry
from tal_jax.errors import DataError
from tests.data.formats.test_registry import JSON_SAMPLES

GOOD = {"database": {
    "b": {"subset": "training", "duration": 10, "fps": 25, "annotations": [
        {"segment": [1, 2.5], "label": "run"}, {"segment": [9, 3], "label": "jump"}]},
    "a": {"subset": "validation", "duration": 5.5, "tags": [{"x": 1}], "annotations": []}}}


def write(tmp_path, content):
  path = tmp_path / "a.json"
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def assert_same(a, b):
  assert a.classes == b.classes and tuple(a.videos) == tuple(b.videos)
  for video_id, video in a.videos.items():
    other = b.videos[video_id]
    assert video[:3] == other[:3] and video.labels == other.labels and video.extra == other.extra
    np.testing.assert_array_equal(video.segments, other.segments)


def test_reads_and_writes_back(tmp_path):
  read = read_annotations(write(tmp_path, GOOD))
  assert tuple(read.videos) == ("b", "a") and read.classes == ("jump", "run")
  video = read.videos["b"]
  assert (video.subset, video.duration, video.labels) == ("training", 10.0, ("run", "jump"))
  assert video.extra == {"fps": 25} and read.videos["a"].extra == {"tags": [{"x": 1}]}
  # Faults of value, here end < start, are read as they stand.
  np.testing.assert_array_equal(video.segments, [[1, 2.5], [9, 3]])
  assert read.videos["a"].segments.shape == (0, 2)
  annotations_lib.write_annotations(tmp_path / "again.json", read)
  assert_same(read_annotations(tmp_path / "again.json"), read)


@pytest.mark.parametrize("name", ["thumos14", "opentad"])
def test_dialects(tmp_path, name):
  """Seconds are used; frames and label numbers are kept, and written back."""
  read = read_annotations(write(tmp_path, JSON_SAMPLES[name]))
  video = read.videos["a"]
  np.testing.assert_array_equal(video.segments, [[1, 2]])
  np.testing.assert_array_equal(frame_segments(video), [[30, 60]])
  assert video.labels == ("x",)
  annotations_lib.write_annotations(tmp_path / "again.json", read)
  assert registry.detect(tmp_path / "again.json", "annotations")[0] == name
  assert_same(read_annotations(tmp_path / "again.json"), read)


def test_numbers_as_texts_and_no_duration(tmp_path):
  path = write(tmp_path, {"database": {
      "a": {"subset": "s", "fps": "25", "annotations": [{"segment": ["1.5", "2"], "label": "x"}]},
      "b": {"subset": "s", "duration": "7", "annotations": []}}})
  read = read_annotations(path, needs_durations=False)
  a, b = read.videos["a"], read.videos["b"]
  assert np.isnan(a.duration) and b.duration == 7.0 and frame_rate(a) == 25.0
  np.testing.assert_array_equal(a.segments, [[1.5, 2]])
  annotations_lib.write_annotations(tmp_path / "again.json", read)
  assert np.isnan(read_annotations(tmp_path / "again.json", needs_durations=False)
                  .videos["a"].duration)
  info = tmp_path / "info.csv"
  info.write_text("Video ID;Duration\nv_a;8,5\nb;3\n")
  filled = annotations_lib.scan(path, video_info=info)
  assert [x.duration for x in filled.annotations.videos.values()] == [8.5, 7.0]
  assert filled.statements[-1] == f"{info}: durations of 1 videos"


def test_opentad_writer(tmp_path):
  read = read_annotations(write(tmp_path, GOOD))
  annotations_lib.write_annotations(tmp_path / "again.json", read, format="opentad")
  again = read_annotations(tmp_path / "again.json")
  fields = again.videos["b"].extra[ANNOTATION_FIELDS]
  assert fields == [{"label_id": 1, "segment(frames)": [25.0, 62.5]},
                    {"label_id": 0, "segment(frames)": [225.0, 75.0]}]
  np.testing.assert_array_equal(again.videos["b"].segments, read.videos["b"].segments)


@pytest.mark.parametrize(("content", "message"), [
    ("{", "no known format"), ("[]", "no known format"), ('{"database": []}', "no known format"),
    ('{"database": {', "is not JSON.* Is the file complete"),
    ({"database": {"x": {"duration": 1, "annotations": []}}}, "x: lacks the field.* subset"),
    ({"database": {"x": 3}}, "x: is not an object"),
    ({"database": {"x": {"subset": 1, "duration": 1, "annotations": []}}}, "'subset' is not"),
    ({"database": {"x": {"subset": "s", "duration": "1 s", "annotations": []}}},
     "'duration' is not a number but '1 s'"),
    ({"database": {"x": {"subset": "s", "duration": 1, "annotations": [
        {"label": " ", "segment": [0, 1]}]}}}, r"annotations\[0\]: the label is blank"),
    ({"database": {"x": {"subset": "s", "duration": 1, "annotations": [
        {"label": "l", "segment": ["65,9", "67.4"]}]}}}, r"'segment' of two .*'65,9', '67.4'"),
    ({"database": {"x": {"subset": "s", "annotations": []}}}, "1 of 1 videos have no duration.*x"),
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
    read_annotations(write(tmp_path, content))


@pytest.mark.parametrize("content", ["[]", "{}", '{"database": []}'])
def test_as_asked_but_something_else(tmp_path, content):
  with pytest.raises(DataError, match="no 'database'"):
    read_annotations(write(tmp_path, content), format="activitynet")


def test_real_files(data_dir):
  """The counts that the data sets publish, and THUMOS14's frames against its seconds."""
  anet = read_annotations(data_dir / "activitynet" / "activity_net.v1-3.json")
  assert (len(anet.videos), len(anet.classes)) == (14950, 200)
  assert sum(len(video.segments) for video in anet.videos.values()) == 23064
  hapt = read_annotations(data_dir / "hapt" / "hapt.json")
  assert (len(hapt.videos), len(hapt.classes)) == (340, 12)
  thumos = read_annotations(data_dir / "thumos14" / "thumos14_v2.json")
  assert (len(thumos.videos), len(thumos.classes)) == (412, 20)
  worst = max(np.abs(frame_segments(video) / frame_rate(video) - video.segments).max()
              for video in thumos.videos.values() if len(video.segments))
  assert 0.01 < worst < 0.7  # seconds have one decimal, and some rates are not quite 30
