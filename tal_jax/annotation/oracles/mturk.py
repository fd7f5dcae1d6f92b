"""Amazon Mechanical Turk: the crowd of the paper [Sec. 5.1], on our own page inside Amazon's frame.

The sandbox, where money is play money, unless `real_money` says otherwise; either way nothing is
published that the budget does not hold. How seats and answers are counted is told in `mturk_seats`.

What a call does is on the disk before it (planned) and after it (done), so that a program which was
killed anywhere, or never got a reply, goes on with the same step: publishing has a request token
(and Amazon's list of HITs where the token is too old), approving and expiring follow from what
Amazon says is there. An assignment is approved once an answer is stored for it, and never rejected:
what was submitted without an answer is left to the operator, and Amazon approves it by itself
after `auto_approval_days`; its money stays reserved until then.

A HIT goes off the market at its deadline, or when no more answers are wanted, but not while a
worker who came with it holds a lease.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.oracles import links, mturk_question, mturk_seats, settings as settings_lib
from tal_jax.annotation.oracles.mturk_client import (
  TOKEN_SECONDS,
  Client,
  CrowdError,
  HitType,
  Refused,
  connect,
  dollars,
)
from tal_jax.annotation.rules import leases, payments, people
from tal_jax.errors import DataError

_DAY = 86_400.0
_LONGEST = 365 * _DAY  # that Amazon lets a HIT live


class TurkSettings(settings_lib.Settings, kw_only=True, frozen=True):
  budget_cents: int  # rewards and fees of the whole campaign; never exceeded
  real_money: bool = False
  reward_cents: int = 25  # of one answer
  title: str = "Mark when an action happens in a video"
  description: str = "Watch a video and mark the start and the end of every instance of an action."
  keywords: str = "video, annotation, action, time"
  assignment_seconds: int = 3600  # to answer in, from accepting
  hit_days: float = 3.0  # on the market; then what is left of it is published again
  auto_approval_days: float = 14.0
  every_seconds: float = 60.0  # from one look at Amazon's lists to the next
  min_approved: int = 0  # of a worker, by any requester
  min_approval_percent: int = 0


class Turk:
  """Publishes what is open, approves what is answered, withdraws what is not wanted."""

  name = "mturk"

  def __init__(self, campaign: Campaign, settings: TurkSettings, folder: pathlib.Path,
               client: Any = None):
    """`client`: boto3's, or one that behaves like it; made from the settings by default."""
    self._campaign = campaign
    self._settings = settings
    self._folder = folder
    self._client = Client(connect(real_money=settings.real_money) if client is None else client)
    self._market = "production" if settings.real_money else "sandbox"
    self._hit_type = ""
    self._looked_at = float("-inf")
    self._short = 0  # seats that the budget did not hold, when last told

  @classmethod
  def make(cls, campaign: Campaign, settings: Mapping[str, Any], folder: pathlib.Path) -> Turk:
    return cls(campaign, check(settings_lib.read(TurkSettings, settings, cls.name)), folder)

  def start(self) -> list[str]:
    settings = self._settings
    with self._campaign.store.read() as db:
      others = mturk_seats.markets(db) - {self._market}
    if others:
      raise DataError(f"oracle mturk: this campaign has HITs in the {others.pop()}; play money and "
                      "real money do not go into the same books: use another work directory")
    try:
      balance = self._client.balance()
      self._hit_type = self._client.hit_type(self._kind())
    except CrowdError as error:
      raise DataError(f"Mechanical Turk does not answer as it should: {error}; are the credentials "
                      "of a requester in the environment (AWS_ACCESS_KEY_ID, "
                      "AWS_SECRET_ACCESS_KEY)?") from error
    with self._campaign.store.write() as db:
      try:
        payments.set_budget(db, settings.budget_cents, now=self._campaign.clock())
        people.set_named_only(db, False)
      except RequestError as error:
        raise DataError(f"oracle mturk: budget_cents: {error}") from error
      spend = payments.spend(db)
    operators = [links.Person(name, "operator") for name in settings.operators]
    market = "the marketplace: REAL MONEY" if settings.real_money else "the sandbox: play money"
    return [
        *links.write_links(self._campaign, operators, folder=self._folder, address=settings.address,
                           days=settings.days),
        f"Mechanical Turk, {market}; the account holds {balance} $.",
        f"An answer costs {dollars(mturk_seats.seat_cents(settings.reward_cents))} $ with the fee; "
        f"of the budget of {dollars(spend.budget_cents)} $, {dollars(spend.paid)} $ are paid and "
        f"{dollars(spend.reserved)} $ reserved."]

  def advance(self) -> None:
    leases.expire(self._campaign)
    now = self._campaign.clock()
    if now - self._looked_at < self._settings.every_seconds:
      return
    self._looked_at = now
    try:
      self._hit_type = self._hit_type or self._client.hit_type(self._kind())
    except CrowdError as error:
      logging.warning("Mechanical Turk: %s; tried again later", error)
      return
    self._each(("planned",), self._publish)  # what a program that died may have published
    self._each(("published", "expired"), self._collect)
    self._plan()
    self._each(("planned",), self._publish)
    self._each(("published",), self._withdraw_if_done)
    self._each(("published", "expired"), self._close_if_over)

  def stop(self) -> None:
    """Nobody is to take a HIT whose page will not answer. Whoever is at work keeps theirs."""
    self._each(("published",), self._withdraw)

  def _kind(self) -> HitType:
    s = self._settings
    return HitType(s.title, s.description, s.keywords, s.reward_cents, s.assignment_seconds,
                   int(s.auto_approval_days * _DAY), s.min_approved, s.min_approval_percent)

  def _each(self, states: tuple[str, ...], step: Callable[[Any], None]) -> None:
    """A step of every HIT in these states; a call that fails is left to the next `advance`."""
    with self._campaign.store.read() as db:
      known = mturk_seats.hits(db)
    for hit in known:
      with self._campaign.store.read() as db:
        row = mturk_seats.hit(db, hit)
      try:
        if row["state"] in states:
          step(row)
      except CrowdError as error:
        level = logging.ERROR if isinstance(error, Refused) else logging.WARNING
        logging.log(level, "Mechanical Turk, HIT %d: %s; tried again later", hit, error)

  def _plan(self) -> None:
    terms = mturk_seats.Plan(self._market, self._hit_type, self._settings.reward_cents,
                             self._settings.hit_days * _DAY)
    with self._campaign.store.write() as db:
      short = mturk_seats.plan(db, terms, now=self._campaign.clock())[1]
    if short and short != self._short:
      logging.error("The budget is used up: %d answers are wanted that it does not hold. Raise "
                    "budget_cents, or adjudicate the tasks that are open.", short)
    self._short = short

  def _publish(self, row) -> None:
    token, now = row["request_token"], self._campaign.clock()
    hit_id = None
    if now - row["created_at"] >= TOKEN_SECONDS:  # Amazon may not know the token any more
      hit_id = self._client.find((token,)).get(token)
    if hit_id is None:
      with self._campaign.store.write() as db:
        key = mturk_question.signing_key(db)
      url = mturk_question.address(self._settings.address, key, token)
      # Longer than our own deadline, which waits for whoever is at work; Amazon's is for the case
      # that this program never runs again.
      lifetime = row["deadline_at"] - row["created_at"] + 2 * self._settings.assignment_seconds
      hit_id = self._client.create(row["hit_type"], mturk_question.external_question(url),
                                   token=token, assignments=row["assignments_asked"],
                                   lifetime=int(min(lifetime, _LONGEST)))
    with self._campaign.store.write() as db:
      mturk_seats.published(db, row["id"], hit_id, now=self._campaign.clock())

  def _collect(self, row) -> None:
    for seen in self._client.assignments(row["hit_id"]):
      with self._campaign.store.write() as db:
        due = mturk_seats.record(db, row, seen, now=self._campaign.clock())
      if due:
        self._client.approve(seen.id)
        with self._campaign.store.write() as db:
          mturk_seats.approved(db, row, seen.id, now=self._campaign.clock())

  def _withdraw_if_done(self, row) -> None:
    with self._campaign.store.read() as db:
      surplus = mturk_seats.is_nothing_wanted(db)
    if surplus or row["deadline_at"] <= self._campaign.clock():
      self._withdraw(row)

  def _withdraw(self, row) -> None:
    if not row["at_work"]:
      self._client.expire(row["hit_id"], self._campaign.clock())
      with self._campaign.store.write() as db:
        mturk_seats.expired(db, row["id"], now=self._campaign.clock())

  def _close_if_over(self, row) -> None:
    if row["state"] == "published" and row["seen"] < row["assignments_asked"]:
      return
    if self._client.is_over(row["hit_id"]):
      self._collect(row)  # after it was over: now the list is complete
      with self._campaign.store.write() as db:
        mturk_seats.close(db, row["id"], now=self._campaign.clock())


