"""How the learner's process is, for the pages: kept by whoever started it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.campaign import Campaign

RUNNING, RESTARTING, DOWN, FINISHED = "running", "restarting", "down", "finished"


class Status(NamedTuple):
  state: str  # running | restarting | down (it failed too often, and is seldom tried) | finished
  failures: int  # in a row
  error: str  # the last one, a line; "" without one
  at: float  # since when


def status(db: sqlite3.Connection) -> Status | None:
  """None where nobody looks after the learner."""
  row = db.execute("SELECT state, failures, error, at FROM learner_process").fetchone()
  return row and Status(*row)


def record(campaign: Campaign, state: str, failures: int = 0, error: str = "") -> None:
  """Keeps the status, and logs what went wrong."""
  with campaign.store.write() as db:
    now = campaign.clock()
    db.execute("INSERT INTO learner_process VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
               "state = excluded.state, failures = excluded.failures, error = excluded.error, "
               "at = excluded.at", (state, failures, error, now))
    if error:
      store.log(db, f"learner.{state}", failures, now=now, error=error)


def forget(campaign: Campaign) -> None:
  """Nobody looks after the learner any more."""
  with campaign.store.write() as db:
    db.execute("DELETE FROM learner_process")
