"""Annotations in tables: our csv, Kinetics, Charades, EPIC-Kitchens."""

import numpy as np
import pytest

from tal_jax.data.annotation_fields import frame_segments
from tal_jax.data.annotations import from_videos, read_annotations, write_annotations
from tal_jax.data.formats import registry
from tal_jax.data.records import VideoAnnotation
from tal_jax.errors import DataError
from tests.data.formats.test_annotation_json import assert_same
from tests.data.formats.test_registry import TEXT_SAMPLES


def write(tmp_path, text, name="a.csv"):
  (tmp_path / name).write_text(text)
  return tmp_path / name


def faults(path, **options):
  return [tuple(x) for x in registry.read(path, "annotations", strict=False, **options).faults]


def test_own_csv_is_read_back(tmp_path):
  extra = {"fps": 29.97, "subject": "007", "site": "a, \"b\""}
  annotations = from_videos([
      VideoAnnotation("v1", "training", 10.1, np.array([[0.1, 1 / 3], [5, 4]]), ("x, y", "z"),
                      extra),
      VideoAnnotation("v0", "validation", 5.0, np.zeros((0, 2)), (), {})])
  write_annotations(tmp_path / "a.csv", annotations, format="csv")
  assert_same(read_annotations(tmp_path / "a.csv"), annotations)


def test_texts_stay_texts(tmp_path):
  """Only the frame rate and numbers of frames are numbers; NaN is a name."""
  people = ("001", "01", "1", "NaN", "1e1", "10", "Nan", "inf", "true")
  lines = [f"v{i},training,9,x,{start},5,{name},25,300"
           for i, name in enumerate(people) for start in (1, 2)]
  path = write(tmp_path, "\n".join(
      ["video_id,subset,duration,label,start,end,subject,fps,num_frames", *lines]) + "\n")
  read = read_annotations(path)
  assert tuple(v.extra["subject"] for v in read.videos.values()) == people
  assert all(v.extra["fps"] == 25 and v.extra["num_frames"] == 300 and len(v.labels) == 2
             for v in read.videos.values())
  write_annotations(tmp_path / "back.csv", read, format="csv")
  assert_same(read_annotations(tmp_path / "back.csv"), read)
  assert ",001,25,300\n" in (tmp_path / "back.csv").read_text()


OWN = ("video_id,subset,duration,label,start,end,subject\n"
       "a,training,30.5,jump,1.5,5.5,07\nb,validation,20,wave,2,3,08\n")


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r"), lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace(",", ";"), lambda text: text.replace(",", "\t"),
    lambda text: text.replace(",", ";").replace(".", ","),
    lambda text: text.replace("video_id,subset", "Video ID,SUBSET").replace("subject", "Subject"),
    lambda text: "# exported\n\n" + text, lambda text: "sep=,\n" + text,
    lambda text: "".join(f"{'' if i == 0 else i},{line}\n"
                         for i, line in enumerate(text.splitlines())),
    lambda text: "".join(f"{line},,\n" for line in text.splitlines()),
    lambda text: text.replace(",", ", ").replace("jump", '"jump"')])
def test_own_csv_as_programs_write_it(tmp_path, change):
  expected = read_annotations(write(tmp_path, OWN))
  (tmp_path / "b.csv").write_bytes(change(OWN).encode())
  assert_same(read_annotations(tmp_path / "b.csv"), expected)


def test_own_csv_without_subset_and_duration(tmp_path):
  path = write(tmp_path, "video_id,label,start,end\na,x,1,2\n", "my_val.csv")
  video = read_annotations(path, needs_durations=False).videos["a"]
  assert video.subset == "validation" and np.isnan(video.duration) and video.labels == ("x",)
  with pytest.raises(DataError, match="no duration.*Give data.video_info"):
    read_annotations(path)
  assert faults(write(tmp_path, "video_id,label,start,end\na,,1,2\n,x,1,2\n")) == [
      ("a", "line 2: label is blank"), ("", "line 3: video_id is blank")]
  with pytest.raises(DataError, match="names the column 'end' twice"):
    read_annotations(write(tmp_path, "video_id,label,start,end,end\na,x,1,2,3\n"))


def test_own_csv_faults(tmp_path):
  path = write(tmp_path, TEXT_SAMPLES["csv"] + "a,training,11,x,1,2\n"
               "b,training,x,x,1,2\na,training,10,x,,2\na,b\n")
  assert faults(path) == [
      ("", "line 6 has 2 columns, the first line names 6"),
      ("a", "line 3: other fields of the video than in its first line"),
      ("b", "line 4: duration = 'x' is not a number"),
      ("a", "line 5: start = '' is not a number")]


KINETICS = "label,youtube_id,time_start,time_end,split\nrun,a,4,14,train\nsit,b,0,8,train\n"


def test_kinetics_clips(tmp_path):
  read = read_annotations(write(tmp_path, KINETICS))
  assert read.classes == ("run", "sit") and read.videos["a"].subset == "train"
  assert (read.videos["a"].duration, read.videos["b"].duration) == (10, 8)
  np.testing.assert_array_equal(read.videos["a"].segments, [[0, 10]])
  assert read.videos["a"].extra == {"clip": [4, 14]}


