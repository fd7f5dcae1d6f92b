"""The layer of both networks: convolution, bias, ReLU; and max pooling over any axes.

The networks are frozen, so batch normalisation is folded into kernel and bias when weights are
converted: gamma (K x + b - mean) / sqrt(var + eps) + beta = K' x + b'.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.errors import DataError


class Conv(nn.Module):
  """relu(conv(x, kernel) + bias) in two (height, width) or three (time first) dimensions."""

  features: int
  kernel: tuple[int, ...]
  stride: int = 1  # along every axis
  padding: str = "SAME"

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """[b, (time,) h, w, channels] -> [b, (t',) h', w', features]."""
    shape = (*self.kernel, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    convolve = _convolve_time if len(self.kernel) == 3 else _convolve_space
    return nn.relu(convolve(x, kernel, self.stride, self.padding) + bias)


def fold(kernel: np.ndarray, *, mean: np.ndarray, var: np.ndarray, beta: np.ndarray,
         epsilon: float, gamma: np.ndarray | float = 1.0,
         bias: np.ndarray | float = 0.0) -> dict[str, np.ndarray]:
  """Parameters of `Conv` for a convolution followed by batch normalisation, in float64.

  Args:
    kernel: [..., channels, features].
    mean, var, beta, gamma: [features] of the normalisation; `epsilon` its constant.
    bias: [features] of the convolution.
  """
  scale = np.asarray(gamma, np.float64) / np.sqrt(np.asarray(var, np.float64) + epsilon)
  return {"kernel": (kernel * scale).astype(np.float32),
          "bias": (beta + (bias - np.asarray(mean, np.float64)) * scale).astype(np.float32)}


def check_shapes(params: Mapping[str, Any], expected: Mapping[str, Any], path: str | os.PathLike,
                 within: str = "") -> None:
  """DataError that names the first layer whose parameters are not of the network's shapes."""
  for name, value in expected.items():
    if name not in params:
      raise DataError(f"{path} has no weights for {within}{name}")
    if isinstance(value, Mapping):
      check_shapes(params[name], value, path, f"{within}{name}/")
    elif params[name].shape != value:
      raise DataError(f"{path}: {within}{name} has the shape {params[name].shape}, the network has "
                      f"{value}")


def max_pool(x: chex.Array, window: Sequence[int], stride: Sequence[int],
             padding: str = "SAME") -> chex.Array:
  """Maximum over windows of the axes 1, 2, ...: one axis after the other.

  Equal to a windowed reduction, which XLA runs several times slower on a CPU.
  """
  for axis, (width, step) in enumerate(zip(window, stride, strict=True), start=1):
    if width == step == 1:
      continue
    before, after = _same(x.shape[axis], width, step) if padding == "SAME" else (0, 0)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (before, after)
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    x = _reduce(jnp.maximum, _shifts(x, axis, width, step))
  return x


def _convolve_space(x, kernel, stride, padding):
  return jax.lax.conv_general_dilated(x, kernel, (stride, stride), padding,
                                      dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _convolve_time(x, kernel, stride, padding):
  """A convolution over time and space as one over space, with the times as further channels.

  The same sums; on a CPU, XLA's own is eight times slower in the first layer of I3D, and a fifth
  slower in the others.
  """
  b, t, h, w, c = x.shape
  length, kh, kw, _, features = kernel.shape
  pad = _same(t, length, stride) if padding == "SAME" else (0, 0)
  x = _shifts(jnp.pad(x, ((0, 0), pad, (0, 0), (0, 0), (0, 0))), 1, length, stride)
  times = x[0].shape[1]
  x = jnp.concatenate(x, axis=-1).reshape(b * times, h, w, length * c)
  kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, length * c, features)
  x = _convolve_space(x, kernel, stride, padding)
  return x.reshape(b, times, *x.shape[1:])


def _same(size: int, width: int, stride: int) -> tuple[int, int]:
  """TensorFlow's SAME padding: the odd one comes last."""
  total = max((-(-size // stride) - 1) * stride + width - size, 0)
  return total // 2, total - total // 2


def _shifts(x, axis, width, stride):
  """For each place in a window, what is there in all windows along the axis."""
  last = (x.shape[axis] - width) // stride * stride
  return [jax.lax.slice_in_dim(x, place, place + last + 1, stride, axis)
          for place in range(width)]


def _reduce(function, arrays):
  result = arrays[0]
  for array in arrays[1:]:
    result = function(result, array)
  return result
