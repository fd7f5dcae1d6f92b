"""Clips of a recording: every frame once, where it belongs, from 0 s on."""

import numpy as np
import pytest

from tal_jax.data.types import DataError
from tal_jax.encoders import clips
from tests.encoders.drawing import draw, levels

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
  with pytest.raises(DataError, match="cannot be decoded"):
    clips.cut(tmp_path / "text.mp4", [1.0], tmp_path)
