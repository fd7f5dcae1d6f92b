"""One-step gains against a loop that trains one model after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import learner
from tal_jax.metrics.attention_ap import attention_ap
from tal_jax.models import stage_wise, svm
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.pool import append, pad, take
from tal_jax.selection import gain, greedy_oracle, held_out
from tests import pools

pytestmark = pytest.mark.slow

SETTINGS = pools.SETTINGS
ZERO = svm.SvmParams(jnp.zeros(pools.DIM), jnp.zeros(()))


@pytest.fixture(scope="module")
def labeled(pool):
  return take(pool, jnp.arange(4))


def slow_ap(training, testing):
  """AP of an SVM fitted on all proposals of a pool: top-k by NumPy's sort."""
  y, _ = stage_wise.attention_labels(training, SETTINGS)
  params, info = svm.fit(training.features.reshape(-1, pools.DIM), y.ravel(),
                         training.proposal_mask.ravel(), c=SETTINGS.svm_c, loss=SETTINGS.svm_loss,
                         tol=SETTINGS.svm_tol)
  assert info.converged
  w = np.float64(params.w)
  segments, scores, kept = [], [], []
  for features, mask, proposals in zip(np.float64(testing.features),
                                       np.asarray(testing.proposal_mask),
                                       np.asarray(testing.segments), strict=True):
    decisions = np.where(mask, features @ w + float(params.b), -np.inf)
    best = np.argsort(-decisions)[:SETTINGS.top_k]
    segments.append(proposals[best])
    scores.append(decisions[best])
    kept.append(mask[best])
  return float(jax.jit(attention_ap)(
      jnp.array(segments), jnp.array(scores, jnp.float32), jnp.array(kept), testing.truths,
      testing.truth_mask))


@pytest.fixture(scope="module")
def slow_gains(pool, testing, labeled):
  base = slow_ap(pad(labeled, num_videos=5), testing)  # a fifth video as padding: one compilation
  return base, np.array([slow_ap(append(labeled, take(pool, jnp.array([i]))), testing) - base
                         for i in range(4, 16)])


def test_equal_a_loop_of_fits(pool, testing, labeled, slow_gains):
  """In the shapes that the greedy oracle uses: 16 videos, 12 of them padding, 64 candidates."""
  candidates = take(pool, np.resize(np.arange(4, 16), 64))
  step = gain.one_step_gains(pad(labeled, num_videos=16), candidates,
                             held_out.prepare(testing, SETTINGS), SETTINGS, ZERO)
  assert step.gains.shape == (64,) and step.info.converged.all()
  # Both are certified to a gap of 1e-6: two scores that differ by less may swap, no more.
  np.testing.assert_allclose(step.base_ap, slow_gains[0], atol=2e-3)
  np.testing.assert_allclose(step.gains, np.resize(slow_gains[1], 64), atol=2e-3)
  assert np.ptp(step.gains) > 0.01  # there is something to compare


def test_the_base_is_the_svm_of_the_labelled_videos(pool, testing, labeled):
  step = gain.one_step_gains(pad(labeled, num_videos=16), take(pool, np.full(64, 4)),
                             held_out.prepare(testing, SETTINGS), SETTINGS, pools.some_svm(1))
  y, _ = stage_wise.attention_labels(labeled, SETTINGS)
  want, _ = svm.fit(labeled.features.reshape(-1, pools.DIM), y.ravel(),
                    labeled.proposal_mask.ravel(), c=SETTINGS.svm_c, loss=SETTINGS.svm_loss,
                    tol=1e-6)
  np.testing.assert_allclose(step.base.w, want.w, atol=2e-3)
  np.testing.assert_allclose(step.base.b, want.b, atol=2e-3)


def test_chunks_the_start_and_padding_change_nothing(pool, testing, labeled, slow_gains):
  indices = np.arange(4, 15)  # 11: a last chunk that is not full
  gains = gain.all_gains(labeled, pool, indices, testing, SETTINGS, pools.some_svm(3),
                         chunk_size=4)
  assert gains.shape == (11,)
  np.testing.assert_allclose(gains, slow_gains[1][:11], atol=2e-3)


def test_greedy_oracle_takes_the_largest_true_gain(pool, testing, slow_gains):
  first = learner.init(jax.random.key(0), pool, num_classes=3, localizer=StageWise(SETTINGS))
  state, _ = learner.label(first, pool, jnp.arange(4),
                           learner.simulated_oracle(jax.random.key(0)))
  picks = np.asarray(greedy_oracle.using(testing)(jax.random.key(0), state, pool, batch_size=3))
  np.testing.assert_allclose(slow_gains[1][picks - 4], np.sort(slow_gains[1])[::-1][:3], atol=2e-3)
