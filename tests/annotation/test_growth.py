"""A campaign that is not the same at its next start: what goes on, is told, or is refused."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tal_jax.annotation import campaign, errors, store
from tal_jax.annotation.active import loop
from tal_jax.annotation.oracles.behaviour import Behaviour
from tal_jax.annotation.oracles.simulated import Simulated
from tal_jax.checkpoints import Checkpoints
from tal_jax.data import pool_size
from tal_jax.errors import DataError
from tal_jax.runs.campaign import (
  asked_before,
  growth as annotate_growth,
  learner as annotate_learner,
  setup as annotate_setup,
)
from tal_jax.runs.reporter import Reporter
from tests.annotation import campaigns
from tests.annotation.active.test_loop import World, metrics, without

pytestmark = pytest.mark.slow

POOL = 10  # videos at first; the world has more
FIRST, BATCH = 3, 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  made = World(tmp_path_factory.mktemp("world"))
  made.all, made.pool = made.pool, made.pool[:POOL]
  return made


class Told:
  """Keeps what is said to whoever runs the campaign."""

  def __init__(self):
    self.lines = []

  def of(self, folder, world, opened, *, setup=None, **changes):
    """Runs the campaign in `folder`, or what is left of it."""
    self.lines.clear()
    config = world.config(**{
        "campaign.num_initial": FIRST, "batch_size": BATCH, "campaign.max_videos": 7,
        "campaign.num_rounds": 2} | changes)
    found, setup = opened(folder, config), setup or world.setup()
    setup, _ = asked_before.settled(found, setup)
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(annotate_setup.proxies, "proxy_path",
                    lambda video_id, *_: pathlib.Path("/none"))
      annotate_setup.fill(found, setup, folder, instructions="Mark it.")
    workers = Simulated(found, {name: Behaviour(noise=0.1) for name in "abc"}, world.answers)
    with Reporter("test") as report, pytest.MonkeyPatch.context() as patch:
      patch.setattr(report, "say", self.lines.append)
      annotate_learner.run(config, found, setup, folder, report, workers.advance)
    return found

  @property
  def changes(self):
    start = "changed since the last start: "
    return [line.removeprefix(start) for line in self.lines if line.startswith(start)]

  @property
  def retrained(self):
    return any("trained again" in line for line in self.lines)


@pytest.fixture
def told():
  return Told()


def opener(made):
  """Opens campaigns, and keeps them in `made`."""
  def at(folder, config):
    folder.mkdir(exist_ok=True)
    made.append(campaign.Campaign(store.Store(folder / "campaign.sqlite"),
                                  annotate_setup.policy(config), campaigns.Clock()))
    return made[-1]

  return at


@pytest.fixture
def opened():
  made = []
  yield opener(made)
  for found in made:
    found.store.close()


@pytest.fixture(scope="module")
def two_rounds(world, tmp_path_factory):
  """Two rounds of the small pool: the folder, to be copied."""
  folder = tmp_path_factory.mktemp("two")
  Told().of(folder, world, opener([])).store.close()
  return folder


@pytest.fixture
def begun(two_rounds, tmp_path):
  shutil.copytree(two_rounds, tmp_path / "c")
  return tmp_path / "c"


def chosen(folder):
  return [json.loads(line)["video_ids"] for line in
          (folder / "selections.jsonl").read_text().splitlines()]


def test_the_same_again_says_nothing(world, opened, begun, told):
  before = metrics(begun)
  told.of(begun, world, opened)
  assert told.changes == [] and not told.retrained and metrics(begun) == before


@pytest.mark.exhaustive
def test_more_videos(world, opened, begun, told, tmp_path, monkeypatch):
  """The learner is then that of a campaign which had them all from the start."""
  first = chosen(begun)
  monkeypatch.setattr(world, "pool", world.all)
  told.of(begun, world, opened, **{"campaign.num_rounds": 4, "campaign.max_videos": 12})
  assert told.changes[0] == (
      f"videos: {POOL} -> 14: added {', '.join(world.all[POOL:])}")
  assert told.retrained and chosen(begun)[:2] == first and len(chosen(begun)) == 4
  # A campaign of its own, whose first rounds ask for the same videos.
  rounds = {0: first[0], 1: first[1]}
  real = loop.known_round
  monkeypatch.setattr(loop, "known_round", lambda made, number: (
      real(made, number) or rounds.get(number)))
  alone = Told()
  alone.of(tmp_path / "alone", world, opened, **{"campaign.num_rounds": 4,
                                                 "campaign.max_videos": 12})
  assert chosen(tmp_path / "alone") == chosen(begun)
  assert without(metrics(tmp_path / "alone"), "seconds") == without(metrics(begun), "seconds")


def test_more_videos_while_the_first_round_is_open(world, opened, tmp_path, told, monkeypatch):
  def stop(*_args, **_more):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(loop, "wait", stop)
    told.of(tmp_path / "c", world, opened)
  monkeypatch.setattr(world, "pool", world.all)
  found = told.of(tmp_path / "c", world, opened)
  assert told.changes[0].startswith(f"videos: {POOL} -> 14")
  assert len(campaigns.select(found, "SELECT * FROM rounds")) == 2


def test_fewer_videos(world, opened, begun, told, monkeypatch):
  asked = {name for names in chosen(begun) for name in names}
  free = next(name for name in world.pool if name not in asked)
  monkeypatch.setattr(world, "pool", tuple(x for x in world.pool if x != free))
  told.of(begun, world, opened)
  assert told.changes[0] == f"videos: {POOL} -> {POOL - 1}: removed {free}" and told.retrained
  gone = chosen(begun)[0][0]
  monkeypatch.setattr(world, "pool", tuple(x for x in world.pool if x != gone))
  with pytest.raises(DataError, match=f"not in the pool any more, e.g. {gone}.*put {gone} back"):
    told.of(begun, world, opened)


def test_another_strategy_and_model(world, opened, begun, told):
  rows = metrics(begun)
  told.of(begun, world, opened, **{"campaign.strategy": "random", "campaign.num_rounds": 3})
  assert told.changes == ["campaign.strategy: uncertainty -> random from round 2 on",
                          "campaign.num_rounds: 2 -> 3"]
  assert not told.retrained
  assert [row["strategy"] for row in metrics(begun)] == ["uncertainty", "uncertainty", "random"]
  assert metrics(begun)[:2] == rows
  told.of(begun, world, opened, **{"campaign.strategy": "random", "campaign.num_rounds": 3,
                                   "svm.c": 0.2})
  assert told.changes == ["svm.c: 0.1 -> 0.2"] and told.retrained
  assert [row["strategy"] for row in metrics(begun)] == ["uncertainty", "uncertainty", "random"]
  assert metrics(begun)[0]["map"] != rows[0]["map"] or metrics(begun)[0] != rows[0]


@pytest.mark.parametrize(("changes", "said", "retrained"), [
    ({"campaign.slots_per_label": 4}, "campaign.slots_per_label: 3 -> 4", True),
    ({"campaign.num_initial": 5}, "campaign.num_initial: 3 -> 5", False),
    ({"campaign.policy.annotators": 2}, "campaign.policy.annotators: 3 -> 2", False),
    ({"campaign.local.annotators": ("annotator 1", "dan")},
     "campaign.local.annotators: 3 -> 2: added dan; removed annotator 2, annotator 3", False),
    ({"campaign.local.annotators": ("annotator 1,annotator 2, annotator 3,dan",)},  # a command line
     "campaign.local.annotators: 3 -> 4: added dan", False),
    ({"batch_size": 3}, "batch_size: 2 -> 3", False),
    ({"data.normalize": "l2"}, "data.normalize: standardize -> l2", True)])
def test_settings(world, opened, begun, told, changes, said, retrained):
  told.of(begun, world, opened, **changes)
  assert told.changes == [said] and told.retrained == retrained


def test_features_elsewhere(world, opened, begun, told, tmp_path):
  moved = tmp_path / "elsewhere"
  shutil.copytree(world.folder / "features", moved)
  told.of(begun, world, opened, **{"data.features": str(moved)})
  assert told.changes == [
      f"data.features: {world.folder / 'features'} -> {moved}, the same content"]
  assert not told.retrained
  file = next(path for path in moved.rglob(f"{world.pool[0]}*"))
  values = np.load(file)
  np.save(file, values + 1)
  told.of(begun, world, opened, **{"data.features": str(moved)})
  assert told.changes == [f"features of 1 videos changed: {world.pool[0]}"] and told.retrained


def with_labels(world, video, *labels):
  setup = world.setup()
  return setup._replace(intended=setup.intended | {video: dict.fromkeys(labels)})


def test_another_class(world, opened, begun, told):
  """New classes are asked for in videos that were not asked for; what was asked stays."""
  asked = chosen(begun)[0][0]
  free = next(x for x in world.pool if all(x not in names for names in chosen(begun)))
  was = next(iter(world.setup().intended[asked]))
  told.of(begun, world, opened, setup=with_labels(world, free, "fly"))
  assert f"labels of 1 videos changed: {free}" in told.changes
  assert "classes: 2 -> 3: added fly" in told.changes and told.retrained
  config = world.config()
  found = opened(begun, config)
  setup, said = asked_before.settled(found, with_labels(world, asked, "fly", was))
  assert setup.intended[asked] == {was: None}
  assert said == [f"'fly' is not asked for in 1 videos that were asked for before: {asked}"]
  with pytest.raises(DataError, match=f"{asked} was asked for '{was}'.*Put the label back"):
    asked_before.settled(found, with_labels(world, asked, "fly"))


def test_another_duration(world, opened, begun, told):
  def longer(video):
    setup = world.setup()
    probe = setup.probes[video]._replace(duration=30.5)
    return setup._replace(probes=setup.probes | {video: probe})

  asked = chosen(begun)[0][0]
  free = next(x for x in world.pool if all(x not in names for names in chosen(begun)))
  found = told.of(begun, world, opened, setup=longer(free))
  assert campaigns.select(found, "SELECT duration FROM videos WHERE name = ?", free) == [
      {"duration": 30.5}]
  with pytest.raises(errors.Conflict, match=f"{asked} is known with another duration"):
    told.of(begun, world, opened, setup=longer(asked))


def test_another_seed_is_refused(world, opened, begun, told):
  with pytest.raises(errors.Conflict, match="data.seed = 7.*drawn with 0"):
    told.of(begun, world, opened, **{"data.seed": 7})


def test_what_an_older_version_wrote_goes_on(world, opened, begun, told):
  """It kept the settings of the learner and one digest of the pool."""
  path = begun / "config.json"
  made = json.loads(path.read_text())
  old = {name: value for name, value in made.items() if name not in (
      "campaign", "name", "batch_size", "budget_ratio", "tensorboard", "oracle")}
  old["pool"] = {name: made["pool"][name] for name in ("videos", "classes", "videos_and_labels")}
  old["campaign"] = {"num_initial": FIRST}
  path.write_text(json.dumps(old))
  rows = metrics(begun)
  told.of(begun, world, opened)
  assert told.changes == [] and not told.retrained and metrics(begun) == rows
  path.write_text(json.dumps(old | {"pool": old["pool"] | {"videos_and_labels": "x"}}))
  told.of(begun, world, opened)
  assert told.retrained


def test_a_damaged_record(world, opened, begun, told):
  (begun / "config.json").write_text("{")
  with pytest.raises(DataError, match="remove it; the learner is then trained again"):
    told.of(begun, world, opened)
  (begun / "config.json").unlink()
  told.of(begun, world, opened)
  assert told.retrained and len(metrics(begun)) == 2
  assert Checkpoints(begun / "checkpoints")._manager.all_steps()


def test_a_pool_that_the_memory_has_no_room_for(world, opened, two_rounds, told, tmp_path,
                                                monkeypatch):
  """It goes to files in the work directory; the rounds are the same."""
  monkeypatch.setattr(pool_size, "memory", lambda: 20_000)
  told.of(tmp_path / "c", world, opened)
  said, = [line for line in told.lines if "memory-mapped files" in line]
  assert "42 proposals at most: the pool would need" in said and str(tmp_path / "c/pool") in said
  assert (tmp_path / "c/pool/selection.bin").stat().st_size > 0
  kept = without(metrics(tmp_path / "c"), "seconds")
  assert [row["num_labeled"] for row in kept] == [FIRST, FIRST + BATCH]
  assert chosen(tmp_path / "c") == chosen(two_rounds)
  for row, expected in zip(kept, metrics(two_rounds), strict=True):
    assert row["map"] == pytest.approx(expected["map"], abs=1e-6)


def test_who_chose_which_round():
  made = {"campaign": {"chosen_by": [[0, "uncertainty"], [3, "random"]]}}
  assert [annotate_growth.chosen_by(made, number) for number in (0, 2, 3, 9)] == [
      "uncertainty", "uncertainty", "random", "random"]
