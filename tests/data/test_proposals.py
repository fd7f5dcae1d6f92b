"""Sliding windows, and proposals from files."""

import json

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data import proposals as lib
from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError


def test_windows_by_hand():
  got = lib.sliding_windows(8.0, shortest=2.0, ratio=2.0, overlap=0.5)
  short = [[s, s + 2] for s in range(7)]
  np.testing.assert_allclose(got, short + [[0, 4], [2, 6], [4, 8], [0, 8]])
  np.testing.assert_allclose(lib.sliding_windows(8.0, longest=2.0, overlap=0.0, ratio=2.0),
                             [[0, 2], [2, 4], [4, 6], [6, 8]])
  np.testing.assert_allclose(lib.sliding_windows(1.5, shortest=2.0), [[0, 1.5]])
  np.testing.assert_allclose(lib.sliding_windows(2.0, shortest=2.0), [[0, 2]])


def test_at_most_so_many_windows():
  """The shortest lengths are left out: of 8 s, 4 windows of 2 s, 2 of 4 s, and the whole."""
  windows = dict(shortest=2.0, ratio=2.0, overlap=0.0)
  everything = lib.sliding_windows(8.0, **windows)
  assert len(everything) == 7
  np.testing.assert_array_equal(lib.sliding_windows(8.0, most=7, **windows), everything)
  for most, count in ((6, 3), (3, 3), (2, 1), (1, 1)):
    np.testing.assert_array_equal(lib.sliding_windows(8.0, most=most, **windows),
                                  everything[-count:])
  assert len(lib.sliding_windows(7200.0, most=5000)) <= 5000



@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.floats(0.5, 100), st.floats(0.5, 5), st.floats(1.1, 3), st.floats(0, 0.9))
def test_windows_properties(duration, shortest, ratio, overlap):
  got = lib.sliding_windows(duration, shortest=shortest, ratio=ratio, overlap=overlap)
  lengths = got[:, 1] - got[:, 0]
  assert got.dtype == np.float64 and len(np.unique(got, axis=0)) == len(got)
  assert (got >= 0).all() and (got <= duration).all() and (lengths > 0).all()
  assert (lengths >= min(shortest, duration) * (1 - 1e-9)).all()
  np.testing.assert_array_equal(got[-1], [0, duration])  # the whole video
  for group in np.split(got, np.flatnonzero(np.diff(lengths) > 1e-6) + 1):  # by length
    length = group[0, 1] - group[0, 0]
    assert group[0, 0] == 0 and group[-1, 1] == pytest.approx(duration)
    assert (np.diff(group[:, 0]) <= (1 - overlap) * length * (1 + 1e-6)).all()


@pytest.mark.parametrize("options", [dict(shortest=0), dict(ratio=1), dict(overlap=1),
                                     dict(longest=1.0)])
def test_windows_refuse(options):
  with pytest.raises(DataError, match="sliding windows"):
    lib.sliding_windows(10.0, **options)
  with pytest.raises(DataError, match="of nan seconds"):
    lib.sliding_windows(float("nan"))


def tiou(a, b):
  overlap = np.minimum(a[:, None, 1], b[:, 1]) - np.maximum(a[:, None, 0], b[:, 0])
  overlap = np.maximum(overlap, 0)
  return overlap / (np.ptp(a, axis=1)[:, None] + np.ptp(b, axis=1) - overlap)


def test_windows_recall_on_hapt(data_dir):
  """The defaults meet nearly every truth of a real data set at tIoU 0.7."""
  best, counts = [], []
  for video in read_annotations(data_dir / "hapt" / "hapt.json").videos.values():
    windows = lib.sliding_windows(video.duration)
    counts.append(len(windows))
    if len(video.segments):
      best += list(tiou(video.segments, windows).max(axis=1))
  assert 350 < np.mean(counts) < 550
  assert np.mean(np.array(best) >= 0.5) == 1.0
  assert np.mean(np.array(best) >= 0.7) > 0.99


def write(tmp_path, results):
  path = tmp_path / "p.json"
  path.write_text(json.dumps({"results": results}))
  return path


def test_read(tmp_path):
  path = write(tmp_path, {
      "a": [{"score": 0.1, "segment": [0, 1]}, {"score": 0.9, "segment": [2, 3], "label": "x"},
            {"score": 0.1, "segment": [4, 5]}], "b": []})
  got = lib.read_proposals(path)
  np.testing.assert_array_equal(got["a"], [[2, 3], [0, 1], [4, 5]])
  assert got["a"].dtype == np.float64 and got["b"].shape == (0, 2)
  np.testing.assert_array_equal(lib.read_proposals(path, limit=1)["a"], [[2, 3]])


@pytest.mark.parametrize("entries", [3, [3], [{"score": 1}], [{"score": "x", "segment": [0, 1]}],
                                     [{"score": 1, "segment": [0, 1, 2]}],
                                     [{"score": 1, "segment": 4}]])
def test_read_refuses(tmp_path, entries):
  with pytest.raises(DataError, match=r"1 fault\(s\):\n  bad: not a list"):
    lib.read_proposals(write(tmp_path, {"bad": entries, "good": []}))


def test_read_refuses_other_files(tmp_path):
  path = tmp_path / "x.json"
  for content in ("[]", "{}", '{"results": []}'):
    path.write_text(content)
    with pytest.raises(DataError, match="no known format of proposals"):
      lib.read_proposals(path)
    with pytest.raises(DataError, match="no 'results'"):
      lib.read_proposals(path, format="activitynet")
  path.write_text('{"results": {"a": [], "a": []}}')
  with pytest.raises(DataError, match="a: duplicate id"):
    lib.read_proposals(path)


def test_clip():
  segments = np.array([[-1, 2], [1, 2], [3, 9], [6, 7], [2, 2], [np.nan, 1]])
  clipped = lib.clip_to_video(segments, 5.0)
  np.testing.assert_array_equal(clipped.segments, [[0, 2], [1, 2], [3, 5]])
  assert clipped[1:] == (2, 2, 1)
