"""Consensus against hand values, a slow oracle, and what must hold for any answers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tal_jax.annotation.consensus import consensus, pair_agreement


def slow_tiou(a, b):
  common = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
  return common / ((a[1] - a[0]) + (b[1] - b[0]) - common)


def slow_pair_agreement(a, b, threshold):
  """Tries every one-to-one assignment."""
  if not a and not b:
    return 1.0, 1.0
  few, many = sorted((a, b), key=len)
  matches, overlap = 0, 0.0
  for order in itertools.permutations(many, len(few)):
    tious = [slow_tiou(x, y) for x, y in zip(few, order, strict=True)]
    matches = max(matches, sum(t >= threshold for t in tious))
    overlap = max(overlap, sum(tious))
  return 2 * matches / (len(a) + len(b)), 2 * overlap / (len(a) + len(b))


def slow_clusters(answers, threshold):
  """Joins, one at a time, the two clusters that hold the closest pair and may be joined."""
  clusters = [[(i, s)] for i, answer in enumerate(answers) for s in sorted(set(answer))]
  while True:
    best = None
    for a, b in itertools.combinations(clusters, 2):
      if {i for i, _ in a} & {i for i, _ in b}:
        continue
      for (_, s), (_, t) in itertools.product(a, b):
        key = (s != t, -slow_tiou(s, t), *sorted((s, t)))
        if -key[1] >= threshold and (best is None or key < best[0]):
          best = key, a, b
    if best is None:
      return clusters
    clusters = [c for c in clusters if c is not best[1] and c is not best[2]]
    clusters.append(best[1] + best[2])


def slow_consensus(answers, threshold):
  kept = [[s for _, s in c] for c in slow_clusters(answers, threshold)
          if 2 * len(c) > len(answers)]
  return sorted((float(np.median([s for s, _ in c])), float(np.median([e for _, e in c])))
                for c in kept)


_half = st.integers(0, 12).map(lambda i: i / 2)
_segment = st.tuples(_half, _half).filter(lambda s: s[0] < s[1])
_answer = st.lists(_segment, max_size=4)
_answers = st.lists(_answer, min_size=1, max_size=5)


def _arrays(answers):
  return [np.asarray(a, np.float64).reshape(-1, 2) for a in answers]


def test_hand_values():
  """Two instances; the second is marked by two of three; one segment is nobody else's."""
  result = consensus(_arrays([[(0, 10), (20, 30)], [(1, 11), (50, 60)], [(2, 10), (20, 31)]]))
  np.testing.assert_array_equal(result.segments, [[1, 10], [20, 30.5]])
  np.testing.assert_allclose(result.support, [1, 2 / 3])
  np.testing.assert_allclose(
      result.instance_agreement, [(9 / 11 + 8 / 10 + 8 / 10) / 3, (10 / 11) / 3])
  # F1: of 0 and 2 both match; 1 shares one of two with each.
  np.testing.assert_allclose(result.worker_f1, [0.75, 0.5, 0.75])
  assert result.agreement == pytest.approx(2 / 3)
  tiou = {(0, 1): 9 / 11, (0, 2): 8 / 10 + 10 / 11, (1, 2): 8 / 10}
  np.testing.assert_allclose(result.worker_tiou, [
      (tiou[0, 1] + tiou[0, 2]) / 4, (tiou[0, 1] + tiou[1, 2]) / 4, (tiou[0, 2] + tiou[1, 2]) / 4])


def test_nobody_sees_the_action():
  result = consensus(_arrays([[], [], []]))
  assert result.segments.shape == (0, 2)
  assert result.agreement == 1.0
  one_does = consensus(_arrays([[], [], [(0, 1)]]))
  assert one_does.segments.shape == (0, 2)
  assert one_does.agreement == pytest.approx(1 / 3)
  half = consensus(_arrays([[], [(0, 1)]]))
  assert half.segments.shape == (0, 2) and half.agreement == 0.0


