"""The stage-wise localisation model: attention (SVM, Platt, top-k), then the action classifier.

Notation: v videos, p proposals, k segments kept per video, d dimensions, c classes.

    features O -> h = P(action | s) -> top-k segments S^k -> z_c = confidence of class c

Source: the paper, Sec. 3.1. Where it is silent, `Settings` holds our choice and says so.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax import segments as seg
from tal_jax.models import classifier, platt, svm
from tal_jax.models.localizer import Detections
from tal_jax.models.svm import pool as svm_pool
from tal_jax.models.svm.blocks import margins, take_rows
from tal_jax.pool import VideoPool, proposal_overlaps, without_features
from tal_jax.sizes import bucket


class Settings(NamedTuple):
  """Hyper-parameters of the model; hashable, so that it can be static under jit.

  The defaults are those of configs/common.py.
  """

  top_k: int = 10  # segments kept per video (Sec. 3.1)
  positive_tiou: float = 0.7  # proposals above it are positives (Sec. 3.1)
  nms_threshold: float = 0.5  # tIoU, before the top-k; the paper names no NMS: 1 means none
  score: str = "product"  # z_c = h * softmax_c; "classifier": softmax_c alone. The paper is silent
  svm_c: float = 0.01  # the paper is silent
  svm_loss: str = "squared_hinge"  # LIBLINEAR's default; the paper is silent
  svm_tol: float = 1e-4  # relative duality gap
  classifier_c: float = 1.0  # the paper is silent
  classifier_max_iters: int = 300


class StageWiseParams(NamedTuple):
  svm: svm.SvmParams
  platt: platt.PlattParams
  classifier: classifier.ClassifierParams


class Attention(NamedTuple):
  """What selection functions read: a linear function of a proposal's features, calibrated."""

  svm: svm.SvmParams
  platt: platt.PlattParams


class StageWiseInfo(NamedTuple):
  svm: svm.SvmInfo
  classifier: classifier.ClassifierInfo
  num_classifier_rows: int  # positives within the top-k

  @property
  def metrics(self) -> dict[str, float | bool | str]:
    return {"duality_gap": float(self.svm.duality_gap), "svm_converged": bool(self.svm.converged)}


def init(dim: int, num_classes: int) -> StageWiseParams:
  """The model before any label: every confidence is 1/2, every class as likely."""
  return StageWiseParams(svm.SvmParams(jnp.zeros(dim), jnp.zeros(())),
                         platt.PlattParams(jnp.asarray(-1.0), jnp.zeros(())),
                         classifier.init(dim, num_classes))


def decision(params: svm.SvmParams, pool: VideoPool) -> chex.Array:
  """The SVM's decision value of every proposal: [v, p]; -inf where padded.

  In blocks, see `svm.blocks`: the features may be streamed from a file.
  """
  values = margins(pool.features, pool.proposal_mask, jnp.append(params.w, params.b))
  return jnp.where(pool.proposal_mask, values, -jnp.inf)


def confidence(params: StageWiseParams, pool: VideoPool) -> chex.Array:
  """h_t of every proposal, in [0, 1]: [v, p]; 0 where padded."""
  return calibrated(params.platt, decision(params.svm, pool))


@jax.jit
def calibrated(params: platt.PlattParams, decisions: chex.Array) -> chex.Array:
  """h of decision values [...]; 0 where they are -inf."""
  real = jnp.isfinite(decisions)
  return jnp.where(real, platt.probability(params, jnp.where(real, decisions, 0.0)), 0.0)


def attend(decisions: chex.Array, pool: VideoPool,
           settings: Settings) -> tuple[chex.Array, chex.Array]:
  """Hard attention: the indices of the k best proposals of each video, and which are real.

  Ranks by the SVM's decision value, whose order Platt's sigmoid keeps without its saturation.

  Args:
    decisions: [v, p].

  Returns:
    indices [v, k] int32, best first; mask [v, k].
  """
  if settings.nms_threshold >= 1.0:  # plain top-k
    k = min(settings.top_k, decisions.shape[1])
    values, indices = jax.lax.top_k(jnp.where(pool.proposal_mask, decisions, -jnp.inf), k)
    kept = jnp.isfinite(values)
    pad = ((0, 0), (0, settings.top_k - k))
    return (jnp.pad(jnp.where(kept, indices, 0).astype(jnp.int32), pad), jnp.pad(kept, pad))
  return jax.vmap(functools.partial(
      seg.nms, k=settings.top_k, threshold=settings.nms_threshold))(
          pool.segments, decisions, pool.proposal_mask)


def detect(params: StageWiseParams, pool: VideoPool, settings: Settings) -> Detections:
  """Localises actions in every video of the pool: one pass over it, and one over the picks.

  Segments come best attention first; `decisions` are the SVM's, which order them without
  saturation.
  """
  decisions = decision(params.svm, pool)
  indices, kept = _attend(decisions, without_features(pool), settings)
  v, k = indices.shape
  features = take_rows(pool.features, jnp.repeat(jnp.arange(v), k), indices.ravel())
  return _detections(params, decisions, indices, kept, pool.segments, features, settings)


_attend = jax.jit(attend, static_argnames="settings")


