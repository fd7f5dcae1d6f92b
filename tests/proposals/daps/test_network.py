"""The network of DAPs against a slow loop, and by hand."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.proposals.daps import network as daps, weights as daps_weights
from tests.proposals.daps import daps_reference


@pytest.mark.parametrize("num_chunks", [1, 7])
def test_is_the_slow_loop(num_chunks):
  rng = np.random.default_rng(0)
  arrays = daps_reference.random_arrays(rng, dim=5, width=6, num_anchors=3)
  chunks = rng.standard_normal((4, num_chunks, 5))
  locations, logits = daps.apply(daps_weights.from_published(arrays), chunks)
  wanted, confidences = daps_reference.forward(arrays, chunks)
  assert locations.shape == (4, 3, 2) and logits.shape == (4, 3)
  np.testing.assert_allclose(locations, wanted, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(jax.nn.sigmoid(logits), confidences, rtol=1e-4)
  assert (wanted == 0).any() and (wanted > 0).any()  # both sides of the ReLU


def test_one_unit_by_hand():
  """All weights 1, biases and starts 0, one chunk (2): every gate sees 2, the output 2 + c'."""
  arrays = [np.ones((1, 1)), np.ones((1, 1)), np.zeros(1)] * 4 + [np.ones(1)] * 3
  arrays += [np.zeros((1, 1))] * 2 + [np.ones((1, 2)), np.array([0.0, -9.0]), np.ones((1, 1)),
                                      np.zeros(1)]
  locations, logits = daps.apply(daps_weights.from_published(arrays), np.full((1, 1, 1), 2.0))
  cell = 1 / (1 + np.exp(-2)) * np.tanh(2)
  hidden = 1 / (1 + np.exp(-(2 + cell))) * np.tanh(cell)
  np.testing.assert_allclose(locations, [[[hidden, 0.0]]], rtol=1e-5)
  np.testing.assert_allclose(logits, [[hidden]], rtol=1e-5)


def test_starts_at_the_anchors_with_a_remembering_cell():
  anchors = np.array([[0.2, 0.1], [0.5, 1.0]], np.float32)
  params = daps.initialize(jax.random.key(0), dim=4, width=8, anchors=anchors)
  locations, _ = daps.apply(params, np.random.default_rng(0).standard_normal((3, 5, 4)))
  np.testing.assert_allclose(locations, np.broadcast_to(anchors, (3, 2, 2)), rtol=1e-6)
  np.testing.assert_array_equal(params["bias"], np.repeat([0.0, 5.0, 0.0, 0.0], 8))
  again = daps.initialize(jax.random.key(0), dim=4, width=8, anchors=anchors)
  chex.assert_trees_all_equal(params, again)


def test_segments_by_hand():
  """Centre and duration are clipped to the window's length, here 10 s from 5 s on."""
  locations = np.array([[[0.5, 0.2], [1.5, 0.4], [0.0, 2.0]]], np.float32)
  segments = daps.segments_of(locations, np.array([[5.0, 15.0]], np.float32))
  np.testing.assert_allclose(segments, [[[9.0, 11.0], [13.0, 17.0], [0.0, 10.0]]], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 500), st.floats(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_segments_scale_with_the_window(start, length, centre, duration):
  [[segment]] = np.asarray(daps.segments_of(np.array([[[centre, duration]]], np.float32),
                                            np.array([[start, start + length]], np.float32)))
  np.testing.assert_allclose(segment.mean(), start + centre * length, rtol=1e-4, atol=1e-3)
  np.testing.assert_allclose(segment[1] - segment[0], duration * length, rtol=1e-3, atol=1e-3)
