"""The stage-wise model against a slow loop over videos and proposals, and under padding."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import pool as pools
from tal_jax.models import classifier, platt, stage_wise, svm
from tests.test_segments import slow_nms, slow_tiou

DIM, CLASSES = 6, 3
SETTINGS = stage_wise.Settings(top_k=4, nms_threshold=1.0, svm_c=1.0, svm_tol=1e-6,
                               classifier_max_iters=100)


def make_pool(num_videos=12, truths=True, seed=0):
  """Videos whose features carry whether and which action a proposal covers."""
  rng = np.random.default_rng(seed)
  videos = []
  for _ in range(num_videos):
    t = int(rng.integers(1, 3)) if truths else 0
    start = np.sort(rng.uniform(0, 80, t))
    truth = np.stack([start, start + rng.uniform(8, 20, t)], -1).reshape(t, 2)
    labels = rng.integers(0, CLASSES, t)
    proposals = [segment + rng.normal(size=2) for segment in truth for _ in range(3)]
    proposals += list(np.sort(rng.uniform(0, 100, (int(rng.integers(3, 8)), 2))))
    features = rng.normal(size=(len(proposals), DIM))
    for i, proposal in enumerate(proposals):
      for segment, label in zip(truth, labels, strict=True):
        features[i, label] += 3 * slow_tiou(proposal, segment)
    videos.append(pools.Video(np.asarray(proposals), features, truth, labels, 100.0))
  return jax.tree.map(jnp.asarray, pools.from_videos(videos))


POOL = make_pool()


def slow_positive(v, p, threshold=0.7):
  """The class of the truth that proposal p of video v covers best, or None below the threshold."""
  overlaps = [slow_tiou(np.float64(POOL.segments[v, p]), np.float64(truth)) if real else 0.0
              for truth, real in zip(POOL.truths[v], POOL.truth_mask[v], strict=True)]
  best = int(np.argmax(overlaps))
  return int(POOL.truth_labels[v, best]) if overlaps[best] > threshold else None


@pytest.mark.parametrize("threshold", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("top_k", [4, 40])
def test_attend_equals_the_slow_loop(threshold, top_k):
  rng = np.random.default_rng(1)
  decisions = rng.integers(-3, 4, POOL.proposal_mask.shape).astype(np.float32)  # ties
  settings = stage_wise.Settings(top_k=top_k, nms_threshold=threshold)
  indices, kept = stage_wise.attend(jnp.asarray(decisions), POOL, settings)
  assert indices.shape == kept.shape == (POOL.num_videos, top_k)
  for v in range(POOL.num_videos):
    expected = slow_nms(np.float64(POOL.segments[v]), decisions[v], np.asarray(
        POOL.proposal_mask[v]), top_k, threshold)
    assert list(np.asarray(indices[v])[np.asarray(kept[v])]) == expected
    assert not np.asarray(indices[v])[len(expected):].any()


def test_positives_lie_strictly_above_the_threshold():
  video = pools.Video(np.asarray([[0, 7], [0, 7.1], [0, 10], [20, 30]]), np.zeros((4, DIM)),
                      np.asarray([[0.0, 10.0]]), np.asarray([2]), 40.0)
  pool = pools.from_videos([video], num_truths=3)
  y, overlaps = stage_wise.attention_labels(pool, SETTINGS)
  np.testing.assert_array_equal(y, [[-1, 1, 1, -1]])
  np.testing.assert_allclose(overlaps[0, :, 0], [0.7, 0.71, 1, 0], rtol=1e-6)
  assert not np.asarray(overlaps[..., 1:]).any()


def test_initial_model():
  detections = stage_wise.detect(stage_wise.init(DIM, CLASSES), POOL, SETTINGS)
  np.testing.assert_allclose(detections.attention[detections.mask], 0.5)
  np.testing.assert_allclose(detections.scores[detections.mask], 0.5 / CLASSES, rtol=1e-6)


def test_fit_trains_each_stage_on_what_the_paper_says():
  params, info = stage_wise.fit(POOL, num_classes=CLASSES, settings=SETTINGS)
  mask = np.asarray(POOL.proposal_mask)
  y = np.asarray([[1.0 if mask[v, p] and slow_positive(v, p) is not None else -1.0
                   for p in range(mask.shape[1])] for v in range(POOL.num_videos)])
  x = np.asarray(POOL.features)
  expected, _ = svm.fit(x[mask], y[mask], loss=SETTINGS.svm_loss, tol=1e-6)
  chex.assert_trees_all_close(params.svm, expected, atol=2e-3)
  assert bool(info.svm.converged)
  decisions = np.asarray(svm.decision(params.svm, POOL.features))
  chex.assert_trees_all_close(params.platt, platt.fit(decisions[mask], y[mask]), rtol=1e-3)
  rows, labels = [], []
  for v in range(POOL.num_videos):
    for p in slow_nms(np.float64(POOL.segments[v]), decisions[v], mask[v], SETTINGS.top_k, 1.0):
      if slow_positive(v, p) is not None:
        rows.append(x[v, p])
        labels.append(slow_positive(v, p))
  assert info.num_classifier_rows == len(rows) > 5
  weights, _ = classifier.fit(np.asarray(rows), np.asarray(labels), num_classes=CLASSES)
  chex.assert_trees_all_close(params.classifier, weights, atol=5e-3)


def test_detect_equals_the_slow_loop():
  params, _ = stage_wise.fit(POOL, num_classes=CLASSES, settings=SETTINGS)
  for score in ("product", "classifier"):
    detections = stage_wise.detect(params, POOL, SETTINGS._replace(score=score))
    assert detections.segments.shape == (POOL.num_videos, 4, 2)
    assert detections.scores.shape == (POOL.num_videos, 4, CLASSES)
    w, b = np.float64(params.svm.w), float(params.svm.b)
    for v in range(POOL.num_videos):
      s = np.float64(POOL.features[v]) @ w + b
      order = slow_nms(np.float64(POOL.segments[v]), s, np.asarray(POOL.proposal_mask[v]), 4, 1.0)
      assert detections.mask[v].sum() == len(order)
      for rank, p in enumerate(order):
        h = 1 / (1 + np.exp(float(params.platt.a) * s[p] + float(params.platt.b)))
        z = np.exp(np.float64(POOL.features[v, p]) @ np.float64(params.classifier.w)
                   + np.float64(params.classifier.b))
        z = z / z.sum() * (h if score == "product" else 1.0)
        np.testing.assert_array_equal(detections.segments[v, rank], POOL.segments[v, p])
        np.testing.assert_allclose(detections.attention[v, rank], h, atol=1e-5)
        np.testing.assert_allclose(detections.scores[v, rank], z, atol=1e-5)
  with pytest.raises(ValueError, match="product"):
    stage_wise.detect(params, POOL, SETTINGS._replace(score="sum"))


def test_padding_changes_nothing():
  padded = pools.pad(POOL, num_videos=POOL.num_videos + 3, num_proposals=20, num_truths=5)
  padded = padded._replace(features=jnp.where(padded.proposal_mask[..., None], padded.features,
                                              jnp.nan))
  params, info = stage_wise.fit(POOL, num_classes=CLASSES, settings=SETTINGS)
  again, again_info = stage_wise.fit(padded, num_classes=CLASSES, settings=SETTINGS)
  assert info.num_classifier_rows == again_info.num_classifier_rows
  chex.assert_trees_all_close(again, params, atol=5e-3)
  confidence = stage_wise.confidence(params, padded)
  assert not np.asarray(confidence)[~np.asarray(padded.proposal_mask)].any()
  decisions = np.asarray(stage_wise.decision(params.svm, padded))
  assert np.all(np.isneginf(decisions) == ~np.asarray(padded.proposal_mask))
  expected, found = (stage_wise.detect(params, pool, SETTINGS) for pool in (POOL, padded))
  v = POOL.num_videos
  assert not found.mask[v:].any() and not found.attention[v:].any()
  for name in expected._fields[:-1]:  # all but the labels, of which it has none
    value = getattr(expected, name)
    np.testing.assert_allclose(np.asarray(getattr(found, name)[:v], np.float32)[expected.mask],
                               np.asarray(value, np.float32)[expected.mask], atol=1e-5)


def test_nothing_to_localise():
  pool = make_pool(truths=False)
  params, info = stage_wise.fit(pool, num_classes=CLASSES, settings=SETTINGS)
  assert info.num_classifier_rows == 0 and bool(info.svm.converged)
  chex.assert_trees_all_close(params.classifier, classifier.init(DIM, CLASSES))
  detections = stage_wise.detect(params, pool, SETTINGS)
  chex.assert_tree_all_finite(detections)
  assert float(jnp.max(detections.attention)) < 0.1  # Platt's target of the only class


def test_half_precision_storage_and_warm_start():
  half = POOL._replace(features=POOL.features.astype(jnp.float16))
  params, info = stage_wise.fit(half, num_classes=CLASSES, settings=SETTINGS)
  assert params.svm.w.dtype == jnp.float32 and params.classifier.w.dtype == jnp.float32
  warm, warm_info = stage_wise.fit(half, num_classes=CLASSES, settings=SETTINGS, start=params)
  assert int(warm_info.svm.num_iters) <= int(info.svm.num_iters)
  assert int(warm_info.classifier.num_iters) < int(info.classifier.num_iters)
  chex.assert_trees_all_close(warm, params, atol=5e-3)
