"""BSN's and MultiTHUMOS' JSON, and THUMOS14's texts."""

import json

import numpy as np
import pytest

from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.annotations import IGNORED, read_annotations
from tal_jax.data.formats import registry
from tal_jax.errors import DataError
from tests.data.formats.test_registry import JSON_SAMPLES


def write(path, content):
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return path


def faults(path):
  return [tuple(x) for x in registry.read(path, "annotations", strict=False).faults]


def test_bsn(tmp_path):
  path = write(tmp_path / "a.json", JSON_SAMPLES["bsn"])
  info = write(tmp_path / "i.csv", "video,numFrame,seconds,fps,subset\nv_a,300,10,30,training\n")
  video = read_annotations(path, video_info=info).videos["v_a"]
  assert (video.subset, video.duration, video.labels) == ("training", 10.0, ("x",))
  np.testing.assert_array_equal(video.segments, [[1, 2]])
  assert frame_rate(video) == 30 and read_annotations(path).videos["v_a"].subset == "a"
  bad = write(tmp_path / "b.json", JSON_SAMPLES["bsn"] | {"v_b": {"duration_second": 1}, "v_c": {
      "duration_second": 1, "annotations": [{"segment": [1], "label": "x"}]}})
  assert faults(bad) == [("v_b", "is no object with a list 'annotations'"),
                         ("v_c", "annotations[0] has no 'segment' of two numbers, but [1]")]


def test_actions(tmp_path):
  content = {"a": {"subset": "training", "duration": 30, "actions": [[3, 1, 4.5], ["run", 2, 3]]},
             "b": {"subset": "testing", "duration": 5, "actions": []}}
  read = read_annotations(write(tmp_path / "a.json", content))
  assert read.videos["a"].labels == ("class 3", "run") and read.videos["b"].subset == "testing"
  np.testing.assert_array_equal(read.videos["a"].segments, [[1, 4.5], [2, 3]])
  content["a"]["actions"] = [[3, 1]]
  assert faults(write(tmp_path / "a.json", content)) == [
      ("a", "actions[0] is not [class, start, end] but [3, 1]")]


def test_thumos_texts(tmp_path):
  """Ambiguous segments are no class; they are kept apart."""
  folder = tmp_path / "annotation"
  folder.mkdir()
  write(folder / "Dive_test.txt", "video_test_1  10.5 20\nvideo_test_2  1 2\n")
  write(folder / "Ambiguous_test.txt", "video_test_1 30 40\nvideo_test_3 5 6\n")
  info = write(tmp_path / "i.csv", "video_id,duration\nvideo_test_1,60\nvideo_test_2,9\n"
               "video_test_3,9\n")
  read = read_annotations(folder, video_info=info)
  assert read.classes == ("Dive",) and {x.subset for x in read.videos.values()} == {"testing"}
  assert read.videos["video_test_1"].extra == {IGNORED: [[30.0, 40.0]]}
  assert read.videos["video_test_1"].duration == 60 and not read.videos["video_test_3"].labels
  np.testing.assert_array_equal(read.videos["video_test_1"].segments, [[10.5, 20]])
  with pytest.raises(DataError, match="3 of 3 videos have no duration"):
    read_annotations(folder)
  write(folder / "Jump_test.txt", "video_test_1 10\n")
  assert faults(folder) == [("", "Jump_test.txt, line 1: 'video_test_1 10' is not 'id start end'")]
