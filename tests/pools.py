"""A tiny, deterministic VideoPool for tests, with a planted signal, padding and distractors.

Every test uses the same shapes, so that what is jitted compiles once per test session.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import learner
from tal_jax.models import stage_wise, svm
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.pool import Video, VideoPool, from_videos

NUM_VIDEOS, NUM_PROPOSALS, NUM_TRUTHS, DIM, NUM_CLASSES = 16, 8, 2, 5, 3
# A tight SVM: AP is a step function of it, and is compared between ways to compute it.
SETTINGS = stage_wise.Settings(top_k=3, nms_threshold=1.0, svm_c=0.1, svm_tol=1e-6,
                               classifier_max_iters=10)
LOCALIZER = StageWise(SETTINGS)


def videos(num_videos: int = NUM_VIDEOS, *, seed: int = 0) -> VideoPool:
  """A pool on the device.

  Each video has 1 or 2 instances; about half of its 5 to 8 proposals lie on one. The first feature
  tells those apart, with noise; the next `NUM_CLASSES` tell the class; the last is the video's own.
  """
  rng = np.random.default_rng(seed)
  made = []
  for _ in range(num_videos):
    t, p = rng.integers(1, NUM_TRUTHS + 1), rng.integers(5, NUM_PROPOSALS + 1)
    starts = rng.choice(np.arange(4), t, replace=False) * 25.0 + rng.uniform(0, 5, t)
    truths = np.stack([starts, starts + rng.uniform(8, 18, t)], 1)
    label = int(rng.integers(NUM_CLASSES))
    segments, features = [], []
    for j in range(p):
      action = j % 2 == 0
      if action:
        segment = truths[rng.integers(t)] + rng.uniform(-1, 1, 2)
      else:
        start = rng.uniform(0, 80)
        segment = np.array([start, start + rng.uniform(3, 15)])
      feature = 0.5 * rng.normal(size=DIM)
      feature[0] += 1.5 if action else -0.5
      feature[1 + label] += 1.5 * action
      segments.append(np.clip(segment, 0, 100))
      features.append(feature)
    features = np.array(features)
    features[:, -1] += rng.normal()
    made.append(Video(np.array(segments), features, truths, np.full(t, label), 100.0))
  return jax.tree.map(jnp.asarray, from_videos(
      made, num_proposals=NUM_PROPOSALS, num_truths=NUM_TRUTHS))


def without_truths(pool: VideoPool) -> VideoPool:
  """The same videos as a learner may see them: not annotated."""
  return pool._replace(
      truths=jnp.zeros_like(pool.truths), truth_labels=jnp.full_like(pool.truth_labels, -1),
      truth_mask=jnp.zeros_like(pool.truth_mask))


def prepared(pool: VideoPool, testing: VideoPool) -> dict[str, learner.SelectFn]:
  """Every selection function, by its name; MCLE's prior and the LAL selector are made up."""
  from tal_jax.selection import SELECTION, greedy_oracle, lal, mcle
  made = {"mcle": mcle.using(stage_wise.decision(some_svm(1), pool)),
          "lal": lal.using(selector()), "greedy_oracle": greedy_oracle.using(testing)}
  return {name: made.get(name) or strategy(None) for name, strategy in SELECTION.items()}


def some_svm(seed: int) -> svm.SvmParams:
  rng = np.random.default_rng(seed)
  return svm.SvmParams(jnp.asarray(rng.normal(size=DIM), jnp.float32),
                       jnp.asarray(rng.normal(), jnp.float32))


def selector(seed: int = 0, *, num_support: int = 6, num_bins: int = 10, gamma: float = 0.1):
  """A LAL regressor with random support vectors."""
  from tal_jax.selection import lal_selector
  rng = np.random.default_rng(seed)
  q = 2
  return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), lal_selector.Selector(
      state_mean=rng.normal(size=DIM + 1), state_components=rng.normal(size=(q, DIM + 1)),
      sample_mean=rng.uniform(size=num_bins), sample_scale=rng.uniform(0.5, 2, num_bins),
      support_states=rng.normal(size=(num_support, q)),
      support_samples=rng.normal(size=(num_support, num_bins)),
      coefficients=rng.normal(size=num_support), intercept=rng.normal(), gamma_state=gamma,
      gamma_sample=gamma, target_mean=0.01, target_scale=0.02))


def started(pool: VideoPool, *, seed: int = 0, num_initial: int = 4,
            annotate=None, localizer=LOCALIZER) -> learner.LearnerState:
  """A learner with its first labels and a trained model."""
  first = learner.init(jax.random.key(seed), pool, num_classes=NUM_CLASSES, localizer=localizer)
  annotate = annotate or learner.simulated_oracle(jax.random.key(100 + seed))
  return learner.start(first, pool, num_initial=num_initial, annotate=annotate)[0]
