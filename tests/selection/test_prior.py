"""The zero-shot priors: what a simulated search returns, and what it is worth."""

import jax
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from tal_jax.data.records import SearchResults
from tal_jax.errors import DataError
from tal_jax.models import stage_wise
from tal_jax.selection import prior as lib
from tests import pools

KEY = jax.random.key(0)


def candidates(*, per_class=60, num_none=200, num_classes=3, seed=0):
  rng = np.random.default_rng(seed)
  labels = np.concatenate([np.repeat(np.arange(num_classes), per_class), np.full(num_none, -1)])
  features = 0.3 * rng.normal(size=(len(labels), pools.DIM))
  features[labels >= 0, 0] += 2.0
  return SearchResults(features.astype(np.float32), labels.astype(np.int32))


@pytest.mark.parametrize("precision", [0.0, 0.5, 0.8, 1.0])
def test_precision(precision):
  search = candidates()
  right = total = 0
  for seed in range(20):
    results = lib.draw_search_results(jax.random.key(seed), search, num_classes=3,
                                      results_per_class=40, precision=precision)
    assert len(set(results.tolist())) == len(results)
    right += (search.labels[results] >= 0).sum()
    total += 3 * 40
  np.testing.assert_allclose(right / total, precision, atol=0.04)


def test_distractors_of_other_classes_where_no_video_is_of_none():
  search = candidates(num_none=0)
  results = lib.draw_search_results(KEY, search, num_classes=1, results_per_class=40,
                                    precision=0.5)
  labels = search.labels[results]
  assert len(results) == 40 and 8 < (labels == 0).sum() < 32


def test_draw_is_deterministic_and_never_asks_for_more_than_there_is():
  search = candidates(per_class=2, num_none=3)
  draw = [lib.draw_search_results(KEY, search, num_classes=3, results_per_class=50, precision=0.5)
          for _ in range(2)]
  np.testing.assert_array_equal(*draw)
  np.testing.assert_array_equal(draw[0], np.arange(9))  # all of them


def background(pool):
  """Features of proposals with tIoU < 0.1 to every truth, by a loop."""
  rows = []
  for i in range(pool.num_videos):
    truths = np.float64(pool.truths[i])[np.asarray(pool.truth_mask[i])]
    for segment, x, real in zip(np.float64(pool.segments[i]), np.asarray(pool.features[i]),
                                np.asarray(pool.proposal_mask[i]), strict=True):
      overlaps = [max(0, min(segment[1], e) - max(segment[0], s)) for s, e in truths]
      unions = [e - s + segment[1] - segment[0] - o
                for (s, e), o in zip(truths, overlaps, strict=True)]
      if real and max(o / u for o, u in zip(overlaps, unions, strict=True)) < 0.1:
        rows.append(x)
  return np.array(rows)


def test_from_search_is_the_svm_of_results_against_background():
  search, knowledge = candidates(per_class=5, num_none=5), pools.videos(seed=2)
  got = lib.from_search(KEY, search, knowledge, pools.SETTINGS, num_classes=3,
                        results_per_class=5, precision=1.0)
  rows = background(knowledge)
  assert 10 < len(rows) < 100
  x = np.concatenate([search.features[:15], rows])
  y = np.concatenate([np.ones(15), -np.ones(len(rows))])
  model = LinearSVC(C=pools.SETTINGS.svm_c, loss="squared_hinge", tol=1e-8, max_iter=100_000)
  model.fit(x, y)
  np.testing.assert_allclose(got.w, model.coef_[0], atol=0.02)
  np.testing.assert_allclose(got.b, model.intercept_[0], atol=0.02)


def test_from_knowledge_source_finds_the_action():
  knowledge, pool = pools.videos(seed=2), pools.videos(seed=0)
  got = lib.from_knowledge_source(knowledge, pools.SETTINGS)
  y, _ = stage_wise.attention_labels(pool, pools.SETTINGS)
  decisions = np.asarray(stage_wise.decision(got, pool))
  real, positive = np.asarray(pool.proposal_mask), np.asarray(y) > 0
  assert decisions[real & positive].mean() > decisions[real & ~positive].mean() + 0.5


@pytest.mark.parametrize(("search", "results_per_class"), [
    (None, 3), (SearchResults(np.zeros((0, 5), np.float32), np.zeros(0, np.int32)), 3),
    (candidates(), 0)])
def test_nothing_to_search_in(search, results_per_class):
  with pytest.raises(DataError, match="mcle"):
    lib.from_search(KEY, search, pools.videos(seed=2), pools.SETTINGS, num_classes=3,
                    results_per_class=results_per_class, precision=0.8)
