"""Where the answers come from: one interface for people, a crowd, another tool, and simulations.

An oracle [paper, Sec. 3.3] brings open tasks to those who answer them. The campaign's tables say
what is open; the answers come in through `answers.submit`, whoever gives them. An oracle keeps
nothing that matters in memory: it may be killed at any moment, and a new one goes on from the
database.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.oracles import label_studio, local, mturk, simulated
from tal_jax.errors import DataError


class Oracle(Protocol):
  """Brings the tasks of a campaign to those who answer."""

  name: str

  def start(self) -> list[str]:
    """Makes ready; what to tell whoever runs the campaign: links, costs, what to do. Again at
    every start of the program. Raises DataError."""

  def advance(self) -> None:
    """One step that may be repeated: publishes what is open, collects what is there, ends the
    leases that ran out. Called every few seconds while a round is open."""

  def stop(self) -> None:
    """The program ends: nobody is to be sent to it until it starts again."""


# Name -> (campaign, the oracle's settings, the campaign's work directory) -> Oracle.
ORACLES: Mapping[str, Callable[[Campaign, Mapping[str, Any], pathlib.Path], Oracle]] = {
    "label_studio": label_studio.LabelStudio.make,
    "local": local.Local.make,
    "mturk": mturk.Turk.make,
    "simulated": simulated.Simulated.make,
}


def make(name: str, campaign: Campaign, settings: Mapping[str, Any],
         folder: pathlib.Path) -> Oracle:
  """The oracle of that name. Raises DataError: no such oracle, or settings it cannot use."""
  if name not in ORACLES:
    raise DataError(f"no oracle {name!r}: there are {', '.join(sorted(ORACLES))}")
  return ORACLES[name](campaign, settings, pathlib.Path(folder))
