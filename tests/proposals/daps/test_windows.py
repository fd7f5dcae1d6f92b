"""Windows and chunks by hand and against a slow loop."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import FrameFeatures, TimeGrid
from tal_jax.errors import DataError
from tal_jax.proposals.daps import windows as daps_windows


def test_windows_by_hand():
  """T = 4 every 2 s in 9 s: a rest of 1 s gets a window of its own, at the end."""
  windows = daps_windows.windows(9.0, (4.0,), stride=0.5)
  np.testing.assert_allclose(windows, [[0, 4], [2, 6], [4, 8], [5, 9]])
  np.testing.assert_allclose(daps_windows.windows(9.0, (4.0,), stride=0.5, cover_end=False),
                             windows[:3])
  np.testing.assert_allclose(daps_windows.windows(8.0, (4.0,), stride=0.5),
                             [[0, 4], [2, 6], [4, 8]])


def test_several_lengths_and_short_videos():
  np.testing.assert_allclose(daps_windows.windows(3.0, (4.0, 8.0)), [[0, 3]])
  np.testing.assert_allclose(daps_windows.windows(6.0, (4.0, 8.0, 16.0), stride=0.5),
                             [[0, 4], [2, 6], [0, 6]])


def test_the_published_windows():
  """512 frames every 64 in 878 frames at 30 fps: starts 0, 64, ..., 320 and, ours, 366."""
  windows = daps_windows.windows(878 / 30, (512 / 30,))
  np.testing.assert_allclose(windows[:, 0] * 30, [0, 64, 128, 192, 256, 320, 366])


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 400), st.lists(st.floats(1, 300), min_size=1, max_size=3),
       st.floats(0.05, 1))
def test_windows_cover_the_video(duration, lengths, stride):
  windows = daps_windows.windows(duration, lengths, stride=stride)
  assert windows.min() >= 0 and windows.max() <= duration + 1e-6
  assert (windows[:, 1] > windows[:, 0]).all()
  for length in {min(x, duration) for x in lengths}:
    own = windows[np.isclose(windows[:, 1] - windows[:, 0], length)]
    assert np.isclose(own[:, 0].min(), 0) and np.isclose(own[:, 1].max(), duration)
    assert (np.diff(np.sort(own[:, 0])) <= stride * length + 1e-5).all()


@pytest.mark.parametrize("arguments", [
    (0.0, (4.0,), 0.5), (np.nan, (4.0,), 0.5), (9.0, (), 0.5), (9.0, (-1.0,), 0.5),
    (9.0, (4.0,), 0.0)])
def test_window_faults(arguments):
  duration, lengths, stride = arguments
  with pytest.raises(DataError, match="DAPs"):
    daps_windows.windows(duration, lengths, stride=stride)


def test_usable_rows():
  values = np.arange(12.0).reshape(6, 2)
  values[[1, 4], 0] = np.nan, np.inf
  rows, index = daps_windows.usable_rows(FrameFeatures(values, TimeGrid(1.0)))
  np.testing.assert_array_equal(index, [0, 2, 3, 5])
  np.testing.assert_array_equal(rows, values[index])
  assert daps_windows.usable_rows(FrameFeatures(values, TimeGrid(1.0)), row_step=2
                                  )[1].tolist() == [0, 2]
  with pytest.raises(DataError, match="clip_7.*none of its 6"):
    daps_windows.usable_rows(FrameFeatures(values * np.nan, TimeGrid(1.0)), "clip_7")


def test_chunks_by_hand():
  """Six rows in three chunks: means of two, scaled to unit length."""
  rows = np.array([[3, 0], [3, 8], [0, 1], [0, 3], [1, 1], [-1, -1]], np.float32)
  found = daps_windows.chunks(rows, np.arange(6), TimeGrid(2.0), np.array([[0.0, 3.0]]),
                              num_chunks=3)
  np.testing.assert_allclose(found, [[[0.6, 0.8], [0, 1], [0, 0]]], atol=1e-6)


def test_only_rows_inside_the_window_count():
  """Rows of 16 frames every 8: of those from frame 8 to 40, rows 1 and 2 and 3 lie inside."""
  rows = np.eye(6, dtype=np.float32)
  grid = TimeGrid(fps=10.0, stride=8.0, window=16.0)
  found = daps_windows.chunks(rows, np.arange(6), grid, np.array([[0.8, 4.0]]), num_chunks=3)
  np.testing.assert_array_equal(found[0], np.eye(6)[1:4])


def test_fewer_rows_than_chunks_and_none():
  """Two rows in four chunks are each taken twice; a window between rows takes the nearest."""
  rows = np.eye(3, dtype=np.float32)
  found = daps_windows.chunks(rows, np.arange(3), TimeGrid(1.0), np.array([[0, 2], [2.2, 2.3]]),
                              num_chunks=4)
  np.testing.assert_array_equal(found[0], np.eye(3)[[0, 0, 1, 1]])
  np.testing.assert_array_equal(found[1], np.eye(3)[[2, 2, 2, 2]])


def slow_chunks(rows, index, grid, spans, num_chunks):
  """One window and one chunk at a time."""
  result = []
  for start, end in spans:
    inside = [row for row, i in zip(rows, index, strict=True)
              if i * grid.stride / grid.fps >= start - 1e-6
              and (i * grid.stride + grid.window) / grid.fps <= end + 1e-6]
    share, edges = 0.0, [0]
    for _ in range(num_chunks):
      share += 1 / num_chunks
      edges.append(int(np.round(share * len(inside))))
    for a, b in zip(edges[:-1], edges[1:], strict=True):
      mean = np.mean(np.array(inside[a:b], np.float64), axis=0)
      result.append(mean / np.linalg.norm(mean))
  return np.reshape(result, (len(spans), num_chunks, -1))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9), st.sampled_from([1.0, 2.0, 3.0]),
       st.booleans())
def test_chunks_are_the_slow_loop(seed, num_chunks, window, drop):
  rng = np.random.default_rng(seed)
  rows = rng.standard_normal((60, 3)).astype(np.float32) + 2
  index = np.flatnonzero(rng.random(60) < 0.7) if drop else np.arange(60)
  grid = TimeGrid(fps=3.0, stride=1.0, window=window)
  spans = daps_windows.windows(20.0, (13.0, 17.0), stride=0.3)
  wanted = slow_chunks(rows[index], index, grid, spans, num_chunks)
  found = daps_windows.chunks(rows[index], index, grid, spans, num_chunks=num_chunks)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
