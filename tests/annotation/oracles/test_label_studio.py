"""Label Studio's files: what goes out, and what comes in, good and bad."""

import json
from xml.etree import ElementTree

import pytest

from tal_jax.annotation import oracles
from tal_jax.annotation.oracles import label_studio_format as ls
from tal_jax.annotation.rules.decisions import final_answers
from tal_jax.annotation.rules.leases import next_task
from tests.annotation import campaigns
from tests.annotation.campaigns import ask, check, select, state


@pytest.fixture
def made(tmp_path):
  """v0 and v1 are asked for, two answers each; 100 s at 25 frames a second."""
  made = campaigns.make(tmp_path / "c.db", annotators=2)
  ask(made, videos=("v0", "v1"))
  yield made
  check(made)
  made.store.close()


@pytest.fixture
def oracle(made, tmp_path):
  oracle = oracles.make("label_studio", made, {}, tmp_path)
  oracle.start()
  oracle.advance()
  return oracle


def region(first, last, label="jump"):
  return {"id": "r", "from_name": "actions", "to_name": "video", "type": "timelinelabels",
          "origin": "manual", "value": {"ranges": [{"start": first, "end": last}],
                                        "timelinelabels": [label]}}


ABSENT = {"id": "a", "from_name": "absent", "to_name": "video", "type": "choices",
          "value": {"choices": ["The action is not here"]}}


def annotation(number, who, *result, **more):
  return {"id": number, "completed_by": who, "was_cancelled": False, "ground_truth": False,
          "result": list(result), "lead_time": 12.5} | more


def exported(tmp_path, index, *annotations):
  """An entry as the tool exports it, made from the task that it was given."""
  tasks = json.loads((tmp_path / "label_studio/tasks_round_0.json").read_text())
  return {"id": 90 + index, "data": tasks[index]["data"], "annotations": list(annotations),
          "project": 3, "predictions": []}


def put(tmp_path, name, value):
  content = value if isinstance(value, bytes) else json.dumps(value).encode()
  (tmp_path / "label_studio/completed" / name).write_bytes(content)


def problems(tmp_path):
  return (tmp_path / "label_studio/problems.txt").read_text().splitlines()


def stored(made):
  return [(r["name"], r["task_id"], r["start"], r["e"]) for r in select(
      made, 'SELECT w.name, a.task_id, s.start, s."end" AS e FROM assignments a JOIN workers w '
      "ON w.id = a.worker_id LEFT JOIN segments s ON s.assignment_id = a.id ORDER BY a.id, start")]


def test_what_goes_out(made, oracle, tmp_path):
  view = ElementTree.parse(tmp_path / "label_studio/interface.xml").getroot()
  assert view.tag == "View"
  assert view.find("Video").attrib == {"name": "video", "value": "$video", "frameRate": "$fps",
                                       "timelineHeight": "120"}
  assert view.find("TimelineLabels").attrib == {"name": "actions", "toName": "video"}
  assert [x.attrib["value"] for x in view.findall("TimelineLabels/Label")] == ["jump", "run"]
  tasks = json.loads((tmp_path / "label_studio/tasks_round_0.json").read_text())
  assert tasks[1] == {"data": {
      "tal_jax_task": 2, "tal_jax_video": "v1", "label": "jump", "fps": 25.0,
      "video": "/data/local-files/?d=1.mp4",
      "question": "Mark every jump from its start to its end",
      "instructions": "Both feet off the ground."}}
  assert len(tasks) == 2
  used = {x.attrib["value"].removeprefix("$") for x in view.iter()
          if x.attrib.get("value", "").startswith("$")}
  assert used | {"fps"} <= set(tasks[0]["data"])


def test_tasks_are_written_once_a_round(made, oracle, tmp_path):
  path = tmp_path / "label_studio/tasks_round_0.json"
  before = path.stat().st_mtime_ns
  oracle.advance()
  assert path.stat().st_mtime_ns == before


