"""Pictures that the file turns or mirrors are shown as its matrix says, by every way of reading."""

import itertools

import numpy as np
import pytest

from tal_jax.annotation.videos import media, proxies
from tal_jax.data.records import TimeGrid
from tal_jax.video import clips
from tal_jax.video.frames import windows
from tal_jax.video.orientation import Orientation, described, oriented
from tests.encoders.drawing import draw, lay_down

GREYS = np.array([[230, 150], [80, 10]])  # of the quarters
WAYS = [(a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)] + [
    (0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)]


def quarters(image):
  """Mean levels of the quarters [2, 2] of a picture, rounded to the nearest of GREYS."""
  halves = [np.array_split(row, 2, axis=1) for row in np.array_split(image.astype(float), 2)]
  means = np.array([[part[4:-4, 4:-4].mean() for part in row] for row in halves])
  return GREYS.ravel()[np.abs(means[..., None] - GREYS.ravel()).argmin(-1)]


def on_the_screen(a, b, c, d):
  """Where the matrix puts the quarters, whose middles are at -1 and 1."""
  shown = np.zeros((2, 2), int)
  for row, column in itertools.product((0, 1), repeat=2):
    x, y = 2 * column - 1, 2 * row - 1
    shown[(b * x + d * y + 1) // 2, (a * x + c * y + 1) // 2] = GREYS[row, column]
  return shown


def video(path, matrix, size=(32, 32)):
  image = np.kron(GREYS, np.ones((size[1] // 2, size[0] // 2)))[..., None].repeat(3, -1)
  draw(path, np.arange(4) / 10, size=size, images=[image.astype(np.uint8)] * 4, codec="mpeg4",
       pixels="yuv420p", ticks=10)
  lay_down(path, *matrix, across=size[0], down=size[1])
  return path


def first(path, side=32):
  return next(windows(path, TimeGrid(10.0), resize=side, size=side, batch=1)).frames[0, 0]


@pytest.mark.parametrize("matrix", WAYS)
def test_features_clips_and_proxies_show_what_the_matrix_says(tmp_path, matrix):
  path, wanted = video(tmp_path / "a.mp4", matrix), on_the_screen(*matrix)
  np.testing.assert_array_equal(quarters(first(path)), wanted)
  for clip in clips.cut(path, [0.2], tmp_path / "clips"):
    np.testing.assert_array_equal(quarters(first(clip)), wanted)
  looked_at = media.probe(path)
  proxies.write_proxy(path, tmp_path / "proxy.mp4", looked_at)
  np.testing.assert_array_equal(quarters(first(tmp_path / "proxy.mp4")), wanted)


def test_pictures_that_are_mirrored_change_their_shape_with_a_quarter_turn_only(tmp_path):
  for matrix, size in (((-1, 0, 0, 1), (64, 32)), ((0, 1, 1, 0), (32, 64))):
    looked_at = media.probe(video(tmp_path / "a.mp4", matrix, size=(64, 32)))
    assert (looked_at.width, looked_at.height) == size


def test_a_matrix_that_widens_makes_pixels_wide(tmp_path):
  looked_at = media.probe(video(tmp_path / "a.mp4", (2, 0, 0, 1)))
  assert (looked_at.width, looked_at.height) == (64, 32)


def test_a_matrix_without_values_changes_nothing(tmp_path):
  np.testing.assert_array_equal(quarters(first(video(tmp_path / "a.mp4", (0, 0, 0, 0)))), GREYS)


def test_what_a_browser_is_not_left_to_do():
  words = {how: described(Orientation(*how)) for how in itertools.product((False, True), repeat=3)}
  assert words[False, False, False] == ""
  assert words[True, True, False] == "turned by 90 degrees"
  assert words[False, True, True] == "turned by 180 degrees"
  assert words[True, False, True] == "turned by 270 degrees"
  assert words[False, True, False] == words[False, False, True] == "mirrored"
  assert words[True, False, False] == words[True, True, True] == "turned and mirrored"


def test_turns_are_clockwise():
  image = np.arange(6).reshape(2, 3)
  np.testing.assert_array_equal(oriented(image, Orientation(True, True, False)),
                                np.rot90(image, k=-1))
  np.testing.assert_array_equal(oriented(image, Orientation(True, False, True)), np.rot90(image))
  np.testing.assert_array_equal(oriented(image, Orientation(False, True, True)),
                                np.rot90(image, k=2))
