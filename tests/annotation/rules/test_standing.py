"""Standing: the bounds themselves, what a stop does to undecided tasks, long random histories."""

import json

import numpy as np
import pytest

from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.errors import Conflict, LeaseLost, RequestError
from tal_jax.annotation.rules import second_thoughts
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import recount_all
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import expire, grant, next_task, release, renew
from tal_jax.annotation.rules.standing import standing
from tests.annotation.campaigns import ask, check, enrol, select, state


def stand(made, worker):
  with made.store.read() as db:
    return standing(db, made.policy, worker)


def answer(made, worker, segments, task=None):
  lease = next_task(made, worker)
  assert lease is not None and task in (None, lease.task_id)
  return submit(made, worker, lease.task_id, f"{worker} {lease.task_id}", segments)


def scores(made, worker, gold=(), others=()):
  """Puts scores of a worker into the database without their answers."""
  with made.store.write() as db:
    db.execute("PRAGMA defer_foreign_keys = ON")
    for is_gold, values in ((1, gold), (0, others)):
      for f1 in values:
        db.execute("INSERT INTO scores (worker_id, is_gold, others, f1, tiou) "
                   "VALUES (?, ?, ?, ?, ?)", (worker, is_gold, int(f1 is not None), f1, f1))
    found = standing(db, made.policy, worker)
    db.execute("DELETE FROM scores")
  return found


@pytest.mark.parametrize(("policy", "gold", "others", "state"), [
    ({}, [], [], "working"),
    ({}, [], [0.0] * 9, "working"),  # no bound by default
    ({"gold_before": 2}, [], [], "qualifying"),
    ({"gold_before": 2}, [0.0], [], "qualifying"),  # all of them first
    ({"gold_before": 2}, [0.5, 0.5], [], "working"),  # the bound itself is enough
    ({"gold_before": 2}, [0.5, 0.4], [], "stopped"),
    ({"gold_before": 2}, [1.0, 0.0, 0.0], [], "stopped"),  # later gold counts, too
    ({"gold_before": 2, "min_gold_f1": 0.0}, [0.0, 0.0], [], "working"),
    ({"gold_every": 3}, [0.0] * 4, [], "working"),  # too few to judge
    ({"gold_every": 3}, [0.0] * 5, [], "stopped"),
    ({"gold_every": 3, "min_compared": 0}, [], [], "working"),
    ({"min_worker_f1": 0.6}, [], [0.5] * 4, "working"),
    ({"min_worker_f1": 0.6}, [], [0.5] * 4 + [None], "working"),  # nobody to compare with
    ({"min_worker_f1": 0.6}, [], [0.5] * 5, "stopped"),
    ({"min_worker_f1": 0.5}, [], [0.5] * 5, "working"),
    ({"min_worker_f1": 0.6, "min_compared": 0}, [], [None], "working"),
    ({"min_worker_f1": 0.6}, [0.0] * 4, [1.0] * 5, "working"),
    ({"min_worker_f1": 0.6, "gold_before": 1}, [], [0.5] * 5, "qualifying")])
def test_bounds(make, policy, gold, others, state):
  made = make(**policy)
  found = scores(made, enrol(made, "ann"), gold, others)
  assert found.state == state and bool(found.reason) == (state == "stopped")
  assert (found.gold_done, found.answers) == (len(gold), len(others))
  compared = [f1 for f1 in others if f1 is not None]
  assert found.compared == len(compared)
  assert found.gold_f1 == (pytest.approx(np.mean(gold)) if gold else None)
  assert found.f1 == (pytest.approx(np.mean(compared)) if compared else None)


def test_the_default_policy_stops_nobody():
  assert (Policy().gold_before, Policy().gold_every, Policy().min_worker_f1) == (0, 0, 0.0)


