"""The learner's process: started, ended by anything, started again, given up; the pages go on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tal_jax.annotation import campaign, learner_status
from tal_jax.annotation.rules import rounds
from tal_jax.errors import DataError
from tal_jax.runs.campaign.learner_messages import BEGUN, FINISHED
from tal_jax.runs.campaign.learner_supervisor import MOST_FAILURES, Supervisor
from tests.annotation import campaigns
from tests.annotation.campaigns import Clock

_HEAD = """
import os, sys, time
from multiprocessing.connection import Connection
given, told = (Connection(int(pipe)) for pipe in sys.argv[1:3])
assert given.recv() == "the job"
"""
_DIES = _HEAD + "os.kill(os.getpid(), 9)"
_FAILS = _HEAD + """
from tal_jax.runs.campaign.learner_messages import Failure
from tal_jax.errors import DataError
told.send(Failure({line!r}, {passes}, {error}))
"""


@pytest.fixture
def made(tmp_path):
  opened = campaigns.make(tmp_path / "c.db")
  yield opened
  opened.store.close()


class World:
  """A supervisor whose clock a test moves, and what it says."""

  def __init__(self, made, script):
    self.said, self.clock = [], Clock()
    self.made = made
    self.supervisor = Supervisor("the job", made, self.said.append, clock=self.clock,
                                 command=(sys.executable, "-c", script))

  def until(self, *states):
    """Steps until the state is one of these; the process works in real time."""
    deadline = time.monotonic() + 60
    while True:
      self.supervisor.step()
      if self.supervisor.state in states and self.supervisor._process is None:
        return self.status()
      assert time.monotonic() < deadline
      time.sleep(0.005)

  def status(self):
    with self.made.store.read() as db:
      return learner_status.status(db)


def test_a_learner_that_finishes(made):
  world = World(made, _HEAD + f"told.send({BEGUN!r}); told.send({FINISHED!r})")
  assert world.until("finished") == ("finished", 0, "", 1000.0)
  assert world.supervisor.finished and world.said == []


def test_a_fault_of_the_user_at_the_start_ends_the_program(made):
  world = World(made, _FAILS.format(line="no features", passes=False,
                                    error="DataError('no features')"))
  with pytest.raises(DataError, match="no features"):
    world.until("restarting")


def test_killed_again_and_again_it_stays_down(made):
  world = World(made, _DIES)
  line = "its process was ended by SIGKILL: perhaps the machine has too little memory"
  for failures in range(1, MOST_FAILURES):
    assert world.until("restarting")[:3] == ("restarting", failures, line)
    pause = 2 ** (failures - 1)
    assert world.said[-1] == f"the learner stopped: {line}. It starts again in {pause} s"
    world.clock.now += pause - 0.1
    world.supervisor.step()
    assert world.supervisor.state == "restarting"  # not yet
    world.clock.now += 0.1
  assert world.until("down")[:3] == ("down", MOST_FAILURES, line)
  assert world.said[-1] == (
      f"the learner failed {MOST_FAILURES} times in a row and stays down: {line}. The pages stay "
      "up, and it is tried again every 10 minutes; mend it, and start the same command again to "
      "try at once")
  world.clock.now += 599
  world.supervisor.step()
  assert world.supervisor.state == "down" and world.supervisor._process is None
  events = campaigns.select(made, "SELECT kind FROM events WHERE kind GLOB 'learner.*'")
  assert [row["kind"] for row in events] == ["learner.restarting"] * 4 + ["learner.down"]
  world.clock.now += 2
  world.supervisor.step()
  assert world.supervisor.state == "running"  # it comes back by itself
  assert world.until("down").failures == MOST_FAILURES + 1
  assert len(world.said) == MOST_FAILURES  # and says the same once


def test_a_learner_that_cannot_be_started_leaves_nothing_open(made, monkeypatch):
  world = World(made, _HEAD + f"told.send({BEGUN!r}); told.send({FINISHED!r})")
  real, failures = subprocess.Popen, iter([OSError(11, "Resource temporarily unavailable")] * 3)

  def start(*args, **kwargs):
    for error in failures:
      raise error
    return real(*args, **kwargs)

  monkeypatch.setattr(subprocess, "Popen", start)
  before = len(os.listdir("/proc/self/fd"))
  for _ in range(3):
    with pytest.raises(OSError, match="temporarily"):
      world.supervisor.step()
  assert len(os.listdir("/proc/self/fd")) == before and world.supervisor.refused is None
  assert world.until("finished")[0] == "finished"


def test_a_job_that_cannot_be_sent_leaves_no_process(made):
  world = World(made, "import time; time.sleep(600)")
  world.supervisor._job = lambda: None  # cannot be pickled
  with pytest.raises(Exception, match="pickle"):
    world.supervisor.step()
  assert world.supervisor._process is None


def test_a_round_that_was_trained_begins_a_new_row_of_failures(made):
  world = World(made, _DIES)
  for failures in (1, 2):
    assert world.until("restarting").failures == failures
    world.clock.now += 60
  campaigns.ask(made)
  rounds.close(made, 0)
  campaign.mark_trained(made, 0)
  assert world.until("restarting").failures == 1


def test_who_waited_for_people_for_long_did_not_fail_to_start(made, tmp_path):
  world = World(made, _HEAD + f"told.send({BEGUN!r})\nwhile not os.path.exists("
                f"{str(tmp_path / 'go')!r}): time.sleep(0.005)\nos.kill(os.getpid(), 9)")
  for failures in (1, 1):
    (tmp_path / "go").unlink(missing_ok=True)
    world.supervisor.step()
    while not world.supervisor._begun:
      world.supervisor.step()
    world.clock.now += 601
    (tmp_path / "go").touch()
    assert world.until("restarting").failures == failures
    world.clock.now += 60


def test_a_fault_that_passes_is_no_failure(made):
  world = World(made, _FAILS.format(line="disk full: /w", passes=True, error=None))
  for _ in range(2):
    assert world.until("restarting")[:3] == ("restarting", 0, "disk full: /w")
    world.clock.now += 10


def test_a_fault_of_the_user_later_on_keeps_the_pages_up(made):
  world = World(made, _FAILS.format(line="no features", passes=False, error="DataError('x')")
                .replace("told.send(", f"told.send({BEGUN!r}); told.send("))
  assert world.until("restarting")[:3] == ("restarting", 1, "no features")


def test_stop_ends_the_process(made):
  world = World(made, _HEAD + f"told.send({BEGUN!r}); time.sleep(600)")
  while not world.supervisor._begun:
    world.supervisor.step()
  pid = world.supervisor._process.pid
  world.supervisor.stop()
  with pytest.raises(ProcessLookupError):
    os.kill(pid, 0)
  world.supervisor.stop()


def test_a_child_ends_with_its_parent():
  read, write = os.pipe()
  child = subprocess.Popen(
      [sys.executable, "-c", "import sys, time; from tal_jax.annotation import following; "
       "following.follow(int(sys.argv[1])); print('up', flush=True); time.sleep(600)", str(read)],
      pass_fds=(read,), stdout=subprocess.PIPE)
  os.close(read)
  assert child.stdout.readline() == b"up\n"
  assert child.poll() is None
  os.close(write)
  assert child.wait(timeout=60) == -signal.SIGKILL
  child.stdout.close()
