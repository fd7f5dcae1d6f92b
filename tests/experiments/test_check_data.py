"""experiments.check_data: what it finds, its page, its exit codes."""

import html.parser
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs import anet, files, hapt
from experiments import check_data
from tal_jax.data.annotations import from_videos
from tal_jax.data.checks.problems import Extent
from tal_jax.data.overview import covered, overview
from tal_jax.data.records import TimeGrid, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.runs.reports import check_data_html, check_data_svg

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
IDS = tuple(f"{subset}{i}" for subset in "tv" for i in range(4))
LABELS = ("run", "jump", "<script>alert('x')</script>")


@pytest.fixture
def config(tmp_path):
  """A clean data set of 8 videos of 20 s, 3 classes, features at 2 rows a second."""
  (tmp_path / "features").mkdir()
  database = {video_id: {
      "subset": "training" if video_id[0] == "t" else "validation", "duration": 20.0, "fps": 10,
      "subject": video_id, "annotations": [{"segment": [2 + n, 8 + n], "label": label}
                                           for n, label in enumerate(LABELS)]}
              for video_id in IDS}
  for video_id in IDS:
    np.save(tmp_path / "features" / f"{video_id}.npy", np.ones((40, 3)))
  (tmp_path / "a.json").write_text(json.dumps({"database": database}))
  result = files.get_config("subject")
  result.data.annotations = str(tmp_path / "a.json")
  result.data.features = str(tmp_path / "features")
  result.data.stride, result.data.window = 5.0, 5.0
  result.data.split.num_knowledge_subjects = 1
  return result


def change(tmp_path, video_id, **fields):
  content = json.loads((tmp_path / "a.json").read_text())
  content["database"][video_id].update(fields)
  (tmp_path / "a.json").write_text(json.dumps(content))


def test_clean(config, tmp_path):
  result = check_data.run(config, tmp_path / "out")
  assert result.exit_code == 0 and not result.report.problems
  train, validation, both = result.rows
  assert [row["subset"] for row in result.rows] == ["training", "validation", "all"]
  assert (both["videos"], both["instances"], both["classes"]) == (8, 24, 3)
  # [2, 8], [3, 9] and [4, 10] cover 8 of 20 seconds; 10 frames a second over a stride of 5.
  assert train["coverage"] == pytest.approx(0.4) and validation["features_per_second"] == 2.0
  assert train["median_instance_seconds"] == 6.0 and both["hours"] == pytest.approx(160 / 3600)
  assert 0 < both["recall"]["0.5"] <= 1 and both["average_recall"] is None  # drawn: no order
  text = check_data.text(result)
  for words in ("no problem found", "annotations in the format 'activitynet'", "40.0%",
                "sliding windows", "fps of each video, stride 5 as given"):
    assert words in text
  written = json.loads((tmp_path / "out" / "report.json").read_text())
  assert written["problems"] == [] and written["classes"]["run"] == {"training": 4, "validation": 4}


def test_annotations_alone(config, tmp_path):
  config.data.features = ""
  config.data.windows = {}
  result = check_data.run(config, tmp_path / "out")
  assert result.exit_code == 0 and "features_per_second" not in result.rows[0]
  assert "no problem found" in check_data.text(result)


def test_proposals_file(config, tmp_path):
  """Of three truths a video the first is found; AR is that of a single exact proposal."""
  results = {i: [{"score": 0.9, "segment": [2, 8]}, {"score": 0.1, "segment": [15, 20]}]
             for i in IDS if i != "v3"} | {"zzz": [{"score": 1, "segment": [0, 1]}]}
  (tmp_path / "p.json").write_text(json.dumps({"results": results}))
  config.data.proposals = str(tmp_path / "p.json")
  result = check_data.run(config, tmp_path / "out")
  # tIoU of [2, 8] with [3, 9] is 5/7, with [4, 10] 1/2.
  assert result.rows[0]["recall"] == pytest.approx({"0.5": 1.0, "0.7": 2 / 3, "0.9": 1 / 3})
  assert result.rows[1]["recall"] == pytest.approx({"0.5": 0.75, "0.7": 0.5, "0.9": 0.25})
  assert result.rows[0]["average_recall"]["number"][-1] == pytest.approx(2.0)
  assert result.exit_code == 1 and result.content["counts"] == {
      "no proposals": 1, "proposals without annotation": 1}
  assert [(p["kind"], p["id"]) for p in result.content["problems"]] == [
      ("no proposals", "v3"), ("proposals without annotation", "zzz")]