def test_a_stop_by_what_the_others_agree_on(make):
  """One of three marks nonsense, and is stopped at the second answer that can be compared."""
  made = make(videos=4, annotators=2, max_annotators=3, min_worker_f1=0.5, min_compared=2)
  tasks = ask(made, videos=("v0", "v1", "v2", "v3"))
  eve, ann, cleo = (enrol(made, name) for name in ("eve", "ann", "cleo"))
  for task in tasks[:3]:
    answer(made, eve, [(50, 60)], task)
    answer(made, ann, [(0, 10)], task)
  # Nobody knows yet who is right: an answer is not judged by one other.
  assert [stand(made, w)[-2:] for w in (eve, ann)] == [(0, None), (0, None)]
  assert select(made, "SELECT DISTINCT wanted FROM tasks WHERE id != ?", tasks[3]) == [
      {"wanted": 3}]
  answer(made, cleo, [(0, 10)], tasks[0])
  assert state(made, "tasks", tasks[0]) == "agreed"  # two of three
  assert [stand(made, w).f1 for w in (eve, ann, cleo)] == [0.0, 1.0, 1.0]
  answer(made, cleo, [(0, 10)], tasks[1])
  assert [stand(made, w).state for w in (eve, ann, cleo)] == ["stopped", "working", "working"]
  assert next_task(made, eve) is None
  # v2 has one answer that counts, and wants the two that it wanted at first.
  assert select(made, "SELECT wanted, state FROM tasks WHERE id = ?", tasks[2]) == [
      {"wanted": 2, "state": "open"}]
  answer(made, cleo, [(0, 10)], tasks[2])
  final, = select(made, 'SELECT support, agreement FROM segments WHERE task_id = ? '
                  "AND source = 'consensus'", tasks[2])
  assert final == {"support": 1.0, "agreement": 1.0}
  log = select(made, "SELECT kind, subject_id, detail FROM events WHERE kind = 'workers.stopped'")
  assert [e["subject_id"] for e in log] == [eve]
  assert "the annotators agree on" in json.loads(log[0]["detail"])["reason"]


def test_a_dispute_with_a_stopped_worker_goes_back_to_the_annotators(make):
  made = make(videos=3, annotators=2, max_annotators=2, gold_every=1, min_compared=1)
  add_gold(made, [("v2", "jump", [(0, 10)])])
  first, _ = ask(made, videos=("v0", "v1"))
  eve, ann, cleo = (enrol(made, name) for name in ("eve", "ann", "cleo"))
  with made.store.write() as db:  # gold comes at a time that depends on the worker
    grant(db, first, eve, made.policy, made.clock())
    grant(db, first, ann, made.policy, made.clock())
  submit(made, eve, first, "e", [(50, 60)])
  submit(made, ann, first, "a", [(0, 10)])
  assert state(made, "tasks", first) == "disputed"
  answer(made, eve, [(50, 60)], 1)
  assert stand(made, eve).state == "stopped"
  assert select(made, "SELECT state, wanted FROM tasks WHERE id = ?", first) == [
      {"state": "open", "wanted": 2}]
  with made.store.write() as db:
    grant(db, first, cleo, made.policy, made.clock())
  submit(made, cleo, first, "c", [(0, 10)])
  assert state(made, "tasks", first) == "agreed"


def test_answers_of_a_reinstated_worker_count_again(make):
  """The third answer is there already: the task is decided without another one."""
  made = make(videos=4, annotators=3, max_annotators=3, gold_before=1, min_compared=1)
  add_gold(made, [(f"v{i}", "jump", [(0, 10)]) for i in (2, 3)])
  task, = ask(made, videos=("v0",))
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  operator = enrol(made, "op", "operator")
  for worker in (ann, bob, cleo):
    answer(made, worker, [(0, 10)])
  for worker in (ann, bob):
    answer(made, worker, [(0, 10)], task)
  next_task(made, cleo)
  assert state(made, "tasks", task) == "leased"
  add_gold(made, [(f"v{i}", "jump", [(50, 60)]) for i in (2, 3)])  # all three were wrong
  assert [stand(made, w).state for w in (ann, bob, cleo)] == ["stopped"] * 3
  assert state(made, "tasks", task) == "open"  # cleo may finish, but three are wanted
  submit(made, cleo, task, "late", [(0, 10)])
  for worker, after in ((ann, "open"), (bob, "open"), (cleo, "agreed")):
    second_thoughts.reinstate(made, operator, worker)
    assert state(made, "tasks", task) == after
  assert select(made, "SELECT wanted FROM tasks WHERE id = ?", task) == [{"wanted": 3}]


