"""TAG by hand, against a slow loop, and its properties."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError
from tal_jax.proposals import tag


def test_groups_by_hand():
  """Basins [1, 3) and [4, 5) and [8, 9).

  From the first, row 3 of the rows 1 to 3 is below: a third; up to the third basin 4 rows of 7;
  from the second to the third, 3 rows of 4.
  """
  signal = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1, 0.0])
  alone = [[1, 3], [4, 5], [8, 9]]
  for tolerance, wanted in ((0.3, alone), (0.4, [[1, 5], [4, 5], [8, 9]]),
                            (0.6, [[1, 9], [4, 5], [8, 9]]), (0.8, [[1, 9], [4, 9], [8, 9]])):
    found = tag.group(signal, thresholds=(0.5,), tolerances=(tolerance,))
    np.testing.assert_array_equal(found, sorted(wanted))


def test_thresholds_cut_at_their_heights():
  signal = np.array([0.2, 0.6, 0.9, 0.6, 0.2])
  found = tag.group(signal, thresholds=(0.1, 0.5, 0.8, 0.95), tolerances=(0.0,))
  np.testing.assert_array_equal(found, [[0, 5], [1, 4], [2, 3]])
  assert tag.group(signal, thresholds=(0.9,), tolerances=(0.5,)).shape == (0, 2)


def slow_groups(signal, thresholds, tolerances):
  """Every basin takes in the following ones, one row at a time."""
  found = set()
  for threshold in thresholds:
    above = [value > threshold for value in signal] + [False]
    starts = [i for i in range(len(signal)) if above[i] and (i == 0 or not above[i - 1])]
    for tolerance in tolerances:
      for start in starts:
        end = start
        while above[end]:
          end += 1
        for other in (s for s in starts if s > start):
          below = sum(not above[i] for i in range(start, other))
          if below > tolerance * (other - start) + 1e-9:
            break
          end = other
          while above[end]:
            end += 1
        found.add((start, end))
  return sorted(found)


signals = st.lists(st.floats(0, 1, width=16), min_size=1, max_size=40).map(np.array)


@settings(max_examples=60, deadline=None)
@given(signals)
def test_groups_are_the_slow_loop(signal):
  found = tag.group(signal)
  assert [tuple(x) for x in found] == slow_groups(signal, tag.THRESHOLDS, tag.TOLERANCES)


@settings(max_examples=30, deadline=None)
@given(signals, st.floats(0.5, 4), st.sampled_from(tag.SCORES))
def test_proposals_are_ordered_distinct_and_inside(signal, fps, score):
  duration = len(signal) / fps
  found = tag.propose(signal, TimeGrid(fps), duration, score=score)
  assert (np.diff(found.scores) <= 0).all()
  assert (found.segments[:, 0] >= 0).all() and (found.segments[:, 1] <= duration).all()
  assert len(np.unique(found.segments, axis=0)) == len(found.segments)
  reverse = tag.group(signal[::-1], tolerances=(0.0,))  # basins alone have no direction
  np.testing.assert_array_equal(np.sort(len(signal) - reverse[:, ::-1], axis=0),
                                np.sort(tag.group(signal, tolerances=(0.0,)), axis=0))


def test_times_and_scores_by_hand():
  """Rows of 16 frames every 8 at 8 per second: row i stands for [i + .5, i + 1.5] s."""
  grid = TimeGrid(fps=8.0, stride=8.0, window=16.0)
  signal = np.array([0, 0.6, 0.8, 0, 0, 0, 0.9, 0.0])
  options = {"smoothing": 0.0, "thresholds": (0.5,), "tolerances": (0.0,)}
  found = tag.propose(signal, grid, 9.0, **options)
  np.testing.assert_allclose(found.segments, [[1.5, 3.5], [6.5, 7.5]])
  np.testing.assert_allclose(found.scores, [1.4, 0.9])
  found = tag.propose(signal, grid, 7.0, score="mean", **options)
  np.testing.assert_allclose(found.segments, [[6.5, 7.0], [1.5, 3.5]])
  np.testing.assert_allclose(found.scores, [0.9, 0.7])


def test_a_silent_signal_and_faults():
  found = tag.propose(np.zeros(5), TimeGrid(1.0), 5.0)
  assert found.segments.shape == (0, 2) and found.scores.shape == (0,)
  with pytest.raises(DataError, match="score = 'max'"):
    tag.propose(np.zeros(5), TimeGrid(1.0), 5.0, score="max")
  for bad in (np.zeros(0), np.array([np.nan]), np.zeros((2, 2))):
    with pytest.raises(DataError, match="one finite number a row"):
      tag.propose(bad, TimeGrid(1.0), 5.0)
