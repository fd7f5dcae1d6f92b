"""Faults that all videos share: one fatal problem that names the cause and the setting."""

import numpy as np
import pytest

from tal_jax.data import time_units
from tal_jax.data.annotations import from_videos
from tal_jax.data.checks.problems import FATAL
from tal_jax.data.checks.validation import Read, validate
from tal_jax.data.features import open_store, with_time
from tal_jax.data.records import VideoAnnotation

DURATIONS = (20.0, 24.5, 31.0, 46.0)
RNG = np.random.default_rng(1)


def smooth(rows, width):
  """[T, d] in which neighbouring rows are alike, as the features of neighbouring times are."""
  return 5 * RNG.standard_normal(width) + np.cumsum(0.1 * RNG.standard_normal((rows, width)), 0)


def judge(folder, arrays, durations=DURATIONS, features=None, format="auto", **grid):
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", d, np.array([[1.0, 9.0]]), ("x",),
                                            {"fps": 25.0}) for i, d in enumerate(durations))
  for i, array in enumerate(arrays):
    np.save(folder / f"s{i}.npy", array)
  store = with_time(open_store(features or folder, format=format), annotations, **grid)
  return validate(annotations, store, split=None), store


def only(report):
  (problem,) = report.problems
  assert problem.severity == FATAL and problem.video_id == ""
  return problem.kind, problem.message


def rows(duration, stride=8):
  return int(duration * 25) // stride


def test_one_number_of_rows(tmp_path):
  report, _ = judge(tmp_path, [smooth(100, 8) for _ in DURATIONS], stride=16, window=16)
  kind, message = only(report)
  assert kind == "one number of rows" and message.startswith(
      "all 4 videos have 100 row(s) and 8 columns, though they last 20 to 46 s: rows spread over "
      "the video? data.features_format=bmn_csv")
  mended, store = judge(tmp_path, [], format="bmn_csv")
  assert not mended.problems and store.load("s1").grid.fps == 100 / 24.5


@pytest.mark.parametrize("number", [64, 128])
def test_any_number_and_without_a_rate(tmp_path, number):
  durations = dict(enumerate(DURATIONS))
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", d, np.array([[1.0, 9.0]]), ("x",))
                            for i, d in durations.items())
  for i in durations:
    np.save(tmp_path / f"s{i}.npy", smooth(number, 100))
  store = with_time(open_store(tmp_path), annotations)
  kind, message = only(validate(annotations, store, split=None))
  assert kind == "one number of rows" and f"all 4 videos have {number} row(s)" in message


def test_rows_that_were_padded_to_one_number(tmp_path):
  arrays = [np.concatenate([smooth(rows(d), 6), np.zeros((200 - rows(d), 6))]) for d in DURATIONS]
  kind, message = only(judge(tmp_path, arrays, stride=8, window=8)[0])
  assert kind == "one number of rows"
  assert "padded? The last 57 to 138 rows of the shortest are one value" in message


def test_one_row_a_video(tmp_path):
  kind, message = only(judge(tmp_path, [smooth(1, 6) for _ in DURATIONS], stride=8, window=8)[0])
  assert kind == "one number of rows" and "averaged over the video?" in message


@pytest.mark.parametrize(("shapes", "setting"), [
    # One number of rows, as many columns as the durations ask for; then the layout of 100.
    ([(8, rows(d)) for d in DURATIONS], "data.features_format=transposed"),
    ([(8, 100) for _ in DURATIONS], "data.features_format=bmn_transposed"),
    ([(8, 77) for _ in DURATIONS], "data.features_format=bmn_transposed")])
def test_time_as_the_second_axis(tmp_path, shapes, setting):
  arrays = [smooth(*shape[::-1]).T for shape in shapes]
  kind, message = only(judge(tmp_path, arrays, stride=8, window=8)[0])
  assert kind == "time is the second axis" and setting in message
  format = setting.split("=")[1]
  grid = {} if "bmn" in format else {"stride": 8, "window": 8}
  mended, store = judge(tmp_path, [], format=format, **grid)
  assert not mended.problems
  np.testing.assert_array_equal(store.load("s2").values, arrays[2].T)
  assert store.shape("s2") == arrays[2].T.shape


def test_transposed_videos_of_one_length(tmp_path):
  """The columns span the videos, the rows do not: a wrong rate would be the wrong cause."""
  arrays = [smooth(31, 8).T for _ in range(4)]
  kind, message = only(judge(tmp_path, arrays, durations=(10.0,) * 4, stride=8, window=8)[0])
  assert kind == "time is the second axis" and "the columns span 100% of 4 videos" in message


def test_rescaled_rows_are_no_fault_where_they_are_named(tmp_path):
  report, _ = judge(tmp_path, [smooth(100, 400) for _ in DURATIONS], format="bmn_csv")
  assert not report.problems
  report, _ = judge(tmp_path, [smooth(100, 40).T for _ in DURATIONS], format="bmn_csv")
  assert only(report)[0] == "time is the second axis"


def test_clips_of_one_length_are_no_fault(tmp_path):
  report, _ = judge(tmp_path, [smooth(31, 8) for _ in range(4)], durations=(10.0, 10.2, 9.9, 10),
                    stride=8, window=8)
  assert not report.problems


def test_rows_that_follow_no_rate(tmp_path):
  """Features of other videos: each alone is a warning, most of them are a fault of the set."""
  arrays = [smooth(n, 8) for n in (400, 50, 20, 900)]
  kind, message = only(judge(tmp_path, arrays, stride=8, window=8)[0])
  assert kind == "rows of other lengths" and message.startswith("100% of 4 videos")


