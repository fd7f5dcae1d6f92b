"""Devices: the only file that knows meshes. The same program runs on one CPU and on a TPU pod.

There is one mesh, of all devices of all processes, with one axis: "videos".

    place        a pool's videos spread over the devices; jit partitions what is computed from it
    split_batch  a batch of independent problems spread over the devices, each at its own pace
    to_host      NumPy arrays, the same on every process
    from_writer  what one process read, on every process

With one device all of them do nothing but convert.

Every process runs the same program on the same host data and keeps only its own part on its
devices. Small arrays (the learner's state, the models) live on each process' first device and are
copied to the others where a computation meets the pool. Process 0 alone reads and writes files of
the run.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tal_jax import rows as rows_lib
from tal_jax.pool import FILL, VideoPool

_AXIS = "videos"
T = TypeVar("T")


def initialize(coordinator: str | None = None, num_processes: int | None = None,
               process_id: int | None = None) -> None:
  """Joins this process to the others; before anything is computed.

  Args:
    coordinator: "host:port" of process 0; None on TPU pods, Slurm, Open MPI and Kubernetes, where
      JAX finds all three.
    num_processes: how many run this command.
    process_id: which one this is, from 0.
  """
  jax.distributed.initialize(coordinator, num_processes, process_id)


@functools.cache
def mesh() -> Mesh:
  """All devices on one axis.

  Auto, as the versions of JAX differ in the default: under Explicit, top-k, gather and sort over
  the sharded axis are errors.
  """
  return jax.make_mesh((jax.device_count(),), (_AXIS,), axis_types=(AxisType.Auto,))


def place(pool: VideoPool) -> VideoPool:
  """Puts a pool on the devices, each with its share of the videos.

  The videos are padded to a multiple of the devices, and the padding is masked out: `num_videos`
  of the result counts it. Of a memory-mapped pool every process reads its own videos only. The
  rows stay on the host: the models that read them send what they need.

  Args:
    pool: the same on every process, in host memory or on devices.
  """
  of_videos = {name: spread(getattr(pool, name), fill=fill)
               for name, fill in FILL._asdict().items() if name != "rows"}
  rows = pool.rows
  if rows is not None:
    rows = rows_lib.pad(rows, of_videos["durations"].shape[0])
  return VideoPool(**of_videos, rows=rows)


def spread(leaf: Any, *, fill: Any = 0, length: int | None = None) -> jax.Array:
  """Puts an array [v, ...] on the devices, each with its share of the videos.

  Args:
    leaf: the same on every process, in host memory or on devices.
    fill: of the padding.
    length: padded v, a multiple of the devices; default: the next one.
  """
  size = jax.device_count()
  length = length or -(-leaf.shape[0] // size) * size

  def grown(part, length):
    widths = [(0, length - part.shape[0])] + [(0, 0)] * (part.ndim - 1)
    pad = jnp.pad if isinstance(part, jax.Array) else np.pad
    return part if length == part.shape[0] else pad(part, widths, constant_values=fill)

  if size == 1:
    return jnp.asarray(grown(leaf, length))
  sharding = NamedSharding(mesh(), PartitionSpec(_AXIS))
  if _is_shared(leaf):
    return jax.device_put(grown(leaf, length), sharding)

  def shard(index):
    start, stop, _ = index[0].indices(length)
    return grown(np.asarray(leaf[start:stop]), stop - start)

  return jax.make_array_from_callback((length,) + leaf.shape[1:], sharding, shard)


def _is_shared(leaf: Any) -> bool:
  """Whether JAX itself can move the array to any device of the mesh."""
  return isinstance(leaf, jax.Array) and (
      jax.process_count() == 1 or not leaf.is_fully_addressable)


def local(tree: T) -> T:
  """Puts every leaf on this process' first device."""
  return jax.tree.map(jnp.asarray, tree)


def replicate(tree: T) -> T:
  """Puts every leaf on every device, for instance what many calls of `split_batch` share."""
  if jax.device_count() == 1:
    return jax.tree.map(jnp.asarray, tree)
  sharding = NamedSharding(mesh(), PartitionSpec())

  def copy(leaf):
    if _is_shared(leaf):
      return jax.device_put(leaf, sharding)
    leaf = np.asarray(leaf)
    return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

  return jax.tree.map(copy, tree)


def split_batch(fn: Callable[..., Any], shared: Any, batched: Any, **static: Any) -> Any:
  """fn(shared, batched, **static) with the batch axis split over the devices.

  Each device runs `fn` on its part and its own loops, without waiting for the others: for problems
  that take different numbers of iterations. On one device it is `fn` itself.

  Args:
    fn: a function of module level, independent in the entries of the batch; its results have the
      batch axis first.
    shared: arrays that every device needs in full; `replicate` them where many calls share them.
    batched: arrays [b, ...]; the last entry is repeated to make b a multiple of the devices.
    static: hashable arguments.

  Returns:
    What fn returns, [b, ...]; with several devices on the first one of every process.
  """
  size = jax.device_count()
  if size == 1:
    return fn(shared, batched, **static)
  b = jax.tree.leaves(batched)[0].shape[0]
  fill = np.minimum(np.arange(-(-b // size) * size), b - 1)
  batched = jax.tree.map(lambda leaf: leaf[fill], batched) if len(fill) > b else batched
  result = _split(fn, tuple(sorted(static.items())))(
      replicate(shared), jax.tree.map(spread, batched))
  return local(jax.tree.map(lambda leaf: leaf[:b], to_host(result)))


@functools.cache
def _split(fn, static):
  # No check of what varies over devices: nothing here communicates, and loops would need casts.
  return jax.jit(jax.shard_map(
      functools.partial(fn, **dict(static)), mesh=mesh(),
      in_specs=(PartitionSpec(), PartitionSpec(_AXIS)), out_specs=PartitionSpec(_AXIS),
      check_vma=False))


def to_host(tree: T) -> T:
  """NumPy arrays of whole leaves, on every process (which all must call it)."""
  def gather(leaf):
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
      return np.asarray(leaf)
    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

  return jax.tree.map(gather, tree)


def is_writer() -> bool:
  """Whether this process is the one that talks, and reads and writes the files of the run."""
  # The first question spares binaries that compute nothing the start of JAX' backend.
  return not jax.distributed.is_initialized() or jax.process_index() == 0


def from_writer(read: Callable[[], T]) -> T:
  """What `read()` gives on the writer, on every process (which all must call it).

  The other processes never call `read`: they need not see the writer's files. An exception is
  raised on all of them.
  """
  if not jax.distributed.is_initialized() or jax.process_count() == 1:
    return read()
  message, error = b"", None
  if is_writer():
    try:
      message = pickle.dumps((True, read()))
    except Exception as caught:
      error = caught
      message = pickle.dumps((False, caught))
  length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(message), np.int32)))
  payload = np.frombuffer(message.ljust(length, b"\0"), np.uint8)
  payload = np.asarray(multihost_utils.broadcast_one_to_all(payload))
  if error:
    raise error
  good, value = pickle.loads(payload.tobytes())
  if not good:
    raise value
  return value
