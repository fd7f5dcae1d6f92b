"""Layers of the networks over rows: masked convolution, max-pooling and local attention.

Notation: x: [b, t, c] values, 0 where masked; mask: [b, t] True where real. A layer leaves 0 at the
masked positions: padding changes nothing.

What XLA's CPU backend does badly inside a loop, such as the scan of a training, is written out. A
convolution and its gradient are products with shifted copies: its own are some ten times slower.
Max-pooling has a gradient of its own, too: those of `reduce_window` and of slices with a step are
filled one element after the other.
"""

from __future__ import annotations

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # PyTorch's default
_LOWEST = -1e30
_EPSILON = 1e-5  # of the layer normalisation


def masked(x: chex.Array, mask: chex.Array) -> chex.Array:
  return jnp.where(mask[..., None], x, 0.0)


def shifted(x: chex.Array, offsets: tuple[int, ...]) -> list[chex.Array]:
  """Copies y_o with y_o[:, i] = x[:, i + o], 0 beyond the ends."""
  reach = max(map(abs, offsets))
  padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
  return [padded[:, reach + o:reach + o + x.shape[1]] for o in offsets]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: chex.Array, kernel: chex.Array, dilation: int = 1) -> chex.Array:
  """y[i] = sum_j x[i + dilation (j - half)] kernel[j]: [b, t, c], [size, c, f] -> [b, t, f].

  Zeros stand beyond the ends; the size is odd.
  """
  size, c, f = kernel.shape
  if f >= c or size == 1:
    return _taps(x, size, dilation) @ kernel.reshape(-1, f)
  # Few outputs: shifting them is cheaper than shifting what they are computed from.
  reach, t = dilation * (size // 2), x.shape[1]
  y = jnp.pad(x, ((0, 0), (reach, reach), (0, 0))) @ kernel.swapaxes(0, 1).reshape(c, -1)
  return sum(y[:, dilation * j:dilation * j + t, f * j:f * (j + 1)] for j in range(size))


def _taps(x, size: int, dilation: int):
  """The rows x[i + dilation (j - half)] of each i, side by side: [b, t, size c]."""
  if size == 1:
    return x
  half = size // 2
  return jnp.concatenate(shifted(x, tuple(dilation * (j - half) for j in range(size))), axis=-1)


def _convolve_forward(x, kernel, dilation):
  return convolve(x, kernel, dilation), (x, kernel)


def _convolve_backward(dilation, saved, grad):
  """The gradient of the weights from shifted copies of the narrower of the two, or of `grad`'s,
  which the gradient of `x` needs, too."""
  x, kernel = saved
  size, c, f = kernel.shape
  taps = _taps(grad, size, -dilation)
  if c < f:
    weights = jnp.einsum("btk,btf->kf", _taps(x, size, dilation), grad).reshape(kernel.shape)
  else:
    weights = jnp.einsum("btc,btk->ck", x, taps).reshape(c, size, f).swapaxes(0, 1)
  return taps @ kernel.swapaxes(1, 2).reshape(-1, c), weights


convolve.defvjp(_convolve_forward, _convolve_backward)


class Conv(nn.Module):
  """A convolution over time, stride 1, zeros beyond the ends; `x` is 0 where masked."""

  features: int
  size: int = 3
  dilation: int = 1
  bias_init: nn.initializers.Initializer = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    kernel = self.param("kernel", _uniform, (self.size, x.shape[-1], self.features))
    y = convolve(x, kernel, self.dilation)
    return y + self.param("bias", self.bias_init, (self.features,))


class DepthwiseConv(nn.Module):
  """Every channel with its own kernel of three, no bias."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    kernel = self.param("kernel", _uniform, (3, 1, x.shape[-1]))
    return sum(tap * kernel[i] for i, tap in enumerate(shifted(x, (-1, 0, 1))))


@jax.custom_vjp
def normalise(x: chex.Array, scale: chex.Array, bias: chex.Array) -> chex.Array:
  """Each position's channels to mean 0 and variance 1, times scale, plus bias: [b, t, c], [c], [c].

  Sums over channels are products with ones, and the gradient is written out: on a CPU a training
  step of the detector is a twentieth faster for it than with flax's.
  """
  return _normalise_forward(x, scale, bias)[0]


def _mean(x):
  return x @ jnp.full((x.shape[-1], 1), 1.0 / x.shape[-1], x.dtype)


def _normalise_forward(x, scale, bias):
  centred = x - _mean(x)
  inverse = jax.lax.rsqrt(_mean(centred * centred) + _EPSILON)
  unit = centred * inverse
  return unit * scale + bias, (unit, inverse, scale)


def _normalise_backward(saved, grad):
  unit, inverse, scale = saved
  inner = grad * scale
  x = inverse * (inner - _mean(inner) - unit * _mean(inner * unit))
  return x, (grad * unit).sum((0, 1)), grad.sum((0, 1))


normalise.defvjp(_normalise_forward, _normalise_backward)


class LayerNorm(nn.Module):
  """Layer normalisation over the channels of each position."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    size = (x.shape[-1],)
    return normalise(x, self.param("scale", nn.initializers.ones, size),
                     self.param("bias", nn.initializers.zeros, size))


def max_pool(x: chex.Array, mask: chex.Array) -> tuple[chex.Array, chex.Array]:
  """Maximum over three real positions around every other: [b, t, c] -> [b, t / 2, c].

  Position i of the result is where position 2 i was, and is real where that was.
  """
  pooled = _largest_of_three(jnp.where(mask[..., None], x, _LOWEST))
  mask = mask[:, ::2]
  return masked(pooled, mask), mask


@jax.custom_vjp
def _largest_of_three(x):
  """Of 2 i - 1, 2 i and 2 i + 1, for all i; of equal ones the first has the gradient."""
  return jax.lax.reduce_window(x, _LOWEST, jax.lax.max, (1, 3, 1), (1, 2, 1),
                               ((0, 0), (1, 0), (0, 0)))


def _largest_backward(x, grad):
  b, t, c = x.shape
  pairs = x.reshape(b, t // 2, 2 * c)
  even, odd = pairs[..., :c], pairs[..., c:]
  before = jnp.pad(odd[:, :-1], ((0, 0), (1, 0), (0, 0)), constant_values=_LOWEST)
  is_before = (before >= even) & (before >= odd)
  is_even = ~is_before & (even >= odd)
  to_odd = jnp.where(is_before | is_even, 0.0, grad)
  to_before = jnp.where(is_before, grad, 0.0)
  to_odd += jnp.pad(to_before[:, 1:], ((0, 0), (0, 1), (0, 0)))
  both = jnp.concatenate([jnp.where(is_even, grad, 0.0), to_odd], axis=-1)
  return (both.reshape(b, t, c),)


_largest_of_three.defvjp(lambda x: (_largest_of_three(x), x), _largest_backward)


class LocalAttention(nn.Module):
  """Multi-head attention to the real positions within `reach` on either side (ActionFormer)."""

  heads: int = 4
  reach: int = 4

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> chex.Array:
    b, t, c = x.shape

    def project(name):
      y = LayerNorm(name=f"{name}_norm")(DepthwiseConv(name=f"{name}_conv")(x))
      return masked(Conv(c, size=1, name=name)(y), mask)

    q, k, v = project("q"), project("k"), project("v")
    offsets = tuple(range(-self.reach, self.reach + 1))
    near_k, near_v = (
        jnp.stack(shifted(y, offsets), axis=2).reshape(b, t, len(offsets), self.heads, -1)
        for y in (k, v))
    real = jnp.concatenate(shifted(mask[..., None].astype(x.dtype), offsets), axis=-1) > 0
    q = q.reshape(b, t, self.heads, -1)
    logits = jnp.einsum("bthc,btohc->btoh", q, near_k)
    logits = logits / jnp.sqrt(c / self.heads)
    weights = jax.nn.softmax(jnp.where(real[..., None], logits, _LOWEST), axis=2)
    y = jnp.einsum("btoh,btohc->bthc", weights, near_v).reshape(b, t, c)
    return masked(Conv(c, size=1, name="out")(y), mask)