def test_who_is_at_work_may_finish_what_is_answered_by_then(make):
  made = make(videos=2, annotators=1, gold_before=1, min_compared=1)
  add_gold(made, [("v1", "jump", [(0, 10)])])
  task, = ask(made, videos=("v0",))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  operator = enrol(made, "op", "operator")
  for worker in (ann, bob):
    answer(made, worker, [(0, 10)])
  assert next_task(made, ann).task_id == task
  add_gold(made, [("v1", "jump", [(50, 60)])])
  submit(made, ann, task, "a", [(0, 10)])  # does not count
  second_thoughts.reinstate(made, operator, bob)
  assert next_task(made, bob).task_id == task
  second_thoughts.reinstate(made, operator, ann)
  assert state(made, "tasks", task) == "leased"  # the answer is there, but bob is at work
  made.clock.now += 1000
  expire(made)
  assert state(made, "tasks", task) == "agreed"
  with pytest.raises(LeaseLost):
    submit(made, bob, task, "b", [(0, 10)])


def test_another_policy_judges_the_same_answers_anew(make):
  made = make(videos=2, annotators=2, max_annotators=3, min_worker_f1=0.5, min_compared=1)
  before = made._replace(policy=made.policy._replace(min_worker_f1=0.0))
  first, second = ask(before, videos=("v0", "v1"))
  eve, ann, cleo = (enrol(before, name) for name in ("eve", "ann", "cleo"))
  for worker in (eve, ann):
    for task in (first, second):
      answer(before, worker, [(50, 60)] if worker == eve else [(0, 10)], task)
  answer(before, cleo, [(0, 10)], first)
  assert stand(made, eve).state == "stopped"
  assert select(made, "SELECT wanted FROM tasks WHERE id = ?", second) == [{"wanted": 3}]
  recount_all(made)
  assert select(made, "SELECT wanted FROM tasks WHERE id = ?", second) == [{"wanted": 2}]
  answer(made, cleo, [(0, 10)], second)
  assert state(made, "tasks", second) == "agreed"
  log = select(made, "SELECT * FROM events")
  recount_all(made)
  assert select(made, "SELECT * FROM events") == log


def test_what_is_decided_stays(make):
  made = make(videos=4, annotators=1, gold_every=1, min_compared=2)
  add_gold(made, [("v2", "jump", [(0, 10)]), ("v3", "jump", [(0, 10)])])
  first, second = ask(made, videos=("v0", "v1"))
  ann = enrol(made, "ann")
  for real_task in (None, first, None):  # gold comes before each real task
    answer(made, ann, [(50, 60)], real_task)
  assert stand(made, ann).state == "stopped" and "right answer" in stand(made, ann).reason
  assert next_task(made, ann) is None
  rows = select(made, "SELECT id, wanted, state FROM tasks WHERE NOT is_gold ORDER BY id")
  assert rows == [{"id": first, "wanted": 1, "state": "agreed"},
                  {"id": second, "wanted": 1, "state": "open"}]


def stopped_by_another(make, between=lambda made, eve: None):
  """Eve holds a lease on v1, and is stopped when v0 is decided; `between` runs before that."""
  made = make(videos=3, annotators=2, min_worker_f1=0.5, min_compared=1)
  first, second, _ = ask(made, videos=("v0", "v1", "v2"))
  eve, ann, cleo = (enrol(made, name) for name in ("eve", "ann", "cleo"))
  answer(made, eve, [(50, 60)], first)
  answer(made, ann, [(0, 10)], first)
  assert next_task(made, eve).task_id == second
  between(made, eve)
  answer(made, cleo, [(0, 10)], first)
  assert stand(made, eve).state == "stopped"
  return made, eve, second