def test_one_careless_annotator_of_three_hardly_moves_the_bounds():
  result = consensus(_arrays([[(10, 20)], [(10.5, 20.5)], [(5, 25)]]))
  np.testing.assert_array_equal(result.segments, [[10, 20.5]])


def test_an_annotator_is_once_in_a_cluster():
  """One long segment of A cannot join both halves of B; it goes to the closer half."""
  result = consensus(_arrays([[(0, 10)], [(0, 6), (4, 10)], [(0, 6)]]))
  np.testing.assert_array_equal(result.segments, [[0, 6]])
  np.testing.assert_allclose(result.support, [1])


def test_single_annotator_and_none():
  result = consensus(_arrays([[(3, 4), (1, 2), (1, 2)]]))
  np.testing.assert_array_equal(result.segments, [[1, 2], [3, 4]])
  assert result.agreement == 1.0 and result.worker_f1.tolist() == [1.0]
  with pytest.raises(ValueError, match="at least one"):
    consensus([])


@settings(max_examples=150, deadline=None)
@given(_answers, st.sampled_from([0.3, 0.5, 0.75]))
def test_segments_as_the_slow_oracle(answers, threshold):
  result = consensus(_arrays(answers), cluster_tiou=threshold)
  np.testing.assert_allclose(
      result.segments, np.reshape(slow_consensus(answers, threshold), (-1, 2)))


@settings(max_examples=150, deadline=None)
@given(_answer, _answer, st.sampled_from([0.3, 0.5, 0.75]))
def test_agreement_as_the_slow_oracle(a, b, threshold):
  found = pair_agreement(*_arrays([a, b]), threshold)
  np.testing.assert_allclose(found, slow_pair_agreement(a, b, threshold), atol=1e-12)
  np.testing.assert_allclose(found, pair_agreement(*_arrays([b, a]), threshold), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(_answers, st.data())
def test_order_does_not_matter(answers, data):
  order = data.draw(st.permutations(range(len(answers))))
  one, other = consensus(_arrays(answers)), consensus(_arrays([answers[i] for i in order]))
  for field in ("segments", "support", "instance_agreement", "agreement"):
    np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
  np.testing.assert_allclose(one.worker_f1[order], other.worker_f1)
  np.testing.assert_allclose(one.worker_tiou[order], other.worker_tiou)


def test_agreement_rounds_alike_in_every_order():
  """Plain sums of these F1 differ in the last bit from order to order; a threshold would, too."""
  marks = [(0, 1), (5, 6), (10, 11), (20, 21)]
  answers = _arrays([marks[:i + 1] for i in range(4)])
  assert len({consensus(order).agreement for order in itertools.permutations(answers)}) == 1


@settings(max_examples=100, deadline=None)
@given(_answer, st.integers(1, 6))
def test_identical_answers(answer, n):
  result = consensus(_arrays([answer] * n))
  np.testing.assert_array_equal(result.segments, np.reshape(sorted(set(answer)), (-1, 2)))
  assert result.agreement == 1.0
  for values in (result.support, result.worker_f1, result.worker_tiou, result.instance_agreement):
    np.testing.assert_allclose(values, 1.0)


@settings(max_examples=100, deadline=None)
@given(_answers)
def test_bounds(answers):
  result = consensus(_arrays(answers))
  assert (result.segments[:, 0] < result.segments[:, 1]).all()
  for column, all_times in enumerate(zip(*itertools.chain(*answers), strict=True)):
    if len(result.segments):
      assert result.segments[:, column].min() >= min(all_times)
      assert result.segments[:, column].max() <= max(all_times)
  assert (2 * result.support * len(answers) > len(answers)).all()
  for values in (result.support, result.instance_agreement, result.worker_f1, result.worker_tiou,
                 result.agreement):
    assert ((np.asarray(values) >= 0) & (np.asarray(values) <= 1 + 1e-12)).all()
