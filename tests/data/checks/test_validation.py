"""Every fault is found, named and counted; clean data give an empty report."""

import numpy as np
import pytest

from tal_jax.data import time_units
from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.checks import validation as lib
from tal_jax.data.checks.annotations import duplicates
from tal_jax.data.checks.problems import FATAL, KINDS
from tal_jax.data.features import open_store, with_time
from tal_jax.data.records import Split, StructuralFault, VideoAnnotation
from tal_jax.errors import DataError

IDS = ("a", "b", "c")
SPLIT = Split(("a",), ("b",), ("c",))
SUBSETS = {"training", "validation"}


def make(folder, *, truths=(), proposals=None, videos=None, features=None, split=SPLIT, fps=5.0,
         subsets=SUBSETS, **options):
  """A report on three clean videos with the given changes."""
  durations, arrays = {i: 10.0 for i in IDS} | (videos or {}), {i: np.ones((50, 4)) for i in IDS}
  annotations = from_videos(
      VideoAnnotation(i, "validation" if i == "c" else "training", duration,
                      np.array([[1.0, 2.0]] + [t[:2] for t in truths if i == "b"], np.float64),
                      ("x",) + tuple(t[2] for t in truths if i == "b"))
      for i, duration in durations.items())
  for name, values in (arrays | (features or {})).items():
    if values is not None:
      np.save(folder / f"{name}.npy", values)
  store = with_time(open_store(folder), annotations, fps=fps,
                                         stride=1, window=1)
  return validate(annotations, store, split=split, subsets=subsets, proposals=proposals,
                      **options)


def validate(annotations, store, **options):
  """As `lib.validate`, with the fields of `Read` as options of their own."""
  read = lib.Read(**{name: options.pop(name) for name in lib.Read._fields if name in options})
  return lib.validate(annotations, store, read=read, **options)


def some(durations, rates, segments, *, count=6, subset="training"):
  """Annotations of `count` videos with one truth each."""
  return from_videos(VideoAnnotation(
      f"s{i}", subset, durations, np.array([segments], np.float64), ("x",),
      {} if rates is None else {"fps": rates}) for i in range(count))


def judge(annotations, store=None, **options):
  return validate(annotations, store, split=None, **options)


def found(report):
  return [(problem.kind, problem.video_id) for problem in report.problems]


def test_clean(tmp_path):
  report = make(tmp_path, proposals={i: np.array([[0.0, 10.0]]) for i in IDS})
  assert not report.problems and not report.is_fatal and not report.unusable
  assert report.text().endswith("no problem found") and "3 videos, 3 truths" in report.text()
  report.raise_if_fatal()


def test_a_set_without_truths():
  """Empty truths are none; a set without videos is none, nor one that needs no truths."""
  def report(segments, **options):
    annotations = from_videos(VideoAnnotation(
        i, "training", 10.0, np.array(segments[i], np.float64).reshape(-1, 2),
        ("x",) * len(segments[i])) for i in IDS)
    return found(lib.validate(annotations, None, split=options.pop("split", SPLIT), **options))

  full, none, empty = [[1.0, 2.0]], [], [[3.0, 3.0]]
  assert ("set without truths", "") not in report({"a": full, "b": full, "c": full})
  for segments in (none, empty):
    for name in IDS:
      assert report(dict.fromkeys(IDS, full) | {name: segments}).count(
          ("set without truths", "")) == 1
  assert report(dict.fromkeys(IDS, none)).count(("set without truths", "")) == 3
  few = report(dict.fromkeys(IDS, none), unlabelled=("selection",), split=Split((), ("b",), ("c",)))
  assert few.count(("set without truths", "")) == 1


def nonfinite():
  values = np.ones((50, 4))
  values[[3, 7], 1] = [np.nan, np.inf]
  return values


