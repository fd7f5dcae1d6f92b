"""Optional TensorBoard events of a run's learning curves, through tensorboardX (no TensorFlow)."""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from tal_jax.errors import DataError

# Of these, what the model has: a loss, or a duality gap.
_SCALARS = ("map", "map_ratio", "map_at_50", "attention_ap", "duality_gap", "loss", "seconds")


def check() -> None:
  """DataError if the extra is not installed."""
  if importlib.util.find_spec("tensorboardX") is None:
    raise DataError("tensorboard = True needs tensorboardX: pip install -e '.[tensorboard]'")


class Scalars:
  """The curves of one strategy and seed, against the number of labels.

  Events cannot be taken back: the folder is written again from the rows kept so far.
  """

  def __init__(self, directory: pathlib.Path, rows: Iterable[Mapping[str, Any]]):
    from tensorboardX import SummaryWriter  # optional
    shutil.rmtree(directory, ignore_errors=True)
    self._writer = SummaryWriter(str(directory))
    for row in rows:
      self.add(row)

  def add(self, row: Mapping[str, Any]) -> None:
    for name in (name for name in _SCALARS if name in row):
      self._writer.add_scalar(name, row[name], row["num_labeled"])
    self._writer.flush()

  def close(self) -> None:
    self._writer.close()
