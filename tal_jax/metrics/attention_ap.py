"""Class-agnostic average precision of the attention module, on the device.

The same metric as `average_precision.detection_map` with every label set to one class, written in
JAX so that LAL's targets and the greedy oracle can have it for a batch of retrained models at once.
(Predictions of equal score may be ordered differently; float32 instead of float64.)

What a segment may hit depends on the data alone, so it is computed once for any number of models
(`match`); a model only says in which order the segments come. All thresholds travel as the bits of
one integer: bit i says something about threshold i.

Notation: v videos, k segments kept per video (best first), t truths, T thresholds, r truths that
one segment may hit, b models.

Source: the paper, Sec. 3.2: the "improvement in localization performance (in practice mean Average
Precision)" of the attention module h_t; ActivityNet's metric, Sec. 4.1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.segments import paired_tiou

# Colab's jax 0.7 has it elsewhere.
_enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64

TIOUS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())


class Matches(NamedTuple):
  """The truths that segments may hit, the preferred one (of largest tIoU) first."""

  truth: chex.Array  # [..., r] int32 index
  reached: chex.Array  # [..., r] int32, bit i: the tIoU reaches threshold i


def match(segments: chex.Array, truths: chex.Array, truth_mask: chex.Array, tious: chex.Array, *,
          most: int | None = None) -> Matches:
  """What every segment of a video may hit.

  Args:
    segments: [..., p, 2] seconds.
    truths: [..., t, 2] seconds.
    truth_mask: [..., t].
    tious: [T] thresholds, at most 31.
    most: r, no fewer than the truths that any segment reaches at any threshold; None means t.

  Returns:
    `Matches` of [..., p, r].
  """
  chex.assert_rank(tious, 1)
  overlaps = paired_tiou(segments[..., :, None, :], truths[..., None, :, :])
  overlaps = jnp.where(truth_mask[..., None, :], overlaps, -1.0)
  best, truth = jax.lax.top_k(overlaps, most or truths.shape[-2])
  bits = jnp.left_shift(1, jnp.arange(tious.shape[0], dtype=jnp.int32))
  return Matches(truth.astype(jnp.int32),
                 jnp.where(best[..., None] >= tious, bits, 0).sum(-1, dtype=jnp.int32))


def true_positives(matches: Matches, mask: chex.Array, *, num_truths: int) -> chex.Array:
  """Which detections are true positives.

  Greedy, in the order given: a detection takes the free truth of largest tIoU, if that reaches the
  threshold.

  Args:
    matches: of [k, r, ...]: the detections of a video, best score first. Behind r stand any
      number of independent cases, such as videos and models.
    mask: [k, ...] True where real.
    num_truths: t, at least one more than any index in `matches.truth`.

  Returns:
    [k, ...] int32, bit i: a true positive at threshold i.
  """
  slots = jnp.arange(num_truths, dtype=jnp.int32).reshape((-1,) + (1,) * (mask.ndim - 1))

  def visit(taken, inputs):  # taken: [t, ...] bits
    found, real = inputs

    def take_next(carry, found):  # one truth after the other, the preferred one first
      taken, left = carry
      mine = slots == found.truth
      hit = found.reached & left & ~jnp.where(mine, taken, 0).sum(0)
      return (taken | jnp.where(mine, hit, 0), left & ~hit), hit

    (taken, _), hits = jax.lax.scan(
        take_next, (taken, jnp.where(real, -1, 0)), found, unroll=min(2, found.truth.shape[0]))
    return taken, hits.sum(0)  # no bit is in two of them

  taken = jnp.zeros((num_truths,) + mask.shape[1:], jnp.int32)
  return jax.lax.scan(visit, taken, (matches, mask))[1]


def average_precision(scores: chex.Array, hits: chex.Array, mask: chex.Array,
                      num_truths: chex.Array, *, num_thresholds: int) -> chex.Array:
  """Interpolated average precision (VOC 2011) of b models at each threshold.

  Args:
    scores: [b, n].
    hits: [b, n] int32, bit i: a true positive at threshold i.
    mask: [b, n].
    num_truths: [].
    num_thresholds: T.

  Returns:
    [T, b]; 0 without truths.
  """
  ranked = _by_score(jnp.where(mask, scores, -jnp.inf), jnp.where(mask, hits, 0), num_thresholds)
  # The two prefix operations along the ranks (how many hits so far, the best precision from here
  # on) run over blocks side by side: `length` steps, each of which is wide.
  b, n = ranked.shape
  length = max(1, math.isqrt(n))
  blocks = -(-n // length)
  ranked = jnp.pad(ranked, ((0, 0), (0, blocks * length - n))).reshape(b, blocks, length)
  ranked = jnp.moveaxis(ranked, -1, 0)  # [length, b, blocks]
  first_rank = 1.0 + length * jnp.arange(blocks, dtype=jnp.float32)
  steps = jnp.arange(length, dtype=jnp.float32)
  bit = jnp.arange(num_thresholds, dtype=jnp.int32)[:, None, None]
  zeros = jnp.zeros((num_thresholds, b, blocks))

  def is_hit(row):  # [b, blocks] -> [T, b, blocks]
    return ((row >> bit) & 1).astype(jnp.float32)

  def count(found, row):
    return found + is_hit(row), None

  def best_in_block(carry, inputs):
    found, best = carry
    row, step = inputs
    found += is_hit(row)
    return (found, jnp.maximum(best, is_hit(row) * found / (first_rank + step))), None

  def add_area(carry, inputs):  # from the last rank to the first
    found, envelope, area = carry
    row, step = inputs
    hit = is_hit(row)
    envelope = jnp.maximum(envelope, hit * found / (first_rank + step))
    return (found - hit, envelope, area + hit * envelope), None

  in_block, _ = jax.lax.scan(count, zeros, ranked)
  before = jnp.cumsum(in_block, axis=-1) - in_block
  (found, best), _ = jax.lax.scan(best_in_block, (before, zeros), (ranked, steps))
  later = jax.lax.cummax(best, axis=2, reverse=True)
  later = jnp.concatenate([later[..., 1:], zeros[..., :1]], -1)  # of the blocks behind
  (_, _, area), _ = jax.lax.scan(add_area, (found, later, zeros), (ranked, steps), reverse=True)
  return area.sum(-1) / jnp.maximum(num_truths, 1)


def _by_score(scores, hits, num_thresholds: int):
  """hits [b, n], those of the largest score first and equal ones in the order given.

  XLA sorts single integers four times as fast as keys with something to carry: score, index and
  hits share one of 64 bits.
  """
  n = scores.shape[1]
  if n > 1 << (32 - num_thresholds):
    return jax.lax.sort((-scores, hits), num_keys=1, is_stable=True)[1]
  bits = jax.lax.bitcast_convert_type(0.0 - scores, jnp.uint32)  # not -scores: -0 is equal to 0
  upper = jnp.where(bits >> 31 > 0, ~bits, bits | jnp.uint32(1 << 31))  # the order of floats
  lower = (jnp.arange(n, dtype=jnp.uint32) << num_thresholds) | hits.astype(jnp.uint32)
  with _enable_x64(True):
    key = (upper.astype(jnp.uint64) << jnp.uint64(32)) | lower.astype(jnp.uint64)
    lower = jax.lax.sort(key, dimension=1, is_stable=False).astype(jnp.uint32)
  return (lower & jnp.uint32((1 << num_thresholds) - 1)).astype(jnp.int32)


def attention_ap(segments: chex.Array, scores: chex.Array, mask: chex.Array, truths: chex.Array,
                 truth_mask: chex.Array, tious=TIOUS) -> chex.Array:
  """Class-agnostic AP of one model's detections, averaged over tIoU thresholds.

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
  matches = match(segments, truths, truth_mask, tious)
  hits = true_positives(jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), matches),
                        jnp.swapaxes(mask, 0, 1), num_truths=truths.shape[1])  # [k, v]
  return average_precision(
      scores.reshape(1, -1), hits.T.reshape(1, -1), mask.reshape(1, -1), truth_mask.sum(),
      num_thresholds=tious.shape[0]).mean()
