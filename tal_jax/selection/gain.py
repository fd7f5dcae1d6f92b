"""The one-step gain: how much the attention module improves by each candidate video.

    gain(v) = AP(h trained on L + v) - AP(h trained on L)

AP is class-agnostic, on held-out videos. It is LAL's regression target (the paper, Sec. 3.2:
"the improvement delta in localization performance after the model h_t is trained with each of the
samples") and, on the test set with the true labels, the greedy oracle.

Notation: n labelled rows, b candidates of m proposals each, v held-out videos.
"""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.metrics.attention_ap import attention_ap
from tal_jax.models import stage_wise, svm
from tal_jax.pool import VideoPool, take

_TOLERANCE = 1e-6  # relative duality gap of the retrained models


def held_out_ap(params: svm.SvmParams, held_out: VideoPool,
                settings: stage_wise.Settings) -> chex.Array:
  """Class-agnostic AP of an attention SVM on held-out videos: []."""
  decisions = stage_wise.decision(params, held_out)
  indices, kept = stage_wise.attend(decisions, held_out, settings)
  return attention_ap(
      jnp.take_along_axis(held_out.segments, indices[..., None], axis=1),
      jnp.take_along_axis(decisions, indices, axis=1), kept, held_out.truths,
      held_out.truth_mask)


@functools.partial(jax.jit, static_argnames="settings")
def one_step_gains(labeled: VideoPool, candidates: VideoPool, held_out: VideoPool,
                   settings: stage_wise.Settings, start: svm.SvmParams):
  """Retrains once per candidate and measures every gain; jitted, one program.

  Args:
    labeled: L, padded videos masked out.
    candidates: b videos with the labels they would get.
    held_out: videos on which AP is measured.
    settings: hyper-parameters.
    start: a solution of L, or any start.

  Returns:
    gains [b]; the AP of L []; the `SvmInfo` of the retrained models, batched over b.
  """
  y, _ = stage_wise.attention_labels(labeled, settings)
  extra_y, _ = stage_wise.attention_labels(candidates, settings)
  # An extra candidate without rows stands for L itself: its AP is what the others are compared to.
  retrained, info = svm.retrain_with_one_extra(
      labeled.features.reshape(-1, labeled.dim), y.ravel(), labeled.proposal_mask.ravel(),
      _with_null(candidates.features), _with_null(extra_y), _with_null(candidates.proposal_mask),
      init=start, c=settings.svm_c, loss=settings.svm_loss, tol=_tolerance(settings))
  ap = jax.lax.map(lambda params: held_out_ap(params, held_out, settings), retrained,
                   batch_size=16)
  return ap[1:] - ap[0], ap[0], jax.tree.map(lambda leaf: leaf[1:], info)


def _with_null(rows: chex.Array) -> chex.Array:
  """One row of zeros before the candidates' rows."""
  return jnp.pad(rows, [(1, 0)] + [(0, 0)] * (rows.ndim - 1))


def _tolerance(settings: stage_wise.Settings) -> float:
  """A gain is often smaller than what a loose solution blurs, and Newton's last step is cheap.

  For the hinge float32 gives no more than the model's own tolerance at a bearable price.
  """
  if settings.svm_loss == "squared_hinge":
    return min(_TOLERANCE, settings.svm_tol)
  return settings.svm_tol


def all_gains(labeled: VideoPool, pool: VideoPool, indices: np.ndarray, held_out: VideoPool,
              settings: stage_wise.Settings, start: svm.SvmParams, *,
              chunk_size: int = 64) -> np.ndarray:
  """`one_step_gains` of the videos `indices` [c] of a pool, in chunks of one size: [c] gains."""
  parts = []
  for low in range(0, len(indices), chunk_size):
    chunk = np.resize(indices[low:low + chunk_size], chunk_size)  # repeats fill the last chunk
    gains, _, _ = one_step_gains(labeled, take(pool, chunk), held_out, settings, start)
    parts.append(np.asarray(gains)[:len(indices) - low])
  return np.concatenate(parts)
