"""Damage that decoders conceal is counted, and told with the place of the first."""

import numpy as np
import pytest

from tal_jax.video.damage import Tally
from tal_jax.video.decoding import decode
from tal_jax.video.streams import VideoFault
from tests.encoders.drawing import copy_packets, draw

av = pytest.importorskip("av")


def told(path):
  *_, end = decode(path)
  return end.warnings


def noise(count):
  return np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
  """8 s at 10 frames a second, every frame of its own."""
  return draw(tmp_path_factory.mktemp("video") / "a.mkv", np.arange(80) / 10, codec="mjpeg",
              pixels="yuvj420p", ticks=10)


def test_packets_that_cannot_be_decoded(stills, tmp_path):
  path = copy_packets(tmp_path / "a.mkv", stills,
                      change=lambda k, data: bytes(64) if k in (30, 31, 50) else data)
  assert told(stills) == ()
  assert told(path) == ("3 of 80 frames are missing, the first at 3.0 s",)
  *frames, end = decode(path)
  assert len(frames) == 77 and float(end.start) == pytest.approx(8.0)


def test_packets_that_are_not_there(stills, tmp_path):
  path = copy_packets(tmp_path / "a.mkv", stills,
                      change=lambda k, data: None if 40 <= k < 60 else data)
  assert told(path) == ("20 of 80 frames are missing, the first at 4.0 s",)


def test_frames_that_the_decoder_fills_in(tmp_path):
  """As many as the decoder itself calls corrupt."""
  whole = draw(tmp_path / "a.avi", np.arange(60) / 10, images=noise(60), codec="mpeg4",
               pixels="yuv420p", ticks=10)

  path = copy_packets(tmp_path / "b.avi", whole,
                      change=lambda k, data: data[:len(data) // 2] if k in (25, 27) else data)
  with av.open(str(path)) as container:
    flagged = [frame.time for frame in container.decode(video=0) if frame.is_corrupt]
  assert flagged == [2.5, 2.7] and told(whole) == ()
  assert told(path) == ("2 of 60 frames are damaged, the first at 2.5 s",)


def test_too_much_damage_is_a_fault(stills, tmp_path):
  def without(number):
    return copy_packets(tmp_path / f"{number}.mkv", stills,
                        change=lambda k, data: bytes(64) if 10 <= k < 10 + number else data)

  assert told(without(20)) == ("20 of 80 frames are missing, the first at 1.0 s",)
  with pytest.raises(VideoFault, match=r"21 of 80 frames are damaged, the first at 1\.0 s: more"):
    told(without(21))


def test_a_rate_that_varies_has_no_gaps(tmp_path):
  times = [0.0, 0.1, 0.3, 0.4, 0.7, 0.8, 1.2, 1.3, 1.5, 1.6, 2.9]
  assert told(draw(tmp_path / "a.mkv", times)) == ()


def test_times_that_are_guessed_have_no_gaps(tmp_path):
  """A program stream has a time per packet of some 2 KB, here of a dozen frames or more."""
  path = draw(tmp_path / "a.mpg", np.arange(30) / 30, codec="mpeg1video", pixels="yuv420p",
              ticks=30)
  assert told(path) == ()


def count(times, damaged=(), fails=0, ends=()):
  tally = Tally()
  for time in times:
    tally.frame(time, time in damaged)
  for _ in range(fails):
    tally.fail(0.7)
  return tally.report("a.mp4", ends)


def test_gaps_of_a_constant_rate():
  times = [k / 30 for k in range(300) if not 90 <= k < 100 and k != 200]
  assert count(times) == ("11 of 300 frames are missing, the first at 3.0 s",)
  rounded = [round(time, 3) for time in times]  # as Matroska does
  assert count(rounded) == ("11 of 300 frames are missing, the first at 3.0 s",)
  pause = [k / 30 + 1.015 * (k > 90) for k in range(300)]  # no whole number of frames
  assert count(pause) == ()
  assert count([0.0]) == count([0.0, 0.1, 0.7]) == ()
  short = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]
  assert count(short) == ("3 of 10 frames are missing, the first at 0.6 s",)
  assert count([*short, 1.3]) == ()  # a rate that varies, perhaps


def test_pictures_before_the_first_and_behind_the_last_that_can_be_decoded():
  times = [k / 10 for k in range(12, 100)]
  assert count(times, ends=(0.0, 9.9)) == ("12 of 100 frames are missing, the first at 0.0 s",)
  assert count(times, ends=(1.2, 10.2)) == ("3 of 91 frames are missing, the first at 10.0 s",)
  assert count(times, ends=(1.1, 10.0)) == ()  # by the order of storage


def test_damaged_and_missing_are_told_apart():
  times = [k / 10 for k in range(100) if k not in (50, 51)]
  assert count(times, damaged=(2.0, 2.1)) == (
      "2 of 100 frames are damaged, the first at 2.0 s",
      "2 of 100 frames are missing, the first at 5.0 s")
  assert count([0.0, 0.1, 0.5, 0.55, 0.9, 1.0, 1.1], fails=2) == (
      "2 of 9 frames are missing, the first at 0.7 s",)
  with pytest.raises(VideoFault, match=r"a\.mp4: 3 of 10 frames are damaged, the first at 0\.1 s"):
    count([k / 10 for k in range(10)], damaged=(0.1, 0.2, 0.3))
