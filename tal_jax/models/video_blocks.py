"""A function of one video, over the videos of a pool, a block at a time.

Notation: v videos, p proposals a video.

The functions that the stage-wise model maps compare every two proposals of a video: p^2 numbers,
many times over. A block is as many videos as have `_PAIRS` of them together, so that what is worked
on stays in a core's cache; and of the videos only those wanted are computed at all.

The first array may be, as in `svm.blocks`, on a device, spread over several by videos, or a NumPy
array (a file) to be streamed. On devices the shapes depend on the pool alone: nothing is compiled
again as other videos are wanted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models.svm import blocks as svm_blocks

_PAIRS = 1 << 18  # pairs of proposals worked on at once


def over_videos(function: Callable, static: Hashable, first: chex.Array, wanted: chex.Array,
                by_video: Any, shared: Any) -> Any:
  """function(static, first[i], by_video[i], shared) of each wanted video i, 0 elsewhere.

  Args:
    function: of one video, at module level: its program is kept for it and `static`.
    static: what decides what is compiled, for instance settings.
    first: [v, p, ...], the features or another array that is large; on devices or in a file.
    wanted: [v] bool.
    by_video: pytree of arrays [v, ...].
    shared: pytree of arrays and numbers that every video needs.

  Returns:
    What the function returns, [v, ...].
  """
  block = kernel(function, static)
  if not isinstance(first, np.ndarray):
    return svm_blocks.on_devices(block, first, (wanted, by_video), (shared,), added=False)
  return _streamed(block, first, np.asarray(wanted), jax.tree.map(np.asarray, by_video), shared)


@functools.cache
def kernel(function: Callable, static: Hashable) -> Callable:
  """The kernel of `over_videos` (`svm.blocks.on_devices`): one object for the same arguments."""
  one = functools.partial(function, static)

  def run(first, wanted, by_video, shared):
    videos, proposals = first.shape[:2]
    size = max(1, min(videos, _PAIRS // proposals**2))
    order, count = svm_blocks.true_first(wanted[:, None], size)

    def block(i, results):
      index = jax.lax.dynamic_slice_in_dim(order, i * size, size)
      own = first[index], jax.tree.map(lambda leaf: leaf[index], by_video)
      if size > 1:
        found = jax.vmap(one, (0, 0, None))(*own, shared)
      else:  # products in batches of one are slower than none in batches
        alone = one(*jax.tree.map(lambda leaf: leaf[0], own), shared)
        found = jax.tree.map(lambda leaf: leaf[None], alone)
      return jax.tree.map(lambda whole, leaf: whole.at[index].set(leaf), results, found)

    shapes = jax.eval_shape(one, first[0], jax.tree.map(lambda leaf: leaf[0], by_video), shared)
    return jax.lax.fori_loop(0, -(-count // size), block, _zeros(shapes, videos, jnp))

  return run


def _zeros(shapes: Any, videos: int, module: Any) -> Any:
  return jax.tree.map(lambda s: module.zeros((videos, *s.shape), s.dtype), shapes)


def _streamed(block: Callable, first: np.ndarray, wanted: np.ndarray, by_video: Any,
              shared: Any) -> Any:
  """The same with `first` on the host: every block is filled up to one size, for one program."""
  step = min(len(first), max(1, svm_blocks.STREAMED_BYTES // max(1, first[:1].nbytes)))

  def filled(array):
    return np.concatenate([array, np.zeros((step - len(array), *array.shape[1:]), array.dtype)])

  def arguments(videos, rows):
    return (filled(rows[:len(videos)]), np.arange(step) < len(videos),
            jax.tree.map(lambda leaf: filled(leaf[videos]), by_video), shared)

  nothing = arguments(np.zeros(0, int), first[:0])
  shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype),
                        jax.eval_shape(block, *nothing))
  results = _zeros(shapes, len(first), np)
  for videos, rows in svm_blocks.blocks(first, np.flatnonzero(wanted)):
    found = svm_blocks.jitted(block)(*arguments(videos, rows))
    for whole, leaf in zip(jax.tree.leaves(results), jax.tree.leaves(found), strict=True):
      whole[videos] = np.asarray(leaf)[:len(videos)]
  return jax.tree.map(jnp.asarray, results)
