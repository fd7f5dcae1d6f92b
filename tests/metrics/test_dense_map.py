"""The dense metric against the flat one on the same predictions, written out."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import GroundTruth, Predictions
from tal_jax.metrics.average_precision import detection_map
from tal_jax.metrics.dense_map import dense_detection_map


def written_out(segments, scores, mask):
  video, rank = np.nonzero(mask)
  c = scores.shape[-1]
  return Predictions(np.repeat(video, c), np.tile(np.arange(c), len(video)),
                     np.repeat(segments[video, rank].astype(np.float64), c, axis=0),
                     scores[video, rank].astype(np.float64).ravel())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([3, 1000]))
def test_equals_the_flat_metric(seed, levels):
  """Few levels of score: nearly all are ties."""
  rng = np.random.default_rng(seed)
  v, k, c, n = 12, 5, 4, 20
  segments = np.sort(rng.integers(0, 12, (v, k, 2)), -1).astype(np.float32)
  scores = (rng.integers(0, levels, (v, k, c)) / levels).astype(np.float32)
  mask = rng.random((v, k)) < 0.8
  truth = GroundTruth(rng.integers(0, v, n), rng.integers(0, c - 1, n),
                      np.sort(rng.integers(0, 12, (n, 2)), -1).astype(float), c)
  got = dense_detection_map(truth, segments, scores, mask)
  wanted = detection_map(truth, written_out(segments, scores, mask))
  for a, b in zip(got, wanted, strict=True):
    np.testing.assert_array_equal(a, b)


def test_no_detections():
  truth = GroundTruth(np.array([0]), np.array([1]), np.array([[0.0, 1.0]]), 2)
  got = dense_detection_map(truth, np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.zeros((3, 2), bool))
  assert got.average_map == 0 and got.num_predictions == 0
  with pytest.raises(ValueError, match="NaN"):
    dense_detection_map(truth, np.zeros((1, 1, 2)), np.full((1, 1, 2), np.nan),
                        np.ones((1, 1), bool))
