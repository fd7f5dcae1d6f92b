"""The sound of a video: whether browsers play it, and the copy of it that a proxy gets.

The copy is AAC. Sample i of it is what is heard i / RATE seconds after the video's time 0, whenever
the sound of the file starts, and whatever is missing in it: that becomes silence.

PyAV decodes and encodes; it is imported where it is used.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from absl import logging

from tal_jax.errors import DataError
from tal_jax.video.fingerprint import fingerprint
from tal_jax.video.streams import pyav

RATE = 48000  # samples a second
_PLAYED = ("aac", "mp3", "opus", "vorbis", "flac")
_BLOCK = 1024  # samples that AAC takes at a time
_BITS = 128_000  # a second
_SLACK = RATE // 20  # samples by which times may be off, rounded as they are, before they count


def is_heard(path: str | os.PathLike) -> bool:
  """Whether a browser that plays this file plays sound with it."""
  try:
    return _is_heard(os.fspath(path), tuple(fingerprint(path).items()))
  except (OSError, DataError):
    return False


@functools.lru_cache(maxsize=4096)
def _is_heard(path: str, state: tuple[tuple[str, Any], ...]) -> bool:
  """Of this state of the file."""
  av = pyav()
  try:
    with av.open(f"file:{path}") as container:
      return any(_codec(stream) in _PLAYED for stream in container.streams.audio)
  except (av.error.FFmpegError, OSError):
    return False


def _codec(stream: Any) -> str:
  context = stream.codec_context  # None if there is no decoder
  return context.codec.canonical_name if context else ""


class Copy:
  """Writes the sound of a file beside the video of a proxy; nothing, if there is none.

  Made before the proxy gets its first packet. A sound that cannot be decoded is left out, and a
  line says so.
  """

  def __init__(self, path: str | os.PathLike, start: Fraction, container: Any):
    """
    Args:
      path: the video.
      start: its time 0, seconds of its own stamps.
      container: of the proxy.
    """
    self._container, self._stream, self._written = container, None, 0
    self._blocks = _blocks(_joined(_pieces(path, start)))
    self._next = next(self._blocks, None)
    if self._next is not None:
      self._stream = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=_BITS)
    elif _has_track(path):
      logging.warning("%s: its sound cannot be decoded: the annotators see it without", path)

  def until(self, seconds: Fraction | float) -> None:
    """Writes on until that time of the video, or the end of the sound."""
    av = pyav()
    while self._next is not None and self._written < seconds * RATE:
      frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(self._next), format="fltp",
                                         layout="stereo")
      frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
      self._written += self._next.shape[1]
      self._container.mux(self._stream.encode(frame))
      self._next = next(self._blocks, None)

  def close(self) -> None:
    """Writes what the encoder still holds."""
    if self._stream is not None:
      self._container.mux(self._stream.encode())


def _has_track(path: str | os.PathLike) -> bool:
  with pyav().open(f"file:{os.fspath(path)}") as container:
    return bool(container.streams.audio)


def _pieces(path: str | os.PathLike, start: Fraction) -> Iterator[tuple[int | None, np.ndarray]]:
  """Yields what can be decoded, [2, n] float32, and the sample from `start` at which it begins.

  That is None where the file does not tell. What comes after damage that ends the file is not
  there.
  """
  av = pyav()
  try:
    with av.open(f"file:{os.fspath(path)}") as container:
      stream = container.streams.best("audio")
      if stream is None or not _codec(stream):
        return
      resampler = None
      for packet in container.demux(stream):
        try:
          frames = packet.decode()
        except av.error.FFmpegError:  # this part is missing
          continue
        for frame in frames:
          shape = frame.format.name, frame.layout.name, frame.sample_rate
          if resampler is None or resampler[0] != shape:  # some broadcasts change in the middle
            resampler = shape, av.AudioResampler("fltp", "stereo", RATE)
          at = None if frame.pts is None else round((frame.pts * frame.time_base - start) * RATE)
          for piece in resampler[1].resample(frame):
            yield at, piece.to_ndarray()
            at = None
  except (av.error.FFmpegError, OSError, ValueError):
    return


def _joined(pieces: Iterator[tuple[int | None, np.ndarray]]) -> Iterator[np.ndarray]:
  """The pieces from sample 0 on, one after the other, with silence where there is a gap."""
  written, slack = 0, 0
  for at, piece in pieces:
    if at is None or abs(at - written) <= slack:
      at = written
    while at > written:
      silence = np.zeros((2, min(at - written, RATE)), np.float32)
      written += silence.shape[1]
      yield silence
    piece = piece[:, written - at:]
    written += piece.shape[1]
    slack = _SLACK if written else 0  # the first sound is where it is to the sample
    yield piece


def _blocks(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
  """The same samples in blocks of _BLOCK; the last may be shorter."""
  left = np.zeros((2, 0), np.float32)
  for piece in pieces:
    left = np.concatenate([left, piece], axis=1)
    whole = left.shape[1] // _BLOCK
    for k in range(whole):
      yield left[:, k * _BLOCK:(k + 1) * _BLOCK]
    left = left[:, whole * _BLOCK:]
  if left.shape[1]:
    yield left
