"""Exports: what is in them by hand, that they read back, and that nothing private or live is."""

import csv
import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tal_jax.annotation import campaign, exports
from tal_jax.annotation.campaign import Ask, Video
from tal_jax.annotation.exports import csv_table
from tal_jax.annotation.oracles import label_studio_format as ls
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import adjudicate, dispute
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError
from tests.annotation import campaigns

_BAD = "=HYPERLINK(\"http://x\")"


@pytest.fixture
def made(tmp_path):
  """Two rounds: v0 agreed, v1 without the action, a bad name adjudicated, v3 half decided.

  v4 is not asked for, v5 is gold.
  """
  made = campaigns.make(tmp_path / "c.db", videos=6, annotators=2, max_annotators=2, gold_before=1)
  campaign.add_videos(made, [Video(_BAD, "/videos/bad.mp4", 50.0, 25.0, num_frames=1250)])
  campaign.add_classes(made, [("@cmd", "")])
  add_gold(made, [("v5", "jump", [(77.0, 78.0)])])
  workers = [campaigns.enrol(made, name) for name in ("ann secret", "bob secret")]
  operator = campaigns.enrol(made, "op", "operator")
  for worker in workers:
    answer(made, worker, [(77.0, 78.0)])
  campaign.open_round(made, 0, [Ask("v1", "jump"), Ask("v0", "run")])
  for worker, start in zip(workers, (10.0, 11.0), strict=True):
    answer(made, worker, [])
    answer(made, worker, [(start, 20.0), (40.0, 50.0)])
  campaign.mark_trained(made, 0)
  made.clock.now = 2000.0
  campaign.open_round(made, 1, [Ask(_BAD, "@cmd"), Ask("v3", "jump"), Ask("v3", "run")])
  tasks = [row["id"] for row in campaigns.select(
      made, "SELECT id FROM tasks WHERE round_id = 1 ORDER BY id")]
  for worker, start in zip(workers, (1.0, 30.0), strict=True):
    answer(made, worker, [(start, start + 5.0)])
  adjudicate(made, operator, tasks[0], [(1.5, 6.5)])
  dispute(made, operator, tasks[1])
  adjudicate(made, operator, tasks[1], [(5.0, 6.0)])
  yield made
  campaigns.check(made)
  made.store.close()


def answer(made, worker, segments):
  task = next_task(made, worker).task_id
  submit(made, worker, task, f"{worker} {task}", segments, "a private comment")


def test_activitynet_by_hand(made):
  found = exports.activitynet(made)
  assert list(found["database"]) == ["v1", "v0", _BAD]  # the learner's order; v3 is not labelled
  assert found["database"]["v1"] == {
      "subset": "training", "duration": 100.0, "fps": 25.0, "annotations": [],
      "answers": [{"label": "jump", "round": 0, "state": "agreed", "agreement": 1.0,
                   "annotators": 2}]}
  more = {"label": "run", "support": 1.0, "source": "consensus", "round": 0, "annotators": 2}
  assert found["database"]["v0"]["annotations"] == [
      {"segment": [10.5, 20.0], "agreement": 0.9, **more},
      {"segment": [40.0, 50.0], "agreement": 1.0, **more}]
  assert found["database"][_BAD] == {
      "subset": "training", "duration": 50.0, "fps": 25.0, "num_frames": 1250,
      "annotations": [{"segment": [1.5, 6.5], "label": "@cmd", "agreement": None, "support": None,
                       "source": "adjudication", "round": 1, "annotators": 2}],
      "answers": [{"label": "@cmd", "round": 1, "state": "adjudicated", "agreement": 0.0,
                   "annotators": 2}]}
  provenance = found["provenance"]
  assert provenance["rounds"] == [
      {"number": 0, "state": "trained", "opened_at": 1000.0, "tasks": 2},
      {"number": 1, "state": "open", "opened_at": 2000.0, "tasks": 3}]
  assert provenance["policy"] == made.policy._asdict()
  assert [provenance[k] for k in ("annotators", "answers", "gold_tasks", "as_of")] == [
      2, 6, 1, 2000.0]
  assert exports.activitynet(made, subset="validation")["database"]["v1"]["subset"] == "validation"


