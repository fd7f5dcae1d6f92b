"""A refusal says what was seen, the nearest format with what it lacks, and how to convert it."""

import csv
import io

import h5py
import numpy as np
import pytest

from tal_jax.data import feature_paths
from tal_jax.data.annotations import read_annotations
from tal_jax.data.formats import registry
from tal_jax.errors import DataError


def refusal(path, kind):
  """The message without the list of formats."""
  with pytest.raises(DataError, match="no known format") as fault:
    if kind == "features":
      feature_paths.read(path, format="auto", key=None)
    registry.detect(path, kind)
  return str(fault.value).partition("\nKnown are")[0]


@pytest.mark.parametrize(("text", "renamed"), [
    ("recording\tonset\toffset\tevent_label\nb.wav\t2.5\t4\tBark\n",
     {"recording": "video_id", "event_label": "label", "onset": "start", "offset": "end"}),
    ("No;Media file;Behavior;Start (s);Stop (s)\n1;b;Bark;2.5;4\n",
     {"Media file": "video_id", "Behavior": "label", "Start (s)": "start", "Stop (s)": "end"}),
    ("Filename|Begin Time|End Time|label\nb|2.5|4|Bark\n",
     {"Filename": "video_id", "Begin Time": "start", "End Time": "end"})])
def test_a_table_with_other_names_is_told_how_to_rename_them(tmp_path, text, renamed):
  path = tmp_path / "events.tsv"
  path.write_text(text)
  said = refusal(path, "annotations")
  assert "Nearest is 'csv', which needs also" in said
  for name, field in renamed.items():
    assert f"{field} ({name}?)" in said and f"{name!r}: {field!r}" in said
  mark = next(x for x in "\t;|" if x in text)
  assert f"sep={mark!r}" in said
  # What the advice does, done by hand, is read.
  rows = list(csv.DictReader(io.StringIO(text), delimiter=mark))
  with open(tmp_path / "new.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow([renamed.get(name, name) for name in rows[0]])
    writer.writerows(row.values() for row in rows)
  (video,) = read_annotations(tmp_path / "new.csv", needs_durations=False).videos.values()
  assert video.segments.tolist() == [[2.5, 4.0]] and video.labels == ("Bark",)


@pytest.mark.parametrize(("kind", "text", "said"), [
    ("annotations", "b.mp4,2.5,4,Bark\n", "a table without a line that names the columns; its "
     "first line is 'b.mp4,2.5,4,Bark'"),
    ("annotations", "onset\tduration\ttrial_type\n2\t3\tx\n",
     "Nearest is 'csv', which needs also video_id, label (trial_type?), start (onset?), end."),
    ("annotations", '{"v": {"duration": 9, "timestamps": [[0, 1]], "sentences": ["x"]}}',
     "Nearest is 'activitynet', which needs also database, subset, annotations, "
     "segment (timestamps?), label."),
    ("annotations", "annotation_id,video_id,start_timestamp,stop_timestamp,class_id\n",
     "Nearest is 'epic', which needs also verb_class, noun_class."),
    ("proposals", "clip,t_start,t_end,score\nb,1,2,0.5\n",
     "Nearest is 'bmn', which needs also xmin (t_start?), xmax (t_end?)."),
    ("predictions", '[{"video_id": "b", "segment": [1, 2], "label": "x", "score": 0.3}]',
     "Nearest is 'activitynet', which needs also results."),
    ("predictions", "video-id,label,confidence\n",
     "Nearest is 'activitynet', which needs also results, score (confidence?), segment.")])
def test_the_nearest_format_and_what_it_lacks(tmp_path, kind, text, said):
  path = tmp_path / "x.dat"
  path.write_text(text)
  message = refusal(path, kind)
  assert said in message.splitlines()[0], message
  way = message.splitlines()[1]
  assert way.startswith("To convert it: ") and "in seconds" in way
  assert ("video_id,subset,duration" if kind == "annotations" else '{"results"') in way


def test_two_columns_that_may_be_the_class_are_not_chosen_from(tmp_path):
  path = tmp_path / "x.csv"
  path.write_text("classname,youtube_id,subset,start,end,label\nDance,b,training,0,2,-1\n")
  said = refusal(path, "annotations")
  assert "needs also video_id (youtube_id?)" in said and "rename" not in said


def test_a_folder_of_texts_is_judged_by_the_first(tmp_path):
  (tmp_path / "b.txt").write_text("Tier\tBegin Time\tEnd Time\tAnnotation\nhand\t1\t2\twave\n")
  (tmp_path / "a.log").write_text("x")
  said = refusal(tmp_path, "annotations")
  assert "1 file with .log, 1 file with .txt" in said and "In b.txt: It is a table" in said
  assert "which needs also video_id, label (Annotation?), start (Begin Time?)" in said
  assert "a csv with a line per truth" in said


@pytest.mark.parametrize(("names", "said"), [
    (["b.mp4"], "1 file with .mp4, e.g. b.mp4. These are videos: experiments.extract_features"),
    (["b_1.jpg", "b_2.jpg"], "2 files with .jpg, .*These are pictures"),
    (["rgb/b.pt"], "In rgb: 1 file with .pt.*torch.load"),
    (["b.mat"], "scipy.io.loadmat")])
def test_folders_that_are_no_features(tmp_path, names, said):
  for name in names:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"\0\1")
  with pytest.raises(DataError, match=f"(?s){said}.*numpy.save") as fault:
    feature_paths.read(tmp_path, format="auto", key=None)
  assert "To convert it: a folder with a file per video" in str(fault.value)


def test_arrays_are_named_with_their_shape(tmp_path):
  np.save(tmp_path / "all.npy", np.zeros((3, 4, 5)))
  np.savez(tmp_path / "all.npz", b=np.zeros(3), a=np.zeros((2, 2)))
  with h5py.File(tmp_path / "all.bin", "w") as file:
    file["b"] = np.zeros((3, 2))
  for kind in ("features", "annotations"):
    assert "one array of shape (3, 4, 5)" in refusal(tmp_path / "all.npy", kind)
    said = refusal(tmp_path / "all.npz", kind)
    assert "a NumPy archive of the arrays a, b." in said and "feature_key" not in said
    assert "an HDF5 file" in refusal(tmp_path / "all.bin", kind)
  assert "Give its name the suffix .h5" in refusal(tmp_path / "all.bin", "features")
