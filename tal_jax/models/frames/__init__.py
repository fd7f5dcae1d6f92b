"""`Frames`, the plain control: every row is classified, and runs of rows of one class are grouped.

Notation: b videos, t rows, d dimensions, c classes; p: [t, c] probability of a class at a row.

    rows -> p, smoothed -> runs of rows with p above a threshold -> segments, scored by their mean p

No pyramid, no offsets, no proposals: what a detector has to beat. Classes may overlap in time, so
each has a sigmoid of its own. The mean that smooths p is over a share of the rows of the short
instances among the labels.

Source: row-wise classification with dilated convolutions, as in MS-TCN (Farha and Gall, CVPR 2019);
the grouping is TAG's without its tolerance (Zhao et al., ICCV 2017). The paper has no such model.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from tal_jax import devices
from tal_jax.models.frames.runs import runs, smoothed
from tal_jax.models.localizer import Confidences, Detections, Picks
from tal_jax.models.networks import labeled_rows, training as row_training, windows as row_windows
from tal_jax.models.networks.labeled_rows import Batch, LabeledRows
from tal_jax.models.networks.layers import Conv, LayerNorm, masked
from tal_jax.models.point import decoding as decoding_lib
from tal_jax.pool import ROWS, VideoPool
from tal_jax.rows import normalised

_SHORT = 0.05  # quantile of the instances' lengths
DILATIONS = {"linear": (), "conv": (1, 2, 4, 8, 16)}


class Settings(NamedTuple):
  """Hyper-parameters; hashable."""

  context: str = "conv"  # or "linear": each row by itself
  width: int = 64
  steps: int = 600  # a multiple of row_training.CHUNK
  longest_crop: int = 1024  # rows
  threshold: float = 0.3  # of p, for the runs
  smoothing: float = 0.5  # share of the short instances' rows (5 % quantile) that p is a mean over
  top_k: int = 10  # picks per video, for selection functions
  schedule: row_training.Schedule = row_training.Schedule()
  decoding: decoding_lib.Settings = decoding_lib.Settings()


class FramesParams(NamedTuple):
  network: Any  # the average of the weights
  smoothing: chex.Array  # [] int32 rows, odd


class FramesInfo(NamedTuple):
  loss: float
  num_steps: int

  @property
  def metrics(self) -> dict[str, float | bool | str]:
    return {"loss": self.loss, "num_steps": self.num_steps}


class Network(nn.Module):
  """Rows [b, t, d] to logits [b, t, c], and the features they are computed from [b, t, e]."""

  num_classes: int
  width: int
  dilations: tuple[int, ...]

  @nn.compact
  def __call__(self, x: chex.Array, mask: chex.Array) -> tuple[chex.Array, chex.Array]:
    x = masked(x, mask)
    if self.dilations:
      x = masked(Conv(self.width, size=1, name="stem")(x), mask)
    for d in self.dilations:
      y = masked(LayerNorm(name=f"norm_{d}")(x), mask)
      y = nn.relu(Conv(self.width, dilation=d, name=f"dilated_{d}")(y))
      x = masked(x + Conv(self.width, size=1, name=f"mix_{d}")(y), mask)
    return Conv(self.num_classes, size=1, name="out")(x), x


class Loss(NamedTuple):
  """Mean cross-entropy over the rows and the classes; hashable."""

  network: Network

  def __call__(self, params: Any, key: chex.PRNGKey, batch: Batch, state: Any):
    logits, _ = self.network.apply({"params": params}, batch.x, batch.mask)
    row = jnp.arange(batch.x.shape[1])[None, None]
    inside = ((row >= batch.truths[..., :1]) & (row <= batch.truths[..., 1:])
              & batch.truth_mask[..., None])  # [b, n, t]
    classes = jax.nn.one_hot(batch.labels, self.network.num_classes)
    target = (inside[..., None] * classes[:, :, None]).max(1)  # [b, t, c]
    entropy = optax.sigmoid_binary_cross_entropy(logits, target) * batch.mask[..., None]
    return entropy.sum() / (batch.mask.sum() * self.network.num_classes), state


@dataclasses.dataclass(frozen=True)
class Frames:
  """The control; `memory` is None."""

  settings: Settings = Settings()
  reads = (ROWS,)

  def init(self, pool: VideoPool, num_classes: int) -> FramesParams:
    weights = _weights(jax.random.key(0), pool.rows.dim, self._network(num_classes))
    return FramesParams(weights, jnp.ones((), jnp.int32))

  def empty_memory(self, pool: VideoPool) -> None:
    del pool

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: FramesParams,
          memory: None) -> tuple[FramesParams, FramesInfo, None]:
    """Trains from new weights; without any row among the labelled videos the model stays."""
    del memory
    settings, network = self.settings, self._network(_num_classes(start))
    data = labeled_rows.of_pool(pool, np.asarray(labeled))
    counts = np.asarray(data.count)
    if not counts.any():
      return start, FramesInfo(0.0, 0), None
    k_init, k_run = jax.random.split(key)
    length = labeled_rows.crop_length(counts, most=settings.longest_crop)
    steps = row_training.plan(k_run, counts, settings.steps, settings.schedule, length=length)
    first = row_training.begin(_weights(k_init, data.values.shape[1], network), ())
    progress, loss = row_training.run(first, data, steps, loss_fn=Loss(network), length=length,
                                      schedule=settings.schedule)
    size = _smoothing(data, settings.smoothing)
    return (FramesParams(progress.average, jnp.asarray(size, jnp.int32)),
            FramesInfo(float(loss), settings.steps), None)

  def detect(self, params: FramesParams, pool: VideoPool) -> Detections:
    return self._grouped(self._classified(params, pool), params, pool)

  def _grouped(self, classified: list[tuple[np.ndarray, np.ndarray]], params: FramesParams,
               pool: VideoPool) -> Detections:
    c, kept = _num_classes(params), self.settings.decoding
    m = kept.candidates
    scores = np.full((pool.num_videos, c, m), -1.0, np.float32)
    segments = np.zeros((pool.num_videos, c, m, 2), np.float32)
    for video, (p, _) in enumerate(classified):
      if not len(p):
        continue
      bounds, label, score = runs(p, self.settings.threshold)
      for k in range(c):
        mine = np.flatnonzero(label == k)
        mine = mine[np.argsort(-score[mine], kind="stable")][:m]
        scores[video, k, :len(mine)], segments[video, k, :len(mine)] = score[mine], bounds[mine]
    found = jax.device_get(decoding_lib.segments_of_videos(
        decoding_lib.Candidates(scores, segments), np.asarray(pool.rows.start),
        np.asarray(pool.rows.step), devices.to_host(pool.durations), settings=kept))
    segments, scores, labels, mask = found
    return Detections(segments, scores, scores, mask, scores, labels)

  def confidences(self, params: FramesParams, pool: VideoPool, memory: None) -> Confidences:
    """The surest class of every row."""
    t = int(np.max(pool.rows.count, initial=1))
    values = np.zeros((pool.num_videos, t), np.float32)
    for video, (p, _) in enumerate(self._classified(params, pool)):
      values[video, :len(p)] = p.max(1, initial=0.0)
    return Confidences(values, np.arange(t) < np.asarray(pool.rows.count)[:, None])

  def picks(self, params: FramesParams, pool: VideoPool, memory: None) -> Picks:
    """The best detections; their classes and features are means over their rows."""
    classified = self._classified(params, pool)
    found = self._grouped(classified, params, pool)
    k = min(self.settings.top_k, found.mask.shape[1])
    c, v = _num_classes(params), pool.num_videos
    classes, embedding = np.zeros((v, k, c), np.float32), None
    start, step = np.asarray(pool.rows.start), np.asarray(pool.rows.step)
    for video, (p, features) in enumerate(classified):
      if embedding is None:
        embedding = np.zeros((v, k, features.shape[1]), np.float32)
      for i in np.flatnonzero(found.mask[video, :k]):
        begin, end = (found.segments[video, i] - start[video]) / step[video]
        rows = slice(max(0, int(np.ceil(begin))), int(np.floor(end)) + 1)
        mean = p[rows].mean(0) if len(p[rows]) else p.mean(0)
        classes[video, i] = mean / mean.sum()
        embedding[video, i] = (features[rows] if len(features[rows]) else features).mean(0)
    return Picks(found.segments[:, :k], found.scores[:, :k], classes, embedding, found.mask[:, :k])

  def embed(self, params: FramesParams, pool: VideoPool) -> chex.Array:
    """The mean of the features of all rows: [v, e]."""
    return np.stack([features.mean(0) if len(features) else np.zeros(features.shape[1])
                     for _, features in self._classified(params, pool)]).astype(np.float32)

  def _network(self, num_classes: int) -> Network:
    return Network(num_classes, self.settings.width, DILATIONS[self.settings.context])

  def _classified(self, params: FramesParams, pool: VideoPool
                  ) -> list[tuple[np.ndarray, np.ndarray]]:
    """p [t, c], smoothed, and features [t, e] of every video."""
    rows, network = pool.rows, self._network(_num_classes(params))
    e = params.network["out"]["kernel"].shape[1]
    found = [(np.zeros((n, network.num_classes), np.float32), np.zeros((n, e), np.float32))
             for n in np.asarray(rows.count)]
    for windows in row_windows.batches(rows, reach=sum(network.dilations),
                                       multiple=labeled_rows.MULTIPLE):
      said = jax.device_get(_classify(params.network, windows.values, windows.mask, rows.mean,
                                      rows.scale, network=network))
      for i in np.flatnonzero(windows.video >= 0):
        begin, end = windows.own[i]
        place = slice(windows.offset[i] + begin, windows.offset[i] + end)
        for whole, part in zip(found[windows.video[i]], said, strict=True):
          whole[place] = part[i, begin:end]
    return [(smoothed(p, int(params.smoothing)), features) for p, features in found]


def _num_classes(params: FramesParams) -> int:
  return params.network["out"]["bias"].shape[0]


def _smoothing(data: LabeledRows, share: float) -> int:
  """An odd number of rows."""
  bounds = np.asarray(data.truths)[np.asarray(data.mask)]
  if not len(bounds):
    return 1
  return 2 * int(share * np.quantile(bounds[:, 1] - bounds[:, 0], _SHORT) / 2) + 1


@functools.partial(jax.jit, static_argnames=("dim", "network"))
def _weights(key, dim: int, network: Network):
  return network.init(key, jnp.zeros((1, 1, dim)), jnp.ones((1, 1), bool))["params"]


@functools.partial(jax.jit, static_argnames="network")
def _classify(params, values, mask, mean, scale, *, network):
  logits, features = network.apply({"params": params}, normalised(values, mean, scale), mask)
  return jax.nn.sigmoid(logits), features
