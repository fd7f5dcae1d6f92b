"""What the service does every few seconds, part by part: no fault of one ends anything else.

A fault of the machine that passes (`patience`) is tried again at the next step. Any other error is
one of the program: it is logged once, with its traceback, and the part is tried again after 1, 2,
4, ... seconds, a minute at most. Both are on the board, which the operators' page shows, until the
part has been done.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from absl import logging

from tal_jax.annotation.patience import passing

LONGEST_PAUSE = 60.0  # seconds, from one try of a part to the next


class Trouble(NamedTuple):
  part: str  # what is not done
  error: str  # a line
  passes: bool  # a fault of the machine, such as a full disk; False: an error of the program
  failures: int  # in a row
  since: float  # seconds since the epoch
  retry_at: float  # the same


class Board:
  """What is not done now. Safe to share between threads."""

  def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.time):
    """`say`: gets a line when something begins to fail, or is done again."""
    self._say, self._clock = say, clock
    self._lock = threading.Lock()
    self._troubles: dict[str, Trouble] = {}

  def troubles(self) -> list[Trouble]:
    """The first that failed first."""
    with self._lock:
      return list(self._troubles.values())

  def failed(self, part: str, error: str, *, passes: bool, pause: float) -> bool:
    """Puts it on the board; what is new is said. `pause`: seconds to the next try.

    Returns:
      Whether it is new: the part did not fail with this error before.
    """
    now = self._clock()
    with self._lock:
      before = self._troubles.get(part)
      known = any(trouble.error == error for trouble in self._troubles.values())
      self._troubles[part] = Trouble(
          part, error, passes, before.failures + 1 if before else 1,
          before.since if before else now, now + pause)
    if not known:
      self._tell(f"{error}; the campaign waits, and tries again every few seconds" if passes else
                 f"the campaign's housekeeping failed ({part}): {error}; retried in {pause:.0f} s, "
                 "then later and later; answers are accepted meanwhile")
    return before is None or before.error != error

  def done(self, part: str) -> None:
    """Takes it off the board."""
    with self._lock:
      before = self._troubles.pop(part, None)
      known = before and any(t.error == before.error for t in self._troubles.values())
    if before and not known:
      self._tell(f"the campaign goes on ({before.error.split(':')[0]}: no longer)"
                 if before.passes else f"the campaign's housekeeping is done again ({part})")

  def _tell(self, text: str) -> None:
    with contextlib.suppress(Exception):  # a log file on the disk that is full
      self._say(text)


class Part:
  """Something to be done again and again, by one thread."""

  def __init__(self, name: str, action: Callable[[], object], board: Board,
               folder: str | os.PathLike, *, ends: Callable[[Exception], bool] = lambda _: False,
               clock: Callable[[], float] = time.monotonic):
    """Args:

      name: for the operator.
      action: one step of it.
      board: shows what fails.
      folder: see `patience.passing`.
      ends: whether an error is to end the program all the same.
      clock: of the pauses.
    """
    self._name, self._action, self._board, self._folder = name, action, board, folder
    self._ends, self._clock = ends, clock
    self._failures, self._due = 0, -float("inf")

  def step(self) -> object:
    """One try, unless it is too early for it: what the action returns; None if it failed."""
    if self._clock() < self._due:
      return None
    try:
      result = self._action()
    except Exception as error:
      if self._ends(error):
        raise
      self._failed(error)
      return None
    self._failures = 0
    self._board.done(self._name)
    return result

  def _failed(self, error: Exception) -> None:
    trouble = passing(error, self._folder)
    if trouble is not None:
      self._board.failed(self._name, trouble, passes=True, pause=0.0)
      return
    self._failures += 1
    pause = min(2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE)
    self._due = self._clock() + pause
    if self._board.failed(self._name, in_a_line(error), passes=False, pause=pause):
      logging.error("%s failed", self._name, exc_info=error)


def in_a_line(error: BaseException) -> str:
  """The kind of an error and the first line of what it says."""
  lines = str(error).strip().splitlines()
  return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
