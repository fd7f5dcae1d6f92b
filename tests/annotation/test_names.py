"""Names that people write: which are the same, which are refused, which were probably meant."""

import unicodedata

import pytest

from tal_jax.annotation import names
from tal_jax.errors import DataError

NFC, NFD = (unicodedata.normalize(form, "K\u00f6ln 10 \u2013 \u00fc") for form in ("NFC", "NFD"))


def test_checked_names():
  assert NFC != NFD and names.checked(NFD, "a label", "f") == NFC
  assert names.checked("a  b ", "a label", "f") == "a  b "  # as it was written, but for its form
  assert names.checked("x" * 200, "a label", "f") == "x" * 200
  for bad, message in (("", "is blank"), ("  ", "is blank"), ("\u200b", "is blank"),
                       ("x" * 201, "has 201 characters, and may have 200"),
                       ("a\nb", "cannot be shown"), ("a\ud800", "cannot be shown")):
    with pytest.raises(DataError, match=f"^f: a label.*{message}"):
      names.checked(bad, "a label", "f")


def test_names_that_are_alike():
  given = ["count", "Count", "count ", "jump", "high jump", "high_jump", "Highjump"]
  assert names.alike(given) == [
      ["Count", "count", "count "], ["Highjump", "high jump", "high_jump"]]
  assert names.alike(["a", "b", "a1", "a2"]) == []


@pytest.fixture
def videos():
  return names.Videos({"door_01": "door_01.mp4", "v_x": "v_x.mkv", "y": "y.tar", NFD: f"{NFD}.mp4",
                       "walk.mp4": "walk.mp4.webm", "walk": "walk.avi"})


@pytest.mark.parametrize(("name", "expected"), [
    ("door_01", "door_01"), ("door_01.mp4", "door_01"), ("door_01.MKV", "door_01"),
    ("door_01.json", None), ("v_door_01", "door_01"), ("x", "v_x"), ("x.mkv", "v_x"),
    ("y.tar", "y"), (NFC, NFD), (NFD, NFD), (f"{NFC}.mp4", NFD), ("walk.mp4", "walk.mp4"),
    ("walk.avi", "walk"), ("DOOR_01", None), ("", None)])
def test_a_video_by_its_names(videos, name, expected):
  assert videos.find(name) == expected


def test_both_forms_of_a_name_are_two_videos_where_there_are_two():
  both = names.Videos({NFC: "a.mp4", NFD: "b.mp4"})
  assert (both.find(NFC), both.find(NFD)) == (NFC, NFD)


def test_ids_of_no_video_and_of_one_video_twice(videos):
  found, unknown = videos.of(["door_01.mp4", "dor_01", "zzz"], "labels")
  assert (found, unknown) == ({"door_01": "door_01.mp4"}, ["dor_01", "zzz"])
  assert videos.unknown(unknown, "labels") == (
      "labels: 2 of its ids are of no video: 'dor_01' (did you mean 'door_01'?), 'zzz'")
  with pytest.raises(DataError, match="'door_01' and 'door_01.mp4' are the same video"):
    videos.of(["door_01", "door_01.mp4"], "labels")


def test_the_nearest_name():
  assert names.nearest("DOOR_01", ["door_01", "door_11"]) == " (did you mean 'door_01'?)"
  assert names.nearest("open dor", ["open door", "close door"]) == " (did you mean 'open door'?)"
  assert names.nearest("xyz", ["door_01"]) == ""
  assert names.nearest("door_02", ["door_01", "door_03"]) == ""  # they differ in a number alone
  assert names.nearest("dor_02", ["door_01", "door_02"]) == " (did you mean 'door_02'?)"
  assert names.nearest("dor_09", ["door_01"]) == " (did you mean 'door_01'?)"
  assert names.nearest("door_2", ["door_01", "door_02"]) == " (did you mean 'door_02'?)"
