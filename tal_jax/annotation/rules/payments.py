"""The ledger of a campaign's money: reserved before it is promised, and never above the budget.

A reservation holds what one request to a crowd may cost at most (rewards and fees), under the
token of that request, and is written before the request is sent. Payments come out of a
reservation, each under a name of its own; what is left goes back to the budget when no more
payments can come. All amounts are whole cents:

    paid + reserved <= budget,   reserved = sum over open reservations of (cents - paid out of it)

Every function is part of the caller's transaction, and the same call again changes nothing, so
that a program which died between the ledger and the crowd starts over.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.errors import Conflict, InvalidAnswer, NotFound


class BudgetExceeded(Conflict):
  """The budget does not hold the amount."""


class Spend(NamedTuple):
  budget_cents: int
  reserved: int  # cents that open reservations may still cost
  paid: int  # cents


def set_budget(db: sqlite3.Connection, cents: int, *, now: float) -> None:
  """Sets the hard limit; without one it is 0, and nothing can be reserved.

  Raises BudgetExceeded when more is reserved or paid already.
  """
  if not isinstance(cents, int) or isinstance(cents, bool) or cents < 0:
    raise InvalidAnswer(f"a budget is a whole number of cents, not {cents!r}")
  before = spend(db)
  if before.reserved + before.paid > cents:
    raise BudgetExceeded(f"{before.reserved} cents are reserved and {before.paid} paid: the budget "
                         f"cannot become {cents}")
  if before.budget_cents != cents:
    db.execute("INSERT INTO budget VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET cents = "
               "excluded.cents", (cents,))
    store.log(db, "budget.set", 1, now=now, cents=cents, before=before.budget_cents)


def spend(db: sqlite3.Connection) -> Spend:
  """What is left and what is gone."""
  budget = db.execute("SELECT COALESCE(SUM(cents), 0) FROM budget").fetchone()[0]
  held = db.execute("SELECT COALESCE(SUM(cents), 0) FROM payments WHERE state = 'reserved'"
                    ).fetchone()[0]
  gone, of_held = db.execute(
      "SELECT COALESCE(SUM(o.cents), 0), COALESCE(SUM(o.cents) FILTER (WHERE p.state = 'reserved'),"
      " 0) FROM payouts o JOIN payments p ON p.id = o.payment_id").fetchone()
  return Spend(budget, held - of_held, gone)


def reserve(db: sqlite3.Connection, request_token: str, cents: int, *, now: float) -> bool:
  """Holds `cents` for the request of that token (1 to 64 characters); False if it was held before.

  Raises:
    BudgetExceeded: more than is left; nothing is reserved.
    Conflict: the token is known with another amount.
    InvalidAnswer: no positive whole number of cents, or no such token.
  """
  _require_cents(cents)
  if not isinstance(request_token, str) or not 1 <= len(request_token) <= 64:
    raise InvalidAnswer("a request's token is text of 1 to 64 characters")
  known = db.execute("SELECT cents FROM payments WHERE request_token = ?",
                     (request_token,)).fetchone()
  if known:
    if known["cents"] != cents:
      raise Conflict(f"the request {request_token} holds {known['cents']} cents, not {cents}")
    return False
  budget, reserved, gone = spend(db)
  if reserved + gone + cents > budget:
    raise BudgetExceeded(f"{cents} cents are wanted; of the budget of {budget} cents, {gone} are "
                         f"paid and {reserved} reserved")
  payment = db.execute("INSERT INTO payments (request_token, cents, at) VALUES (?, ?, ?)",
                       (request_token, cents, now)).lastrowid
  store.log(db, "payments.reserved", payment, now=now, cents=cents)
  return True


def paid(db: sqlite3.Connection, request_token: str, cents: int, *, part: str = "",
         now: float) -> bool:
  """Pays out of a reservation; False if that part was paid before.

  Args:
    db: a writing transaction.
    request_token: of the reservation.
    cents: what left the account, reward and fee.
    part: which payment out of it, e.g. the crowd's id of the assignment.
    now: seconds since the epoch.

  Raises:
    BudgetExceeded: more than is left in the reservation.
    Conflict: the part was paid with another amount, or the rest was returned.
    NotFound: no such reservation.
  """
  _require_cents(cents)
  payment = _reservation(db, request_token)
  known = db.execute("SELECT cents FROM payouts WHERE payment_id = ? AND part = ?",
                     (payment["id"], part)).fetchone()
  if known:
    if known["cents"] != cents:
      raise Conflict(f"{part or request_token} was paid with {known['cents']} cents, not {cents}")
    return False
  if payment["state"] == "returned":
    raise Conflict(f"what the request {request_token} held was returned to the budget")
  left = _left(db, payment)
  if cents > left:
    raise BudgetExceeded(f"{cents} cents are to be paid; {request_token} holds {left}")
  db.execute("INSERT INTO payouts VALUES (?, ?, ?, ?)", (payment["id"], part, cents, now))
  if cents == left:
    db.execute("UPDATE payments SET state = 'paid' WHERE id = ?", (payment["id"],))
  store.log(db, "payments.paid", payment["id"], now=now, cents=cents, part=part)
  return True


def returned(db: sqlite3.Connection, request_token: str, *, now: float) -> int:
  """Gives what is left of a reservation back to the budget; how many cents. Raises NotFound.

  Only when no payment can come any more: a request that was never sent, or is over.
  """
  payment = _reservation(db, request_token)
  if payment["state"] != "reserved":
    return 0
  left = _left(db, payment)
  db.execute("UPDATE payments SET state = 'returned' WHERE id = ?", (payment["id"],))
  store.log(db, "payments.returned", payment["id"], now=now, cents=left)
  return left


def _reservation(db, request_token: str) -> sqlite3.Row:
  row = db.execute("SELECT * FROM payments WHERE request_token = ?", (request_token,)).fetchone()
  if row is None:
    raise NotFound(f"nothing is reserved for {request_token!r}")
  return row


def _left(db, payment: sqlite3.Row) -> int:
  return payment["cents"] - db.execute(
      "SELECT COALESCE(SUM(cents), 0) FROM payouts WHERE payment_id = ?",
      (payment["id"],)).fetchone()[0]


def _require_cents(cents: int) -> None:
  if not isinstance(cents, int) or isinstance(cents, bool) or cents <= 0:
    raise InvalidAnswer(f"an amount is a positive whole number of cents, not {cents!r}")