def test_a_rate_for_all_where_each_video_has_its_own(tmp_path):
  """Extracted at 10 fps; the annotations have the videos' rates, and these are taken."""
  durations, rates = (60.0, 100.0, 75.5, 143.2), (15.0, 30.0, 60.0, 24.0)
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", d, np.array([[1.0, 9.0]]), ("x",),
                                            {"fps": r})
                            for i, (d, r) in enumerate(zip(durations, rates, strict=True)))
  for i, duration in enumerate(durations):
    np.save(tmp_path / f"s{i}.npy", smooth(int(duration * 10) // 4, 5))
  store = with_time(open_store(tmp_path), annotations, stride=4, window=4)
  (problem,) = [p for p in validate(annotations, store, split=None).problems if p.severity == FATAL]
  assert problem.kind == "wrong fps" and "data.fps = 10 would fit" in problem.message


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "milliseconds"), (1e6, "microseconds")])
def test_durations_and_truths_in_one_wrong_unit(tmp_path, factor, unit):
  arrays = [smooth(rows(d), 5) for d in DURATIONS]
  annotations = from_videos(VideoAnnotation(
      f"s{i}", "t", d * factor, np.array([[1.0, 9.0]]) * factor, ("x",), {"fps": 25.0})
      for i, d in enumerate(DURATIONS))
  for i, array in enumerate(arrays):
    np.save(tmp_path / f"s{i}.npy", array)
  store = with_time(open_store(tmp_path), annotations, stride=8, window=8)
  problem = next(p for p in validate(annotations, store, split=None).problems
                 if p.severity == FATAL)
  assert problem.kind == "durations not in seconds" and f"durations in {unit}" in problem.message


def test_parts_of_other_strides(tmp_path):
  for name, stride in (("rgb", 8), ("flow", 4)):
    (tmp_path / name).mkdir()
    for i, duration in enumerate(DURATIONS):
      np.save(tmp_path / name / f"s{i}.npy", smooth(rows(duration, stride), 5))
  report, _ = judge(tmp_path, [], features=[tmp_path / "rgb", tmp_path / "flow"], stride=8,
                    window=8)
  kinds = {problem.kind: problem for problem in report.problems}
  assert "parts do not fit" in kinds and "4 of 4 videos" in kinds["parts do not fit"].message
  assert "unreadable features" not in kinds


def times(unit, shares=(0.1, 0.28, 0.47), per_second=1.0):
  """Truths in a unit, of videos of ten minutes whose durations are in a unit, too."""
  return from_videos(VideoAnnotation(
      f"s{i}", "t", (600.0 + i) * per_second, np.array([[0.01, share]]) * (600.0 + i) * unit,
      ("x",), {"fps": 25.0}) for i, share in enumerate(shares))


@pytest.mark.parametrize(("unit", "kind", "words"), [
    (25.0, "times in frames", "frames at 25 a second would make them 0.28"),
    (1e3, "times not in seconds", "milliseconds would make them 0.28"),
    (44100.0, "times not in seconds", "samples at 44.1 kHz would make them 0.28"),
    (48e3, "times not in seconds", "samples at 48 kHz would make them 0.28"),
    (1e6, "times not in seconds", "microseconds would make them 0.28"),
    (1e9, "times not in seconds", "nanoseconds would make them 0.28"),
    (1e14, "times not in seconds", "no usual unit fits"),
    # Frames explain it as well, and are the more usual: both are named.
    (1 / 60, "durations in frames", "minutes would make them 0.28")])
def test_the_more_wrong_the_unit_the_clearer(unit, kind, words):
  found, message = only(validate(times(unit), None, split=None))
  # Whatever the unit, a truth in it is not also reported as one that misses its video.
  assert found == kind and words in message


@pytest.mark.parametrize(("per_second", "kind", "words"), [
    (25.0, "durations in frames", "of durations in frames at 25 a second would make them 0.28"),
    (1e3, "durations not in seconds", "of durations in milliseconds would make them 0.28"),
    (1e6, "durations not in seconds", "of durations in microseconds would make them 0.28")])
def test_durations_in_another_unit(per_second, kind, words):
  found, message = only(validate(times(1.0, per_second=per_second), None, split=None))
  assert found == kind and words in message


def test_a_few_truths_past_their_videos_are_no_unit():
  annotations = times(1.0, shares=(0.2, 0.9, 0.5, 300.0))
  assert {p.kind for p in validate(annotations, None, split=None).problems} == {
      "truth outside its video", "truth far past its video"}


@pytest.mark.parametrize(("unit", "kind"), [(1000.0, "proposals not in seconds"),
                                            (25.0, "proposals in frames")])
def test_proposals_in_another_unit(unit, kind):
  annotations = times(1.0)
  proposals = {key: video.segments * unit for key, video in annotations.videos.items()}
  assert only(validate(annotations, None, split=None, read=Read(proposals=proposals)))[0] == kind


def test_very_long_videos():
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", 60e3 + i, np.array([[1e3, 9e3]]), ("x",))
                            for i in range(3))
  (problem,) = validate(annotations, None, split=None).problems
  assert problem.kind == "very long videos" and "in milliseconds it is 60 s" in problem.message


def test_units_by_hand():
  ends, durations = np.array([1000.0, 9000, 20000]), np.array([20.0, 30, 40])
  nan = np.full(3, np.nan)
  assert time_units.misread(ends, durations, nan) == time_units.OTHER
  assert time_units.fitting_units(ends, durations, nan) == {"milliseconds": 1e3}
  assert time_units.unit_of_durations(1.02e-3) == "milliseconds"
  assert time_units.unit_of_durations(60.5) == "minutes"
  assert time_units.unit_of_durations(0.5) is None
