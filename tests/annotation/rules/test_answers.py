"""Leases, drafts and submissions of single workers, on a clock that the test moves."""

import pytest

from tal_jax.annotation.errors import Conflict, InvalidAnswer, LeaseLost, NotFound
from tal_jax.annotation.rules.answers import Draft, load_draft, save_draft, submit
from tal_jax.annotation.rules.leases import expire, next_task, release, renew
from tests.annotation import campaigns
from tests.annotation.campaigns import ask, check, enrol, select, state


@pytest.fixture
def made(tmp_path):
  """One round of v0 and v1, one annotator each, leases of 60 s."""
  made = campaigns.make(tmp_path / "c.db")
  ask(made, videos=("v0", "v1"))
  yield made
  check(made)
  made.store.close()


def test_a_lease_is_resumed_by_asking_again(made):
  ann = enrol(made, "ann")
  first = next_task(made, ann)
  assert first == (1, made.clock() + 60)
  made.clock.now += 10
  assert next_task(made, ann) == (1, first.expires_at + 10)
  assert state(made, "tasks", 1) == "leased"
  assert next_task(made, enrol(made, "bob")).task_id == 2
  assert next_task(made, enrol(made, "cleo")) is None


def test_a_worker_who_renews_is_left_alone(made):
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  for _ in range(5):
    made.clock.now += 59
    assert renew(made, ann, 1).expires_at == made.clock() + 60
    assert expire(made) == 0
  assert next_task(made, bob).task_id == 2
  submit(made, ann, 1, "s", [])


def test_late_but_not_replaced(made):
  ann = enrol(made, "ann")
  next_task(made, ann)
  made.clock.now += 1000
  renew(made, ann, 1)
  made.clock.now += 1000
  assert expire(made) == 1
  assert state(made, "tasks", 1) == "open"
  assert not submit(made, ann, 1, "s", [(1, 2)]).replayed
  assert [l["state"] for l in select(made, "SELECT state FROM leases ORDER BY id")] == [
      "expired", "submitted"]


def test_late_and_replaced(made):
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  made.clock.now += 60
  assert next_task(made, bob).task_id == 1
  for refused in (lambda: renew(made, ann, 1), lambda: submit(made, ann, 1, "s", []),
                  lambda: release(made, ann, 1)):
    with pytest.raises(LeaseLost):
      refused()
  assert save_draft(made, ann, 1, Draft(0, "kept all the same"))
  assert next_task(made, ann).task_id == 2
  release(made, bob, 1)
  with pytest.raises(LeaseLost):  # one at a time
    renew(made, ann, 1)
  submit(made, ann, 2, "s", [])
  assert next_task(made, ann).task_id == 1  # free again, and theirs from before


def test_who_left_gets_the_same_task_and_draft_back(made):
  ann = enrol(made, "ann")
  next_task(made, ann)
  save_draft(made, ann, 1, Draft(3, '{"segments": []}'))
  made.clock.now += 1e5
  expire(made)
  assert next_task(made, ann).task_id == 1
  assert load_draft(made, ann, 1) == (3, '{"segments": []}')


def test_what_was_left_and_then_ended_does_not_come_back(made):
  ann = enrol(made, "ann")
  for task, end in ((1, lambda: release(made, ann, 1)), (2, lambda: submit(made, ann, 2, "s", []))):
    assert next_task(made, ann).task_id == task
    made.clock.now += 1e5
    expire(made)
    assert next_task(made, ann).task_id == task
    end()
  assert state(made, "tasks", 1) == "open"
  assert next_task(made, ann) is None
  with pytest.raises(LeaseLost):
    renew(made, ann, 1)


def test_a_released_video_does_not_come_back(made):
  ann = enrol(made, "ann")
  next_task(made, ann)
  release(made, ann, 1)
  assert state(made, "tasks", 1) == "open"
  assert next_task(made, ann).task_id == 2
  release(made, ann, 2)
  assert next_task(made, ann) is None
  with pytest.raises(LeaseLost):
    renew(made, ann, 1)
  with pytest.raises(LeaseLost):
    save_draft(made, ann, 1, Draft(0, ""))


