"""Draws small videos whose every frame tells when it was shown."""

from fractions import Fraction

import numpy as np
import pytest

STEP = 8  # grey levels from one frame to the next: more than a lossy codec blurs


def draw(path, times, *, size=(64, 48), images=None, codec="ffv1", pixels="bgr0", aspect=None,
         ticks=1000, rate=10, audio=False):
  """Writes a video with one frame at each of `times` (seconds), each of grey level STEP * index.

  The container follows the suffix; `size` is (width, height); `aspect` that of a pixel; `images`
  are [h, w, 3] uint8 in place of the grey ones. Time counts in 1 / `ticks` s; of a variable rate
  (1,000 ticks) the header says `rate`.
  """
  av = pytest.importorskip("av")
  width, height = size
  with av.open(f"file:{path}", "w") as container:
    stream = container.add_stream(codec, rate=rate if ticks == 1000 else ticks)
    stream.width, stream.height, stream.pix_fmt = width, height, pixels
    stream.codec_context.time_base = Fraction(1, ticks)
    if aspect is not None:
      stream.codec_context.sample_aspect_ratio = aspect
    sound = container.add_stream("pcm_s16le", rate=8000) if audio else None
    for index, time in enumerate(times):
      grey = np.full((height, width, 3), STEP * index % 256, np.uint8)
      frame = av.VideoFrame.from_ndarray(grey if images is None else images[index], format="rgb24")
      frame.pts, frame.time_base = round(time * ticks), Fraction(1, ticks)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
    if sound is not None:
      _mux_silence(av, container, sound, times[-1])
  return path


def draw_colour(path, levels, matrix, *, rate, count):
  """Writes `count` frames of 64 x 64 pixels of one colour (Y, Cb, Cr) in the `matrix` named."""
  av = pytest.importorskip("av")
  with av.open(f"file:{path}", "w") as container:
    stream = container.add_stream("mpeg2video", rate=rate)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    stream.codec_context.colorspace = av.video.reformatter.Colorspace[matrix].value
    for index in range(count):
      frame = av.VideoFrame(64, 64, "yuv420p")
      for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
      frame.pts = index
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


def draw_sound(path, seconds=1.0):
  """Writes a file that has audio only; an .mp3 with a picture as its cover."""
  av = pytest.importorskip("av")
  with av.open(f"file:{path}", "w") as container:
    if path.suffix != ".mp3":
      _mux_silence(av, container, container.add_stream("pcm_s16le", rate=8000), seconds)
      return path
    sound, cover = container.add_stream("libmp3lame", rate=8000), container.add_stream("png", 1)
    cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
    cover.disposition = av.stream.Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
    frame.pts = 0
    container.mux(cover.encode(frame) + cover.encode())
    _mux_silence(av, container, sound, seconds)
  return path


def turn_clockwise(path, height):
  """Writes a display matrix of 90 degrees into an MP4 whose frames are `height` pixels high."""
  content = bytearray(path.read_bytes())
  matrix = content.index(b"tkhd") + 4 + 40  # version, times, id, duration, layer, volume
  one = 0x10000
  assert content[matrix:matrix + 4] == one.to_bytes(4, "big")
  for place, value in enumerate((0, one, 0, -one, 0, 0, height * one, 0, 0x40000000)):
    content[matrix + 4 * place:matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
  path.write_bytes(content)


def _mux_silence(av, container, stream, seconds):
  frame = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * seconds) or 1), np.int16),
                                     format="s16", layout="mono")
  frame.rate, frame.pts = 8000, 0
  container.mux(stream.encode(frame))
  container.mux(stream.encode())


def levels(frames):
  """Which frame of the drawing each image shows: [..., h, w, 3] -> [...]."""
  return np.rint(frames.mean(axis=(-3, -2, -1)) / STEP).astype(int)
