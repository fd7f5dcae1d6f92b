"""The stage-wise model with a second stage: still closed-form or convex, fitted in seconds.

Notation: v videos, p proposals, k segments kept, d dimensions, c classes; F folds of videos.

    attention (discriminant and SVM), classifier on all positives           first stage
    numbers q of a proposal and its neighbours -> z -> Platt                `second_stage`
    z sharpened, soft-NMS, bounds and classes from neighbours               `bound_voting`
    score = P(action)^exponent * P(class)

What the second stage learns from on a labelled video is the first stage of the other folds. A fold
whose own training lacks positives or negatives has the final first stage's. Each ingredient can be
switched off in `Settings`; without all of them it is the model of `stage_wise`.

Here are the model and its detections; `two_stage_scores` has the scores of proposals, and
`two_stage_training` the fit.

Source: the paper, Sec. 3.1, for the first stage; what is added to it is ours.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax import segments as seg
from tal_jax.models import classifier, platt, stage_wise
from tal_jax.models.localizer import Confidences, Detections, Picks
from tal_jax.models.stage_wise import (
  bound_voting,
  discriminant,
  two_stage_scores as scores_lib,
  two_stage_training as training,
)
from tal_jax.models.stage_wise.two_stage_scores import Memory, Settings, TwoStageParams
from tal_jax.models.svm import pool as svm_pool
from tal_jax.models.svm.blocks import take_rows
from tal_jax.models.video_blocks import over_videos
from tal_jax.pool import PROPOSALS, VideoPool


@dataclasses.dataclass(frozen=True)
class TwoStage:
  """`stage_wise` grown up: a `Localizer`."""

  settings: Settings = Settings()
  reads = (PROPOSALS,)

  def init(self, pool: VideoPool, num_classes: int) -> TwoStageParams:
    """Before any label: every confidence is 1/2, every class as likely."""
    return scores_lib.init(pool.dim, num_classes)

  def empty_memory(self, pool: VideoPool) -> Memory:
    models = 1 + scores_lib.num_folds(self.settings)
    svm = svm_pool.empty_memory(*pool.proposal_mask.shape, pool.dim)
    return Memory(discriminant.no_moments(pool.dim), (svm,) * models, scores_lib.no_scores(pool))

  def fit(self, key: Any, pool: VideoPool, labeled: chex.Array, *, start: TwoStageParams,
          memory: Memory | None = None) -> tuple[TwoStageParams, training.TwoStageInfo, Memory]:
    """Trains all stages; see `Localizer`. Nothing is random: the key is not used."""
    del key
    memory = self.empty_memory(pool) if memory is None else memory
    return training.fit(pool, labeled, start, memory, self.settings)

  def detect(self, params: TwoStageParams, pool: VideoPool) -> Detections:
    """Localises actions in every video of the pool.

    Segments come best decayed confidence first, and `decisions` is that confidence, after
    soft-NMS: it ranks the segments of all videos, and of two that overlap one counts less.
    """
    return _detections(_found(self.settings, params, pool), self.settings.exponent)

  def attention(self, params: TwoStageParams) -> stage_wise.Attention:
    """The first stage's: the mixture of discriminant and SVM, as one linear function.

    It is in standard deviations over the pool, with mean 0, and not on the scale of an SVM's
    margins: "positive" (MCLE) means above the pool's mean.
    """
    return stage_wise.Attention(params.attention, params.attention_platt)

  @property
  def attention_settings(self) -> stage_wise.Settings:
    """How the paper's attention is trained, and picks, with these settings."""
    own = self.settings
    return stage_wise.Settings(
        top_k=own.num_picks, positive_tiou=own.positive_tiou, nms_threshold=own.nms_threshold,
        svm_c=own.svm_c, svm_loss=own.svm_loss, svm_tol=own.svm_tol)

  def decisions(self, params: TwoStageParams, pool: VideoPool,
                memory: Memory | None = None) -> chex.Array:
    """d, the attention's value of every proposal of the pool: [v, p]; -inf where padded."""
    if memory is None:
      return stage_wise.decision(params.attention, pool)
    return jnp.where(pool.proposal_mask, memory.scores.attention, -jnp.inf)

  def confidences(self, params: TwoStageParams, pool: VideoPool,
                  memory: Memory | None = None) -> Confidences:
    """Of z: the second stage's."""
    found = scores_lib.scores(params, pool, self.settings) if memory is None else memory.scores
    return Confidences(
        jnp.where(pool.proposal_mask, platt.probability(params.platt, found.decisions), 0.0),
        pool.proposal_mask)

  def picks(self, params: TwoStageParams, pool: VideoPool, memory: Memory | None = None) -> Picks:
    """The first of the segments that `detect` finds, with the features of their proposals."""
    del memory  # the classes need the features anyway
    found, video, row = _first(_found(self.settings, params, pool), k=self.settings.num_picks)
    return _picks(found, take_rows(pool.features, video, row))

  def embed(self, params: TwoStageParams, pool: VideoPool) -> chex.Array:
    """The mean feature of each video's proposals: [v, d]."""
    del params
    return over_videos(_mean, None, pool.features, pool.proposal_mask.any(1),
                       pool.proposal_mask, ())