def test_video_addresses_are_quoted(made, tmp_path):
  campaigns.campaign.add_videos(made, [campaigns.campaign.Video(
      "a b&c/\u00e9", "/x y/\u00e9 #1.mp4", 10.0, 25.0)])
  row = select(made, "SELECT * FROM videos WHERE name LIKE 'a b%'")[0]
  oracle = oracles.make("label_studio", made, {"video_url": "https://h/{name}?p={path}&f={file}"},
                        tmp_path)
  data = oracle._data({"id": 1, "video": row["name"], "label": "x", "media_path": row["path"],
                       "fps": 25.0, "instructions": ""})
  assert data.video == ("https://h/a%20b%26c%2F%C3%A9?p=/x%20y/%C3%A9%20%231.mp4"
                        "&f=%C3%A9%20%231.mp4")


def test_what_comes_in(made, oracle, tmp_path):
  put(tmp_path, "one.json", [
      exported(tmp_path, 0, annotation(11, {"id": 4, "email": "ann@x.org"}, region(26, 50)),
               annotation(12, {"id": 5, "email": "bob@x.org"}, region(26, 50), region(1, 1))),
      exported(tmp_path, 1, annotation(13, 4, ABSENT),
               annotation(14, 6, region(1, 5), was_cancelled=True))])
  oracle.advance()
  assert problems(tmp_path) == []
  assert stored(made) == [
      ("label_studio:ann@x.org", 1, 1.0, 2.0), ("label_studio:bob@x.org", 1, 0.0, 0.04),
      ("label_studio:bob@x.org", 1, 1.0, 2.0), ("label_studio:4", 2, None, None)]
  assert state(made, "tasks", 1) == "agreed" and state(made, "tasks", 2) == "open"
  assert [s[:2] for s in final_answers(made, 0)[0].segments] == [(1.0, 2.0)]


def test_the_same_again_changes_nothing(made, oracle, tmp_path):
  entry = exported(tmp_path, 0, annotation(11, "ann", region(26, 50)))
  put(tmp_path, "one.json", [entry])
  oracle.advance()
  before = stored(made), select(made, "SELECT * FROM events")
  put(tmp_path, "one.json", [entry, entry])
  put(tmp_path, "two.json", entry)  # a single task without a list
  oracle.advance()
  restarted = oracles.make("label_studio", made, {}, tmp_path)
  restarted.start()
  restarted.advance()
  assert stored(made) == before[0] and problems(tmp_path) == []
  logged = [e for e in select(made, "SELECT * FROM events") if not e["kind"].startswith("workers")]
  assert logged == [e for e in before[1] if not e["kind"].startswith("workers")]


def test_an_annotation_changed_after_it_was_taken(made, oracle, tmp_path):
  put(tmp_path, "one.json", exported(tmp_path, 0, annotation(11, "ann", region(26, 50))))
  oracle.advance()
  put(tmp_path, "one.json", exported(tmp_path, 0, annotation(11, "ann", region(26, 75))))
  oracle.advance()
  assert len(stored(made)) == 1 and stored(made)[0][3] == 2.0
  assert "one.json, task 1 (v0, jump), annotation 11" in problems(tmp_path)[0]


BAD = {
    "not json": b"{", "not text": b"\xff\x00", "too deep": b"[" * 100_000, "a number": 7,
    "no data": [{"annotations": []}], "a list": [[]],
    "another tool's": [{"data": {"video": "x.mp4"}, "annotations": []}]}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(made, oracle, tmp_path, name):
  put(tmp_path, "a bad.json", BAD[name])
  put(tmp_path, "good.json", exported(tmp_path, 0, annotation(1, "ann", ABSENT)))
  oracle.advance()
  assert len(stored(made)) == 1
  assert len(problems(tmp_path)) == 1 and problems(tmp_path)[0].startswith("a bad.json")
  put(tmp_path, "a bad.json", exported(tmp_path, 1, annotation(2, "ann", ABSENT)))  # mended
  oracle.advance()
  assert len(stored(made)) == 2 and problems(tmp_path) == []


@pytest.mark.parametrize("bad", [
    {"tal_jax_task": 99}, {"tal_jax_task": "1"}, {"tal_jax_task": True}, {"tal_jax_task": 2**70},
    {"tal_jax_video": "v1"}, {"label": "run"}, {"fps": 30.0}])
