"""The one-step gain: how much the attention module improves by each candidate video.

    gain(v) = AP(h trained on L + v) - AP(h trained on L)

AP is class-agnostic, on held-out videos. It is LAL's regression target (the paper, Sec. 3.2:
"the improvement delta in localization performance after the model h_t is trained with each of the
samples") and, on the test set with the true labels, the greedy oracle.

Notation: n labelled rows, b candidates of m proposals each, v held-out videos.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices
from tal_jax.models import stage_wise, svm
from tal_jax.pool import VideoPool, take
from tal_jax.selection import held_out as held_out_lib
from tal_jax.selection.held_out import HeldOut
from tal_jax.sizes import bucket

_TOLERANCE = 1e-6  # relative duality gap of the retrained models


class OneStep(NamedTuple):
  gains: chex.Array  # [b] AP
  base_ap: chex.Array  # [] AP of the SVM of L
  base: svm.SvmParams  # the SVM of L, to the same tolerance as the retrained ones
  info: svm.SvmInfo  # of the retrained SVMs, batched over b


def one_step_gains(labeled: VideoPool, candidates: VideoPool, held_out: HeldOut,
                   settings: stage_wise.Settings, start: svm.SvmParams) -> OneStep:
  """Retrains once per candidate and measures every gain.

  To be called from the host: candidates are split over the devices, each of which retrains and
  measures its own at its own pace.

  Args:
    labeled: L, padded videos masked out.
    candidates: b videos with the labels they would get.
    held_out: videos on which AP is measured, of `held_out.prepare`.
    settings: hyper-parameters.
    start: a solution of L, or any start.
  """
  x, y, mask, extra_x, extra_y, extra_mask = _rows(labeled, candidates, settings)
  return _compare(*devices.split_batch(
      _retrain_and_measure, (x, y, mask, start, held_out), (extra_x, extra_y, extra_mask),
      settings=settings))


def _retrain_and_measure(shared, batched, *, settings: stage_wise.Settings):
  """The SVM with each candidate, how its training went, and its AP, batched over candidates."""
  *rows, start, held_out = shared
  retrained, info = svm.retrain_with_one_extra(
      *rows, *batched, init=start, c=settings.svm_c, loss=settings.svm_loss,
      tol=_tolerance(settings))
  return retrained, info, held_out_lib.average_precisions(retrained, held_out, settings)


@functools.partial(jax.jit, static_argnames="settings")
def _rows(labeled, candidates, settings):
  """The arguments of `svm.retrain_with_one_extra`, converted to float32 once.

  An extra candidate without rows stands for L itself: its AP is what the others are compared to.
  """

  def flat(pool):
    y, _ = stage_wise.attention_labels(pool, settings)
    return pool.features.astype(jnp.float32), y, pool.proposal_mask

  x, y, mask = flat(labeled)
  return (x.reshape(-1, labeled.dim), y.ravel(), mask.ravel(),
          *(jnp.pad(leaf, [(1, 0)] + [(0, 0)] * (leaf.ndim - 1)) for leaf in flat(candidates)))


@jax.jit
def _compare(retrained, info, ap) -> OneStep:
  return OneStep(ap[1:] - ap[0], ap[0], jax.tree.map(lambda leaf: leaf[0], retrained),
                 jax.tree.map(lambda leaf: leaf[1:], info))


def _tolerance(settings: stage_wise.Settings) -> float:
  """A gain is often smaller than what a loose solution blurs, and Newton's last step is cheap.

  For the hinge float32 gives no more than the model's own tolerance at a bearable price.
  """
  if settings.svm_loss == "squared_hinge":
    return min(_TOLERANCE, settings.svm_tol)
  return settings.svm_tol


def all_gains(labeled: VideoPool, pool: VideoPool, indices: np.ndarray, held_out: VideoPool,
              settings: stage_wise.Settings, start: svm.SvmParams, *,
              chunk_size: int = 256) -> np.ndarray:
  """`one_step_gains` of the videos `indices` [c] of a pool, in chunks of one size: [c] gains.

  What is shared by the candidates of a chunk is computed once per chunk, so large ones pay.
  """
  measured_on = held_out_lib.prepare(held_out, settings)
  chunk_size = min(chunk_size, bucket(len(indices)))
  parts = []
  for low in range(0, len(indices), chunk_size):
    chunk = np.resize(indices[low:low + chunk_size], chunk_size)  # repeats fill the last chunk
    step = one_step_gains(labeled, take(pool, chunk), measured_on, settings, start)
    parts.append(np.asarray(step.gains)[:len(indices) - low])
  return np.concatenate(parts)