class Found(NamedTuple):
  """The segments kept of every video, best decayed confidence first."""

  indices: chex.Array  # [v, k] int32, their proposals
  mask: chex.Array  # [v, k]
  segments: chex.Array  # [v, k, 2] seconds, moved by the neighbours
  confidence: chex.Array  # [v, k] in [0, 1]
  decayed: chex.Array  # [v, k] the same after soft-NMS
  classes: chex.Array  # [v, k, c] sums to 1


def _found(settings: Settings, params: TwoStageParams, pool: VideoPool) -> Found:
  return over_videos(_video_found, settings, pool.features, pool.proposal_mask.any(1),
                     (pool.segments, pool.proposal_mask), params)


@jax.jit
def _detections(found: Found, exponent) -> Detections:
  return Detections(found.segments, (found.decayed**exponent)[..., None] * found.classes,
                    found.confidence, found.mask, found.decayed)


@functools.partial(jax.jit, static_argnames="k")
def _first(found: Found, *, k: int) -> tuple[Found, chex.Array, chex.Array]:
  """The first k of every video, and where their rows are."""
  found = jax.tree.map(lambda leaf: leaf[:, :k], found)
  v, k = found.mask.shape
  return found, jnp.repeat(jnp.arange(v), k), found.indices.ravel()


@jax.jit
def _picks(found: Found, features) -> Picks:
  features = features.astype(jnp.float32).reshape(*found.mask.shape, -1)
  return Picks(found.segments, found.confidence, found.classes,
               jnp.where(found.mask[..., None], features, 0.0), found.mask)


# Of one video: what is mapped over the pool.


def _video_found(settings, x, of_video, params):
  segments, mask = of_video
  q = scores_lib.video_numbers(None, x, of_video, (params.attention, params.classifier,
                                                   params.second.quantiles))
  z = scores_lib.video_sharpened(
      None, q, of_video, (params.second, settings.sharpening, settings.sharpening_tiou))
  p = jnp.where(mask, platt.probability(params.platt, z), 0.0)
  if settings.nms_sigma:
    indices, decayed, kept = seg.soft_nms(segments, p, mask, k=settings.num_kept,
                                          sigma=settings.nms_sigma)
  else:
    indices, kept = seg.nms(segments, z, mask, k=settings.num_kept,
                            threshold=settings.nms_threshold)
    decayed = p[indices]
  picked = segments[indices]
  classes = _classes(settings, x, of_video, params.classifier, picked, indices)
  if settings.voting:
    picked = bound_voting.vote(
        picked, z, segments, mask, strength=settings.voting, threshold=settings.voting_tiou,
        deviation=params.deviation)
  return Found(indices, kept, jnp.where(kept[:, None], picked, 0.0),
               jnp.where(kept, p[indices], 0.0), jnp.where(kept, decayed, 0.0), classes)


def _classes(settings, x, of_video, weights, picked, indices):
  segments, mask = of_video
  probabilities = classifier.probability(weights, x)
  own = probabilities[indices]
  if not settings.average_classes:
    return own
  return bound_voting.average(picked, probabilities, own, segments, mask,
                              threshold=settings.voting_tiou)


def _mean(_, x, mask, shared):
  x = jnp.where(mask[:, None], x.astype(jnp.float32), 0.0)
  return x.sum(0) / jnp.maximum(mask.sum(), 1)
