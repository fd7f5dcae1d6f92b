"""Visits of many workers at once, of simulated ones, and of a crowd: all end as they should."""

import functools
import itertools
import pathlib
import sqlite3
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.oracles.behaviour import Behaviour
from tal_jax.annotation.oracles.simulated import Simulated
from tal_jax.annotation.rules.answers import Draft, save_draft, submit, submit_all
from tal_jax.annotation.rules.leases import expire, next_visit, release, renew
from tests.annotation import campaigns, submitter
from tests.annotation.campaigns import check, enrol, select
from tests.annotation.crowd_world import World
from tests.annotation.test_concurrency import _together

pytestmark = pytest.mark.slow

LABELS = ("jump", "run", "walk")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def ask(made, videos, labels=LABELS):
  campaign.add_classes(made, [(label, "") for label in labels])
  campaign.open_round(made, 0, [Ask(f"v{i}", label) for i in range(videos) for label in labels])


def test_many_workers_at_once(tmp_path):
  """As many workers as answers are wanted: each gets each video once, and nothing is left."""
  made = campaigns.make(tmp_path / "c.db", videos=12, annotators=4, max_annotators=4)
  ask(made, 12)
  seen = []

  def work(worker):
    while (visit := next_visit(made, worker)) is not None:
      submit_all(made, worker, dict.fromkeys(visit.task_ids, [(1, 9)]),
                 f"{worker} {visit.task_ids[0]}")
      seen.append((worker, visit.task_ids))

  _together([functools.partial(work, enrol(made, f"w{i}")) for i in range(4)])
  check(made)
  assert len(seen) == 4 * 12 and {len(tasks) for _, tasks in seen} == {3}
  assert {row["state"] for row in select(made, "SELECT state FROM tasks")} == {"agreed"}
  made.store.close()


