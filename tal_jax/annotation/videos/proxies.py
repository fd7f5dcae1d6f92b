"""Proxies: videos as browsers can play and step them.

H.264 in MP4, the index at the front, a key frame every half second, no B-frames, the sound as AAC
(`sound`). Sample k of a proxy is the frame that is on the screen at k / fps of the source
(`encoders.video` says which that is), so that a time in the proxy is the same time in the video and
in its features.

PyAV (extra `annotate`) writes them; it is imported where it is used.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from tal_jax.annotation.videos import sound
from tal_jax.annotation.videos.media import Probe, part_of, proxy_rate
from tal_jax.errors import DataError
from tal_jax.video.fingerprint import fingerprint
from tal_jax.video.frames import sampled
from tal_jax.video.orientation import upright
from tal_jax.video.streams import pyav


def write_proxy(path: str | os.PathLike, output: str | os.PathLike, looked_at: Probe, *,
                height: int = 480) -> tuple[str, ...]:
  """Writes the proxy of a video; the file appears when it is complete.

  Args:
    path: the video.
    output: an .mp4 file.
    looked_at: the video's probe, which has the frame rate.
    height: pixels of the shorter side at most.

  Returns:
    What is to be told of the video: damage that it can be watched with.

  Raises:
    VideoFault: the video cannot be decoded to its end.
    DataError: PyAV is not installed, or has no H.264.
  """
  av = require_encoder()
  rate = proxy_rate(looked_at.fps)
  scale = min(1.0, height / min(looked_at.width, looked_at.height))
  size = [max(2, round(side * scale / 2) * 2) for side in (looked_at.width, looked_at.height)]
  output = pathlib.Path(output)
  part = part_of(output)
  told: list[str] = []
  try:
    with av.open(f"file:{part}", "w", format="mp4",
                 options={"movflags": "+faststart"}) as container:
      stream = container.add_stream("libx264", rate=rate, options={
          "crf": "20", "preset": "veryfast", "g": str(max(1, round(rate / 2))), "bf": "0"})
      stream.width, stream.height = size
      stream.pix_fmt = "yuv420p"
      stream.time_base = stream.codec_context.time_base = 1 / rate
      for index, (frame, start) in enumerate(_samples(path, rate, size, told)):
        if not index:
          # Browsers guess colours that are not named.
          stream.codec_context.color_range = frame.color_range
          stream.codec_context.colorspace = frame.colorspace
          heard = sound.Copy(path, start, container)
        frame.pts, frame.time_base, frame.pict_type = index, 1 / rate, 0
        container.mux(stream.encode(frame))
        heard.until((index + 1) / rate)
      container.mux(stream.encode())
      heard.close()
    os.replace(part, output)
  finally:
    part.unlink(missing_ok=True)
  return tuple(told)


def require_encoder() -> Any:
  """The module av. Raises DataError: it is not installed, or has no H.264."""
  av = pyav()
  if "libx264" not in av.codecs_available:
    raise DataError("this PyAV cannot write H.264 (libx264): install its wheel from PyPI, "
                    "pip install --force-reinstall --only-binary=:all: av")
  return av


def proxy_path(video_id: str, path: pathlib.Path, folder: str | os.PathLike) -> pathlib.Path:
  """Where the proxy of a video is, or would be; the name tells from which state of the file."""
  stamp = fingerprint(path)
  return pathlib.Path(folder) / f"{video_id}.{stamp['size']:x}.{stamp['mtime_ns']:x}.mp4"


def playable(video_id: str, path: pathlib.Path, looked_at: Probe, folder: str | os.PathLike, *,
             height: int = 480, tell: Callable[[str], None] = lambda line: None) -> pathlib.Path:
  """The file that the browser plays, made in `folder` if the video will not do and none is there.

  `tell` takes what `write_proxy` returns, line by line.

  Raises:
    VideoFault, DataError: as `write_proxy`.
  """
  if not looked_at.obstacle:
    return path
  proxy = proxy_path(video_id, path, folder)
  if not proxy.exists():
    for line in write_proxy(path, proxy, looked_at, height=height):
      tell(line)
  return proxy


def _samples(path: str | os.PathLike, rate: Fraction,
             size: list[int], told: list[str]) -> Iterator[tuple[Any, Fraction]]:
  """The frame on the screen at each time k / rate, upright and of square pixels, and the stamp of
  the video's time 0, seconds. What is wrong with the video is added to `told` at the end."""
  start = None
  for shown, _ in sampled(path, rate):
    if shown.frame is not None:
      if start is None:
        pts = shown.frame.pts
        start = Fraction(0) if pts is None else pts * shown.frame.time_base - shown.start
      yield upright(shown.frame, size), start
    told += shown.warnings
