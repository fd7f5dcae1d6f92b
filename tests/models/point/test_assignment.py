"""Which point learns which truth: by hand, and against the definition in a double loop."""

import functools

import jax
import numpy as np
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from tal_jax.models.point import levels as levels_lib
from tal_jax.models.point.assignment import assign
from tal_jax.models.point.levels import Levels

POINTS = levels_lib.points(Levels(2, 3), 32)  # 16 at stride 2, 8 at 4, 4 at 8
CLASSES = 3
_assign = jax.jit(functools.partial(assign, POINTS, num_classes=CLASSES))


def positives(truths, labels, mask=None):
  truths = np.array(truths, np.float32)
  mask = np.ones(len(truths), bool) if mask is None else np.array(mask)
  found = _assign(truths, np.array(labels, np.int32), mask)
  at = np.flatnonzero(found.positive)
  places = [(int(POINTS.strides[p]), int(POINTS.positions[p])) for p in at]
  return places, np.asarray(found.classes)[at], np.asarray(found.offsets)[at], found


def test_a_short_truth_by_hand():
  """[5, 11] has its centre at 8: of stride 2 the points nearer than 3 rows."""
  places, classes, offsets, found = positives([[5.0, 11.0]], [2])
  assert places == [(2, 6), (2, 8), (2, 10)]  # the longer ways, 5, 3 and 5, are below 8
  np.testing.assert_array_equal(classes, [[0, 0, 1]] * 3)
  np.testing.assert_array_equal(offsets, [[0.5, 2.5], [1.5, 1.5], [2.5, 0.5]])
  assert not np.asarray(found.offsets)[~np.asarray(found.positive)].any()


def test_ranges_by_hand():
  # Longer ways: at stride 2 below 8, at stride 4 in [8, 16), at stride 8 from 16 on.
  assert positives([[0.0, 16.0]], [0])[0] == [(4, 4), (4, 8), (4, 12)]
  assert positives([[1.0, 31.0]], [0])[0] == [(4, 16), (8, 8), (8, 24)]
  # A truth that begins before the video, and one that ends at a point, which is then outside.
  assert positives([[-8.0, 4.0]], [0])[0] == [(4, 0)]
  assert positives([[2.0, 4.0]], [0])[0] == []
  assert positives([[1.0, 3.0]], [0])[0] == [(2, 2)]


def test_the_shortest_wins_and_equals_share():
  places, classes, offsets, _ = positives([[4.0, 12.0], [6.0, 10.0], [6.0, 10.0005]], [0, 1, 2])
  assert places == [(2, 6), (2, 8), (2, 10)]
  # Two lengths differ by less than 1e-3 rows. The points at 6 and 10 are on the bound of one.
  np.testing.assert_array_equal(classes, [[1, 0, 0], [0, 1, 1], [0, 0, 1]])
  np.testing.assert_allclose(offsets, [[1, 3], [1, 1], [2, 0.00025]], atol=1e-6)


def test_no_truth():
  assert positives([[5.0, 11.0], [0.0, 0.0]], [1, 0], [False, False])[0] == []
  _, classes, _, found = positives([[7.0, 7.0]], [1])
  assert not found.positive.any() and not found.classes.any()


def slow(truths, labels, mask):
  classes = np.zeros((len(POINTS.positions), CLASSES))
  offsets, positive = np.zeros((len(classes), 2)), np.zeros(len(classes), bool)
  for p, (position, s, low, high) in enumerate(zip(*POINTS, strict=True)):
    best = None
    for (start, end), real in zip(truths, mask, strict=True):
      ways = position - start, end - position
      fits = (real and min(ways) > 0 and abs(position - (start + end) / 2) < 1.5 * s
              and low <= max(ways) < high)
      if fits and (best is None or end - start < best):
        best, offsets[p], positive[p] = end - start, np.array(ways) / s, True
    for (start, end), label, real in zip(truths, labels, mask, strict=True):
      ways = position - start, end - position
      if (best is not None and real and end - start == best and min(ways) > 0
          and abs(position - (start + end) / 2) < 1.5 * s and low <= max(ways) < high):
        classes[p, label] = 1
  return classes, offsets, positive


@settings(max_examples=150, deadline=None)
@given(bounds=hnp.arrays(np.float32, (4, 2), elements=st.integers(-16, 80).map(lambda i: i / 2)),
       labels=hnp.arrays(np.int32, 4, elements=st.integers(0, CLASSES - 1)),
       mask=hnp.arrays(bool, 4))
def test_equals_the_slow_loop(bounds, labels, mask):
  truths = np.sort(bounds, axis=1)
  found = _assign(truths, labels, mask)
  classes, offsets, positive = slow(truths, labels, mask)
  np.testing.assert_array_equal(found.positive, positive)
  np.testing.assert_array_equal(found.classes, classes)
  np.testing.assert_allclose(found.offsets, offsets, rtol=1e-6)