def test_drafts_keep_the_latest_revision(made):
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  assert load_draft(made, ann, 1) is None
  assert save_draft(made, ann, 1, Draft(1, "one"))
  assert save_draft(made, ann, 1, Draft(3, "three"))
  assert not save_draft(made, ann, 1, Draft(2, "two, late on the way"))
  assert not save_draft(made, ann, 1, Draft(3, "other three"))
  assert load_draft(made, ann, 1) == (3, "three")
  assert load_draft(made, bob, 1) is None
  with pytest.raises(LeaseLost):
    save_draft(made, bob, 1, Draft(9, "not mine"))
  for bad in (Draft(-1, ""), Draft(2**53, ""), Draft(1.5, ""), Draft(4, "x" * 100_001),
              Draft(4, "\ud800"), Draft(4, None)):
    with pytest.raises(InvalidAnswer):
      save_draft(made, ann, 1, bad)
  submit(made, ann, 1, "s", [])
  assert load_draft(made, ann, 1) is None
  with pytest.raises(LeaseLost):
    save_draft(made, ann, 1, Draft(5, "after"))


def test_a_submission_is_stored_once(made):
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  receipt = submit(made, ann, 1, "id-1", [(5, 6.5), (1, 2)], "fine")
  before = select(made, "SELECT * FROM events")
  made.clock.now += 1e6
  again = submit(made, ann, 1, "id-1", [[1.0, 2.0], [5, 6.5]], "fine")
  assert again == (receipt.assignment_id, True) and not receipt.replayed
  assert select(made, "SELECT * FROM events") == before
  next_task(made, bob)
  for worker, task, name, segments, comment in (
      (ann, 1, "id-1", [(1, 2)], "fine"), (ann, 1, "id-1", [(5, 6.5), (1, 2)], "other"),
      (bob, 2, "id-1", [(5, 6.5), (1, 2)], "fine"), (ann, 1, "id-2", [], "")):
    with pytest.raises(Conflict):
      submit(made, worker, task, name, segments, comment)
  assert len(select(made, "SELECT * FROM assignments")) == 1
  rows = select(made, "SELECT start, \"end\" AS e FROM segments WHERE source = 'worker' ORDER BY 1")
  assert rows == [{"start": 1.0, "e": 2.0}, {"start": 5.0, "e": 6.5}]


def test_without_a_lease(made):
  ann = enrol(made, "ann")
  for refused in (lambda: submit(made, ann, 1, "s", []), lambda: renew(made, ann, 1),
                  lambda: renew(made, ann, 99), lambda: release(made, ann, 1)):
    with pytest.raises(LeaseLost):
      refused()
  with pytest.raises(NotFound):
    submit(made, ann, 99, "s", [])


@pytest.mark.parametrize("segments", [
    [(-0.1, 1)], [(1, 1)], [(2, 1)], [(99, 100.01)], [(float("nan"), 1)], [(0, float("nan"))],
    [(0, float("inf"))], [(0, 10**400)], [(1, 1.0001)], [(0, 1, 2)], [(0,)], [("0", "1")],
    [(True, 2)], [None], [5], "ab", None, {"start": 0}, [(0, 1), (0, 101)], [(0, 1)] * 501])
def test_bad_segments_leave_nothing(made, segments):
  ann = enrol(made, "ann")
  next_task(made, ann)
  with pytest.raises(InvalidAnswer):
    submit(made, ann, 1, "s", segments)
  assert not select(made, "SELECT * FROM assignments")
  assert not select(made, "SELECT * FROM segments")
  assert state(made, "leases", 1) == "held"


@pytest.mark.parametrize(("name", "comment"), [
    ("", ""), ("x" * 65, ""), (None, ""), (7, ""), ("s", "x" * 2001), ("s", None), ("s", "\ud800"),
    ("\udfff", "")])
def test_bad_texts(made, name, comment):
  ann = enrol(made, "ann")
  next_task(made, ann)
  with pytest.raises(InvalidAnswer):
    submit(made, ann, 1, name, [], comment)
  assert not select(made, "SELECT * FROM assignments")


def test_the_whole_video_is_an_answer(made):
  ann = enrol(made, "ann")
  next_task(made, ann)
  submit(made, ann, 1, "s", [[0, 100]], "<script>\u00e9\u0000'; DROP TABLE tasks; --")
  assert select(made, "SELECT comment FROM assignments")[0]["comment"].startswith("<script>")