@functools.partial(jax.jit, static_argnames="settings")
def _detections(params, decisions, indices, kept, segments, features, settings) -> Detections:
  gather = functools.partial(jnp.take_along_axis, axis=1)
  picked = gather(decisions, indices)
  attention = jnp.where(kept, platt.probability(params.platt, picked), 0.0)
  scores = classifier.probability(params.classifier, features).reshape(*indices.shape, -1)
  if settings.score == "product":
    scores = scores * attention[..., None]
  elif settings.score != "classifier":
    raise ValueError(f"score must be 'product' or 'classifier', not {settings.score!r}")
  return Detections(gather(segments, indices[..., None]), scores, attention, kept, picked)


def attention_labels(pool: VideoPool, settings: Settings) -> tuple[chex.Array, chex.Array]:
  """What the attention module learns: y [v, p] in {-1, +1}, and the tIoUs behind it [v, p, t]."""
  overlaps = proposal_overlaps(pool.segments, pool.truths, pool.truth_mask)
  return jnp.where(overlaps.max(-1) > settings.positive_tiou, 1.0, -1.0), overlaps


def _classifier_rows(decisions, overlaps, pool: VideoPool, settings: Settings):
  """Indices of the top-k [v, k], which of them the classifier may train on, and their class."""
  indices, kept = attend(decisions, pool, settings)
  overlaps = jnp.take_along_axis(overlaps, indices[..., None], axis=1)
  usable = kept & (overlaps.max(-1) > settings.positive_tiou)
  labels = jnp.take_along_axis(pool.truth_labels, overlaps.argmax(-1), axis=1)
  return indices, usable, jnp.maximum(labels, 0)


@functools.partial(jax.jit, static_argnames="settings")
def _labels(pool: VideoPool, labeled, settings: Settings):
  """The attention module's labels [v, p], and the rows that have one [v, p]."""
  y, _ = attention_labels(pool, settings)
  return y, pool.proposal_mask & labeled[:, None]


@functools.partial(jax.jit, static_argnames="settings")
def _calibrate_and_attend(decisions, y, real, pool: VideoPool, settings: Settings):
  """What follows the SVM: Platt, and the classifier's rows, both of the labelled videos."""
  calibration = platt.fit(decisions.ravel(), y.ravel(), real.ravel())
  overlaps = proposal_overlaps(pool.segments, pool.truths, pool.truth_mask)
  indices, usable, labels = _classifier_rows(
      jnp.where(real, decisions, -jnp.inf), overlaps, pool._replace(proposal_mask=real), settings)
  return calibration, (indices, usable, labels), usable.sum()


def fit(pool: VideoPool, *, num_classes: int, settings: Settings,
        start: StageWiseParams | None = None) -> tuple[StageWiseParams, StageWiseInfo]:
  """Trains the three stages on a labelled pool: `fit_labeled` of all its videos."""
  params, info, _ = fit_labeled(
      pool, jnp.ones(pool.num_videos, bool), num_classes=num_classes, settings=settings,
      start=start)
  return params, info


def fit_labeled(
    pool: VideoPool, labeled: chex.Array, *, num_classes: int, settings: Settings,
    start: StageWiseParams | None = None, memory: svm_pool.Memory | None = None,
) -> tuple[StageWiseParams, StageWiseInfo, svm_pool.Memory]:
  """Trains the three stages, one after the other (Sec. 3.1, "Training").

  Attention learns from every proposal of the labelled videos (positive above `positive_tiou` with
  any truth); the classifier from the proposals above it among the top-k that the attention just
  chose.

  The SVM's loop runs on the host, and the classifier's rows are gathered into a buffer of one of
  few sizes, since only a part of the top-k is usable: this function is pure but not jittable.

  Args:
    pool: videos; the `truths` of those labelled are what the oracle answered. Padded videos (all
      masks False) change nothing.
    labeled: [v] bool.
    num_classes: width of the classifier.
    settings: hyper-parameters.
    start: parameters to start from; the solution does not depend on them beyond the tolerances.
    memory: of the last fit on this pool's features, or None; the same holds for it.

  Returns:
    (StageWiseParams, StageWiseInfo, Memory for the next fit).
  """
  start = init(pool.dim, num_classes) if start is None else start
  memory = svm_pool.empty_memory(*pool.proposal_mask.shape, pool.dim) if memory is None else memory
  light = without_features(pool)
  y, real = _labels(light, labeled, settings)
  svm_params, svm_info, memory = svm_pool.fit(
      pool.features, y, real, pool.proposal_mask, c=settings.svm_c, loss=settings.svm_loss,
      tol=settings.svm_tol, memory=memory, start=start.svm)
  calibration, (indices, usable, labels), count = _calibrate_and_attend(
      memory.decisions, y, real, light, settings)
  count = int(count)
  size = bucket(count)
  video, row, label = _usable_rows(indices, usable, labels, size)
  weights, info = classifier.fit(
      take_rows(pool.features, video, row), label, jnp.arange(size) < count,
      num_classes=num_classes, c=settings.classifier_c, max_iters=settings.classifier_max_iters,
      start=start.classifier)
  return (StageWiseParams(svm_params, calibration, weights),
          StageWiseInfo(svm_info, info, count), memory)


@functools.partial(jax.jit, static_argnames="size")
def _usable_rows(indices, usable, labels, size: int):
  """The first `size` usable picks: their video, proposal and class [size]."""
  video, rank = jnp.nonzero(usable, size=size, fill_value=0)
  return video, indices[video, rank], labels[video, rank]
