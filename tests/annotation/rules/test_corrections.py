"""The way back of an annotator: corrections, undo, later."""

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import Conflict, InvalidAnswer, LeaseLost, NotFound
from tal_jax.annotation.rules import corrections, exclusions
from tal_jax.annotation.rules.answers import submit, submit_all
from tal_jax.annotation.rules.corrections import correct, open_answers, undo
from tal_jax.annotation.rules.decisions import adjudicate, dispute, final_answers
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task, next_visit, put_off
from tests.annotation.campaigns import ask, enrol, select, state


def answer(made, worker, segments=(), task=None, name=None):
  lease = next_task(made, worker)
  assert task in (None, lease.task_id)
  submit(made, worker, lease.task_id, name or f"{worker} {lease.task_id}", list(segments))
  return lease.task_id


def mine(made, worker):
  with made.store.read() as db:
    return [(a.task_id, list(a.segments), a.version) for a in open_answers(db, worker)]


def test_a_correction_is_a_new_version(make):
  made = make(annotators=2, max_annotators=2)
  task, _ = ask(made, videos=("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)], task)
  assert mine(made, ann) == [(task, [(0.0, 10.0)], 1)]
  assert not correct(made, ann, {task: [(50, 60)]}, "second", "I was wrong")
  assert correct(made, ann, {task: [(50, 60)]}, "second", "I was wrong")  # the same again
  assert not correct(made, ann, {task: [(52, 60)]}, "third")
  assert mine(made, ann) == [(task, [(52.0, 60.0)], 3)]
  for refused in (lambda: correct(made, ann, {task: []}, "second", "I was wrong"),
                  lambda: submit(made, ann, task, "other", [])):
    with pytest.raises(Conflict):
      refused()
  with pytest.raises(NotFound):
    correct(made, bob, {task: []}, "not mine")
  for bad in ({task: [(5, 1)]}, {}):
    with pytest.raises(InvalidAnswer):
      correct(made, ann, bad, "bad")
  # Every version is there; the last one counts.
  kept = select(made, "SELECT submission_id, segments, comment FROM versions ORDER BY id")
  assert [tuple(v.values()) for v in kept] == [
      ("second", "[[50.0, 60.0]]", "I was wrong"), ("third", "[[52.0, 60.0]]", "")]
  assert select(made, "SELECT start FROM segments WHERE source = 'worker'") == [{"start": 0.0}]
  answer(made, bob, [(52, 60)], task)
  assert [s[:2] for s in final_answers(made, 0)[0].segments] == [(52.0, 60.0)]
  assert mine(made, ann) == mine(made, bob) == []
  with pytest.raises(Conflict, match="decided meanwhile"):
    correct(made, ann, {task: []}, "late")


def test_a_correction_can_settle_a_dispute(make):
  made = make(annotators=2, max_annotators=2)
  task, = ask(made)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)])
  answer(made, bob, [(50, 60)])
  assert state(made, "tasks", task) == "disputed"
  correct(made, bob, {task: [(0, 10)]}, "better")
  assert state(made, "tasks", task) == "agreed"


def test_what_an_operator_took_out_of_the_queue_waits_for_the_operator(make):
  made = make(annotators=2)
  task, = ask(made)
  ann = enrol(made, "ann")
  answer(made, ann, [(0, 10)])
  dispute(made, enrol(made, "op", "operator"), task)
  correct(made, ann, {task: [(0, 9)]}, "better")
  assert state(made, "tasks", task) == "disputed"


def test_a_correction_may_say_that_the_video_is_unusable(make):
  made = make(annotators=3)
  task, = ask(made)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  for worker in (ann, bob):
    answer(made, worker)
  for worker in (ann, bob):
    correct(made, worker, {task: []}, f"u{worker}", unusable="it is damaged")
  assert exclusions.excluded(made) == {"v0": "it is damaged"}


def test_undo_gives_the_task_back_to_who_answered_it(make):
  """The next task, which the page asked for meanwhile, comes back afterwards."""
  made = make(annotators=2)
  first, second, _ = ask(made, videos=("v0", "v1", "v2"))
  ann = enrol(made, "ann")
  answer(made, ann, [(0, 10)], first, "one")
  assert next_task(made, ann).task_id == second
  made.clock.now += corrections.UNDO_SECONDS
  assert undo(made, ann, "one") == [first]
  assert mine(made, ann) == []
  assert next_task(made, ann).task_id == first
  with pytest.raises(Conflict):  # it is undone
    undo(made, ann, "one")
  answer(made, ann, [(5, 10)], first, "two")
  assert mine(made, ann) == [(first, [(5.0, 10.0)], 2)]
  assert next_task(made, ann).task_id == second
  assert undo(made, ann, "two") == [first]
  answer(made, ann, [(6, 10)], first, "three")
  assert submit(made, ann, first, "three", [(6, 10)]).replayed
  with pytest.raises(Conflict):
    submit(made, ann, first, "three", [(7, 10)])
  assert mine(made, ann) == [(first, [(6.0, 10.0)], 3)]
  made.clock.now += 60
  with pytest.raises(Conflict, match="too long ago"):
    undo(made, ann, "three")
  with pytest.raises(NotFound):
    undo(made, enrol(made, "bob"), "three")


