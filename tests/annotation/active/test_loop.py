"""The learner and the campaign agree: at every step, after a kill at any of them, after damage.

The learner runs as it does in experiments.annotate, on planted features; simulated workers answer
in this process. `test_whole_loop` has real videos, processes and HTTP.
"""

import json
import pathlib
import shutil
import types

import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from configs import campaign as campaign_config
from tal_jax.annotation import campaign, errors, exports, names, rows, store
from tal_jax.annotation.active import loop
from tal_jax.annotation.oracles.behaviour import Behaviour
from tal_jax.annotation.oracles.simulated import Simulated
from tal_jax.annotation.rules import answers, decisions, exclusions
from tal_jax.annotation.videos.media import Probe
from tal_jax.checkpoints import Checkpoints
from tal_jax.data.annotations import from_videos, read_annotations
from tal_jax.data.features import write_features
from tal_jax.data.records import FrameFeatures, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.models import stage_wise
from tal_jax.runs.campaign import (
  labels as annotate_labels,
  learner as annotate_learner,
  setup as annotate_setup,
)
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.workdir import Workdir
from tests.annotation import campaigns
from tests.killing import Killed, stop_at

pytestmark = pytest.mark.slow

CLASSES, SECONDS, VIDEOS, TESTING, ROUNDS = ("jump", "run"), 30.0, 14, 6, 4
SETTINGS = {"batch_size": 3, "campaign.num_initial": 4, "campaign.max_videos": 12,
            "campaign.slots_per_label": 3, "campaign.poll_seconds": 0.01, "encoder": "mean",
            "campaign.strategy": "uncertainty", "data.testing_subset": "testing",
            # Each round learns what the model before it chose, whoever is there while it trains.
            "campaign.round_quorum": 1.0, "campaign.while_training": "wait",
            "campaign.videos": "unused", "campaign.labels": "unused", "svm.c": 0.1,
            "data.windows.shortest": 4.0, "data.windows.overlap": 0.5}


class World:
  """The files of a small campaign, and its truth."""

  def __init__(self, folder: pathlib.Path):
    rng = np.random.default_rng(1)
    videos, features = [], []
    for i in range(VIDEOS + TESTING):
      starts = np.array([2.0, 16.0])[:rng.integers(1, 3)] + rng.uniform(0, 3)
      segments = np.stack([starts, starts + rng.uniform(5, 9)], 1)
      label = i % 2
      values = rng.normal(size=(30, 4)).astype(np.float32)
      for start, end in segments:
        values[int(start):int(end), 0] += 3
        values[int(start):int(end), 1 + label] += 3
      subset = "campaign" if i < VIDEOS else "testing"
      videos.append(VideoAnnotation(f"v{i:02d}", subset, SECONDS, segments,
                                    (CLASSES[label],) * len(segments)))
      features.append((f"v{i:02d}", FrameFeatures(values, TimeGrid(1.0))))
    write_features(folder / "features", features)
    self.folder, self.truth = folder, from_videos(videos)
    self.pool = tuple(video.video_id for video in videos[:VIDEOS])

  def config(self, **changes):
    made = campaign_config.get_config()
    made.model = "paper"  # trained in a moment
    made.update_from_flattened_dict(
        SETTINGS | {"data.features": str(self.folder / "features")} | changes)
    made.campaign.policy.max_annotators = 3
    return annotate_setup.checked(made)

  def setup(self):
    return annotate_setup.Setup(
        paths={name: pathlib.Path(f"/videos/{name}.mp4") for name in self.pool},
        probes={name: Probe(SECONDS, 25.0, 750, 320, 240, "") for name in self.pool},
        pool=self.pool, intended={name: dict.fromkeys(self.truth.videos[name].labels)
                                  for name in self.pool},
        texts={}, annotated=self.truth, gold=())

  def answers(self, video, label):
    found = self.truth.videos[video]
    return found.segments[[name == label for name in found.labels]]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def opened():
  """Opens campaigns, and closes them."""
  made = []

  def at(folder, config):
    folder.mkdir(exist_ok=True)
    found = campaign.Campaign(store.Store(folder / "campaign.sqlite"),
                              annotate_setup.policy(config), campaigns.Clock())
    made.append(found)
    return found

  yield at
  for found in made:
    found.store.close()


