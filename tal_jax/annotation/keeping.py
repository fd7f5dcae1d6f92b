"""What the serving process keeps up to date beside the database: the data set, and one whole file.

The data set follows every decision and every correction, whenever they come, also those after the
last round. The database is made whole without its -wal after every round (`store.checkpoint`).
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable

from tal_jax.annotation import exports
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules import rounds

_REST = 20.0  # times as long as writing the data set took, until it may be written again


class Keeper:
  """Looks at the campaign at every `step`."""

  def __init__(self, campaign: Campaign, path: pathlib.Path, *,
               clock: Callable[[], float] = time.monotonic):
    """`path`: of the data set, in ActivityNet's format."""
    self._campaign = campaign
    self._path = path
    self._clock = clock
    self._shown = 0  # the last event that the data set shows
    self._next = -float("inf")  # when it may be written again
    self._trained = 0  # rounds, when the database was last made whole

  def step(self) -> None:
    """May be repeated after any fault, which of the one does not stop the other.

    Raises DataError, sqlite3.Error.
    """
    try:
      self._write()
    finally:
      self._make_whole()

  def _write(self) -> None:
    with self._campaign.store.read() as db:
      # Whoever takes or leaves a task changes nothing that is shown.
      last = db.execute(
          "SELECT id FROM events WHERE id > ? AND kind NOT GLOB 'leases.*' AND "
          "kind NOT GLOB 'workers.*' AND kind != 'tasks.leased' ORDER BY id DESC LIMIT 1",
          (self._shown,)).fetchone()
      some = db.execute("SELECT 1 FROM videos WHERE state = 'labelled' LIMIT 1").fetchone()
    start = self._clock()
    if last and start >= self._next and (some or self._path.exists()):
      exports.write(self._campaign, self._path, "activitynet")
      self._next = self._clock() + _REST * (self._clock() - start)
      self._shown = last["id"]

  def _make_whole(self) -> None:
    trained = rounds.num_trained(self._campaign)
    if trained > self._trained and self._campaign.store.checkpoint():
      self._trained = trained
