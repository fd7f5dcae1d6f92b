"""The second stage: from the attention of a proposal and its neighbours to whether it is an action.

Notation: p proposals of a video; d: [p] the attention, in standard deviations over the pool; o_ij:
tIoU; l: log of the duration in seconds; q: K numbers of each proposal.

    q = (d; d minus what its neighbours have; the video's level; duration; class)
    z = q~ w + b                     q~ standardised
    mean over rows of cross_entropy(sigmoid(z), target) + decay |w|^2
    target = clip((o - .6) / .3, 0, 1)         o: the largest tIoU with a truth

The attention sees one proposal at a time: a part of an action looks to it like the whole. What
tells them apart is which of several overlapping proposals has most, and its length. The features d
and class probabilities of the rows trained on should come from models that have not seen their
video ("out-of-fold"), or they look better here than they will be.

Source: ours; stacked generalisation is Wolpert's (1992). The paper (Sec. 3.1) has no second stage.
"""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import segments as seg
from tal_jax.models.svm.problem import PRECISION

MEAN_TIOUS = (0.3, 0.5, 0.7)  # d minus the mean over proposals above each
MAX_TIOU = 0.3  # d minus the maximum over proposals above it
COVERED, LONGER, LONGEST = 0.9, 1.15, 3.0  # j contains i: covers 90 %, 1.15 to 3 times as long
TOP = 20  # proposals whose mean is the video's level
QUANTILES = tuple(np.linspace(0.05, 0.95, 6).round(2).tolist())  # of the pool's log durations
_SHORTEST = 1e-3  # seconds, so that the logarithm is finite
_TINY = 1e-9  # seconds, a union of two segments without length
_BIAS_DECAY = 1e-6  # keeps b finite where all targets are 0, or 1
_NUM_HALVINGS = 12

# The numbers, by the group that can be left out.
GROUPS = {"attention": 1, "neighbours": len(MEAN_TIOUS) + 5, "video": 2,
          "duration": 2 + len(QUANTILES), "classes": 2}
NUM_NUMBERS = sum(GROUPS.values())


class SecondStageParams(NamedTuple):
  quantiles: chex.Array  # [6] of the pool's log durations
  mean: chex.Array  # [K] of the numbers
  scale: chex.Array  # [K]
  w: chex.Array  # [K]
  b: chex.Array  # []


def init() -> SecondStageParams:
  """Before any label: z = 0 everywhere."""
  return SecondStageParams(jnp.zeros(len(QUANTILES)), jnp.zeros(NUM_NUMBERS),
                           jnp.ones(NUM_NUMBERS), jnp.zeros(NUM_NUMBERS), jnp.zeros(()))


def log_durations(segments: chex.Array) -> chex.Array:
  """l of segments [..., 2] in seconds: [...]."""
  return jnp.log(jnp.maximum(seg.length(segments), _SHORTEST))


def duration_quantiles(segments: chex.Array, mask: chex.Array) -> chex.Array:
  """The quantiles of l over the proposals of a pool [v, p, 2], [v, p]: [6]; 0 without any."""
  values = jnp.nanquantile(jnp.where(mask, log_durations(segments), jnp.nan),
                           jnp.asarray(QUANTILES))
  return jnp.where(mask.any(), values, 0.0)


def class_numbers(probabilities: chex.Array) -> tuple[chex.Array, chex.Array]:
  """Log of the highest probability, and the entropy in nats: [..., c] -> [...], [...]."""
  logs = jnp.log(jnp.maximum(probabilities, 1e-30))
  return logs.max(-1), -(probabilities * logs).sum(-1)


def numbers(d: chex.Array, top: chex.Array, entropy: chex.Array, segments: chex.Array,
            mask: chex.Array, quantiles: chex.Array) -> chex.Array:
  """q of every proposal of one video, in the order of `GROUPS`.

  A proposal that nothing overlaps, contains or lies in has d itself there: a difference of 0.

  Args:
    d: [p] attention.
    top, entropy: [p], of `class_numbers`.
    segments: [p, 2] seconds.
    mask: [p] bool, True where real.
    quantiles: [6], of `duration_quantiles`.

  Returns:
    [p, K]; 0 where padded.
  """
  real = mask.astype(jnp.float32)
  d = jnp.where(mask, d, 0.0)
  # [j, i]: what j is to i. These are what this stage costs, p^2 each. Sums are products of (d, 1),
  # which are 0 where padded, with a matrix of weights: twice as fast on a CPU as reductions.
  start, end = segments[:, 0], segments[:, 1]
  length = seg.length(segments)
  shared = jnp.maximum(jnp.minimum(end[:, None], end) - jnp.maximum(start[:, None], start), 0.0)
  overlap = shared / jnp.maximum(length[:, None] + length - shared, _TINY)
  container = _contains(shared, length[None], length[:, None])
  content = _contains(shared, length[:, None], length[None])
  sums, candidates = jnp.stack([d, real]), jnp.where(mask, d, -jnp.inf)[:, None]

  def above_mean(weights):
    total, weight = jnp.matmul(sums, weights, precision=PRECISION)
    return jnp.where(weight > 0, d - total / jnp.where(weight > 0, weight, 1.0), 0.0)

  def above_max(among):
    most = jnp.where(among, candidates, -jnp.inf).max(0)
    return jnp.where(jnp.isfinite(most), d - most, 0.0)

  count = jnp.maximum(real.sum(), 1.0)
  best, _ = jax.lax.top_k(jnp.where(mask, d, -jnp.inf), min(TOP, d.shape[0]))
  found = jnp.isfinite(best)
  level = jnp.where(found, best, 0.0).sum() / jnp.maximum(found.sum(), 1)
  l = log_durations(segments)
  columns = [d]
  columns += [above_mean(jnp.where(overlap > t, overlap, 0.0)) for t in MEAN_TIOUS]
  columns += [above_max(container), above_mean(container.astype(jnp.float32)),
              above_max(content), above_mean(content.astype(jnp.float32)),
              above_max(overlap > MAX_TIOU)]
  columns += [jnp.broadcast_to(d.sum() / count, d.shape), jnp.broadcast_to(level, d.shape)]
  columns += [l, l**2, *(jnp.maximum(0.0, l - q) for q in quantiles)]
  columns += [top, entropy]
  return jnp.where(mask[:, None], jnp.stack(columns, -1), 0.0)


