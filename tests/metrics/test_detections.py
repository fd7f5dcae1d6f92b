"""The metric of a model's detections: both forms against the predictions written out by a loop."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import GroundTruth, Predictions
from tal_jax.metrics import detections as lib
from tal_jax.metrics.average_precision import detection_map
from tal_jax.models.localizer import Detections
from tests import pools

V, K, C = 6, 5, 3


def drawn(seed, *, labelled, levels=1000):
  """Detections of one form or the other; few levels of score give ties."""
  rng = np.random.default_rng(seed)
  segments = np.sort(rng.integers(0, 12, (V, K, 2)), -1).astype(np.float32)
  shape = (V, K) if labelled else (V, K, C)
  scores = (rng.integers(0, levels, shape) / levels).astype(np.float32)
  labels = rng.integers(0, C, (V, K)).astype(np.int32) if labelled else None
  mask = rng.random((V, K)) < 0.7
  attention = rng.random((V, K)).astype(np.float32)
  return Detections(segments, scores, attention, mask, attention, labels)


def truths(seed, num=10):
  rng = np.random.default_rng((seed, 1))
  return GroundTruth(rng.integers(0, V, num), rng.integers(0, C, num),
                     np.sort(rng.integers(0, 12, (num, 2)), -1).astype(float), C)


def written_out(found):
  """One prediction after the other."""
  rows = []
  for v in range(V):
    for k in range(K):
      if found.mask[v, k]:
        classes = range(C) if found.labels is None else [found.labels[v, k]]
        rows += [(v, c, found.segments[v, k], found.scores[v, k, c] if found.labels is None
                  else found.scores[v, k]) for c in classes]
  video, label, segments, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
  return Predictions(np.array(video, int), np.array(label, int),
                     np.array(segments, float).reshape(-1, 2), np.array(scores, float))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([3, 1000]))
def test_equals_the_metric_of_the_predictions_written_out(seed, labelled, levels):
  found, truth = drawn(seed, labelled=labelled, levels=levels), truths(seed)
  wanted = written_out(found)
  for got, expected in zip(lib.to_predictions(found), wanted, strict=True):
    np.testing.assert_array_equal(got, expected)
    assert got.dtype.kind == expected.dtype.kind
  for got, expected in zip(lib.mean_ap(truth, found), detection_map(truth, wanted), strict=True):
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("labelled", [True, False])
def test_by_hand(labelled):
  """Two videos, classes 0 and 1; the second video's better detection is of the wrong class."""
  truth = GroundTruth(np.array([0, 1]), np.array([0, 1]), np.array([[0.0, 4], [2, 6]]), 2)
  segments = np.array([[[0, 4], [9, 9]], [[2, 6], [2, 6]]], np.float32)
  mask = np.array([[True, False], [True, True]])
  if labelled:
    scores, labels = np.array([[0.5, 0.9], [0.75, 0.25]], np.float32), np.array([[0, 0], [0, 1]])
  else:
    scores = np.array([[[0.5, 0.125], [0.9, 0.9]], [[0.75, 0.0], [0.0, 0.25]]], np.float32)
    labels = None
  found = Detections(segments, scores, mask, mask, mask, labels)
  result = lib.mean_ap(truth, found)
  # Class 0: a false positive comes before the hit; class 1: the hit comes first.
  np.testing.assert_array_equal(result.ap, np.tile([0.5, 1.0], (10, 1)))
  assert result.num_predictions == (3 if labelled else 6)


@pytest.mark.parametrize("labelled", [True, False])
def test_arrays_on_a_device_and_a_class_of_testing_alone(labelled):
  found, truth = drawn(3, labelled=labelled), truths(3)
  placed = Detections(*(None if leaf is None else jnp.asarray(leaf) for leaf in found))
  assert lib.mean_ap(truth, placed).average_map == lib.mean_ap(truth, found).average_map > 0
  more = truth._replace(num_classes=C + 1)  # without truth, it does not count
  assert lib.mean_ap(more, written_to(found, labelled)).average_map == pytest.approx(
      lib.mean_ap(truth, found).average_map)


def written_to(found, labelled):
  """The same with a fourth class that nothing is in."""
  if labelled:
    return found
  return found._replace(scores=np.pad(found.scores, ((0, 0), (0, 0), (0, 1))))


@pytest.mark.parametrize("labelled", [True, False])
def test_nothing_found(labelled):
  found = drawn(0, labelled=labelled)
  none = found._replace(mask=np.zeros_like(found.mask))
  assert len(lib.to_predictions(none).video) == 0
  assert lib.mean_ap(truths(0), none).average_map == 0.0


def test_truths_of_a_pool():
  pool = pools.videos(5)
  truth = lib.truth_of(pool, num_classes=pools.NUM_CLASSES)
  rows = [(v, int(pool.truth_labels[v, t]), *map(float, pool.truths[v, t]))
          for v in range(5) for t in range(pools.NUM_TRUTHS) if pool.truth_mask[v, t]]
  assert rows == [(v, c, *s) for v, c, s in zip(truth.video, truth.label, truth.segments.tolist(),
                                                strict=True)]
  assert truth.num_classes == pools.NUM_CLASSES and truth.segments.dtype == np.float64
  assert not len(lib.truth_of(pools.without_truths(pool), num_classes=3).video)
