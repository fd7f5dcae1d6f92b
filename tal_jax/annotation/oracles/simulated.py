"""Simulated workers who answer from known annotations, in this process."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import LeaseLost
from tal_jax.annotation.oracles import (
  behaviour as behaviour_lib,
  links,
  outsiders,
  settings as settings_lib,
)
from tal_jax.annotation.oracles.behaviour import Behaviour
from tal_jax.annotation.rules import answers, leases, people
from tal_jax.data.annotations import read_annotations
from tal_jax.data.records import Annotations
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError

_EVER = 1e10  # seconds
Truth = Callable[[str, str], np.ndarray]  # (video, label) -> [t, 2] seconds


class SimulatedSettings(settings_lib.Settings, kw_only=True, frozen=True):
  annotations: str  # file of the true segments, any format of tal_jax.data
  workers: int = 5
  noise: float = 0.0  # this and the following: see Behaviour
  noise_sigma: float = 0.0
  miss: float = 0.0
  false_alarms: float = 0.0
  lazy: float = 0.0
  abandon: float = 0.0
  seed: int = 0


class _Task(NamedTuple):
  video: str
  label: str
  duration: float  # seconds


def truth_of(annotations: Annotations) -> Truth:
  """Looks segments up. The function raises DataError for a video that has no annotation."""
  def truth(video: str, label: str) -> np.ndarray:
    known = find_id(video, annotations.videos)
    if known is None:
      raise DataError(f"{video}: the annotations that simulated workers answer from lack it: give "
                      "a file that has every video of the campaign")
    found = annotations.videos[known]
    return found.segments[[name == label for name in found.labels]].reshape(-1, 2)
  return truth


class Simulated:
  """Workers who all answer whatever there is for them at every step."""

  name = "simulated"

  def __init__(self, campaign: Campaign, behaviours: Mapping[str, Behaviour], truth: Truth, *,
               folder: pathlib.Path | None = None,
               settings: settings_lib.Settings | None = None):
    """`behaviours`: worker's name -> behaviour; `folder`: where operators' links go, if at all."""
    self._campaign = campaign
    self._behaviours = {name: behaviour_lib.check(b) for name, b in behaviours.items()}
    self._truth = truth
    self._folder = folder
    self._settings = settings or settings_lib.Settings()
    self._ids: dict[str, int] = {}

  @classmethod
  def make(cls, campaign: Campaign, settings: Mapping[str, Any],
           folder: pathlib.Path) -> Simulated:
    read = settings_lib.read(SimulatedSettings, settings, cls.name)
    if read.workers < campaign.policy.annotators:
      raise DataError(f"oracle simulated: {read.workers} workers cannot give the "
                      f"{campaign.policy.annotators} answers that a task wants")
    behaviour = Behaviour(*(getattr(read, field) for field in Behaviour._fields))
    return cls(campaign, {f"simulated {i}": behaviour for i in range(read.workers)},
               truth_of(read_annotations(read.annotations)), folder=folder, settings=read)

  def start(self) -> list[str]:
    with self._campaign.store.write() as db:
      self._ids = {name: outsiders.worker_id(db, name, now=self._campaign.clock(), seconds=_EVER)
                   for name in self._behaviours}
      people.set_named_only(db, True)
    lines = [f"{len(self._ids)} simulated workers answer: this is a simulation."]
    if self._folder is None:
      return lines
    operators = [links.Person(name, "operator") for name in self._settings.operators]
    return lines + links.write_links(self._campaign, operators, folder=self._folder,
                                     address=self._settings.address, days=self._settings.days)

  def advance(self) -> None:
    """Everybody answers one task after the other, in turn, until there is none for anybody."""
    if not self._ids:
      self.start()
    leases.expire(self._campaign)
    while any([self._step(name) for name in self._ids]):  # a list: each has a turn
      pass

  def stop(self) -> None:
    """Nothing to do: they work only inside `advance`."""

  def _step(self, name: str) -> bool:
    """Whether the worker answered something."""
    worker, behaviour = self._ids[name], self._behaviours[name]
    task_id = self._held(worker)
    if task_id is None:
      lease = leases.next_task(self._campaign, worker)
      if lease is None:
        return False
      task_id = lease.task_id
    task, attempt = self._task(worker, task_id)
    if behaviour_lib.abandons(behaviour, name, task_id, attempt):
      return False  # not renewed either: the lease runs out
    segments = behaviour_lib.answer(behaviour, name, task_id, self._truth(task.video, task.label),
                                    task.duration)
    try:
      answers.submit(self._campaign, worker, task_id, f"simulated {worker} {task_id}", segments)
    except LeaseLost:  # it ran out, and the place is taken
      return False
    return True

  def _held(self, worker: int) -> int | None:
    with self._campaign.store.read() as db:
      row = db.execute("SELECT task_id FROM leases WHERE worker_id = ? AND state = 'held' "
                       "ORDER BY task_id", (worker,)).fetchone()
      return row and row["task_id"]

  def _task(self, worker: int, task_id: int) -> tuple[_Task, int]:
    """The task, and how often the worker had taken it before."""
    with self._campaign.store.read() as db:
      task = db.execute("SELECT v.name, c.name, v.duration FROM tasks t "
                        "JOIN videos v ON v.id = t.video_id JOIN classes c ON c.id = t.class_id "
                        "WHERE t.id = ?", (task_id,)).fetchone()
      taken = db.execute("SELECT COUNT(*) FROM leases WHERE worker_id = ? AND task_id = ?",
                         (worker, task_id)).fetchone()[0]
      return _Task(*task), taken - 1
