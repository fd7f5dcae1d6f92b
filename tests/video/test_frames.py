"""Decoding: which frame is shown when, the shape of pixels, every kind of broken file."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError
from tal_jax.video.frames import VideoFault, windows
from tal_jax.video.video_files import find_videos, starts_as_media
from tests.encoders.drawing import draw, draw_colour, draw_sound, levels, turn_clockwise


def read(path, fps, stride=1, window=1, *, resize=32, size=32, batch=4):
  """All windows of a video [n, window, size, size, 3], and its duration."""
  batches = list(windows(path, TimeGrid(fps, stride, window), resize=resize, size=size,
                         batch=batch))
  assert all(step.frames.shape == (batch, window, size, size, 3) for step in batches)
  assert all(step.num_valid == batch for step in batches[:-1]) and batches[-1].num_valid
  assert not any(step.frames[step.num_valid:].any() for step in batches)
  return np.concatenate([step.frames[:step.num_valid] for step in batches]), batches[-1].end


def shown(path, fps):
  return levels(read(path, fps)[0][:, 0]).tolist()


@pytest.mark.parametrize(("name", "codec", "pixels"), [
    ("a.mkv", "ffv1", "bgr0"), ("a.mp4", "mpeg4", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p"),
    ("a.webm", "libvpx", "yuv420p"), ("a.ts", "mpeg2video", "yuv420p")])
def test_every_container_gives_each_frame_once_at_its_own_rate(tmp_path, name, codec, pixels):
  path = draw(tmp_path / name, np.arange(12) / 25, codec=codec, pixels=pixels, ticks=25)
  assert shown(path, 25) == list(range(12))


def test_faster_and_slower_rates(tmp_path):
  path = draw(tmp_path / "a.mkv", np.arange(10) / 10)
  assert shown(path, 5) == [0, 2, 4, 6, 8]
  assert shown(path, 20) == [k // 2 for k in range(20)]
  images, duration = read(path, 4)
  assert levels(images[:, 0]).tolist() == [0, 2, 5, 7]  # at 0, .25, .5, .75 s
  assert duration == pytest.approx(1.0, abs=2e-3)


def test_rates_that_milliseconds_cannot_hold(tmp_path):
  """Matroska rounds 1/30 s to 33 ms, 2/30 s to 67 ms, which is after the second sample."""
  path = draw(tmp_path / "a.mkv", np.arange(30) / 30, rate=30)
  assert shown(path, 30) == list(range(30))


def test_variable_frame_rate(tmp_path):
  times = [0.0, 0.1, 0.5, 0.55, 0.6, 1.4]
  path = draw(tmp_path / "a.mkv", times)
  # The frame on the screen at 0, .1, .2, ...; the last one lasts as long as the one before it.
  assert shown(path, 10)[:15] == [0, 1, 1, 1, 1, 2, 4, 4, 4, 4, 4, 4, 4, 4, 5]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(4, 400), min_size=1, max_size=12), st.sampled_from([3.0, 10.0, 24.0]))
def test_each_sample_is_the_frame_on_the_screen(tmp_path_factory, gaps, fps):
  stamps = np.concatenate([[0], np.cumsum(gaps)])  # milliseconds
  path = draw(tmp_path_factory.mktemp("video") / "a.mkv", stamps / 1000, size=(32, 32))
  result = shown(path, fps)
  last = int(np.ceil(stamps[-1] * fps / 1000))  # from here on the length of the last frame counts
  expected = [sum(stamp <= Fraction(1000) * k / Fraction(fps) + 1 for stamp in stamps) - 1
              for k in range(last)]
  assert result[:last] == expected
  assert set(result[last:]) <= {len(stamps) - 1}


def test_a_late_first_frame_does_not_shift_time(tmp_path):
  path = draw(tmp_path / "a.mkv", [0.4, 0.5, 0.6], audio=True)
  assert shown(path, 10)[:7] == [0, 0, 0, 0, 0, 1, 2]


def test_a_timeline_that_starts_late_is_no_fault(tmp_path):
  """Matroska's header then tells the last timestamp, 7 s, as the duration of 2 s of video."""
  path = draw(tmp_path / "a.mkv", 5 + np.arange(20) / 10)
  images, duration = read(path, 10)
  assert levels(images[:, 0]).tolist() == list(range(20))
  assert duration == pytest.approx(2.0, abs=2e-3)
  path.write_bytes(path.read_bytes()[:-path.stat().st_size // 4 * 3])
  with pytest.raises(VideoFault, match="cut off|damaged after"):
    read(path, 10)


def test_windows(tmp_path):
  path = draw(tmp_path / "a.mkv", np.arange(11) / 10)
  images, _ = read(path, 10, stride=3, window=4, batch=2)
  assert levels(images).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
  images, _ = read(path, 10, stride=5, window=2, batch=4)
  assert levels(images).tolist() == [[0, 1], [5, 6]]
  images, duration = read(path, 10, stride=1, window=16, batch=2)
  assert levels(images).tolist() == [[*range(11), 10, 10, 10, 10, 10]]
  assert duration == pytest.approx(1.1, abs=2e-3)


def square_in_the_middle(width, height, aspect):
  """White inside a square of half the height on the screen, black outside."""
  image = np.zeros((height, width, 3), np.uint8)
  half = height // 4
  across = round(half / aspect)
  image[height // 2 - half:height // 2 + half, width // 2 - across:width // 2 + across] = 255
  return image


@pytest.mark.parametrize(("size", "aspect"), [
    ((64, 64), None), ((32, 64), Fraction(4, 1)), ((128, 64), Fraction(1, 2)),
    ((96, 64), Fraction(1, 1)), ((48, 64), Fraction(16, 9))])
def test_pixels_become_square(tmp_path, size, aspect):
  image = square_in_the_middle(*size, float(aspect or 1))
  path = draw(tmp_path / "a.mp4", [0.0, 0.1], size=size, images=[image] * 2, aspect=aspect,
              codec="mpeg4", pixels="yuv420p", ticks=10)
  frame = read(path, 10, resize=64, size=48)[0][0, 0]
  white = frame[..., 0] > 127
  rows, columns = white.any(1).sum(), white.any(0).sum()
  assert abs(rows - 32) <= 2 and abs(columns - 32) <= 3  # a square again, of half the height
  assert white[24, 24] and not white[2].any() and not white[:, 2].any()


def test_frames_too_narrow_to_be_a_picture(tmp_path):
  path = draw(tmp_path / "a.mkv", [0.0], size=(8, 176))
  with pytest.raises(VideoFault, match="8 x 176 square pixels are too narrow"):
    read(path, 10)


def test_colours_and_orientation(tmp_path):
  """Red left, blue right; a green stripe on top, which the crop keeps."""
  image = np.zeros((32, 32, 3), np.uint8)
  image[:, :16, 0] = image[:, 16:, 2] = 255
  image[:8] = (0, 255, 0)
  path = draw(tmp_path / "a.mkv", [0.0, 0.1], size=(32, 32), images=[image] * 2)
  frame = read(path, 10)[0][0, 0]
  np.testing.assert_array_equal(frame[[2, 20, 20], [16, 4, 28]],
                                [[0, 255, 0], [255, 0, 0], [0, 0, 255]])


@pytest.mark.parametrize(("matrix", "name"), [("ITU601", "bt601"), ("ITU709", "bt709")])
def test_the_colour_matrix_of_the_stream_counts(tmp_path, matrix, name):
  """Y, Cb, Cr = 100, 80, 200 in the two standards, by their definitions."""
  path = draw_colour(tmp_path / f"{name}.mp4", (100, 80, 200), matrix, rate=25, count=3)
  red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[name]
  luma, cb, cr = (100 - 16) / 219, (80 - 128) / 224, (200 - 128) / 224
  r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
  g = (luma - red * r - blue * b) / (1 - red - blue)
  expected = np.clip(255 * np.array([r, g, b]), 0, 255)
  np.testing.assert_allclose(read(path, 25)[0][0, 0, 16, 16], expected, atol=6)


def test_rotation_of_a_telephone(tmp_path):
  """A display matrix of 90 degrees clockwise: what is stored on the left is shown on top."""
  image = np.zeros((32, 64, 3), np.uint8)
  image[:, :32] = 255
  path = draw(tmp_path / "a.mp4", [0.0, 0.1], size=(64, 32), images=[image] * 2, codec="mpeg4",
              pixels="yuv420p", ticks=10)
  turn_clockwise(path, 32)
  frame = read(path, 10, resize=32, size=32)[0][0, 0]
  assert frame[4].mean() > 240 and frame[-4].mean() < 15


def test_broken_files(tmp_path):
  sound = draw_sound(tmp_path / "sound.mkv")
  empty = tmp_path / "empty.mp4"
  empty.touch()
  text = tmp_path / "text.mp4"
  text.write_text("no video at all " * 50)
  whole = draw(tmp_path / "whole.avi", np.arange(100) / 10, codec="mjpeg", pixels="yuvj420p",
               ticks=10).read_bytes()
  truncated = tmp_path / "truncated.avi"
  truncated.write_bytes(whole[:len(whole) // 2])
  headless = tmp_path / "headless.mp4"  # the index of an MP4 is at its end
  headless.write_bytes(draw(tmp_path / "b.mp4", np.arange(20) / 10, codec="mpeg4",
                            pixels="yuv420p", ticks=10).read_bytes()[:-500])
  cover = draw_sound(tmp_path / "cover.mp3")
  colon = draw_sound(tmp_path / "concat:a.mkv")
  for path, message in ((sound, "has audio only"), (cover, "has audio only"),
                        (colon, "has audio only"),
                        (empty, "is empty"), (text, "cannot be opened"),
                        (truncated, "cut off|damaged after"), (headless, "cannot be opened"),
                        (tmp_path / "none.mp4", "No such file")):
    with pytest.raises(VideoFault, match=message) as caught:
      read(path, 10)
    assert str(path) in str(caught.value)


def test_timestamps_that_jump(tmp_path):
  path = draw(tmp_path / "a.mkv", [0.0, 0.1, 5000.0])
  with pytest.raises(VideoFault, match=r"jump from 0\.1 s to 5000\.0 s"):
    read(path, 10)


def test_timestamps_that_go_back(tmp_path):
  """Two transport streams, one behind the other."""
  path = draw(tmp_path / "a.ts", np.arange(60) / 25, codec="mpeg2video", pixels="yuv420p", ticks=25)
  path.write_bytes(path.read_bytes() * 2)
  with pytest.raises(VideoFault, match=r"jump from 2\.\d s to "):
    read(path, 10)


def test_timestamps_of_storage(tmp_path):
  """Packets of a stream with B-frames in the order of storage, as VLC writes them."""
  av = pytest.importorskip("av")
  count = 30
  with av.open(str(tmp_path / "a.mp4"), "w") as container:
    stream = container.add_stream("libx264", rate=10, options={"bf": "3", "b-adapt": "0"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for index in range(count):
      frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * index, np.uint8), format="rgb24")
      frame.pts = index
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  with (av.open(str(tmp_path / "a.mp4")) as source,
        av.open(str(tmp_path / "b.mp4"), "w") as container):
    stream = container.add_stream_from_template(source.streams.video[0])
    packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
    first = packets[0].dts
    for packet in packets:
      packet.stream, packet.dts = stream, packet.dts - first
      packet.pts = packet.dts
      container.mux(packet)
  assert shown(tmp_path / "a.mp4", 10) == list(range(count))
  with av.open(str(tmp_path / "b.mp4")) as source:
    stamps = [frame.pts for frame in source.decode(video=0)]
  assert stamps != sorted(stamps)
  assert shown(tmp_path / "b.mp4", 10) == list(range(count))


def test_memory_does_not_grow_with_the_video(tmp_path):
  def peak(num_frames):
    path = draw(tmp_path / f"{num_frames}.mkv", np.arange(num_frames) / 25, size=(32, 32))
    tracemalloc.start()
    try:
      for _ in windows(path, TimeGrid(25, 8, 16), resize=64, size=64, batch=2):
        pass
      return tracemalloc.get_traced_memory()[1]
    finally:
      tracemalloc.stop()
  peak(50)  # what is imported and cached once
  assert peak(800) < 1.2 * peak(100)


def test_videos_are_found_by_content(tmp_path):
  (tmp_path / "deep").mkdir()
  (tmp_path / ".hidden").mkdir()
  without_suffix = draw(tmp_path / "a.mkv", [0.0, 0.1]).rename(tmp_path / "one.v1")
  misnamed = draw(tmp_path / "b.ts", [0.0, 0.1], codec="mpeg2video", pixels="yuv420p",
                  ticks=25).rename(tmp_path / "deep" / "two.txt")
  broken = tmp_path / "three.mp4"
  broken.write_text("not a video")
  note = tmp_path / "notes.md"
  note.write_text("# notes")
  (tmp_path / ".hidden" / "four.mp4").write_bytes(without_suffix.read_bytes())
  found = find_videos([tmp_path])
  assert found.paths == {"one": without_suffix, "three": broken, "two": misnamed}
  assert found.ignored == (note,)
  assert find_videos([note]).paths == {"notes": note}  # named, so taken


def test_faults_of_the_list(tmp_path):
  (tmp_path / "a.txt").write_text("text")
  with pytest.raises(DataError, match="neither a folder nor a file"):
    find_videos([tmp_path / "none"])
  with pytest.raises(DataError, match="no video in .*1 files there"):
    find_videos([tmp_path])
  for name in ("x.mp4", "x.avi"):
    (tmp_path / name).touch()
  with pytest.raises(DataError, match=r"two videos have the id 'x': .*x\.avi and .*x\.mp4"):
    find_videos([tmp_path])


@pytest.mark.parametrize(("head", "expected"), [
    (b"RIFF\0\0\0\0WEBPVP8 ", False), (b"\x89PNG\r\n", False), (b"", False), (b"G" * 100, False),
    (b"RIFF\0\0\0\0AVI LIST", True), (b"\0\0\0\x20ftypisom", True), (b"\x1aE\xdf\xa3", True),
    ((b"G" + bytes(187)) * 3, True)])
def test_starts_as_media(head, expected):
  assert starts_as_media(head) is expected
