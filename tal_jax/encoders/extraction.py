"""From one video file to one file of features, in memory that does not grow with the video."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.records import TimeGrid
from tal_jax.encoders.encoder import Encoder
from tal_jax.video.frames import windows
from tal_jax.video.streams import VideoFault


class Extracted(NamedTuple):
  """What came out of one video."""

  rows: int
  frames: int  # that went through the network, with those of overlapping windows counted again
  duration: float  # seconds
  warnings: tuple[str, ...]  # what is wrong with the video, which is used nevertheless


def extract(video: str | os.PathLike, output: str | os.PathLike, encoder: Encoder,
            apply: Callable[[Any, np.ndarray], Any], grid: TimeGrid, *, batch: int, dtype: str,
            progress: Callable[[int], None] = lambda frames: None) -> Extracted:
  """Writes the features of a video, [rows, d], as an .npy file that appears when it is complete.

  Args:
    video: the file.
    output: the .npy file.
    encoder: the network.
    apply: `encoder.apply`, compiled; it sees one shape.
    grid: of the rows; see `windows`.
    batch: windows per call.
    dtype: "float16" or "float32".
    progress: called with the number of frames done since the last call.

  Raises:
    VideoFault: the video cannot be used, or a feature is not finite in `dtype`.
  """
  rows, duration, warnings = 0, 0.0, ()
  waiting = None  # features that the device works on while the next batch is decoded
  with _npy_rows(output, encoder.dim, dtype) as write:

    def finish(features, num_valid):
      with np.errstate(over="ignore"):  # reported below
        values = np.asarray(features)[:num_valid].astype(dtype)
      if not np.isfinite(values).all():
        raise VideoFault(f"{video}: features that are not finite in {dtype}")
      write(values)
      progress(num_valid * int(grid.window))

    for step in windows(video, grid, resize=encoder.resize, size=encoder.size, batch=batch):
      features = apply(encoder.params, step.frames)
      if waiting is not None:
        finish(*waiting)
      waiting = features, step.num_valid
      rows, duration, warnings = rows + step.num_valid, step.end, step.warnings
    finish(*waiting)
  return Extracted(rows, rows * int(grid.window), duration, warnings)


@contextlib.contextmanager
def _npy_rows(path: str | os.PathLike, dim: int, dtype: str) -> Iterator[Callable]:
  """Gives a function that appends rows to an .npy file whose length is not known beforehand."""
  path = pathlib.Path(path)
  part = path.with_name(path.name + ".part")
  rows = 0

  def header(stream):
    # NumPy leaves room for the first dimension to grow, so the header's size stays.
    np.lib.format.write_array_header_1_0(stream, {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
        "shape": (rows, dim)})

  def write(values):
    nonlocal rows
    stream.write(np.ascontiguousarray(values).tobytes())
    rows += len(values)

  try:
    with part.open("wb") as stream:
      header(stream)
      start = stream.tell()
      yield write
      stream.seek(0)
      header(stream)
      assert stream.tell() == start
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)
