"""The action classifier: one dense layer and a softmax.

Notation: x: [n, d] features; labels: [n] class index; W: [d, k]; b: [k].

    L(W, b) = |W|^2 / 2 + c sum_i cross_entropy(softmax(x_i W + b), label_i)

Source: the paper, Sec. 3.1 ("a fully-connected layer and a soft-max classifier"). The optimiser and
the regulariser are ours: L is convex, and scikit-learn's LogisticRegression minimises the same.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

_BIAS_RADIUS = 10.0  # r of the certificate


class ClassifierParams(NamedTuple):
  w: chex.Array  # [d, k] float32
  b: chex.Array  # [k] float32


class ClassifierInfo(NamedTuple):
  """How a fit ended.

  |W|^2 / 2 is 1-strongly convex and the rest of L convex. So, with the gradient (g_W, g_b) of L,

      L(W, b) - L(W', b') <= |g_W|^2 / 2 + r |g_b|_1   for all W' and all b' with |b' - b|_inf <= r

  and `relative_gap` is this bound over L(W, b), for r = 10. It can be far above the truth: it takes
  the curvature to be 1 in every direction. Where g_b = 0 it is the duality gap at the dual point
  c (onehot - softmax).
  """

  objective: chex.Array  # [] float32, L / (1 + c n)
  gradient_norm: chex.Array  # [] float32, of the same
  num_iters: chex.Array  # [] int32
  relative_gap: chex.Array  # [] float32, at most this share of L could still be saved


def init(dim: int, num_classes: int) -> ClassifierParams:
  """Zeros: the uniform classifier."""
  return ClassifierParams(jnp.zeros((dim, num_classes)), jnp.zeros(num_classes))


def logits(params: ClassifierParams, x: chex.Array) -> chex.Array:
  """[..., d] -> [..., k]."""
  return jnp.matmul(x.astype(jnp.float32), params.w,
                    precision=jax.lax.Precision.HIGHEST) + params.b


def probability(params: ClassifierParams, x: chex.Array) -> chex.Array:
  """softmax(x W + b): [..., d] -> [..., k]."""
  return jax.nn.softmax(logits(params, x), axis=-1)


@functools.partial(jax.jit, static_argnames=("num_classes", "max_iters"))
def fit(x: chex.Array, labels: chex.Array, mask: chex.Array | None = None, *, num_classes: int,
        c: float = 1.0, tol: float = 1e-4, max_iters: int = 100,
        start: ClassifierParams | None = None) -> tuple[ClassifierParams, ClassifierInfo]:
  """Minimises L with optax's L-BFGS.

  A class without a sample is no error: its column of W stays at what the other classes push it to,
  and its probability is low everywhere. With no rows at all the result is the uniform classifier.

  Args:
    x: [n, d] features.
    labels: [n] int, in [0, num_classes).
    mask: [n], True where real; None means all.
    num_classes: k.
    c: weight of one row's loss, > 0.
    tol: norm of the gradient of L / (1 + c n) at which to stop.
    max_iters: bound on iterations.
    start: where to start, for instance the classifier of a smaller labelled set.
  """
  chex.assert_rank([x, labels], [2, 1])
  real = jnp.ones(labels.shape) if mask is None else mask.astype(jnp.float32)
  # Not x * real: what is in a masked row may be NaN, or no class.
  x = jnp.where(real[:, None] > 0, x.astype(jnp.float32), 0.0)
  labels = jnp.where(real > 0, labels, 0)
  scale = 1.0 / (1.0 + c * real.sum())

  def loss(params):
    entropies = optax.softmax_cross_entropy_with_integer_labels(logits(params, x), labels)
    return scale * (0.5 * (params.w**2).sum() + c * (real * entropies).sum())

  solver = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss)

  def body(carry):
    i, params, state = carry
    value, grad = value_and_grad(params, state=state)
    updates, state = solver.update(grad, state, params, value=value, grad=grad, value_fn=loss)
    return i + 1, optax.apply_updates(params, updates), state

  def unfinished(carry):
    i, _, state = carry
    grad = optax.tree.get(state, "grad")
    return (i == 0) | ((i < max_iters) & (optax.tree.norm(grad) > tol))

  params = init(x.shape[1], num_classes) if start is None else start
  iters, params, state = jax.lax.while_loop(unfinished, body, (0, params, solver.init(params)))
  value, grad = optax.tree.get(state, "value"), optax.tree.get(state, "grad")  # of scale L
  gap = 0.5 * (grad.w**2).sum() / scale + _BIAS_RADIUS * jnp.abs(grad.b).sum()
  return params, ClassifierInfo(value, optax.tree.norm(grad), iters,
                                gap / jnp.where(value > 0, value, 1.0))
