"""Starts the learner's process, and again when it ends too early; the pages go on meanwhile.

A fault at the first start, before a round is open, is the user's and ends the program. Later ones
are tried again after 1, 2, 4, ... seconds; after five failures in a row on the same round the
learner stays down for ten minutes at a time, and the pages say so.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from tal_jax.annotation import learner_status
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules import rounds
from tal_jax.runs.campaign.learner_messages import BEGUN, FINISHED, Failure, Job

MOST_FAILURES = 5  # in a row, on the same round
_COMMAND = (sys.executable, "-m", "tal_jax.runs.campaign.learner_process")
_LONGEST_PAUSE = 60.0  # seconds
_DOWN_PAUSE = 600.0  # seconds, after too many failures
_PASSING_PAUSE = 10.0  # seconds, after a fault of the machine, which is no failure of the learner
_WELL_SECONDS = 600.0  # a run that waited for people this long was no failed start
_ROOT = pathlib.Path(__file__).resolve().parents[3]


class Supervisor:
  """Looks after one learner. `step` is to be called every few seconds."""

  def __init__(self, job: Job, campaign: Campaign, say: Callable[[str], None], *,
               clock: Callable[[], float] = time.monotonic, command: Sequence[str] = _COMMAND):
    self._job, self._campaign, self._say = job, campaign, say
    self._clock, self._command = clock, command
    self._process: subprocess.Popen | None = None
    self._given = self._told = None  # pipes to and from it
    self._begun_once = self._begun = False
    self._last: str | Failure | None = None  # its last word
    self._failures, self._trained = 0, -1  # in a row; rounds trained at the last of them
    self._start_at, self._started = 0.0, 0.0
    self._said_down = ""  # why it stays down
    self._unwritten: tuple[str, int, str] | None = None  # of the status
    self.state = learner_status.RUNNING
    self.refused: Exception | None = None  # what the user has to mend at the first start

  @property
  def folder(self) -> pathlib.Path:
    return self._campaign.store.path.parent

  @property
  def finished(self) -> bool:
    return self.state == learner_status.FINISHED

  def step(self) -> None:
    """Starts the process if it is time, hears what it says, and sees whether it ended.

    Raises:
      DataError, OSError: `refused`, at the first start; or whatever else, after which another step
        goes on.
    """
    self._write()
    if self._process is not None:
      self._hear()
      if self._process.poll() is not None:
        self._hear()
        self._ended()
    elif not self.finished and self._clock() >= self._start_at:
      self._start()

  def stop(self) -> None:
    """Ends the process, wherever it is: another one goes on from there."""
    if self._process is not None:
      self._process.kill()
      self._forget()

  def _start(self) -> None:
    read, self._given = multiprocessing.Pipe(duplex=False)
    self._told, write = multiprocessing.Pipe(duplex=False)
    pipes = read.fileno(), write.fileno()
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    try:
      with read, write:
        self._process = subprocess.Popen(
            [*self._command, *map(str, pipes)], pass_fds=pipes, stdin=subprocess.DEVNULL,
            start_new_session=True, env=os.environ | {"PYTHONPATH": path})
      self._begun, self._last, self._started = False, None, self._clock()
      with contextlib.suppress(BrokenPipeError):  # it died at once
        self._given.send(self._job)
    except BaseException:
      self.stop()
      self._close()
      raise
    self._become(learner_status.RUNNING)

  def _hear(self) -> None:
    with contextlib.suppress(EOFError):
      while self._told.poll():
        said = self._told.recv()
        if said == BEGUN:
          self._begun = self._begun_once = True
        else:
          self._last = said

  def _ended(self) -> None:
    code, said = self._process.returncode, self._last
    self._forget()
    if said == FINISHED:
      self._become(learner_status.FINISHED)
      return
    failure = said or Failure(_killed(code), False, None)
    if failure.error is not None and not self._begun_once:
      self.refused = failure.error
      raise self.refused
    if failure.passes:
      pause = _PASSING_PAUSE
    else:
      self._count()
      pause = min(2.0 ** (self._failures - 1), _LONGEST_PAUSE)
    if self._failures >= MOST_FAILURES:
      pause = max(pause, _DOWN_PAUSE)
    self._start_at = self._clock() + pause
    if self._failures >= MOST_FAILURES:
      if failure.line != self._said_down:
        self._say(f"the learner failed {self._failures} times in a row and stays down: "
                  f"{failure.line}. The pages stay up, and it is tried again every "
                  f"{_DOWN_PAUSE / 60:.0f} minutes; mend it, and start the same command again to "
                  "try at once")
      self._said_down = failure.line
      self._become(learner_status.DOWN, failure.line)
    else:
      self._said_down = ""
      self._say(f"the learner stopped: {failure.line}. It starts again in {pause:.0f} s")
      self._become(learner_status.RESTARTING, failure.line)

  def _count(self) -> None:
    """One more failure in a row, or the first one of a new row."""
    trained = rounds.num_trained(self._campaign)
    waited = self._begun and self._clock() - self._started > _WELL_SECONDS
    self._failures = 1 if trained != self._trained or waited else self._failures + 1
    self._trained = trained

  def _become(self, state: str, error: str = "") -> None:
    self.state = state
    self._unwritten = state, self._failures, error
    self._write()

  def _write(self) -> None:
    """At the next step, if the database does not answer now."""
    if self._unwritten:
      learner_status.record(self._campaign, *self._unwritten)
      self._unwritten = None

  def _forget(self) -> None:
    self._process.wait()
    self._process = None
    self._close()

  def _close(self) -> None:
    self._given.close()
    self._told.close()


@contextlib.contextmanager
def running(supervisor: Supervisor) -> Iterator[Supervisor]:
  """Ends the learner's process at the end of the block."""
  try:
    yield supervisor
  finally:
    supervisor.stop()


def _killed(code: int) -> str:
  if code >= 0:
    return f"its process ended with code {code}"
  name = signal.Signals(-code).name
  more = ": perhaps the machine has too little memory" if -code == signal.SIGKILL else ""
  return f"its process was ended by {name}{more}"
