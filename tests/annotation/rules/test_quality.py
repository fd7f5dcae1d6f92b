"""Agreement of each worker with the final answers, and the time they take."""

import functools

import pytest

from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import adjudicate
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task
from tal_jax.annotation.rules.quality import worker_quality
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
  # The majority says (0, 9), the median of its bounds.
  for worker, f1, tiou in ((ann, 1.0, 9 / 10), (bob, 1.0, 8 / 9), (cleo, 0.0, 0.0)):
    assert quality[worker] == (1, 1, f1, pytest.approx(tiou), 0, None, 0.0)
  assert quality[dan] == (1, 0, None, None, 0, None, 0.0)


def test_scores_follow_the_final_answer(make):
  """Nobody is judged in a dispute; then by the operator's word, and by each correction of it."""
  made = make(annotators=2, max_annotators=2)
  task, = campaigns.ask(made, videos=("v0",))
  ann, bob = campaigns.enrol(made, "ann"), campaigns.enrol(made, "bob")
  operator = campaigns.enrol(made, "op", "operator")
  answer(made, ann, [(0, 10)])
  answer(made, bob, [(50, 60)])
  assert [q.f1 for q in worker_quality(made).values()] == [None, None]
  for word, scores in (([(0, 10)], [1.0, 0.0]), ([(0, 10), (50, 60)], [2 / 3, 2 / 3]),
                       ([], [0.0, 0.0])):
    adjudicate(made, operator, task, word)
    assert [q.f1 for q in worker_quality(made).values()] == pytest.approx(scores)


def test_a_single_answer_is_not_compared_with_itself(make):
  made = make(annotators=1)
  task, = campaigns.ask(made, videos=("v0",))
  ann = campaigns.enrol(made, "ann")
  answer(made, ann, [(0, 10)])
  assert worker_quality(made)[ann][:3] == (1, 0, None)
  adjudicate(made, campaigns.enrol(made, "op", "operator"), task, [(0, 5)])
  assert worker_quality(made)[ann][:4] == (1, 1, 1.0, 0.5)


def test_gold_and_time_are_kept_apart(make):
  made = make(videos=4, annotators=2, gold_before=1)
  add_gold(made, [("v3", "jump", [(0, 10), (20, 30)])])
  campaigns.ask(made, videos=("v0", "v1", "v2"))
  ann, bob = campaigns.enrol(made, "ann"), campaigns.enrol(made, "bob")
  answer(made, ann, [(0, 10)], seconds=40.0)  # F1 = 2 / 3
  assert worker_quality(made) == {ann: (0, 0, None, None, 1, 2 / 3, None)}
  for seconds in (10.0, 20.0, 50.0):
    answer(made, ann, [(0, 10)], seconds)
  answer(made, bob, [(0, 10), (20, 30)])
  answer(made, bob, [(0, 8)], seconds=5.0)
  quality = worker_quality(made)
  assert quality[ann] == (3, 1, 1.0, pytest.approx(9 / 10), 1, 2 / 3, 20.0)
  assert quality[bob] == (1, 1, 1.0, pytest.approx(8 / 9), 1, 1.0, 5.0)


def test_what_is_marked_twice_counts_once(make):
  made = make()
  campaigns.ask(made)
  for name in "abc":
    answer(made, campaigns.enrol(made, name), [(0, 10)] * (1 + (name == "a")))
  assert [q.f1 for q in worker_quality(made).values()] == [1.0] * 3
