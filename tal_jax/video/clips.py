"""Cuts a long recording into clips, each a video of its own that starts at 0 s.

Frames are decoded and encoded again, since a copy of the stream could only be cut at its key
frames, seconds off. They are upright and of square pixels, as on the screen; sound is left out.
PyAV (extra `video`) does both; it is imported where it is used.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from fractions import Fraction

from tal_jax.errors import DataError
from tal_jax.video.decoding import Shown, decode
from tal_jax.video.orientation import size_on_screen, upright
from tal_jax.video.streams import pyav

_CODECS = (("libx264", {"crf": "18"}), ("mpeg4", {"qscale": "3"}))  # the first that there is
_TIME_BASE = Fraction(1, 90_000)


def cut(path: str | os.PathLike, times: Sequence[float], folder: str | os.PathLike, *,
        warn: Callable[[str], None] = lambda text: None) -> list[pathlib.Path]:
  """Writes the parts of a video between its start, the given times and its end.

  A frame belongs to the part in which it appears on the screen, so no frame is lost or doubled.

  Args:
    path: the video.
    times: seconds from the video's start, ascending and within it.
    folder: of the clips NAME_0.mp4, NAME_1.mp4 and so on; made if it does not exist.
    warn: called with each thing that is wrong with a video that is cut nevertheless.

  Returns:
    The paths of the clips, in order.

  Raises:
    DataError: no such file, no video in it, one that is damaged or cut off, times that leave a clip
      without a frame, or no PyAV.
  """
  av = pyav()
  path, folder = pathlib.Path(path), pathlib.Path(folder)
  if not path.is_file():
    raise DataError(f"{path}: no such video.")
  if list(times) != sorted(set(times)) or (len(times) and min(times) <= 0):
    raise DataError(f"The times to cut at must be above 0 and ascend: {list(times)}.")
  folder.mkdir(parents=True, exist_ok=True)
  clips = [folder / f"{path.stem}_{i}.mp4" for i in range(len(times) + 1)]
  # The name ends in .part until a clip is whole, so that a killed run leaves none that is cut off.
  parts = [clip.with_name(clip.name + ".part") for clip in clips]
  writers = [_Writer(part) for part in parts]
  try:
    for shown in decode(path):
      if shown.frame is not None:
        i = sum(float(shown.start) >= time for time in times)
        writers[i].write(shown, times[i - 1] if i else 0.0)
      for text in shown.warnings:
        warn(f"{path}: {text}")
    counts = [writer.close() for writer in writers]
    if 0 in counts:
      raise DataError(f"{path}: clip {counts.index(0)} would have no frame; cut within the video.")
    for part, clip in zip(parts, clips, strict=True):
      part.replace(clip)
  except av.error.FFmpegError as error:
    raise DataError(f"{path}: no clips can be written: {error}") from error
  finally:
    for part in parts:
      part.unlink(missing_ok=True)
  return clips


class _Writer:
  """One clip; opened with its first frame, which has the size."""

  def __init__(self, path: pathlib.Path):
    self.path, self.container, self.stream, self.count = path, None, None, 0

  def write(self, shown: Shown, start: float) -> None:
    frame = shown.frame
    if self.container is None:
      self.container = pyav().open(f"file:{self.path}", "w", format="mp4")
      codec, options = next(item for item in _CODECS if item[0] in pyav().codecs_available)
      self.stream = self.container.add_stream(codec, options=options)
      # Even sizes, as 4:2:0 needs them; at most one row or column is scaled away.
      self.stream.width, self.stream.height = (
          max(2, side // 2 * 2) for side in size_on_screen(frame, shown.aspect))
      self.stream.pix_fmt = "yuv420p"
      self.stream.time_base = self.stream.codec_context.time_base = _TIME_BASE
    copy = upright(frame, (self.stream.width, self.stream.height))
    if not self.count:  # else readers guess the matrix of the colours
      self.stream.codec_context.color_range = copy.color_range
      self.stream.codec_context.colorspace = copy.colorspace
    copy.pts, copy.time_base = round((shown.start - Fraction(start)) / _TIME_BASE), _TIME_BASE
    copy.pict_type = 0  # the encoder chooses its own key frames
    self.count += 1
    self.container.mux(self.stream.encode(copy))

  def close(self) -> int:
    """Ends the file and returns the number of its frames."""
    if self.container is not None:
      self.container.mux(self.stream.encode())
      self.container.close()
    return self.count
