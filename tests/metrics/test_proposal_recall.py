"""Recall and AR-AN against hand values, a slow loop and a published list of proposals."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from tal_jax.data.formats import ssn
from tal_jax.errors import DataError
from tal_jax.metrics import proposal_recall as lib


def test_by_hand():
  truths = [[[0, 10], [20, 30]], [[0, 4]], []]
  proposals = [[[0, 5], [21, 31], [0, 9]], [[2, 6]], [[0, 1]]]
  # tIoU of the best: 0.9 (third), 9/11 (second), 2/6.
  found = lib.recall(truths, proposals, (0.3, 0.5, 0.85))
  np.testing.assert_allclose(found.recall, [1, 2 / 3, 1 / 3])
  assert found[2:] == (3, 3, 5)
  first = lib.recall(truths, proposals, (0.3, 0.5, 0.85), first=1)
  np.testing.assert_allclose(first.recall, [2 / 3, 1 / 3, 0])
  assert first.num_proposals == 3
  assert lib.recall(truths, [[], [], []]).recall.tolist() == [0, 0, 0]


def test_threshold_is_reached_and_empty_segments_find_nothing():
  assert lib.recall([[[0, 10]]], [[[0, 5]]], (0.5,)).recall == 1
  assert lib.recall([[[3, 3]]], [[[3, 3], [0, 9]]], (1e-9,)).recall == 0


def test_faults():
  with pytest.raises(DataError, match="no truth"):
    lib.recall([[]], [[[0, 1]]])
  with pytest.raises(DataError, match="no truth"):
    lib.average_recall([[]], [[[0, 1]]])
  with pytest.raises(DataError, match="Do the ids match"):
    lib.average_recall([[[0, 1]]], [[]])
  with pytest.raises(ValueError, match="zip"):
    lib.recall([[[0, 1]]], [])


def slow_average_recall(truths, proposals, tious, max_average):
  """ActivityNet's protocol, one truth and one point of the curve at a time."""
  pairs = [(t, p) for t, p in zip(truths, proposals, strict=True) if len(t)]
  total = sum(len(p) for _, p in pairs)
  limit = total / len(pairs) if max_average is None else max_average
  kept = [p[:min(int(len(p) * (limit * len(pairs) / total)), len(p))] for _, p in pairs]
  num_kept = sum(map(len, kept))
  numbers, curves = [], []
  for point in range(1, 101):
    share = point / 100.0 * (limit * len(pairs) / num_kept)
    numbers.append(share * (num_kept / len(pairs)))
    found = np.zeros(len(tious))
    for (truth, _), candidates in zip(pairs, kept, strict=True):
      taken = candidates[:min(int(len(candidates) * share), len(candidates))]
      for start, end in truth:
        best = 0.0
        for s, e in taken:
          overlap = max(min(end, e) - max(start, s), 0.0)
          union = (end - start) + (e - s) - overlap
          best = max(best, overlap / union if union > 0 else 0.0)
        found += best >= np.asarray(tious)
    curves.append(found / sum(len(t) for t, _ in pairs))
  return np.array(numbers), np.array(curves).T


def draw(rng, count):
  start = rng.uniform(0, 50, count)
  return np.stack([start, start + rng.uniform(1, 40, count)], axis=1)


@pytest.mark.parametrize("max_average", [None, 3.0, 10.0, 40.0])
def test_average_recall_against_a_slow_loop(max_average):
  rng = np.random.default_rng(0)
  truths = [draw(rng, n) for n in (1, 3, 0, 2, 1, 4)]
  proposals = [draw(rng, n) for n in (7, 20, 5, 0, 1, 30)]
  tious = np.linspace(0.5, 0.95, 4)
  numbers, recalls = slow_average_recall(truths, proposals, tious, max_average)
  got = lib.average_recall(truths, proposals, tious, max_average=max_average)
  np.testing.assert_allclose(got.num_proposals, numbers, rtol=1e-12)
  np.testing.assert_allclose(got.recall, recalls, rtol=1e-12)
  np.testing.assert_allclose(got.average_recall, recalls.mean(axis=0))
  np.testing.assert_allclose(got.area, np.trapezoid(recalls.mean(axis=0), numbers) / numbers[-1])
  assert 0 < got.area < 1
  with pytest.raises(DataError, match="leaves no proposal"):
    lib.average_recall(truths, proposals, max_average=1e-3)


segments = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2)),
                      elements=st.floats(0, 100, width=32)).map(lambda x: np.sort(x, axis=1))


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(st.lists(st.tuples(segments, segments), min_size=1, max_size=4))
def test_properties(videos):
  truths, proposals = zip(*videos, strict=True)
  found = lib.recall(truths, proposals, lib.AR_TIOUS).recall
  assert (np.diff(found) <= 0).all() and (found >= 0).all() and (found <= 1).all()
  firsts = [lib.recall(truths, proposals, first=k).recall.sum() for k in range(7)]
  assert (np.diff(firsts) >= 0).all() and firsts[0] == 0
  curve = lib.average_recall(truths, proposals)
  np.testing.assert_allclose(curve.average_recall[-1], found.mean())
  assert (np.diff(curve.average_recall) >= -1e-12).all()
  own = lib.recall(truths, truths, (1.0,)).recall  # empty segments overlap with nothing
  lengths = np.concatenate([np.diff(x)[:, 0] for x in truths])
  np.testing.assert_allclose(own, (lengths > 0).mean())


def test_tag_proposals_of_activitynet(data_dir):
  """The recall of SSN's TAG proposals on ActivityNet 1.2's validation, as their authors count."""
  blocks, faults = ssn.parse(
      data_dir / "proposals" / "activitynet1.2_tag_val_normalized_proposal_list.txt")
  assert not faults and len(blocks) == 2383
  truths, proposals = [x.truths for x in blocks], [x.proposals for x in blocks]
  found = lib.recall(truths, proposals)
  assert (found.num_videos, found.num_truths, found.num_proposals) == (2383, 3582, 120148)
  assert found.recall.round(3).tolist() == [0.873, 0.717, 0.408]
  curve = lib.average_recall(truths, proposals, max_average=100)
  # Fewer than 100 proposals a video are there, so the curve ends with all of them.
  np.testing.assert_allclose(curve.average_recall[-1],
                             lib.recall(truths, proposals, lib.AR_TIOUS).recall.mean())
