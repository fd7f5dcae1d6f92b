"""From scores to a batch: order, ties, faults."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.selection import ranking

KEY = jax.random.key(0)


def test_by_hand():
  labeled = np.array([False, True, False, False, False])
  scores = np.array([1.0, 9.0, 3.0, -np.inf, 2.0])
  np.testing.assert_array_equal(ranking.best(KEY, scores, labeled, batch_size=3), [2, 4, 0])
  np.testing.assert_array_equal(ranking.best(KEY, scores, labeled, batch_size=4), [2, 4, 0, 3])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=8, max_size=8),
       st.integers(0, 100))
def test_against_a_sort(videos, seed):
  scores = np.array([score for score, _ in videos], np.float32)
  labeled = np.array([known for _, known in videos])
  batch_size = int((~labeled).sum() + 1) // 2
  picks = ranking.best(jax.random.key(seed), scores, labeled, batch_size=batch_size)
  assert len(set(picks.tolist())) == batch_size and not labeled[picks].any()
  np.testing.assert_array_equal(scores[picks], np.sort(scores[~labeled])[::-1][:batch_size])


def test_ties_are_drawn_uniformly():
  labeled = np.array([True, False, False, False, False])
  counts = np.zeros(5)
  for seed in range(200):
    counts[ranking.best(jax.random.key(seed), np.zeros(5), labeled, batch_size=1)] += 1
  assert counts[0] == 0 and counts[1:].min() > 25  # 50 each expected, deviation 6


def test_faults():
  labeled = np.array([True, False, False])
  with pytest.raises(ValueError, match="asked for 3 videos, 2 are unlabelled"):
    ranking.best(KEY, np.zeros(3), labeled, batch_size=3)
  with pytest.raises(ValueError, match="NaN"):
    ranking.best(KEY, np.array([0.0, np.nan, 0.0]), labeled, batch_size=1)
  # A labelled video's score is not looked at.
  ranking.best(KEY, np.array([np.nan, 0.0, 0.0]), labeled, batch_size=2)
