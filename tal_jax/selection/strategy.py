"""What a strategy is: it prepares itself once per run, and becomes a selection function.

    SELECTION[name](shared)  ->  select(key, state, pool, *, batch_size)  ->  indices [batch_size]

A strategy that needs to know something beside the learner's state (a prior, a trained regressor)
makes it itself, from `Shared`, and keeps it in the function that it returns: neither the learner
nor the experiments know what any strategy needs.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import chex

from tal_jax.data.dataset import Dataset
from tal_jax.learner import SelectFn
from tal_jax.models import stage_wise


class Report(Protocol):
  """To whom a strategy tells what it does while it prepares itself."""

  def say(self, line: str) -> None:
    """A line for the log."""

  def working(self, what: str, done: int, total: int) -> None:
    """How far it is."""


class Shared(NamedTuple):
  """What all strategies of one run may prepare themselves from."""

  data: Dataset  # the truths of Selection and Testing are for bounds alone
  options: Mapping[str, Any]  # the run's settings; options[name] is the strategy's own section
  attention: stage_wise.Settings  # of the stage-wise models
  key: Callable[[str], chex.PRNGKey]  # strategy -> its random stream
  path: Callable[[str], pathlib.Path]  # file name -> where the strategy may keep that file
  report: Report


def _never(options: Mapping[str, Any]) -> bool:
  del options
  return False


@dataclasses.dataclass(frozen=True)
class Strategy:
  """A strategy by name of `SELECTION`; calling it prepares it."""

  prepare: Callable[[Shared], SelectFn]
  reads_attention: bool = False  # of a stage-wise model; the others read any model
  # Whether, with these options, it learns from the videos of Knowledge-Source.
  learns_from_knowledge_source: Callable[[Mapping[str, Any]], bool] = _never

  def __call__(self, shared: Shared) -> SelectFn:
    return self.prepare(shared)


def unprepared(select: SelectFn) -> Strategy:
  """The strategy of a selection function that needs nothing but state and pool."""

  def prepare(shared: Shared) -> SelectFn:
    del shared
    return select

  return Strategy(prepare)
