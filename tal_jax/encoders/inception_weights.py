"""Weights of Inception V3 from torchvision, Keras and SSN checkpoints.

Which of the three a file is shows in its names; it decides the network's `Variant` (see
`inception_v3`). Layers after the pooling, and torchvision's auxiliary head, are left out.

    torchvision  Mixed_5b.branch1x1.conv.weight, .bn.weight, .bn.bias, .bn.running_mean, ...
    SSN          mixed_conv_Conv2D.weight, mixed_conv_batchnorm.weight, ...
    Keras        conv2d_5/.../kernel, batch_normalization_5/.../beta, ..., without gamma, numbered
                 as made; or, in Keras 3's .weights.h5, layers/conv2d_5/vars/0, numbered by depth
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.encoders import inception_v3
from tal_jax.encoders.convolution import check_shapes, fold
from tal_jax.encoders.encoder import Encoder
from tal_jax.encoders.inception_v3 import VARIANTS, Variant
from tal_jax.encoders.weight_files import read_arrays
from tal_jax.errors import DataError

_STEM = (("Conv2d_1a_3x3", "conv"), ("Conv2d_2a_3x3", "conv_1"), ("Conv2d_2b_3x3", "conv_2"),
         ("Conv2d_3b_1x1", "conv_3"), ("Conv2d_4a_3x3", "conv_4"))
# Blocks of one kind: torchvision's and SSN's names of the layers in the order of making.
_KINDS = {
    "A": (("branch1x1", "conv"), ("branch5x5_1", "tower_conv"), ("branch5x5_2", "tower_conv_1"),
          ("branch3x3dbl_1", "tower_1_conv"), ("branch3x3dbl_2", "tower_1_conv_1"),
          ("branch3x3dbl_3", "tower_1_conv_2"), ("branch_pool", "tower_2_conv")),
    "B": (("branch3x3", "conv"), ("branch3x3dbl_1", "tower_conv"),
          ("branch3x3dbl_2", "tower_conv_1"), ("branch3x3dbl_3", "tower_conv_2")),
    "C": (("branch1x1", "conv"), ("branch7x7_1", "tower_conv"), ("branch7x7_2", "tower_conv_1"),
          ("branch7x7_3", "tower_conv_2"), ("branch7x7dbl_1", "tower_1_conv"),
          ("branch7x7dbl_2", "tower_1_conv_1"), ("branch7x7dbl_3", "tower_1_conv_2"),
          ("branch7x7dbl_4", "tower_1_conv_3"), ("branch7x7dbl_5", "tower_1_conv_4"),
          ("branch_pool", "tower_2_conv")),
    "D": (("branch3x3_1", "tower_conv"), ("branch3x3_2", "tower_conv_1"),
          ("branch7x7x3_1", "tower_1_conv"), ("branch7x7x3_2", "tower_1_conv_1"),
          ("branch7x7x3_3", "tower_1_conv_2"), ("branch7x7x3_4", "tower_1_conv_3")),
    "E": (("branch1x1", "conv"), ("branch3x3_1", "tower_conv"),
          ("branch3x3_2a", "tower_mixed_conv"), ("branch3x3_2b", "tower_mixed_conv_1"),
          ("branch3x3dbl_1", "tower_1_conv"), ("branch3x3dbl_2", "tower_1_conv_1"),
          ("branch3x3dbl_3a", "tower_1_mixed_conv"), ("branch3x3dbl_3b", "tower_1_mixed_conv_1"),
          ("branch_pool", "tower_2_conv")),
}
_BLOCKS = (("Mixed_5b", "A"), ("Mixed_5c", "A"), ("Mixed_5d", "A"), ("Mixed_6a", "B"),
           ("Mixed_6b", "C"), ("Mixed_6c", "C"), ("Mixed_6d", "C"), ("Mixed_6e", "C"),
           ("Mixed_7a", "D"), ("Mixed_7b", "E"), ("Mixed_7c", "E"))
# The same layers in Keras 3's order of depth: places in the order of making.
_BY_DEPTH = {"A": (3, 1, 4, 0, 2, 5, 6), "B": (1, 2, 0, 3), "C": (4, 5, 1, 6, 2, 7, 0, 3, 8, 9),
             "D": (2, 3, 0, 4, 1, 5), "E": (4, 1, 5, 2, 3, 6, 7, 0, 8)}
_KERAS = re.compile(r"(?:^|/)(conv2d|batch_normalization)(?:_(\d+))?/(?:.*/)?([a-z_0-9]+)(?::0)?$")
_KERAS_VARS = {"conv2d": {"0": "kernel"},
               "batch_normalization": {"0": "beta", "1": "moving_mean", "2": "moving_variance"}}


def load(path: str | os.PathLike) -> Encoder:
  """The encoder with the weights of a file, see `weight_files`.

  Raises:
    DataError: the file cannot be read, or is not an Inception V3 of a known kind.
  """
  params, variant = convert(read_arrays(path), path)
  checksum = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

  def apply(params, frames):
    return inception_v3.apply(variant, params, frames)

  return Encoder(f"inception_v3 ({variant.name})", inception_v3.DIM, apply, params, variant.resize,
                 variant.size, inception_v3.GRID, 1, checksum)


def convert(arrays: Mapping[str, np.ndarray],
            path: str | os.PathLike) -> tuple[dict[str, Any], Variant]:
  """Parameters of `InceptionV3` from named arrays, and which variant they are for.

  Raises:
    DataError: names of no known kind, or a layer is missing or has another shape; `path` is named.
  """
  readers = {"torchvision": _torchvision, "ssn": _ssn, "keras": _keras}
  kind, layers = next(((kind, layers) for kind, read in readers.items()
                       if (layers := read(arrays))), (None, {}))
  if kind is None:
    raise DataError(f"{path} is not an Inception V3 of torchvision, Keras or SSN: its names are "
                    f"{', '.join(sorted(arrays)[:3])}, ...")
  variant = VARIANTS[kind]
  params = {}
  for name, layer in layers.items():
    missing = [part for part in ("kernel", "mean", "var", "beta") if part not in layer]
    if missing:
      raise DataError(f"{path} has no {' and no '.join(missing)} for {name} (read as {kind})")
    if np.ndim(layer["kernel"]) != 4 or layer["kernel"].shape[-1:] != layer["var"].shape:
      raise DataError(f"{path}: {name} has a kernel of the shape {layer['kernel'].shape} and a "
                      f"variance of the shape {layer['var'].shape} (read as {kind})")
    params[name] = fold(**layer, epsilon=variant.epsilon)
  check_shapes(params, _shapes(variant), path)
  return params, variant


def _names():
  """Per layer, in the order of making: our name, torchvision's, SSN's."""
  for name, ssn in _STEM:
    yield name, name, ssn
  for index, (block, kind) in enumerate(_BLOCKS):
    prefix = f"mixed_{index}" if index else "mixed"
    for part, ssn in _KINDS[kind]:
      yield f"{block}_{part}", f"{block}.{part}", f"{prefix}_{ssn}"


def _torchvision(arrays):
  return _torch_layers(arrays, lambda _, name, __: (f"{name}.conv", f"{name}.bn"))


def _ssn(arrays):
  return _torch_layers(arrays, lambda _, __, name: (f"{name}_Conv2D", f"{name}_batchnorm"))


def _torch_layers(arrays, stored_names):
  """Layers of a state_dict under the names that `stored_names` tells; {} if they are not these."""
  names = [(ours, *(stored.lower() for stored in stored_names(ours, theirs, ssn)))
           for ours, theirs, ssn in _names()]
  # "module." and "base_model." stand before the names of networks that were part of a larger one.
  last = f"{names[-1][1]}.weight"
  prefix = next((key.lower().removesuffix(last) for key in arrays
                 if key.lower().endswith(last)), None)
  if prefix is None:
    return {}
  found = {key.lower().removeprefix(prefix): value for key, value in arrays.items()}
  parts = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
  layers = {}
  for ours, conv, norm in names:
    layer = {part: found[f"{norm}.{stored}"] for part, stored in parts.items()
             if f"{norm}.{stored}" in found}
    if f"{conv}.weight" in found:
      layer["kernel"] = found[f"{conv}.weight"].transpose(2, 3, 1, 0)
    if f"{conv}.bias" in found:
      layer["bias"] = found[f"{conv}.bias"]
    layers[ours] = layer
  return layers


def _keras(arrays):
  """Layers of a Keras file, by the rank of their numbers; {} if it has none."""
  numbered: dict[str, dict[int, dict[str, np.ndarray]]] = {"conv2d": {}, "batch_normalization": {}}
  by_depth = False
  for key, value in arrays.items():
    match = _KERAS.search(key)
    if match:
      kind, number, part = match.groups()
      by_depth |= part in _KERAS_VARS[kind]
      part = _KERAS_VARS[kind].get(part, part)
      numbered[kind].setdefault(int(number or 0), {})[part] = value
  if not numbered["conv2d"]:
    return {}
  convs, norms = ([layer for _, layer in sorted(layers.items())] for layers in numbered.values())
  ours = [name for name, _, _ in _names()]
  if by_depth:
    ours = [ours[place] for place in _places_by_depth()]
  parts = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "var": "moving_variance"}
  layers: dict[str, dict[str, np.ndarray]] = {name: {} for name in ours}
  for name, conv, norm in zip(ours, convs, norms, strict=False):  # what is missing is reported
    layers[name] = {**conv, **{part: norm[stored] for part, stored in parts.items()
                               if stored in norm}}
  return layers


def _places_by_depth():
  places = list(range(len(_STEM)))
  for _, kind in _BLOCKS:
    places += [len(places) + place for place in _BY_DEPTH[kind]]
  return places


def _shapes(variant: Variant) -> dict[str, Any]:
  shapes = jax.eval_shape(inception_v3.InceptionV3(variant).init, jax.random.key(0),
                          jnp.zeros((1, 75, 75, 3)))
  return jax.tree.map(lambda leaf: leaf.shape, shapes["params"])
