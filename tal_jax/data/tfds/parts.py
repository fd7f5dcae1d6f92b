"""Pools the videos of a data set in parallel, one file a video: what is done survives a kill.

A part is complete or not there, and belongs to inputs and settings of one fingerprint: parts of
others are not used.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
import tqdm

from tal_jax.data.tfds.inputs import Inputs
from tal_jax.encoders.pooling import encode
from tal_jax.errors import DataError


class Part(NamedTuple):
  """One video's proposals and their features; no rows for a video that cannot be used."""

  proposals: np.ndarray  # [p, 2] float64 seconds
  features: np.ndarray  # [p, d] float32 or float16
  whole: np.ndarray  # [d] float64, of the segment [0, duration]


def fingerprint(content: Mapping[str, Any]) -> str:
  """A name for everything that a part depends on."""
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def pool(inputs: Inputs, scratch: pathlib.Path, name: str) -> list[pathlib.Path]:
  """Makes the parts that are not there yet, on all cores, with a progress bar.

  Args:
    inputs: what to pool.
    scratch: a folder for parts alone; those of other fingerprints are removed.
    name: the fingerprint.

  Returns:
    The parts' files, in the order of the annotations; `load` reads them.

  Raises:
    DataError: a video that cannot be read, or numbers too large for the type.
  """
  folder = scratch / name
  folder.mkdir(parents=True, exist_ok=True)
  for other in scratch.iterdir():
    if other != folder:
      shutil.rmtree(other)
  ids = list(inputs.annotations.videos)
  files = [folder / f"{i:08d}.npz" for i in range(len(ids))]
  todo = [i for i, file in enumerate(files) if not _is_whole(file)]

  def work(i):
    _save(files[i], _pooled(inputs, ids[i]))

  # A product of one video's size is slower on all cores than on one.
  with (tqdm.tqdm(total=len(ids), initial=len(ids) - len(todo), unit="video") as bar,
        threadpoolctl.threadpool_limits(1),
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads):
    try:
      for done in concurrent.futures.as_completed([threads.submit(work, i) for i in todo]):
        done.result()
        bar.update()
    except BaseException:  # also Ctrl-C: what waits is not begun
      threads.shutdown(wait=False, cancel_futures=True)
      raise
  return files


def load(file: pathlib.Path) -> Part:
  """Reads a part."""
  with np.load(file) as arrays:
    return Part(*(arrays[field] for field in Part._fields))


def _pooled(inputs: Inputs, video_id: str) -> Part:
  dtype = np.dtype(inputs.settings.dtype)
  if video_id in inputs.unusable:
    return Part(np.zeros((0, 2)), np.zeros((0, 0), dtype), np.zeros(0))
  proposals = np.asarray(inputs.proposals(video_id), np.float64).reshape(-1, 2)
  frames, grid = inputs.features(video_id)
  whole = [[0.0, inputs.annotations.videos[video_id].duration]]
  rows = encode(frames, np.concatenate([proposals, whole]), grid, encoder=inputs.settings.encoder)
  with np.errstate(over="ignore"):  # reported below
    features = rows[:-1].astype(np.float32).astype(dtype)
  if not np.isfinite(features).all():
    raise DataError(f"{video_id}: a pooled feature of {np.abs(rows).max():.3g} is too large for "
                    f"{dtype}: choose dtype=float32, or scale the features.")
  return Part(proposals, features, rows[-1])


def _save(file: pathlib.Path, part: Part) -> None:
  unfinished = file.with_suffix(".part")
  with unfinished.open("wb") as stream:
    np.savez(stream, **part._asdict())
  os.replace(unfinished, file)


def _is_whole(file: pathlib.Path) -> bool:
  """Whether the part is there; a machine that lost power may have left an empty one."""
  try:
    with zipfile.ZipFile(file) as archive:
      return len(archive.namelist()) == len(Part._fields)
  except (OSError, zipfile.BadZipFile):
    return False