def test_support_and_annotators_are_of_the_same_people(make):
  """Who is stopped after the decision was among those that it was merged from."""
  made = make(annotators=3, max_annotators=3, min_worker_f1=0.5, min_compared=1)
  campaigns.ask(made)
  for name, segment in (("a", (0, 10)), ("b", (0, 10)), ("c", (50, 60))):
    answer(made, campaigns.enrol(made, name), [segment])
  assert len(campaigns.select(made, "SELECT * FROM stopped")) == 1  # c, by this decision
  video = exports.activitynet(made)["database"]["v0"]
  found, = video["annotations"]
  assert found["support"] == pytest.approx(2 / 3) and found["annotators"] == 3
  assert video["answers"][0]["annotators"] == 3


def test_activitynet_reads_back(made, tmp_path):
  exports.write(made, tmp_path / "a.json", "activitynet")
  assert json.loads((tmp_path / "a.json").read_text("utf-8")) == exports.activitynet(made)
  found = read_annotations(tmp_path / "a.json")
  assert found.classes == ("@cmd", "run")
  assert list(found.videos) == ["v1", "v0", _BAD]
  assert found.videos["v1"].labels == () and found.videos["v1"].segments.shape == (0, 2)
  np.testing.assert_array_equal(found.videos["v0"].segments, [[10.5, 20.0], [40.0, 50.0]])
  assert found.videos["v0"].duration == 100.0 and frame_rate(found.videos["v0"]) == 25.0
  assert [f["agreement"] for f in found.videos["v0"].extra["annotation_fields"]] == [0.9, 1.0]


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_every_export_reads_back(made, tmp_path, kind):
  """Videos, durations, instances and labels; names that spreadsheets would run, too."""
  more = ["'quoted", "'=1", "-1", "two\nlines"]
  campaign.add_videos(made, [Video(name, "/videos/a b.mp4", 9.0, 25.0) for name in more])
  with made.store.write() as db:
    db.execute("UPDATE videos SET state = 'labelled' WHERE name IN (?, ?, ?, ?)", more)
    for name in more:
      db.execute("INSERT INTO tasks (round_id, video_id, class_id, wanted, state) SELECT 0, v.id, "
                 "c.id, 1, 'adjudicated' FROM videos v, classes c WHERE v.name = ? "
                 "AND c.name = '@cmd'", (name,))
      db.execute("INSERT INTO segments (task_id, start, \"end\", source) "
                 "VALUES (last_insert_rowid(), 1.23456, 2.5, 'adjudication')")
  exports.write(made, tmp_path / "training", kind)
  found = read_annotations(tmp_path / "training")
  truth = exports.activitynet(made)["database"]
  assert set(found.videos) == set(truth) and len(truth) == 7
  for name, video in truth.items():
    read = found.videos[name]
    assert (read.subset, read.duration) == ("training", video["duration"])
    assert [(*s, label) for s, label in zip(read.segments.tolist(), read.labels, strict=True)] == [
        (*x["segment"], x["label"]) for x in video["annotations"]]
    if kind != "csv":
      assert frame_rate(read) == video["fps"]


def test_a_correction_is_in_the_next_export(made):
  operator = campaigns.enrol(made, "second", "operator")
  task = campaigns.select(made, "SELECT t.id FROM tasks t JOIN videos v ON v.id = t.video_id "
                          "WHERE v.name = 'v1'")[0]["id"]
  adjudicate(made, operator, task, [(2.0, 3.0)])
  found = exports.activitynet(made)["database"]["v1"]
  assert [x["segment"] for x in found["annotations"]] == [[2.0, 3.0]]
  assert found["annotations"][0]["source"] == "adjudication"
  assert found["answers"][0]["state"] == "adjudicated"


