"""Checkpoints of a learner: the only file that knows orbax.

A checkpoint holds what changes from step to step (not the pool, nor the knowledge of the selection
functions, which the experiment rebuilds) and a digest of it. A checkpoint that cannot be read, or
whose digest differs, is reported and the one before it is used.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from tal_jax.learner import LearnerState

_KEPT = 3  # the last one may be damaged, and the one before it


def _saved(state: LearnerState) -> dict[str, Any]:
  return {"step": state.step, "key": jax.random.key_data(state.key), "labeled": state.labeled,
          "annotations": state.annotations, "annotation_mask": state.annotation_mask,
          "model": state.model}


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
    self._manager = ocp.CheckpointManager(
        self._directory, options=ocp.CheckpointManagerOptions(
            max_to_keep=_KEPT, create=True, enable_async_checkpointing=False))

  def save(self, state: LearnerState) -> None:
    """Writes a checkpoint for `state.step`; it counts only once it is complete."""
    tree = jax.tree.map(np.asarray, _saved(state))
    self._manager.save(int(state.step), args=ocp.args.Composite(
        state=ocp.args.StandardSave(tree), meta=ocp.args.JsonSave({"digest": _digest(tree)})))

  def restore(self, like: LearnerState) -> LearnerState | None:
    """The last good state, or None.

    Args:
      like: a state of the same run, which gives shapes, knowledge and settings.
    """
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    # An explicit sharding lets a checkpoint written on other devices be read here.
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(
        np.shape(leaf), np.asarray(leaf).dtype, sharding=device), _saved(like))
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        restored = self._manager.restore(step, args=ocp.args.Composite(
            state=ocp.args.StandardRestore(target), meta=ocp.args.JsonRestore()))
        if _digest(restored["state"]) != restored["meta"]["digest"]:
          raise ValueError("its digest differs")
      except Exception as error:  # orbax and tensorstore raise many kinds for damaged files
        logging.warning("checkpoint %s is damaged (%s): using the one before it",
                        self._directory / str(step),
                        (str(error) or type(error).__name__).splitlines()[0])
        self._manager.delete(step)
        continue
      tree = restored["state"]
      return like.replace(
          step=tree["step"], key=jax.random.wrap_key_data(tree["key"]), labeled=tree["labeled"],
          annotations=tree["annotations"], annotation_mask=tree["annotation_mask"],
          model=tree["model"])
    return None

  def close(self) -> None:
    self._manager.close()
