"""What browsers play: which videos will do, and that a proxy shows the same frames on time.

The oracle is `encoders.video`, which the features come from: sampled alike, proxy and source agree.
"""

from fractions import Fraction

import numpy as np
import pytest

from tal_jax.annotation.videos import media, proxies
from tal_jax.data.records import TimeGrid
from tal_jax.video import clips
from tal_jax.video.frames import VideoFault, windows
from tests.annotation import drawn_videos
from tests.encoders.drawing import draw, draw_sound, levels

PLAYABLE = {"codec": "libvpx", "pixels": "yuv420p", "ticks": 10}


def sampled(path, fps):
  """The grey level at each k / fps, and the duration in seconds."""
  batches = list(windows(path, TimeGrid(fps), resize=32, size=32, batch=64))
  frames = np.concatenate([batch.frames[:batch.num_valid] for batch in batches])
  return levels(frames[:, 0]), batches[-1].end


def boxes(path):
  """The names of an MP4's outer boxes, in order."""
  data, found = path.read_bytes(), []
  at = 0
  while at < len(data):
    found.append(data[at + 4:at + 8].decode())
    at += int.from_bytes(data[at:at + 4], "big")
  return found


def test_a_video_that_will_do(tmp_path):
  path = draw(tmp_path / "a.webm", np.arange(15) / 10, **PLAYABLE)
  assert media.probe(path) == media.Probe(1.5, 10.0, 15, 64, 48, "")
  assert proxies.playable("a", path, media.probe(path), tmp_path) == path


@pytest.mark.parametrize(("name", "options", "obstacle"), [
    ("a.mkv", {}, "container matroska"), ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p",
                                                    "ticks": 10}, "container avi"),
    ("a.mp4", {"codec": "mpeg4", "pixels": "yuv420p", "ticks": 10}, "codec mpeg4"),
    ("b.mp4", {"codec": "libx264", "pixels": "yuv420p", "ticks": 10, "aspect": Fraction(4, 3)},
     "pixels of 4/3"),
    ("a.mp4", {"codec": "libx264", "pixels": "yuv444p", "ticks": 10}, "pixels yuv444p"),
    ("c.webm", PLAYABLE | {"ticks": 1000, "times": [0, .1, .2, .35, .4, .5]}, "off a constant"),
    ("d.mp4", {"codec": "libx264", "pixels": "yuv420p", "ticks": 10,
               "times": np.arange(45) / 10}, "without a key frame")])
def test_obstacles(tmp_path, name, options, obstacle):
  options = dict(options)
  path = draw(tmp_path / name, options.pop("times", np.arange(12) / 10), **options)
  looked_at = media.probe(path)
  assert obstacle in looked_at.obstacle
  _, duration = sampled(path, 10)
  assert looked_at.duration == pytest.approx(duration, abs=1.1e-3)
  proxy = proxies.playable("a", path, looked_at, tmp_path)
  again = media.probe(proxy)
  assert proxy != path and again.obstacle == ""
  assert (again.fps, again.num_frames) == (looked_at.fps, looked_at.num_frames)
  # The proxy's end is the first k / fps that is not before the video's.
  assert 0 <= again.duration - looked_at.duration + 2e-3 < 1 / looked_at.fps + 2e-3
  assert abs(again.width - looked_at.width) <= 1 and abs(again.height - looked_at.height) <= 1
  wanted, _ = sampled(path, looked_at.fps)
  np.testing.assert_array_equal(sampled(proxy, looked_at.fps)[0], wanted)


def test_the_index_is_in_front_and_key_frames_are_dense(tmp_path):
  import av
  path = draw(tmp_path / "a.mkv", np.arange(60) / 20, rate=20)
  proxy = proxies.playable("a", path, media.probe(path), tmp_path)
  found = boxes(proxy)
  assert found.index("moov") < found.index("mdat")
  with av.open(str(proxy)) as container:
    frames = list(container.decode(video=0))
  assert [frame.pts * frame.time_base for frame in frames] == [
      Fraction(k, 20) for k in range(60)]
  keys = [k for k, frame in enumerate(frames) if frame.key_frame]  # scene cuts have more
  assert keys[0] == 0 and max(np.diff([*keys, 60])) <= 10


def test_a_slow_and_a_fast_video(tmp_path):
  slow = draw(tmp_path / "slow.mkv", np.arange(3) * 4.0, rate=Fraction(1, 4))
  assert media.probe(slow).fps == 1.0
  fast = draw(tmp_path / "fast.mkv", np.arange(30) / 120, rate=120)
  looked_at = media.probe(fast)
  assert looked_at.fps == 60.0
  proxy = proxies.playable("fast", fast, looked_at, tmp_path)
  np.testing.assert_array_equal(sampled(proxy, 60)[0], np.arange(0, 30, 2))


