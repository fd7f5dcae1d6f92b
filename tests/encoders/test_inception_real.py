"""Inception V3 with real weights, against Keras.

The weights are those of npm's package nsfwjs 4.3.0 (MIT): trained on ImageNet, tuned to another
task, 8 bits a number. `npm pack nsfwjs@4.3.0` fetches it; TAL_JAX_NSFWJS names the .tgz.
"""

import base64
import math
import os
import re
import tarfile

import jax
import numpy as np
import pytest

from tal_jax.encoders import inception_weights

_ENTRY = re.compile(r'name:"([^"]+)",shape:\[([\d,]*)\],dtype:"float32",'
                    r'quantization:\{min:([-.\de]+),scale:([.\de-]+),dtype:"uint8"\}')


def read(path):
  """Arrays by name, in Keras' old names; TensorFlow.js keeps them one behind the other."""
  with tarfile.open(path) as package:
    def text(name):
      return package.extractfile(f"package/dist/models/inception_v3/{name}.min.js").read().decode()

    content = b"".join(base64.b64decode(re.search(r'"([\w+/=]{1000,})"', text(name))[1])
                       for name in (f"group1-shard{i}of6" for i in range(1, 7)))
    entries = _ENTRY.findall(text("model"))
  arrays, start = {}, 0
  for name, shape, low, scale in entries:
    shape = [int(size) for size in shape.split(",")]
    values = np.frombuffer(content, np.uint8, math.prod(shape), start).reshape(shape)
    arrays[name] = values * np.float32(scale) + np.float32(low)
    start += values.size
  assert start == len(content)
  return arrays


def test_equals_keras_with_real_weights(tmp_path, monkeypatch):
  path = os.environ.get("TAL_JAX_NSFWJS", "")
  if not path:
    pytest.skip("TAL_JAX_NSFWJS names no package of nsfwjs")
  monkeypatch.setenv("KERAS_BACKEND", "numpy")
  monkeypatch.setenv("KERAS_HOME", str(tmp_path))
  keras = pytest.importorskip("keras", reason="keras (extra 'parity') is not installed")
  arrays = read(path)
  np.savez(tmp_path / "w.npz", **arrays)
  encoder = inception_weights.load(tmp_path / "w.npz")
  assert encoder.name == "inception_v3 (keras)"
  model = keras.applications.InceptionV3(weights=None, include_top=False,
                                         input_shape=(299, 299, 3), pooling="avg")
  kinds = {"Conv2D": ("conv2d", ["kernel"]),
           "BatchNormalization": ("batch_normalization", ["beta", "moving_mean",
                                                          "moving_variance"])}
  for kind, (name, parts) in kinds.items():
    layers = [layer for layer in model.layers if type(layer).__name__ == kind]
    layers.sort(key=lambda layer: int((re.findall(r"_(\d+)$", layer.name) or [0])[0]))
    assert len(layers) == 94
    for number, layer in enumerate(layers, 1):
      layer.set_weights([arrays[f"{name}_{number}/{part}"] for part in parts])
  # Smooth images, as photographs are; on noise a real network has hardly any response.
  waves = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).repeat(38, 1).repeat(38, 2)
  frames = waves[:, None, :299, :299].astype(np.uint8)
  result = np.asarray(jax.jit(encoder.apply)(encoder.params, frames))
  expected = model.predict(frames[:, 0] / np.float32(127.5) - 1, verbose=0)
  assert expected.std() > 0.01
  np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * expected.max())