def test_one_submission_sent_by_many_threads_at_once(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  ask(made, 1)
  worker, visits, receipts = enrol(made, "ann"), [], []
  _together([lambda: visits.append(next_visit(made, worker).task_ids)] * 6)
  assert set(visits) == {(1, 2, 3)} and len(select(made, "SELECT * FROM leases")) == 3
  given = {1: [(1, 9)], 2: [], 3: [(2, 3)]}
  _together([lambda: receipts.append(submit_all(made, worker, given, "s"))] * 6)
  assert sorted(receipt.replayed for receipt in receipts) == [False] + [True] * 5
  assert len({receipt.assignment_id for receipt in receipts}) == 1
  assert len(select(made, "SELECT * FROM assignments")) == 3
  check(made)
  made.store.close()


def test_random_histories(tmp_path):
  """Whatever is done, the invariants hold; whatever is answered, is answered once."""
  made = campaigns.make(tmp_path / "c.db", videos=30, annotators=2, max_annotators=3)
  made.store._db.execute("PRAGMA synchronous = OFF")
  ask(made, 30)
  workers = [enrol(made, f"w{i}") for i in range(5)]
  tasks = [row["id"] for row in select(made, "SELECT id FROM tasks")]
  rng = np.random.default_rng(3)
  answers = ([], [(1, 9)], [(1.5, 9)], [(50, 60)])

  def draw(things):
    return things[rng.integers(len(things))]

  def had():
    """A worker and a task, more often one that they had than not."""
    leases = select(made, "SELECT worker_id, task_id FROM leases WHERE state != 'submitted'")
    if leases and rng.random() < 0.8:
      return tuple(draw(leases).values())
    return draw(workers), draw(tasks)

  def late():
    worker, task = had()
    others = select(made, "SELECT o.id FROM tasks o JOIN tasks t ON o.video_id = t.video_id "
                    "WHERE t.id = ?", task)
    submit_all(made, worker, {row["id"]: draw(answers) for row in others}, f"{rng.integers(1e9)}")

  def answer():
    worker = draw(workers)
    visit = next_visit(made, worker)
    if visit is not None:
      some = [task for task in visit.task_ids if rng.random() < 0.9]
      submit_all(made, worker, {task: draw(answers) for task in some}, f"{rng.integers(1e9)}")

  actions = {
      "answer": answer,
      "next": lambda: next_visit(made, draw(workers)),
      "renew": lambda: renew(made, *had()),
      "release": lambda: release(made, *had()),
      "draft": lambda: save_draft(made, *had(), Draft(1, "{}")),
      "one": lambda: submit(made, *had(), f"{rng.integers(1e9)}", draw(answers)),
      "late": late,
      "expire": lambda: expire(made),
  }
  weights = {"answer": 6, "next": 12, "renew": 4, "one": 4, "late": 4}
  names = [name for name in actions for _ in range(weights.get(name, 1))]
  done, refused = set(), set()
  for step in range(700):
    made.clock.now += rng.exponential(12.0)
    name = draw(names)
    try:
      actions[name]()
      done.add(name)
    except RequestError:
      refused.add(name)
    if step % 20 == 0:
      check(made)
  check(made)
  assert done == set(actions) and {"one", "late", "release", "renew"} <= refused
  assert len(select(made, "SELECT * FROM tasks WHERE state = 'agreed'")) > 10
  made.store.close()


def test_a_fault_at_any_write_of_a_submission(tmp_path):
  """The n-th writing statement fails, as on a full disk: all answers of a visit are there or none.
  """
  made = campaigns.make(tmp_path / "c.db")
  ask(made, 1)
  worker = enrol(made, "ann")
  next_visit(made, worker)
  tables = ("assignments", "together", "segments", "leases", "tasks", "videos", "rounds", "events",
            "scores")
  before = [select(made, f"SELECT * FROM {table}") for table in tables]
  given = {1: [(1.0, 2.0)], 2: [], 3: [(3.0, 4.0)]}
  for fault in itertools.count():
    campaigns.deny_write(made, fault)
    try:
      submit_all(made, worker, given, "s")
      break
    except sqlite3.DatabaseError:
      assert [select(made, f"SELECT * FROM {table}") for table in tables] == before
  with made.store.write() as db:
    db.set_authorizer(None)
  assert fault >= 15
  assert select(made, "SELECT state FROM rounds") == [{"state": "complete"}]
  made.store.close()


def test_killed_at_work(tmp_path):
  """SIGKILL: of every visit all answers are there or none, and what was acknowledged is."""
  path, videos = tmp_path / "killed.db", 40
  made = campaigns.make(path, videos=videos, **submitter.POLICY._asdict())
  ask(made, videos)
  workers = [enrol(made, name) for name in "abc"]
  acknowledged = []
  for count in (5, 17):
    with subprocess.Popen(
        [sys.executable, "-m", "tests.annotation.submitter", "--visits", str(path),
         *map(str, workers)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
      lines = [process.stdout.readline() for _ in range(count)]
      process.kill()
      lines += process.stdout.readlines()
    acknowledged += [tuple(map(int, line.split())) for line in lines]
    check(made)
    stored = Counter((row["worker_id"], row["first"]) for row in select(
        made, "SELECT worker_id, (task_id - 1) / 3 * 3 + 1 AS first FROM assignments"))
    assert set(stored.values()) == {3} and set(acknowledged) <= set(stored)
    assert len(stored) < 3 * videos, "the process had finished: it was not killed at work"
  for worker, first in acknowledged:
    given = {task: submitter.answer(worker, task) for task in range(first, first + 3)}
    assert submit_all(made, worker, given, submitter.submission_id(worker, first),
                      submitter.COMMENT).replayed
  for worker in workers:
    submitter.visit(made, worker, lambda *_: None)
  check(made)
  assert len(select(made, "SELECT * FROM assignments")) == 3 * 3 * videos
  made.store.close()


def test_simulated_workers_answer_all_classes(tmp_path):
  """Of three, each of whom goes away from some videos, none is needed twice."""
  made = campaigns.make(tmp_path / "c.db", videos=4, annotators=3, max_annotators=5)
  ask(made, 4)
  truth = {"jump": [(1, 9)], "run": [], "walk": [(20, 30), (40, 50)]}
  oracle = Simulated(made, {f"s{i}": Behaviour(abandon=0.3, seed=i) for i in range(3)},
                     lambda video, label: np.reshape(truth[label], (-1, 2)).astype(float))
  for _ in range(60):
    oracle.advance()
    made.clock.now += 61
  check(made)
  assert {row["state"] for row in select(made, "SELECT state FROM tasks")} == {"agreed"}
  made.store.close()


def test_simulated_workers_who_differ_leave_the_task_to_the_operator(tmp_path):
  """Nobody else will come: it does not wait for a fourth."""
  made = campaigns.make(tmp_path / "c.db", videos=1, annotators=2, max_annotators=5)
  ask(made, 1, LABELS[:1])
  oracle = Simulated(made, {f"s{i}": Behaviour(miss=1.0 if i else 0.0) for i in range(2)},
                     lambda video, label: np.array([[1.0, 9.0]]))
  oracle.advance()
  assert select(made, "SELECT state FROM tasks") == [{"state": "disputed"}]
  made.store.close()


def test_a_crowd_of_as_many_workers_as_answers(tmp_path):
  """A seat pays for one class; the same two workers answer all classes of a video."""
  world = World(tmp_path / "w", videos=2)
  ask(world.made, 2)
  world.run("W1", "W2")
  world.check_end()
  assert {row["state"] for row in world.select("SELECT state FROM tasks")} == {"agreed"}
  assert world.spend().paid == 12 * 30  # cents: 2 videos, 3 classes, 2 answers
  world.close()
