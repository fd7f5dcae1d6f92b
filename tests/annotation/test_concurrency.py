"""Many workers at once, and long random histories: the invariants hold at every point."""

import functools
import threading

import numpy as np

from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.rules.answers import Draft, save_draft, submit
from tal_jax.annotation.rules.decisions import adjudicate, dispute
from tal_jax.annotation.rules.leases import expire, next_task, release, renew
from tests.annotation import campaigns


def _together(functions):
  """Runs all at once and raises what any of them raised."""
  barrier, faults = threading.Barrier(len(functions)), []

  def run(function):
    try:
      barrier.wait()
      function()
    except BaseException as fault:
      faults.append(fault)

  threads = [threading.Thread(target=run, args=(f,)) for f in functions]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  if faults:
    raise faults[0]


def test_many_workers_at_once(tmp_path):
  """12 workers, 2 of them answers each: every task gets exactly what it wants."""
  made = campaigns.make(tmp_path / "c.db", videos=30, annotators=2)
  campaigns.ask(made, videos=[f"v{i}" for i in range(30)])
  receipts = []

  def work(worker):
    while (lease := next_task(made, worker)) is not None:
      receipts.append(submit(made, worker, lease.task_id, f"{worker}-{lease.task_id}", [(1, 9)]))

  workers = [campaigns.enrol(made, f"w{i}") for i in range(12)]
  _together([functools.partial(work, worker) for worker in workers])
  campaigns.check(made)
  assert len({r.assignment_id for r in receipts}) == len(receipts) == 60
  assert campaigns.state(made, "rounds", 0) == "complete"
  made.store.close()


def test_one_submission_sent_by_many_threads_at_once(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made)
  worker = campaigns.enrol(made, "ann")
  receipts = []
  leases = []
  _together([lambda: leases.append(next_task(made, worker))] * 8)
  assert len(set(leases)) == 1 and len(campaigns.select(made, "SELECT * FROM leases")) == 1
  _together([lambda: receipts.append(submit(made, worker, 1, "s", [(1, 9)]))] * 8)
  assert sorted(r.replayed for r in receipts) == [False] + [True] * 7
  assert len({r.assignment_id for r in receipts}) == 1
  campaigns.check(made)
  made.store.close()


def test_random_histories(tmp_path):
  """Actions drawn at random, most refused by some rule; ends with every video labelled."""
  made = campaigns.make(tmp_path / "c.db", videos=8, annotators=2, max_annotators=3)
  tasks = campaigns.ask(made, videos=[f"v{i}" for i in range(8)])
  workers = [campaigns.enrol(made, f"w{i}") for i in range(6)]
  operator = campaigns.enrol(made, "op", "operator")
  rng = np.random.default_rng(0)
  answers = ([], [(1, 9)], [(1.5, 9)], [(50, 60)])

  def draw(things):
    return things[rng.integers(len(things))]

  actions = {
      "next": lambda: next_task(made, draw(workers)),
      "renew": lambda: renew(made, draw(workers), draw(tasks)),
      "release": lambda: release(made, draw(workers), draw(tasks)),
      "draft": lambda: save_draft(made, draw(workers), draw(tasks), Draft(1, "{}")),
      "submit": lambda: submit(made, draw(workers), draw(tasks), f"{rng.integers(1e9)}",
                               draw(answers)),
      "expire": lambda: expire(made),
      "dispute": lambda: dispute(made, operator, draw(tasks)),
      "adjudicate": lambda: adjudicate(made, operator, draw(tasks), draw(answers)),
  }
  weights = np.asarray([10, 2, 1, 1, 30, 1, 0.2, 1])
  done, refused = set(), set()
  for step in range(1500):
    made.clock.now += rng.exponential(5.0)
    name = draw(np.repeat(list(actions), (weights * 5).astype(int)))
    try:
      actions[name]()
      done.add(name)
    except RequestError:
      refused.add(name)
    if step % 25 == 0:
      campaigns.check(made)
  campaigns.check(made)
  assert done == set(actions) and refused == set(actions) - {"next", "expire"}
  assert campaigns.select(made, "SELECT COUNT(*) AS n FROM videos WHERE state = 'labelled'")[0][
      "n"] == 8
  made.store.close()
