"""A video in which each frame shows its number, and a script that reads it from the screen."""

from fractions import Fraction

import numpy as np

BITS = 8
SIZE = 32 * BITS, 96  # pixels

# The number that a page's video shows: read from its pixels, not from the page.
SEEN = f"""((bits) => {{
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [32 * bits, 96];
  const context = canvas.getContext('2d');
  context.drawImage(document.querySelector('.screen video'), 0, 0, canvas.width, canvas.height);
  const {{data}} = context.getImageData(0, 48, canvas.width, 1);
  return Array.from({{length: bits}}, (_, bit) => (data[4 * (32 * bit + 16)] > 128) << bit)
    .reduce((a, b) => a + b, 0);
}})({BITS})"""


def draw(path, *, frames=120, rate=25, sound=False):
  """Writes the video: H.264 in MP4, the number of a frame as black and white bars.

  Args:
    path: the file.
    frames: how many.
    rate: of them a second.
    sound: adds a track of silence.
  """
  import av

  with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
    stream = file.add_stream("libx264", rate=Fraction(rate),
                             options={"g": "12", "preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
    if sound:
      _add_silence(av, file, frames / rate)
    for k in range(frames):
      bars = np.array([235 if k >> bit & 1 else 20 for bit in range(BITS)], np.uint8)
      image = np.ascontiguousarray(np.broadcast_to(np.repeat(bars, 32), SIZE[::-1]))
      file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
    file.mux(stream.encode())
  return path


def _add_silence(av, file, seconds):
  track = file.add_stream("aac", rate=16000, layout="mono")
  silence = np.zeros((1, round(16000 * seconds)), np.float32)
  frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
  frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
  file.mux(track.encode(frame) + track.encode())
