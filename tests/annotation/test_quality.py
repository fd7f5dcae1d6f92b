"""Agreement of each worker with the others, and the time they take."""

import functools

import pytest

from tal_jax.annotation.answers import submit
from tal_jax.annotation.gold import add_gold
from tal_jax.annotation.leases import next_task
from tal_jax.annotation.quality import worker_quality
from tests.annotation import campaigns


@pytest.fixture
def make(make):
  return functools.partial(make, annotators=3, max_annotators=3)


def answer(made, worker, segments, seconds=0.0):
  task = next_task(made, worker).task_id
  made.clock.now += seconds
  submit(made, worker, task, f"{worker} {task}", segments)


def test_hand_values(make):
  made = make()
  campaigns.ask(made, videos=("v0", "v1"))
  assert worker_quality(made) == {}
  ann, bob, cleo, dan = (campaigns.enrol(made, name) for name in ("ann", "bob", "cleo", "dan"))
  for worker, segments in ((ann, [(0, 10)]), (bob, [(0, 8)]), (cleo, [(50, 60)])):
    answer(made, worker, segments)
  answer(made, dan, [])
  quality = worker_quality(made)
  for worker, f1, tiou in ((ann, 0.5, 0.4), (bob, 0.5, 0.4), (cleo, 0.0, 0.0)):
    assert quality[worker] == (1, 1, f1, tiou, 0, None, 0.0)
  assert quality[dan] == (1, 0, None, None, 0, None, 0.0)


def test_gold_and_time_are_kept_apart(make):
  made = make(videos=4, gold_before=1)
  add_gold(made, [("v3", "jump", [(0, 10), (20, 30)])])
  campaigns.ask(made, videos=("v0", "v1", "v2"))
  ann, bob = campaigns.enrol(made, "ann"), campaigns.enrol(made, "bob")
  answer(made, ann, [(0, 10)], seconds=40.0)  # F1 = 2 / 3
  assert worker_quality(made) == {ann: (0, 0, None, None, 1, 2 / 3, None)}
  for seconds in (10.0, 20.0, 50.0):
    answer(made, ann, [(0, 10)], seconds)
  answer(made, bob, [(0, 10), (20, 30)])
  answer(made, bob, [(0, 9)], seconds=5.0)
  quality = worker_quality(made)
  assert quality[ann] == (3, 1, 1.0, 0.9, 1, 2 / 3, 20.0)
  assert quality[bob] == (1, 1, 1.0, 0.9, 1, 1.0, 5.0)


def test_what_is_marked_twice_counts_once(make):
  made = make()
  campaigns.ask(made)
  for name in "abc":
    answer(made, campaigns.enrol(made, name), [(0, 10)] * (1 + (name == "a")))
  assert [q.f1 for q in worker_quality(made).values()] == [1.0] * 3
