"""The paper's model behind the interface of `localizer`: attention, top-k, classifier.

Notation: v videos, p proposals, k picked segments, d dimensions, c classes.

Source: the paper, Sec. 3.1; `stage_wise` has the mathematics. LAL, MCLE and the greedy oracle read
this model's attention, or that of `two_stage`.
"""

from __future__ import annotations

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models import classifier, localizer, platt, stage_wise
from tal_jax.models.stage_wise import StageWiseInfo, StageWiseParams
from tal_jax.models.svm import pool as svm_pool
from tal_jax.models.svm.blocks import take_rows
from tal_jax.pool import PROPOSALS, VideoPool, without_features


@dataclasses.dataclass(frozen=True)
class StageWise:
  """The paper's model; `memory` is what the SVM's last fit learned about this pool."""

  settings: stage_wise.Settings = stage_wise.Settings()
  reads = (PROPOSALS,)

  def init(self, pool: VideoPool, num_classes: int) -> StageWiseParams:
    return stage_wise.init(pool.dim, num_classes)

  def empty_memory(self, pool: VideoPool) -> svm_pool.Memory:
    return svm_pool.empty_memory(*pool.proposal_mask.shape, pool.dim)

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: StageWiseParams,
          memory: svm_pool.Memory) -> tuple[StageWiseParams, StageWiseInfo, svm_pool.Memory]:
    """`fit_labeled`; nothing in it is random."""
    del key
    return stage_wise.fit_labeled(pool, labeled, num_classes=start.classifier.b.shape[0],
                                  settings=self.settings, start=start, memory=memory)

  def detect(self, params: StageWiseParams, pool: VideoPool) -> localizer.Detections:
    return stage_wise.detect(params, pool, self.settings)

  def attention(self, params: StageWiseParams) -> stage_wise.Attention:
    return stage_wise.Attention(params.svm, params.platt)

  @property
  def attention_settings(self) -> stage_wise.Settings:
    """How the attention is trained, and picks."""
    return self.settings

  def decisions(self, params: StageWiseParams, pool: VideoPool,
                memory: svm_pool.Memory) -> chex.Array:
    """The SVM's decision value of every proposal of the pool: [v, p]; -inf where padded.

    The fit that gave the memory scored its pool; only a model of another origin costs a pass.
    """
    values = svm_pool.decisions(pool.features, pool.proposal_mask, params.svm, memory)
    return jnp.where(pool.proposal_mask, values, -jnp.inf)

  def confidences(self, params: StageWiseParams, pool: VideoPool,
                  memory: svm_pool.Memory) -> localizer.Confidences:
    """h of every proposal."""
    decisions = self.decisions(params, pool, memory)
    return localizer.Confidences(stage_wise.calibrated(params.platt, decisions),
                                 pool.proposal_mask)

  def picks(self, params: StageWiseParams, pool: VideoPool,
            memory: svm_pool.Memory) -> localizer.Picks:
    """The attention's top-k; the embedding is the pooled feature."""
    decisions = self.decisions(params, pool, memory)
    indices, kept = _attend(decisions, without_features(pool), settings=self.settings)
    features = take_rows(pool.features, jnp.repeat(jnp.arange(len(indices)), indices.shape[1]),
                         indices.ravel())
    return _picks(params, decisions, indices, kept, pool.segments, features)

  def embed(self, params: StageWiseParams, pool: VideoPool) -> chex.Array:
    """The mean of the proposals' features: [v, d]; it does not depend on the parameters."""
    del params
    if isinstance(pool.features, np.ndarray):  # may be larger than memory
      return jnp.stack([_mean_rows(x[None], mask[None])[0] for x, mask in zip(
          pool.features, np.asarray(pool.proposal_mask), strict=True)])
    return _mean_rows(pool.features, pool.proposal_mask)


_attend = functools.partial(jax.jit, static_argnames="settings")(stage_wise.attend)


@jax.jit
def _picks(params, decisions, indices, kept, segments, features) -> localizer.Picks:
  gather = functools.partial(jnp.take_along_axis, axis=1)
  shape = indices.shape
  return localizer.Picks(
      segments=gather(segments, indices[..., None]),
      confidence=jnp.where(kept, platt.probability(params.platt, gather(decisions, indices)), 0.0),
      classes=classifier.probability(params.classifier, features).reshape(*shape, -1),
      embedding=features.astype(jnp.float32).reshape(*shape, -1), mask=kept)


@jax.jit
def _mean_rows(features, mask):
  total = jnp.einsum("vpd,vp->vd", features.astype(jnp.float32), mask.astype(jnp.float32),
                     precision=jax.lax.Precision.HIGHEST)
  return total / jnp.maximum(mask.sum(1), 1)[:, None]
