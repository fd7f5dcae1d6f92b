"""Training of the stage-wise model with a second stage.

Notation: v videos, p proposals, d dimensions; F folds of the labelled videos; model -1 is of all of
them, model f of all but fold f.

    moments of the pool -> attention of every model -> classifier of every model
    -> q of each labelled video by the model that has not seen it -> second stage -> Platt
    -> all proposals scored -> Platt of the attention, deviation of z

The loops run on the host, since the features may be streamed and the classifier's rows are gathered
into a buffer of one of few sizes; nothing is compiled again as the labelled set grows. The scores
that the second stage and its Platt learn from are out of fold; the attention's Platt is fitted, as
the paper's, on the rows that the attention was trained on.

Source: the paper, Sec. 3.1, for the first stage; what is added to it is ours.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import segments as seg
from tal_jax.models import classifier, platt
from tal_jax.models.stage_wise import discriminant, second_stage, two_stage_scores as scores_lib
from tal_jax.models.stage_wise.two_stage_scores import Memory, Settings, TwoStageParams
from tal_jax.models.svm import SvmInfo, blocks as svm_blocks, pool as svm_pool
from tal_jax.pool import VideoPool, proposal_overlaps, without_features
from tal_jax.sizes import bucket

_FEW = 64  # labelled videos from which the folds no longer move as labels come


class TwoStageInfo(NamedTuple):
  svm: SvmInfo
  classifier: classifier.ClassifierInfo | None  # None: no label yet, as below
  num_classifier_rows: int
  share: float  # of the discriminant
  second_stage_loss: float

  @property
  def metrics(self) -> dict[str, float | bool]:
    return {"duality_gap": float(self.svm.duality_gap), "svm_converged": bool(self.svm.converged),
            "classifier_rows": float(self.num_classifier_rows),
            "discriminant_share": self.share, "second_stage_loss": self.second_stage_loss}


class Targets(NamedTuple):
  y: chex.Array  # [v, p] in {-1, +1}
  real: chex.Array  # [v, p] bool, labelled
  best: chex.Array  # [v, p] largest tIoU with a truth
  label: chex.Array  # [v, p] int32, that truth's class
  fold: chex.Array  # [v] int32, -1 where not labelled
  instances: chex.Array  # [max(F, 1)] labelled, of each fold
  counts: chex.Array  # [max(F, 1), 3] videos, positive rows, negative rows of each fold


def fit(pool: VideoPool, labeled: chex.Array, start: TwoStageParams, memory: Memory,
        settings: Settings) -> tuple[TwoStageParams, TwoStageInfo, Memory]:
  """Trains all stages on the labelled videos; see `localizer.Localizer`."""
  exists = pool.proposal_mask
  num_classes = start.classifier.b.shape[0]
  targets = _targets(without_features(pool), labeled, settings.positive_tiou,
                     num_folds=scores_lib.num_folds(settings))
  counts = np.asarray(targets.counts)
  if not counts[:, 1:].any():  # not a proposal is labelled
    return (scores_lib.init(pool.dim, num_classes),
            TwoStageInfo(SvmInfo(*jnp.zeros(3), jnp.asarray(True)), None, 0, 1.0, 0.0),
            memory._replace(scores=scores_lib.no_scores(pool)))
  known = memory.moments
  if not float(known.count):
    known = discriminant.moments(pool.features, exists)
  white = discriminant.whitening(known)
  # Not every fold has a model.
  models = [-1] + [f for f in range(scores_lib.num_folds(settings)) if counts[f, 0]
                   and np.delete(counts[:, 1:], f, 0).sum(0).all()]
  attentions, svms, svm_info, share = _attentions(pool, targets, known, white, memory, models,
                                                  settings)
  classifiers, info, rows = _classifiers(pool, targets, attentions[-1], white, models, settings,
                                         start.classifier)
  quantiles = _quantiles(pool.segments, exists)
  q = jnp.zeros(exists.shape + (second_stage.NUM_NUMBERS,))
  owner = _owners(targets.fold, np.asarray(models))
  for f in models:
    q = q + scores_lib.numbers(pool, owner == f, attentions[f], classifiers[f], quantiles)
  second, loss = _second_stage(q, targets, counts, quantiles, settings)
  z = scores_lib.sharpened(q, pool, labeled, second, settings)
  params = TwoStageParams(attentions[-1], start.attention_platt, classifiers[-1], second,
                          _platt(z, targets.y, targets.real), jnp.ones(()))
  scored = scores_lib.scores(params, pool, settings)
  params = params._replace(attention_platt=_platt(scored.attention, targets.y, targets.real),
                           deviation=scores_lib.deviation(scored.decisions, exists))
  return (params, TwoStageInfo(svm_info, info, rows, float(share), float(loss)),
          Memory(known, svms, scored))


@functools.partial(jax.jit, static_argnames="num_folds")
def _targets(pool: VideoPool, labeled, positive_tiou, *, num_folds: int) -> Targets:
  real = pool.proposal_mask & labeled[:, None]
  overlaps = proposal_overlaps(pool.segments, pool.truths, pool.truth_mask & labeled[:, None])
  best = overlaps.max(-1)
  label = jnp.take_along_axis(pool.truth_labels, overlaps.argmax(-1), axis=1)
  positive = best > positive_tiou
  # In turn among few labelled videos, so that every fold has some; by place among many, so that a
  # video stays in its fold and the fold's SVM is near its last.
  place = jnp.where(labeled.sum() < _FEW, jnp.cumsum(labeled) - 1, jnp.arange(labeled.shape[0]))
  groups = max(num_folds, 1)
  fold = jnp.where(labeled, place % groups, -1)
  of_fold = jax.nn.one_hot(fold, groups)

  def count(mask):
    return mask.sum(1).astype(jnp.float32) @ of_fold

  return Targets(
      jnp.where(positive, 1.0, -1.0), real, best, jnp.maximum(label, 0), fold,
      count(pool.truth_mask & labeled[:, None]),
      jnp.stack([of_fold.sum(0), count(real & positive), count(real & ~positive)], 1))


def _attentions(pool, targets, known, white, memory, models, settings):
  """The attention of every model {f: SvmParams}, their SVMs; info and share of the first."""
  y, real, fold = targets.y, targets.real, targets.fold
  groups = targets.counts.shape[0]
  sums = np.zeros((groups, 2, pool.dim + 1), np.float32)  # of each fold's positives, negatives
  if settings.instances_per_dim > 0:
    sums = jnp.stack([jnp.stack([
        svm_blocks.weighted_sum(pool.features, _rows_of(y, real, fold, g, sign))
        for sign in (1.0, -1.0)]) for g in range(groups)])
  svms, found, first = list(memory.svms), {}, None
  for f in models:
    params, info, svms[f + 1] = svm_pool.fit(
        pool.features, y, _without(real, fold, f), pool.proposal_mask, c=settings.svm_c,
        loss=settings.svm_loss, memory=memory.svms[f + 1],
        tol=settings.svm_tol if f < 0 else 10.0 * settings.svm_tol)
    found[f], share = _mixed(known, white, sums, targets, params.w, f, settings.instances_per_dim)
    first = first or (info, share)
  return found, tuple(svms), *first


@jax.jit
def _rows_of(y, real, fold, wanted, sign):
  return (real & (fold == wanted)[:, None] & (y == sign)).astype(jnp.float32)


@jax.jit
def _without(real, fold, unwanted):
  return real & (fold != unwanted)[:, None]


@jax.jit
def _mixed(known, white, sums, targets: Targets, svm, fold, instances_per_dim):
  """The attention of a model, from its SVM and from sums over the other folds; its share."""
  other = jnp.arange(len(sums)) != fold
  positive, negative = jnp.where(other[:, None, None], sums, 0.0).sum(0)
  both = (jnp.where(other[:, None], targets.counts[:, 1:], 0.0).sum(0) > 0).all()
  return discriminant.mixed(
      known, discriminant.direction(white, positive, negative), jnp.where(both, svm, 0.0),
      jnp.where(other, targets.instances, 0.0).sum(), instances_per_dim=instances_per_dim)


def _classifiers(pool, targets, attention, white, models, settings, start):
  """The classifier of every model {f: ClassifierParams}, the first's info, its number of rows."""
  usable, count = _positives(targets.y, targets.real)
  if not settings.all_positives:
    d = svm_blocks.margins(pool.features, targets.real, jnp.append(attention.w, attention.b))
    usable, count = _among_top(usable, d, targets.real, pool.segments, settings.nms_threshold,
                               k=settings.num_picks)
  count = int(count)
  size = bucket(count)
  video, row, label, fold = _take(usable, targets.label, targets.fold, size)
  x = svm_blocks.take_rows(pool.features, video, row)
  if settings.whitened:
    x = discriminant.whiten(white, x)
    start = classifier.ClassifierParams(*discriminant.to_whitened(white, *start))
  found, first = {}, None
  for f in models:
    weights, info = classifier.fit(
        x, label, _others(fold, f, count), num_classes=start.b.shape[0], c=settings.classifier_c,
        max_iters=settings.classifier_max_iters, start=start)
    if settings.whitened:
      weights = classifier.ClassifierParams(*discriminant.from_whitened(white, *weights))
    found[f], first = weights, first or info
  return found, first, count


