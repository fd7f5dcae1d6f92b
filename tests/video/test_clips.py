"""Clips of a recording: every frame once, where it belongs, from 0 s on."""

from fractions import Fraction

import numpy as np
import pytest

from tal_jax.errors import DataError
from tal_jax.video import clips
from tests.encoders.drawing import (
    copy_packets,
    draw,
    draw_colour,
    draw_sound,
    levels,
    turn_clockwise,
)

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
  """3 s at 10 frames a second; each frame has a grey level of its own."""
  return draw(tmp_path_factory.mktemp("video") / "recording.mkv", np.arange(30) / 10)


def frames_of(path):
  """Times and images of all frames."""
  with av.open(str(path)) as file:
    frames = list(file.decode(file.streams.video[0]))
  return ([frame.time for frame in frames],
          np.stack([frame.to_ndarray(format="rgb24") for frame in frames]))


def test_every_frame_once(recording, tmp_path):
  made = clips.cut(recording, [1.0, 1.95], tmp_path / "clips")
  assert [path.name for path in made] == [f"recording_{i}.mp4" for i in range(3)]
  assert sorted((tmp_path / "clips").iterdir()) == made  # nothing unfinished is left
  for path, first, last, start in zip(made, (0, 10, 20), (10, 20, 30), (0.0, 1.0, 1.95),
                                      strict=True):
    times, images = frames_of(path)
    np.testing.assert_allclose(times, np.arange(first, last) / 10 - start, atol=1e-3)
    assert levels(images).tolist() == list(range(first, last))


@pytest.mark.parametrize("times, message", [
    ([2.0, 1.0], "ascend"), ([0.0], "above 0"), ([1.0, 99.0], "clip 2 would have no frame")])
def test_times_that_cannot_be(recording, tmp_path, times, message):
  with pytest.raises(DataError, match=message):
    clips.cut(recording, times, tmp_path)
  assert not list(tmp_path.iterdir())


def test_no_video(tmp_path):
  with pytest.raises(DataError, match="no such video"):
    clips.cut(tmp_path / "none.mp4", [1.0], tmp_path)
  (tmp_path / "text.mp4").write_text("not a video")
  with pytest.raises(DataError, match="cannot be opened"):
    clips.cut(tmp_path / "text.mp4", [1.0], tmp_path)
  cover = draw_sound(tmp_path / "cover.mp3")
  with pytest.raises(DataError, match="has audio only"):
    clips.cut(cover, [1.0], tmp_path / "clips")


def test_time_counts_from_where_the_recording_starts(tmp_path):
  """Its own timestamps start at 5 s, as those of a stream that was recorded later."""
  path = draw(tmp_path / "a.mkv", 5 + np.arange(20) / 10)
  for clip, first in zip(clips.cut(path, [1.0], tmp_path), (0, 10), strict=True):
    times, images = frames_of(clip)
    assert levels(images).tolist() == list(range(first, first + 10))
    np.testing.assert_allclose(times, np.arange(10) / 10, atol=2e-3)


def test_clips_are_upright_and_of_square_pixels(tmp_path):
  """Stored 64 x 32 and white on the left; on the screen 32 x 64, or 128 x 32."""
  image = np.zeros((32, 64, 3), np.uint8)
  image[:, :32] = 255
  options = dict(size=(64, 32), images=[image] * 4, codec="mpeg4", pixels="yuv420p", ticks=10)
  turned = draw(tmp_path / "turned.mp4", np.arange(4) / 10, **options)
  turn_clockwise(turned, 32)
  for path in clips.cut(turned, [0.2], tmp_path):
    _, (frame, _) = frames_of(path)
    assert frame.shape == (64, 32, 3) and frame[:28].min() > 200 and frame[36:].max() < 50
  wide = draw(tmp_path / "wide.mp4", np.arange(4) / 10, aspect=Fraction(2), **options)
  for path in clips.cut(wide, [0.2], tmp_path):
    _, (frame, _) = frames_of(path)
    assert frame.shape == (32, 128, 3) and frame[:, :60].min() > 200


def test_a_recording_that_was_cut_off(tmp_path):
  whole = draw(tmp_path / "a.avi", np.arange(100) / 10, codec="mjpeg", pixels="yuvj420p", ticks=10)
  whole.write_bytes(whole.read_bytes()[:-20_000])
  with pytest.raises(DataError, match="cut off|damaged after"):
    clips.cut(whole, [1.0], tmp_path / "clips")
  assert not list((tmp_path / "clips").iterdir())


def test_colours_stay(tmp_path):
  """A recording in BT.709 gives the same red as its clips, which must name the matrix, too."""
  path = draw_colour(tmp_path / "a.mp4", (100, 80, 200), "ITU709", rate=10, count=4)
  wanted = frames_of(path)[1][0].astype(int)
  for clip in clips.cut(path, [0.2], tmp_path / "clips"):
    assert np.abs(frames_of(clip)[1] - wanted).max() <= 4


def test_what_is_wrong_with_the_recording_is_told(recording, tmp_path):
  path = copy_packets(tmp_path / "a.mkv", recording,
                      change=lambda index, data: None if index in (20, 21) else data)
  told = []
  clips.cut(path, [1.0], tmp_path / "clips", warn=told.append)
  assert told == [f"{path}: 2 of 30 frames are missing, the first at 2.0 s"]
