"""Which levels the pyramid has, and where its points stand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.models.point import levels as lib
from tal_jax.models.point.levels import Levels


@pytest.mark.parametrize(("lengths", "expected"), [
    ([], Levels(2, 5)),
    ([0.0, -1.0], Levels(2, 5)),  # no lengths at all
    ([16.0], Levels(2, 5)),  # at 4 alone; a finer one is added, then three coarser ones
    ([8.0, 100.0], Levels(2, 5)),
    ([8.0, 128.0], Levels(2, 5)),  # 2, 4, 8, 16, 32
    ([8.0] * 9 + [256.0], Levels(2, 6)),
    ([8.0, 256.0], Levels(4, 5)),  # the quantile lies between the two: 20.4
    ([8.0, 4096.0], Levels(16, 5)),  # no coarser than 256: a crop has 1024 rows
    ([12.0] * 30 + [9000.0], Levels(2, 6)),  # one long one does not cost the short ones a level
    ([12.0] * 30 + [2000.0] * 31, Levels(8, 6)),  # but many do
    ([12.0] * 31 + [2000.0] * 31, Levels(2, 6)),  # as many of each: the finer
    ([1.0, 1.5], Levels(1, 5)),
    ([0.01], Levels(1, 5)),
    ([7.9], Levels(1, 5)),
    ([1000.0], Levels(16, 5)),  # at 128 alone, and the coarsest at 256
    ([2.0] + [40.0] * 99, Levels(4, 5)),  # one in a hundred is too short to count
])
def test_choice_by_hand(lengths, expected):
  assert lib.choose(np.array(lengths)) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=20),
       st.sampled_from([64, 100, 256, 1024, 4096]))
def test_choice_for_any_lengths(lengths, longest_crop):
  chosen = lib.choose(np.array(lengths), longest_crop=longest_crop)
  assert lib.FEWEST <= chosen.count <= lib.MOST
  assert chosen.first & (chosen.first - 1) == 0
  assert 4 * chosen.strides[-1] <= longest_crop
  short, long = lib.outside(np.array(lengths), chosen)
  others = [lib.outside(np.array(lengths), Levels(1 << i, lib.MOST)) for i in range(12)
            if 4 << (i + lib.MOST - 1) <= longest_crop]
  # No choice of as many levels is for many more of them: 5 % may be too short.
  assert all(short + long <= sum(other) + 0.05 * len(lengths) + 1 for other in others) or (
      chosen.count < lib.MOST)
  if chosen.count < lib.MOST:
    assert short <= 0.05 * len(lengths) + 1 or 4 * chosen.strides[-1] > longest_crop / 2
    assert not long or 4 * chosen.strides[-1] > longest_crop / 2
  assert lib.covers(chosen, chosen)
  assert lib.choose(np.array(lengths)[::-1], longest_crop=longest_crop) == chosen


def test_outside_by_hand():
  lengths = [1.0, 7.9, 8.0, 255.9, 256.0, 300.0]
  assert lib.outside(np.array(lengths), Levels(2, 5)) == (2, 2)
  assert lib.outside(np.array(lengths), Levels(1, 5)) == (0, 3)  # none is too short


def test_covering():
  assert lib.covers(Levels(2, 5), Levels(4, 4)) and lib.covers(Levels(2, 5), Levels(2, 4))
  assert not lib.covers(Levels(4, 5), Levels(2, 6))  # not as fine
  assert not lib.covers(Levels(2, 5), Levels(2, 6))  # not as coarse


def test_points_by_hand():
  points = lib.points(Levels(2, 3), 16)
  np.testing.assert_array_equal(points.positions, [0, 2, 4, 6, 8, 10, 12, 14, 0, 4, 8, 12, 0, 8])
  np.testing.assert_array_equal(points.strides, [2] * 8 + [4] * 4 + [8] * 2)
  np.testing.assert_array_equal(points.low, [0] * 8 + [8] * 4 + [16] * 2)
  np.testing.assert_array_equal(points.high, [8] * 8 + [16] * 4 + [np.inf] * 2)
  with pytest.raises(ValueError, match="12 rows are no multiple"):
    lib.points(Levels(2, 3), 12)


@pytest.mark.parametrize("levels", [Levels(1, 5), Levels(4, 6), Levels(8, 1)])
def test_every_way_belongs_to_one_level(levels):
  points = lib.points(levels, levels.strides[-1])
  ranges = sorted({(float(a), float(b)) for a, b in zip(points.low, points.high, strict=True)})
  assert len(ranges) == levels.count
  assert ranges[0][0] == 0 and ranges[-1][1] == np.inf
  assert all(a[1] == b[0] for a, b in zip(ranges, ranges[1:], strict=False))
