"""Label Studio's JSON and the csv of a campaign, by hand; every fault says where it is."""

import json
import math

import numpy as np
import pytest

from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError


def write(path, tasks):
  path.write_text(json.dumps(tasks))
  return path


def region(first, last, label="run"):
  return {"type": "timelinelabels", "value": {"ranges": [{"start": first, "end": last}],
                                              "timelinelabels": [label]}}


def task(*regions, data=None, **annotation):
  return {"data": {"video": "/data/local-files/?d=clips/a%20b.mp4", "fps": 10} | (data or {}),
          "annotations": [{"result": list(regions)} | annotation]}


def test_frames_are_seconds(tmp_path):
  """Frames count from 1, the last one inside; two tasks of a video are one video."""
  absent = {"type": "choices", "value": {"choices": ["The action is not here"]}}
  other = task(absent, data={"tal_jax_video": "c", "duration": 4.5})
  read = read_annotations(write(tmp_path / "validation.json", [
      task(region(11, 20), region(1, 1)), other, task(region(31, 35, "jump"))]),
                          needs_durations=False)
  assert list(read.videos) == ["a b", "c"] and read.classes == ("jump", "run")
  video = read.videos["a b"]
  np.testing.assert_allclose(video.segments, [[0, 0.1], [1, 2], [3, 3.5]])
  assert video.labels == ("run", "run", "jump") and video.subset == "validation"
  assert video.extra == {"fps": 10.0} and math.isnan(video.duration)
  assert (read.videos["c"].labels, read.videos["c"].duration) == ((), 4.5)


def test_exact_seconds_stand_where_the_frames_were_not_moved(tmp_path):
  data = {"instances": [{"start": 1.02, "end": 1.98}, {"start": 5.0, "end": 6.0}]}
  read = read_annotations(write(tmp_path / "a.json", [
      task(region(11, 20), region(52, 60), data=data)]), needs_durations=False)
  np.testing.assert_allclose(read.videos["a b"].segments, [[1.02, 1.98], [5.1, 6.0]])


def test_what_tells_nothing_is_left_out(tmp_path):
  several = task(region(1, 10))
  several["annotations"] += [{"result": [region(21, 30)], "ground_truth": True}]
  read = read_annotations(write(tmp_path / "a.json", [
      task(region(1, 5), was_cancelled=True, data={"video": "x.mp4"}),
      {"data": {"video": "y.mp4"}, "annotations": []}, several]), needs_durations=False)
  assert list(read.videos) == ["a b"]
  np.testing.assert_allclose(read.videos["a b"].segments, [[2, 3]])


@pytest.mark.parametrize(("bad", "said"), [
    (task(region(0, 5)), "from 1 on"), (task(region(5, 4)), "two whole numbers"),
    (task(region(1.5, 4)), "two whole numbers"), (task(region(1, 4, " ")), "label is blank"),
    (task(region(1, 4), data={"fps": None}), "no fps"), (task(data={"video": ""}), "no video"),
    (task() | {"annotations": 3}, "not a list"), (task(7), "not an object"), (7, "not an object"),
    (task() | {"annotations": [{"result": []}, {"result": []}]}, "ground truth")])
def test_faults_name_the_task(tmp_path, bad, said):
  with pytest.raises(DataError, match=f"(?s)task 1.*{said}"):
    read_annotations(write(tmp_path / "a.json", [task(region(1, 2)), bad]), format="label_studio")


def test_the_csv_of_a_campaign(tmp_path):
  path = tmp_path / "train.csv"
  path.write_text("video,duration,label,start,end,source,task_state\n"
                  "'=a,10.0,run,1.5,2.0,consensus,agreed\n'=a,10.0,jump,,,,agreed\n"
                  "b,5,'@x,,,,adjudicated\nc,7,,,,program: damaged,excluded\n")
  read = read_annotations(path)
  assert {name: (v.segments.tolist(), v.labels, v.duration) for name, v in read.videos.items()} == {
      "=a": ([[1.5, 2.0]], ("run",), 10.0), "b": ([], (), 5.0)}
  path.write_text("video,duration,label,start,end,task_state\na,10,run,1,x,agreed\n"
                  "a,10,,1,2,agreed\n")
  with pytest.raises(DataError, match="(?s)line 2: end = 'x'.*line 3: the video or the label"):
    read_annotations(path)
