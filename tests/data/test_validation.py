"""Every fault is found, named and counted; clean data give an empty report."""

import numpy as np
import pytest

from tal_jax.data import validation as lib
from tal_jax.data.annotations import StructuralFault, from_videos, read_annotations
from tal_jax.data.features import open_store, time_grids
from tal_jax.data.types import DataError, Split, VideoAnnotation

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
  store = open_store(folder, grids=time_grids(annotations, fps=fps, stride=1, window=1))
  return lib.validate(annotations, store, split=split, subsets=subsets, proposals=proposals,
                      **options)


def found(report):
  return [(problem.kind, problem.video_id) for problem in report.problems]


def test_clean(tmp_path):
  report = make(tmp_path, proposals={i: np.array([[0.0, 10.0]]) for i in IDS})
  assert not report.problems and not report.is_fatal and not report.unusable
  assert report.text().endswith("no problem found") and "3 videos, 3 truths" in report.text()
  report.raise_if_fatal()


def nonfinite():
  values = np.ones((50, 4))
  values[[3, 7], 1] = [np.nan, np.inf]
  return values


@pytest.mark.parametrize(("changes", "kind", "video_id", "words"), [
    (dict(features={"b": None}), "no features", "b", ""),
    (dict(features={"z": np.ones((50, 4))}), "features without annotation", "z", ""),
    (dict(features={"b": nonfinite()}), "non-finite feature", "b", "2 of 50 rows, the first"),
    (dict(features={"b": np.ones(50)}), "wrong rank", "b", "shape (50,)"),
    (dict(features={"b": np.ones((0, 4))}), "wrong rank", "b", "shape (0, 4)"),
    (dict(features={"b": np.ones((50, 5))}), "wrong width", "b", "most have the width 4"),
    (dict(features={"b": np.ones((4, 50))}), "wrong width", "b", "transposed?"),
    (dict(features={"b": np.array([["x"]])}), "unreadable features", "b", "not numbers"),
    (dict(features={"b": np.ones((20, 4))}), "features do not span the video", "b", "span 4 s"),
    (dict(features={"b": np.ones((90, 4))}), "features do not span the video", "b", "span 18 s"),
    (dict(features={"v_b": np.ones((50, 4))}), "duplicate id", "b", "b.npy, v_b.npy"),
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
  severity, meaning = lib.KINDS[kind]
  assert f"{severity}: {kind} ({report.count(kind)}): {meaning}" in report.text()
  if severity == lib.FATAL:
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


def test_activitynet_faults(data_dir, tmp_path):
  """The known faults of ActivityNet 1.3: 12 truths with end <= start, 49 exact duplicates."""
  annotations = read_annotations(data_dir / "activitynet" / "activity_net.v1-3.json")
  np.save(tmp_path / "x.npy", np.ones((2, 2)))
  store = open_store(tmp_path, grids={})
  report = lib.validate(annotations, store, split=Split((), (), ()), subsets=SUBSETS)
  assert report.count("empty truth") == 12
  extra = [int(p.message.split(", ")[-1].split()[0]) - 1 for p in report.problems
           if p.kind == "duplicate truth"]
  assert sum(extra) == 49
