"""What browsers can play and step as it is, and what needs a proxy (`proxies`).

A page steps to frame k by seeking to (k + 1/2) / fps, so what it plays must have a constant frame
rate, start at 0 and have a key frame every few seconds; it must also be in a codec and container
that browsers know, and of square pixels.

A probe reads the packets and decodes a single frame. PyAV (extra `annotate`) does both; it is
imported where it is used.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tal_jax.video import promises
from tal_jax.video.decoding import decode
from tal_jax.video.fingerprint import fingerprint
from tal_jax.video.frames import ROUNDING
from tal_jax.video.orientation import described, orientation, size_on_screen
from tal_jax.video.streams import VideoFault, pyav, video_streams
from tal_jax.video.timestamps import origin

_CODECS = ("h264", "vp8", "vp9", "av1")
_PIXELS = ("yuv420p", "yuvj420p")
_KEY_SECONDS = 2.0  # at most from one key frame to the next: stepping back decodes from there
_JITTER = 1.5e-3  # seconds off the constant rate that rounding to milliseconds explains
_RATES = 1, 60  # frames per second of a proxy
_SAVE_EVERY = 10.0  # seconds: what a killed run has to probe again
_PROBES = "probes.json"


class Probe(NamedTuple):
  """What is known of a video without decoding it. Sizes are of square pixels, upright."""

  duration: float  # seconds
  fps: float
  num_frames: int
  width: int
  height: int
  obstacle: str  # why a browser cannot step it exactly; "" if it can


def probe(path: str | os.PathLike) -> Probe:
  """Looks at a video.

  Raises:
    VideoFault: it cannot be used.
    DataError: PyAV is not installed.
  """
  av = pyav()
  try:
    with av.open(f"file:{os.fspath(path)}") as container:  # a name with a colon is no protocol
      streams = video_streams(path, container)
      stream, reach, packets = streams[0], Fraction(0), []
      for packet in container.demux():
        if packet.size and packet.pts is not None:
          reach = max(reach, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream.index == stream.index and packet.size and not packet.is_discard:
          packets.append((packet.pts, packet.duration or 0, packet.is_keyframe))
      if not packets or None in [stamp for stamp, _, _ in packets]:
        return _decoded(path, "packets without timestamps")
      container.seek(0)
      frame = next(container.decode(stream), None)
      if frame is None:
        raise VideoFault(f"{path} holds a video stream without a frame that can be decoded")
      unit, rate = float(stream.time_base), stream.average_rate
      packets.sort()
      stamps = np.array([stamp for stamp, _, _ in packets]) * unit
      first = packets[0][0] * stream.time_base
      start = origin(container, first, first)
      stamps = stamps - float(start)
      rate = _rate(stamps, rate)
      end = round(float(stamps[-1] + (packets[-1][1] * unit or 1 / float(rate))), 6)
      promises.require_whole(path, promises.promise(container, stream, start), end,
                             float(reach - start))
      promises.require_parts(path, container)
      keys = stamps[[key for _, _, key in packets]]
      obstacle = (_unknown(path, container, streams) or _shape(frame, stream)
                  or _timing(stamps, keys, float(start), end, float(rate)))
      width, height = size_on_screen(frame, Fraction(stream.sample_aspect_ratio or 1))
  except (av.error.FFmpegError, OSError) as error:
    raise VideoFault(f"{path} cannot be read ({error.strerror}): is the file complete, and a "
                     "video?") from error
  rate = proxy_rate(rate) if obstacle else rate
  count = _num_samples(end, rate) if obstacle else len(packets)
  return Probe(end, float(rate), count, width, height, obstacle)


def probe_all(paths: Mapping[str, pathlib.Path], folder: str | os.PathLike, *,
              progress: Callable[[int, int], None] = lambda done, total: None
              ) -> tuple[dict[str, Probe], dict[str, str]]:
  """Probes of many videos, and the faults of those that have none; by id, in order.

  What was seen is kept in `folder`, and a file that has not changed is not looked at again.
  """
  file = pathlib.Path(folder) / _PROBES
  try:
    known = json.loads(file.read_text(encoding="utf-8"))
  except (FileNotFoundError, ValueError):  # only a memory: it is made again
    known = {}
  seen, saved = {}, time.monotonic()
  for done, (video_id, path) in enumerate(paths.items(), 1):
    now = fingerprint(path)
    entry = known.get(video_id)
    if entry is None or entry["input"] != now:
      try:
        entry = {"input": now, "probe": probe(path)._asdict()}
      except VideoFault as error:
        entry = {"input": now, "fault": str(error)}
    seen[video_id] = entry
    progress(done, len(paths))
    if time.monotonic() - saved > _SAVE_EVERY:
      _write_json(file, known | seen)
      saved = time.monotonic()
  if seen != known:
    _write_json(file, seen)
  return ({key: Probe(**entry["probe"]) for key, entry in seen.items() if "probe" in entry},
          {key: entry["fault"] for key, entry in seen.items() if "fault" in entry})


def _decoded(path: str | os.PathLike, obstacle: str) -> Probe:
  """The probe of a stream that must be decoded to learn how long it is."""
  width = height = count = 0
  for shown in decode(path):
    if shown.frame is not None and not count:
      width, height = size_on_screen(shown.frame, shown.aspect)
    count += shown.frame is not None
  rate = proxy_rate(count / float(shown.start))
  return Probe(float(shown.start), float(rate), _num_samples(float(shown.start), rate), width,
               height, obstacle)


def _unknown(path: str | os.PathLike, container: Any, streams: list[Any]) -> str:
  names = container.format.name.split(",")
  if "mp4" not in names and not ("webm" in names and str(path).endswith(".webm")):
    return f"container {container.format.name}"
  if len(streams) > 1:
    return f"{len(streams)} video streams"
  stream = streams[0]
  codec = stream.codec_context.codec.canonical_name
  if codec not in _CODECS:
    return f"codec {codec}"
  if stream.codec_context.pix_fmt not in _PIXELS:
    return f"pixels {stream.codec_context.pix_fmt}"
  return ""


def _shape(frame: Any, stream: Any) -> str:
  if Fraction(stream.sample_aspect_ratio or 1) != 1:
    return f"pixels of {stream.sample_aspect_ratio}"
  return described(orientation(frame))


def _rate(stamps: np.ndarray, told: Fraction | None) -> float | Fraction:
  """Frames per second: what the file tells, or what the times [n] of the frames do.

  What a file tells is the mean over its length, in which a last frame that is cut short has a small
  share: frames 0.1 s apart would pass for 10.02 a second, and for one of no constant rate.
  """
  if told is not None and not _RATES[0] / 100 < told < 1000:
    told = None
  if len(stamps) < 2:
    return told or 25
  spaced = (len(stamps) - 1) / (stamps[-1] - stamps[0])
  whole = Fraction(spaced).limit_denominator(1001)
  if told is None or _off(stamps, float(told)) > _JITTER >= _off(stamps, float(whole)):
    return whole or spaced
  return told


def _off(stamps: np.ndarray, rate: float) -> float:
  """Seconds by which frames are off a constant rate, at most."""
  return np.inf if not rate else np.abs(stamps - np.arange(len(stamps)) / rate).max()


def _timing(stamps: np.ndarray, keys: np.ndarray, start: float, end: float, rate: float) -> str:
  """Obstacles in the times of the frames [n] and key frames, ascending seconds from `start` on."""
  off = _off(stamps, rate)
  if abs(start) > _JITTER:  # browsers do not agree on what their 0 is then
    return f"starts at {start:.3f} s"
  if stamps[0] > _JITTER:
    return f"the first frame at {stamps[0]:.3f} s"
  if off > _JITTER:
    return f"a frame {off:.3f} s off a constant rate"
  gap = np.diff(np.append(keys, end)).max() if len(keys) else end
  return f"{gap:.1f} s without a key frame" if gap > _KEY_SECONDS + 1 / rate else ""


def proxy_rate(rate: float | Fraction) -> Fraction:
  """Frames per second of the proxy of a video with this rate."""
  return min(max(Fraction(rate).limit_denominator(1001), Fraction(_RATES[0])), Fraction(_RATES[1]))


def _num_samples(duration: float, rate: Fraction) -> int:
  """How many k / rate are before the end, the decoder's rounding taken off; at least 1."""
  return max(1, int(-(-(Fraction(duration) - ROUNDING) * rate // 1)))


def _write_json(path: pathlib.Path, value: Any) -> None:
  part = part_of(path)
  part.write_text(json.dumps(value, indent=1), encoding="utf-8")
  os.replace(part, path)


def part_of(path: pathlib.Path) -> pathlib.Path:
  """Of this process: a server and a learner may both be at work in the folder."""
  return path.with_name(f"{path.name}.{os.getpid()}.part")
