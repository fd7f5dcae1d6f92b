"""Whether the memory has room for the networks over rows: told before anything is trained.

What they need beside the rows themselves is the labelled rows once more, standardised, and the
arrays of a step of training or of a batch of windows that is scored, whichever is more. On an
accelerator these are in its memory, and all members of a detector take their steps side by side; on
a CPU all is in one memory, and they take turns.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from tal_jax.data import pool_size
from tal_jax.data.dataset import Dataset
from tal_jax.errors import DataError
from tal_jax.models.networks import windows as row_windows
from tal_jax.models.networks.labeled_rows import crop_length

SHARE = 0.8  # of the memory; the rest is for the program itself, and for who else is there
_NETWORKS = {"point": ("point",), "frames": ("frames",), "auto": ("point", "frames")}
_NUMBER = 4  # bytes
_ROUNDED_UP = 1.5  # the labelled rows' number is of a short series
# Arrays that a program holds at once, as XLA counts them (`memory_analysis`) for the context that
# needs most, "transformer", and some more: of dim, width and as many numbers a row as classes.
_TRAINING = 4, 100, 12
_SCORING = 3, 18, 6


class Need(NamedTuple):
  """Bytes."""

  rows: float  # in the machine's memory, with the copies that are made of the labelled ones
  labeled: float  # for the device
  training: float  # for the device, as the others
  scoring: float

  @property
  def device(self) -> float:
    return self.labeled + max(self.training, self.scoring)


def need(options: ConfigDict, *, dim: int, itemsize: int, stored: int, counts: np.ndarray,
         budget: int, classes: int, side_by_side: bool) -> Need:
  """What one network needs, at most.

  Args:
    options: the network's section of the config.
    dim: numbers of a row.
    itemsize: bytes of a number, as the rows are stored.
    stored: rows in memory, of all sets.
    counts: [v] rows of each video that may be labelled.
    budget: how many videos are labelled.
    classes: how many.
    side_by_side: whether the members of a detector are trained at once.
  """
  members, width = options.get("members", 1), options.width
  labeled = float(np.sort(counts)[::-1][:budget].sum()) * dim * _NUMBER
  crop = crop_length(counts, most=options.longest_crop)

  def held(rows: int, networks: int, arrays: tuple[int, int, int]) -> float:
    own = arrays[1] * width + arrays[2] * classes
    return rows * (arrays[0] * dim + networks * own) * _NUMBER

  runs = members if side_by_side else 1
  return Need(stored * dim * itemsize + 2 * labeled, _ROUNDED_UP * labeled,
              runs * held(options.batch_size * crop, 1, _TRAINING),
              held(2 * row_windows.LONGEST, members, _SCORING))


def check(config: ConfigDict, data: Dataset, budget: int) -> None:
  """Raises DataError if a network of the config's model would not fit.

  Args:
    config: names the model, and has its settings.
    data: read, not yet on the devices.
    budget: how many videos are labelled, at most.
  """
  rows = data.selection.rows
  if rows is None:
    return
  limit = device_memory()
  stored = sum(len(pool.rows.values) for pool in (data.selection, data.testing)
               if pool.rows is not None and not isinstance(pool.rows.values, np.memmap))
  for name in _NETWORKS.get(config.model, ()):
    options = config[name]
    found = need(options, dim=rows.dim, itemsize=rows.values.dtype.itemsize, stored=stored,
                 counts=np.asarray(rows.count), budget=budget, classes=len(data.classes),
                 side_by_side=limit is not None)
    if limit is not None:
      _require(name, options, found, found.device, limit, "the accelerator")
    _require(name, options, found, found.rows + (0 if limit is not None else found.device),
             pool_size.memory(), "the machine")


def device_memory() -> int | None:
  """Bytes that a program may have on the first accelerator; None without one."""
  device = jax.local_devices()[0]
  if device.platform == "cpu":
    return None
  stats = device.memory_stats() or {}
  return stats.get("bytes_limit")


def _require(name: str, options: ConfigDict, found: Need, wanted: float, there: float,
             where: str) -> None:
  if wanted <= SHARE * there:
    return
  size = pool_size.size
  smaller = ["--config.point.members=1"] * (options.get("members", 1) > 1) + [
      f"a smaller --config.{name}.batch_size, --config.{name}.longest_crop or "
      f"--config.{name}.width", "fewer videos (--config.campaign.max_videos)",
      "features of fewer rows a second, or another model"]
  raise DataError(
      f"model {name!r} would need {size(wanted)} of {where}'s {size(there)}, of which it may take "
      f"{SHARE:.0%} (rows {size(found.rows)}, labelled rows {size(found.labeled)}, training "
      f"{size(found.training)}, scoring {size(found.scoring)}): set {'; '.join(smaller)}")
