"""A pool through the detector: detections, and what selection functions read.

The networks of an ensemble speak with one voice: at every point the mean of their probabilities and
of their offsets counts, and their features stand side by side.

Notation: v videos, c classes, k segments kept per video, r networks, e features: r times the width.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import segments as seg
from tal_jax.host_segments import tiou_float64
from tal_jax.models.networks import windows as row_windows
from tal_jax.models.networks.labeled_rows import MULTIPLE
from tal_jax.models.point import decoding, levels as levels_lib
from tal_jax.models.point.network import Network, reach
from tal_jax.rows import Rows, normalised, to_times

_PICKED_FROM = 100  # points
_PICK_TIOU = 0.5  # picks that overlap by more are one


class Found(NamedTuple):
  """Detections of a pool, on the host."""

  segments: np.ndarray  # [v, k, 2] seconds
  scores: np.ndarray  # [v, k], descending
  labels: np.ndarray  # [v, k] int32
  mask: np.ndarray  # [v, k]


class Seen(NamedTuple):
  """What the network says of a pool without deciding, on the host."""

  confidence: np.ndarray  # [v, n] of any class, at every point of the first level's grid
  confidence_mask: np.ndarray  # [v, n]
  segments: np.ndarray  # [v, k, 2] seconds, the surest points' without overlaps
  pick_confidence: np.ndarray  # [v, k]
  pick_classes: np.ndarray  # [v, k, c] sum to 1
  pick_features: np.ndarray  # [v, k, e]
  pick_mask: np.ndarray  # [v, k]
  features: np.ndarray  # [v, e] mean over the points


def multiple(network: Network) -> int:
  """Of it are the lengths over which the network runs."""
  return max(MULTIPLE, network.levels.strides[-1])


def _windows(rows: Rows, network: Network, longest: int):
  return row_windows.batches(rows, reach=reach(network.levels, network.context),
                             multiple=multiple(network), longest=longest)


def detect(params: Any, rows: Rows, durations: chex.Array, *, network: Network,
           settings: decoding.Settings, longest: int = row_windows.LONGEST) -> Found:
  """Detections in every video; one without rows has none.

  Args:
    params: of the r networks, a leading axis.
    rows: of v videos.
    durations: [v] seconds.
    network: its shape.
    settings: of the decoding.
    longest: rows that go through the network in one piece, see `networks.windows`.
  """
  v, c = rows.num_videos, network.num_classes
  start, step = np.asarray(rows.start), np.asarray(rows.step)
  durations = np.asarray(durations)
  k = min(c * min(settings.kept, settings.candidates), settings.most)
  found = Found(np.zeros((v, k, 2), np.float32), np.zeros((v, k), np.float32),
                np.zeros((v, k), np.int32), np.zeros((v, k), bool))

  def finish(videos: np.ndarray, candidates: decoding.Candidates) -> None:
    at = np.maximum(videos, 0)
    result = jax.device_get(decoding.segments_of_videos(
        candidates, start[at], step[at], durations[at], settings=settings))
    real = videos >= 0
    for whole, part in zip(found, result, strict=True):
      whole[videos[real]] = part[real]

  parts: dict[int, list[decoding.Candidates]] = {}
  for windows in _windows(rows, network, longest):
    candidates = _candidates(params, windows.values, windows.mask, windows.offset, windows.own,
                             rows.mean, rows.scale, network=network, num=settings.candidates)
    cut = (windows.video >= 0) & ((windows.offset > 0)
                                  | (windows.own[:, 1] < np.asarray(rows.count)[windows.video]))
    finish(np.where(cut, -1, windows.video), candidates)
    if cut.any():
      candidates = jax.device_get(candidates)
    for i in np.flatnonzero(cut):
      parts.setdefault(int(windows.video[i]), []).append(
          jax.tree.map(lambda leaf, i=i: leaf[i], candidates))
  for video, pieces in parts.items():
    merged = decoding.merge(pieces)
    finish(np.array([video]), jax.tree.map(lambda leaf: leaf[None], merged))
  return found


def look(params: Any, rows: Rows, durations: chex.Array, *, network: Network, num_picks: int,
         longest: int = row_windows.LONGEST) -> Seen:
  """What selection functions read of every video.

  Args:
    num_picks: k.
    params, rows, durations, network, longest: as in `detect`.
  """
  v, c, stride = rows.num_videos, network.num_classes, network.levels.first
  e = network.width * jax.tree.leaves(params)[0].shape[0]
  count = np.asarray(rows.count)
  n = -(-int(count.max(initial=1)) // stride)
  seen = Seen(np.zeros((v, n), np.float32), np.arange(n) * stride < count[:, None],
              np.zeros((v, 0, 2), np.float32), np.zeros((v, 0), np.float32),
              np.zeros((v, 0, c), np.float32), np.zeros((v, 0, e), np.float32),
              np.zeros((v, 0), bool), np.zeros((v, e), np.float32))
  totals = np.zeros(v, np.float32)
  picks: dict[int, list[Any]] = {}
  for windows in _windows(rows, network, longest):
    said = jax.device_get(_look(
        params, windows.values, windows.mask, windows.offset, windows.own, rows.mean, rows.scale,
        network=network, num_picks=num_picks))
    for i in np.flatnonzero(windows.video >= 0):
      video, begin, end = windows.video[i], *windows.own[i]
      at = (windows.offset[i] + begin) // stride
      own = said.confidence[i, begin // stride:-(-end // stride)]
      seen.confidence[video, at:at + len(own)] = own
      seen.features[video] += said.features[i]
      totals[video] += said.count[i]
      picks.setdefault(int(video), []).append(jax.tree.map(lambda leaf, i=i: leaf[i], said.picks))
  seen = seen._replace(features=seen.features / np.maximum(totals, 1.0)[:, None])
  return _with_picks(seen, picks, rows, np.asarray(durations), num_picks)


class _Picks(NamedTuple):
  confidence: chex.Array  # [k], -1 where there is none
  segments: chex.Array  # [k, 2] rows
  classes: chex.Array  # [k, c]
  features: chex.Array  # [k, e]


class _Look(NamedTuple):
  confidence: chex.Array  # [b, l / stride]
  features: chex.Array  # [b, e] sum over own points
  count: chex.Array  # [b] own points
  picks: _Picks


def _with_picks(seen: Seen, picks: dict[int, list[_Picks]], rows: Rows, durations: np.ndarray,
                num: int) -> Seen:
  v, (c, e) = len(durations), (seen.pick_classes.shape[-1], seen.features.shape[-1])
  segments, confidence = np.zeros((v, num, 2), np.float32), np.zeros((v, num), np.float32)
  classes, features = np.zeros((v, num, c), np.float32), np.zeros((v, num, e), np.float32)
  mask = np.zeros((v, num), bool)
  for video, parts in picks.items():
    whole = _Picks(*(np.concatenate(leaf) for leaf in zip(*parts, strict=True)))
    best = np.argsort(-whole.confidence, kind="stable")
    best = best[whole.confidence[best] > 0]
    if len(parts) > 1:  # those of one window do not overlap, those of two may
      best = _apart(whole.segments, best)
    best = best[:num]
    k = len(best)
    bounds = to_times(whole.segments[best], np.asarray(rows.start)[video],
                      np.asarray(rows.step)[video])
    segments[video, :k] = np.clip(bounds, 0.0, durations[video])
    confidence[video, :k], mask[video, :k] = whole.confidence[best], True
    classes[video, :k], features[video, :k] = whole.classes[best], whole.features[best]
  return seen._replace(segments=segments, pick_confidence=confidence, pick_classes=classes,
                       pick_features=features, pick_mask=mask)


def _apart(segments: np.ndarray, order: np.ndarray) -> np.ndarray:
  """Of `order`, those that do not overlap one that comes before them and is kept."""
  bounds = segments[order].astype(np.float64)
  overlap, kept = tiou_float64(bounds, bounds) > _PICK_TIOU, []
  for i in range(len(order)):
    if not overlap[i, kept].any():
      kept.append(i)
  return order[kept]


class _Said(NamedTuple):
  probabilities: chex.Array  # [b, p, c]
  offsets: chex.Array  # [b, p, 2] strides
  features: chex.Array  # [b, p, e]
  mask: chex.Array  # [b, p]


def _forward(params, values, mask, own, mean, scale, network: Network):
  """The networks on a batch of windows, and which points are the windows' own."""
  points = levels_lib.points(network.levels, values.shape[1])
  x = normalised(values, mean, scale)
  said = jax.vmap(lambda one: network.apply({"params": one}, x, mask))(params)
  features = jnp.moveaxis(said.features, 0, -2)
  said = _Said(jax.nn.sigmoid(said.logits).mean(0), said.offsets.mean(0),
               features.reshape(*features.shape[:2], -1), said.mask[0])
  own = ((points.positions >= own[:, :1]) & (points.positions < own[:, 1:])) & said.mask
  return points, said, own


