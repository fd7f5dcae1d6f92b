"""Times of streams that have none, and which of several streams is decoded."""

from fractions import Fraction

import numpy as np
import pytest

from tal_jax.annotation.videos import media
from tal_jax.data.records import TimeGrid
from tal_jax.video.decoding import decode
from tal_jax.video.frames import windows
from tal_jax.video.streams import VideoFault
from tests.encoders.drawing import STEP, copy_packets, draw, draw_pcm, levels

av = pytest.importorskip("av")

ASSUMED = "no timestamps and no frame rate: 25 frames a second are assumed"


def read(path, fps):
  """Which frame is on the screen at each k / fps, the duration and what is told."""
  batches = list(windows(path, TimeGrid(fps), resize=32, size=32, batch=16))
  frames = np.concatenate([batch.frames[:batch.num_valid, 0] for batch in batches])
  assert not any(batch.warnings for batch in batches[:-1])
  return levels(frames).tolist(), batches[-1].end, batches[-1].warnings


@pytest.mark.parametrize(("name", "codec", "rate"), [
    ("a.h264", "libx264", 10), ("a.h264", "libx264", 50), ("a.hevc", "libx265", 10),
    ("a.m2v", "mpeg2video", 50), ("a.m4v", "mpeg4", 12)])
def test_a_bare_stream_is_as_fast_as_it_says(tmp_path, name, codec, rate):
  if codec not in av.codecs_available:
    pytest.skip(f"this PyAV has no {codec}")
  options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
  path = draw(tmp_path / name, np.arange(24) / rate, codec=codec, pixels="yuv420p", ticks=rate,
              options=options)
  shown, end, told = read(path, rate)
  assert shown == list(range(24)) and told == ()
  assert end == pytest.approx(24 / rate, abs=1e-6)


def test_the_rate_of_a_bare_stream_need_not_be_whole(tmp_path):
  rate = Fraction(30000, 1001)
  with av.open(str(tmp_path / "a.h264"), "w") as container:
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for _ in range(30):
      container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
    container.mux(stream.encode())
  *_, end = decode(tmp_path / "a.h264")
  assert float(end.start) == pytest.approx(1.001, abs=1e-4)


def test_what_is_assumed_of_a_bare_stream_is_told(tmp_path):
  shown, end, (told,) = read(draw_pcm(tmp_path / "a.h264", 12), 25)
  assert shown == list(range(12)) and end == pytest.approx(12 / 25, abs=1e-6)
  assert told.startswith(ASSUMED) and "container" in told
  path = draw(tmp_path / "a.mjpeg", np.arange(12) / 10, codec="mjpeg", pixels="yuvj420p", ticks=10)
  shown, _, (told,) = read(path, 25)
  assert shown == list(range(12)) and told.startswith(ASSUMED)


def test_a_probe_of_a_bare_stream_has_its_length(tmp_path):
  path = draw(tmp_path / "a.h264", np.arange(24) / 10, codec="libx264", pixels="yuv420p", ticks=10)
  looked_at = media.probe(path)
  assert (looked_at.duration, looked_at.fps, looked_at.num_frames) == (2.4, 10.0, 24)


@pytest.mark.parametrize(("codec", "options"), [
    ("mpeg4", {"bf": "2", "b_strategy": "0"}), ("libx264", {"bf": "3", "b-adapt": "0"})])
def test_an_avi_counts_from_its_first_picture(tmp_path, codec, options):
  """It stores no times of showing, and starts with the order of storage."""
  images = np.arange(0, 30, 3).repeat(48 * 64 * 3).reshape(10, 48, 64, 3) * STEP
  path = draw(tmp_path / "a.avi", np.arange(10) / 10, images=images.astype(np.uint8), codec=codec,
              pixels="yuv420p", ticks=10, options=options)
  with av.open(str(path)) as container:
    assert container.start_time == 0 and next(container.decode(video=0)).pts > 0
  shown, end, told = read(path, 10)
  np.testing.assert_allclose(shown, np.arange(0, 30, 3), atol=1)  # B-frames are coarse
  assert end == pytest.approx(1.0, abs=1e-6) and told == ()
  assert media.probe(path).duration == pytest.approx(1.0, abs=1e-6)


