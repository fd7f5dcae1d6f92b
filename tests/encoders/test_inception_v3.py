"""Inception V3 against PyTorch and Keras with the same random weights, from every kind of file."""

import json
import re

import jax
import numpy as np
import pytest

from tal_jax.encoders import inception_v3, inception_weights
from tal_jax.encoders.inception_v3 import VARIANTS, average_pool, normalise
from tal_jax.encoders.weight_files import read_arrays
from tal_jax.errors import DataError

SIZE = 107  # pixels: gives 10 x 10 in the middle and 2 x 2 at the end, so borders count


def torch_trunk(torch, style):
  """An Inception V3 in PyTorch, written from the published tables, as a module.

  torchvision's names, epsilon and order of 1 x 7 and 7 x 1; or SSN's (`style`), with its own.
  """
  nn, functional = torch.nn, torch.nn.functional
  ssn = style == "ssn"

  class Unit(nn.Module):
    def __init__(self, c, features, kernel, stride=1, padding=0):
      super().__init__()
      if ssn and isinstance(kernel, tuple):
        kernel, padding = kernel[::-1], padding[::-1]
      self.conv = nn.Conv2d(c, features, kernel, stride, padding, bias=ssn)
      self.bn = nn.BatchNorm2d(features, eps=1e-5 if ssn else 1e-3)

    def forward(self, x):
      return functional.relu(self.bn(self.conv(x)))

  def average(x):
    return functional.avg_pool2d(x, 3, 1, 1)

  def maximum(x):
    return functional.max_pool2d(x, 3, 2)

  wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))

  class A(nn.Module):
    def __init__(self, c, pool):
      super().__init__()
      self.branch1x1 = Unit(c, 64, 1)
      self.branch5x5_1, self.branch5x5_2 = Unit(c, 48, 1), Unit(48, 64, 5, 1, 2)
      self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(c, 64, 1), Unit(64, 96, 3, 1, 1)
      self.branch3x3dbl_3 = Unit(96, 96, 3, 1, 1)
      self.branch_pool = Unit(c, pool, 1)

    def forward(self, x):
      return torch.cat([
          self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)),
          self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
          self.branch_pool(average(x))], 1)

  class B(nn.Module):
    def __init__(self, c):
      super().__init__()
      self.branch3x3 = Unit(c, 384, 3, 2)
      self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(c, 64, 1), Unit(64, 96, 3, 1, 1)
      self.branch3x3dbl_3 = Unit(96, 96, 3, 2)

    def forward(self, x):
      return torch.cat([self.branch3x3(x), self.branch3x3dbl_3(
          self.branch3x3dbl_2(self.branch3x3dbl_1(x))), maximum(x)], 1)

  class C(nn.Module):
    def __init__(self, c, mid):
      super().__init__()
      self.branch1x1 = Unit(c, 192, 1)
      self.branch7x7_1, self.branch7x7_2 = Unit(c, mid, 1), Unit(mid, mid, *wide)
      self.branch7x7_3 = Unit(mid, 192, *tall)
      self.branch7x7dbl_1, self.branch7x7dbl_2 = Unit(c, mid, 1), Unit(mid, mid, *tall)
      self.branch7x7dbl_3, self.branch7x7dbl_4 = Unit(mid, mid, *wide), Unit(mid, mid, *tall)
      self.branch7x7dbl_5 = Unit(mid, 192, *wide)
      self.branch_pool = Unit(c, 192, 1)

    def forward(self, x):
      return torch.cat([
          self.branch1x1(x), self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
          self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(
              self.branch7x7dbl_2(self.branch7x7dbl_1(x))))), self.branch_pool(average(x))], 1)

  class D(nn.Module):
    def __init__(self, c):
      super().__init__()
      self.branch3x3_1, self.branch3x3_2 = Unit(c, 192, 1), Unit(192, 320, 3, 2)
      self.branch7x7x3_1, self.branch7x7x3_2 = Unit(c, 192, 1), Unit(192, 192, *wide)
      self.branch7x7x3_3, self.branch7x7x3_4 = Unit(192, 192, *tall), Unit(192, 192, 3, 2)

    def forward(self, x):
      return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(
          self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))), maximum(x)], 1)

  class E(nn.Module):
    def __init__(self, c, last=False):
      super().__init__()
      self.last = last
      wide, tall = ((1, 3), 1, (0, 1)), ((3, 1), 1, (1, 0))
      self.branch1x1 = Unit(c, 320, 1)
      self.branch3x3_1 = Unit(c, 384, 1)
      self.branch3x3_2a, self.branch3x3_2b = Unit(384, 384, *wide), Unit(384, 384, *tall)
      self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(c, 448, 1), Unit(448, 384, 3, 1, 1)
      self.branch3x3dbl_3a, self.branch3x3dbl_3b = Unit(384, 384, *wide), Unit(384, 384, *tall)
      self.branch_pool = Unit(c, 192, 1)

    def forward(self, x):
      middle, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
      pool = functional.max_pool2d(x, 3, 1, 1) if ssn and self.last else average(x)
      return torch.cat([
          self.branch1x1(x), self.branch3x3_2a(middle), self.branch3x3_2b(middle),
          self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pool)], 1)

  class Trunk(nn.Module):
    def __init__(self):
      super().__init__()
      self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, 32, 3, 2), Unit(32, 32, 3)
      self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Unit(32, 64, 3, 1, 1), Unit(64, 80, 1)
      self.Conv2d_4a_3x3 = Unit(80, 192, 3)
      self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
      self.Mixed_6a, self.Mixed_6b, self.Mixed_6c = B(288), C(768, 128), C(768, 160)
      self.Mixed_6d, self.Mixed_6e, self.Mixed_7a = C(768, 160), C(768, 192), D(768)
      self.Mixed_7b, self.Mixed_7c = E(1280), E(2048, last=True)

    def forward(self, x):
      x = maximum(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
      x = maximum(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
      for name, block in self.named_children():
        if name.startswith("Mixed"):
          x = block(x)
      return x.mean((2, 3))

  torch.manual_seed(0)
  trunk = Trunk().eval()
  with torch.no_grad():
    for module in trunk.modules():
      if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
      if isinstance(module, nn.BatchNorm2d):
        for values in (module.weight, module.running_var):
          values.uniform_(0.5, 1.5)
        for values in (module.bias, module.running_mean):
          values.normal_(0, 0.1)
  return trunk


def ssn_names(arrays):
  """SSN's names of the layers, from the graph's rule: towers are numbered as they stand."""
  towers = {"branch1x1": "conv", "branch3x3": "conv", "branch_pool": "tower_2_conv"}
  result = {}
  stem = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
  blocks = ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"]
  for key, value in arrays.items():
    *layer, part, what = key.split(".")
    if len(layer) == 1:
      index = stem.index(layer[0])
      name = f"conv_{index}" if index else "conv"
    else:
      index = blocks.index(layer[0].removeprefix("Mixed_"))
      block = f"mixed_{index}" if index else "mixed"
      if layer[1] in towers:
        name = towers[layer[1]]
      else:
        branch, place = layer[1].rsplit("_", 1)
        second = branch == "branch7x7x3" or branch.endswith("dbl") and index != 3
        tower = "tower_1" if second else "tower"
        mixed = {"a": "mixed_conv", "b": "mixed_conv_1"}.get(place[-1])
        number = int(place[0]) - 1
        name = f"{tower}_{mixed or ('conv' if not number else f'conv_{number}')}"
      name = f"{block}_{name}"
    kind = "Conv2D" if part == "conv" else "batchnorm"
    result[f"module.base_model.{name}_{kind}.{what}"] = value
  return result


@pytest.fixture(scope="module", params=["torchvision", "ssn"])
def trunk(request):
  """The style, the module and its arrays."""
  torch = pytest.importorskip("torch")
  module = torch_trunk(torch, request.param)
  arrays = {name: value.numpy() for name, value in module.state_dict().items()}
  return request.param, module, arrays


def features(params, variant, frames):
  apply = jax.jit(lambda params, frames: inception_v3.apply(variant, params, frames))
  return np.asarray(apply(params, frames))


def images(n=2, size=SIZE):
  return np.random.default_rng(5).integers(0, 256, (n, 1, size, size, 3), np.uint8)


def assert_same(result, expected):
  assert result.shape == expected.shape and expected.std() > 0.01
  np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_equals_pytorch(trunk):
  """Also that the feature of a window is the mean of its frames' features."""
  torch = pytest.importorskip("torch")
  style, module, arrays = trunk
  params, variant = inception_weights.convert(
      ssn_names(arrays) if style == "ssn" else arrays, "test")
  assert variant == VARIANTS[style]
  frames = images(4).reshape(2, 2, SIZE, SIZE, 3)
  pixels = frames.reshape(4, SIZE, SIZE, 3).astype(np.float32)
  pixels = (pixels[..., ::-1] - np.float32([104, 117, 128]) if style == "ssn"
            else pixels / np.float32(127.5) - 1)
  with torch.no_grad():
    expected = module(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())).numpy()
  assert_same(features(params, variant, frames), expected.reshape(2, 2, -1).mean(axis=1))


def test_every_kind_of_pooling_matters(trunk):
  """Otherwise the parity above could not tell the variants apart."""
  style, _, arrays = trunk
  if style != "ssn":
    pytest.skip("one style is enough")
  params, variant = inception_weights.convert(ssn_names(arrays), "test")
  frames = images(1)
  reference = features(params, variant, frames)
  for change in ({"count_padding": False}, {"last_pool": "avg"}):
    other = features(params, variant._replace(**change), frames)
    assert np.abs(other - reference).max() > 1e-2 * np.abs(reference).max(), change


def write_safetensors(path, arrays):
  header, offset = {"__metadata__": {"format": "pt"}}, 0
  for name, value in arrays.items():
    header[name] = {"dtype": {"float32": "F32", "int64": "I64"}[str(value.dtype)],
                    "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
    offset += value.nbytes
  text = json.dumps(header).encode()
  path.write_bytes(len(text).to_bytes(8, "little") + text
                   + b"".join(value.tobytes() for value in arrays.values()))


def test_files_of_pytorch(trunk, tmp_path):
  torch = pytest.importorskip("torch")
  style, module, arrays = trunk
  if style == "ssn":
    arrays = ssn_names(arrays)
  np.savez(tmp_path / "w.npz", **arrays)
  write_safetensors(tmp_path / "w.safetensors", arrays)
  torch.save({"epoch": 3, "state_dict": {name: torch.from_numpy(np.array(value))
                                         for name, value in arrays.items()}}, tmp_path / "w.pth")
  expected, _ = inception_weights.convert(arrays, "test")
  for name in ("w.npz", "w.safetensors", "w.pth"):
    encoder = inception_weights.load(tmp_path / name)
    jax.tree.map(np.testing.assert_array_equal, encoder.params, expected)
    assert encoder.dim == 2048 and encoder.size == 299 and encoder.name == f"inception_v3 ({style})"
    assert encoder.resize == {"ssn": 341, "torchvision": 342}[style]


@pytest.fixture(scope="module")
def keras_model(tmp_path_factory):
  """Keras' own Inception V3 without its top, random."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("KERAS_BACKEND", "numpy")  # read once, when it is imported
    patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
    keras = pytest.importorskip("keras", reason="keras (extra 'parity') is not installed")
  keras.utils.set_random_seed(0)
  model = keras.applications.InceptionV3(weights=None, include_top=False,
                                         input_shape=(SIZE, SIZE, 3), pooling="avg")
  rng = np.random.default_rng(6)
  for layer in model.layers:
    if layer.name.startswith("batch_normalization"):
      beta, mean, var = layer.get_weights()
      layer.set_weights([rng.normal(0, 0.1, beta.shape), rng.normal(0, 0.1, mean.shape),
                         rng.uniform(0.05, 0.2, var.shape)])
  return model


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
def test_equals_keras_from_its_new_and_old_files(keras_model, tmp_path, name):
  pytest.importorskip("h5py")
  path = tmp_path / name
  if name == "w.h5":
    keras_model.save(path)
  else:
    keras_model.save_weights(path)
  encoder = inception_weights.load(path)
  assert encoder.name == "inception_v3 (keras)" and encoder.resize == encoder.size == 299
  frames = images()
  expected = keras_model.predict(frames[:, 0] / np.float32(127.5) - 1, verbose=0)
  assert_same(features(encoder.params, VARIANTS["keras"], frames), expected)


@pytest.mark.parametrize(("height", "width"), [(4, 5), (2, 1), (3, 2)])
def test_average_pool_is_the_slow_loop(height, width):
  x = np.random.default_rng(7).standard_normal((2, height, width, 3)).astype(np.float32)
  for count_padding in (False, True):
    result = average_pool(x, count_padding=count_padding)
    for i in range(height):
      for j in range(width):
        patch = x[:, max(i - 1, 0):i + 2, max(j - 1, 0):j + 2]
        count = 9 if count_padding else patch.shape[1] * patch.shape[2]
        np.testing.assert_allclose(result[:, i, j], patch.sum((1, 2)) / count, rtol=1e-4,
                                   atol=1e-6)


def test_normalise():
  pixel = np.uint8([[[[0, 127, 255]]]])
  np.testing.assert_allclose(normalise(pixel, VARIANTS["keras"])[0, 0, 0], [-1, -1 / 255, 1],
                             atol=1e-6)
  np.testing.assert_allclose(normalise(pixel, VARIANTS["ssn"])[0, 0, 0],
                             [255 - 104, 127 - 117, 0 - 128])


def test_faults_of_the_weights(trunk, tmp_path):
  style, _, arrays = trunk
  if style == "ssn":
    arrays = ssn_names(arrays)
  with pytest.raises(DataError, match="not an Inception V3 of torchvision, Keras or SSN.* fc"):
    inception_weights.convert({"fc": np.zeros(3)}, "w.npz")
  pattern = re.compile(r"Mixed_6b\.branch1x1\.conv|mixed_4_conv_C")
  middle = next(name for name in arrays if pattern.search(name))
  broken = {name: value for name, value in arrays.items() if name != middle}
  with pytest.raises(DataError, match=f"no kernel for Mixed_6b_branch1x1 .read as {style}"):
    inception_weights.convert(broken, "w.npz")
  broken[middle] = arrays[middle][:, :100]
  with pytest.raises(DataError, match=r"branch1x1/kernel has the shape \(1, 1, 100, 192\)"):
    inception_weights.convert(broken, "w.npz")
  broken[middle] = arrays[middle][:100]
  with pytest.raises(DataError, match="Mixed_6b_branch1x1 has a kernel of the shape"):
    inception_weights.convert(broken, "w.npz")


def test_faults_of_files(tmp_path):
  for name, content, message in (
      ("w.bin", b"", "weights are read from"), ("w.npz", b"PK", "cannot be read as .npz"),
      ("w.safetensors", b"\xff" * 20, "cannot be read as .safetensors"),
      ("w.h5", b"none", "cannot be read as .h5")):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
      read_arrays(tmp_path / name)
  with pytest.raises(DataError, match="is not a file"):
    read_arrays(tmp_path / "none.npz")
  torch = pytest.importorskip("torch")
  torch.save({"code": np.load}, tmp_path / "w.pth")
  with pytest.raises(DataError, match="cannot be read as .pth"):
    read_arrays(tmp_path / "w.pth")
