"""The point detector against an independent copy in PyTorch: `torch_network`, `torch_reference`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models.networks.labeled_rows import Batch
from tal_jax.models.point import decoding, levels as levels_lib, losses
from tal_jax.models.point.assignment import assign
from tal_jax.models.point.levels import MOST, Levels
from tal_jax.models.point.network import CONTEXTS, Network
from tal_jax.models.point.training import Loss
from tal_jax.segments import soft_nms

torch = pytest.importorskip("torch", reason="the reference is in PyTorch: install tal_jax[parity]")

from tests.models.point import torch_network, torch_reference  # noqa: E402

pytestmark = pytest.mark.slow

DIM, CLASSES, WIDTH, LENGTH = 3, 2, 8, 64
LEVELS = Levels(2, 3)
COUNTS = (64, 37, 1)  # real rows of three clips
TRUTHS = np.array([[[3.2, 9.9], [5.0, 30.0], [30.0, 36.5], [40.0, 46.5], [10.0, 63.0]],
                   [[2.0, 9.0], [2.0, 9.0], [20.0, 33.7], [0.0, 36.0], [0.0, 0.0]],
                   [[0.0, 0.0]] * 5], np.float32)
LABELS = np.array([[0, 1, 0, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.int32)
REAL = np.array([[True] * 5, [True] * 4 + [False], [False] * 5])

_CONV = {"weight": "kernel", "bias": "bias"}
_NORM = {"weight": "scale", "bias": "bias"}
_BLOCK = {"norm": "norm", "conv3": "conv_0", "conv1": "conv_1",
          "norm1": "attention_norm", "norm2": "mlp_norm", "expand": "mlp_0", "contract": "mlp_1",
          "attention.project": "attention.out"}
_BLOCK |= {f"attention.{name}_{theirs}": f"attention.{name[0]}{ours}"
           for name in ("query", "key", "value")
           for theirs, ours in (("linear", ""), ("conv", "_conv"), ("norm", "_norm"))}


def _path(name):
  """The module in Flax that has the parameters of this module in PyTorch."""
  head, *rest = name.split(".")
  if head == "stem":
    return f"stem_{rest[0]}" if rest[1] == "conv" else f"stem_norm_{rest[0]}"
  if head == "blocks":
    return f"block_{rest[0]}.{_BLOCK['.'.join(rest[1:])]}"
  branch, kind = head.split("_")
  branch = {"class": "classes", "offset": "offsets"}[branch]
  return f"{branch}.out" if kind == "out" else f"{branch}.{rest[1]}_{rest[0]}"


def as_flax(named, scale_fill):
  """A tree of parameters or gradients from PyTorch's by name."""
  tree = {}
  for name, value in named.items():
    value = value.detach().numpy().astype(np.float32)
    if name == "scale":
      tree["scale"] = np.pad(value, (0, MOST - len(value)), constant_values=scale_fill)
      continue
    module, leaf = name.rsplit(".", 1)
    node = tree
    for part in _path(module).split("."):
      node = node.setdefault(part, {})
    if value.ndim == 3:
      node["kernel"] = value.transpose(2, 1, 0)
    else:
      node[(_NORM if "norm" in module else _CONV)[leaf]] = value
  return tree


@functools.cache
def networks(context):
  """The same weights in both: (Flax module, its parameters, PyTorch module in float64)."""
  torch.manual_seed(0)
  theirs = torch_network.Network(DIM, CLASSES, WIDTH, LEVELS.strides, context).double()
  with torch.no_grad():
    for name, value in theirs.named_parameters():
      noise = 0.3 * torch.randn_like(value)
      if name.endswith(("bias", "scale")) or "norm" in name:
        value += noise
      value.copy_(value.float().double())  # exact in both
  ours = Network(CLASSES, LEVELS, WIDTH, context, dropout=0.0)
  return ours, as_flax(dict(theirs.named_parameters()), 1.0), theirs


def clips(seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(len(COUNTS), LENGTH, DIM)).astype(np.float32)
  return x, np.arange(LENGTH) < np.array(COUNTS)[:, None]


def run_theirs(theirs, x, mask):
  levels = theirs(torch.from_numpy(x).double().transpose(1, 2), torch.from_numpy(mask))
  return levels, [torch.cat(parts, dim=1) for parts in zip(*levels, strict=True)]