@jax.jit
def _positives(y, real):
  usable = real & (y > 0)
  return usable, usable.sum()


@functools.partial(jax.jit, static_argnames="k")
def _among_top(usable, d, real, segments, threshold, *, k: int):
  """The positives among those that the attention picks by hard NMS."""
  indices, kept = jax.vmap(functools.partial(seg.nms, k=k, threshold=threshold))(
      segments, d, real)
  chosen = jax.vmap(lambda i, k: jnp.zeros(d.shape[1], bool).at[i].max(k))(indices, kept)
  usable = usable & chosen
  return usable, usable.sum()


@functools.partial(jax.jit, static_argnames="size")
def _take(usable, label, fold, size: int):
  video, row = jnp.nonzero(usable, size=size, fill_value=0)
  return video, row, label[video, row], fold[video]


@jax.jit
def _others(fold, f, count):
  return (jnp.arange(len(fold)) < count) & (fold != f)


_quantiles = jax.jit(second_stage.duration_quantiles)


@jax.jit
def _owners(fold, models):
  """The model that scores a labelled video: its fold's, or the first where the fold has none."""
  own = (fold[:, None] == models).any(1)
  return jnp.where(fold < 0, -2, jnp.where(own, fold, -1))


def _second_stage(q, targets, counts, quantiles, settings):
  """The second stage, learned from q of the labelled videos, and its loss."""
  if not settings.second_stage:  # z is d
    plain = second_stage.init()
    return plain._replace(w=plain.w.at[0].set(1.0), quantiles=quantiles), 0.0
  size = bucket(int(counts[:, 0].sum()), smallest=16, most=q.shape[0])
  return _fit_second_stage(q, targets.best, targets.real, targets.fold >= 0, quantiles,
                           second_stage.wanted(settings.numbers), settings.decay, size=size)


@functools.partial(jax.jit, static_argnames="size")
def _fit_second_stage(q, best, real, labeled, quantiles, use, decay, *, size: int):
  (videos,) = jnp.nonzero(labeled, size=size, fill_value=0)
  real = real[videos] & (jnp.arange(size) < labeled.sum())[:, None]
  return second_stage.fit(
      q[videos].reshape(-1, q.shape[-1]), second_stage.targets(best[videos]).ravel(),
      real.ravel(), quantiles, use, decay=decay)


@jax.jit
def _platt(values, y, real):
  return platt.fit(values.ravel(), y.ravel(), real.ravel())
