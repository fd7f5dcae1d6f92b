"""From RawData to rows: what is normalised by what, files as memory, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from tal_jax.data import frame_rows as lib
from tal_jax.data.annotations import from_videos
from tal_jax.data.moments import RunningMoments
from tal_jax.data.records import (
  EncodedFeatures,
  FrameFeatures,
  RawData,
  Split,
  TimeGrid,
  VideoAnnotation,
)
from tal_jax.errors import DataError

SPLIT = Split(("k0",), ("s0", "s1"), ("t0", "t1"))


def frames(video_id, dtype=np.float32, dim=3):
  rng = np.random.default_rng(list(video_id.encode()))
  values = rng.normal(3, 2, (rng.integers(4, 9), dim)).astype(dtype)
  values[:, 2] = 7.0  # a constant dimension
  return FrameFeatures(values, TimeGrid(10.0, 5.0 + int(video_id[1]), 4.0))


def make(features=frames, split=SPLIT):
  videos = [VideoAnnotation(i, "x", 12.0, np.zeros((0, 2)), ()) for ids in split for i in ids]
  return RawData(from_videos(videos), features, lambda _: np.zeros((0, 2)), split, None, "by hand")


def test_rows_by_hand():
  calls = []
  found = lib.read(make(), progress=lambda: calls.append(1))
  assert set(found) == set(Split._fields) and len(calls) == 5
  for name, ids in zip(SPLIT._fields, SPLIT, strict=True):
    rows = found[name]
    values = [frames(i).values for i in ids]
    np.testing.assert_array_equal(rows.values, np.concatenate(values))
    np.testing.assert_array_equal(rows.count, list(map(len, values)))
    np.testing.assert_array_equal(rows.first, [0, len(values[0])][:len(ids)])
    np.testing.assert_allclose(rows.start, 0.2)  # half a window of 4 samples at 10 a second
    np.testing.assert_allclose(rows.step, [0.5, 0.6][:len(ids)])
    assert rows.values.dtype == np.float32 and rows.count.dtype == rows.first.dtype == np.int32


def test_mean_and_scale_are_of_selection_alone():
  found = lib.read(make())
  selection = np.concatenate([frames(i).values for i in SPLIT.selection]).astype(np.float64)
  for rows in found.values():
    np.testing.assert_allclose(rows.mean, selection.mean(0), rtol=1e-6)
    np.testing.assert_allclose(rows.scale, [*(1 / selection.std(0)[:2]), 0.0], rtol=1e-6)
    assert rows.mean.dtype == rows.scale.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_a_file_equals_memory(tmp_path, dtype):
  raw = make(lambda i: frames(i, dtype))
  memory, files = lib.read(raw), lib.read(raw, storage=str(tmp_path / "new"))
  kept = dtype if dtype == np.float16 else np.float32
  for name, rows in files.items():
    assert isinstance(rows.values, np.memmap) == (name != "knowledge_source")
    assert rows.values.dtype == memory[name].values.dtype == kept
    for a, b in zip(rows, memory[name], strict=True):
      np.testing.assert_array_equal(a, b)
  assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
      "selection_rows.bin", "testing_rows.bin"]


def test_a_second_run_leaves_the_first_its_file(tmp_path):
  first = lib.read(make(), storage=str(tmp_path))["selection"]
  before = np.array(first.values)
  other = lib.read(make(lambda i: frames(i)._replace(values=frames(i).values + 1)),
                   storage=str(tmp_path))["selection"]
  np.testing.assert_array_equal(first.values, before)
  np.testing.assert_array_equal(other.values, before + 1)


def test_mixed_precision(tmp_path):
  """A file is of its first video's: what that cannot hold is refused, not cut down."""
  narrow = make(lambda i: frames(i, np.float32 if i in ("s0", "t0") else np.float16))
  memory, files = lib.read(narrow), lib.read(narrow, storage=str(tmp_path))
  np.testing.assert_array_equal(files["selection"].values, memory["selection"].values)
  wide = make(lambda i: frames(i, np.float16 if i == "s0" else np.float32))
  assert lib.read(wide)["selection"].values.dtype == np.float32
  with pytest.raises(DataError, match="some features are float16, others float32"):
    lib.read(wide, storage=str(tmp_path))


def broken(video_id, change):
  return make(lambda i: change(frames(i)) if i == video_id else frames(i))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("video_id", ["s1", "t0", "k0"])
def test_values_that_are_not_finite_are_refused(video_id, value):
  def change(features):
    features.values[1, 1] = value
    return features

  with pytest.raises(DataError, match=f"{video_id}: its features hold NaN"):
    lib.read(broken(video_id, change))


def test_pooled_features_are_refused():
  with pytest.raises(DataError, match="pooled over proposals.*--config.model="):
    lib.read(make(lambda _: EncodedFeatures(np.zeros((2, 3)), np.zeros(3), "mean")))


def test_other_widths_are_refused():
  with pytest.raises(DataError, match="s1 has features of width 5, others of 3"):
    lib.read(make(lambda i: frames(i, dim=5 if i == "s1" else 3)))
  with pytest.raises(DataError, match="features of testing have 4 dimensions, those of selection"):
    lib.read(make(lambda i: frames(i, dim=4 if i[0] == "t" else 3)))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(DataError, match="data.storage: cannot write"):
    lib.read(make(), storage=str(tmp_path / "file"))


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float64, (12, 2), elements=st.floats(-1e3, 1e3)), st.integers(0, 12))
def test_running_moments_are_those_of_all_rows(rows, cut):
  moments = RunningMoments()
  for part in (rows[:cut], rows[cut:]):
    moments.add(part)
  np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-9, atol=1e-9)
  deviation = rows.std(0)
  clear = deviation > 1e-5 * np.abs(rows).max(0)
  np.testing.assert_allclose(moments.scale()[clear], 1 / deviation[clear], rtol=1e-5)
  assert np.isfinite(moments.scale()).all()


def test_a_constant_dimension_has_scale_0():
  moments = RunningMoments()
  moments.add(np.full((5, 1), 0.1, np.float32))
  moments.add(np.full((7, 1), 0.1, np.float32))
  np.testing.assert_array_equal(moments.scale(), [0])
