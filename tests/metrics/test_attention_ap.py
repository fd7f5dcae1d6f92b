"""The class-agnostic AP on the device against the host's ActivityNet metric."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.metrics import attention_ap as lib
from tal_jax.metrics.average_precision import (
  GroundTruth,
  Predictions,
  detection_map,
)

V, K, T = 5, 4, 3
attention_ap = jax.jit(lib.attention_ap)


def random_case(seed, *, hard=False):
  """Detections near truths, best first per video; scores without ties."""
  rng = np.random.default_rng(seed)
  starts = rng.uniform(0, 90, (V, T))
  truths = np.stack([starts, starts + rng.uniform(2, 30, (V, T))], -1)
  truth_mask = rng.random((V, T)) < 0.7
  truth_mask[0, 0] = True  # a metric needs a truth
  near = truths[np.arange(V)[:, None], rng.integers(0, T, (V, K))]
  segments = np.sort(near + rng.normal(0, 3 if hard else 1, (V, K, 2)), axis=-1)
  scores = -np.sort(-rng.normal(size=(V, K)), axis=1)
  mask = np.arange(K) < rng.integers(0, K + 1, (V, 1))
  return tuple(x if x.dtype == bool else x.astype(np.float32)
               for x in (segments, scores, mask, truths, truth_mask))


def on_the_host(segments, scores, mask, truths, truth_mask, **kwargs):
  video, rank = np.nonzero(mask)
  truth_video, truth = np.nonzero(truth_mask)
  return detection_map(
      GroundTruth(truth_video, 0 * truth_video, truths[truth_video, truth], 1),
      Predictions(video, 0 * video, segments[video, rank], scores[video, rank]),
      **kwargs).average_map


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_equals_detection_map(seed, hard):
  case = random_case(seed, hard=hard)
  np.testing.assert_allclose(attention_ap(*case), on_the_host(*case), atol=1e-5)


def test_given_thresholds():
  case = random_case(3)
  np.testing.assert_allclose(lib.attention_ap(*case, tious=(0.3,)),
                             on_the_host(*case, tious=(0.3,)), atol=1e-5)


def test_the_thresholds_are_activitynets():
  np.testing.assert_array_equal(np.float32(lib.TIOUS), np.float32(np.linspace(0.5, 0.95, 10)))


def test_by_hand():
  """One video, two truths: hit at 10 of 10 thresholds, duplicate, hit at tIoU 0.72: 5 of 10."""
  segments = jnp.array([[[0.0, 10.0], [0.0, 10.0], [20.0, 27.2]]])
  truths, ones = jnp.array([[[0.0, 10.0], [20.0, 30.0]]]), jnp.ones((1, 2), bool)
  got = lib.attention_ap(segments, jnp.array([[3.0, 2.0, 1.0]]), jnp.ones((1, 3), bool), truths,
                         ones)
  # AP is (1 + 2/3) / 2 where both are hit, else 1/2.
  np.testing.assert_allclose(got, (5 * (5 / 6) + 5 * 0.5) / 10, rtol=1e-6)


def bits(*flags):
  return sum(1 << i for i, flag in enumerate(flags) if flag)


def test_a_detection_takes_the_free_truth_it_overlaps_most():
  """Overlaps .8 and .9 with the thresholds .5 and .85, three times the same segment."""
  matches = lib.match(jnp.array([[0.0, 10.0]] * 3), jnp.array([[0.0, 8.0], [0.0, 9.0]]),
                      jnp.ones(2, bool), jnp.array([0.5, 0.85]))
  assert matches.truth.tolist() == [[1, 0]] * 3
  assert matches.reached.tolist() == [[bits(1, 1), bits(1, 0)]] * 3
  hits = lib.true_positives(matches, jnp.ones(3, bool), num_truths=2)
  assert hits.tolist() == [bits(1, 1), bits(1, 0), bits(0, 0)]


def test_a_masked_detection_takes_nothing():
  matches = lib.Matches(jnp.zeros((2, 1), jnp.int32), jnp.full((2, 1), 3, jnp.int32))
  hits = lib.true_positives(matches, jnp.array([False, True]), num_truths=1)
  assert hits.tolist() == [0, 3]


average_precision = jax.jit(lib.average_precision, static_argnames="num_thresholds")


def slow_average_precision(scores, hits, mask, num_truths):
  """One threshold, one model: the k-th true positive, at rank r, has precision k / r."""
  precisions, found = [], 0
  for rank, i in enumerate(sorted(np.flatnonzero(mask), key=lambda i: -scores[i]), 1):
    if hits[i]:
      found += 1
      precisions.append(found / rank)
  return sum(max(precisions[k:]) for k in range(found)) / max(num_truths, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([1, 8, 9, 11]))
def test_average_precision_against_a_loop(seed, n):
  """Around squares, where the last block is full, or nearly empty."""
  rng = np.random.default_rng(seed)
  scores = rng.permutation(3 * n).reshape(3, n).astype(np.float32)
  hits, mask = rng.integers(0, 4, (3, n)), rng.random((3, n)) < 0.8
  got = average_precision(scores, hits, mask, 2 * n, num_thresholds=2)
  want = [[slow_average_precision(scores[b], hits[b] >> i & 1, mask[b], 2 * n) for b in range(3)]
          for i in range(2)]
  np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("without", ["truths", "detections"])
def test_nothing_there(without):
  segments, scores, mask, truths, truth_mask = random_case(0)
  if without == "truths":
    truth_mask = np.zeros_like(truth_mask)
  else:
    mask = np.zeros_like(mask)
  assert attention_ap(segments, scores, mask, truths, truth_mask) == 0


def test_padding_changes_nothing():
  segments, scores, mask, truths, truth_mask = random_case(7)
  want = attention_ap(segments, scores, mask, truths, truth_mask)
  dirty = attention_ap(
      np.where(mask[..., None], segments, [0.0, 50.0]).astype(np.float32),
      np.where(mask, scores, 100).astype(np.float32), mask,
      np.where(truth_mask[..., None], truths, segments[:, :T]), truth_mask)
  assert dirty == want


@pytest.mark.parametrize("num_thresholds", [10, 31])  # 31 leave no bits for an index
def test_order_is_that_of_a_stable_sort(num_thresholds):
  rng = np.random.default_rng(0)
  scores = rng.normal(size=(5, 300)).round(1).astype(np.float32)
  scores[:, ::7], scores[:, ::11], scores[:, ::13] = -np.inf, -0.0, 0.0
  hits = rng.integers(0, 1 << 10, scores.shape).astype(np.int32)
  ordered = jax.jit(lib._by_score, static_argnums=2)(scores, hits, num_thresholds)
  assert ordered.dtype == jnp.int32
  expected = np.take_along_axis(hits, np.argsort(-scores, axis=1, kind="stable"), 1)
  np.testing.assert_array_equal(ordered, expected)