def run(world, opened, folder, **changes):
  """Runs the campaign in `folder`, or what is left of it; gives the open campaign."""
  behaviour = {name: changes.pop(name) for name in list(changes) if name in Behaviour._fields}
  config = world.config(**changes)
  found, setup = opened(folder, config), world.setup()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(annotate_setup.proxies, "proxy_path", lambda video_id, *_: pathlib.Path("/none"))
    annotate_setup.fill(found, setup, folder, instructions="Mark it.")
  workers = Simulated(found, {name: Behaviour(**({"noise": 0.1} | behaviour)) for name in "abc"},
                      world.answers)
  with Reporter("test") as report:
    annotate_learner.run(config, found, setup, folder, report, workers.advance)
  return found


def metrics(folder):
  return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without(value, *names):
  """The value without all members of these names."""
  if isinstance(value, dict):
    return {key: without(x, *names) for key, x in value.items() if key not in names}
  return [without(x, *names) for x in value] if isinstance(value, list) else value


def content(found, folder):
  """What must not depend on kills."""
  return {"metrics": without(metrics(folder), "seconds"),
          "selections": (folder / "selections.jsonl").read_text(),
          "export": json.loads((folder / "annotations.json").read_text())["database"],
          "results": without(campaigns.select(found, "SELECT * FROM results"), "seconds", "at"),
          "rounds": campaigns.select(found, "SELECT id, state FROM rounds"),
          "answers": campaigns.select(
              found, "SELECT a.task_id, a.worker_id, s.start, s.end FROM assignments a JOIN "
              "segments s ON s.assignment_id = a.id ORDER BY 1, 2, 3")}


@pytest.fixture(scope="module")
def reference(world, tmp_path_factory):
  """A campaign that nothing interrupts: its content and its folder."""
  folder = tmp_path_factory.mktemp("reference")
  found = run(world, lambda f, config: campaign.Campaign(
      store.Store(f / "campaign.sqlite"), annotate_setup.policy(config), campaigns.Clock()), folder)
  result = content(found, folder)
  campaigns.check(found)
  found.store.close()
  return result, folder


def test_a_campaign_from_its_first_round_to_its_last(world, reference):
  result, folder = reference
  rows = result["metrics"]
  assert [row["num_labeled"] for row in rows] == [4, 7, 10, 12]
  assert [row["step"] for row in rows] == list(range(ROUNDS))
  assert result["rounds"] == [{"id": i, "state": "trained"} for i in range(ROUNDS)]
  assert [row["map"] for row in result["results"]] == [row["map"] for row in rows]
  assert rows[-1]["map_at_50"] > 0.3 and all(row["svm_converged"] for row in rows)
  chosen = [name for line in result["selections"].splitlines()
            for name in json.loads(line)["video_ids"]]
  assert len(chosen) == len(set(chosen)) == 12 and set(chosen) == set(result["export"])
  # The export reads back, and is what the workers saw, but for their noise.
  read = read_annotations(folder / "annotations.json").videos
  for name, video in read.items():
    truth = world.truth.videos[name]
    assert video.labels == truth.labels
    np.testing.assert_allclose(video.segments, truth.segments, atol=2.0)
  assert rows[-1]["num_instances"] == sum(len(video.labels) for video in read.values())


@pytest.mark.parametrize(("owner", "name", "call", "after"), [
    (loop, "open_round", 1, False), (loop, "open_round", 1, True), (loop, "open_round", 3, True),
    (answers, "settle", 20, True), (loop, "close", 2, False), (loop, "close", 2, True),
    (Workdir, "append", 2, True), (Checkpoints, "save", 1, False), (Checkpoints, "save", 2, True),
    (loop, "mark_trained", 2, False), (loop, "mark_trained", 3, True),
    (exports, "write", 4, False), (loop, "finish", 1, False)])
def test_killed_between_any_two_writes(world, reference, opened, tmp_path, owner, name, call,
                                       after):
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, owner, name, call=call, after=after)
    run(world, opened, tmp_path)
  found = run(world, opened, tmp_path)
  assert content(found, tmp_path) == reference[0]
  campaigns.check(found)
  assert loop.is_finished(found)


