"""Faults that all videos share, told by one line; and what other programs write into files."""

import json

import numpy as np
import pytest

from tal_jax.data import arrays
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.checks.validation import Read, validate
from tal_jax.data.features import open_store
from tal_jax.data.ground_truth import read_subset
from tal_jax.data.records import VideoAnnotation
from tal_jax.data.video_info import read_video_info
from tal_jax.errors import DataError


def annotations(segments, ids=None):
  """A video of 30 s for each list of segments."""
  return from_videos(
      VideoAnnotation(name, "training", 30.0, np.array(own, float).reshape(-1, 2),
                      ("x",) * len(own), {})
      for name, own in zip(ids or "abcdefghij", segments, strict=False))


def report(truth, **options):
  return validate(truth, None, split=None, read=Read(**options))


@pytest.mark.parametrize(("segments", "why"), [
    ([[[9, 4]], [[7, 2]], [[8, 1]]], r"3 of 3 truths, \[9, 4\] say: \[end, start\]\?"),
    ([[[9, 4]], [[12, 3]], [[8, 6]], [[2, 5]]], r"3 of 4 truths, .*\[start, length\]\?"),
    ([[[9, 9]], [[7, 7]], [[8, 8]]], "points in time"),
    ([[[29, 4]], [[27, 2]], [[28, 1]], [[1, 29.5]]], r"some are \[end, start\]")])
def test_bounds_that_are_no_start_and_end_are_one_fault(segments, why):
  found = report(annotations(segments)).by_kind()
  (problem,) = found["ends before starts"]
  assert problem.severity == "fatal" and not problem.video_id
  assert "empty truth" not in found
  with pytest.raises(DataError, match=why):
    report(annotations(segments)).raise_if_fatal()


def test_a_few_empty_truths_are_what_they_are():
  """ActivityNet has some."""
  found = report(annotations([[[9, 4]], [[3, 3]], *([[1, 2], [5, 8]] for _ in range(8))])).by_kind()
  assert "ends before starts" not in found and len(found["empty truth"]) == 2


@pytest.mark.parametrize("rename", [str.upper, "{}.mp4".format, "video_{}".format])
def test_proposals_under_another_spelling_are_one_fault(rename):
  names = [f"take{i}" for i in range(5)]
  truth = annotations([[[1, 9]]] * 5, names)
  proposals = {rename(name): np.array([[1.0, 9.0]]) for name in names}
  found = report(truth, proposals=proposals).by_kind()
  (problem,) = found["names of proposals"]
  assert problem.message.startswith(f"5 of 5 videos under another spelling, {rename('take0')!r} "
                                    "for 'take0'")
  assert not {"no proposals", "proposals without annotation"} & set(found)
  # One of many is a matter of its own.
  mixed = {name: proposals[rename(name)] for name in names[1:]} | {
      rename("take0"): proposals[rename("take0")]}
  found = report(truth, proposals=mixed).by_kind()
  assert len(found["no proposals"]) == 1 and "names of proposals" not in found


def test_proposals_that_look_the_same():
  names = [f"caf\u00e9{i}" for i in range(4)]
  found = report(annotations([[[1, 9]]] * 4, names), proposals={
      x.replace("\u00e9", "e\u0301"): np.array([[1.0, 9.0]]) for x in names}).by_kind()
  assert "composed here, decomposed there" in found["names of proposals"][0].message


@pytest.mark.parametrize(("fps", "rate"), [
    ("30000/1001", 30000 / 1001), ("25/1", 25.0), ("25", 25.0), (" 24/1 ", 24.0),
    ("0/0", None), ("25/", None), ("a/b", None), ("1/2/3", None), ("30fps", None)])
def test_a_frame_rate_may_be_a_ratio(tmp_path, fps, rate):
  """As FFmpeg writes it."""
  video = VideoAnnotation("a", "training", 10.0, np.zeros((0, 2)), (), {"fps": fps})
  assert frame_rate(video) == (None if rate is None else pytest.approx(rate))
  path = tmp_path / "info.csv"
  path.write_text(f"video_id,duration,fps\na,10,{fps}\n")
  if rate is None:
    with pytest.raises(DataError, match="line 2: fps = .* is not a number"):
      read_video_info(path)
  else:
    assert read_video_info(path)["a"].fps == pytest.approx(rate)


def test_comments_in_a_csv_of_features(tmp_path):
  values = np.arange(12, dtype=np.float32).reshape(4, 3) ** 2
  for number, head in enumerate(("# made by a program\nx,y,z", "#made by\n# x,y,z", "# frames: 4",
                                 "# x,y,z\n# another")):
    path = tmp_path / f"{number}.csv"
    path.write_text(head + "\n" + "\n".join(",".join(map(str, row)) for row in values) + "\n#end\n")
    place = arrays.Place(path)
    assert arrays.shape(place) == (4, 3)
    np.testing.assert_array_equal(arrays.values(place), values)
  path = tmp_path / "saved.csv"
  np.savetxt(path, np.c_[np.arange(4), values], delimiter=",", header="frame,x,y,z")
  np.testing.assert_array_equal(arrays.values(arrays.Place(path)), values)


@pytest.mark.parametrize(("lines", "said"), [
    (["x,y", "[m],[s]", "1,2", "3,4"], r"first line below the header has '\[m\]', .*units\?"),
    (["x,y", "1,2", "3,4", "mean,3"], "last line has 'mean', no number: a sum or mean"),
    (["x,y", "1,2", "3,NA", "5,6"], "line 2 of the numbers has 'NA', no number")])
def test_what_a_writer_adds_to_a_csv_of_features_is_named(tmp_path, lines, said):
  path = tmp_path / "a.csv"
  path.write_text("\n".join(lines) + "\n")
  with pytest.raises(DataError, match=f"a.csv cannot be read .*{said}"):
    arrays.values(arrays.Place(path))


@pytest.mark.parametrize(("content", "said"), [
    (b"ARROW1\0\0\0", "a Feather .Arrow. file"), (b"FEA1\0\0", "a Feather file"),
    (b'{"id": "a", "start": 1}\n{"id": "b", "start": 2}\n',
     "It is JSON Lines, a value a line, each an object with the keys id, start")])
def test_other_programs_files_are_named(tmp_path, content, said):
  path = tmp_path / "a.x"
  path.write_bytes(content)
  with pytest.raises(DataError, match=said):
    read_annotations(path)


def test_a_subset_that_was_taken_from_the_files_name_is_said_to_be(tmp_path):
  path = tmp_path / "gold.csv"
  path.write_text("video_id,label,start,end\na,x,1,2\n")
  with pytest.raises(DataError, match="subsets there: 'gold' .from the file's name.*for 'gold'"):
    read_subset(path, "validation")
  assert read_subset(path, "gold").ids == ("a",)
  other = tmp_path / "b.json"
  other.write_text(json.dumps({"database": {"a": {"subset": "test", "annotations": []}}}))
  with pytest.raises(DataError, match="subsets there: 'test'$"):
    read_subset(other, "validation")


def test_ids_with_the_prefix_among_names_with_a_suffix(tmp_path):
  """One pattern is right for all of them."""
  names = ["v_one", "two", "three", "four", "five"]
  for name in names:
    np.save(tmp_path / f"{name}_rgb.npy", np.random.default_rng(0).normal(size=(10, 8)))
  truth = annotations([[[1, 9]]] * 5, names)
  found = validate(truth, open_store(tmp_path), split=None).by_kind()
  assert len(found["names of features"]) == 1 and "no features" not in found
  assert "features without annotation" not in found
