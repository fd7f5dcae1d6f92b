"""From points to segments: by hand, and in two windows as in one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.models.point import decoding as lib, levels as levels_lib
from tal_jax.models.point.decoding import Candidates, Settings
from tal_jax.models.point.levels import Levels

POINTS = levels_lib.points(Levels(2, 2), 8)  # at 0, 2, 4, 6 of stride 2 and 0, 4 of stride 4


def test_candidates_by_hand():
  said = np.array([[0.1, 0.2], [0.9, 0.1], [0.5, 0.2], [0.6, 0.1], [0.95, 0.3], [0.3, 0.4]])
  offsets = np.array([[0.0, 1.0], [0.5, 1.5], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.5, 0.25]])
  real = np.array([True, True, True, True, False, True])
  found = lib.candidates(said, offsets, real, 100, POINTS, num=3)
  np.testing.assert_allclose(found.scores, [[0.9, 0.6, 0.5], [0.4, 0.2, 0.2]], rtol=1e-5)
  np.testing.assert_allclose(found.segments, [[[101, 105], [104, 108], [104, 104]],
                                              [[102, 105], [100, 102], [104, 104]]])
  more = lib.candidates(said, offsets, real, 100, POINTS, num=8)  # only six points, five real
  np.testing.assert_array_equal(np.asarray(more.scores)[:, 5:], -1)
  np.testing.assert_allclose(np.asarray(more.segments)[:, :3], found.segments)


def test_segments_by_hand():
  """One class with two equal segments, one with one; rows are 2 s apart and begin at 1 s."""
  found = Candidates(jnp.array([[0.9, 0.8, 0.5, -1.0], [0.6, 0.4, 0.0, -1.0]]),
                     jnp.array([[[0.0, 2.0], [0.0, 2.0], [3.0, 9.0], [0.0, 9.0]],
                                [[-4.0, 1.0], [-5.0, -4.0], [0.0, 5.0], [0.0, 9.0]]]))
  segments, scores, labels, mask = lib.segments(found, 1.0, 2.0, 12.0, Settings(kept=4, sigma=0.5))
  np.testing.assert_array_equal(mask, [True] * 4 + [False] * 4)
  np.testing.assert_allclose(scores[:4], [0.9, 0.6, 0.5, 0.8 * np.exp(-2)], rtol=1e-5)
  np.testing.assert_array_equal(labels[:4], [0, 1, 0, 0])
  np.testing.assert_allclose(segments[:4], [[1, 5], [0, 3], [7, 12], [1, 5]])
  assert not scores[4:].any() and not segments[4:].any() and labels.dtype == jnp.int32
  few = lib.segments(found, 1.0, 2.0, 12.0, Settings(kept=4, most=2))
  np.testing.assert_allclose(few[1], scores[:2])
  one = lib.segments(found, 1.0, 2.0, 12.0, Settings(kept=1))
  np.testing.assert_allclose(one[1], [0.9, 0.6])


def test_nothing():
  found = Candidates(jnp.full((2, 3), -1.0), jnp.zeros((2, 3, 2)))
  segments, scores, _, mask = lib.segments(found, 0.0, 1.0, 9.0, Settings())
  assert not mask.any() and not scores.any() and not segments.any()


_candidates = jax.jit(functools.partial(lib.candidates, points=POINTS, num=4))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 8))
def test_two_windows_are_one(seed, cut):
  """Points before `cut` from one window, the others from another one that begins 8 rows later."""
  rng = np.random.default_rng(seed)
  said, offsets = rng.uniform(0, 1, (6, 2)), rng.uniform(0, 3, (6, 2))
  own = POINTS.positions < cut
  parts = [_candidates(said, offsets, own, 0), _candidates(said, offsets, ~own, 0)]
  whole = _candidates(said, offsets, np.ones(6, bool), 0)
  merged = lib.merge(parts)
  np.testing.assert_array_equal(merged.scores, whole.scores)
  np.testing.assert_array_equal(merged.segments, whole.segments)


@pytest.mark.parametrize("num", [4])
def test_merging_keeps_the_earlier_of_equals(num):
  first = Candidates(np.full((1, num), 0.5), np.zeros((1, num, 2)))
  second = Candidates(np.array([[0.9, 0.5, 0.1, -1.0]]), np.ones((1, num, 2)))
  merged = lib.merge([first, second])
  np.testing.assert_allclose(merged.scores, [[0.9, 0.5, 0.5, 0.5]])
  np.testing.assert_array_equal(merged.segments[0, :, 0], [1, 0, 0, 0])