def test_kinetics_with_background(tmp_path):
  """The paper, Sec. 5.3: what is not the clip is background."""
  info = write(tmp_path, "youtube_id,duration,fps\na,60.5,25\nv_b,30,\n", "info.csv")
  path = write(tmp_path, KINETICS + "jump,a,20,30,train\n")
  read = read_annotations(path, background=True, video_info=info)
  a, b = read.videos["a"], read.videos["b"]
  assert (a.duration, b.duration) == (60.5, 30.0) and a.extra["fps"] == 25 and "fps" not in b.extra
  np.testing.assert_array_equal(a.segments, [[4, 14], [20, 30]])
  np.testing.assert_array_equal(b.segments, [[0, 8]])
  assert faults(path) == [("a", "duplicate id, again in line 4")]
  path = write(tmp_path, KINETICS + "x,c,1,2,train\n")
  assert faults(path, background=True, video_info=info) == [("c", f"no duration in {info}")]
  with pytest.raises(DataError, match="Give data.video_info"):
    read_annotations(path, background=True)
  with pytest.raises(DataError, match="is for data.background=True"):
    read_annotations(path, video_info=info)


def test_kinetics_faults_and_test_set(tmp_path):
  path = write(tmp_path, "youtube_id,time_start,time_end,split\na,4,14,test\nb,x,3,test\n")
  assert faults(path) == [("b", "line 3: time_start = 'x' is not a number")]
  video = registry.read(path, "annotations", strict=False).value.videos["a"]
  assert video.labels == () and video.segments.shape == (0, 2) and video.duration == 10


def test_kinetics_real(data_dir):
  read = read_annotations(data_dir / "kinetics" / "kinetics-400_val.csv")
  assert (len(read.videos), len(read.classes)) == (19906, 400)
  assert all(len(video.segments) == 1 for video in read.videos.values())


CHARADES = ('id,subject,script,actions,length\n'
            'A,S1,"stands, goes",c092 11.90 21.20;c147 0.00 12.60,24.5\nB,S2,nothing,,30\n')


def test_charades(tmp_path):
  read = read_annotations(write(tmp_path, CHARADES, "Charades_v1_train.csv"))
  a, b = read.videos["A"], read.videos["B"]
  assert (a.subset, a.duration, a.labels) == ("training", 24.5, ("c092", "c147"))
  np.testing.assert_array_equal(a.segments, [[11.9, 21.2], [0, 12.6]])
  assert a.extra == {"subject": "S1"} and b.segments.shape == (0, 2)
  path = write(tmp_path, CHARADES + "C,S1,x,c092 1,9\nD,S1,x,,long\nA,S1,x,,9\n")
  assert faults(path) == [
      ("C", "line 4: actions are 'code start end;...', not 'c092 1'"),
      ("D", "line 5: length = 'long' is not a number"), ("A", "duplicate id, again in line 6")]


EPIC = ("narration_id,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,"
        "stop_frame,verb,verb_class,noun_class\n"
        "n0,P01,P01_01,00:00:01.50,00:01:02.00,90,3720,put,1,10\n"
        "n1,P01,P01_01,01:00:00,01:00:01.25,216000,216075,put-down,1,11\n")


def test_epic(tmp_path):
  info = write(tmp_path, "video_id,duration,fps,resolution\nP01_01,4000.5,60,1920x1080\n", "i.csv")
  path = write(tmp_path, EPIC, "EPIC_100_validation.csv")
  video = read_annotations(path, video_info=info).videos["P01_01"]
  assert (video.subset, video.duration, video.labels) == ("validation", 4000.5, ("verb 1",) * 2)
  np.testing.assert_array_equal(video.segments, [[1.5, 62], [3600, 3601.25]])
  np.testing.assert_array_equal(frame_segments(video), [[90, 3720], [216000, 216075]])
  assert video.extra["fps"] == 60 and video.extra["subject"] == "P01"
  nouns = read_annotations(path, video_info=info, label="noun")
  assert nouns.classes == ("noun 10", "noun 11")
  with pytest.raises(DataError, match="EPIC_100_video_info.csv"):
    read_annotations(path)
  with pytest.raises(DataError, match="there are verb, noun"):
    read_annotations(path, video_info=info, label="action")
  bad = write(tmp_path, EPIC + "n,P02,P02_01,1.5,00:00:02,1,2,x,1,1\n"
              "n,P02,P02_02,00:00:01,00:00:02,1,2,x,1,1\n")
  assert faults(bad, video_info=info) == [
      ("P02_01", "line 4: start_timestamp = '1.5' is not hh:mm:ss.ff"),
      ("P02_02", f"no duration in {info}")]


@pytest.mark.parametrize(("text", "message"), [
    ("a,b\n1,2\n", "need a column of ids .* there are a, b"),
    ("video_id,duration\nx,long\n", "line 2: duration = 'long'"),
    ("video_id,duration\nx,1,2\n", "line 2 has 3 columns"), ("", "is empty")])
def test_video_info_faults(tmp_path, text, message):
  with pytest.raises(DataError, match=message):
    read_annotations(write(tmp_path, KINETICS), background=True,
                     video_info=write(tmp_path, text, "info.csv"))
