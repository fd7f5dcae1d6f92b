"""The point detector: a training run, a round of the loop, an ensemble, a pool; against PyTorch.

The peer is the same recipe as one writes it in PyTorch (`detector_peer`), with one thread and with
two; where PyTorch is not installed (extra `parity`) only our own numbers are given. The clips are
made up, of the shape of HAPT's: a minute is some 300 rows of 64 numbers.
"""

from __future__ import annotations

import functools
import importlib.util
import time
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.timing import peak_mib, spread, timed
from tal_jax.models.networks import labeled_rows
from tal_jax.models.point import detector
from tal_jax.pool import Video, VideoPool, from_videos
from tal_jax.rows import Rows

NUM_CLASSES = 12
_STEP = 0.2  # seconds a row


def cases(size: str) -> list[dict[str, Any]]:
  if size == "small":
    return [{"labeled": 6, "steps": 50, "pool": 6, "members": 1, "dim": 8, "threads": (1,),
             "repeats": 1}]
  return [{"labeled": 240, "steps": 400, "pool": 1000, "members": 5, "dim": 64, "threads": (1, 2),
           "repeats": 2}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Training again, a warm round, an ensemble (of more than one member), and a pool."""
  settings = detector.Settings(members=1, steps=case["steps"],
                               warm_steps=max(50, case["steps"] // 4))
  pool = made_up(case["labeled"], case["dim"])
  data = labeled_rows.of_pool(pool, np.ones(pool.num_videos, bool))
  model = detector.Point(settings)
  nothing = model.init(pool, NUM_CLASSES)
  train = functools.partial(detector.fit, jax.random.key(0), data, settings=settings)
  name = (f"{settings.schedule.batch_size} crops a step, {case['labeled']} one-minute clips, d = "
          f"{case['dim']}")
  rows = []

  def add(what: str, function, peers) -> Any:
    seconds, first, result = timed(function, case["repeats"])
    rows.append({"case": what, "unit": "s", "ours": seconds, "peak_mib": peak_mib(),
                 "peers": [{**peer, "ratio": peer["median"] / seconds["median"]}
                           for peer in peers],
                 "details": {"first_call_seconds": first}})
    return result

  peer = _Peer(pool, case)
  trained, _ = add(f"training, {settings.steps} steps, {name}",
                   lambda: _of(train(start=nothing)), peer.training(settings.steps))
  add(f"a round from the last weights, {settings.warm_steps} steps, {name}",
      lambda: _of(train(start=trained)), peer.training(settings.warm_steps))
  members, single = case["members"], rows[0]["ours"]
  if members > 1:
    add(f"an ensemble of {members}, {settings.steps} steps, {name}",
        lambda: _of(train(start=nothing, settings=settings._replace(members=members))),
        [{"name": f"{members} times one of our runs",
          **{key: value * (1 if key == "repeats" else members) for key, value in single.items()}}])
  big = made_up(case["pool"], case["dim"], seed=1)
  add(f"detections in {case['pool']:,} one-minute videos, {NUM_CLASSES} classes",
      lambda: model.detect(trained, big), peer.detections(big))
  add(f"confidences over time in {case['pool']:,} one-minute videos",
      lambda: model.confidences(trained, big, None), [])
  return rows


def _of(fitted: tuple) -> tuple:
  """Parameters and loss of a training run: its information holds names besides arrays."""
  params, info = fitted
  return params, info.loss


def made_up(num_videos: int, dim: int, *, seed: int = 0) -> VideoPool:
  """Clips of 290 to 330 rows in which an instance raises the dimension of its class."""
  rng = np.random.default_rng(seed)
  count = rng.integers(290, 331, num_videos).astype(np.int32)
  first = (np.cumsum(count) - count).astype(np.int32)
  values = rng.normal(size=(count.sum(), dim)).astype(np.float32)
  videos = []
  for begin, n in zip(first, count, strict=True):
    bounds = np.sort(rng.uniform(0, n, 6).reshape(3, 2), axis=1)
    labels = rng.integers(0, NUM_CLASSES, 3).astype(np.int32)
    for (start, end), label in zip(bounds, labels, strict=True):
      values[begin + int(start):begin + int(end) + 1, label % dim] += 2.0
    videos.append(Video(np.zeros((1, 2)), np.zeros((1, 1)), (bounds * _STEP).astype(np.float32),
                        labels, n * _STEP))
  rows = Rows(values, first, count, np.zeros(num_videos, np.float32),
              np.full(num_videos, _STEP, np.float32), np.zeros(dim, np.float32),
              np.ones(dim, np.float32))
  return from_videos(videos)._replace(rows=rows)


class _Peer:
  """Spreads of the PyTorch recipe's seconds; none where there is no PyTorch."""

  def __init__(self, pool: VideoPool, case: dict[str, Any]):
    self._clips, self._threads = None, case["threads"]
    if importlib.util.find_spec("torch"):
      from experiments.benchmarks import detector_peer  # PyTorch is an extra
      self._peer, self._clips = detector_peer, detector_peer.clips(pool)
      self._network = detector_peer.network(case["dim"], NUM_CLASSES)

  def training(self, steps: int) -> list[dict[str, Any]]:
    if self._clips is None:
      return []
    return [self._timed(threads, lambda: self._peer.train(self._network, self._clips, steps))
            for threads in self._threads]

  def detections(self, pool: VideoPool) -> list[dict[str, Any]]:
    if self._clips is None:
      return []
    clips = self._peer.clips(pool)
    return [self._timed(threads, lambda: self._peer.detect(self._network, clips))
            for threads in self._threads]

  def _timed(self, threads: int, function) -> dict[str, Any]:
    with self._peer.threads(threads):
      begin = time.perf_counter()
      function()
      seconds = time.perf_counter() - begin
    return {"name": f"PyTorch, {threads} thread{'s' if threads > 1 else ''}", **spread([seconds])}
