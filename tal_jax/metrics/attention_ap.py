"""Class-agnostic average precision of the attention module, on the device.

The same metric as `average_precision.detection_map` with every label set to one class, written in
JAX so that LAL's targets and the greedy oracle can have it for a batch of retrained models at once.
(Predictions of equal score may be ordered differently; float32 instead of float64.)

Notation: v videos, k segments kept per video (best first), t truths, T thresholds.

Source: the paper, Sec. 3.2: the "improvement in localization performance (in practice mean Average
Precision)" of the attention module h_t; ActivityNet's metric, Sec. 4.1.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.segments import paired_tiou

TIOUS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())


def true_positives(segments: chex.Array, mask: chex.Array, truths: chex.Array,
                   truth_mask: chex.Array, tious: chex.Array) -> chex.Array:
  """Which of one video's detections are true positives at each threshold.

  Greedy, in the order given: a detection takes the free truth of largest tIoU, if that reaches the
  threshold.

  Args:
    segments: [k, 2] seconds, best score first.
    mask: [k].
    truths: [t, 2] seconds.
    truth_mask: [t].
    tious: [T].

  Returns:
    [k, T] boolean.
  """
  overlaps = jnp.where(truth_mask, paired_tiou(segments[:, None], truths[None]), -1.0)  # [k, t]

  def match(taken, inputs):  # taken: [t, T]
    overlap, real = inputs
    free = jnp.where(taken, -1.0, overlap[:, None])
    best = free.argmax(0)
    hit = real & (free.max(0) >= tious)
    return taken | (hit & (jnp.arange(overlap.shape[0])[:, None] == best)), hit

  taken = jnp.zeros((truths.shape[0], tious.shape[0]), bool)
  return jax.lax.scan(match, taken, (overlaps, mask))[1]


def average_precision(scores: chex.Array, hits: chex.Array, mask: chex.Array,
                      num_truths: chex.Array) -> chex.Array:
  """Interpolated average precision (VOC 2011) at each threshold.

  Args:
    scores: [n].
    hits: [n, T] boolean.
    mask: [n].
    num_truths: [].

  Returns:
    [T]; 0 without truths.
  """
  order = jnp.argsort(jnp.where(mask, -scores, jnp.inf), stable=True)
  hits, mask = (hits & mask[:, None])[order], mask[order]
  found = jnp.cumsum(hits.astype(jnp.float32), axis=0)
  precision = found / jnp.maximum(jnp.cumsum(mask.astype(jnp.float32)), 1.0)[:, None]
  envelope = jax.lax.cummax(precision, axis=0, reverse=True)
  return (envelope * hits).sum(0) / jnp.maximum(num_truths, 1)


def attention_ap(segments: chex.Array, scores: chex.Array, mask: chex.Array, truths: chex.Array,
                 truth_mask: chex.Array, tious=TIOUS) -> chex.Array:
  """Class-agnostic AP averaged over tIoU thresholds.

  Args:
    segments: [v, k, 2] seconds, best score of each video first.
    scores: [v, k].
    mask: [v, k].
    truths: [v, t, 2] seconds.
    truth_mask: [v, t].
    tious: [T] thresholds.

  Returns:
    [] in [0, 1].
  """
  tious = jnp.asarray(tious, jnp.float32)
  hits = jax.vmap(true_positives, in_axes=(0, 0, 0, 0, None))(
      segments, mask, truths, truth_mask, tious)
  return average_precision(scores.ravel(), hits.reshape(-1, tious.shape[0]), mask.ravel(),
                           truth_mask.sum()).mean()
