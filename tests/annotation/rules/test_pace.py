"""How far a campaign is, and the remarks of its annotators."""

import pytest

from tal_jax.annotation.rules import exclusions, pace, remarks
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.corrections import correct
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task, release
from tests.annotation.campaigns import ask, enrol


def answer(made, worker, comment="", unusable=""):
  task = next_task(made, worker).task_id
  submit(made, worker, task, f"{worker} {task}", [], comment, unusable)


def seen(made):
  with made.store.read() as db:
    return pace.pace(db, made.clock())


def test_the_time_left_at_the_present_pace(make):
  """Four are left. The three so far took 60 s each; then nobody works for two minutes."""
  made = make(videos=10)
  ask(made, videos=[f"v{i}" for i in range(8)])
  ann = enrol(made, "ann")
  assert seen(made) == (0, None, 0, None)
  pace.plan(made, 7)
  for done in range(1, 4):
    assert seen(made).seconds_left is None
    made.clock.now += 60
    answer(made, ann)
    assert seen(made)[:3] == (done, 7, 0)
  assert seen(made).seconds_left == pytest.approx(4 * 60)
  made.clock.now += 120  # nobody is at work
  assert seen(made).seconds_left == pytest.approx(4 * 120)
  exclusions.exclude(made, "v9", "damaged")
  pace.plan(made, 3)
  assert seen(made) == (3, 3, 1, 0.0)


def test_what_was_left_out_is_no_longer_planned(make):
  made = make(videos=5)
  add_gold(made, [("v4", "jump", [])])
  ask(made, videos=("v0", "v1"))
  pace.plan(made, 4)
  ann = enrol(made, "ann")
  exclusions.exclude(made, "v2", "damaged")
  exclusions.exclude(made, "v4", "damaged")  # gold, which counts nowhere
  assert seen(made)[:3] == (0, 3, 1)
  exclusions.exclude(made, "v3", "damaged")
  answer(made, ann)
  answer(made, ann)
  assert seen(made) == (2, 2, 2, 0.0)


def test_remarks(make):
  made = make(videos=5, annotators=3)
  ask(made, videos=[f"v{i}" for i in range(5)])
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, "is it the arm?")
  answer(made, ann)  # said nothing
  answer(made, ann, "black", "it is damaged")
  for comment in ("two hours", ""):
    made.clock.now += 1
    release(made, ann, next_task(made, ann).task_id, "it takes too long" if comment else "",
            comment)
  made.clock.now += 1
  answer(made, bob, "hello")
  made.clock.now += 1
  correct(made, bob, {1: []}, "again", "hello again")
  with made.store.read() as db:
    total, found = remarks.remarks(db)
    assert total == 6 and [(r.kind, r.worker, r.video, r.reason, r.comment) for r in found] == [
        ("answer", "bob", "v0", "", "hello again"), ("answer", "bob", "v0", "", "hello"),
        ("skip", "ann", "v4", "", ""),
        ("skip", "ann", "v3", "it takes too long", "two hours"),
        ("unusable", "ann", "v2", "it is damaged", "black"),
        ("answer", "ann", "v0", "", "is it the arm?")]
    assert [r.comment for r in remarks.remarks(db, worker_id=bob)[1]] == ["hello again", "hello"]
    assert [r.kind for r in remarks.remarks(db, offset=1, limit=2)[1]] == [
        r.kind for r in found[1:3]]
