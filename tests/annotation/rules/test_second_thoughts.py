"""What an operator takes back: a decision, and a person's answers."""

import pytest

from tal_jax.annotation import campaign, workers
from tal_jax.annotation.errors import (
  Conflict,
  Forbidden,
  IllegalTransition,
  InvalidAnswer,
  NotFound,
)
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import adjudicate, dispute, final_answers
from tal_jax.annotation.rules.leases import next_task
from tal_jax.annotation.rules.second_thoughts import ask_again, leave_answers_out, reinstate
from tests.annotation.campaigns import ask, check, enrol, select, state


def answer(made, worker, segments=(), task=None):
  lease = next_task(made, worker)
  assert task in (None, lease.task_id)
  submit(made, worker, lease.task_id, f"{worker} {lease.task_id}", list(segments))


def test_a_dispute_goes_back_to_the_annotators(make):
  made = make(annotators=2, max_annotators=2)
  task, = ask(made)
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  operator = enrol(made, "op", "operator")
  assert next_task(made, ann) and next_task(made, bob)
  with pytest.raises(IllegalTransition):  # both are at it
    ask_again(made, operator, task)
  answer(made, ann, [(0, 10)])
  with pytest.raises(IllegalTransition):  # it is with them
    ask_again(made, operator, task)
  assert select(made, "SELECT state, wanted FROM tasks") == [{"state": "leased", "wanted": 2}]
  answer(made, bob, [(50, 60)])
  for more in (0, 21):
    with pytest.raises(InvalidAnswer):
      ask_again(made, operator, task, more)
  with pytest.raises(Forbidden):
    ask_again(made, ann, task)
  with pytest.raises(NotFound):
    ask_again(made, operator, 99)
  ask_again(made, operator, task)
  assert select(made, "SELECT state, wanted FROM tasks") == [{"state": "open", "wanted": 3}]
  assert next_task(made, ann) is None  # somebody else
  answer(made, cleo, [(0, 10)])
  assert state(made, "tasks", task) == "agreed"


def test_who_was_stopped_by_a_decision_works_again_without_it(make):
  made = make(annotators=3, min_worker_f1=0.5, min_compared=1)
  task, = ask(made)
  workers_ = [enrol(made, name) for name in ("ann", "bob", "cleo")]
  operator = enrol(made, "op", "operator")
  for worker, segments in zip(workers_, ([(0, 10)], [(0, 10)], [(50, 60)]), strict=True):
    answer(made, worker, segments)
  stopped = "SELECT worker_id FROM stopped"
  assert select(made, stopped) == [{"worker_id": workers_[2]}]
  ask_again(made, operator, task)
  assert select(made, stopped) == []
  assert select(made, "SELECT state, wanted FROM tasks") == [{"state": "open", "wanted": 4}]
  check(made)


def test_a_decided_task_goes_back_also_when_its_round_is_trained(make):
  made = make(annotators=1)
  task, other = ask(made, videos=("v0", "v1"))
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  operator = enrol(made, "op", "operator")
  for task_id in (task, other):
    answer(made, ann, [(0, 10)], task_id)
  campaign.mark_trained(made, 0)
  adjudicate(made, operator, task, [])
  ask_again(made, operator, task, 2)
  assert [f.video for f in final_answers(made, 0)] == ["v1"]
  assert (state(made, "videos", 1), state(made, "rounds", 0)) == ("asked", "trained")
  for worker in (bob, cleo):
    answer(made, worker, [(50, 60)], task)
  assert [s[:2] for s in final_answers(made, 0)[0].segments] == [(50.0, 60.0)]
  assert state(made, "videos", 1) == "labelled"
  log = select(made, "SELECT detail FROM events WHERE kind = 'tasks.open'")
  assert '"replaced": []' in log[-1]["detail"]


def test_a_persons_answers_are_left_out(make):
  """Merged again where the others agree, asked again where they do not, settled where undecided."""
  made = make(videos=4, annotators=2, max_annotators=3)
  agreed, alone, undecided, word = ask(made, videos=("v0", "v1", "v2", "v3"))
  eve, ann, bob, cleo = (enrol(made, name) for name in ("eve", "ann", "bob", "cleo"))
  operator = enrol(made, "op", "operator")
  answer(made, ann, [(0, 10)], agreed)
  answer(made, eve, [(50, 60)], agreed)
  answer(made, bob, [(0, 10)], agreed)
  answer(made, eve, [(0, 10)], alone)
  answer(made, ann, [(0, 10)], alone)
  answer(made, eve, [(0, 10)], undecided)
  answer(made, eve, [(0, 10)], word)
  dispute(made, operator, word)
  adjudicate(made, operator, word, [(1, 2)])
  with pytest.raises(Forbidden):
    leave_answers_out(made, ann, eve)
  assert leave_answers_out(made, operator, eve) == (1, 1)
  with pytest.raises(Conflict, match="already"):
    leave_answers_out(made, operator, eve)
  with pytest.raises(NotFound):
    leave_answers_out(made, operator, 99)
  assert select(made, "SELECT state, wanted FROM tasks ORDER BY id") == [
      {"state": "agreed", "wanted": 3}, {"state": "open", "wanted": 2},
      {"state": "open", "wanted": 2}, {"state": "adjudicated", "wanted": 2}]
  final, = select(made, "SELECT support FROM segments WHERE task_id = ? AND source = 'consensus'",
                  agreed)
  assert final == {"support": 1.0}  # of the two who are left
  assert next_task(made, eve) is None
  with made.store.read() as db:
    assert db.execute("SELECT token_revoked_at FROM workers WHERE id = ?", (eve,)).fetchone()[0]
  answer(made, bob, [(0, 10)], alone)
  assert state(made, "tasks", alone) == "agreed"
  answer(made, cleo, [(0, 10)], undecided)
  reinstate(made, operator, eve)  # the answer counts again, and settles the task
  assert state(made, "tasks", undecided) == "agreed"


def test_who_was_left_out_has_a_link_that_is_void(make):
  made = make()
  operator = enrol(made, "op", "operator")
  with made.store.write() as db:
    eve, token = workers.enrol(db, "eve", seconds=1e6, now=made.clock())
  leave_answers_out(made, operator, eve.id)
  with made.store.read() as db, pytest.raises(workers.Unauthorized):
    workers.authenticate(db, token, now=made.clock())
