"""The learner goes on at the quorum: late answers train the next round, after any kill the same.

As in `test_loop`, but the first video of every round is decided only when the next round is open.
"""

import json
import shutil

import pytest

from tal_jax.annotation import campaign, store, workers
from tal_jax.annotation.active import loop
from tal_jax.annotation.rules import decisions, exclusions
from tal_jax.annotation.videos import preparing
from tal_jax.checkpoints import Checkpoints
from tal_jax.runs.campaign import learner as annotate_learner, setup as annotate_setup
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.workdir import Workdir
from tests.annotation import campaigns
from tests.annotation.active import test_loop
from tests.annotation.active.test_loop import content, metrics
from tests.killing import Killed, stop_at

pytestmark = pytest.mark.slow

opened, world = test_loop.opened, test_loop.world  # fixtures
QUORUM = {"campaign.round_quorum": 0.6}
_OPEN = ("SELECT t.id, t.round_id, v.name, c.name AS label, (SELECT MIN(f.id) FROM tasks f "
         "WHERE f.round_id = t.round_id) = t.id AS is_first FROM tasks t "
         "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
         "WHERE t.state = 'open' ORDER BY t.id")


class People:
  """Decide what is open, each round's first video a round late; leave out what is unusable."""

  def __init__(self, made, truth, *, budget, unusable=()):
    self._made, self._truth, self._budget, self._unusable = made, truth, budget, unusable
    with made.store.write() as db:
      self._id = workers.enrol(db, "op", role="operator", seconds=1e6, now=1000.0)[0].id

  def advance(self):
    open_ = campaigns.select(self._made, _OPEN)
    newest = max((task["round_id"] for task in open_), default=0)
    asked = campaigns.select(self._made, "SELECT COUNT(*) AS n FROM videos WHERE state IN "
                             "('asked', 'labelled')")[0]["n"]
    for task in open_:
      if task["name"] in self._unusable:
        exclusions.exclude(self._made, task["name"], "cannot be played")
      elif not (task["is_first"] and task["round_id"] == newest and asked < self._budget):
        decisions.dispute(self._made, self._id, task["id"])
        decisions.adjudicate(self._made, self._id, task["id"],
                             self._truth(task["name"], task["label"]).tolist())


def run(world, opened, folder, *, unusable=(), nobody=False, **changes):
  config = world.config(**QUORUM | changes)
  found, setup = opened(folder, config), world.setup()
  annotate_setup.fill(found, setup, folder, instructions="Mark it.")
  people = People(found, world.answers, budget=config.campaign.max_videos, unusable=unusable)
  with Reporter("test") as report:
    annotate_learner.run(config, found, setup, folder, report,
                         (lambda: None) if nobody else people.advance)
  return found


def learnt(made):
  """Round -> the videos that were new to it."""
  found = {}
  for row in campaigns.select(made, "SELECT l.round_id, v.name FROM learnt l JOIN videos v "
                              "ON v.id = l.video_id ORDER BY 1, 2"):
    found.setdefault(row["round_id"], []).append(row["name"])
  return found


def everything(made, folder):
  return content(made, folder) | {"learnt": learnt(made)}


@pytest.fixture(scope="module")
def reference(world, tmp_path_factory):
  folder = tmp_path_factory.mktemp("reference")
  made = []

  def open_(at, config):
    made.append(campaign.Campaign(store.Store(at / "campaign.sqlite"),
                                  annotate_setup.policy(config), campaigns.Clock()))
    return made[-1]

  run(world, open_, folder)
  campaigns.check(made[0])
  result = everything(made[0], folder)
  made[0].store.close()
  return result, folder


def test_late_videos_train_the_round_after(reference):
  result, _ = reference
  chosen = [json.loads(line)["video_ids"] for line in result["selections"].splitlines()]
  assert [len(names) for names in chosen] == [4, 3, 3, 2]
  assert [row["num_labeled"] for row in result["metrics"]] == [3, 6, 9, 12]
  late = [names[0] for names in chosen]
  assert result["learnt"] == {
      0: sorted(chosen[0][1:]), 1: sorted([late[0], *chosen[1][1:]]),
      2: sorted([late[1], *chosen[2][1:]]), 3: sorted([late[2], *chosen[3]])}
  asked = [name for names in chosen for name in names]
  assert len(set(asked)) == 12  # what is late is not chosen again
  assert all(row["state"] == "trained" for row in result["rounds"])


@pytest.mark.parametrize(("owner", "name", "call", "after"), [
    (loop, "open_round", 2, False), (loop, "open_round", 2, True), (preparing, "expect", 1, False),
    (preparing, "expect", 2, True), (loop, "close", 1, False), (loop, "close", 1, True),
    (loop, "close", 3, True), (Workdir, "append", 2, True), (Checkpoints, "save", 1, True),
    (Checkpoints, "save", 3, False), (loop, "mark_trained", 2, False),
    (decisions, "adjudicate", 5, True), (loop, "finish", 1, False)])
def test_killed_between_any_two_writes(world, reference, opened, tmp_path, owner, name,
                                       call, after):
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, owner, name, call=call, after=after)
    run(world, opened, tmp_path)
  made = run(world, opened, tmp_path)
  assert everything(made, tmp_path) == reference[0]
  campaigns.check(made)


def test_without_checkpoints_it_learns_the_same_and_asks_nobody(world, reference, opened,
                                                                tmp_path):
  shutil.copytree(reference[1], tmp_path / "c")
  shutil.rmtree(tmp_path / "c/checkpoints")
  made = run(world, opened, tmp_path / "c", nobody=True)
  assert everything(made, tmp_path / "c") == reference[0]


def test_another_quorum_for_the_rounds_to_come(world, reference, opened, tmp_path):
  """What was learnt stands, also when the learner begins again."""
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, loop, "mark_trained", call=2, after=True)
    run(world, opened, tmp_path)
  shutil.rmtree(tmp_path / "checkpoints")
  made = run(world, opened, tmp_path, **{"campaign.round_quorum": 0.3})
  rows = metrics(tmp_path)
  assert [row["num_labeled"] for row in rows] == [3, 6, 9, 12]
  assert {n: learnt(made)[n] for n in (0, 1)} == {n: reference[0]["learnt"][n] for n in (0, 1)}


def test_videos_left_out_are_made_up_for(world, reference, opened, tmp_path):
  chosen = [json.loads(line)["video_ids"] for line in reference[0]["selections"].splitlines()]
  unusable = {chosen[0][1], chosen[0][2]}
  made = run(world, opened, tmp_path, unusable=unusable, **{"campaign.round_quorum": 0.5})
  asked = [row["name"] for row in campaigns.select(
      made, "SELECT DISTINCT v.name FROM tasks t JOIN videos v ON v.id = t.video_id")]
  assert len(asked) == 14 and unusable < set(asked)  # the pool has no more
  assert metrics(tmp_path)[-1]["num_labeled"] == 12
  assert not unusable & {name for names in learnt(made).values() for name in names}
  campaigns.check(made)


def test_a_first_round_that_is_left_out_as_a_whole(world, reference, opened, tmp_path):
  first = json.loads(reference[0]["selections"].splitlines()[0])["video_ids"]
  made = run(world, opened, tmp_path, unusable=first, **{"campaign.max_videos": 6})
  assert [row["num_labeled"] for row in metrics(tmp_path)] == [0, 2, 6]
  assert loop.is_finished(made)
  campaigns.check(made)
