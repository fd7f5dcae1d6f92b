"""The AP of a batch of models against one model after the other, and against the host's metric."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.metrics import attention_ap
from tal_jax.metrics.average_precision import GroundTruth, Predictions, detection_map
from tal_jax.models import stage_wise, svm
from tal_jax.pool import pad
from tal_jax.selection import held_out as lib
from tests import pools

pytestmark = pytest.mark.slow

B = 4
NMS = pools.SETTINGS._replace(nms_threshold=0.3)


@functools.partial(jax.jit, static_argnames="options")
def one_by_one(params, held_out, options):
  """As the learner attends and the binaries measure."""
  decisions = svm.decision(params, held_out.features)
  indices, kept = stage_wise.attend(decisions, held_out, options)
  return attention_ap.attention_ap(
      jnp.take_along_axis(held_out.segments, indices[..., None], axis=1),
      jnp.take_along_axis(decisions, indices, axis=1), kept, held_out.truths, held_out.truth_mask)


def models(seed):
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(
      pools.some_svm(seed * B + i) for i in range(B)))


@pytest.mark.parametrize("options", [pools.SETTINGS, NMS, NMS._replace(top_k=20)])
@pytest.mark.parametrize("seed", range(3))
def test_equals_one_after_the_other(options, seed):
  """With and without NMS, and with a top-k that no video fills."""
  held_out, params = pools.videos(seed=seed), models(seed)
  got = lib.average_precisions(params, lib.prepare(held_out, options), options)
  want = [one_by_one(jax.tree.map(lambda leaf, i=i: leaf[i], params), held_out, options)
          for i in range(B)]
  np.testing.assert_allclose(got, want, atol=1e-6)
  assert np.ptp(want) > 0.01  # there is something to compare


def slow_ap(w, b, held_out, options):
  """Greedy NMS in a loop per video, then the host's metric."""
  video, kept, scores = [], [], []
  for i, (segments, features, mask) in enumerate(zip(
      np.float64(held_out.segments), np.float64(held_out.features),
      np.asarray(held_out.proposal_mask), strict=True)):
    decisions = features @ w + b
    left = list(np.flatnonzero(mask))
    for _ in range(options.top_k):
      if not left:
        break
      best = max(left, key=lambda j: decisions[j])
      video.append(i)
      kept.append(segments[best])
      scores.append(decisions[best])
      left = [j for j in left if j != best
              and overlap(segments[j], segments[best]) <= options.nms_threshold]
  truth_video, truth = np.nonzero(held_out.truth_mask)
  zeros = np.zeros(len(truth_video), int)
  return detection_map(
      GroundTruth(truth_video, zeros, np.float64(held_out.truths)[truth_video, truth], 1),
      Predictions(np.array(video), np.zeros(len(video), int), np.array(kept),
                  np.array(scores))).average_map


def overlap(a, b):
  intersection = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
  return intersection / (a[1] - a[0] + b[1] - b[0] - intersection)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_equals_the_hosts_metric(seed):
  held_out, params = pools.videos(seed=seed), models(seed)
  got = lib.average_precisions(params, lib.prepare(held_out, NMS), NMS)
  want = [slow_ap(np.float64(w), float(b), held_out, NMS)
          for w, b in zip(params.w, params.b, strict=True)]
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_more_proposals_than_a_word_holds():
  """70 proposals a video, three words: eleven videos' proposals as one's."""
  many = pools.videos(11, seed=5)
  many = jax.tree.map(lambda leaf: leaf[:10].reshape(2, -1, *leaf.shape[2:]), many._replace(
      durations=many.durations[:, None]))
  many = many._replace(durations=many.durations[:, 0])
  held_out, params = pad(many, num_proposals=70), models(1)
  got = lib.average_precisions(params, lib.prepare(held_out, NMS), NMS)
  want = [one_by_one(jax.tree.map(lambda leaf, i=i: leaf[i], params), held_out, NMS)
          for i in range(B)]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_padding_changes_nothing():
  held_out, params = pools.videos(seed=2), models(2)
  want = lib.average_precisions(params, lib.prepare(held_out, NMS), NMS)
  padded = pad(held_out, num_videos=20, num_proposals=40, num_truths=5)
  mask, is_truth = padded.proposal_mask[..., None], padded.truth_mask[..., None]
  dirty = padded._replace(
      features=jnp.where(mask, padded.features, 100.0),
      segments=jnp.where(mask, padded.segments, jnp.array([0.0, 50.0])),
      truths=jnp.where(is_truth, padded.truths, padded.segments[:, :5]))
  np.testing.assert_allclose(
      lib.average_precisions(params, lib.prepare(dirty, NMS), NMS), want, atol=1e-6)


def test_stored_in_half_precision():
  held_out, params = pools.videos(seed=3), models(3)
  half = held_out._replace(features=held_out.features.astype(jnp.bfloat16))
  same = held_out._replace(features=half.features.astype(jnp.float32))
  np.testing.assert_array_equal(*(lib.average_precisions(params, lib.prepare(x, NMS), NMS)
                                  for x in (half, same)))


def test_no_truths():
  held_out = pools.without_truths(pools.videos())
  assert not lib.average_precisions(models(0), lib.prepare(held_out, NMS), NMS).any()


def test_one_program_for_data_of_one_shape():
  """The number of truths in reach differs between data; the program should not."""
  traced = jax.jit(chex.assert_max_traces(lib.average_precisions.__wrapped__, n=1),
                   static_argnames="settings")
  for seed in range(4):
    traced(models(seed), lib.prepare(pools.videos(seed=seed), stage_wise.Settings()),
           stage_wise.Settings())
  chex.clear_trace_counter()


def test_the_models_are_a_batch():
  with pytest.raises(AssertionError):
    lib.average_precisions(svm.SvmParams(jnp.zeros(pools.DIM), jnp.zeros(())),
                           lib.prepare(pools.videos(), NMS), NMS)