@pytest.mark.parametrize("lost", ["newest", "checkpoints", "rows", "all"])
def test_what_the_learner_lost_it_learns_again_and_asks_nobody(world, reference, opened, tmp_path,
                                                               lost, monkeypatch):
  result, folder = reference
  shutil.copytree(folder, tmp_path / "c")
  monkeypatch.setattr(logging, "warning", lambda *_: None)
  if lost == "newest":
    for path in (tmp_path / "c/checkpoints/3").rglob("*"):
      if path.is_file():
        path.write_bytes(path.read_bytes()[:20])
  if lost in ("checkpoints", "all"):
    shutil.rmtree(tmp_path / "c/checkpoints")
  if lost in ("rows", "all"):
    for name in ("metrics.jsonl", "selections.jsonl"):
      (tmp_path / "c" / name).unlink()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(Simulated, "_step", lambda *_: False)  # nobody is there
    found = run(world, opened, tmp_path / "c")
  assert content(found, tmp_path / "c") == result


def test_a_correction_is_exported_at_once_and_learnt_at_a_full_restart(world, reference, opened,
                                                                       tmp_path):
  result, folder = reference
  shutil.copytree(folder, tmp_path / "c")
  found = opened(tmp_path / "c", world.config())
  operator = campaigns.enrol(found, "operator", "operator")
  task = campaigns.select(found, "SELECT t.id, v.name FROM tasks t JOIN videos v ON "
                          "v.id = t.video_id WHERE round_id = 0 ORDER BY t.id")[0]
  decisions.adjudicate(found, operator, task["id"], [(20.0, 29.0)])
  found = run(world, opened, tmp_path / "c", **{"campaign.max_videos": 14})  # one more round
  export = json.loads((tmp_path / "c/annotations.json").read_text())["database"]
  assert [a["segment"] for a in export[task["name"]]["annotations"]] == [[20.0, 29.0]]
  rows = metrics(tmp_path / "c")
  assert without(rows[:ROUNDS], "seconds") == result["metrics"] and rows[-1]["num_labeled"] == 14
  shutil.rmtree(tmp_path / "c/checkpoints")
  run(world, opened, tmp_path / "c", **{"campaign.max_videos": 14})
  again = metrics(tmp_path / "c")
  assert [row["step"] for row in again] == list(range(ROUNDS + 1))
  assert again[0]["duality_gap"] != rows[0]["duality_gap"]
  # The rounds are those that were: people are asked nothing twice.
  lines = (tmp_path / "c/selections.jsonl").read_text().splitlines()
  assert lines[:ROUNDS] == result["selections"].splitlines()


def test_nothing_is_there(world, opened, tmp_path):
  """Every answer is "the action is not here": there is a model, and the campaign goes on."""
  found = run(world, opened, tmp_path, miss=1.0, **{"campaign.num_rounds": 2,
                                                    "data.testing_subset": ""})
  rows = metrics(tmp_path)
  assert [row["num_instances"] for row in rows] == [0, 0]
  assert rows[0]["map"] is None and rows[0]["attention_ap"] is None
  export = json.loads((tmp_path / "annotations.json").read_text())["database"]
  assert len(export) == 7 and not any(video["annotations"] for video in export.values())
  assert [row["map"] for row in campaigns.select(found, "SELECT map FROM results")] == [None, None]


def test_an_error_of_the_export_does_not_end_the_training(world, opened, tmp_path, monkeypatch,
                                                          capfd):
  def broken(*_):
    raise KeyError("ours")

  monkeypatch.setattr(exports, "text", broken)
  monkeypatch.setattr(annotate_learner.logging, "exception", lambda *_: None)
  found = run(world, opened, tmp_path, **{"campaign.num_rounds": 2, "data.testing_subset": ""})
  assert len(metrics(tmp_path)) == 2 and loop.is_finished(found)
  assert not (tmp_path / "annotations.json").exists()
  assert capfd.readouterr().err.count("was not written (KeyError: 'ours')") == 3


def test_strategies_that_need_knowledge(world, opened, tmp_path):
  with pytest.raises(DataError, match="learns from Knowledge-Source"):
    run(world, opened, tmp_path / "a", **{"campaign.strategy": "mcle"})
  found = run(world, opened, tmp_path / "b", **{
      "campaign.strategy": "mcle", "data.testing_subset": "", "data.knowledge_subset": "testing",
      "campaign.num_rounds": 2})
  assert len(campaigns.select(found, "SELECT * FROM results")) == 2


