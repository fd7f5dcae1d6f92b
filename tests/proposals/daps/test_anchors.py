"""Anchors by hand, and their faults."""

import numpy as np
import pytest

from tal_jax.errors import DataError
from tal_jax.proposals.daps import anchors as daps_anchors


def test_locations_by_hand():
  """Truths that lie in the window whole, as [centre, duration] / T; empty ones are left out."""
  truths = np.array([[1.0, 3.0], [4.0, 9.0], [5.0, 5.0], [0.0, 5.0]])
  first, second = daps_anchors.locations(truths, np.array([[0.0, 5.0], [4.0, 14.0]]))
  np.testing.assert_allclose(first, [[0.4, 0.4], [0.5, 1.0]])
  np.testing.assert_allclose(second, [[0.25, 0.5]])
  assert daps_anchors.locations(np.zeros((0, 2)), np.array([[0.0, 5.0]]))[0].shape == (0, 2)


def test_k_means_finds_three_heaps():
  rng = np.random.default_rng(0)
  heaps = np.array([[0.5, 0.1], [0.2, 0.3], [0.8, 0.3]])
  points = heaps.repeat(50, axis=0) + 0.01 * rng.standard_normal((150, 2))
  seen = np.split(rng.permutation(points), [10, 10, 90])
  anchors = daps_anchors.fit(seen, num_anchors=3, seed=0)
  assert anchors.dtype == np.float32
  np.testing.assert_allclose(anchors[0], heaps[0], atol=0.01)
  np.testing.assert_allclose(sorted(anchors[1:].tolist()), heaps[1:], atol=0.01)
  np.testing.assert_array_equal(anchors, daps_anchors.fit(seen, num_anchors=3, seed=0))


def test_too_few_truths():
  seen = [np.array([[0.5, 0.5], [0.5, 0.5]]), np.zeros((0, 2))]
  with pytest.raises(DataError, match="2 anchors from 1 different truths"):
    daps_anchors.fit(seen, num_anchors=2, seed=0)
  with pytest.raises(DataError, match="0 different"):
    daps_anchors.fit([], num_anchors=2, seed=0)
