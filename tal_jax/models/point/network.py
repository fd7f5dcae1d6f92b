"""The detector's network: rows to logits and offsets of every point of the pyramid.

Notation: b videos, t rows, d dimensions, w width, c classes, p points of all levels.

    stem      two convolutions, then max-pooling to the first level's stride
    levels    max-pooling, then a block of context
    heads     one for the classes, one for the offsets, shared by the levels

Source: ActionFormer for the heads and the transformer's block (its local attention, here within
four positions of a level), TemporalMaxer for context by max-pooling alone. "conv" is ours: a
residual block of two convolutions a level.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models.networks.layers import Conv, LayerNorm, LocalAttention, masked, max_pool
from tal_jax.models.point.levels import MOST, Levels

CONTEXTS = ("conv", "maxpool", "transformer")
# In strides. From 0 some seeds never leave: behind the ReLU a way that is 0 everywhere has no
# gradient (1 of 16 runs on HAPT of a PyTorch copy of this network, none from 1).
_FIRST_OFFSET = 1.0
_PRIOR_LOGIT = -math.log(0.99 / 0.01)  # every class has probability 0.01 before training


class Points(NamedTuple):
  """What the network says of every point, levels one after the other."""

  logits: chex.Array  # [b, p, c]
  offsets: chex.Array  # [b, p, 2] to start and end, in strides of the level, not negative
  mask: chex.Array  # [b, p]
  features: chex.Array  # [b, p, w] what the class logits are computed from


class Network(nn.Module):
  """All levels up to `levels.MOST` have parameters, so that shapes do not depend on `levels`."""

  num_classes: int
  levels: Levels
  width: int = 64
  context: str = "conv"
  dropout: float = 0.1  # of whole channels, after the stem

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array, *, train: bool = False) -> Points:
    x = masked(x, mask)
    for i in range(2):
      x = Conv(self.width, name=f"stem_{i}")(x)
      x = masked(nn.relu(LayerNorm(name=f"stem_norm_{i}")(x)), mask)
    x = nn.Dropout(self.dropout, broadcast_dims=(1,), deterministic=not train)(x)
    stride = 1
    while stride < self.levels.first:
      x, mask = max_pool(x, mask)
      stride *= 2
    classes = Head(self.num_classes, self.width, _PRIOR_LOGIT, name="classes")
    offsets = Head(2, self.width, _FIRST_OFFSET, name="offsets")
    blocks = [BLOCKS[self.context](name=f"block_{i}") for i in range(MOST)]
    scale = self.param("scale", nn.initializers.ones, (MOST,))
    if self.is_initializing():  # the parameters of the levels that are not in use
      for block in blocks[self.levels.count:]:
        block(x, mask)
    pyramid, masks = [], []
    for i in range(self.levels.count):
      if i:
        x, mask = max_pool(x, mask)
      x = blocks[i](x, mask)
      pyramid.append(x)
      masks.append(mask)
    # The heads see all levels at once, with a masked position between any two.
    lengths = [mask.shape[1] for mask in masks]
    x = jnp.concatenate([jnp.pad(y, ((0, 0), (0, 1), (0, 0))) for y in pyramid], axis=1)
    mask = jnp.concatenate([jnp.pad(m, ((0, 0), (0, 1))) for m in masks], axis=1)
    level = np.repeat(np.arange(self.levels.count), np.add(lengths, 1))
    logits, features = classes(x, mask)
    ways, _ = offsets(x, mask)
    points = Points(logits, nn.relu(scale[level][:, None] * ways), mask, features)
    real = np.delete(np.arange(len(level)), np.cumsum(np.add(lengths, 1)) - 1)
    return jax.tree.map(lambda leaf: leaf[:, real], points)


class Head(nn.Module):
  """Two convolutions with LayerNorm and ReLU, then one to the outputs; also the features."""

  outputs: int
  width: int
  bias: float = 0.0

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> tuple[chex.Array, chex.Array]:
    for i in range(2):
      x = Conv(self.width, name=f"conv_{i}")(x)
      x = masked(nn.relu(LayerNorm(name=f"norm_{i}")(x)), mask)
    return Conv(self.outputs, bias_init=nn.initializers.constant(self.bias), name="out")(x), x


class ConvBlock(nn.Module):
  """x + conv1(relu(conv3(norm(x))))."""

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> chex.Array:
    width = x.shape[-1]
    y = masked(LayerNorm(name="norm")(x), mask)
    y = nn.relu(Conv(width, name="conv_0")(y))
    return masked(x + Conv(width, size=1, name="conv_1")(y), mask)


class MaxPoolBlock(nn.Module):
  """Nothing: the pooling between the levels is all the context (TemporalMaxer)."""

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> chex.Array:
    return x


class TransformerBlock(nn.Module):
  """Pre-norm local attention, then a pre-norm perceptron of four times the width (ActionFormer)."""

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> chex.Array:
    width = x.shape[-1]
    y = masked(LayerNorm(name="attention_norm")(x), mask)
    x = x + LocalAttention(name="attention")(y, mask)
    y = Conv(4 * width, size=1, name="mlp_0")(LayerNorm(name="mlp_norm")(x))
    y = Conv(width, size=1, name="mlp_1")(jax.nn.gelu(y, approximate=False))
    return masked(x + y, mask)


BLOCKS = {"conv": ConvBlock, "maxpool": MaxPoolBlock, "transformer": TransformerBlock}


def reach(levels: Levels, context: str) -> int:
  """How many rows on either side of a point its outputs can depend on, at most."""
  near = {"conv": 1, "maxpool": 0, "transformer": 5}[context]
  total, stride = 2, 1  # the stem
  while stride < levels.first:
    total, stride = total + stride, stride * 2
  for i, s in enumerate(levels.strides):
    total += near * s + (levels.strides[i - 1] if i else 0)
  return total + 3 * levels.strides[-1]  # the heads
