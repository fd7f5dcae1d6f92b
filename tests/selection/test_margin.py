"""Margins by hand."""

import jax
import numpy as np

from tal_jax import learner
from tal_jax.selection import margin as lib


def slow_margins(state, pool, k):
  """The mean |2 h - 1| over the k proposals of highest decision value, video by video."""
  w, b = np.float64(state.model.svm.w), float(state.model.svm.b)
  a, c = float(state.model.platt.a), float(state.model.platt.b)
  margins = []
  for features, mask in zip(np.float64(pool.features), np.asarray(pool.proposal_mask),
                            strict=True):
    s = np.sort(features[mask] @ w + b)[::-1][:k]
    margins.append(np.abs(2 / (1 + np.exp(a * s + c)) - 1).mean() if len(s) else 1.0)
  return np.array(margins)


def test_scores_against_a_loop(state, pool):
  wanted = slow_margins(state, pool, learner.attention_settings(state).top_k)
  np.testing.assert_allclose(-lib.scores(state, pool), wanted, atol=1e-5)


def test_smallest_margin_first(state, pool):
  margins = slow_margins(state, pool, learner.attention_settings(state).top_k)
  picks = lib.select(jax.random.key(0), state, pool, batch_size=5)
  free = ~np.asarray(state.labeled)
  np.testing.assert_allclose(margins[picks], np.sort(margins[free])[:5], atol=1e-5)


def test_by_hand(state, pool):
  """Confidence 3/4 everywhere: margin 1/2; a video without proposals is as sure as can be."""
  flat = state.model.svm._replace(w=0 * state.model.svm.w, b=0 * state.model.svm.b)
  platt = state.model.platt._replace(a=0 * state.model.platt.a - 1.0,
                                     b=0 * state.model.platt.b - np.float32(np.log(3)))
  sure = state.replace(model=state.model._replace(svm=flat, platt=platt))
  bare = pool._replace(proposal_mask=pool.proposal_mask.at[2].set(False))
  np.testing.assert_allclose(lib.scores(sure, bare), np.where(np.arange(16) == 2, -1.0, -0.5),
                             rtol=1e-6)
