"""Products with the rows of many videos, a block at a time.

Notation: features: [v, p, d], p rows of d dimensions a video, stored in any float type; every
product is float32. theta = (w, b) in R^(d+1), b the weight of a constant feature 1.

    margins       x_i w + b                       of the rows wanted
    weighted_sum  sum_i weight_i (x_i, 1)
    gram          sum_i weight_i (x_i, 1)(x_i, 1)'

A row of weight 0, or not wanted, changes nothing, whatever stands in it; the cost is linear in what
is asked for, and no float32 copy of more than a block exists. The features may be

- an array on a device: the loop over blocks is inside one compiled program, whose shapes depend on
  the pool alone: nothing is compiled again as the labelled set grows;
- an array sharded over videos: each device loops over its own videos, and the sums are added;
- a NumPy array, memory-mapped or not: blocks are read on the host, one ahead of the product, and a
  file may be larger than memory;
- traced, inside a caller's jit: one product over all rows.

Other products over many videos are made with the same parts: `on_devices` and `over_rows` where the
features are on devices, `blocks` where they are on the host (`discriminant`, `video_blocks`).
"""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Iterator
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from tal_jax.models.svm.problem import PRECISION

_VIDEOS = 16  # a block of margins, on a device: 64 proposals of 2,048 dimensions are 8 MiB
_ROWS = 1024  # a block of sums, and of an update of a Gram matrix
_SMALL, _STRIPS = 512, 4  # from so many dimensions a Gram matrix is made in so many strips
STREAMED_BYTES = 16 << 20  # a block read from a file


def margins(features: chex.Array, wanted: chex.Array, theta: chex.Array) -> chex.Array:
  """x w + b of every row wanted, 0 elsewhere: [v, p] bool, [d + 1] -> [v, p].

  Reads the whole videos of these rows.
  """
  if isinstance(features, jax.core.Tracer):
    values = jnp.matmul(features.astype(jnp.float32), theta[:-1], precision=PRECISION) + theta[-1]
    return jnp.where(wanted, values, 0.0)
  if isinstance(features, np.ndarray):
    return _streamed_margins(features, np.asarray(wanted), theta)
  return on_devices(_margins, features, (wanted,), (theta,), added=False)


def weighted_sum(features: chex.Array, weights: chex.Array) -> chex.Array:
  """sum_i weight_i (x_i, 1): [v, p] -> [d + 1]."""
  if isinstance(features, np.ndarray):
    return _streamed_sum(features, np.asarray(weights))
  return on_devices(_weighted_sum, features, (weights,), (), added=True)


def gram(features: chex.Array, weights: chex.Array) -> chex.Array:
  """sum_i weight_i (x_i, 1)(x_i, 1)': [v, p] -> [d + 1, d + 1]."""
  if isinstance(features, np.ndarray):
    return _streamed_gram(features, np.asarray(weights))
  return on_devices(_gram, features, (weights,), (), added=True)


def take_rows(features: chex.Array, video: chex.Array, row: chex.Array) -> chex.Array:
  """features[video, row], on a device, wherever the features are: [n], [n] -> [n, d]."""
  if isinstance(features, np.ndarray):
    return jnp.asarray(features[np.asarray(video), np.asarray(row)])
  return _take_rows(features, video, row)


_take_rows = jax.jit(lambda features, video, row: features[video, row])


# On devices.


def on_devices(kernel: Callable, features: chex.Array, by_video: tuple, shared: tuple, *,
               added: bool) -> Any:
  """Runs a kernel on one device, on each device's own videos, or inside the caller's program.

  Args:
    kernel: (features, *by_video, *shared) -> arrays; hashable and the same object at every call,
      since its program is found by it.
    features: [v, ...], the pool's, or any array that is spread over the devices as they are.
    by_video: pytrees of arrays [v, ...].
    shared: pytrees of arrays that every device needs.
    added: whether the devices' results are added; otherwise they are [v, ...], each its videos'.
  """
  if isinstance(features, jax.core.Tracer):
    return kernel(features, *by_video, *shared)
  sharding = features.sharding
  if (not isinstance(sharding, jax.sharding.NamedSharding) or not len(sharding.spec)
      or sharding.spec[0] is None):
    return jitted(kernel)(features, *by_video, *shared)
  return _sharded(kernel, sharding.mesh, sharding.spec[0], len(by_video), len(shared), added)(
      features, *by_video, *shared)