@functools.partial(jax.jit, static_argnames=("network", "num"))
def _candidates(params, values, mask, offset, own, mean, scale, *, network, num):
  points, said, own = _forward(params, values, mask, own, mean, scale, network)
  return jax.vmap(lambda *window: decoding.candidates(*window, points, num=num))(
      said.probabilities, said.offsets, own, offset)


@functools.partial(jax.jit, static_argnames=("network", "num_picks"))
def _look(params, values, mask, offset, own, mean, scale, *, network, num_picks) -> _Look:
  points, said, own = _forward(params, values, mask, own, mean, scale, network)
  surest = jnp.where(said.mask, said.probabilities.max(-1), 0.0)
  length, levels = values.shape[1], network.levels
  grid, begin = None, 0
  for s in levels.strides:
    part = surest[:, begin:begin + length // s]
    begin += length // s
    part = jnp.repeat(part, s // levels.first, axis=1)
    grid = part if grid is None else jnp.maximum(grid, part)
  picks = jax.vmap(lambda *window: _pick(*window, points, num_picks))(
      jnp.where(own, surest, -1.0), said.probabilities, said.offsets, said.features, offset)
  return _Look(grid, (said.features * own[..., None]).sum(1), own.sum(1).astype(jnp.float32),
               picks)


def _pick(surest, probability, offsets, features, begin, points, num: int) -> _Picks:
  best, index = jax.lax.top_k(surest, min(_PICKED_FROM, surest.shape[0]))
  ways = (offsets * points.strides[:, None])[index]
  places = jnp.asarray(points.positions)[index]
  bounds = begin + jnp.stack([places - ways[:, 0], places + ways[:, 1]], -1)
  kept, real = seg.nms(bounds, best, (best > 0) & (bounds[:, 1] > bounds[:, 0]), k=num,
                       threshold=_PICK_TIOU)
  classes = probability[index][kept]
  return _Picks(jnp.where(real, best[kept], -1.0), bounds[kept],
                classes / classes.sum(-1, keepdims=True), features[index][kept])