def test_suggestions(world, opened, tmp_path):
  """From the second round on, of the model before it, best first and inside the video."""
  found = run(world, opened, tmp_path, **{"campaign.suggestions": True, "campaign.num_rounds": 2})
  rows = campaigns.select(found, "SELECT s.*, t.class_id AS asked FROM suggestions s JOIN tasks t "
                          "ON t.video_id = s.video_id")
  assert len(rows) == 3
  for row in rows:
    body = json.loads(row["body"])
    assert row["class_id"] == row["asked"] and row["round_id"] == 1 and 0 < len(body) <= 10
    assert all(0 <= s < e <= SECONDS + 1e-4 and 0 <= score <= 1 for s, e, score in body)
    assert [score for *_, score in body] == sorted((score for *_, score in body), reverse=True)


def test_a_first_round_with_other_videos_is_refused(world, opened, tmp_path):
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, loop, "open_round", call=1, after=True)
    run(world, opened, tmp_path)
  with pytest.raises(errors.Conflict, match="seed or settings changed"):
    run(world, opened, tmp_path, **{"data.seed": 7})


def test_a_video_that_was_asked_for_must_stay(world, reference, opened, tmp_path, monkeypatch):
  shutil.copytree(reference[1], tmp_path / "c")
  name = json.loads(reference[0]["selections"].splitlines()[0])["video_ids"][0]
  monkeypatch.setattr(world, "pool", tuple(v for v in world.pool if v != name))
  with pytest.raises(DataError, match=f"not in the pool any more, e.g. {name}"):
    run(world, opened, tmp_path / "c")


@pytest.mark.parametrize(("changes", "message"), [
    ({"campaign.ask": "none"}, "campaign.ask"), ({"campaign.labels": ""}, "campaign.labels is not"),
    ({"campaign.videos": ""}, "campaign.videos is not set"),
    ({"data.features": ""}, "data.features is not set"),
    ({"campaign.policy.annotators": 9}, "policy.annotators = 9"),
    ({"campaign.slots_per_label": 0}, "slots_per_label"),
    ({"campaign.strategy": "oracel"}, "there is no oracel"),
    ({"campaign.strategy": "greedy_oracle"}, "truths that are not known"),
    ({"campaign.strategy": "mcle", "mcle.prior": "search"}, "mcle.prior"),
    ({"campaign.ask": "all"}, "campaign.classes is not set"), ({"top_k": 0}, "top_k")])
def test_faults_of_a_config(world, changes, message):
  with pytest.raises(DataError, match=message):
    world.config(**changes)


# The parts, by hand.


def final(video, label, *segments):
  return decisions.FinalAnswer(video, label, "agreed", 1.0, tuple(
      rows.FinalSegment(s, e, "consensus", 1.0, 1.0) for s, e in segments))


def test_asks_in_the_order_of_the_batch():
  labels = {"a": {"run": (1.0, 99.0)}, "b": {"run": None, "jump": (80.0, 90.0)}}
  assert loop.asks(["b", "a"], labels, {"a": 10.0, "b": 10.0}) == [
      campaign.Ask("b", "run"), campaign.Ask("b", "jump"), campaign.Ask("a", "run", (1.0, 10.0))]


def test_answers_fill_the_places_of_their_class(monkeypatch):
  said = []
  monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text % args))
  slots = np.array([[0, 0, 1, 1], [1, 1, -1, -1]])
  answer = loop.to_answer(
      [final("a", "jump", (1, 2)), final("a", "run"), final("b", "run", (0, 1), (2, 9), (10, 14))],
      ["a", "b"], ("jump", "run"), slots)
  np.testing.assert_array_equal(answer.mask, [[1, 0, 0, 0], [1, 1, 0, 0]])
  np.testing.assert_array_equal(answer.segments[0, 0], [1, 2])
  np.testing.assert_array_equal(answer.segments[1, :2], [[2, 9], [10, 14]])  # the longest, by start
  assert not np.asarray(answer.segments)[~np.asarray(answer.mask)].any()
  assert len(said) == 1 and "b has 3 instances of 'run'" in said[0]


def test_a_round_of_the_database_stands(tmp_path):
  made = campaigns.make(tmp_path / "c.db", videos=4)
  assert loop.known_round(made, 0) is None
  state = types.SimpleNamespace(labeled=np.zeros(4, bool))
  choose = loop.selector(made, 0, ["v0", "v1", "v2", "v3"],
                         lambda key, state, pool, batch_size: np.arange(batch_size))
  np.testing.assert_array_equal(choose(None, state, None, batch_size=2), [0, 1])
  campaign.open_round(made, 0, [campaign.Ask("v3", "run"), campaign.Ask("v1", "run"),
                                campaign.Ask("v3", "jump")])
  assert loop.known_round(made, 0) == ["v3", "v1"]
  np.testing.assert_array_equal(choose(None, None, None, batch_size=3), [3, 1])
  made.store.close()


