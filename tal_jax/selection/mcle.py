"""Maximum Conflict Label Equality (MCLE): zero-shot prior against model.

Notation: f0(v), f(v): [v] video-level decision values of the prior and of the current model;
s in {-1, +1}: the label wanted next.

    min |w - w0|^2 / 2 + C sum xi,  y_i (w x_i + b) >= 1 - xi_i          (adaptive SVM around w0)
    max sum_i a_i (1 - y_i f0(x_i)) - 1/2 sum_ij a_i a_j y_i y_j x_i x_j,            (its dual)
        0 <= a_i <= C,  sum_i a_i y_i = 0

Maximum conflict: the linear coefficient of a_i is largest where the prior is most wrong. Label
equality: the constraint balances the two labels.

    s    = -1 if more positives than negatives so far, else +1
    hard = argmax of -s f0(v) over the unlabelled v with sign f(v) = s
    soft = argmax of s (f(v) - f0(v)) over all unlabelled v, where there is no hard one

Source: the paper, Sec. 3.2; Gavves et al. (ICCV 2015), whose exact rule and code could not be had:
this is reconstructed from the dual above. Two choices are ours. A video's value is the mean over
the segments that the current attention picks (its top-k). A labelled video counts as positive if
more than half of those picks are true (tIoU above the positive threshold).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax import learner
from tal_jax.learner import LearnerState
from tal_jax.models import stage_wise
from tal_jax.pool import VideoPool, proposal_overlaps, without_features
from tal_jax.selection import prior
from tal_jax.selection.strategy import SelectFn, Shared, Strategy


class VideoValues(NamedTuple):
  model: chex.Array  # [v] f(v)
  prior: chex.Array  # [v] f0(v)
  positive: chex.Array  # [v] bool, label by the oracle; meaningless where unlabelled


def video_values(state: LearnerState, pool: VideoPool,
                 prior_decisions: chex.Array) -> VideoValues:
  """f, f0 and the labels of every video, from the segments that the attention picks.

  Args:
    prior_decisions: [v, p] the prior's value of every proposal of the pool.
  """
  annotated = pool._replace(truths=state.annotations, truth_mask=state.annotation_mask)
  return _video_values(learner.decisions(state, pool), prior_decisions,
                       without_features(annotated), learner.attention_settings(state))


@functools.partial(jax.jit, static_argnames="settings")
def _video_values(decisions, prior_decisions, annotated, settings):
  indices, kept = stage_wise.attend(decisions, annotated, settings)
  count = jnp.maximum(kept.sum(1), 1)

  def mean_of_picks(values):
    picked = jnp.take_along_axis(values, indices, axis=1)
    return jnp.where(kept, picked, 0.0).sum(1) / count

  overlaps = proposal_overlaps(annotated.segments, annotated.truths, annotated.truth_mask).max(-1)
  true_share = mean_of_picks((overlaps > settings.positive_tiou).astype(jnp.float32))
  return VideoValues(mean_of_picks(decisions), mean_of_picks(prior_decisions), true_share > 0.5)


def fill_batch(key: chex.PRNGKey, values: VideoValues, labeled: chex.Array, *,
               batch_size: int) -> chex.Array:
  """Picks one video at a time without retraining; a pick counts with its predicted label.

  Ties are broken at random. Returns [batch_size] indices, in the order of picking.
  """
  f, f0, positive = values
  lots = jax.random.uniform(key, f.shape)

  def best(score, allowed):
    top = jnp.where(allowed, score, -jnp.inf).max()
    return jnp.argmax(jnp.where(allowed & (score == top), lots, -1.0))

  def pick(carry, _):
    free, balance = carry  # balance: positives minus negatives so far
    s = jnp.where(balance > 0, -1.0, 1.0)
    hard = free & (jnp.where(f > 0, 1.0, -1.0) == s)
    i = jnp.where(hard.any(), best(-s * f0, hard), best(s * (f - f0), free))
    return (free.at[i].set(False), balance + jnp.where(f[i] > 0, 1, -1)), i

  balance = jnp.where(labeled, jnp.where(positive, 1, -1), 0).sum()
  return jax.lax.scan(pick, (~labeled, balance), None, length=batch_size)[1]


_fill_batch = jax.jit(fill_batch, static_argnames="batch_size")


def using(prior_decisions: chex.Array) -> SelectFn:
  """MCLE around a prior, by that prior's value of every proposal of the pool: [v, p]."""

  def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
             batch_size: int) -> chex.Array:
    """A batch by maximum conflict and label equality."""
    real = state.labeled.shape[0]  # padded videos come after
    values = jax.tree.map(lambda leaf: leaf[:real], video_values(state, pool, prior_decisions))
    return _fill_batch(key, values, state.labeled, batch_size=batch_size)

  return select


def _prepare(shared: Shared) -> SelectFn:
  w0 = prior.fit(shared.key("mcle"), shared.data, shared.attention, **shared.options["mcle"])
  return using(stage_wise.decision(w0, shared.data.selection))


STRATEGY = Strategy(_prepare, reads_attention=True,
                    learns_from_knowledge_source=lambda options: True)
