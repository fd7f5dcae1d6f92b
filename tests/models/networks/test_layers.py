"""Layers over rows: by hand, against XLA's convolution, and deaf to what is masked."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from tal_jax.models.networks import layers
from tal_jax.models.point.network import BLOCKS

pytestmark = pytest.mark.slow

HUGE = 1e30


def xla(x, kernel, dilation):
  reach = dilation * (kernel.shape[0] // 2)
  return jax.lax.conv_general_dilated(x, kernel, (1,), [(reach, reach)], rhs_dilation=(dilation,),
                                      dimension_numbers=("NWC", "WIO", "NWC"),
                                      precision=jax.lax.Precision.HIGHEST)


@pytest.mark.parametrize("outputs", [4, 2])  # more and fewer than the three inputs
@pytest.mark.parametrize(("size", "dilation", "length"), [
    (1, 1, 7), (3, 1, 7), (3, 2, 7), (5, 3, 7), (3, 4, 3), (3, 1, 1)])
def test_convolution_and_its_gradient_are_xla_s(size, dilation, length, outputs):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, length, 3)).astype(np.float32)
  kernel = rng.normal(size=(size, 3, outputs)).astype(np.float32)
  weights = rng.normal(size=(2, length, outputs)).astype(np.float32)

  def both(function):
    value, pull = jax.vjp(lambda x, kernel: function(x, kernel, dilation), x, kernel)
    return value, *pull(weights)

  for ours, theirs in zip(both(layers.convolve), both(xla), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_convolution_by_hand():
  x = np.array([[[1.0], [2.0], [4.0], [8.0]]])
  kernel = np.array([100.0, 10.0, 1.0])[:, None, None]
  np.testing.assert_array_equal(layers.convolve(x, kernel)[0, :, 0], [12, 124, 248, 480])
  np.testing.assert_array_equal(layers.convolve(x, kernel, 2)[0, :, 0], [14, 28, 140, 280])
  first, second = layers.shifted(x, (-1, 2))
  np.testing.assert_array_equal(first[0, :, 0], [0, 1, 2, 4])
  np.testing.assert_array_equal(second[0, :, 0], [4, 8, 0, 0])


def test_depthwise_convolution_by_hand():
  x = np.array([[[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]])
  kernel = np.array([[[100.0, 0.0]], [[10.0, 0.0]], [[1.0, 1.0]]])
  y = layers.DepthwiseConv().apply({"params": {"kernel": kernel}}, x)
  np.testing.assert_array_equal(y[0], [[12, 2], [124, 4], [240, 0]])


def test_max_pool_by_hand():
  x = np.array([[1.0, -5.0, -3.0, -4.0, -6.0, 9.0, -7.0, 8.0]])[..., None]
  mask = np.arange(8) < np.array([[5]])
  pooled, left = layers.max_pool(x, mask)
  np.testing.assert_array_equal(left, [[True, True, True, False]])
  np.testing.assert_array_equal(pooled[0, :, 0], [1, -3, -4, 0])  # 9 and 8 are masked


@settings(max_examples=50, deadline=None)
@given(x=hnp.arrays(np.float32, (1, 12, 2), elements=st.integers(-9, 9)), count=st.integers(0, 12))
def test_max_pool_equals_the_slow_loop(x, count):
  mask = np.arange(12)[None] < count
  pooled, left = layers.max_pool(np.where(mask[..., None], x, HUGE).astype(np.float32), mask)
  for i in range(6):
    near = [x[0, j] for j in (2 * i - 1, 2 * i, 2 * i + 1) if 0 <= j < count]
    expected = np.max(near, axis=0) if 2 * i < count else np.zeros(2)
    np.testing.assert_array_equal(pooled[0, i], expected)
    assert left[0, i] == (2 * i < count)


def test_max_pool_s_gradient_by_hand():
  """Goes to the largest of each three; what is masked gets none."""
  x = np.array([[1.0, 4.0, 3.0, -4.0, -6.0, 9.0, -7.0, 8.0]])[..., None].astype(np.float32)
  mask = np.arange(8) < np.array([[5]])
  weights = np.array([1.0, 10.0, 100.0, 1000.0], np.float32)
  found = jax.grad(lambda x: (layers.max_pool(x, mask)[0][0, :, 0] * weights).sum())(x)
  # Windows: (1, 4), (4, 3, -4), (-4, -6), none: position 6 is masked.
  np.testing.assert_array_equal(found[0, :, 0], [0, 11, 0, 100, 0, 0, 0, 0])


def test_attention_by_hand():
  """One head and channel, LayerNorm of one channel is its bias: q and k are constant, so that the
  weights of the real positions within one are equal; v is the bias, too, and the output adds 1."""
  layer = layers.LocalAttention(heads=1, reach=1)
  x, mask = np.arange(5.0)[None, :, None], np.arange(5)[None] < 3
  params = layer.init(jax.random.key(0), x, mask)["params"]
  params = jax.tree.map(jnp.zeros_like, params)
  params["v_norm"]["bias"] += 2.0
  params["v"]["kernel"] += 3.0
  params["out"]["kernel"] += 1.0
  params["out"]["bias"] += 1.0
  y = layer.apply({"params": params}, x, mask)
  np.testing.assert_allclose(y[0, :, 0], [7, 7, 7, 0, 0], rtol=1e-6)


def test_attention_equals_the_slow_loop():
  rng = np.random.default_rng(0)
  layer = layers.LocalAttention(heads=2, reach=2)
  mask = np.arange(9)[None] < 7
  x = np.where(mask[..., None], rng.normal(size=(1, 9, 4)), 0.0).astype(np.float32)
  params = layer.init(jax.random.key(0), x, mask)["params"]

  def project(name):
    y = layers.DepthwiseConv().apply({"params": params[f"{name}_conv"]}, x)
    y = layers.LayerNorm().apply({"params": params[f"{name}_norm"]}, y)
    return np.asarray(y @ params[name]["kernel"][0] + params[name]["bias"])[0]

  q, k, v = map(project, "qkv")
  y = np.zeros((9, 4))
  for i in range(7):
    near = [j for j in range(7) if abs(i - j) <= 2]
    for head in (slice(0, 2), slice(2, 4)):
      weights = np.exp([q[i, head] @ k[j, head] / np.sqrt(2) for j in near])
      y[i, head] = (weights / weights.sum()) @ v[near][:, head]
  y[:7] = y[:7] @ np.asarray(params["out"]["kernel"])[0] + np.asarray(params["out"]["bias"])
  np.testing.assert_allclose(layer.apply({"params": params}, x, mask)[0], y, rtol=1e-4, atol=1e-5)


class Stack(nn.Module):
  """A convolution, a block and a pooling, each after what may stand at masked positions."""

  context: str

  @nn.compact
  def __call__(self, x, mask):
    x = layers.masked(layers.Conv(8)(layers.masked(x, mask)), mask)
    x = BLOCKS[self.context]()(jnp.where(mask[..., None], x, HUGE), mask)
    return layers.max_pool(x, mask)


@pytest.mark.parametrize("context", BLOCKS)
def test_masked_positions_are_never_read(context):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 16, 3)).astype(np.float32)
  mask = np.arange(16) < np.array([[9], [1]])
  stack = Stack(context)
  params = stack.init(jax.random.key(0), x, mask)
  loud = np.where(mask[..., None], x, HUGE).astype(np.float32)
  y, left = stack.apply(params, loud, mask)
  assert np.isfinite(y).all() and not np.asarray(y)[~np.asarray(left)].any()
  # What comes behind, and how much of it there is, changes nothing.
  for length in (16, 32):
    rest = np.full((2, length - 16, 3), -HUGE, np.float32)
    other, _ = stack.apply(params, np.concatenate([np.where(mask[..., None], x, 0.0), rest], 1),
                           np.pad(mask, ((0, 0), (0, length - 16))))
    np.testing.assert_allclose(other[:, :8], y, rtol=1e-5, atol=1e-6)
    assert not other[:, 8:].any()