def test_what_was_asked_for_or_left_out_is_passed_over(tmp_path):
  """v1 is learnt, v3 was asked for, v4 is left out: the learner has no labels of the last two."""
  made = campaigns.make(tmp_path / "c.db", videos=8)
  ids = [f"v{i}" for i in range(8)]
  campaigns.ask(made, videos=("v3",))
  exclusions.exclude(made, "v4", "cannot be played")
  state = types.SimpleNamespace(labeled=np.arange(8) == 1)
  ranking = np.array([4, 0, 3, 7, 2, 6, 5])  # best first, as if v1 were the only one taken

  def select(key, state, pool, batch_size):
    assert batch_size <= 7
    return ranking[:batch_size]

  for size, ahead, chosen, expected in ((2, 2, [0, 7], ["v2", "v6"]), (2, 0, [0, 7], []),
                                        (4, 9, [0, 7, 2, 6], ["v5"])):
    choose = loop.selector(made, 1, ids, select, more=ahead)
    np.testing.assert_array_equal(choose(None, state, None, batch_size=size), chosen)
    assert [row["name"] for row in campaigns.select(
        made, "SELECT v.name FROM upcoming u JOIN videos v ON v.id = u.video_id ORDER BY place"
    )] == expected
  made.store.close()


def test_waiting_and_recording(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made, videos=("v0", "v1"))
  operator = campaigns.enrol(made, "op", "operator")
  seen, steps = [], iter(range(9))

  def advance():
    task = next(steps)
    if task:  # an operator decides
      decisions.dispute(made, operator, task)
      decisions.adjudicate(made, operator, task, [])

  slept = []
  loop.wait(made, 0, advance=advance, poll_seconds=3.0, report=seen.append, sleep=slept.append)
  assert seen == [loop.Progress(2, 0, 0), loop.Progress(2, 1, 0), loop.Progress(2, 2, 0)]
  assert slept == [3.0, 3.0]
  assert not loop.is_finished(made)
  for _ in range(2):
    loop.record(made, 0, loop.Result(2, 0, None, None, 1.0))
    loop.finish(made)
  assert len(campaigns.select(made, "SELECT * FROM results")) == 1 and loop.is_finished(made)
  assert len(campaigns.select(made, "SELECT * FROM events WHERE kind = 'campaign.finished'")) == 1
  campaigns.ask(made, 1, videos=("v2",))
  assert not loop.is_finished(made)
  made.store.close()


def test_detections_of_the_intended_class_alone(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made, videos=("v0",), label="run")
  detections = stage_wise.Detections(
      segments=jnp.array([[[0.0, 1], [2, 3], [4, 5]]]),
      scores=jnp.array([[[0.9, 0.25], [0.1, 0.5], [0.2, 0.75]]]), attention=None,
      mask=jnp.array([[True, True, False]]), decisions=None)
  for _ in range(2):
    loop.suggest(made, 0, ["v0"], {"v0": {"run": None}}, ("jump", "run"), detections)
  row, = campaigns.select(made, "SELECT * FROM suggestions")
  assert json.loads(row["body"]) == [[2, 3, 0.5], [0, 1, 0.25]]
  made.store.close()


def test_gold_from_annotations(tmp_path):
  (tmp_path / "gold.json").write_text(json.dumps({"database": {"a": {
      "subset": "g", "duration": 9.0, "annotations": [{"segment": [1, 2], "label": "run"}]}}}))
  probes = {"a": Probe(9.0, 25.0, 225, 64, 48, "")}
  labels = {"a": {"run": (0.0, 99.0), "jump": None}}
  videos = names.Videos({"a": "a.mp4"})
  found = annotate_labels._gold(str(tmp_path / "gold.json"), videos, probes, labels)
  assert [tuple(item) for item in found] == [
      ("a", "run", [(1.0, 2.0)], (0.0, 9.0)), ("a", "jump", [], None)]
  with pytest.raises(DataError, match="not among campaign.videos"):
    annotate_labels._gold(str(tmp_path / "gold.json"), videos, {}, labels)