def check(settings: TurkSettings) -> TurkSettings:
  """Raises DataError for what Amazon, or good sense, does not allow."""
  def require(holds: bool, what: str) -> None:
    if not holds:
      raise DataError(f"oracle mturk: {what}")

  require(settings.address.startswith("https://"),
          f"address is {settings.address!r}: Amazon frames HTTPS pages only; give the public "
          "address of the proxy before the server")
  require(settings.reward_cents > 0, "reward_cents must be positive")
  require(settings.budget_cents >= mturk_seats.seat_cents(settings.reward_cents),
          f"budget_cents is {settings.budget_cents}: it does not hold a single answer of "
          f"{mturk_seats.seat_cents(settings.reward_cents)} cents (reward and fee)")
  require(30 <= settings.assignment_seconds <= _LONGEST, "assignment_seconds must be 30 or more")
  require(0 < settings.hit_days <= 360, "hit_days must be in (0, 360]")
  require(0 < settings.auto_approval_days <= 30, "auto_approval_days must be in (0, 30]")
  require(0 <= settings.min_approval_percent <= 100, "min_approval_percent is a percentage")
  require(settings.min_approved >= 0, "min_approved must not be negative")
  require(settings.every_seconds >= 0, "every_seconds must not be negative")
  require(all(text.strip() for text in (settings.title, settings.description)),
          "title and description must not be empty")
  return settings
