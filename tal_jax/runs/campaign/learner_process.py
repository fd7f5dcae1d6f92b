"""The learner of a campaign in a process of its own, which `learner_supervisor` starts.

    python -m tal_jax.runs.campaign.learner_process GIVEN TOLD

GIVEN and TOLD are file descriptors of pipes for `learner_messages`. Where GIVEN ends, so has the
parent. A process that ends without a last word was killed.
"""

from __future__ import annotations

import pathlib
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

import filelock
from absl import logging

from tal_jax.annotation import following
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.patience import passing
from tal_jax.annotation.store import Store
from tal_jax.errors import DataError
from tal_jax.runs import compilation_cache
from tal_jax.runs.campaign import (
  folder as annotate_folder,
  learner as annotate_learner,
  setup as annotate_setup,
)
from tal_jax.runs.campaign.learner_messages import BEGUN, FINISHED, Failure, Job
from tal_jax.runs.reporter import Reporter

_USERS = (DataError, RequestError, OSError, sqlite3.Error)  # faults without a traceback


def main() -> None:
  given, told = (Connection(int(pipe)) for pipe in sys.argv[1:3])
  job = given.recv()
  following.follow(given.fileno())
  for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(name, signal.SIG_IGN)  # they are the parent's, who ends this process
  logging.set_verbosity(job.verbosity)
  compilation_cache.enable()
  try:
    _work(job, lambda: told.send(BEGUN))
  except Exception as error:
    told.send(_failure(error, job.folder))
    sys.exit(1)
  told.send(FINISHED)


def _work(job: Job, begun: Callable[[], None]) -> None:
  told = []

  def advance() -> None:  # the oracle is the parent's; this is called while a round is open
    if not told:
      told.append(begun())

  # Waits where a parent was killed: its learner ends in a moment.
  with filelock.FileLock(job.folder / "learner_process.lock"):
    opened = Store(job.folder / annotate_folder.DATABASE)  # left open: the parent closes it last
    with Reporter("annotate") as report:
      campaign = Campaign(opened, annotate_setup.policy(job.config), time.time)
      annotate_learner.run(job.config, campaign, job.setup, job.folder, report, advance)


def _failure(error: Exception, folder: pathlib.Path) -> Failure:
  if trouble := passing(error, folder):
    return Failure(trouble, True, None)
  if isinstance(error, RequestError):
    error = DataError(f"the campaign: {error}")
  if isinstance(error, _USERS):
    return Failure(str(error), False, error)
  traceback.print_exc()
  return Failure(f"{type(error).__name__}: {error}".splitlines()[0], False, None)


if __name__ == "__main__":
  main()