def test_every_problem_by_file_and_id(config, tmp_path):
  change(tmp_path, "t1", duration=2.0)
  change(tmp_path, "t2", subset="train")
  (tmp_path / "features" / "v1.npy").unlink()
  np.save(tmp_path / "features" / "v2.npy", np.full((40, 3), np.nan))
  np.save(tmp_path / "features" / "v_v3.npy", np.zeros((40, 3)))
  (tmp_path / "features" / "v3.npy").unlink()
  result = check_data.run(config, tmp_path / "out")
  expected = {("truth far past its video", "t1"), ("subset spelling", "t2"), ("no features", "v1"),
              ("non-finite feature", "v2"), ("ids differ by v_", "v3"), ("all-zero features", "v3"),
              ("truth outside its video", "t1"), ("features do not span the video", "t1")}
  assert {(p["kind"], p["id"]) for p in result.content["problems"]} == expected
  assert all(p["file"] and p["remedy"] for p in result.content["problems"])
  assert result.exit_code == 1
  text, page = check_data.text(result, examples=1), (tmp_path / "out/report.html").read_text()
  for kind, video_id in expected:
    assert f"{kind} (" in text and kind in page and video_id in page
  assert "... and 2 more" in text  # truths of t1
  assert text.count("To mend: ") == len({kind for kind, _ in expected})


def test_the_width_is_that_of_most_videos(config, tmp_path):
  np.save(tmp_path / "features" / "t3.npy", np.ones((3, 40)))  # transposed
  result = check_data.run(config, tmp_path / "out")
  assert [row["feature_width"] for row in result.rows] == [3, 3, 3]
  assert result.content["counts"]["wrong width"] == 1


class Page(html.parser.HTMLParser):
  """Checks that every tag is closed in order; counts the tags."""

  VOID = {"meta", "br"}

  def __init__(self):
    super().__init__()
    self.open, self.counts = [], {}

  def handle_starttag(self, tag, attrs):
    self.counts[tag] = self.counts.get(tag, 0) + 1
    for name, value in attrs:
      assert name not in ("src", "href") and not name.startswith("on"), (tag, name, value)
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.counts[tag] = self.counts.get(tag, 0) + 1

  def handle_endtag(self, tag):
    assert self.open and self.open.pop() == tag


def test_page(config, tmp_path):
  change(tmp_path, "t1", annotations=[{"segment": [2, 60], "label": "<b>&\""}])
  result = check_data.run(config, tmp_path / "out")
  text = (tmp_path / "out" / "report.html").read_text()
  page = Page()
  page.feed(text)
  assert not page.open and page.counts["svg"] >= 4 and page.counts["rect"] > 50
  assert "script" not in page.counts and "b" not in page.counts
  assert "<script" not in text and "&lt;script&gt;" in text
  assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
  assert result.exit_code == 1
  drawn = [video.video_id for video, _ in check_data_html.chosen(
      result.parts.annotations, result.report)]
  assert drawn[0] == "t1" and len(drawn) == len(set(drawn)) == 8


def test_timeline_of_a_video_in_frames_stays_legible():
  video = VideoAnnotation("a", "t", 100.0, np.array([[250.0, 2500.0], [10, np.nan]]), ("x", "y"))
  text = check_data_svg.timeline(video, Extent(10, 2, TimeGrid(5.0)), np.array([[0.0, 50.0]]))
  assert "cut off at 300 s" in text and "nan" not in text and 'url(#hatch)' in text
  assert "not known" in check_data_svg.timeline(video, Extent(10, 2, None), None)
  nothing = VideoAnnotation("a", "t", np.nan, np.zeros((0, 2)), ())
  assert "nan" not in check_data_svg.timeline(nothing, None, None).replace("duration nan s", "")


@pytest.mark.parametrize("limit", [0.003, 0.9, 1, 7, 50.4, 1e5])
def test_ticks(limit):
  found = check_data_svg.ticks(limit)
  assert found[0] == 0 and found[-1] <= limit * 1.001 and 3 <= len(found) <= 7


def test_lanes_do_not_overlap():
  segments = np.random.default_rng(0).uniform(0, 50, (40, 2))
  segments = np.sort(segments, axis=1)
  placed = check_data_svg.pack(segments)
  assert placed[0] == (0, tuple(segments[0])) and len(placed) > 12
  for i, (lane, (start, end)) in enumerate(placed):
    assert all(other != lane or end <= a or start >= b for other, (a, b) in placed[:i])


