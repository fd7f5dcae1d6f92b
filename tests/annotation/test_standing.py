"""Standing: the bounds themselves, what a stop does to undecided tasks, long random histories."""

import json

import numpy as np
import pytest

from tal_jax.annotation.answers import submit
from tal_jax.annotation.campaign import Policy
from tal_jax.annotation.errors import Conflict, LeaseLost, RequestError
from tal_jax.annotation.gold import add_gold
from tal_jax.annotation.leases import expire, next_task, release, renew
from tal_jax.annotation.standing import reinstate, standing
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


def test_a_stop_by_the_others(make):
  """Three annotators; one marks nonsense, and is stopped at the second answer compared."""
  made = make(videos=4, annotators=3, max_annotators=4, min_worker_f1=0.3, min_compared=2)
  tasks = ask(made, videos=("v0", "v1", "v2", "v3"))
  ann, bob, cleo, dan = (enrol(made, name) for name in ("ann", "bob", "cleo", "dan"))
  for task in tasks[:3]:
    answer(made, ann, [(0, 10)], task)
  answer(made, bob, [(50, 60)], tasks[0])
  answer(made, bob, [(50, 60)], tasks[1])
  # ann and bob agree with nobody: both are stopped, and v0, v1 and v2 want one answer more for each
  assert [stand(made, w).state for w in (ann, bob)] == ["stopped", "stopped"]
  wanted = select(made, "SELECT wanted, state FROM tasks ORDER BY id")
  assert [w["wanted"] for w in wanted] == [4, 4, 4, 3]  # 4 is the most
  assert {w["state"] for w in wanted} == {"open"}
  assert next_task(made, ann) is None and next_task(made, bob) is None
  answer(made, cleo, [(0, 10)], tasks[0])
  assert stand(made, ann).f1 == pytest.approx((0.5 + 0.0) / 2)  # v0: 0 with bob, 1 with cleo
  answer(made, cleo, [(0, 10)], tasks[1])
  assert stand(made, ann).f1 == pytest.approx(0.5) and stand(made, ann).state == "working"
  assert stand(made, bob).state == "stopped"  # the others have spoken for ann
  assert next_task(made, ann).task_id == tasks[3]
  answer(made, dan, [(0, 10)], tasks[0])
  assert state(made, "tasks", tasks[0]) == "agreed"  # mean of 6 pairs: 3 / 6
  log = select(made, "SELECT kind, worker_id, subject_id, detail FROM events "
               "WHERE kind IN ('workers.stopped', 'tasks.requeued') ORDER BY id")
  assert [(e["kind"], e["subject_id"]) for e in log] == [
      ("workers.stopped", bob), ("tasks.requeued", tasks[0]), ("tasks.requeued", tasks[1]),
      ("workers.stopped", ann), ("tasks.requeued", tasks[2])]
  assert "other annotators" in json.loads(log[0]["detail"])["reason"]


def test_the_last_answer_of_a_task_may_stop_its_worker(make):
  """The place is there before the task is decided, and a full task opens again."""
  made = make(videos=2, annotators=2, max_annotators=3, min_agreement=0.0, min_worker_f1=0.5,
              min_compared=1)
  task, _ = ask(made, videos=("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  next_task(made, bob)
  assert state(made, "tasks", task) == "leased"
  answer(made, ann, [(0, 10)])
  answer(made, bob, [(50, 60)])
  assert state(made, "tasks", task) == "open"
  assert select(made, "SELECT wanted FROM tasks WHERE id = ?", task) == [{"wanted": 3}]
  answer(made, enrol(made, "cleo"), [(0, 10)])
  assert state(made, "tasks", task) == "agreed"  # the most there can be


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


def test_a_worker_who_is_stopped_at_work_may_finish(make):
  """Another's answer stops them while they hold a lease: they may finish, but get nothing new."""
  made = make(videos=3, annotators=2, min_worker_f1=0.5, min_compared=1)
  first, second, _ = ask(made, videos=("v0", "v1", "v2"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)], first)
  assert next_task(made, ann).task_id == second
  answer(made, bob, [(50, 60)], first)
  assert stand(made, ann).state == "stopped"
  renew(made, ann, second)
  submit(made, ann, second, "in time", [])
  assert next_task(made, ann) is None
  assert select(made, "SELECT wanted FROM tasks ORDER BY id") == [
      {"wanted": 3}, {"wanted": 2}, {"wanted": 2}]  # was stopped before the second answer


def test_a_stopped_worker_who_asks_gives_the_place_back(make):
  made = make(videos=2, annotators=2, min_worker_f1=0.5, min_compared=1)
  first, second = ask(made, videos=("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)], first)
  next_task(made, ann)
  answer(made, bob, [(50, 60)], first)
  assert next_task(made, ann) is None
  assert select(made, "SELECT state FROM leases WHERE worker_id = ? ORDER BY id", ann) == [
      {"state": "submitted"}, {"state": "released"}]
  with pytest.raises(LeaseLost):
    submit(made, ann, second, "too late", [])


def test_a_stopped_worker_does_not_take_an_expired_lease_up_again(make):
  made = make(videos=2, annotators=2, min_worker_f1=0.5, min_compared=1)
  first, second = ask(made, videos=("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  answer(made, ann, [(0, 10)], first)
  next_task(made, ann)
  made.clock.now += 1000
  expire(made)
  answer(made, bob, [(50, 60)], first)
  with pytest.raises(LeaseLost):
    submit(made, ann, second, "s", [])


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
    with made.store.write() as db:
      reinstate(db, made.policy, worker, operator_id=operator, now=made.clock())

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