@functools.cache
def jitted(kernel: Callable) -> Callable:
  """The program of a kernel on one device."""
  return jax.jit(kernel)


@functools.cache
def _sharded(kernel: Callable, mesh, axis, num_by_video: int, num_shared: int,
             added: bool) -> Callable:
  videos, everywhere = PartitionSpec(axis), PartitionSpec()

  def local(*arrays):
    result = kernel(*arrays)
    return jax.lax.psum(result, axis) if added else result

  return jax.jit(jax.shard_map(
      local, mesh=mesh, in_specs=(videos,) * (1 + num_by_video) + (everywhere,) * num_shared,
      out_specs=everywhere if added else videos, check_vma=False))


def _margins(features, wanted, theta):
  order, count = true_first(wanted.any(1)[:, None], _VIDEOS)

  def body(i, values):
    index = jax.lax.dynamic_slice_in_dim(order, i * _VIDEOS, _VIDEOS)
    block = features[index].astype(jnp.float32)
    return values.at[index].set(jnp.matmul(block, theta[:-1], precision=PRECISION) + theta[-1])

  values = jax.lax.fori_loop(0, -(-count // _VIDEOS), body, jnp.zeros(wanted.shape))
  return jnp.where(wanted, values, 0.0)


def _weighted_sum(features, weights):
  def body(x, weight, total):
    w = jnp.matmul(weight[None], x, precision=PRECISION)[0]
    return total + jnp.append(w, weight.sum())

  return over_rows(features, weights, body, jnp.zeros(features.shape[-1] + 1))


def _gram(features, weights):
  d = features.shape[-1]
  return _bordered(*over_rows(features, weights, _add_outer,
                               (jnp.zeros((d, d)), jnp.zeros(d), jnp.zeros(()))))


def over_rows(features: chex.Array, weights: chex.Array, body: Callable, carry: Any) -> Any:
  """Folds body(x [r, d] float32, weight [r], carry) over the rows of non-zero weight.

  For kernels of `on_devices`: [v, p, d], [v, p]. Rows that fill up the last block have weight 0.
  """
  d = features.shape[-1]
  rows, weights = features.reshape(-1, d), weights.ravel()
  size = min(_ROWS, rows.shape[0])
  if not size:
    return carry
  order, count = true_first((weights != 0).reshape(features.shape[:2]), size)

  def block(i, carry):
    index = jax.lax.dynamic_slice_in_dim(order, i * size, size)
    real = i * size + jnp.arange(size) < count
    return body(rows[index].astype(jnp.float32), jnp.where(real, weights[index], 0.0), carry)

  return jax.lax.fori_loop(0, -(-count // size), block, carry)


def true_first(mask: chex.Array, block: int) -> tuple[chex.Array, chex.Array]:
  """Flat indices of the True entries [v, p], in order, filled up with the first; their number.

  The result is long enough for slices of `block` from every multiple of it. A cumulative sum in two
  levels: one over all rows takes XLA twenty passes.
  """
  size = mask.size
  per_video = mask.sum(1)
  before = jnp.cumsum(per_video) - per_video
  position = before[:, None] + jnp.cumsum(mask, axis=1) - 1
  order = jnp.full(size + block, jnp.argmax(mask.ravel()), jnp.int32)
  order = order.at[jnp.where(mask, position, order.size).ravel()].set(
      jnp.arange(size, dtype=jnp.int32), mode="drop", unique_indices=False)
  return order, per_video.sum()


def _add_outer(x, weight, carry):
  """Adds to the blocks of the upper triangle; the others stay 0."""
  gram, border, corner = carry
  weighted = x * weight[:, None]
  d = x.shape[1]
  strips = [jnp.pad(jnp.matmul(x[:, low:high].T, weighted[:, low:], precision=PRECISION),
                    ((0, 0), (low, 0))) for low, high in _strips(d)]
  return gram + jnp.concatenate(strips), border + weighted.sum(0), corner + weight.sum()


def _strips(d: int) -> list[tuple[int, int]]:
  size = -(-d // (_STRIPS if d >= _SMALL else 1))
  return [(low, min(low + size, d)) for low in range(0, d, size)]


def _bordered(gram, border, corner):
  strip = np.concatenate([np.full(high - low, i) for i, (low, high) in enumerate(
      _strips(len(border)))])
  gram = jnp.where(strip[:, None] <= strip, gram, gram.T)
  return jnp.block([[gram, border[:, None]], [border[None], corner[None, None]]])


# From the host.


def blocks(features: np.ndarray, videos: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Blocks of the given videos, the next one read while one is worked on.

  Yields:
    [n] indices, and [m, p, d] their features; m is n or, for the last block of several, that of the
    others, filled up with zeros.
  """
  step = max(1, STREAMED_BYTES // max(1, features[:1].nbytes))
  parts = [videos[low:low + step] for low in range(0, len(videos), step)]
  if not parts:
    return
  with concurrent.futures.ThreadPoolExecutor(1) as reader:
    ahead = reader.submit(features.__getitem__, parts[0])
    for part, later in zip(parts, [*parts[1:], None], strict=True):
      block = np.asarray(ahead.result())
      if later is not None:
        ahead = reader.submit(features.__getitem__, later)
      if len(part) < step < len(videos):  # one shape, one program
        block = np.concatenate([block, np.zeros((step - len(part), *block.shape[1:]),
                                                block.dtype)])
      yield part, block


@jax.jit
def _block_margins(block, theta):
  return jnp.matmul(block.astype(jnp.float32), theta[:-1], precision=PRECISION) + theta[-1]


def _streamed_margins(features, wanted, theta):
  values = np.zeros(features.shape[:2], np.float32)
  for videos, block in blocks(features, np.flatnonzero(wanted.any(1))):
    values[videos] = np.asarray(_block_margins(block, theta))[:len(videos)]
  return jnp.asarray(np.where(wanted, values, np.float32(0.0)))


@jax.jit
def _block_sum(block, weights):
  weights = weights.ravel()
  x = jnp.where(weights[:, None] != 0, block.reshape(-1, block.shape[-1]).astype(jnp.float32), 0.0)
  return jnp.append(jnp.matmul(weights[None], x, precision=PRECISION)[0], weights.sum())


def _streamed_sum(features, weights):
  total = jnp.zeros(features.shape[-1] + 1)
  for videos, block in blocks(features, np.flatnonzero((weights != 0).any(1))):
    padded = np.zeros(block.shape[:2], np.float32)
    padded[:len(videos)] = weights[videos]
    total = total + _block_sum(block, padded)
  return total


@functools.partial(jax.jit, donate_argnums=2)
def _block_outer(x, weight, carry):
  return _add_outer(x.astype(jnp.float32), weight, carry)


def _streamed_gram(features, weights):
  d = features.shape[-1]
  carry = jnp.zeros((d, d)), jnp.zeros(d), jnp.zeros(())
  rows, row_weights = np.zeros((0, d), features.dtype), np.zeros(0, np.float32)
  for videos, block in blocks(features, np.flatnonzero((weights != 0).any(1))):
    wanted = weights[videos] != 0
    rows = np.concatenate([rows, block[:len(videos)][wanted]])
    row_weights = np.concatenate([row_weights, weights[videos][wanted]])
    while len(rows) >= _ROWS:
      carry = _block_outer(rows[:_ROWS], row_weights[:_ROWS], carry)
      rows, row_weights = rows[_ROWS:], row_weights[_ROWS:]
  if len(rows):
    pad = _ROWS - len(rows)
    carry = _block_outer(np.pad(rows, ((0, pad), (0, 0))), np.pad(row_weights, (0, pad)), carry)
  return _bordered(*carry)