def _contains(shared, part, whole):
  """Whether one segment lies in another, by what they share and their lengths, in seconds."""
  return ((shared >= COVERED * part) & (whole >= LONGER * part) & (whole <= LONGEST * part)
          & (part > 0))


def wanted(groups: tuple[str, ...]) -> np.ndarray:
  """Which numbers belong to the groups: [K] bool.

  Raises:
    ValueError: a group that does not exist.
  """
  unknown = sorted(set(groups) - set(GROUPS))
  if unknown:
    raise ValueError(f"the second stage has no numbers {', '.join(unknown)}: there are "
                     f"{', '.join(GROUPS)}")
  return np.concatenate([np.full(size, name in groups) for name, size in GROUPS.items()])


def logits(params: SecondStageParams, q: chex.Array) -> chex.Array:
  """z of numbers [..., K]: [...]."""
  scaled = (q - params.mean) / params.scale
  return jnp.matmul(scaled, params.w, precision=PRECISION) + params.b


def targets(overlaps: chex.Array) -> chex.Array:
  """Soft targets of largest tIoUs, elementwise: 0 up to .6, 1 from .9."""
  return jnp.clip((overlaps - 0.6) / 0.3, 0.0, 1.0)


def fit(q: chex.Array, target: chex.Array, mask: chex.Array, quantiles: chex.Array,
        use: chex.Array, *, decay: float = 1e-3, num_iters: int = 50,
        tol: float = 1e-6) -> tuple[SecondStageParams, chex.Array]:
  """Fits w and b by Newton's method.

  The loss is strictly convex. A number that does not vary over the rows has weight 0, as has one
  not to be used. Without any row the result is z = 0.

  Args:
    q: [n, K].
    target: [n] in [0, 1].
    mask: [n] bool, True where real.
    quantiles: [6], kept with the parameters.
    use: [K] bool, which numbers to use.
    decay: weight of |w|^2 against the mean loss.
    num_iters: bound on Newton steps.
    tol: largest change of a weight at which to stop.

  Returns:
    SecondStageParams, and the loss at them.
  """
  real = mask.astype(jnp.float32)
  count = jnp.maximum(real.sum(), 1.0)
  q = jnp.where(mask[:, None], q, 0.0)
  target = jnp.where(mask, target, 0.0)
  mean = (real[:, None] * q).sum(0) / count
  centred = real[:, None] * (q - mean)
  deviation = jnp.sqrt((centred**2).sum(0) / count)
  # Equal numbers differ from their mean by rounding, which must not be taken for a signal.
  varies = use & (deviation > 1e-5 * (jnp.abs(mean) + 1e-3))
  scale = jnp.where(varies, deviation, 1.0)
  x = jnp.where(varies, centred / scale, 0.0)
  x = jnp.concatenate([x, real[:, None]], 1)
  ridge = jnp.append(jnp.full(q.shape[1], decay), _BIAS_DECAY)

  def loss(theta):
    f = jnp.matmul(x, theta, precision=PRECISION)
    return (real * (jax.nn.softplus(f) - target * f)).sum() / count + (ridge * theta**2).sum()

  def newton(carry):
    i, theta, value, _ = carry
    p = jax.nn.sigmoid(jnp.matmul(x, theta, precision=PRECISION))
    gradient = jnp.matmul(real * (p - target), x, precision=PRECISION) / count + 2 * ridge * theta
    weights = real * p * (1.0 - p) / count
    hessian = jnp.matmul((x * weights[:, None]).T, x, precision=PRECISION)
    step = -jnp.linalg.solve(hessian + 2 * jnp.diag(ridge), gradient)

    def good(size, trial):
      return trial <= value + 1e-4 * size * (gradient @ step) + 1e-7

    _, size, trial = jax.lax.while_loop(
        lambda c: (c[0] < _NUM_HALVINGS) & ~good(c[1], c[2]),
        lambda c: (c[0] + 1, 0.5 * c[1], loss(theta + 0.5 * c[1] * step)),
        (0, jnp.ones(()), loss(theta + step)))
    accepted = good(size, trial)
    size = jnp.where(accepted, size, 0.0)
    return (i + 1, theta + size * step, jnp.where(accepted, trial, value),
            jnp.abs(size * step).max())

  share = jnp.clip((real * target).sum() / count, 1e-4, 1.0 - 1e-4)
  begin = jnp.zeros(x.shape[1]).at[-1].set(jnp.where(mask.any(), jnp.log(share / (1 - share)), 0.0))
  _, theta, value, _ = jax.lax.while_loop(
      lambda c: (c[0] < num_iters) & (c[3] > tol), newton, (0, begin, loss(begin), jnp.inf))
  return SecondStageParams(quantiles, mean, scale, jnp.where(varies, theta[:-1], 0.0),
                           theta[-1]), value