@pytest.mark.parametrize("context", CONTEXTS)
def test_network(context):
  ours, params, theirs = networks(context)
  x, mask = clips()
  said = jax.jit(ours.apply)({"params": params}, np.where(mask[..., None], x, 1e6), mask)
  _, (logits, offsets, real) = run_theirs(theirs, x, mask)
  real = real.numpy()
  np.testing.assert_array_equal(said.mask, real)
  np.testing.assert_allclose(np.asarray(said.logits)[real], logits.detach().numpy()[real],
                             rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(np.asarray(said.offsets)[real], offsets.detach().numpy()[real],
                             rtol=1e-5, atol=1e-5)
  assert said.features.shape == (len(COUNTS), real.shape[1], WIDTH)
  found = offsets.detach().numpy()[real]
  assert (found == 0).any() and (found > 0).any()  # both sides of the ReLU


def theirs_targets(truths, labels, real):
  low_high = torch_reference.ranges(LEVELS.strides)
  rows = [(position, s, *bounds)
          for positions, s, bounds in zip(torch_reference.points(LENGTH, LEVELS.strides),
                                          LEVELS.strides, low_high, strict=True)
          for position in positions]
  return torch_reference.assign(*zip(*rows, strict=True), truths[real], labels[real], CLASSES,
                                dtype=torch.float64)


def test_assignment():
  points = levels_lib.points(LEVELS, LENGTH)
  for truths, labels, real in zip(TRUTHS, LABELS, REAL, strict=True):
    ours = assign(points, truths, labels, real, num_classes=CLASSES)
    classes, offsets, positive = theirs_targets(truths, labels, real)
    np.testing.assert_array_equal(ours.positive, positive)
    np.testing.assert_array_equal(ours.classes, classes)
    np.testing.assert_allclose(ours.offsets, offsets, atol=1e-5)
  assert not ours.positive.any()  # the last clip has no truth


def test_losses():
  rng = np.random.default_rng(0)
  logits = np.concatenate([rng.normal(0, 3, 40), [-30.0, 30.0]])
  targets = np.concatenate([rng.integers(0, 2, 40), [1, 0]]).astype(float)
  np.testing.assert_allclose(
      losses.focal(logits, targets).sum(),
      torch_reference.focal_loss(torch.tensor(logits), torch.tensor(targets)), rtol=1e-5)
  said, truth = rng.uniform(0, 5, (2, 30, 2))
  said[0] = 0.0
  np.testing.assert_allclose(
      losses.distance_iou(said, truth).sum(),
      torch_reference.diou_loss(torch.tensor(said), torch.tensor(truth)), rtol=1e-5)


def their_loss(theirs, x, mask):
  _, (logits, offsets, real) = run_theirs(theirs, x, mask)
  focal, bounds, count = 0.0, 0.0, 0
  for i in range(len(x)):
    classes, ways, positive = theirs_targets(TRUTHS[i], LABELS[i], REAL[i])
    positive &= real[i]
    focal += torch_reference.focal_loss(logits[i][real[i]], classes[real[i]])
    bounds += torch_reference.diou_loss(offsets[i][positive], ways[positive])
    count += int(positive.sum())
  return focal + bounds, count


@pytest.mark.parametrize("context", CONTEXTS)
def test_gradient_of_the_whole_loss(context):
  ours, params, theirs = networks(context)
  x, mask = clips()
  batch = Batch(x, mask, TRUTHS, LABELS, REAL)
  step = jax.jit(jax.value_and_grad(Loss(ours), has_aux=True))
  (value, normaliser), grad = step(params, jax.random.key(0), batch, jnp.zeros(()))
  total, count = their_loss(theirs, x, mask)
  assert count > 10 and normaliser == count
  np.testing.assert_allclose(value, total.item() / count, rtol=1e-5)
  names, values = zip(*theirs.named_parameters(), strict=True)
  expected = as_flax(dict(zip(names, torch.autograd.grad(total / count, values), strict=True)), 0.0)
  assert jax.tree.structure(expected) == jax.tree.structure(grad)
  for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
    found = functools.reduce(lambda node, part: node[part.key], path, grad)
    scale = max(np.abs(leaf).max(), 1e-4)
    np.testing.assert_allclose(found, leaf, rtol=0, atol=2e-5 * scale, err_msg=str(path))
  # A second batch: the number of positive points is a moving average.
  (value, normaliser), _ = step(params, jax.random.key(0), batch, jnp.asarray(100.0))
  np.testing.assert_allclose(normaliser, 90 + 0.1 * count, rtol=1e-6)
  np.testing.assert_allclose(value, total.item() / (90 + 0.1 * count), rtol=1e-5)


def test_soft_nms():
  rng = np.random.default_rng(0)
  segments = np.sort(rng.uniform(0, 20, (30, 2)), axis=1).astype(np.float32)
  segments[5] = segments[6]
  scores = rng.uniform(0, 1, 30).astype(np.float32)
  scores[7] = scores[8]
  index, left, kept = soft_nms(jnp.asarray(segments), jnp.asarray(scores), jnp.ones(30, bool), k=25,
                               sigma=0.5)
  indices, expected = torch_reference.soft_nms(segments, scores, 25, 0.5)
  assert kept.all()
  np.testing.assert_array_equal(index, indices)
  np.testing.assert_allclose(left, expected, rtol=1e-5)


def test_decoding_of_a_video():
  """From the same logits and offsets: rows are 0.5 s apart and begin at 0.25 s."""
  ours, params, theirs = networks("conv")
  x, mask = clips()
  clip, start, step = 1, 0.25, 0.5
  said = jax.jit(ours.apply)({"params": params}, x, mask)
  levels, _ = run_theirs(theirs, x, mask)
  duration = start + step * (COUNTS[clip] - 1)
  settings = decoding.Settings(candidates=12, kept=12, most=100)
  found = decoding.candidates(jax.nn.sigmoid(said.logits[clip]), said.offsets[clip],
                              said.mask[clip], 0, levels_lib.points(LEVELS, LENGTH),
                              num=settings.candidates)
  segments, scores, labels, kept = map(np.asarray, decoding.segments(
      found, start, step, duration, settings))
  expected = torch_reference.decode([[part[clip].detach() for part in level] for level in levels],
                                    LEVELS.strides, -start / step, COUNTS[clip] - 1.0,
                                    candidates=12, k=12)
  # A segment of no length is none of ours; it overlaps nothing.
  expected = sorted(((score, c, start + step * a, start + step * b)
                     for c, score, a, b in expected if b > a), reverse=True)
  assert kept.sum() == len(expected) > 12
  np.testing.assert_allclose(scores[kept], [row[0] for row in expected], rtol=1e-4)
  np.testing.assert_array_equal(labels[kept], [row[1] for row in expected])
  np.testing.assert_allclose(segments[kept], [row[2:] for row in expected], rtol=1e-4, atol=1e-4)
