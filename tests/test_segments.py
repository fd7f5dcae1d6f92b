"""Segments against hand values, a slow loop, and what must hold for any segments."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from tal_jax import segments as seg


def slow_tiou(a, b):
  intersection = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
  union = max(a[1] - a[0], 0) + max(b[1] - b[0], 0) - intersection
  return intersection / union if union > 0 else 0.0


def slow_nms(segments, scores, mask, k, threshold):
  """The kept indices, by the definition: best first, drop what overlaps it by more."""
  order = sorted((i for i in range(len(scores)) if mask[i]), key=lambda i: (-scores[i], i))
  kept = []
  while order and len(kept) < k:
    best = order.pop(0)
    kept.append(best)
    order = [i for i in order if slow_tiou(segments[i], segments[best]) <= threshold]
  return kept


def slow_soft_nms(segments, scores, mask, k, sigma):
  """(index, score) of at most k, by the definition: take the best, lower what overlaps it."""
  left = {i: float(scores[i]) for i in range(len(scores)) if mask[i]}
  taken = []
  while left and len(taken) < k:
    best = max(left, key=lambda i: (left[i], -i))
    taken.append((best, left.pop(best)))
    for i in left:
      left[i] *= np.exp(-slow_tiou(segments[i], segments[best])**2 / sigma)
  return taken


class SegmentsTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_tiou_hand_values(self):
    a = jnp.asarray([[0.0, 2.0], [1.0, 3.0], [5.0, 5.0]])
    b = jnp.asarray([[0.0, 2.0], [2.0, 4.0], [5.0, 5.0], [-1.0, 10.0]])
    expected = [[1, 0, 0, 2 / 11], [1 / 3, 1 / 3, 0, 2 / 11], [0, 0, 0, 0]]
    np.testing.assert_allclose(self.variant(seg.tiou)(a, b), expected, rtol=1e-6)

  @chex.variants(with_jit=True, without_jit=True)
  def test_clip_and_length(self):
    clipped = self.variant(seg.clip)(jnp.asarray([[[-1.0, 2.0]], [[3.0, 9.0]]]),
                                     jnp.asarray([[5.0], [4.0]]))
    np.testing.assert_array_equal(clipped, [[[0, 2]], [[3, 4]]])
    np.testing.assert_array_equal(seg.length(clipped), [[2], [1]])
    np.testing.assert_array_equal(seg.length(jnp.asarray([3.0, 1.0])), 0)
    np.testing.assert_array_equal(seg.clip(jnp.asarray([3.0, 8.0]), 5.0), [3, 5])

  @chex.variants(with_jit=True, without_jit=True)
  def test_nms_hand_values(self):
    segments = jnp.asarray([[0.0, 4.0], [0.0, 3.0], [10.0, 12.0], [1.0, 4.0], [0.0, 4.0]])
    scores = jnp.asarray([0.5, 0.9, 0.1, 0.9, 1.0])
    mask = jnp.asarray([True, True, True, True, False])
    nms = self.variant(lambda t: seg.nms(segments, scores, mask, k=3, threshold=t))
    indices, kept = nms(0.5)  # 1 and 3 overlap by exactly 2/4: kept; 0 overlaps 1 by 3/4: dropped
    np.testing.assert_array_equal(indices, [1, 3, 2])
    np.testing.assert_array_equal(kept, [True, True, True])
    indices, kept = nms(0.4)
    np.testing.assert_array_equal(indices, [1, 2, 0])
    np.testing.assert_array_equal(kept, [True, True, False])
    indices, _ = nms(1.0)
    np.testing.assert_array_equal(indices, [1, 3, 0])

  @chex.variants(with_jit=True, without_jit=True)
  def test_soft_nms_hand_values(self):
    segments = jnp.asarray([[0.0, 4.0], [0.0, 2.0], [10.0, 12.0], [0.0, 4.0], [0.0, 4.0]])
    scores = jnp.asarray([0.5, 0.9, 0.3, 0.9, 1.0])
    mask = jnp.asarray([True, True, True, True, False])
    soft_nms = self.variant(lambda sigma: seg.soft_nms(segments, scores, mask, k=5, sigma=sigma))
    # 1 is first of the two best; it overlaps 0 and 3 by 1/2, and 3 then overlaps 0 by 1.
    indices, left, kept = soft_nms(0.5)
    np.testing.assert_array_equal(indices, [1, 3, 2, 0, 0])
    np.testing.assert_allclose(left, [0.9, 0.9 * np.exp(-0.5), 0.3, 0.5 * np.exp(-2.5), 0],
                               rtol=1e-5)
    np.testing.assert_array_equal(kept, [True] * 4 + [False])
    indices, left, _ = soft_nms(1e6)  # nothing decays: a plain top-k
    np.testing.assert_array_equal(indices, [1, 3, 0, 2, 0])
    np.testing.assert_allclose(left, [0.9, 0.9, 0.5, 0.3, 0], rtol=1e-5)
    indices, left, kept = soft_nms(1e-3)  # what overlaps at all decays to 0, but stays
    np.testing.assert_array_equal(indices, [1, 2, 0, 3, 0])
    np.testing.assert_allclose(left, [0.9, 0.3, 0, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(kept, [True] * 4 + [False])


def test_nms_of_nothing():
  indices, kept = seg.nms(jnp.zeros((3, 2)), jnp.zeros(3), jnp.zeros(3, bool), k=5, threshold=0.5)
  assert indices.dtype == jnp.int32
  np.testing.assert_array_equal(indices, np.zeros(5))
  assert not kept.any()
  with pytest.raises(AssertionError):
    seg.nms(jnp.zeros((1, 3, 2)), jnp.zeros(3), jnp.zeros(3, bool), k=5, threshold=0.5)
  with pytest.raises(AssertionError):
    seg.tiou(jnp.zeros((3, 3)), jnp.zeros((3, 2)))


_times = hnp.arrays(np.float32, (7, 2), elements=st.integers(0, 20).map(lambda i: i / 2))


@settings(max_examples=100, deadline=None)
@given(a=_times, b=_times)
def test_tiou_properties(a, b):
  overlaps = np.asarray(seg.tiou(a, b))
  expected = [[slow_tiou(s, t) for t in b.astype(float)] for s in a.astype(float)]
  good = (a[:, None, 1] >= a[:, None, 0]) & (b[None, :, 1] >= b[None, :, 0])
  np.testing.assert_allclose(overlaps[good], np.asarray(expected)[good], rtol=1e-6)
  np.testing.assert_array_equal(overlaps, np.asarray(seg.tiou(b, a)).T)
  assert overlaps.min() >= 0 and overlaps.max() <= 1
  own = np.diagonal(seg.tiou(a, a))
  np.testing.assert_array_equal(own, a[:, 1] > a[:, 0])


_nms = jax.jit(seg.nms, static_argnames="k")


@settings(max_examples=100, deadline=None)
@given(bounds=_times, scores=hnp.arrays(np.float32, 7, elements=st.integers(-3, 3)),
       mask=hnp.arrays(bool, 7), threshold=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_nms_equals_the_slow_loop(bounds, scores, mask, threshold):
  segments = np.sort(bounds, axis=1)
  indices, kept = _nms(segments, scores, mask, k=4, threshold=threshold)
  expected = slow_nms(segments.astype(float), scores, mask, 4, threshold)
  assert list(np.asarray(indices)[np.asarray(kept)]) == expected
  assert kept.sum() == len(expected) and not np.asarray(indices)[len(expected):].any()


_soft_nms = jax.jit(seg.soft_nms, static_argnames="k")


@settings(max_examples=100, deadline=None)
@given(bounds=_times, scores=hnp.arrays(np.float32, 7, elements=st.integers(0, 8)),
       mask=hnp.arrays(bool, 7), sigma=st.sampled_from([0.1, 0.5, 2.0]))
def test_soft_nms_equals_the_slow_loop(bounds, scores, mask, sigma):
  """Equal scores may be told apart by rounding: the scores are compared, and whose they can be."""
  segments, scores = np.sort(bounds, axis=1), scores + np.arange(7, dtype=np.float32) / 16
  indices, left, kept = map(np.asarray, _soft_nms(segments, scores, mask, k=5, sigma=sigma))
  expected = slow_soft_nms(segments.astype(float), scores, mask, 5, sigma)
  assert kept.sum() == len(expected)
  np.testing.assert_allclose(left[kept], [score for _, score in expected], rtol=1e-4, atol=1e-6)
  assert (np.diff(left) <= 0).all() and not left[~kept].any() and not indices[~kept].any()
  clear = np.abs(np.subtract.outer(left[kept], left[kept])) > 1e-4
  for i, (index, _) in enumerate(expected):
    if np.delete(clear[i], i).all() and i + 1 < 5:  # the last may tie with one that was not taken
      assert indices[i] == index


def test_soft_nms_of_nothing():
  indices, left, kept = seg.soft_nms(jnp.zeros((3, 2)), jnp.ones(3), jnp.zeros(3, bool), k=5,
                                     sigma=0.5)
  assert indices.dtype == jnp.int32 and not kept.any() and not left.any() and not indices.any()
