"""What every proposal scores in the stage-wise model with a second stage; its parameters.

Notation: v videos, p proposals, d dimensions, c classes; q: K numbers of each proposal.

    features -> d, the attention    classes    (d, classes, neighbours) -> q -> z -> z sharpened

`two_stage_training` fits what is here, `two_stage` makes detections of it.

Source: the paper, Sec. 3.1, for the first stage; what is added to it is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.models import classifier, platt
from tal_jax.models.stage_wise import bound_voting, discriminant, second_stage
from tal_jax.models.svm import SvmParams, decision, pool as svm_pool
from tal_jax.models.video_blocks import over_videos
from tal_jax.pool import VideoPool

_GROUPS = tuple(second_stage.GROUPS)


class Settings(NamedTuple):
  """Hyper-parameters; hashable. All but `positive_tiou` are ours."""

  num_kept: int = 30  # segments kept per video
  positive_tiou: float = 0.7  # proposals above it are positives (Sec. 3.1)
  svm_c: float = 0.01
  svm_loss: str = "squared_hinge"
  svm_tol: float = 1e-4  # relative duality gap
  instances_per_dim: float = 0.15  # of the discriminant's share; 0: the SVM alone
  classifier_c: float = 0.1
  classifier_max_iters: int = 300
  all_positives: bool = True  # the classifier's rows; False: those of the attention's top 10
  whitened: bool = True  # the classifier's features
  folds: int = 4  # of the labelled videos; 0: no out-of-fold scores
  second_stage: bool = True  # False: z is the attention
  numbers: tuple[str, ...] = _GROUPS  # of the second stage
  decay: float = 1e-3
  sharpening: float = 0.5  # 0: none
  sharpening_tiou: float = 0.5
  nms_sigma: float = 0.3  # of soft-NMS; 0: hard NMS
  nms_threshold: float = 0.5  # tIoU, of hard NMS
  voting: float = 3.0  # strength; 0: each segment's own bounds
  voting_tiou: float = 0.7
  average_classes: bool = True  # over neighbours above `voting_tiou`
  exponent: float = 0.7
  num_picks: int = 10  # segments that selection functions see


class TwoStageParams(NamedTuple):
  attention: SvmParams  # x w + b is d
  attention_platt: platt.PlattParams  # of d, for selection functions; detections do not need it
  classifier: classifier.ClassifierParams
  second: second_stage.SecondStageParams
  platt: platt.PlattParams  # of z
  deviation: chex.Array  # [] of z over the pool


class Scores(NamedTuple):
  """Of every proposal; 0 where padded."""

  attention: chex.Array  # [v, p] d
  decisions: chex.Array  # [v, p] z, sharpened


class Memory(NamedTuple):
  """What saves the next fit on this pool work; nothing but the tolerances depends on it.

  `scores` are of the pool, at the parameters that the fit gave.
  """

  moments: discriminant.Moments
  svms: tuple[svm_pool.Memory, ...]  # of all labelled videos, and of all but each fold
  scores: Scores

  def map_videos(self, fn: Callable[[chex.Array], chex.Array]) -> Memory:
    """See `localizer.PerVideo`."""
    return self._replace(svms=tuple(svm.map_videos(fn) for svm in self.svms),
                         scores=Scores(*map(fn, self.scores)))


def init(dim: int, num_classes: int) -> TwoStageParams:
  """Before any label: every confidence is 1/2, every class as likely."""
  even = platt.PlattParams(-jnp.ones(()), jnp.zeros(()))  # typed as a fit's: one program for both
  return TwoStageParams(SvmParams(jnp.zeros(dim), jnp.zeros(())), even,
                        classifier.init(dim, num_classes), second_stage.init(), even, jnp.ones(()))


def no_scores(pool: VideoPool) -> Scores:
  """Those of `init`."""
  return Scores(*(jnp.zeros(pool.proposal_mask.shape),) * 2)


def num_folds(settings: Settings) -> int:
  return settings.folds if settings.folds > 1 else 0


def scores(params: TwoStageParams, pool: VideoPool, settings: Settings) -> Scores:
  """Scores every proposal of the pool."""
  q = numbers(pool, pool.proposal_mask.any(1), params.attention, params.classifier,
              params.second.quantiles)
  return Scores(q[..., 0], sharpened(q, pool, pool.proposal_mask.any(1), params.second, settings))


def numbers(pool: VideoPool, wanted: chex.Array, attention: SvmParams,
            weights: classifier.ClassifierParams, quantiles: chex.Array) -> chex.Array:
  """q of the videos wanted [v], whose first is d: [v, p, K]; 0 elsewhere."""
  return over_videos(video_numbers, None, pool.features, wanted,
                     (pool.segments, pool.proposal_mask), (attention, weights, quantiles))


def sharpened(q: chex.Array, pool: VideoPool, wanted: chex.Array,
              second: second_stage.SecondStageParams, settings: Settings) -> chex.Array:
  """z of q [v, p, K], sharpened, of the videos wanted [v]: [v, p]; 0 elsewhere."""
  return over_videos(video_sharpened, None, q, wanted, (pool.segments, pool.proposal_mask),
                     (second, float(settings.sharpening), float(settings.sharpening_tiou)))


@jax.jit
def deviation(z: chex.Array, mask: chex.Array) -> chex.Array:
  """The standard deviation of z over the pool [v, p]; 1 where z does not vary."""
  count = jnp.maximum(mask.sum(), 1)
  mean = jnp.where(mask, z, 0.0).sum() / count
  found = jnp.sqrt(jnp.where(mask, (z - mean)**2, 0.0).sum() / count)
  return jnp.where(found > 1e-5 * (1e-3 + jnp.abs(mean)), found, 1.0)


# Of one video: what is mapped over the pool. No program depends on the settings here.


def video_numbers(_: Any, x: chex.Array, of_video: tuple[chex.Array, chex.Array],
                  shared: tuple[Any, ...]) -> chex.Array:
  """q: [p, K], whose first is d.

  Args:
    x: [p, d].
    of_video: segments [p, 2] seconds, and mask [p].
    shared: attention, classifier, and the quantiles of `second_stage`.
  """
  segments, mask = of_video
  attention, weights, quantiles = shared
  x = jnp.where(mask[:, None], x.astype(jnp.float32), 0.0)
  top, entropy = second_stage.class_numbers(classifier.probability(weights, x))
  return second_stage.numbers(decision(attention, x), top, entropy, segments, mask, quantiles)


def video_sharpened(_: Any, q: chex.Array, of_video: tuple[chex.Array, chex.Array],
                    shared: tuple[Any, float, float]) -> chex.Array:
  """z of q, sharpened: [p, K] -> [p].

  Args:
    q: of `video_numbers`.
    of_video: segments [p, 2] seconds, and mask [p].
    shared: the second stage's parameters; amount and tIoU of `bound_voting.sharpen`.
  """
  segments, mask = of_video
  second, amount, threshold = shared
  return bound_voting.sharpen(second_stage.logits(second, q), segments, mask, amount=amount,
                              threshold=threshold)