@pytest.mark.parametrize(("changes", "kind", "video_id", "words"), [
    (dict(features={"b": None}), "no features", "b", ""),
    (dict(features={"z": np.ones((50, 4))}), "features without annotation", "z", ""),
    (dict(features={"b": nonfinite()}), "non-finite feature", "b", "2 of 50 rows, the first"),
    (dict(features={"b": np.ones(50)}), "wrong rank", "b", "shape (50,)"),
    (dict(features={"b": np.ones((2, 5, 4))}), "wrong rank", "b", "shape (2, 5, 4)"),
    (dict(features={"b": np.ones((0, 4))}), "no rows", "b", "shape (0, 4)"),
    (dict(features={"b": np.ones((50, 0))}), "no columns", "b", "shape (50, 0)"),
    (dict(features={"b": np.ones((50, 5))}), "wrong width", "b", "most have the width 4"),
    (dict(features={"b": np.ones((4, 50))}), "wrong width", "b", "transposed?"),
    (dict(features={"b": np.array([["x"]])}), "unreadable features", "b", "not numbers"),
    (dict(features={"b": np.ones((20, 4))}), "features do not span the video", "b", "span 4 s"),
    (dict(features={"b": np.ones((90, 4))}), "features do not span the video", "b", "span 18 s"),
    (dict(features={"v_b": np.ones((50, 4))}), "duplicate id", "b", "b.npy, v_b.npy"),
    (dict(features={"b": np.zeros((50, 4))}), "all-zero features", "b", "50 of 50 rows"),
    (dict(features={"b": np.repeat([[1.0], [0.0]], [40, 10], axis=0) * np.ones(4)}),
     "all-zero features", "b", "10 of 50 rows, the first is row 40"),
    (dict(features={"b": None, "B.mp4": np.ones((50, 4))}), "no features", "b",
     "there is 'B.mp4': the same"),
    (dict(features={"b": None, "v_b": np.ones((50, 4))}), "ids differ by v_", "b", "as 'v_b'"),
    (dict(features={"b": np.ones((41, 4))}, truths=[(9, 9.5, "x")]), "truth without features", "b",
     "[9, 9.5] x: 41 rows"),
    (dict(truths=[(1, 2, "y")]), "class without instances", "", "class 'y' has none in the subset "
     "'validation', 1 in 'training'"),
    (dict(truths=[(20, 45, "x")]), "truth far past its video", "b",
     "5 frames a second make it 9 s"),
    (dict(subsets={"training", "val"}), "subset spelling", "c", "the split says 'val'"),
    (dict(subsets={"training", "val"}), "subset without videos", "", "mean 'validation'?"),
    (dict(split=DataError("set me")), "no split", "", "set me"),
    (dict(proposals={}, proposal_faults=[StructuralFault("q", "not a list")]), "structure", "q",
     "not a list"),
    (dict(proposals={"v_b": np.array([[1.0, 2.0]])}), "ids differ by v_", "b", "stored as 'v_b'"),
    (dict(truths=[(3, 3, "x")]), "empty truth", "b", "[3, 3] x"),
    (dict(truths=[(4, 3, "x")]), "empty truth", "b", "[4, 3] x"),
    (dict(truths=[(9, 10.5, "x")]), "truth outside its video", "b", "[9, 10.5] x in a video of 10"),
    (dict(truths=[(-1, 3, "x")]), "truth outside its video", "b", ""),
    (dict(truths=[(np.nan, 3, "x")]), "non-finite segment", "b", "nan"),
    (dict(truths=[(1, 2, "x"), (1, 2, "y")]), "duplicate truth", "b", "[1, 2] x, 2 times"),
    (dict(videos={"b": 0.0}), "bad duration", "b", "duration 0"),
    (dict(videos={"d": 10.0}, features={"d": np.ones((50, 4))}), "in no set", "d", "classes x"),
    (dict(subsets={"training"}), "unknown subset", "c", "'validation'"),
    (dict(subsets=SUBSETS | {"Training"}), "subset without videos", "", "did you mean 'training'?"),
    (dict(fps=None), "no frame rate", "b", ""),
    (dict(structural=[StructuralFault("q", "duplicate id, occurs 2 times")]), "duplicate id", "q",
     ""),
    (dict(structural=[StructuralFault("q", "is not an object")]), "structure", "q", ""),
    (dict(proposals={}), "no proposals", "b", ""),
    (dict(proposals={"b": np.array([[11.0, 12.0]])}), "no proposals", "b", "none inside"),
    (dict(proposals={"b": np.array([[0, 12.0], [1, 2], [3, 3]])}), "proposals outside the video",
     "b", "1 clipped and 1 dropped of 3"),
    (dict(proposals={"b": np.array([[0, np.nan], [1, 2]])}), "non-finite proposal", "b", "1 of 2"),
    (dict(proposals={"y": np.array([[1, 2]])}), "proposals without annotation", "y", ""),
])
def test_each_fault(tmp_path, changes, kind, video_id, words):
  report = make(tmp_path, **changes)
  assert (kind, video_id) in found(report)
  problem = next(p for p in report.problems if (p.kind, p.video_id) == (kind, video_id))
  assert words in problem.message and report.count(kind) >= 1
  severity, meaning, remedy = KINDS[kind]
  assert (f"{severity}: {kind} ({report.count(kind)}): {meaning}\n  To mend: {remedy}."
          in report.text())
  if severity == FATAL:
    with pytest.raises(DataError, match=kind):
      report.raise_if_fatal()