def two_streams(path, sizes, kinds):
  """Two video streams of 12 frames of levels 1 and 2 steps, of these sizes and dispositions."""
  with av.open(str(path), "w") as container:
    streams = []
    for (width, height), kind in zip(sizes, kinds, strict=True):
      stream = container.add_stream("mpeg4", rate=10)
      stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
      stream.disposition = kind
      streams.append(stream)
    for index in range(12):
      for level, stream in enumerate(streams, 1):
        frame = av.VideoFrame.from_ndarray(
            np.full((stream.height, stream.width, 3), level * STEP, np.uint8), format="rgb24")
        frame.pts = index
        container.mux(stream.encode(frame))
    for stream in streams:
      container.mux(stream.encode())
  return path


@pytest.mark.parametrize(("sizes", "default", "taken"), [
    (((32, 32), (64, 48)), (True, True), 2), (((64, 48), (32, 32)), (True, True), 1),
    (((64, 48), (64, 48)), (True, True), 1), (((64, 48), (32, 32)), (False, True), 2)])
def test_of_several_streams_the_one_that_players_show(tmp_path, sizes, default, taken):
  kinds = [av.stream.Disposition.default if one else av.stream.Disposition(0) for one in default]
  path = two_streams(tmp_path / "a.mkv", sizes, kinds)
  shown, _, (told,) = read(path, 10)
  assert shown == [taken] * 12
  width, height = sizes[taken - 1]
  assert told == f"2 video streams: number {taken - 1} of {width} x {height} pixels is taken"


def test_frames_that_the_decoder_still_holds_at_the_end(tmp_path):
  """Sound comes first in the file, so that the video is not the first stream."""
  with av.open(str(tmp_path / "a.mkv"), "w") as container:
    sound, video = container.add_stream("pcm_s16le", rate=8000), container.add_stream(
        "libx264", rate=10, options={"bf": "3"})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
    silence.rate, silence.pts = 8000, 0
    container.mux(sound.encode(silence))
    for index in range(20):
      frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), STEP * index, np.uint8))
      frame.pts = index
      container.mux(video.encode(frame))
    container.mux(video.encode())
  shown, end, told = read(tmp_path / "a.mkv", 10)
  assert shown == list(range(20)) and end == pytest.approx(2.0) and told == ()


def test_a_browser_is_not_left_to_choose_a_stream(tmp_path):
  path = two_streams(tmp_path / "a.mp4", ((32, 32), (64, 48)), [av.stream.Disposition.default] * 2)
  looked_at = media.probe(path)
  assert looked_at.obstacle == "2 video streams" and looked_at.width == 64


def test_a_browser_is_not_left_to_say_where_0_is(tmp_path):
  path = draw(tmp_path / "a.webm", 5 + np.arange(15) / 10, codec="libvpx", pixels="yuv420p",
              ticks=10)
  looked_at = media.probe(path)
  assert looked_at.obstacle == "starts at 5.000 s"
  assert looked_at.duration == pytest.approx(1.5, abs=2e-3)


def test_a_codec_that_is_not_known(tmp_path):
  path = draw(tmp_path / "a.avi", np.arange(5) / 10, codec="mjpeg", pixels="yuvj420p", ticks=10)
  path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZZ"))
  for look in (lambda: list(decode(path)), lambda: media.probe(path)):
    with pytest.raises(VideoFault, match="Decoder not found|no decoder"):
      look()


def test_frames_that_an_edit_leaves_out_do_not_count(tmp_path):
  """An MP4 whose list of edits starts after half of its frames, as telephones cut them."""
  whole = draw(tmp_path / "a.mp4", np.arange(40) / 4, codec="mpeg4", pixels="yuv420p", ticks=4,
               options={"g": "1"})
  with av.open(str(whole)) as container:
    half = container.streams.video[0].duration // 2
  path = copy_packets(tmp_path / "b.mp4", whole, shift=-half,
                      muxing={"avoid_negative_ts": "disabled"})
  with av.open(str(path)) as container:
    assert container.streams.video[0].frames == 40
  shown, end, told = read(path, 4)
  assert shown == [level % 32 for level in range(20, 40)] and told == ()
  assert end == pytest.approx(5.0, abs=1e-3)
