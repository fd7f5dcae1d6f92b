"""Pooling against hand values, a slow loop and algebraic properties."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data.records import TimeGrid
from tal_jax.encoders import pooling

GRID = TimeGrid(fps=1.0)  # centres at 0.5, 1.5, ...
GRIDS = (GRID, TimeGrid(fps=50.0, stride=10.0, window=50.0), TimeGrid(30.0, 8.0, 16.0))


def slow_mean(frames, start, end, grid):
  """Mean of the rows whose centre lies in [start, end), else the row nearest to the middle."""
  centres = [(i * grid.stride + 0.5 * grid.window) / grid.fps for i in range(len(frames))]
  inside = [i for i, centre in enumerate(centres) if start <= centre < end]
  if not inside:
    middle = (start + end) / 2
    inside = [min(range(len(frames)), key=lambda i: (abs(centres[i] - middle), i))]
  return np.mean([frames[i].astype(np.float64) for i in inside], axis=0)


def slow_encode(frames, segments, grid, encoder):
  rows = []
  for start, end in segments:
    half = (end - start) / 2
    parts = {"mean": [(start, end)],
             "context": [(start - half, start), (start, end), (end, end + half)]}[encoder]
    rows.append(np.concatenate([slow_mean(frames, s, e, grid) for s, e in parts]))
  return np.array(rows)


def test_mean_by_hand():
  frames = np.arange(6.0)[:, None]
  segments = np.array([[0, 6], [1, 3], [0.5, 1.5], [0.6, 1.5], [2.7, 3.2], [5.9, 9], [-3, -1]])
  # [0.5, 1.5) has the centre 0.5 alone; [0.6, 1.5) none: the nearest to 1.05 is 1.5.
  np.testing.assert_allclose(pooling.encode(frames, segments, GRID, encoder="mean")[:, 0],
                             [2.5, 1.5, 0.0, 1.0, 2.0, 5.0, 0.0])


def test_context_by_hand():
  frames = np.arange(8.0)[:, None]
  got = pooling.encode(frames, np.array([[2.0, 6.0], [0.0, 4.0], [4.0, 8.0]]), GRID,
                       encoder="context")
  # The first and the last video rows stand in for what lies before and after the video.
  np.testing.assert_allclose(got, [[0.5, 3.5, 6.5], [0.0, 1.5, 4.5], [2.5, 5.5, 7.0]])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("encoder", sorted(pooling.ENCODERS))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equals_slow_loop(grid, encoder, dtype):
  rng = np.random.default_rng(0)
  for num_rows in (1, 2, 40):
    duration = (num_rows * grid.stride + grid.window) / grid.fps
    frames = rng.normal(50, 1, (num_rows, 3)).astype(dtype)
    segments = np.sort(rng.uniform(-0.1 * duration, 1.1 * duration, (50, 2)), axis=1)
    got = pooling.encode(frames, segments, grid, encoder=encoder)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, slow_encode(frames, segments, grid, encoder), atol=1e-9)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.integers(1, 30), st.floats(-1e6, 1e6), st.floats(0, 40), st.floats(0, 40),
                  st.sampled_from(sorted(pooling.ENCODERS)), st.sampled_from(GRIDS))
def test_constant_features_give_the_constant(num_rows, value, a, b, encoder, grid):
  got = pooling.encode(np.full((num_rows, 2), value), np.array([[min(a, b), max(a, b)]]), grid,
                       encoder=encoder)
  np.testing.assert_allclose(got, value, rtol=1e-12)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_means_of_neighbours_add_up(start, first, second, seed):
  frames = np.random.default_rng(seed).normal(size=(30, 4))
  a, b = start + first, start + first + second
  left, right, both = pooling.encode(frames, np.array([[start, a], [a, b], [start, b]]), GRID,
                                     encoder="mean")
  np.testing.assert_allclose(left * first + right * second, both * (first + second), atol=1e-9)


def test_refuses_wrong_input():
  with pytest.raises(ValueError, match="no encoder 'max'; there are context, mean"):
    pooling.encode(np.ones((3, 2)), np.ones((1, 2)), GRID, encoder="max")
  for frames in (np.ones(3), np.ones((0, 2))):
    with pytest.raises(ValueError, match="expected"):
      pooling.encode(frames, np.ones((1, 2)), GRID, encoder="mean")


def test_no_proposals():
  empty = pooling.encode(np.ones((3, 2)), np.zeros((0, 2)), GRID, encoder="context")
  assert empty.shape == (0, 6)
