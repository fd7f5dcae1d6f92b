"""The layers against slow loops, and the folding against normalisation written out."""

import itertools

import jax
import numpy as np
import pytest

from tal_jax.encoders.convolution import Conv, check_shapes, fold, max_pool
from tal_jax.errors import DataError


def pad_same(x, window, stride, value):
  """TensorFlow's rule: as many windows as ceil(size / stride), the odd padding last."""
  pads = [(0, 0)]
  for size, width, step in zip(x.shape[1:-1], window, stride, strict=True):
    total = max((int(np.ceil(size / step)) - 1) * step + width - size, 0)
    pads.append((total // 2, total - total // 2))
  return np.pad(x, [*pads, (0, 0)], constant_values=value)


def slow_windows(x, window, stride):
  """Yields (place of the output, [b, *window, channels])."""
  places = [range((size - width) // step + 1)
            for size, width, step in zip(x.shape[1:-1], window, stride, strict=True)]
  for place in itertools.product(*places):
    cut = tuple(slice(at * step, at * step + width)
                for at, width, step in zip(place, window, stride, strict=True))
    yield place, x[(slice(None), *cut)]


def slow_conv(x, kernel, bias, stride, padding):
  rank = kernel.ndim - 2
  window = kernel.shape[:rank]
  if padding == "SAME":
    x = pad_same(x, window, (stride,) * rank, 0.0)
  sums = {place: np.tensordot(cut, kernel, rank + 1) + bias
          for place, cut in slow_windows(x, window, (stride,) * rank)}
  last = max(sums)
  out = np.zeros((x.shape[0], *(at + 1 for at in last), kernel.shape[-1]))
  for place, value in sums.items():
    out[(slice(None), *place)] = value
  return np.maximum(out, 0)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), [
    ((2, 6, 7, 8, 3), (3, 3, 3), 1, "SAME"), ((1, 8, 9, 8, 2), (7, 7, 7), 2, "SAME"),
    ((1, 5, 6, 7, 2), (3, 3, 3), 2, "SAME"), ((2, 4, 5, 5, 3), (1, 1, 1), 1, "SAME"),
    ((1, 6, 6, 6, 2), (3, 3, 3), 2, "VALID"),
    ((2, 9, 8, 3), (3, 3), 2, "VALID"), ((2, 9, 8, 3), (1, 7), 1, "SAME"),
    ((2, 9, 8, 3), (7, 1), 1, "SAME"), ((1, 5, 5, 3), (5, 5), 1, "SAME")])
def test_conv_is_the_slow_loop(shape, kernel, stride, padding):
  rng = np.random.default_rng(0)
  x = rng.standard_normal(shape).astype(np.float32)
  layer = Conv(4, kernel, stride=stride, padding=padding)
  params = {"kernel": rng.standard_normal((*kernel, shape[-1], 4)).astype(np.float32),
            "bias": rng.standard_normal(4).astype(np.float32)}
  result = jax.jit(layer.apply)({"params": params}, x)
  expected = slow_conv(x.astype(float), params["kernel"].astype(float), params["bias"], stride,
                       padding)
  np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("shape", "window", "stride", "padding"), [
    ((2, 4, 7, 8, 3), (3, 3, 3), (2, 2, 2), "SAME"),
    ((1, 4, 6, 5, 2), (1, 3, 3), (1, 2, 2), "SAME"),
    ((1, 5, 7, 7, 2), (2, 2, 2), (2, 2, 2), "SAME"),
    ((1, 4, 4, 4, 2), (3, 3, 3), (1, 1, 1), "SAME"),
    ((2, 7, 9, 3), (3, 3), (2, 2), "VALID")])
def test_max_pool_is_the_slow_loop(shape, window, stride, padding):
  x = np.random.default_rng(1).standard_normal(shape).astype(np.float32) - 3.0  # mostly negative
  padded = pad_same(x, window, stride, -np.inf) if padding == "SAME" else x
  result = np.asarray(max_pool(x, window, stride, padding))
  places = 0
  for place, cut in slow_windows(padded, window, stride):
    axes = tuple(range(1, cut.ndim - 1))
    np.testing.assert_array_equal(result[(slice(None), *place)], cut.max(axis=axes))
    places += 1
  assert places == np.prod(result.shape[1:-1])


def test_fold_is_normalisation():
  rng = np.random.default_rng(2)
  kernel, x = rng.standard_normal((1, 1, 5, 3)), rng.standard_normal((7, 5))
  mean, beta, gamma, bias = rng.standard_normal((4, 3))
  var = rng.uniform(0.1, 2.0, 3)
  folded = fold(kernel, mean=mean, var=var, beta=beta, gamma=gamma, bias=bias, epsilon=1e-3)
  expected = gamma * (x @ kernel[0, 0] + bias - mean) / np.sqrt(var + 1e-3) + beta
  np.testing.assert_allclose(x @ folded["kernel"][0, 0] + folded["bias"], expected, rtol=1e-5,
                             atol=1e-5)
  assert folded["kernel"].dtype == folded["bias"].dtype == np.float32


def test_shapes_are_checked():
  params = {"a": {"kernel": np.zeros((1, 2)), "bias": np.zeros(2)}}
  check_shapes(params, {"a": {"kernel": (1, 2), "bias": (2,)}}, "f")
  with pytest.raises(DataError, match="f has no weights for b"):
    check_shapes(params, {"b": {"kernel": (1, 2)}}, "f")
  message = r"f: a/kernel has the shape \(1, 2\), the network has \(1, 3\)"
  with pytest.raises(DataError, match=message):
    check_shapes(params, {"a": {"kernel": (1, 3)}}, "f")
