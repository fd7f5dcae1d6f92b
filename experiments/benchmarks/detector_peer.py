"""The point detector's recipe as one writes it in PyTorch: what `detector` is timed against.

Network and losses are those that the tests compare ours with, so that this runs in a checkout.
Augmentation and assignment are numpy's, a sample after the other; decoding takes all classes of a
video at once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tal_jax.pool import VideoPool
from tests.models.point import torch_network, torch_reference

STRIDES = (2, 4, 8, 16, 32)
_BATCH, _RATE, _DECAY, _AVERAGE, _MULTIPLE = 8, 2e-3, 0.05, 0.99, 64


class Clip(NamedTuple):
  rows: np.ndarray  # [n, d] float32
  truths: np.ndarray  # [t, 2] rows
  labels: np.ndarray  # [t]


def clips(pool: VideoPool) -> list[Clip]:
  rows = pool.rows
  return [Clip(rows.values[begin:begin + n], pool.truths[v][real] / rows.step[v],
               pool.truth_labels[v][real])
          for v, (begin, n, real) in enumerate(zip(rows.first, rows.count, pool.truth_mask,
                                                   strict=True))]


def network(dim: int, num_classes: int) -> torch_network.Network:
  torch.manual_seed(0)
  made = torch_network.Network(dim, num_classes, strides=STRIDES)
  nn.init.constant_(made.offset_out.bias, 1.0)
  return made


@contextlib.contextmanager
def threads(num: int) -> Iterator[None]:
  before = torch.get_num_threads()
  torch.set_num_threads(num)
  try:
    yield
  finally:
    torch.set_num_threads(before)


def train(model: torch_network.Network, data: list[Clip], steps: int) -> None:
  """AdamW on random crops with warm-up, a cosine, clipping and an average of the weights."""
  rng = np.random.default_rng(0)
  order = np.concatenate([rng.permutation(len(data))
                          for _ in range(-(-steps * _BATCH // len(data)))])
  optimizer = torch.optim.AdamW([
      {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": _DECAY},
      {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}], lr=_RATE)
  average = {name: p.detach().clone() for name, p in model.named_parameters()}
  num_classes, warm, normaliser = model.class_out.out_channels, max(steps // 10, 1), None
  model.train()
  for step in range(steps):
    samples = [_augmented(rng, data[i]) for i in order[step * _BATCH:(step + 1) * _BATCH]]
    x, mask = _batch(samples)
    grid = _grid(x.shape[2])
    classes, offsets, positive = (torch.from_numpy(np.stack(part)) for part in zip(
        *(_assign(grid, sample, num_classes) for sample in samples), strict=True))
    # Dropout of channels stands in the stem, between two of the network's parts.
    stem = nn.functional.dropout1d(model.stemmed(x, mask), 0.1)
    logits, predicted, real = (torch.cat(part, 1) for part in zip(
        *model.heads(model.pyramid(stem, mask)), strict=True))
    positive &= real
    count = max(int(positive.sum()), 1)
    normaliser = count if normaliser is None else 0.9 * normaliser + 0.1 * count
    loss = (torch_reference.focal_loss(logits[real], classes[real])
            + torch_reference.diou_loss(predicted[positive], offsets[positive])) / normaliser
    share = ((step + 1) / warm if step < warm
             else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))
    for group in optimizer.param_groups:
      group["lr"] = _RATE * share
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
      for name, p in model.named_parameters():
        average[name].lerp_(p, 1 - _AVERAGE)


@torch.no_grad()
def detect(model: torch_network.Network, data: list[Clip], candidates: int = 100, kept: int = 20,
           sigma: float = 0.5) -> list[tuple[np.ndarray, np.ndarray]]:
  """Segments [c, k, 2] rows and scores [c, k] of each clip, by soft-NMS."""
  model.eval()
  found = []
  for begin in range(0, len(data), _BATCH):
    part = data[begin:begin + _BATCH]
    levels = model(*_batch(part))
    for b in range(len(part)):
      found.append(_decode([tuple(leaf[b].numpy() for leaf in level) for level in levels],
                           candidates, kept, sigma))
  return found


def _decode(levels, candidates: int, kept: int, sigma: float):
  segments = np.concatenate([
      s * (np.arange(len(mask))[:, None] + offsets * (-1, 1))[mask]
      for s, (_, offsets, mask) in zip(STRIDES, levels, strict=True)])
  scores = np.concatenate([1 / (1 + np.exp(-logits[mask])) for logits, _, mask in levels])
  best = np.argsort(-scores, axis=0, kind="stable")[:candidates].T
  left, segments = np.take_along_axis(scores.T, best, 1), segments[best]
  chosen, taken, every = [], [], np.arange(len(left))
  for _ in range(min(kept, best.shape[1])):
    i = left.argmax(1)
    taken.append(left[every, i])
    chosen.append(segments[every, i])
    one = chosen[-1][:, None]
    inter = np.clip(np.minimum(segments[..., 1], one[..., 1])
                    - np.maximum(segments[..., 0], one[..., 0]), 0, None)
    union = np.ptp(segments, axis=-1) + np.ptp(one, axis=-1) - inter
    left = left * np.exp(-(inter / np.maximum(union, 1e-9))**2 / sigma)
    left[every, i] = -1
  return np.stack(chosen, 1), np.stack(taken, 1)


def _augmented(rng: np.random.Generator, clip: Clip) -> Clip:
  """Time stretch, crop, noise and dropped dimensions."""
  factor = math.exp(rng.uniform(-0.15, 0.15))
  length = round(len(clip.rows) * factor)
  at = np.clip(np.arange(length) / factor, 0, len(clip.rows) - 1)
  low = np.minimum(at.astype(int), len(clip.rows) - 2)
  part = (at - low)[:, None].astype(np.float32)
  rows = clip.rows[low] * (1 - part) + clip.rows[low + 1] * part
  truths, labels = clip.truths * factor, clip.labels
  if rng.uniform() < 0.7:
    size = round(length * rng.uniform(0.6, 1.0))
    start = rng.integers(0, length - size + 1)
    rows, inside = rows[start:start + size], np.clip(truths - start, -0.5, size - 0.5)
    stays = np.ptp(inside, axis=1) >= 0.5 * np.ptp(truths, axis=1)
    truths, labels = inside[stays], labels[stays]
  rows = rows + 0.1 * rng.standard_normal(rows.shape, dtype=np.float32)
  rows += 0.1 * rng.standard_normal((1, rows.shape[1]), dtype=np.float32)
  rows *= rng.uniform(size=(1, rows.shape[1])) >= 0.1
  return Clip(rows, truths, labels)


def _batch(samples: list[Clip]) -> tuple[torch.Tensor, torch.Tensor]:
  longest = -(-max(len(s.rows) for s in samples) // _MULTIPLE) * _MULTIPLE
  x = np.zeros((len(samples), longest, samples[0].rows.shape[1]), np.float32)
  mask = np.zeros((len(samples), longest), bool)
  for i, sample in enumerate(samples):
    x[i, :len(sample.rows)], mask[i, :len(sample.rows)] = sample.rows, True
  return torch.from_numpy(x).transpose(1, 2).contiguous(), torch.from_numpy(mask)


def _grid(num_rows: int) -> np.ndarray:
  """Position, stride, low and high of every point: [4, p]."""
  points = [(position, stride, low, high) for positions, stride, (low, high) in zip(
      torch_reference.points(num_rows, STRIDES), STRIDES, torch_reference.ranges(STRIDES),
      strict=True) for position in positions]
  return np.array(points).T


def _assign(grid: np.ndarray, clip: Clip, num_classes: int):
  """`torch_reference.assign`, all points at once."""
  position, stride, low, high = grid
  classes = np.zeros((len(position), num_classes), np.float32)
  offsets = np.zeros((len(position), 2), np.float32)
  if not len(clip.truths):
    return classes, offsets, np.zeros(len(position), bool)
  left, right = position[:, None] - clip.truths[:, 0], clip.truths[:, 1] - position[:, None]
  far = np.maximum(left, right)
  found = ((left > 0) & (right > 0) & (far >= low[:, None]) & (far < high[:, None])
           & (np.abs(position[:, None] - clip.truths.mean(1)) < 1.5 * stride[:, None]))
  length = np.where(found, np.ptp(clip.truths, axis=1), np.inf)
  shares, positive = found & (length <= length.min(1, keepdims=True) + 1e-3), found.any(1)
  for t, label in enumerate(clip.labels):
    classes[shares[:, t], label] = 1.0
  index, first = np.arange(len(position)), length.argmin(1)
  both = np.stack([left[index, first], right[index, first]], 1) / stride[:, None]
  offsets[positive] = both[positive]
  return classes, offsets, positive