def test_coverage_against_a_slow_count():
  rng = np.random.default_rng(0)
  for _ in range(20):
    segments = np.sort(rng.integers(-3, 25, (4, 2)), axis=1).astype(float)
    video = VideoAnnotation("a", "t", 20.0, segments, ("x",) * 4)
    slow = sum(any(s <= t and t + 1 <= e for s, e in segments) for t in range(20))
    assert covered(video) == slow


def test_overview_without_videos():
  assert overview(from_videos([])) == []


def test_simulated_data_have_nothing_to_check(tmp_path):
  result = check_data.run(anet.get_config("smoke"), tmp_path / "out")
  assert result.exit_code == 0 and not (tmp_path / "out").exists()
  assert "nothing to check" in check_data.text(result)


@pytest.mark.parametrize(("field", "value", "message"), [
    ("annotations", "", "data.annotations is not set"),
    ("annotations", "none.json", "cannot read none.json"),
    ("features", "none", "cannot read none"), ("features_format", "x", "there are auto"),
    ("proposals", "none", "cannot read none"), ("windows", {"step": 1.0}, "data.windows: .*step"),
    ("stride", -1.0, "data.stride = -1.0")])
def test_faults_of_the_user(config, tmp_path, field, value, message):
  with config.ignore_type():
    config.data[field] = value
  with pytest.raises(DataError, match=message):
    check_data.run(config, tmp_path / "out")
  with pytest.raises(DataError, match="is a file"):
    check_data.run(files_of(tmp_path), tmp_path / "a.json")


def files_of(tmp_path):
  config = files.get_config("subject")
  config.data.annotations = str(tmp_path / "a.json")
  return config


def test_binary(config, tmp_path):
  """Exit codes 1 and 2, from the command line; 0 is `run`'s."""
  def call(*args):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.check_data", "--config=configs/files.py:subject",
         f"--output={tmp_path / 'out'}", *args], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"})
    return done.returncode, done.stdout, done.stderr

  change(tmp_path, "t1", duration=9.5)
  code, out, _ = call(f"--config.data.annotations={config.data.annotations}",
                      "--config.data.split.num_knowledge_subjects=1", "--examples=0")
  assert code == 1 and "truth outside its video (1)" in out and "report.html" in out
  assert (tmp_path / "out" / "report.html").exists()
  code, out, err = call("--config.data.annotations=none.json")
  assert (code, out) == (2, "") and "error: cannot read none.json" in err


def test_recall_of_the_tag_proposals(data_dir, tmp_path):
  """Real proposals and truths of ActivityNet 1.2's validation: the published recall comes out."""
  path = data_dir / "proposals" / "activitynet1.2_tag_val_normalized_proposal_list.txt"
  config = files.get_config()
  config.data.annotations = config.data.proposals = str(path)
  config.data.video_info = str(data_dir / "activitynet" / "activity_net.v1-3.json")
  result = check_data.run(config, tmp_path)
  (row,) = result.rows
  assert (row["videos"], row["instances"], row["classes"]) == (2383, 3582, 100)
  assert {key: round(value, 3) for key, value in row["recall"].items()} == {
      "0.5": 0.873, "0.7": 0.717, "0.9": 0.408}
  assert "0.873 at tIoU 0.5, 0.717 at tIoU 0.7, 0.408 at tIoU 0.9" in check_data.text(result)


def test_hapt_is_clean(data_dir, tmp_path, monkeypatch):
  monkeypatch.setenv("TAL_JAX_DATA", str(data_dir))
  config = hapt.get_config()
  config.data.windows = {"shortest": 40.0}
  result = check_data.run(config, tmp_path)
  assert result.exit_code == 0 and result.rows[-1]["features_per_second"] == 5.0


def test_the_wrong_stride_of_real_features_is_named(data_dir, tmp_path, monkeypatch):
  monkeypatch.setenv("TAL_JAX_DATA", str(data_dir))
  config = hapt.get_config()
  config.data.stride, config.data.windows = 5.0, {"shortest": 40.0}
  (problem,) = [p for p in check_data.run(config, tmp_path).report.problems
                if p.kind == "wrong fps"]
  assert problem.message.endswith(
      "data.fps = 25 would fit, or data.stride = 10 with the fps as it is")
