"""The sound of proxies: it is there, and heard when it was.

The oracle is a click in a sound that is silent otherwise, at a known time.
"""

import logging
from fractions import Fraction

import numpy as np
import pytest

from tal_jax.annotation.videos import media, proxies, sound
from tests.encoders.drawing import draw

av = pytest.importorskip("av", reason="the extra 'annotate' is not installed")
RATE, SECONDS, CLICK = 16000, 3.0, 1.5  # the click is so long after the first frame


def film(path, *, begins=0.0, shift=0.0, gap=False, rate=RATE, codec="pcm_s16le", layout="mono",
         damaged=0.0):
  """A grey video of 30 frames, 10 a second, that clicks.

  Its sound begins `begins` seconds after the first frame; `shift` is added to all times; with `gap`
  there is none in the second before the click; nothing can be decoded of its first `damaged` s.
  """
  with av.open(str(path), "w") as container:
    stream = container.add_stream("ffv1", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
    track = container.add_stream(codec, rate=rate, layout=layout)
    stream.codec_context.time_base = Fraction(1, 1000)
    for k in range(30):
      frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * k, np.uint8), format="rgb24")
      frame.pts, frame.time_base = round(100 * k + 1000 * shift), Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
    packets = []
    wave = np.zeros(round((SECONDS - begins) * rate), np.int16)
    at = round((CLICK - begins) * rate)
    wave[at:at + rate // 100] = 20000
    for first in range(0, len(wave), rate // 10):
      if gap and at - rate <= first < at - rate // 10:
        continue
      piece = wave[first:first + rate // 10]
      frame = av.AudioFrame.from_ndarray(
          np.repeat(piece, 2 if layout == "stereo" else 1)[None], format="s16", layout=layout)
      frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
      frame.pts = first + round((begins + shift) * rate)
      packets += track.encode(frame)
    for packet in packets + track.encode():
      container.mux(_spoilt(packet) if packet.pts * packet.time_base < damaged else packet)
  return path


def _spoilt(packet):
  junk = av.Packet(bytes(packet.size))
  junk.pts, junk.dts, junk.time_base = packet.pts, packet.dts, packet.time_base
  junk.duration, junk.stream = packet.duration, packet.stream
  return junk


def click(path):
  """When the proxy's sound becomes loud, and how long it is, seconds."""
  times, loud = [], []
  with av.open(str(path)) as container:
    stream = container.streams.audio[0]
    for frame in container.decode(stream):
      values = np.abs(frame.to_ndarray()).max(0)
      times.append(frame.pts * frame.time_base + np.arange(len(values)) / frame.sample_rate)
      loud.append(values)
  times, loud = np.concatenate(times).astype(float), np.concatenate(loud)
  return times[np.argmax(loud > loud.max() / 2)], times[-1]


def proxy_of(path):
  looked_at = media.probe(path)
  made = proxies.playable("a", path, looked_at, path.parent)
  assert made != path
  again = media.probe(made)
  assert (again.obstacle, again.num_frames) == ("", looked_at.num_frames)
  return made


@pytest.mark.parametrize("options", [
    {}, {"begins": 0.7}, {"begins": -0.3}, {"shift": 5.0}, {"shift": 5.0, "begins": 0.7},
    {"gap": True}, {"rate": 44100, "layout": "stereo"}, {"codec": "ac3", "rate": 48000},
    {"codec": "ac3", "rate": 48000, "damaged": 0.5}])
def test_sound_is_heard_when_it_was(tmp_path, options):
  proxy = proxy_of(film(tmp_path / "a.mkv", **options))
  assert sound.is_heard(proxy)
  at, end = click(proxy)
  before = max(0.0, -options.get("begins", 0.0))  # time 0 is where the file begins
  assert at == pytest.approx(before + CLICK, abs=5e-3)
  assert end <= before + SECONDS + 0.03


def test_a_sound_that_cannot_be_decoded_is_left_out(tmp_path, caplog):
  path = film(tmp_path / "a.mkv", codec="ac3", rate=48000, damaged=9.0)
  with caplog.at_level(logging.WARNING):
    proxy = proxy_of(path)
  assert not sound.is_heard(proxy)
  assert [record.getMessage() for record in caplog.records] == [
      f"{path}: its sound cannot be decoded: the annotators see it without"]


def test_sound_that_browsers_do_not_play(tmp_path):
  assert not sound.is_heard(film(tmp_path / "a.mkv", codec="ac3", rate=48000))
  assert sound.is_heard(film(tmp_path / "b.mkv", codec="flac"))
  assert not sound.is_heard(tmp_path / "missing.mp4")


def test_a_video_without_sound(tmp_path, caplog):
  proxy = proxy_of(draw(tmp_path / "a.mkv", np.arange(12) / 10))
  assert not sound.is_heard(proxy) and not caplog.records
