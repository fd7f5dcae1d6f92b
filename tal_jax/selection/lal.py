"""Learning Active Learning (LAL): the videos whose label is predicted to gain the most.

`lal_selector` has the regressor, `lal_training` the Monte-Carlo procedure that makes its training
set on Knowledge-Source, `lal_regression` its fit, `lal_artifact` the file.

Source: the paper, Sec. 3.2; Konyushkova et al. (NIPS 2017).
"""

from __future__ import annotations

import chex
import jax
import numpy as np
from absl import logging

from tal_jax import devices, learner
from tal_jax.learner import LearnerState
from tal_jax.models import stage_wise
from tal_jax.pool import VideoPool
from tal_jax.selection import lal_artifact, ranking
from tal_jax.selection.lal_selector import Selector, describe_state, predict
from tal_jax.selection.strategy import SelectFn, Shared, Strategy
from tal_jax.selection.uncertainty import histogram

_TIE = 1e-6  # predictions that differ by less, in standard deviations of the target, are ties


def scores(selector: Selector, state: LearnerState, pool: VideoPool) -> chex.Array:
  """The predicted gain of every video of the pool: [v]."""
  attention = learner.attention(state)
  confidence = stage_wise.calibrated(attention.platt, learner.decisions(state, pool))
  samples = _histogram(confidence, pool.proposal_mask, num_bins=selector.sample_mean.shape[0])
  return predict(selector, describe_state(attention.svm), samples)


_histogram = jax.jit(histogram, static_argnames="num_bins")


def using(selector: Selector) -> SelectFn:
  """LAL with a trained regressor."""

  def select(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
             batch_size: int) -> chex.Array:
    """The videos of highest predicted gain, each on its own (Sec. 4.2).

    Far from every state it was trained on, an RBF regressor predicts the same for all: the batch is
    random then, and the log says so.
    """
    labeled = np.asarray(state.labeled)
    values = devices.to_host(scores(selector, state, pool))[:len(labeled)]
    free = values[~labeled]
    if len(free) > 1 and np.ptp(free) < _TIE * float(selector.target_scale):
      logging.warning(
          "lal: all %d candidates tie at step %d: the model is far from every state of "
          "Knowledge-Source. This batch is random.", len(free), int(state.step))
    return ranking.best(key, values, state.labeled, batch_size=batch_size)

  return select


def _prepare(shared: Shared) -> SelectFn:
  return using(lal_artifact.selector(shared))


STRATEGY = Strategy(_prepare, reads_attention=True,
                    learns_from_knowledge_source=lambda options: not options["lal"]["artifact"])
