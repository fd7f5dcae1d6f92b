"""Makes videos ready for browsers beside everything else, one after the other.

A video that cannot be made ready is left out of its round with the reason. One that is only
expected is not left out before it is asked for: which videos a round has must not depend on how far
this work is.
"""

from __future__ import annotations

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

from absl import logging

from tal_jax.annotation.campaign import Campaign, Video, add_videos
from tal_jax.annotation.housekeeping import Board, Part
from tal_jax.annotation.rules import exclusions
from tal_jax.annotation.videos import preparing
from tal_jax.annotation.videos.proxy_process import Outcome

_CRASHES = 2  # of the process, at the same video
_AGAIN_SECONDS = 30.0  # after a problem that may pass

# (name, whether to stop) -> what came of it, and the video as the campaign should know it, if it is
# ready.
Make = Callable[[str, Callable[[], bool]], tuple[Outcome, Video | None]]


class Maker:
  """Goes through the queue. Its memory is of this run only: a new one tries all again."""

  def __init__(self, campaign: Campaign, make: Make, *, say: Callable[[str], None],
               board: Board | None = None, clock: Callable[[], float] = time.monotonic):
    self._campaign, self._make, self._say, self._clock = campaign, make, say, clock
    self._part = Part("making videos ready", self.step, board or Board(say),
                      campaign.store.path.parent)
    self._crashes: dict[str, int] = {}
    self._faults: dict[str, str] = {}
    self._not_before: dict[str, float] = {}
    self.stopped = threading.Event()

  def step(self) -> bool:
    """Makes the next video ready; whether there was one."""
    for job in preparing.queue(self._campaign):
      if job.video in self._faults:
        if job.asked:
          self._leave_out(job.video)
      elif self._not_before.get(job.video, 0.0) <= self._clock():
        self._take(job)
        return True
    return False

  def run(self, poll_seconds: float) -> None:
    """Until `stopped` is set; looks for new work that often."""
    while not self.stopped.is_set():
      if not self._part.step():
        self.stopped.wait(poll_seconds)

  def _take(self, job: preparing.Job) -> None:
    try:
      outcome, video = self._make(job.video, self.stopped.is_set)
    except Exception as error:  # of this video alone: the next ones are not to wait for it
      logging.exception("making %s ready", job.video)
      outcome = Outcome(problem=f"{type(error).__name__}: {error}")
    if self.stopped.is_set() and outcome.problem:
      return
    if outcome.problem:
      self._not_before[job.video] = self._clock() + _AGAIN_SECONDS
      logging.warning("%s is not ready: %s", job.video, outcome.problem)
      preparing.postpone(self._campaign, job.video, outcome.problem)
    elif outcome.fault:
      self._crashes[job.video] = self._crashes.get(job.video, 0) + 1
      if outcome.crashed and self._crashes[job.video] < _CRASHES:
        return
      self._faults[job.video] = outcome.fault
      if job.asked:
        self._leave_out(job.video)
    else:
      add_videos(self._campaign, [video])
      if outcome.note:
        self._say(f"{job.video}: {outcome.note}: people see it as it is; an operator can exclude "
                  "it on the campaign page")

  def _leave_out(self, name: str) -> None:
    exclusions.exclude(self._campaign, name, self._faults[name])
    self._say(f"left out: {name}: {self._faults[name]}")


@contextlib.contextmanager
def running(maker: Maker, poll_seconds: float) -> Iterator[None]:
  """The maker at work in a thread until the end of the block."""
  thread = threading.Thread(target=maker.run, args=(poll_seconds,), daemon=True)
  thread.start()
  try:
    yield
  finally:
    maker.stopped.set()
    thread.join()


def clean(folder: pathlib.Path) -> None:
  """Removes what proxies that were not finished have left; nobody may be making one."""
  for path in folder.glob("*.mp4.*.part"):
    path.unlink(missing_ok=True)