def test_instances_of_several_classes_are_in_the_order_of_time(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaign.open_round(made, 0, [Ask("v0", "run"), Ask("v0", "jump")])
  one = campaigns.enrol(made, "a")
  answer(made, one, [(50, 60), (1, 2)])
  answer(made, one, [(30, 40)])
  found = exports.activitynet(made)["database"]["v0"]
  assert [(x["segment"], x["label"]) for x in found["annotations"]] == [
      ([1.0, 2.0], "run"), ([30.0, 40.0], "jump"), ([50.0, 60.0], "run")]
  assert [a["label"] for a in found["answers"]] == ["run", "jump"]
  made.store.close()


def test_csv(made, tmp_path):
  exports.write(made, tmp_path / "a.csv", "csv")
  text = (tmp_path / "a.csv").read_bytes().decode("utf-8")
  assert text.count("\r\n") == text.count("\n") == 5
  header, *lines = csv.reader(io.StringIO(text, newline=""))
  assert tuple(header) == csv_table.COLUMNS
  assert lines == [
      ["v1", "100.0", "jump", "", "", "", "", "", "0", "2", "agreed", "1.0"],
      ["v0", "100.0", "run", "10.5", "20.0", "0.9", "1.0", "consensus", "0", "2", "agreed", "1.0"],
      ["v0", "100.0", "run", "40.0", "50.0", "1.0", "1.0", "consensus", "0", "2", "agreed", "1.0"],
      ["'" + _BAD, "50.0", "'@cmd", "1.5", "6.5", "", "", "adjudication", "1", "2", "adjudicated",
       "0.0"]]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "\n=1", " =1",
                                  "\uff1d1", " \u3000+1"])
def test_formulas_are_escaped(tmp_path, name):
  made = campaigns.make(tmp_path / "c.db", videos=0)
  campaign.add_videos(made, [Video(name, "p", 10.0, 25.0)])
  campaign.add_classes(made, [(name, "")])
  campaigns.ask(made, videos=(name,), label=name)
  answer(made, campaigns.enrol(made, "a"), [])
  exports.write(made, tmp_path / "a.csv", "csv")
  text = (tmp_path / "a.csv").read_bytes().decode("utf-8")
  _, line = csv.reader(io.StringIO(text, newline=""))
  assert line[0] == line[2] == "'" + name
  made.store.close()


def test_names_that_need_no_apostrophe_have_none(tmp_path):
  made = campaigns.make(tmp_path / "c.db", videos=0)
  names = ["v_-1=a", 'quoted "name", with comma', "two\nlines", "\u00e4", " a"]
  campaign.add_videos(made, [Video(name, "p", 10.0, 25.0) for name in names])
  campaigns.ask(made, videos=names)
  worker = campaigns.enrol(made, "a")
  for _ in names:
    answer(made, worker, [])
  assert [row[0] for row in exports.csv_rows(made)[1:]] == names
  text = csv_table.text(exports.csv_rows(made))
  assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:] == names
  made.store.close()


def test_label_studio(made, tmp_path):
  exports.write(made, tmp_path / "a.json", "label_studio")
  empty, two, bad = json.loads((tmp_path / "a.json").read_text("utf-8"))
  assert empty["data"]["tal_jax_video"] == "v1" and empty["data"]["instances"] == []
  assert empty["annotations"][0]["result"][0]["value"] == {"choices": ["The action is not here"]}
  assert two["data"]["video"] == "/data/local-files/?d=0.mp4" and two["data"]["fps"] == 25.0
  assert (two["data"]["label"], two["data"]["round"], two["data"]["state"]) == ("run", 0, "agreed")
  first, second = two["annotations"][0]["result"]
  # 10.5 s is 262.5 frames at 25 fps, and halves go to the even one: 262 frames come before.
  assert first["value"] == {"ranges": [{"start": 263, "end": 500}], "timelinelabels": ["run"]}
  assert second["value"]["ranges"] == [{"start": 1001, "end": 1250}]
  assert first["type"] == "timelinelabels" and first["id"] != second["id"]
  assert two["data"]["instances"][0] == {"start": 10.5, "end": 20.0, "source": "consensus",
                                         "agreement": 0.9, "support": 1.0}
  assert bad["data"]["instances"][0]["source"] == "adjudication"


