"""Checkpoints of a learner: the only file that knows orbax.

A checkpoint holds every field of the state (not the pool, nor what strategies prepared, which the
experiment rebuilds) and a digest of it. A checkpoint that cannot be read, or
whose digest differs, is reported and the one before it is used.

It holds whole arrays, without the padding that some numbers of devices need: it is restored on any
number of devices and processes. Of several processes the writer alone touches it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from tal_jax import devices
from tal_jax.learner import LearnerState
from tal_jax.models.localizer import PerVideo

_KEPT = 3  # the last one may be damaged, and the one before it
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")


def _saved(state: LearnerState) -> dict[str, Any]:
  """What is saved, on the host."""
  # By the state's own structure, so that no field can be forgotten; what is static is no node.
  tree = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)
          if field.metadata.get("pytree_node", True)}
  tree["key"] = jax.random.key_data(state.key)
  return _with_videos(devices.to_host(tree), lambda leaf: leaf[:state.labeled.shape[0]])


def _with_videos(tree: dict[str, Any], fn: Callable[[Any], Any]) -> dict[str, Any]:
  """The tree with `fn` applied to the arrays that have an entry per video of the padded pool."""
  def is_per_video(part):
    return isinstance(part, PerVideo)

  memory = jax.tree.map(lambda part: part.map_videos(fn) if is_per_video(part) else part,
                        tree["memory"], is_leaf=is_per_video)
  return tree | {"annotations": fn(tree["annotations"]),
                 "annotation_mask": fn(tree["annotation_mask"]), "memory": memory}


def _digest(tree: Any) -> str:
  digest = hashlib.sha256()
  for leaf in jax.tree.leaves(tree):
    array = np.asarray(leaf)
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
  return digest.hexdigest()


class Checkpoints:
  """The checkpoints of one run (one strategy, one seed) in one directory."""

  def __init__(self, directory: str | os.PathLike):
    self._directory = pathlib.Path(directory).resolve()
    if not devices.is_writer():
      self._manager = None
      return
    # Without the options orbax would wait for the other processes at every save.
    alone = {"multiprocessing_options": ocp.options.MultiprocessingOptions(
        primary_host=0, active_processes={0})} if jax.process_count() > 1 else {}
    self._manager = ocp.CheckpointManager(
        self._directory, options=ocp.CheckpointManagerOptions(
            max_to_keep=_KEPT, create=jax.process_count() == 1, enable_async_checkpointing=False,
            **alone))

  def save(self, state: LearnerState) -> None:
    """Writes a checkpoint for `state.step`; it counts only once it is complete.

    Raises OSError, with the folder, where the disk is full or cannot be written; may be repeated.
    """
    tree = _saved(state)
    if not devices.is_writer():
      return
    try:
      self._manager.save(int(state.step), args=ocp.args.Composite(
          state=ocp.args.StandardSave(tree), meta=ocp.args.JsonSave({"digest": _digest(tree)})))
    except OSError as error:
      raise OSError(error.errno, error.strerror, str(self._directory)) from error
    except ValueError as error:  # tensorstore's, in whose text the system's error stands
      if not (code := _SYSTEM_ERROR.search(str(error))):
        raise
      raise OSError(int(code[1]), os.strerror(int(code[1])), str(self._directory)) from error

  def restore(self, like: LearnerState) -> LearnerState | None:
    """The last good state, or None.

    Args:
      like: a state of the same run, which gives shapes and the model's settings.
    """
    target = jax.tree.map(np.zeros_like, _saved(like))
    tree = devices.from_writer(lambda: self._read(target))
    if tree is None:
      return None
    padded = like.annotations.shape[0]
    tree = devices.local(_with_videos(tree, lambda leaf: devices.spread(leaf, length=padded)))
    return like.replace(**tree | {"key": jax.random.wrap_key_data(tree["key"])})

  def _read(self, target: dict[str, Any]) -> dict[str, Any] | None:
    """The arrays of the last good checkpoint, of the shapes of `target`."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(target)]
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        restored = self._manager.restore(step, args=ocp.args.Composite(
            state=ocp.args.StandardRestore(target), meta=ocp.args.JsonRestore()))
        if _digest(restored["state"]) != restored["meta"]["digest"]:
          raise ValueError("its digest differs")
        if [leaf.shape for leaf in jax.tree.leaves(restored["state"])] != shapes:
          raise ValueError("its shapes are another configuration's")
      except Exception as error:  # orbax and tensorstore raise many kinds for damaged files
        logging.warning("checkpoint %s is damaged (%s): using the one before it",
                        self._directory / str(step),
                        (str(error) or type(error).__name__).splitlines()[0])
        self._manager.delete(step)
        continue
      return restored["state"]
    return None

  def close(self) -> None:
    if self._manager:
      self._manager.close()