def test_large_videos_become_small_and_even(tmp_path):
  path = draw(tmp_path / "a.mkv", np.arange(3) / 10, size=(210, 102))
  proxies.write_proxy(path, tmp_path / "p.mp4", media.probe(path), height=50)
  assert media.probe(tmp_path / "p.mp4")[3:5] == (102, 50)


def test_faults(tmp_path):
  (tmp_path / "empty.mp4").write_bytes(b"")
  (tmp_path / "text.mp4").write_text("no video")
  draw_sound(tmp_path / "sound.wav")
  whole = draw(tmp_path / "a.webm", np.arange(30) / 10, **PLAYABLE).read_bytes()
  (tmp_path / "cut.webm").write_bytes(whole[:200])
  for name in ("empty.mp4", "text.mp4", "sound.wav", "cut.webm", "missing.mp4"):
    with pytest.raises(VideoFault, match=name):
      media.probe(tmp_path / name)
  cover = draw_sound(tmp_path / "cover.mp3")  # its picture is no video
  with pytest.raises(VideoFault, match="has audio only"):
    media.probe(cover)


def test_a_proxy_is_whole_or_not_there(tmp_path, monkeypatch):
  path = draw(tmp_path / "a.mkv", np.arange(10) / 10)
  looked_at = media.probe(path)

  def broken(*_):
    yield from ()
    raise VideoFault("broken")

  with monkeypatch.context() as patch:
    patch.setattr(proxies, "_samples", broken)
    with pytest.raises(VideoFault):
      proxies.playable("a", path, looked_at, tmp_path)
  assert [file.name for file in tmp_path.iterdir()] == ["a.mkv"]
  first = proxies.playable("a", path, looked_at, tmp_path)
  made = first.stat().st_mtime_ns
  assert proxies.playable("a", path, looked_at, tmp_path).stat().st_mtime_ns == made
  draw(path, np.arange(11) / 10)  # the video changes: another proxy
  assert proxies.playable("a", path, media.probe(path), tmp_path) != first


def test_probes_are_remembered(tmp_path, monkeypatch):
  paths = {"good": draw(tmp_path / "good.webm", np.arange(15) / 10, **PLAYABLE),
           "bad": tmp_path / "bad.mp4"}
  paths["bad"].write_text("no video")
  probes, faults = media.probe_all(paths, tmp_path)
  assert probes == {"good": media.probe(paths["good"])} and set(faults) == {"bad"}
  with monkeypatch.context() as patch:
    patch.setattr(media, "probe", None)
    assert media.probe_all(paths, tmp_path) == (probes, faults)
  draw(paths["good"], np.arange(25) / 10, **PLAYABLE)
  assert media.probe_all(paths, tmp_path)[0]["good"].num_frames == 25
  (tmp_path / "probes.json").write_text("{")  # damaged
  assert set(media.probe_all(paths, tmp_path)[0]) == {"good"}


def test_telephones_turn_their_videos(tmp_path):
  """The file says that it is turned; the proxy's pixels are."""
  path = tmp_path / "turned.mp4"
  image = np.zeros((48, 64, 3), np.uint8)
  image[:, :32] = 160  # bright on the left; turned a quarter clockwise, bright on top
  draw(path, np.arange(10) / 10, images=[image] * 10, codec="libx264", pixels="yuv420p", ticks=10)
  data = path.read_bytes()
  one, minus = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
  zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
  at = data.index(b"tkhd") + 4 + 40
  path.write_bytes(data[:at] + zero + one + zero + minus + zero + zero
                   + (48 << 16).to_bytes(4, "big") + zero + last + data[at + 36:])
  looked_at = media.probe(path)
  assert looked_at.obstacle.startswith("turned") and (looked_at.width, looked_at.height) == (48, 64)
  proxy = proxies.playable("turned", path, looked_at, tmp_path)
  batch = next(windows(proxy, TimeGrid(10.0), resize=48, size=48, batch=1))
  assert batch.frames[0, 0, :20].mean() > 140 and batch.frames[0, 0, 28:].mean() < 20


def test_drawn_videos_can_be_played_and_stepped(tmp_path):
  """What the whole-loop test uses is what this module says it is."""
  drawing = drawn_videos.draw(0, 1)
  drawn_videos.write(drawing, tmp_path / "a.mp4")
  looked_at = media.probe(tmp_path / "a.mp4")
  assert looked_at == media.Probe(drawing.duration, 10.0, len(drawing.frames), 64, 64, "")


def test_the_rate_is_that_of_the_frames(tmp_path):
  """A clip's last frame is cut short, and the mean over the clip is no frame's rate."""
  path = draw(tmp_path / "long.mp4", np.arange(35) / 10, codec="libx264", pixels="yuv420p",
              ticks=10)
  for clip, count in zip(clips.cut(path, [1.7], tmp_path / "clips"), (17, 18), strict=True):
    assert media.probe(clip) == media.Probe(count / 10, 10.0, count, 64, 48, "")