def test_files_are_named(tmp_path):
  report = make(tmp_path, features={"b": nonfinite()}, truths=[(4, 3, "x")],
                annotations_file="truth.json")
  assert f"{tmp_path / 'b.npy'}: b: 2 of 50 rows" in report.text()
  assert "truth.json: b: [4, 3] x" in report.text()


def test_all_at_once_bounded_and_written(tmp_path):
  videos = {f"v{i}": 10.0 for i in range(40)}
  report = make(tmp_path, videos=videos, truths=[(4, 3, "x")], features={"a": nonfinite()},
                split=Split(("a",), ("b", *videos), ("c",)))
  assert report.count("no features") == 40 and report.unusable == set(videos)
  assert report.count("empty truth") == report.count("non-finite feature") == 1
  assert "... and 37 more" in report.text() and len(report.text().splitlines()) < 15
  report.write(tmp_path / "report.txt")
  assert all(f": {i}\n" in (tmp_path / "report.txt").read_text() for i in videos)
  # Fatal kinds come first.
  assert report.text().index("no features") < report.text().index("empty truth")


def test_allow_missing(tmp_path):
  report = make(tmp_path, features={"b": None}, allow_missing=True)
  assert found(report) == [("dropped video", "b")]
  assert report.unusable == {"b"} and not report.is_fatal
  assert "no features" in report.problems[0].message


def test_unused_videos_need_no_features(tmp_path):
  report = make(tmp_path, features={"b": None}, split=Split(("a",), (), ("c",)))
  assert found(report) == [("in no set", "b")]


@pytest.mark.parametrize(("annotations", "kind", "words"), [
    (some(100.0, 25, [250, 1000]), "times in frames", "25 frames a second"),
    (some(100.0, None, [250, 1000]), "times in frames", "frame rate not known"),
    (some(100.0, 25, [0.1, 0.9]), "times in shares", "all 6 videos"),
    (some(2500.0, 25, [2, 90]), "durations in frames", "all 6 videos"),
])
def test_the_unit_of_the_truths(annotations, kind, words):
  report = judge(annotations)
  problem = next(p for p in report.problems if p.kind == kind)
  assert words in problem.message and problem.file == "annotations" and report.is_fatal
  assert {p.kind for p in report.problems} <= {kind, "truth outside its video",
                                               "truth far past its video"}


@pytest.mark.parametrize("annotations", [
    some(100.0, 25, [10, 95]), some(100.0, None, [10, 104]), some(100.0, 25, [1, 6]),
    some(0.9, 25, [0.1, 0.8]), some(100.0, 25, [2, 3], count=2), some(100.0, 5.0, [2, 3])])
def test_seconds_are_taken_for_seconds(annotations):
  assert not {p.kind for p in judge(annotations).problems} - {"truth outside its video"}


@pytest.mark.parametrize(("segments", "kind"), [
    ([[250.0, 2400.0]], "proposals in frames"), ([[0.1, 0.98]], "proposals in shares"),
    ([[0.4, 3.9], [1.0, 2.0]], "proposals in seconds")])
def test_the_unit_of_the_proposals(segments, kind):
  annotations = some(100.0, 25, [10, 95])
  report = judge(annotations, proposals={i: np.array(segments) for i in annotations.videos})
  assert report.count(kind) == 1
  assert "frames" in KINDS[kind].remedy or "shares" in KINDS[kind].remedy


def test_frames_beside_seconds():
  """OpenTAD's segment(frames), and the number of frames, against the file's own rate."""
  def video(frames, **extra):
    return from_videos([VideoAnnotation("a", "training", 100.0, np.array([[10.0, 40.0]]), ("x",), {
        "annotation_fields": [{"segment(frames)": frames}], **extra})])

  assert not judge(video([250, 1000], fps=25)).problems
  assert not judge(video([252, 1001], fps=25.0, frame=2510)).problems
  cases = [(video([250, 1000], fps=30), "25 frames a second would fit, the file says 30"),
           (video([10, 40], fps=25), "both are in one unit"),
           (video([10, 40]), "both are in one unit"),
           (video([250, 1000], fps=25, frame=100), "is the duration in frames?")]
  for annotations, words in cases:
    (problem,) = judge(annotations).problems
    assert (problem.kind, problem.video_id) == ("frames contradict seconds", "a")
    assert words in problem.message


