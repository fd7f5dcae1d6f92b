"""Files that were cut off, whatever it is in them that tells how long they were."""

import re

import numpy as np
import pytest

from tal_jax.annotation.videos import media
from tal_jax.video.decoding import decode
from tal_jax.video.streams import VideoFault
from tests.encoders.drawing import draw

NOISE = np.random.default_rng(0).integers(0, 256, (100, 48, 64, 3), dtype=np.uint8)
H264 = {"codec": "libx264", "pixels": "yuv420p", "options": {"g": "10", "bf": "0"}}
MPEG4 = {"codec": "mpeg4", "pixels": "yuv420p"}
FLV = {"codec": "flv", "pixels": "yuv420p"}


def recording(path, **options):
  """10 s at 10 frames a second."""
  return draw(path, np.arange(100) / 10, images=NOISE, ticks=10, **options)


@pytest.mark.parametrize(("name", "options"), [
    ("a.avi", MPEG4), ("a.avi", MPEG4 | {"audio": True}), ("a.mkv", MPEG4),
    ("a.mkv", MPEG4 | {"audio": True}), ("a.flv", FLV), ("a.flv", FLV | {"audio": True}),
    ("a.mp4", MPEG4 | {"muxing": {"movflags": "faststart"}}),
    ("a.mp4", H264 | {"muxing": {"movflags": "frag_keyframe+empty_moov"}}),
    ("a.mp4", H264 | {"muxing": {"movflags": "frag_keyframe+default_base_moof+global_sidx"}})])
def test_files_that_were_cut_off(tmp_path, name, options):
  path = recording(tmp_path / name, **options)
  *_, end = decode(path)
  assert float(end.start) == pytest.approx(10.0, abs=0.05) and end.warnings == ()
  assert media.probe(path).duration == pytest.approx(10.0, abs=0.05)
  whole = path.read_bytes()
  path.write_bytes(whole[:len(whole) * 6 // 10])
  for look in (lambda: list(decode(path)), lambda: media.probe(path)):
    with pytest.raises(VideoFault, match=re.escape(str(path)) + ".* it was cut off"):
      look()


def test_a_recording_with_sound_that_tells_the_length_of_the_whole_only(tmp_path):
  """Matroska without its tags, as from writers other than FFmpeg's."""
  path = recording(tmp_path / "a.mkv", audio=True, **MPEG4)
  whole = path.read_bytes().replace(b"DURATION", b"KEYWORDS")
  path.write_bytes(whole)
  *_, end = decode(path)
  assert float(end.start) == pytest.approx(10.0, abs=0.05)
  path.write_bytes(whole[:len(whole) * 6 // 10])
  with pytest.raises(VideoFault, match=r"of the (9\.9|10\.0) s that its header tells"):
    list(decode(path))


@pytest.mark.parametrize("tag", [b"DURATION", b"KEYWORDS"])
def test_sound_that_goes_on_is_no_fault(tmp_path, tag):
  """The header tells the length of the longest stream, 10 s, beside 2 s of video."""
  path = draw(tmp_path / "a.mkv", np.arange(20) / 10, audio=10.0, ticks=10, **MPEG4)
  path.write_bytes(path.read_bytes().replace(b"DURATION", tag))
  *_, end = decode(path)
  assert float(end.start) == pytest.approx(2.0, abs=0.01) and end.warnings == ()


def test_the_header_of_an_avi_is_asked_for_its_frames(tmp_path):
  path = recording(tmp_path / "a.avi", **MPEG4)
  whole = path.read_bytes()
  path.write_bytes(whole[:len(whole) * 6 // 10])
  with pytest.raises(VideoFault, match=r"ends at [56]\.\d s of the 10\.0 s that its header tells"):
    list(decode(path))
