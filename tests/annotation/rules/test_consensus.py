"""Consensus against hand values, a slow oracle, and what must hold for any answers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.annotation.rules.consensus import consensus, pair_agreement


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


def slow_agreement(answers, bound=0.5):
  """Tries every set of annotators: the agreeing one, and how much the majority agrees.

  An answer is a list of pairs or None, of which equal ones agree.
  """
  n = len(answers)
  def f1(i, j):
    if (answers[i] is None) != (answers[j] is None):
      return 0.0
    return slow_pair_agreement(*(sorted(set(answers[k] or [])) for k in (i, j)), 0.5)[0]

  pairs = {(i, j): f1(i, j) for i, j in itertools.combinations(range(n), 2)}
  sets = [(who, [pairs[p] for p in itertools.combinations(who, 2)])
          for size in range(1, n + 1) for who in itertools.combinations(range(n), size)]
  agree = [(who, of) for who, of in sets if all(f >= bound for f in of)
           and (len(who) > 1 or n == 1)]
  most = max([len(who) for who, _ in agree], default=0)
  best = {who: sum(of) / len(of) if of else 1.0 for who, of in agree if len(who) == most}
  if 2 * most > n:
    return set(best), max(best.values())
  return set(best), max(min(of) for who, of in sets if 2 * len(who) > n)


def slow_clusters(answers, threshold):
  """Joins, one at a time, the two clusters that hold the closest pair and may be joined.

  First those of the agreeing set, which is that of `consensus`: `test_who_agrees_...` checks it.
  """
  agreeing = consensus(_arrays(answers)).agreeing
  clusters = [[(i, s)] for i, answer in enumerate(answers) for s in sorted(set(answer))]
  while True:
    best = None
    for a, b in itertools.combinations(clusters, 2):
      if {i for i, _ in a} & {i for i, _ in b}:
        continue
      for (i, s), (j, t) in itertools.product(a, b):
        one, other = (*s, not agreeing[i]), (*t, not agreeing[j])
        key = (one[2] or other[2], one != other, -slow_tiou(s, t), *sorted((one, other)))
        if -key[2] >= threshold and (best is None or key < best[0]):
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
  assert (one_does.agreement, one_does.agreeing.tolist()) == (1.0, [True, True, False])
  half = consensus(_arrays([[], [(0, 1)]]))
  assert half.segments.shape == (0, 2) and half.agreement == 0.0


def test_one_careless_annotator_of_three_hardly_moves_the_bounds():
  result = consensus(_arrays([[(10, 20)], [(10.5, 20.5)], [(5, 25)]]))
  np.testing.assert_array_equal(result.segments, [[10, 20.5]])


@pytest.mark.parametrize(("same", "others", "agreement"), [
    (2, 1, 1.0), (3, 1, 1.0), (3, 2, 1.0), (4, 1, 1.0), (4, 3, 1.0), (1, 0, 1.0), (1, 1, 0.0),
    (2, 2, 0.0), (3, 3, 0.0), (1, 2, 0.0)])
def test_a_clear_majority(same, others, agreement):
  """Identical answers beside others of which no two agree."""
  given = [[(10, 20)]] * same + [[], [(50, 60)], [(70, 80)]][:others]
  result = consensus(_arrays(given))
  assert (result.agreement, result.majority) == (agreement, agreement == 1.0)
  if agreement:
    assert result.agreeing.tolist() == [True] * same + [False] * others
    assert result.segments.tolist() == [[10, 20]]
    assert result.support.tolist() == [same / (same + others)]
  else:
    assert result.agreeing.sum() == (same if same > 1 else 0)
    assert result.segments.tolist() == []


def test_who_agrees_by_hand():
  """F1 of 0 and 1: 4/5, 0 and 2: 1/2, 1 and 2: 2/5, of the last with all: 0."""
  answers = _arrays([[(0, 1), (5, 6)], [(0, 1), (5, 6), (9, 10)], [(0, 1), (20, 21)], [(30, 40)]])
  two = consensus(answers[:3])
  assert two.agreeing.tolist() == [True, True, False]  # 0 and 2 agree as well, but less
  assert two.agreement == pytest.approx(0.8)
  low = consensus(answers[:3], min_agreement=0.4)
  assert low.agreeing.all() and low.agreement == pytest.approx((0.8 + 0.5 + 0.4) / 3)
  none = consensus(answers)  # two of four are no majority; three are from 0.4 on
  assert (none.majority, none.agreeing.tolist()) == (False, [True, True, False, False])
  assert none.agreement == pytest.approx(0.4)


def test_others_cannot_tear_apart_what_the_majority_marked():
  """Who marked both of two near segments, exactly or nearly, would take one each."""
  for near in ([(10, 20), (11, 21)], [(10, 20.1), (11, 21.1)]):
    result = consensus(_arrays([[(10, 20)], [(11, 21)], [*near, (50, 60), (70, 80), (90, 95)]]))
    assert result.agreeing.tolist() == [True, True, False]
    assert len(result.segments) == 1 and result.support.tolist() == [1.0]


def test_a_video_that_cannot_be_judged():
  absent, here = np.zeros((0, 2)), np.array([[0.0, 10.0]])
  most = consensus([None, here, None])
  assert (most.majority, most.unusable, most.agreement) == (True, True, 1.0)
  assert most.segments.shape == (0, 2)
  one = consensus([None, here, here])
  assert (one.majority, one.unusable, one.segments.tolist()) == (True, False, [[0, 10]])
  split = consensus([None, absent])  # not the same as "not here"
  assert (split.majority, split.unusable, split.agreement) == (False, False, 0.0)


_other = st.none() | _answer


@settings(max_examples=150, deadline=None)
@given(st.lists(_other, min_size=1, max_size=5), st.sampled_from([0.3, 0.5, 0.75]))
def test_who_agrees_as_the_slow_oracle(answers, bound):
  best, agreement = slow_agreement(answers, bound)
  result = consensus([None if a is None else _arrays([a])[0] for a in answers],
                     min_agreement=bound)
  assert tuple(np.flatnonzero(result.agreeing)) in (best or {()})
  assert result.agreement == pytest.approx(agreement)
  assert result.majority == (result.agreement >= bound)


@settings(max_examples=150, deadline=None)
@given(st.lists(_other, min_size=1, max_size=5), st.sampled_from([0.0, 0.5, 1.0]), st.data())
def test_who_repeats_the_majority_never_makes_a_dispute(answers, bound, data):
  given = [None if a is None else _arrays([a])[0] for a in answers]
  before = consensus(given, min_agreement=bound)
  if before.majority:
    again = data.draw(st.sampled_from(np.flatnonzero(before.agreeing).tolist()))
    after = consensus([*given, given[again]], min_agreement=bound)
    assert after.majority and after.agreeing.sum() > before.agreeing.sum()


@settings(max_examples=60, deadline=None)
@given(_answers)
def test_what_all_of_the_majority_marked_stays(answers):
  """The merge of the majority alone, where all of it marked the same, is in that of all."""
  result = consensus(_arrays(answers))
  if result.majority:
    alone = consensus([a for a, of in zip(_arrays(answers), result.agreeing, strict=True) if of])
    assert (alone.support == 1).sum() <= len(result.segments)


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
  for field in ("segments", "support", "instance_agreement", "agreement", "majority"):
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