def test_a_worker_who_is_stopped_at_work_may_finish(make):
  """Another's answer stops them while they hold a lease: they may finish, but get nothing new."""
  made, eve, second = stopped_by_another(make)
  renew(made, eve, second)
  submit(made, eve, second, "in time", [])
  assert next_task(made, eve) is None
  assert select(made, "SELECT state, wanted FROM tasks WHERE id = ?", second) == [
      {"state": "open", "wanted": 2}]  # theirs does not count


def test_a_stopped_worker_who_asks_gives_the_place_back(make):
  made, eve, second = stopped_by_another(make)
  assert next_task(made, eve) is None
  assert select(made, "SELECT state FROM leases WHERE worker_id = ? ORDER BY id", eve) == [
      {"state": "submitted"}, {"state": "released"}]
  with pytest.raises(LeaseLost):
    submit(made, eve, second, "too late", [])


def test_a_stopped_worker_does_not_take_an_expired_lease_up_again(make):
  def wait(made, _):
    made.clock.now += 1000
    expire(made)

  made, eve, second = stopped_by_another(make, wait)
  with pytest.raises(LeaseLost):
    submit(made, eve, second, "s", [])


@pytest.mark.parametrize("seed", [0, 1])
def test_random_histories(make, seed):
  """Good and careless workers, gold, stops: the invariants hold at every point."""
  made = make(videos=14, annotators=2, max_annotators=4, gold_before=1, gold_every=3,
              min_gold_f1=0.4, min_worker_f1=0.35, min_compared=3)
  add_gold(made, [(f"v{i}", "jump", [(1, 9)]) for i in range(10, 14)])
  tasks = ask(made, videos=[f"v{i}" for i in range(10)])
  workers = [enrol(made, f"w{i}") for i in range(8)]
  rng = np.random.default_rng(seed)
  stopped, left = set(), set()
  for step in range(700):
    made.clock.now += rng.exponential(4.0)
    worker = workers[rng.integers(len(workers))]
    careless = workers.index(worker) < 2
    try:
      before = stand(made, worker)
      lease = next_task(made, worker)
      if before.state == "stopped":
        assert lease is None
        stopped.add(worker)
      if lease and before.state == "qualifying":
        assert select(made, "SELECT is_gold FROM tasks WHERE id = ?", lease.task_id) == [
            {"is_gold": 1}]
      if lease is None or rng.random() < 0.2:
        continue
      if rng.random() < 0.05:
        release(made, worker, lease.task_id)
        continue
      made.clock.now += rng.exponential(30.0)
      start = rng.uniform(0, 90) if careless else rng.uniform(0.8, 1.2)
      submit(made, worker, lease.task_id, f"{step}", [(start, start + 8)])
    except RequestError as refused:
      left.add(type(refused))
    if step % 35 == 0:
      check(made)
  assert stopped and stopped <= set(workers[:3]), "only the careless should be stopped"
  assert left <= {LeaseLost}
  assert sum(state(made, "tasks", t) == "agreed" for t in tasks) >= 8


def test_an_operator_lets_a_stopped_worker_work_again(make):
  made = make(gold_before=1, gold_every=1, videos=6)
  add_gold(made, [(f"v{i}", "jump", [(10, 20)]) for i in range(2)])
  ask(made, videos=["v2", "v3", "v4"])
  worker, operator = enrol(made, "ann"), enrol(made, "op", "operator")

  def let():
    second_thoughts.reinstate(made, operator, worker)

  with pytest.raises(Conflict, match="not stopped"):
    let()
  answer(made, worker, [(50, 60)])
  assert stand(made, worker).state == "stopped" and next_task(made, worker) is None
  let()
  again = stand(made, worker)
  assert (again.state, again.gold_done, again.gold_f1) == ("working", 1, 0.0)
  answer(made, worker, [(50, 60)])  # the other gold task
  assert stand(made, worker).state == "stopped"
  let()
  assert stand(made, worker).state == "working"
  assert [row["worker_id"] for row in select(
      made, "SELECT worker_id FROM events WHERE kind = 'workers.reinstated'")] == [operator] * 2
