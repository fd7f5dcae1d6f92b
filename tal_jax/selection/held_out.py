"""Held-out videos, made ready to measure the attention AP of many models on.

What does not depend on a model is computed once: the features in float32, which proposals suppress
which, and which truths a proposal may hit at which threshold. What is left per model is a product
with the features, the top-k of every video, the greedy matching, and one sort.

Notation: v videos, p proposals, q the next multiple of 32, d dimensions, k segments kept per
video, r truths that one proposal may hit, b models. A set of a video's proposals is a row of
q / 32 words, proposal i being bit i mod 32 of word i div 32. In the arrays of the program the
models stand last: every step is the same arithmetic over [v, b].
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from tal_jax.metrics import attention_ap
from tal_jax.models import stage_wise, svm
from tal_jax.models.svm.problem import PRECISION
from tal_jax.pool import VideoPool
from tal_jax.segments import paired_tiou
from tal_jax.sizes import bucket

_WORD = 32


class HeldOut(NamedTuple):
  features: chex.Array  # [v, p, d] float32
  real: chex.Array  # [v, q / 32] uint32, the set of real proposals
  suppresses: chex.Array  # [v, q, q / 32] uint32, the set that goes when a proposal is kept
  matches: attention_ap.Matches  # of [v, q, r]
  truth_mask: chex.Array  # [v, t] bool


def prepare(pool: VideoPool, settings: stage_wise.Settings) -> HeldOut:
  """Computes all that does not depend on the model; features take 4 v p d bytes."""
  tious = jnp.asarray(attention_ap.TIOUS, jnp.float32)
  # The number of truths in reach is a shape: one of a short series keeps the programs the same.
  most = min(bucket(int(_most_in_reach(pool, tious)), smallest=2),
             pool.truth_mask.shape[1])
  return _prepare(pool, tious, settings, most)


@jax.jit
def _most_in_reach(pool: VideoPool, tious: chex.Array) -> chex.Array:
  """The largest number of truths that one proposal reaches at the lowest threshold."""
  overlaps = paired_tiou(pool.segments[:, :, None], pool.truths[:, None])
  return ((overlaps >= tious.min()) & pool.truth_mask[:, None]).sum(-1).max(initial=0)


@functools.partial(jax.jit, static_argnames=("settings", "most"))
def _prepare(pool, tious, settings, most) -> HeldOut:
  q = -(-pool.segments.shape[1] // _WORD) * _WORD
  segments = jnp.pad(pool.segments, ((0, 0), (0, q - pool.segments.shape[1]), (0, 0)))
  real = jnp.pad(pool.proposal_mask, ((0, 0), (0, q - pool.segments.shape[1])))

  def suppressed(segments):  # [q, 2] -> [q, q / 32]; itself, too: it is not kept twice
    overlaps = paired_tiou(segments[:, None], segments[None])
    return _as_words((overlaps > settings.nms_threshold) | jnp.eye(q, dtype=bool))

  return HeldOut(
      pool.features.astype(jnp.float32), _as_words(real), jax.lax.map(suppressed, segments),
      attention_ap.match(segments, pool.truths, pool.truth_mask, tious, most=most),
      pool.truth_mask)


def _as_words(members: chex.Array) -> chex.Array:
  """[..., q] bool -> [..., q / 32] uint32."""
  bits = jnp.left_shift(jnp.uint32(1), jnp.arange(_WORD, dtype=jnp.uint32))
  return jnp.where(members.reshape(*members.shape[:-1], -1, _WORD), bits, jnp.uint32(0)).sum(
      -1, dtype=jnp.uint32)


@functools.partial(jax.jit, static_argnames="settings")
def average_precisions(params: svm.SvmParams, held_out: HeldOut,
                       settings: stage_wise.Settings) -> chex.Array:
  """Class-agnostic AP of each of b attention SVMs: [b].

  Equal to `stage_wise.attend` and `attention_ap.attention_ap` of one after the other. One program;
  needs 4 v q b bytes.

  Args:
    params: w [b, d], b [b].
    held_out: of `prepare`, with the same settings.
    settings: `top_k` and `nms_threshold` are used.
  """
  chex.assert_rank([params.w, params.b], [2, 1])
  decisions = jnp.einsum("vpd,bd->vpb", held_out.features, params.w, precision=PRECISION)
  indices, kept, scores = _attend(decisions + params.b, held_out, settings.top_k)
  video = jnp.arange(indices.shape[1], dtype=jnp.int32)[:, None]
  matches = jax.tree.map(lambda leaf: jnp.stack(
      [leaf[..., r][video, indices] for r in range(leaf.shape[-1])], 1), held_out.matches)
  hits = attention_ap.true_positives(matches, kept, num_truths=held_out.truth_mask.shape[1])

  def per_model(leaf):  # [k, v, b] -> [b, v k]
    return leaf.transpose(2, 1, 0).reshape(leaf.shape[2], -1)

  return attention_ap.average_precision(
      per_model(scores), per_model(hits), per_model(kept), held_out.truth_mask.sum(),
      num_thresholds=len(attention_ap.TIOUS)).mean(0)


def _attend(decisions, held_out: HeldOut, top_k: int):
  """`stage_wise.attend` for all models: [v, p, b] -> indices, kept, scores, each [k, v, b]."""
  v, p, b = decisions.shape
  words = held_out.real.shape[1]
  decisions = jnp.pad(decisions, ((0, 0), (0, words * _WORD - p), (0, 0)))
  decisions = decisions.reshape(v, words, _WORD, b)
  shifts = jnp.arange(_WORD, dtype=jnp.uint32)[:, None]
  names = jnp.arange(words * _WORD, dtype=jnp.int32).reshape(words, _WORD, 1)
  video = jnp.arange(v, dtype=jnp.int32)[:, None]

  def pick(alive, _):  # alive: [v, q / 32, b]
    is_alive = (alive[:, :, None] >> shifts) & 1 > 0
    best = jnp.where(is_alive, decisions, -jnp.inf).max((1, 2))
    # Two reductions instead of an argmax, which XLA does not vectorise on a CPU.
    is_best = is_alive & (decisions == best[:, None, None])
    index = jnp.where(is_best, names, words * _WORD).min((1, 2))
    kept = index < words * _WORD
    index = jnp.where(kept, index, 0)
    gone = jnp.stack([held_out.suppresses[..., j][video, index] for j in range(words)], 1)
    return alive & ~gone, (index, kept, best)

  alive = jnp.broadcast_to(held_out.real[..., None], (v, words, b))
  return jax.lax.scan(pick, alive, None, length=top_k)[1]
