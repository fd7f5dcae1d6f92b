"""People who get a link: colleagues, students, whoever can reach the server."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from tal_jax.annotation import names
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.oracles import links, settings as settings_lib
from tal_jax.annotation.rules import leases, people
from tal_jax.errors import DataError


class LocalSettings(settings_lib.Settings, kw_only=True, frozen=True):
  annotators: tuple[str, ...]  # names; as many as a task wants answers, at least (policy)


class Local:
  """Enrols the named annotators and operators; the server does the rest."""

  name = "local"

  def __init__(self, campaign: Campaign, settings: LocalSettings, folder: pathlib.Path):
    self._campaign = campaign
    self._settings = settings
    self._folder = folder

  @classmethod
  def make(cls, campaign: Campaign, settings: Mapping[str, Any], folder: pathlib.Path) -> Local:
    """Raises DataError: too few annotators for a task to be ever decided."""
    read = settings_lib.read(LocalSettings, settings, cls.name)
    if len(read.annotators) < campaign.policy.annotators:
      raise DataError(f"oracle local: {len(read.annotators)} annotators are named, and every task "
                      f"wants the answers of {campaign.policy.annotators} different ones: name "
                      "more in `annotators`, or ask for fewer answers (campaign.policy.annotators)")
    return cls(campaign, read, folder)

  def start(self) -> list[str]:
    named = [links.Person(name, "annotator") for name in self._settings.annotators]
    named += [links.Person(name, "operator") for name in self._settings.operators]
    lines = links.write_links(self._campaign, named, folder=self._folder,
                              address=self._settings.address, days=self._settings.days)
    lines.append(f"The links are personal; they are kept in {self._folder / links.FILE}.")
    lines += [f"These are different people, though their names are nearly the same: "
              f"{', '.join(group)}." for group in names.alike(person.name for person in named)]
    with self._campaign.store.write() as db:
      people.set_named_only(db, True)
    number, most = len(self._settings.annotators), self._campaign.policy.max_annotators
    if number < most:
      lines.append(f"Where all {number} annotators have answered and differ, an operator decides: "
                   f"the {most} answers of campaign.policy.max_annotators need {most} people.")
    return lines

  def advance(self) -> None:
    leases.expire(self._campaign)

  def stop(self) -> None:
    """The page of whoever is at work keeps their marks, and goes on when the server is back."""
