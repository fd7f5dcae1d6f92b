"""Draws small videos whose every frame tells when it was shown."""

from fractions import Fraction

import numpy as np
import pytest

STEP = 8  # grey levels from one frame to the next: more than a lossy codec blurs


def draw(path, times, *, size=(64, 48), images=None, codec="ffv1", pixels="bgr0", aspect=None,
         ticks=1000, rate=10, audio=False, options=(), muxing=()):
  """Writes a video with one frame at each of `times` (seconds), each of grey level STEP * index.

  The container follows the suffix; `size` is (width, height); `aspect` that of a pixel; `images`
  are [h, w, 3] uint8 in place of the grey ones. Time counts in 1 / `ticks` s; of a variable rate
  (1,000 ticks) the header says `rate`. `options` are the codec's, `muxing` the container's.
  `audio`: True, or seconds of silence.
  """
  av = pytest.importorskip("av")
  width, height = size
  with av.open(f"file:{path}", "w", options=dict(muxing)) as container:
    stream = container.add_stream(codec, rate=rate if ticks == 1000 else ticks,
                                  options=dict(options))
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
      _mux_silence(av, container, sound, times[-1] if audio is True else audio)
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
  lay_down(path, 0, 1, -1, 0, across=height)


def lay_down(path, a, b, c, d, *, across=0, down=0):
  """Writes a display matrix into an MP4: (x, y) is shown at (a x + c y + across, b x + d y + down).
  """
  content = bytearray(path.read_bytes())
  matrix = content.index(b"tkhd") + 4 + 40  # version, times, id, duration, layer, volume
  one = 0x10000
  assert content[matrix:matrix + 4] == one.to_bytes(4, "big")
  values = a * one, b * one, 0, c * one, d * one, 0, across * one, down * one, 0x40000000
  for place, value in enumerate(values):
    content[matrix + 4 * place:matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
  path.write_bytes(content)


def copy_packets(path, source, *, change=lambda index, data: data, shift=0, muxing=()):
  """Copies a video packet by packet; `change` gives the bytes of each, None leaves it out.

  `shift` is added to the times, in the source's ticks; `muxing` are options of the container.
  """
  av = pytest.importorskip("av")
  with (av.open(f"file:{source}") as old,
        av.open(f"file:{path}", "w", options=dict(muxing)) as new):
    stream = new.add_stream_from_template(old.streams.video[0])
    packets = (packet for packet in old.demux(video=0) if packet.size)
    for index, packet in enumerate(packets):
      data = change(index, bytes(packet))
      if data is None:
        continue
      copy = av.Packet(data)
      copy.pts, copy.dts, copy.time_base = packet.pts + shift, packet.dts + shift, packet.time_base
      copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
      new.mux(copy)
  return path


def draw_pcm(path, count):
  """Writes a bare H.264 stream that does not say how fast it is, as some cameras do.

  Frame k is of grey level STEP * k, in 32 x 32 pixels that are stored as they are (I_PCM).
  """
  unit = b"\0\0\0\1"
  one, two = "1", "010"  # Exp-Golomb codes of 0 and 1
  stream = unit + _nal(0x67, "01000010" "11000000" "00001010" + one * 2 + "011" + one + "0"
                       + two * 2 + "1100" + "1")
  stream += unit + _nal(0x68, one * 2 + "00" + one * 3 + "000" + one * 3 + "000" + "1")
  for index in range(count):
    luma = round(16 + 219 * STEP * index / 255)
    block = "".join(f"{value:08b}" for value in [luma] * 256 + [128] * 128)
    bits = one + "0001000" + one + "0000" + (two if index % 2 else one) + "00" + one
    for _ in range(4):
      bits += "000011010"
      bits += "0" * (-len(bits) % 8) + block
    stream += unit + _nal(0x65, bits + "1")
  path.write_bytes(stream)
  return path


def _nal(kind, bits):
  """A unit of H.264: its kind, and bits in which no three bytes look like the start of a unit."""
  bits += "0" * (-len(bits) % 8)
  data, zeros = bytearray([kind]), 0
  for value in (int(bits[at:at + 8], 2) for at in range(0, len(bits), 8)):
    if zeros >= 2 and value <= 3:
      data.append(3)
      zeros = 0
    data.append(value)
    zeros = zeros + 1 if value == 0 else 0
  return bytes(data)


def _mux_silence(av, container, stream, seconds):
  total, size = int(8000 * seconds) or 1, 800
  for start in range(0, total, size):
    frame = av.AudioFrame.from_ndarray(np.zeros((1, min(size, total - start)), np.int16),
                                       format="s16", layout="mono")
    frame.rate, frame.pts = 8000, start
    container.mux(stream.encode(frame))
  container.mux(stream.encode())


def levels(frames):
  """Which frame of the drawing each image shows: [..., h, w, 3] -> [...]."""
  return np.rint(frames.mean(axis=(-3, -2, -1)) / STEP).astype(int)
