"""Inception V3, up to pool3: the paper's frame encoder (Sec. 3.1).

    [b, 299, 299, 3] -> Mixed_7c [b, 8, 8, 2048] -> mean: [b, 2048]

What goes around as "Inception V3" are several networks. `Variant` holds all in which they differ,
and `VARIANTS` those that `inception_weights` reads:

| | torchvision | Keras | SSN (Caffe style) |
|---|---|---|---|
| pixels | RGB in [-1, 1] | RGB in [-1, 1] | BGR less (104, 117, 128) |
| shorter side, crop | 342, 299 | 299, 299 | 341, 299 |
| pairs 1x7, 7x1 (and 1x3, 3x1) | 1x7 first | 1x7 first | 7x1 first: the transpose |
| average pooling at the border | counts the padding | does not | counts the padding |
| pooling in the last block | average | average | maximum |
| epsilon of batch normalisation | 1e-3 | 1e-3 | 1e-5 |

torchvision's own normalisation is undone inside its network (`transform_input`), which leaves
[-1, 1].

The paper trained on Kinetics with weights that were not published; at which rate it takes frames it
does not say: 5 a second is ours.

Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from tal_jax.data.records import TimeGrid
from tal_jax.encoders.convolution import Conv, max_pool

DIM = 2048
GRID = TimeGrid(fps=5.0, stride=1.0, window=1.0)
_POOL = (3, 3)


class Variant(NamedTuple):
  """In what the published networks differ."""

  name: str
  bgr: bool  # order of the channels
  mean: tuple[float, float, float]  # of a pixel in 0..255, in that order
  scale: float  # input = (pixel - mean) * scale
  resize: int  # shorter side before the crop, pixels
  size: int  # crop, pixels
  tall_first: bool  # 7x1 before 1x7
  count_padding: bool  # average pooling divides by 9 also at the border
  last_pool: str  # in Mixed_7c: "avg" or "max"
  epsilon: float  # of batch normalisation; used when weights are converted


_CENTRE = (127.5, 127.5, 127.5)
VARIANTS = {variant.name: variant for variant in (
    Variant("torchvision", False, _CENTRE, 1 / 127.5, 342, 299, False, True, "avg", 1e-3),
    Variant("keras", False, _CENTRE, 1 / 127.5, 299, 299, False, False, "avg", 1e-3),
    Variant("ssn", True, (104.0, 117.0, 128.0), 1.0, 341, 299, True, True, "max", 1e-5),
)}


class InceptionV3(nn.Module):
  """The network; the names of its layers are torchvision's, with _ for the dot."""

  variant: Variant

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Normalised pixels [b, h, w, 3] -> [b, 2048]; h, w >= 75."""
    chex.assert_rank(x, 4)
    x = Conv(32, (3, 3), stride=2, padding="VALID", name="Conv2d_1a_3x3")(x)
    x = Conv(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
    x = Conv(64, (3, 3), name="Conv2d_2b_3x3")(x)
    x = max_pool(x, _POOL, (2, 2), "VALID")
    x = Conv(80, (1, 1), padding="VALID", name="Conv2d_3b_1x1")(x)
    x = Conv(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
    x = max_pool(x, _POOL, (2, 2), "VALID")
    for name, features in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
      x = self._block_a(name, x, features)
    x = self._block_b("Mixed_6a", x)
    for name, features in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160),
                           ("Mixed_6e", 192)):
      x = self._block_c(name, x, features)
    x = self._block_d("Mixed_7a", x)
    x = self._block_e("Mixed_7b", x, "avg")
    x = self._block_e("Mixed_7c", x, self.variant.last_pool)
    return x.mean(axis=(1, 2))

  def _chain(self, name, x, *layers):
    """Convolutions in a row, each (features, kernel[, options]), numbered in their names."""
    for index, (features, kernel, *options) in enumerate(layers, start=1):
      kernel = (kernel, kernel) if isinstance(kernel, int) else self._kernel(kernel)
      numbered = f"{name}_{index}" if len(layers) > 1 else name
      x = Conv(features, kernel, name=numbered, **dict(*options))(x)
    return x

  def _kernel(self, kernel):
    return kernel[::-1] if self.variant.tall_first else kernel

  def _pool_branch(self, name, x, features, kind="avg"):
    pooled = (max_pool(x, _POOL, (1, 1)) if kind == "max"
              else average_pool(x, count_padding=self.variant.count_padding))
    return self._chain(f"{name}_branch_pool", pooled, (features, 1))

  def _block_a(self, name, x, pool_features):
    return jnp.concatenate([
        self._chain(f"{name}_branch1x1", x, (64, 1)),
        self._chain(f"{name}_branch5x5", x, (48, 1), (64, 5)),
        self._chain(f"{name}_branch3x3dbl", x, (64, 1), (96, 3), (96, 3)),
        self._pool_branch(name, x, pool_features)], axis=-1)

  def _block_b(self, name, x):
    return jnp.concatenate([
        self._chain(f"{name}_branch3x3", x, (384, 3, _HALVE)),
        self._chain(f"{name}_branch3x3dbl", x, (64, 1), (96, 3), (96, 3, _HALVE)),
        max_pool(x, _POOL, (2, 2), "VALID")], axis=-1)

  def _block_c(self, name, x, features):
    wide, tall = (1, 7), (7, 1)
    return jnp.concatenate([
        self._chain(f"{name}_branch1x1", x, (192, 1)),
        self._chain(f"{name}_branch7x7", x, (features, 1), (features, wide), (192, tall)),
        self._chain(f"{name}_branch7x7dbl", x, (features, 1), (features, tall), (features, wide),
                    (features, tall), (192, wide)),
        self._pool_branch(name, x, 192)], axis=-1)

  def _block_d(self, name, x):
    return jnp.concatenate([
        self._chain(f"{name}_branch3x3", x, (192, 1), (320, 3, _HALVE)),
        self._chain(f"{name}_branch7x7x3", x, (192, 1), (192, (1, 7)), (192, (7, 1)),
                    (192, 3, _HALVE)),
        max_pool(x, _POOL, (2, 2), "VALID")], axis=-1)

  def _block_e(self, name, x, pool):
    def fork(branch, x, number):
      return [Conv(384, self._kernel(kernel), name=f"{name}_{branch}_{number}{letter}")(x)
              for letter, kernel in (("a", (1, 3)), ("b", (3, 1)))]

    middle = self._chain(f"{name}_branch3x3_1", x, (384, 1))
    double = self._chain(f"{name}_branch3x3dbl", x, (448, 1), (384, 3))
    return jnp.concatenate([
        self._chain(f"{name}_branch1x1", x, (320, 1)),
        *fork("branch3x3", middle, 2), *fork("branch3x3dbl", double, 3),
        self._pool_branch(name, x, 192, pool)], axis=-1)


_HALVE = {"stride": 2, "padding": "VALID"}


def average_pool(x: chex.Array, *, count_padding: bool) -> chex.Array:
  """Means of 3 x 3 with stride 1: [b, h, w, c] -> [b, h, w, c].

  The counts at the border are made here with NumPy: XLA folds a pooling of ones for minutes.
  """
  height, width = x.shape[1:3]
  padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  rows = sum(padded[:, i:i + height] for i in range(3))
  total = sum(rows[:, :, i:i + width] for i in range(3))
  if count_padding:
    return total / 9.0
  counts = np.outer(*(np.minimum(np.arange(side) + 2, side) - np.maximum(np.arange(side) - 1, 0)
                      for side in (height, width)))
  return total / counts[:, :, None].astype(np.float32)


def normalise(frames: chex.Array, variant: Variant) -> chex.Array:
  """uint8 RGB -> what the network was trained on."""
  if variant.bgr:
    frames = frames[..., ::-1]
  return (frames - jnp.asarray(variant.mean)) * variant.scale


def apply(variant: Variant, params: Any, frames: chex.Array) -> chex.Array:
  """uint8 RGB [b, window, size, size, 3] -> mean over the window of the features, [b, 2048]."""
  b, window = frames.shape[:2]
  x = normalise(frames.reshape(b * window, *frames.shape[2:]), variant)
  return InceptionV3(variant).apply({"params": params}, x).reshape(b, window, DIM).mean(axis=1)