def test_label_studio_fits_the_interface_of_the_oracle(made):
  """The names of tags, and what the other direction makes of the annotations."""
  root = ET.fromstring(ls.interface(["run", "jump", "@cmd"]))
  tags = {tag.get("name"): tag for tag in root.iter() if tag.get("name")}
  for task in exports.label_studio(made):
    result = task["annotations"][0]["result"]
    for region in result:
      assert tags[region["from_name"]].get("toName") == region["to_name"] == "video"
      assert tags[region["from_name"]].tag.lower() == region["type"]
    fields = {k: task["data"][k] for k in ls.TaskData._fields}  # all that the interface shows
    duration = exports.activitynet(made)["database"][fields["tal_jax_video"]]["duration"]
    back = ls.segments(result, fields["label"], fields["fps"], duration)
    exact = [(s["start"], s["end"]) for s in task["data"]["instances"]]
    assert np.abs(np.subtract(back, exact)).max(initial=0) <= 0.5 / fields["fps"] + 1e-9


@pytest.mark.parametrize("fps", [25.0, 29.97, 12.5])
def test_label_studio_frames_and_back(tmp_path, fps):
  """Borders of frames come back as they were; what is not half a frame off has the same range."""
  made = campaigns.make(tmp_path / "c.db", videos=0)
  campaign.add_videos(made, [Video(name, "p", 100.0, fps) for name in ("exact", "moved")])
  campaigns.ask(made, videos=("exact", "moved"))
  rng = np.random.default_rng(0)
  frames = np.sort(rng.choice(np.arange(1, int(99 * fps)), (2, 40), replace=False).reshape(-1))
  frames = frames.reshape(-1, 2)
  exact = frames / fps
  worker = campaigns.enrol(made, "a")
  answer(made, worker, [*exact.tolist(), [0.0, 0.002]])
  answer(made, worker, (exact + rng.uniform(-0.49, 0.49, exact.shape) / fps).tolist())
  first, second = ([r["value"]["ranges"][0] for r in task["annotations"][0]["result"]]
                   for task in exports.label_studio(made))
  assert first[0] == {"start": 1, "end": 1}  # a range has a frame at least
  assert first[1:] == second == [{"start": a + 1, "end": b} for a, b in frames.tolist()]
  assert [ls.seconds(r["start"], r["end"], fps, 100.0) for r in second] == [
      pytest.approx(pair) for pair in exact.tolist()]
  made.store.close()


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_nothing_private_or_undecided_goes_out(made, tmp_path, kind):
  exports.write(made, tmp_path / "a", kind)
  text = (tmp_path / "a").read_text("utf-8")
  for absent in ("secret", "private", "v3", "v4", "v5", "77.0"):
    assert absent not in text, absent
  assert "v0" in text and [p.name for p in tmp_path.glob("a*")] == ["a"]
  before = (tmp_path / "a").read_bytes()
  exports.write(made, tmp_path / "a", kind)
  assert (tmp_path / "a").read_bytes() == before  # the same data, the same file


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_a_campaign_without_labels(tmp_path, kind):
  made = campaigns.make(tmp_path / "c.db")
  exports.write(made, tmp_path / "a", kind)
  assert (tmp_path / "a").read_text("utf-8").strip()
  if kind == "activitynet":
    assert read_annotations(tmp_path / "a").videos == {}
  made.store.close()


def test_what_cannot_be_written_is_said(made, tmp_path):
  with pytest.raises(DataError, match="choose from activitynet, csv, label_studio"):
    exports.write(made, tmp_path / "a", "xml")
  with pytest.raises(DataError, match="cannot write"):
    exports.write(made, tmp_path / "absent" / "a.json", "activitynet")