def test_tasks_of_another_campaign(made, oracle, tmp_path, bad):
  entry = exported(tmp_path, 0, annotation(1, "ann", ABSENT))
  put(tmp_path, "x.json", [entry | {"data": entry["data"] | bad}])
  oracle.advance()
  assert stored(made) == [] and len(problems(tmp_path)) == 1


@pytest.mark.parametrize("bad", [
    annotation(1, "ann"), annotation(1, "ann", ABSENT, region(1, 2)),
    annotation(1, "ann", region(0, 5)), annotation(1, "ann", region(5, 4)),
    annotation(1, "ann", region(1.5, 4)), annotation(1, "ann", region("1", 4)),
    annotation(1, "ann", region(True, 4)), annotation(1, "ann", region(2500, 2503)),
    annotation(1, "ann", region(2501, 2501)), annotation(1, "ann", region(1, 5, "run")),
    annotation(1, "ann", {"value": None}), annotation(1, "ann", {"value": {"choices": 3}}),
    annotation(1, "ann", {"value": {"timelinelabels": ["jump"], "ranges": {"start": 1}}}),
    annotation(1, "ann", {"value": {"timelinelabels": ["jump"], "ranges": [4]}}),
    annotation(1, "ann", "region"), annotation(1, "ann", ABSENT) | {"result": None},
    annotation(None, "ann", ABSENT), annotation(1, None, ABSENT), annotation(1, {}, ABSENT),
    annotation(1, True, ABSENT), annotation(1, "x" * 300, ABSENT)])
def test_bad_annotations(made, oracle, tmp_path, bad):
  put(tmp_path, "x.json", [exported(tmp_path, 0, bad, annotation(2, "bob", ABSENT))])
  oracle.advance()
  assert len(stored(made)) == 1  # bob's
  assert len(problems(tmp_path)) == 1
  assert problems(tmp_path)[0].startswith("x.json, task 1 (v0, jump), annotation ")


def test_the_last_frames(made, oracle, tmp_path):
  """The tool may count a frame or two more than there are: the segment ends with the video."""
  assert ls.seconds(2499, 2502, 25.0, 100.0) == (2498 / 25, 100.0)
  assert ls.seconds(1, 2500, 25.0, 100.0) == (0.0, 100.0)


def test_answers_that_nobody_wants(made, oracle, tmp_path):
  put(tmp_path, "x.json", [exported(tmp_path, 0, *(
      annotation(i, f"w{i}", region(26, 50)) for i in range(3)))])
  oracle.advance()
  assert len(stored(made)) == 2
  assert "annotation 2: task 1 is agreed" in problems(tmp_path)[0]
  assert select(made, "SELECT * FROM leases WHERE state = 'held'") == []


def test_a_place_that_becomes_free_is_taken_later(made, oracle, tmp_path):
  put(tmp_path, "x.json", [exported(tmp_path, 0, annotation(1, "w1", region(26, 50)))])
  oracle.advance()
  assert next_task(made, campaigns.enrol(made, "page")).task_id == 1
  put(tmp_path, "y.json", [exported(tmp_path, 0, annotation(2, "w2", region(26, 50)))])
  oracle.advance()
  assert len(problems(tmp_path)) == 1 and len(stored(made)) == 1
  made.clock.now += 60
  oracle.advance()
  assert problems(tmp_path) == [] and len(stored(made)) == 2


def test_one_class_is_not_answered_twice_by_one(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.campaign.open_round(made, 0, [campaigns.campaign.Ask("v0", "jump"),
                                          campaigns.campaign.Ask("v0", "run")])
  oracle = oracles.make("label_studio", made, {}, tmp_path)
  oracle.start()
  oracle.advance()
  put(tmp_path, "x.json", [exported(tmp_path, i, annotation(k, "ann", ABSENT))
                           for k, i in enumerate((0, 1, 1))])  # the other class is another task
  oracle.advance()
  assert len(stored(made)) == 2 and "answered the task before" in problems(tmp_path)[0]
  check(made)
  made.store.close()