@pytest.mark.parametrize(("fps", "stride", "fitting"), [
    (25.0, 8.0, 30.0), (30.0, 8.0, 24.0), (15.0, 8.0, 30.0), (25.0, 16.0, 50.0), (30.0, 4.0, 15.0)])
def test_wrong_fps(tmp_path, fps, stride, fitting):
  """Features of every eighth frame: the rate that would fit is named, for data.fps to be set."""
  durations = [60.0, 100.0, 75.5, 143.2]
  true_rate = fitting * 8.0 / stride
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", d, np.array([[1.0, 50.0]]), ("x",))
                            for i, d in enumerate(durations))
  for i, duration in enumerate(durations):
    np.save(tmp_path / f"s{i}.npy", np.ones((int(duration * true_rate / 8) - 1, 3)))

  def report(rate):
    return judge(annotations, with_time(open_store(tmp_path), annotations, fps=rate,
                                         stride=stride, window=16))

  (problem,) = [p for p in report(fps).problems if p.kind == "wrong fps"]
  assert f"data.fps = {fitting:g} would fit" in problem.message
  assert problem.file == str(tmp_path)
  assert not report(fitting).problems


def test_wrong_fps_of_some_videos(tmp_path):
  """Half of the videos have 30 frames a second, not 25: no one rate fits, each is named."""
  annotations = some(100.0, 25, [10, 60], count=8)
  for i in range(8):
    np.save(tmp_path / f"s{i}.npy", np.ones(((3000 if i % 2 else 2500) // 8 - 1, 3)))
  report = judge(annotations, with_time(open_store(tmp_path), annotations, fps=None,
                                         stride=8, window=16))
  assert found(report) == [("features do not span the video", f"s{i}") for i in (1, 3, 5, 7)]


def test_durations_in_frames_are_seen_in_the_features(tmp_path):
  annotations = from_videos(VideoAnnotation(f"s{i}", "t", 25 * d, np.array([[1.0, 50.0 * 25]]),
                                            ("x",)) for i, d in enumerate([60.0, 100.0, 75.0]))
  for i, duration in enumerate([60.0, 100.0, 75.0]):
    np.save(tmp_path / f"s{i}.npy", np.ones((int(duration * 25 / 8), 3)))
  report = judge(annotations, with_time(open_store(tmp_path), annotations, fps=25,
                                         stride=8, window=8))
  assert report.count("durations in frames") == 1 and not report.count("wrong fps")


def test_one_short_video_is_no_wrong_rate():
  rows, ones = np.array([100.0, 101, 99, 20]), np.ones(4)
  args = (rows, 8 * ones, 8 * ones, 25 * ones, np.array([32.0, 32.3, 31.7, 32.0]))
  assert time_units.fitting_rate(*args) is None
  assert time_units.fitting_rate(*(x[:0] for x in args)) is None


def test_truncated_file(tmp_path):
  np.save(tmp_path / "s0.npy", np.ones((1000, 4)))
  content = (tmp_path / "s0.npy").read_bytes()
  (tmp_path / "s0.npy").write_bytes(content[:len(content) // 2])
  annotations = some(100.0, 10, [10, 95], count=1)
  (problem,) = judge(annotations, with_time(open_store(tmp_path), annotations, fps=None,
                                         stride=1, window=1)).problems
  assert (problem.kind, problem.video_id) == ("unreadable features", "s0")
  assert problem.file == str(tmp_path / "s0.npy") and "Is the file complete" in problem.message
  assert problem.file not in problem.message


def test_activitynet_faults(data_dir):
  """The known faults of ActivityNet 1.3: 12 truths with end <= start, 52 copies of truths.

  Of the copies 49 are equal to the last bit; 3 differ by less than a microsecond.
  """
  annotations = read_annotations(data_dir / "activitynet" / "activity_net.v1-3.json")
  report = judge(annotations, subsets=SUBSETS)
  assert report.count("empty truth") == 12
  copies = [int(p.message.split(", ")[-1].split()[0]) - 1 for p in report.problems
            if p.kind == "duplicate truth"]
  assert (len(copies), sum(copies)) == (27, 52)
  assert sum(n - 1 for x in annotations.videos.values() for _, _, n in duplicates(x, 0.0)) == 49
  assert {p.kind for p in report.problems} == {
      "empty truth", "duplicate truth", "truth outside its video", "truth far past its video"}
