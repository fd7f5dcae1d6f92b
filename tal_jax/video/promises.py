"""How long a file says that its video is, to tell those that were cut off.

No single number will do: without its index, the duration of an AVI is estimated from the bytes that
are there, while its header still tells how many frames there were; Matroska tells the longest
stream's, and often each one's in a tag; the parts of a fragmented MP4 tell nothing but their bytes.
"""

from __future__ import annotations

import os
import re
from fractions import Fraction
from typing import Any, NamedTuple

from tal_jax.video.streams import VideoFault, pyav

_TRUNCATED = 1.0, 0.02  # seconds, part of the duration that may be missing at the end
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


class Promise(NamedTuple):
  """What a header tells."""

  video: float | None  # seconds from time 0 to the end of the video
  longest: float | None  # the same of the longest stream, where the video's own is not told


def is_bare(container: Any) -> bool:
  """Whether a file is a stream without a container, which has neither a header nor times."""
  return bool(container.format.flags & pyav().format.Flags.no_timestamps.value)


def promise(container: Any, stream: Any, origin: Fraction) -> Promise:
  """What the header tells of `stream`; `origin` is the stamp of time 0 in seconds."""
  if is_bare(container):  # what FFmpeg tells is a guess by the file's size
    return Promise(None, None)
  told = []
  if stream.duration:
    told.append(float(stream.duration * stream.time_base))
  # The list of edits of an MP4 may leave out any number of its frames.
  if stream.frames and stream.average_rate and "mp4" not in container.format.name.split(","):
    told.append(float(stream.frames / stream.average_rate))
  told += [_seconds(value) - float(origin) for key, value in stream.metadata.items()
           if key.upper().startswith("DURATION") and _CLOCK.fullmatch(value)]
  # Matroska's may be the last timestamp, which counts the time before the first one, too.
  whole = container.duration / 1e6 - float(origin) if container.duration else None
  if whole is not None and len(container.streams) == 1:
    told.append(whole)
  return Promise(max(told), None) if told else Promise(None, whole)


def require_whole(path: str | os.PathLike, promised: Promise, end: float, reach: float) -> None:
  """Raises VideoFault if a file ends long before what its header tells.

  Args:
    path: the file.
    promised: from its header.
    end: seconds at which its video ends.
    reach: seconds at which the last of its streams ends.
  """
  seconds, part = _TRUNCATED
  for wanted, found in ((promised.video, end), (promised.longest, max(end, reach))):
    if wanted is not None and wanted - found > max(seconds, part * wanted):
      raise VideoFault(f"{path} ends at {found:.1f} s of the {wanted:.1f} s that its header tells: "
                       "it was cut off")


def require_parts(path: str | os.PathLike, container: Any) -> None:
  """Raises VideoFault if the last part of a fragmented MP4 is not all there."""
  if "mp4" not in container.format.name.split(","):
    return
  size, at, parts = os.path.getsize(path), 0, False
  with open(path, "rb") as file:
    while at + 8 <= size:
      file.seek(at)
      head = file.read(16)
      length, kind = int.from_bytes(head[:4], "big"), head[4:8]
      if length == 1:  # it does not fit into 32 bits
        length = int.from_bytes(head[8:], "big")
      if length < 8:  # 0: to the end of the file
        return
      parts |= kind == b"moof"
      at += length
  if parts and at > size:
    raise VideoFault(f"{path} lacks {at - size} bytes of its last part: it was cut off")


def _seconds(clock: str) -> float:
  """Seconds of a duration such as 00:01:02.500."""
  hours, minutes, seconds = _CLOCK.fullmatch(clock).groups()
  return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
