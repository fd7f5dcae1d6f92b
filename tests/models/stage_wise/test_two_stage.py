"""The stage-wise model with a second stage: its parts against a slow loop, and its edges."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import pool as pools
from tal_jax.metrics.attention_ap import attention_ap
from tal_jax.models import stage_wise, video_blocks
from tal_jax.models.stage_wise import (
  two_stage as lib,
  two_stage_scores as scores_lib,
  two_stage_training as training,
)
from tal_jax.models.svm import blocks as svm_blocks
from tests import pools as tiny
from tests.models.stage_wise.test_second_stage import slow_numbers

pytestmark = pytest.mark.slow

POOL, TESTING = tiny.videos(seed=0), tiny.videos(seed=1)
SETTINGS = lib.Settings(num_kept=6, num_picks=3)
MODEL = lib.TwoStage(SETTINGS)
KEY = jax.random.key(0)
ALL = jnp.ones(POOL.num_videos, bool)
PLAIN = SETTINGS._replace(
    instances_per_dim=0.0, all_positives=False, whitened=False, folds=0, second_stage=False,
    sharpening=0.0, nms_sigma=0.0, voting=0.0, average_classes=False, exponent=1.0)


def fit(model=MODEL, pool=POOL, labeled=ALL, memory=None, classes=tiny.NUM_CLASSES):
  return model.fit(KEY, pool, labeled, start=model.init(pool, classes), memory=memory)


@pytest.fixture(scope="module")
def fitted():
  """Parameters, info and memory of the model of all labels."""
  return fit()


def first(count):
  return jnp.arange(POOL.num_videos) < count


def pad(pool, **sizes):
  return jax.tree.map(jnp.asarray, pools.pad(jax.tree.map(np.asarray, pool), **sizes))


def close(a, b, atol=2e-4):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=atol, rtol=1e-3), a, b)


def test_shapes_are_those_before_any_label(fitted):
  start = MODEL.init(POOL, tiny.NUM_CLASSES)
  params, info, memory = fitted
  chex.assert_trees_all_equal_shapes_and_dtypes(start, params)
  assert set(info.metrics) == {"duality_gap", "svm_converged", "classifier_rows",
                               "discriminant_share", "second_stage_loss"}
  assert all(np.isfinite(value) for value in info.metrics.values())
  found = MODEL.detect(params, TESTING)
  v, k = TESTING.num_videos, SETTINGS.num_kept
  assert found.scores.shape == (v, k, tiny.NUM_CLASSES) and found.segments.shape == (v, k, 2)
  assert found.labels is None and found.mask.sum() == v * k - (
      (k - TESTING.proposal_mask.sum(1)) * (TESTING.proposal_mask.sum(1) < k)).sum()
  picks = MODEL.picks(params, TESTING, None)
  np.testing.assert_allclose(picks.classes.sum(-1)[picks.mask], 1.0, rtol=1e-5)
  assert picks.embedding.shape == (v, 3, tiny.DIM)
  assert MODEL.embed(params, TESTING).shape == (v, tiny.DIM)
  confidences = MODEL.confidences(params, POOL, None)
  np.testing.assert_allclose(MODEL.confidences(params, POOL, memory).values, confidences.values,
                             atol=1e-6)
  assert not confidences.values[~POOL.proposal_mask].any()


def test_before_any_label():
  for params in (MODEL.init(POOL, 3), fit(labeled=first(0))[0]):
    found = MODEL.detect(params, TESTING)
    np.testing.assert_allclose(found.attention[found.mask], 0.5)
    np.testing.assert_allclose(found.scores.sum(-1).max(1), 0.5**0.7, rtol=1e-5)


def test_with_everything_off_it_is_the_papers_model():
  params, *_ = fit(lib.TwoStage(PLAIN._replace(classifier_c=1.0, svm_tol=1e-6)))
  settings = stage_wise.Settings(top_k=3, nms_threshold=0.5, svm_c=0.01, svm_tol=1e-6,
                                 classifier_max_iters=300)
  expected, _ = stage_wise.fit(POOL, num_classes=tiny.NUM_CLASSES, settings=settings)
  theirs = stage_wise.detect(expected, TESTING, settings)
  ours = lib.TwoStage(PLAIN._replace(num_kept=3)).detect(params, TESTING)
  np.testing.assert_array_equal(ours.mask, theirs.mask)
  np.testing.assert_allclose(ours.segments, theirs.segments, atol=1e-5)
  np.testing.assert_allclose(ours.attention, theirs.attention, atol=1e-3)
  np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)


def test_each_labelled_video_is_scored_by_the_fold_that_has_not_seen_it(fitted):
  targets = training._targets(pools.without_features(POOL), first(7), 0.7, num_folds=4)
  np.testing.assert_array_equal(targets.fold, [0, 1, 2, 3, 0, 1, 2] + [-1] * 9)
  np.testing.assert_array_equal(targets.counts[:, 0], [2, 2, 2, 1])
  owner = training._owners(targets.fold, jnp.asarray([-1, 0, 1, 3]))
  np.testing.assert_array_equal(owner[:8], [0, 1, -1, 3, 0, 1, -1, -2])  # fold 2 has no model
  # An answer about one video must not reach its own numbers: its fold's model stays as it is.
  changed = POOL._replace(truth_mask=POOL.truth_mask.at[4].set(False))
  a, b = fitted[2].svms, fit(pool=changed)[2].svms
  chex.assert_trees_all_equal(a[1].params, b[1].params)
  assert np.abs(a[2].params.w - b[2].params.w).max() > 1e-4


def test_detect_equals_the_slow_loop(fitted):
  """From the parameters on, video by video, in NumPy."""
  params, *_ = fitted
  params, found, testing = jax.tree.map(np.asarray, (params, MODEL.detect(params, TESTING),
                                                     TESTING))
  for v in range(3):
    n = int(testing.proposal_mask[v].sum())
    x, segments = np.float64(testing.features[v, :n]), np.float64(testing.segments[v, :n])
    d = x @ np.float64(params.attention.w) + float(params.attention.b)
    odds = np.exp(x @ np.float64(params.classifier.w) + np.float64(params.classifier.b))
    probabilities = odds / odds.sum(1, keepdims=True)
    entropy = -(probabilities * np.log(probabilities)).sum(1)
    q = slow_numbers(d, np.log(probabilities.max(1)), entropy, segments, np.ones(n, bool),
                     np.float64(params.second.quantiles))
    q = (q - np.float64(params.second.mean)) / np.float64(params.second.scale)
    z = q @ np.float64(params.second.w) + float(params.second.b)
    overlap = np.asarray([[max(0, min(a[1], b[1]) - max(a[0], b[0])) for b in segments]
                          for a in segments])
    length = segments[:, 1] - segments[:, 0]
    overlap = overlap / (length[:, None] + length - overlap)
    z = z + 0.5 * (z - np.asarray([z[row > 0.5].mean() for row in overlap]))
    p = 1 / (1 + np.exp(float(params.platt.a) * z + float(params.platt.b)))
    left = p.copy()
    for rank in range(min(n, SETTINGS.num_kept)):
      i = int(left.argmax())
      near = overlap[i] > 0.7
      weights = np.exp(3 * (z[near] - z[i]) / float(params.deviation))
      np.testing.assert_allclose(found.segments[v, rank], weights @ segments[near] / weights.sum(),
                                 atol=1e-3)
      np.testing.assert_allclose(found.scores[v, rank],
                                 left[i]**0.7 * probabilities[near].mean(0), atol=1e-4)
      np.testing.assert_allclose(found.attention[v, rank], p[i], atol=1e-4)
      np.testing.assert_allclose(found.decisions[v, rank], left[i], atol=1e-4)
      left = left * np.exp(-overlap[i]**2 / 0.3)
      left[i] = -1


def test_padding_changes_nothing():
  padded = pad(POOL, num_videos=19, num_proposals=11, num_truths=4)
  labeled = jnp.pad(first(9), (0, 3))
  ours, _, _ = fit(labeled=first(9))
  theirs, _, _ = fit(pool=padded, labeled=labeled)
  close(ours, theirs, atol=2e-3)
  close(MODEL.detect(ours, TESTING), MODEL.detect(ours, pad(
      TESTING, num_videos=16, num_proposals=11)))


def test_what_is_not_labelled_is_not_read():
  hidden = tiny.without_truths(POOL)
  seen = first(6)[:, None]
  mixed = POOL._replace(
      truths=jnp.where(seen[..., None], POOL.truths, hidden.truths + 3.0),
      truth_labels=jnp.where(seen, POOL.truth_labels, 1), truth_mask=POOL.truth_mask | ~seen)
  close(fit(labeled=first(6))[0], fit(pool=mixed, labeled=first(6))[0], atol=0)


def test_memory_changes_nothing_but_the_work(fitted):
  *_, memory = fit(labeled=first(8))
  chex.assert_trees_all_equal_shapes_and_dtypes(memory, MODEL.empty_memory(POOL))
  warm, _, _ = fit(memory=memory)
  close(MODEL.detect(warm, TESTING).scores, MODEL.detect(fitted[0], TESTING).scores, atol=5e-3)
  chex.assert_trees_all_equal(fit(memory=memory)[0], warm)  # deterministic


def test_features_in_a_file(tmp_path, monkeypatch):
  monkeypatch.setattr(svm_blocks, "STREAMED_BYTES", POOL.features.nbytes)
  stored = np.memmap(tmp_path / "features.bin", np.float32, "w+", shape=POOL.features.shape)
  stored[:] = POOL.features
  pool = POOL._replace(features=stored)
  params, _, memory = fit(pool=pool, labeled=first(7))
  expected, _, other = fit(labeled=first(7))
  close(params, expected, atol=2e-3)
  close(memory.scores, other.scores, atol=2e-3)
  close(MODEL.picks(expected, pool), MODEL.picks(expected, POOL))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_labelled_videos(count):
  params, *_ = fit(labeled=first(count))
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(
      (params, MODEL.detect(params, TESTING))))


def test_no_truth_no_hit_and_one_class():
  nothing = tiny.without_truths(POOL)
  missed = POOL._replace(truths=POOL.truths + 500.0)
  one = POOL._replace(truth_labels=jnp.minimum(POOL.truth_labels, 0))
  for pool, classes in ((nothing, 3), (missed, 3), (one, 1)):
    params, info, _ = fit(pool=pool, classes=classes)
    found = MODEL.detect(params, TESTING)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((params, found)))
    assert all(np.isfinite(value) for value in info.metrics.values())
    if pool is not one:
      assert info.num_classifier_rows == 0 and found.attention.max() < 0.2


FITTING = {"out of fold": ({"folds": 0}, "second"),
           "positives": ({"all_positives": False}, "classifier"),
           "whitening": ({"whitened": False}, "classifier"),
           "discriminant": ({"instances_per_dim": 0.0}, "attention")}


@pytest.mark.parametrize("name", FITTING)
def test_each_option_of_the_fit_does_something(fitted, name, monkeypatch):
  """All on is the slow loop's test, all off that of the paper's model; these are one at a time."""
  option, part = FITTING[name]
  # What follows is not looked at, and need not be compiled.
  monkeypatch.setattr(scores_lib, "scores", lambda params, pool, settings: fitted[2].scores)
  params, *_ = fit(lib.TwoStage(SETTINGS._replace(**option)))
  changed = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), getattr(params, part),
                         getattr(fitted[0], part))
  assert max(jax.tree.leaves(changed)) > 1e-4


def test_it_learns(fitted):
  params, *_ = fitted
  found = MODEL.detect(params, TESTING)
  ap = jax.jit(lambda scores, kept: attention_ap(
      kept.segments, scores, kept.mask, TESTING.truths, TESTING.truth_mask))
  before = MODEL.detect(MODEL.init(POOL, 3), TESTING)
  assert ap(found.decisions, found) > 1.5 * ap(before.decisions, before)


def test_the_labelled_set_may_grow_without_compiling():
  fit(labeled=first(5))
  numbers = svm_blocks.jitted(video_blocks.kernel(scores_lib.video_numbers, None))
  programs = (numbers, training._fit_second_stage, training._mixed, training._platt)
  before = [program._cache_size() for program in programs]
  fit(labeled=first(6))
  fit(labeled=first(13))
  assert [program._cache_size() for program in programs] == before
