"""Whether the memory has room for a pool, and for what a model makes of it.

Pools that are too large go to memory-mapped files, without being told to. The stage-wise model of
two stages compares each two proposals of a video, which no file makes smaller.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tal_jax.data import pool_size
from tal_jax.data.dataset import Dataset
from tal_jax.data.pool_size import TooLarge
from tal_jax.errors import DataError
from tal_jax.runs.reporter import Reporter

FOLDER = "pool"  # in the work directory
_COMPARING = ("stage_wise", "auto")  # models
_PAIR_BYTES = 24  # of what is held of two proposals of one video


def load(read: Callable[[dict[str, Any]], Dataset], options: dict[str, Any],
         folder: pathlib.Path | None, report: Reporter) -> Dataset:
  """The data set.

  Args:
    read: reads it with these options; raises TooLarge before it has stored anything.
    options: of the data; `storage` is "" where the user chose no folder.
    folder: for the files of pools that the memory has no room for; None: there is none.
    report: says so.

  Raises:
    DataError: the disk has no room either, or whatever else `read` raises.
  """
  try:
    return read(options)
  except TooLarge as error:
    if options.get("storage") or folder is None:
      raise
    report.say(f"{error.what}. So it goes to memory-mapped files in {folder}, which every step "
               "reads; --config.data.num_proposals=N bounds the proposals of a video.")
  return read(options | {"storage": str(folder)})


def check_pairs(model: str, data: Dataset) -> None:
  """Raises DataError if the memory has no room for the pairs of proposals of the longest video.

  Args:
    model: the config's.
    data: read.
  """
  if model not in _COMPARING:
    return
  counts = {video: int(count) for name in ("selection", "testing")
            for video, count in zip(getattr(data.ids, name), np.asarray(
                getattr(data, name).proposal_mask.sum(1)), strict=True)}
  longest = max(counts, key=counts.get)
  need, most = _PAIR_BYTES * counts[longest] ** 2, pool_size.memory()
  if need > pool_size.SHARE * most:
    fits = int((pool_size.SHARE * most / _PAIR_BYTES) ** 0.5)
    raise DataError(
        f"{longest!r} alone has {counts[longest]:,} proposals: model = {model!r} compares each two "
        f"of a video, which would need {pool_size.size(need)}; the machine has "
        f"{pool_size.size(most)}: set --config.data.num_proposals={fits // 100 * 100 or fits} or "
        "less (the most of a video), a larger --config.data.windows.shortest, another model, or "
        "cut the video with experiments.cut_video")
