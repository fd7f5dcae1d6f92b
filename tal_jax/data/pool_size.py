"""How much room the pools of a data set take, known before any is taken.

A pool is an array: every video has as many places for proposals as the one with the most. One long
video among short ones multiplies it. In memory the places without a proposal cost as much as the
others; in a memory-mapped file they are a hole, which takes no room on the disk.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tal_jax.errors import DataError

SHARE = 0.4  # of the memory that pools may take: they are there twice while they go to the devices
_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_OWN_CGROUP = pathlib.Path("/proc/self/cgroup")


class TooLarge(DataError):
  """Pools that do not fit into memory, but may fit on the disk."""

  def __init__(self, what: str, mend: str):
    super().__init__(f"{what}: {mend}")
    self.what = what


class Set(NamedTuple):
  """The videos of a pool."""

  ids: Sequence[str]
  counts: Sequence[int]  # proposals of each

  @property
  def places(self) -> int:
    """For proposals, in an array."""
    return len(self.ids) * max(self.counts, default=0)


def check(sets: Mapping[str, Set], *, dim: int, itemsize: int, storage: str,
          stored: Sequence[str]) -> None:
  """Refuses pools that this machine has no room for.

  Args:
    sets: by name.
    dim: numbers of a proposal.
    itemsize: bytes of a number.
    storage: the folder of the memory-mapped files; "": none, all are in memory.
    stored: names of the sets whose pools go to the files, if there are any.

  Raises:
    TooLarge: more than `SHARE` of the memory.
    DataError: more than the disk of `storage` has.
  """
  in_memory = {name: found for name, found in sets.items() if not (storage and name in stored)}
  number = itemsize * dim
  need, most = number * sum(found.places for found in in_memory.values()), memory()
  on_disk = number * sum(sum(found.counts) for name, found in sets.items() if name in stored)
  if need > SHARE * most:
    raise TooLarge(
        f"{_cause(in_memory)}: the pool would need {size(need)} (each video has room for as many "
        f"proposals as that one, of {dim:,} numbers of {itemsize} bytes); the machine has "
        f"{size(most)}, of which a pool may take {SHARE:.0%}",
        "set --config.data.num_proposals=N (the most of a video), a larger "
        "--config.data.windows.shortest or --config.data.dtype=float16, cut the video with "
        "experiments.cut_video, or set --config.data.storage=FOLDER (memory-mapped files, "
        f"{size(on_disk)} on the disk)")
  if storage:
    free = shutil.disk_usage(_existing(pathlib.Path(storage))).free
    if on_disk > free:
      raise DataError(
          f"data.storage = {storage}: the features of the proposals need {size(on_disk)} there, "
          f"and {size(free)} are free; {_cause(sets)}: choose another folder, or set "
          "--config.data.num_proposals=N (the most of a video)")


def memory() -> int:
  """Bytes of memory that this process may have: the machine's, or its control group's if less."""
  found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
  try:
    own = _OWN_CGROUP.read_text().splitlines()
  except OSError:
    own = []
  for line in own:
    _, controllers, path = line.split(":", 2)
    if controllers in ("", "memory"):
      folder = _CGROUPS / controllers / path.lstrip("/")
      for place in (folder, *folder.parents):
        found += [_limit(place / name) for name in ("memory.max", "memory.limit_in_bytes")]
        if place == _CGROUPS:
          break
  return min(limit for limit in found if limit)


def size(number: float) -> str:
  """Bytes for people."""
  for unit, factor in (("GB", 1e9), ("MB", 1e6)):
    if number >= factor:
      return f"{number / factor:,.1f} {unit}" if number < 10 * factor else (
          f"{number / factor:,.0f} {unit}")
  return f"{number / 1e3:,.0f} kB"


def _cause(sets: Mapping[str, Set]) -> str:
  counts = {video: count for found in sets.values()
            for video, count in zip(found.ids, found.counts, strict=True)}
  longest = max(counts, key=counts.get)
  usual = int(np.median(list(counts.values())))
  if counts[longest] > 2 * usual:
    return (f"{longest!r} alone has {counts[longest]:,} proposals, half of the {len(counts):,} "
            f"videos at most {usual:,}")
  return f"{len(counts):,} videos have {counts[longest]:,} proposals at most"


def _limit(path: pathlib.Path) -> int:
  """0: none."""
  try:
    return int(path.read_text())
  except (OSError, ValueError):  # "max"
    return 0


def _existing(path: pathlib.Path) -> pathlib.Path:
  path = path.absolute()
  return next(place for place in (path, *path.parents) if place.exists())
