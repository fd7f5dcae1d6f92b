"""DAPs: Deep Action Proposals, the network.

Notation: n windows; C chunks of a window, each a unit vector of d features; h units; K anchors; T
the length of a window, seconds. One LSTM reads the chunks, and its last output gives for each
anchor a location [centre, duration] / T in [0, 1] and a confidence in (0, 1).

    i = sigmoid(x W_i + y V_i + p_i c + b_i)      f = sigmoid(x W_f + y V_f + p_f c + b_f)
    c' = f c + i tanh(x W_c + y V_c + b_c)        o = sigmoid(x W_o + y V_o + p_o c' + b_o)
    y' = o tanh(c')

The peepholes p see the old cell, that of the output gate the new one. Gates stand in the order
input, forget, cell, output, as in the published weights.

Source: the paper, Sec. 3.1, takes its proposals from DAPs (Escorcia et al., ECCV 2016); the network
is the one that the published weights belong to. The initial values are read off those weights,
which their training hardly moved: a deviation of 0.1, a forget bias of 5, Glorot's in the heads.
"""

from __future__ import annotations

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

Params = dict[str, Any]  # the arrays of `Daps`, by name

_PRECISION = jax.lax.Precision.HIGHEST


class Daps(nn.Module):
  """Locations and confidences of K anchors in each window."""

  num_anchors: int = 64
  width: int = 256

  @nn.compact
  def __call__(self, chunks: chex.Array) -> tuple[chex.Array, chex.Array]:
    """[n, C, d] chunks, C >= 1 -> locations [n, K, 2] in [0, inf), confidence logits [n, K].

    The location's ReLU is applied, its upper bound of 1 is not: see `segments_of`.
    """
    chex.assert_rank(chunks, 3)
    h, k = self.width, self.num_anchors
    normal = nn.initializers.normal(0.1)
    w_in = self.param("w_in", normal, (chunks.shape[-1], 4 * h))
    w_hidden = self.param("w_hidden", normal, (h, 4 * h))
    bias = self.param("bias", _forget_bias, (4 * h,))
    peepholes = self.param("peepholes", normal, (3, h))
    cell = self.param("cell_init", nn.initializers.zeros, (h,))
    output = self.param("hidden_init", nn.initializers.zeros, (h,))
    start = tuple(jnp.broadcast_to(x, (chunks.shape[0], h)) for x in (cell, output))
    inputs = jnp.matmul(chunks.astype(jnp.float32), w_in, precision=_PRECISION) + bias

    def step(carry, x):
      return lstm_step(carry, x, w_hidden, peepholes), None

    (_, last), _ = jax.lax.scan(step, start, inputs.swapaxes(0, 1))
    glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
    location = jnp.matmul(last, self.param("location_w", glorot, (h, 2 * k)),
                          precision=_PRECISION) + self.param("location_b", zeros, (2 * k,))
    confidence = jnp.matmul(last, self.param("confidence_w", glorot, (h, k)),
                            precision=_PRECISION) + self.param("confidence_b", zeros, (k,))
    return jax.nn.relu(location).reshape(-1, k, 2), confidence


def lstm_step(carry: tuple[chex.Array, chex.Array], x: chex.Array, w_hidden: chex.Array,
              peepholes: chex.Array) -> tuple[chex.Array, chex.Array]:
  """One step: (cell, output) [n, h], gate inputs x [n, 4 h] -> the new (cell, output)."""
  cell, output = carry
  gates = x + jnp.matmul(output, w_hidden, precision=_PRECISION)
  i, f, c, o = jnp.split(gates, 4, axis=-1)
  i = jax.nn.sigmoid(i + peepholes[0] * cell)
  f = jax.nn.sigmoid(f + peepholes[1] * cell)
  cell = f * cell + i * jnp.tanh(c)
  o = jax.nn.sigmoid(o + peepholes[2] * cell)
  return cell, o * jnp.tanh(cell)


def initialize(key: chex.PRNGKey, *, dim: int, width: int, anchors: chex.Array) -> Params:
  """Initial parameters; the location head starts at the anchors [K, 2], whatever the input.

  That start is ours: from zeros the ReLU would have to be led to every anchor first.
  """
  params = Daps(len(anchors), width).init(key, jnp.zeros((1, 1, dim)))["params"]
  return dict(params) | {"location_w": params["location_w"] * 0.0,
                         "location_b": jnp.asarray(anchors, jnp.float32).reshape(-1)}


def apply(params: Params, chunks: chex.Array) -> tuple[chex.Array, chex.Array]:
  """[n, C, d] -> locations [n, K, 2], confidence logits [n, K]; sizes are the parameters'."""
  model = Daps(params["confidence_b"].shape[-1], params["cell_init"].shape[-1])
  return model.apply({"params": params}, chunks)


def segments_of(locations: chex.Array, windows: chex.Array) -> chex.Array:
  """Locations [n, K, 2] in windows [n, 2] seconds -> segments [n, K, 2] seconds.

  Locations are clipped to [0, 1]. A segment may reach over an end of its window.
  """
  length = (windows[:, 1] - windows[:, 0])[:, None]
  centre, duration = jnp.moveaxis(jnp.clip(locations, 0.0, 1.0) * length[..., None], -1, 0)
  centre = centre + windows[:, :1]
  return jnp.stack([centre - 0.5 * duration, centre + 0.5 * duration], axis=-1)


def _forget_bias(key: chex.PRNGKey, shape: tuple[int, ...], dtype=jnp.float32) -> chex.Array:
  del key
  h = shape[0] // 4
  return jnp.zeros(shape, dtype).at[h:2 * h].set(5.0)
