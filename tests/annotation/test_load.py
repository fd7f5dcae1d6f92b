"""50 annotators at once, 2,000 tasks, the server killed 20 times: nothing acknowledged is lost.

The real server, in a process of its own that is killed by SIGKILL at moments drawn from a seed, and
started again on the same port. The annotators are threads that talk HTTP, and send what got no
reply again. The processes are forked from one that has imported the program, which saves seconds
at each start and nothing else.
"""

import multiprocessing
import os
import signal
import socket
import sqlite3
import threading
import time

import numpy as np
import pytest

from tal_jax.annotation import campaign, store
from tal_jax.annotation.web import server
from tests.annotation import annotators, campaigns

pytestmark = pytest.mark.slow

ANNOTATORS, TASKS, KILLS = 50, 2000, 20
POLICY = {"annotators": 1, "max_annotators": 1, "lease_seconds": 600.0}


def free_port():
  with socket.create_server(("127.0.0.1", 0)) as listener:
    return listener.getsockname()[1]


def serve(path, port):
  """What the killed process runs."""
  opened = campaign.Campaign(store.Store(path), campaign.Policy(**POLICY), time.time)
  with server.running(server.build_app(opened, title="Load"), port=port):
    signal.pause()


def marked(name, task):
  """0 to 3 segments that depend on the task alone."""
  rng = np.random.default_rng([task["id"]])
  starts = 20 * np.arange(task["id"] % 4) + rng.uniform(0, 5, task["id"] % 4)
  return [[round(float(s), 3), round(float(s) + 8, 3)] for s in starts]


class Killed:
  """The server, and who kills it: after given numbers of acknowledged answers."""

  def __init__(self, path, port, after):
    self._context = multiprocessing.get_context("forkserver")
    self._context.set_forkserver_preload(["tests.annotation.test_load"])
    self._path, self._port, self._after = path, port, sorted(after, reverse=True)
    self._count, self._lock, self.kills = 0, threading.Lock(), 0
    self.process = self._start()

  def _start(self):
    process = self._context.Process(target=serve, args=(self._path, self._port), daemon=True)
    process.start()
    return process

  def acknowledged(self):
    """One more answer; kills the server if it is the one to kill it after."""
    with self._lock:
      self._count += 1
      if not self._after or self._count < self._after[-1]:
        return
      self._after.pop()
      self.kill()
      self.kills += 1
      self.process = self._start()

  def ended_by_itself(self):
    with self._lock:  # two threads that ask for an exit code at once: one gets 255
      return self.process.exitcode not in (None, -signal.SIGKILL)

  def kill(self):
    os.kill(self.process.pid, signal.SIGKILL)
    self.process.join()
    assert self.process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def after_the_storm(tmp_path_factory):
  """The campaign when all is done, its annotators, and how often the server was killed."""
  path = tmp_path_factory.mktemp("load") / "campaign.sqlite"
  port = free_port()
  made = campaigns.make(path, videos=TASKS, **POLICY)
  made = made._replace(clock=time.time)
  campaigns.ask(made, videos=[f"v{i}" for i in range(TASKS)])
  tokens = {}
  with made.store.write() as db:
    from tal_jax.annotation import workers
    for i in range(ANNOTATORS):
      tokens[f"worker {i}"] = workers.enrol(db, f"worker {i}", seconds=1e6, now=time.time())[1]
  made.store.close()  # from here on the server's
  points = np.random.default_rng(5).choice(np.arange(20, TASKS - 20), KILLS, replace=False)
  killed = Killed(str(path), port, points.tolist())
  finished = threading.Event()
  crowd = [annotators.Annotator(name, f"http://127.0.0.1:{port}/#{token}", marked, drafts=True,
                                until=finished, done=killed.acknowledged)
           for name, token in tokens.items()]
  for annotator in crowd:
    annotator.start()
  with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
    while db.execute("SELECT state FROM rounds").fetchone()[0] == "open":
      assert not killed.ended_by_itself()
      time.sleep(0.05)
  deadline = time.monotonic() + 60
  while sum(len(a.acknowledged) for a in crowd) < TASKS and time.monotonic() < deadline:
    time.sleep(0.02)  # the last replies are on their way
  finished.set()
  for annotator in crowd:
    annotator.join()
  killed.kill()
  opened = campaign.Campaign(store.Store(path), campaign.Policy(**POLICY), time.time)
  yield opened, crowd, killed.kills
  opened.store.close()


def test_every_acknowledged_answer_is_there_and_none_twice(after_the_storm):
  opened, crowd, kills = after_the_storm
  assert kills == KILLS
  acknowledged = [answer for annotator in crowd for answer in annotator.acknowledged]
  assert len(acknowledged) == len({task for _, task, _, _ in acknowledged}) == TASKS
  rows = campaigns.select(
      opened, "SELECT a.id, a.task_id, a.submission_id, w.name FROM assignments a "
      "JOIN workers w ON w.id = a.worker_id")
  assert len(rows) == TASKS
  stored = {(row["name"], row["task_id"], row["submission_id"]): row["id"] for row in rows}
  segments = {row["id"]: [] for row in rows}
  for row in campaigns.select(opened, "SELECT * FROM segments WHERE assignment_id IS NOT NULL "
                              "ORDER BY start"):
    segments[row["assignment_id"]].append([row["start"], row["end"]])
  for name, task, submission, marks in acknowledged:
    assert segments[stored[name, task, submission]] == marks


def test_the_campaign_is_in_order(after_the_storm):
  opened, crowd, _ = after_the_storm
  assert not [refusal for annotator in crowd for refusal in annotator.refused]
  assert campaigns.state(opened, "rounds", 0) == "complete"
  states = campaigns.select(opened, "SELECT state, COUNT(*) AS n FROM tasks GROUP BY state")
  assert states == [{"state": "agreed", "n": TASKS}]
  leases = campaigns.select(opened, "SELECT state, COUNT(*) AS n FROM leases GROUP BY state")
  assert leases == [{"state": "submitted", "n": TASKS}]  # a kill takes nobody's task away
  assert not campaigns.select(opened, "SELECT * FROM drafts")
  with opened.store.read() as db:
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert not db.execute("PRAGMA foreign_key_check").fetchall()


def test_all_had_work_and_kills_met_them_at_it(after_the_storm):
  _, crowd, _ = after_the_storm
  counts = [len(annotator.acknowledged) for annotator in crowd]
  assert min(counts) > 0 and max(counts) < TASKS / 4
