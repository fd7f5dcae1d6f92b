"""People who are idle while the learner trains work on the next round; after any kill the same.

As in `test_loop_quorum`, but while each round is trained, two videos of the last ranking are asked
for and decided.
"""

import json
import shutil

import pytest

from tal_jax import learner
from tal_jax.annotation import campaign, store, workers
from tal_jax.annotation.active import loop
from tal_jax.annotation.rules import ahead, leases
from tal_jax.annotation.videos import preparing
from tal_jax.checkpoints import Checkpoints
from tal_jax.runs.campaign import learner as annotate_learner, setup as annotate_setup
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.workdir import Workdir
from tests.annotation import campaigns
from tests.annotation.active import test_loop
from tests.annotation.active.test_loop import content, metrics
from tests.annotation.active.test_loop_quorum import People, learnt
from tests.killing import Killed, stop_at

pytestmark = pytest.mark.slow

opened, world = test_loop.opened, test_loop.world  # fixtures
EARLY = 2  # videos of each round after the first
SETTINGS = {"campaign.while_training": "next"}


def run(world, opened, folder, **changes):
  """The campaign; while its learner trains, ann looks for tasks. An operator decides them all."""
  config, train = world.config(**SETTINGS | changes), learner.train
  made, setup = opened(folder, config), world.setup()
  annotate_setup.fill(made, setup, folder, instructions="Mark it.")
  people = People(made, world.answers, budget=0)  # nothing is late
  with made.store.write() as db:
    ann = workers.enrol(db, "ann", seconds=1e6, now=1000.0)[0].id

  def while_training(state, pool):
    number = int(state.step) + 1
    while len(ahead.early(made, number)) < EARLY and leases.next_visit(made, ann):
      with made.store.write() as db:
        leases.leave(db, ann, made.policy, made.clock())
      people.advance()
    return train(state, pool)

  with pytest.MonkeyPatch.context() as patch, Reporter("test") as report:
    patch.setattr(learner, "train", while_training)
    annotate_learner.run(config, made, setup, folder, report, people.advance)
  return made


def everything(made, folder):
  early = campaigns.select(made, "SELECT video_id, round_id FROM early ORDER BY 1")
  return content(made, folder) | {"learnt": learnt(made), "early": early}


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


def test_the_selections_say_what_was_asked_for_while_training(reference):
  result, _ = reference
  lines = [json.loads(line) for line in result["selections"].splitlines()]
  assert [len(line["video_ids"]) for line in lines] == [4, 3, 3, 2]
  assert "while_training" not in lines[0]
  for line in lines[1:]:
    assert line["while_training"] == line["video_ids"][:EARLY]  # the rest is of the new ranking
  assert [row["num_labeled"] for row in result["metrics"]] == [4, 7, 10, 12]
  assert result["learnt"] == {i: sorted(line["video_ids"]) for i, line in enumerate(lines)}
  asked = [name for line in lines for name in line["video_ids"]]
  assert len(set(asked)) == 12


@pytest.mark.parametrize(("owner", "name", "call", "after"), [
    (loop, "open_round", 2, False), (loop, "open_round", 2, True), (preparing, "expect", 2, False),
    (preparing, "expect", 3, True), (loop, "close", 2, True), (ahead, "open_next", 1, True),
    (ahead, "open_next", 2, True), (ahead, "open_next", 4, False), (Workdir, "append", 1, True),
    (Checkpoints, "save", 1, True), (Checkpoints, "save", 2, False),
    (loop, "mark_trained", 1, False), (loop, "mark_trained", 2, True)])
def test_killed_between_any_two_writes(world, reference, opened, tmp_path, owner, name, call,
                                       after):
  with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
    stop_at(patch, owner, name, call=call, after=after)
    run(world, opened, tmp_path)
  made = run(world, opened, tmp_path)
  assert everything(made, tmp_path) == reference[0]
  campaigns.check(made)


def test_without_checkpoints_it_learns_the_same(world, reference, opened, tmp_path):
  shutil.copytree(reference[1], tmp_path / "c")
  shutil.rmtree(tmp_path / "c/checkpoints")
  made = run(world, opened, tmp_path / "c")
  assert everything(made, tmp_path / "c") == reference[0]


def test_wait_asks_for_nothing_ahead(world, opened, tmp_path):
  made = run(world, opened, tmp_path, **{"campaign.while_training": "wait"})
  assert not campaigns.select(made, "SELECT * FROM early")
  assert [row["num_labeled"] for row in metrics(tmp_path)] == [4, 7, 10, 12]