def test_undo_of_the_answer_that_decided_the_task(make):
  made = make(annotators=1)
  task, = ask(made)
  ann = enrol(made, "ann")
  answer(made, ann, [(0, 10)], task, "one")
  assert state(made, "rounds", 0) == "complete"
  undo(made, ann, "one")
  assert (state(made, "tasks", task), state(made, "videos", 1)) == ("leased", "asked")
  assert final_answers(made, 0) == []
  answer(made, ann, [], task, "two")
  assert state(made, "videos", 1) == "labelled" and final_answers(made, 0)[0].segments == ()


def test_who_undoes_and_goes_away_leaves_the_place_to_others(make):
  made = make(annotators=1)
  task, = ask(made)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)], task, "one")
  undo(made, ann, "one")
  assert next_task(made, bob) is None
  made.clock.now += 1000
  answer(made, bob, [(1, 10)], task)
  assert [s[:2] for s in final_answers(made, 0)[0].segments] == [(1.0, 10.0)]
  assert next_task(made, ann) is None
  with pytest.raises(LeaseLost):
    submit(made, ann, task, "late", [])


def test_undo_of_a_visit_takes_all_its_classes_back(make):
  made = make(annotators=1)
  campaign.open_round(made, 0, [Ask("v0", "jump"), Ask("v0", "run")])
  ann = enrol(made, "ann")
  assert next_visit(made, ann).task_ids == (1, 2)
  submit_all(made, ann, {1: [(0, 10)], 2: []}, "one")
  assert undo(made, ann, "one") == [1, 2]
  assert next_visit(made, ann).task_ids == (1, 2)
  submit_all(made, ann, {1: [], 2: [(3, 4)]}, "two")
  assert [len(f.segments) for f in final_answers(made, 0)] == [0, 1]


def test_a_submission_is_of_one_video(make):
  made = make(annotators=2)
  one, other = ask(made, videos=("v0", "v1"))
  ann = enrol(made, "ann")
  answer(made, ann, [], task=one)
  answer(made, ann, [], task=other)
  undo(made, ann, f"{ann} {other}")
  put_off(made, ann, other)
  undo(made, ann, f"{ann} {one}")
  put_off(made, ann, one)  # both may be taken up again
  with pytest.raises(Conflict, match="one video"):
    submit_all(made, ann, {one: [], other: []}, "both")
  for task in (one, other):
    submit(made, ann, task, f"again {task}", [])
  with pytest.raises(Conflict, match="one video"):
    correct(made, ann, {one: [], other: []}, "both")


def test_an_exclusion_is_the_operators_to_take_back(make):
  made = make(annotators=1)
  task, = ask(made)
  ann = enrol(made, "ann")
  submit(made, ann, next_task(made, ann).task_id, "s", [], unusable="it is damaged")
  with pytest.raises(Conflict, match="left out"):
    undo(made, ann, "s")
  assert state(made, "tasks", task) == "excluded"


def test_an_operators_word_is_not_undone(make):
  made = make(annotators=1)
  task, = ask(made)
  ann = enrol(made, "ann")
  answer(made, ann, [(0, 10)], task, "one")
  adjudicate(made, enrol(made, "op", "operator"), task, [(0, 9)])
  with pytest.raises(Conflict, match="somebody else"):
    undo(made, ann, "one")


def test_gold_leaves_the_list_like_any_other(make):
  made = make(videos=8, annotators=1, gold_before=1)
  add_gold(made, [("v7", "jump", [(0, 10)])])
  ask(made, videos=[f"v{i}" for i in range(6)])
  ann = enrol(made, "ann")
  gold = answer(made, ann, [(0, 5)])
  assert [task for task, *_ in mine(made, ann)] == [gold]
  correct(made, ann, {gold: [(0, 10)]}, "better")
  assert select(made, "SELECT tiou FROM scores") == [{"tiou": 1.0}]
  for _ in range(3):
    assert [task for task, *_ in mine(made, ann)] == [gold]
    answer(made, ann)
  assert mine(made, ann) == []


def test_what_was_put_off_comes_after_the_others(make):
  made = make(annotators=2)
  first, second, third = ask(made, videos=("v0", "v1", "v2"))
  ann = enrol(made, "ann")
  for task in (first, second):
    assert next_task(made, ann).task_id == task
    put_off(made, ann, task)
  answer(made, ann, task=third)
  assert next_task(made, ann).task_id == first
  put_off(made, ann, first)
  assert next_task(made, ann).task_id == second  # put off for longer
  made.clock.now += 1000  # a lease that ran out comes back at once
  assert next_task(made, ann).task_id == second
  answer(made, ann, task=second)
  answer(made, ann, task=first)
  with pytest.raises(LeaseLost):
    put_off(made, ann, first)
