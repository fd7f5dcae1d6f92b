"""The books of Mechanical Turk: HITs, who has which assignment, and which answer it pays for.

A HIT is a number of paid seats, not a video: whoever takes a seat gets the task that
`leases.next_visit` chooses for them (a video they never had if there is one, gold when it is due),
one class of one video, answers it, and submits the seat. So workers are seldom turned away, the
check that nobody answers a task twice is the one there is, and every answer, gold or not, pays for
one seat. `hits.task_id` is the task that
wanted answers when the HIT was planned.

    hits:   planned -> published -> expired -> closed; published -> closed
    crowd:  accepted -> submitted -> approved | rejected; rejected -> approved (by hand, at Amazon)

planned: the row, its request token and the money are on the disk; the call may have been made.
expired: off the market; whoever has accepted it may still submit. closed: nothing can come any
more, and what was not paid went back to the budget. submitted: seen in Amazon's list; it is
approved once an answer of that worker is bound to it, and each answer is bound once.

`db` is a writing transaction of the caller, unless said otherwise.
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.oracles import outsiders
from tal_jax.annotation.oracles.mturk_client import CrowdAssignment
from tal_jax.annotation.rules import payments
from tal_jax.annotation.rules.counting import COUNTS

MOST_SEATS = 9  # of a HIT: from 10 on, Amazon's fee doubles
_PREFIX = "mturk:"
# Answers still wanted of each undecided task, less those that others than the crowd are giving.
_NEEDS = (
    "SELECT t.id, t.wanted - (SELECT COUNT(*) FROM assignments a WHERE a.task_id = t.id "
    f"AND {COUNTS}) - ("
    "  SELECT COUNT(*) FROM leases l JOIN workers w ON w.id = l.worker_id WHERE l.task_id = t.id"
    "  AND l.state = 'held' AND w.name NOT LIKE 'mturk:%') AS need "
    "FROM tasks t WHERE t.is_gold = 0 AND t.state IN ('open', 'leased') "
    "AND t.video_id NOT IN (SELECT video_id FROM preparing) ORDER BY t.id")
_IS_AT_WORK = (
    "EXISTS (SELECT 1 FROM crowd c JOIN leases l ON l.worker_id = c.worker_id "
    "WHERE c.hit = h.id AND c.state = 'accepted' AND l.state = 'held')")


class Plan(NamedTuple):
  market: str  # "sandbox" or "production"
  hit_type: str
  reward_cents: int
  lifetime: float  # seconds from now to the deadline


def worker_name(amazon_id: str) -> str:
  return _PREFIX + amazon_id


def assignment_key(amazon_id: str) -> str:
  return _PREFIX + amazon_id


def seat_cents(reward_cents: int) -> int:
  """What a seat costs: the reward and Amazon's fee of 20 %, at least a cent, rounded up."""
  return reward_cents + max(1, -(-reward_cents // 5))


def shortage(db: sqlite3.Connection) -> int:
  """Seats that are to be published so that all answers wanted can come; also a reading `db`.

  Wanted answers, less seats that may still bring one: free or taken seats of HITs on the market,
  taken ones of expired HITs; an answer that is stored while its seat is not submitted yet has used
  that seat up.
  """
  needed = sum(max(row["need"], 0) for row in db.execute(_NEEDS))
  free = db.execute(
      "SELECT COALESCE(SUM(h.assignments_asked - (SELECT COUNT(*) FROM crowd c "
      "  WHERE c.hit = h.id AND c.state != 'accepted')), 0) FROM hits h "
      "WHERE h.state IN ('planned', 'published')").fetchone()[0]
  taken = db.execute(
      "SELECT COUNT(DISTINCT c.worker_id) FROM crowd c JOIN hits h ON h.id = c.hit "
      "JOIN leases l ON l.worker_id = c.worker_id AND l.state = 'held' "
      "WHERE h.state = 'expired' AND c.state = 'accepted'").fetchone()[0]
  used = sum(min(row["seats"], unpaid_answers(db, row["worker_id"])) for row in db.execute(
      "SELECT c.worker_id, COUNT(*) AS seats FROM crowd c JOIN hits h ON h.id = c.hit "
      "WHERE c.state = 'accepted' AND h.state IN ('planned', 'published') "
      "GROUP BY c.worker_id").fetchall())
  return needed - (free + taken - used)


def is_nothing_wanted(db: sqlite3.Connection) -> bool:
  """Whether no task wants an answer, from whomever; also a reading `db`."""
  return not any(row["need"] > 0 for row in db.execute(_NEEDS))


def plan(db: sqlite3.Connection, terms: Plan, *, now: float) -> tuple[int, int]:
  """Plans HITs for what is short, as far as the money goes, and reserves it.

  Returns:
    Seats planned, and seats that the budget does not hold.
  """
  missing = shortage(db)
  if missing <= 0:
    return 0, 0
  cents = seat_cents(terms.reward_cents)
  budget = payments.spend(db)
  affordable = (budget.budget_cents - budget.reserved - budget.paid) // cents
  wanted = [(row["id"], row["need"]) for row in db.execute(_NEEDS) if row["need"] > 0]
  out = {row[0]: row[1] for row in db.execute(
      "SELECT h.task_id, SUM(h.assignments_asked - (SELECT COUNT(*) FROM crowd c "
      "WHERE c.hit = h.id AND c.state != 'accepted')) FROM hits h "
      "WHERE h.state IN ('planned', 'published') GROUP BY h.task_id")}
  # Those with the fewest seats first; a task whose seats went to gold may need one more than that.
  wanted.sort(key=lambda item: out.get(item[0], 0) - item[1])
  left = min(missing, affordable)
  planned = 0
  while planned < left:
    for task, need in wanted:
      seats = min(max(need - out.get(task, 0), 1), MOST_SEATS, left - planned)
      if seats > 0:
        _plan_hit(db, task, seats, cents, terms, now)
        out[task] = out.get(task, 0) + seats
        planned += seats
  return planned, missing - planned


def _plan_hit(db, task: int, seats: int, cents: int, terms: Plan, now: float) -> None:
  token = f"{terms.market}-{secrets.token_hex(16)}"
  payments.reserve(db, token, seats * cents, now=now)
  hit = db.execute(
      "INSERT INTO hits (task_id, hit_type, request_token, reward_cents, assignments_asked, "
      "deadline_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      (task, terms.hit_type, token, terms.reward_cents, seats, now + terms.lifetime,
       now)).lastrowid
  store.log(db, "hits.planned", hit, now=now, task=task, seats=seats)


def hits(db: sqlite3.Connection) -> list[int]:
  """The HITs that are not closed, oldest first; also a reading `db`."""
  return [row[0] for row in db.execute("SELECT id FROM hits WHERE state != 'closed' ORDER BY id")]


def hit(db: sqlite3.Connection, hit_id: int) -> sqlite3.Row:
  """A row of hits, with `at_work` and `seen`; also a reading `db`.

  at_work: a worker who has accepted it holds a lease. seen: its submitted assignments.
  """
  return db.execute(
      f"SELECT h.*, {_IS_AT_WORK} AS at_work, (SELECT COUNT(*) FROM crowd c WHERE c.hit = h.id "
      "AND c.state != 'accepted') AS seen FROM hits h WHERE h.id = ?", (hit_id,)).fetchone()


def markets(db: sqlite3.Connection) -> set[str]:
  """Where this campaign ever planned a HIT; also a reading `db`."""
  return {row[0].partition("-")[0] for row in db.execute("SELECT request_token FROM hits")}


def published(db: sqlite3.Connection, hit: int, hit_id: str, *, now: float) -> None:
  db.execute("UPDATE hits SET hit_id = ?, state = 'published' WHERE id = ? AND state = 'planned'",
             (hit_id, hit))
  store.log(db, "hits.published", hit, now=now, hit_id=hit_id)


def expired(db: sqlite3.Connection, hit: int, *, now: float) -> None:
  db.execute("UPDATE hits SET state = 'expired' WHERE id = ? AND state = 'published'", (hit,))
  store.log(db, "hits.expired", hit, now=now)


def close(db: sqlite3.Connection, hit: int, *, now: float) -> bool:
  """Closes a HIT to which nothing can come, unless something that came is undecided."""
  if db.execute("SELECT 1 FROM crowd WHERE hit = ? AND state = 'submitted'", (hit,)).fetchone():
    return False
  token = db.execute("SELECT request_token FROM hits WHERE id = ?", (hit,)).fetchone()[0]
  db.execute("UPDATE hits SET state = 'closed' WHERE id = ?", (hit,))
  store.log(db, "hits.closed", hit, now=now, returned=payments.returned(db, token, now=now))
  return True


def accept(db: sqlite3.Connection, key: str, hit: int, worker: int, now: float) -> None:
  db.execute("INSERT INTO crowd (assignment_key, hit, worker_id, state, at) "
             "VALUES (?, ?, ?, 'accepted', ?)", (key, hit, worker, now))


def record(db: sqlite3.Connection, hit: sqlite3.Row, seen: CrowdAssignment, *,
           now: float) -> bool:
  """Notes an assignment from Amazon's list; whether it is now to be approved.

  Amazon's word on who has it counts, whatever someone claimed at the door.
  """
  key = assignment_key(seen.id)
  worker = outsiders.worker_id(db, worker_name(seen.worker), now=now)
  known = db.execute("SELECT * FROM crowd WHERE assignment_key = ?", (key,)).fetchone()
  if known is None:
    accept(db, key, hit["id"], worker, now)
  if known is None or known["state"] == "accepted":
    db.execute("UPDATE crowd SET state = 'submitted', worker_id = ?, hit = ?, at = ? "
               "WHERE assignment_key = ?", (worker, hit["id"], now, key))
    store.log(db, "crowd.submitted", hit["id"], now=now, worker_id=worker, assignment=seen.id)
  row = db.execute("SELECT * FROM crowd WHERE assignment_key = ?", (key,)).fetchone()
  answer = row["answer_id"]
  if answer is None and row["state"] == "submitted" and seen.status != "Rejected":
    answer = _oldest_unpaid(db, worker)
    db.execute("UPDATE crowd SET answer_id = ? WHERE assignment_key = ?", (answer, key))
  if seen.status == "Approved" and row["state"] != "approved":
    approved(db, hit, seen.id, now=now)
  elif seen.status == "Rejected" and row["state"] == "submitted":
    db.execute("UPDATE crowd SET state = 'rejected', at = ? WHERE assignment_key = ?", (now, key))
    store.log(db, "crowd.rejected", hit["id"], now=now, worker_id=worker, assignment=seen.id)
  return seen.status == "Submitted" and answer is not None


def approved(db: sqlite3.Connection, hit: sqlite3.Row, assignment: str, *, now: float) -> None:
  """Amazon has paid the worker."""
  payments.paid(db, hit["request_token"], seat_cents(hit["reward_cents"]), part=assignment,
                now=now)
  db.execute("UPDATE crowd SET state = 'approved', at = ? WHERE assignment_key = ?",
             (now, assignment_key(assignment)))
  store.log(db, "crowd.approved", hit["id"], now=now, assignment=assignment)


def unpaid_answers(db: sqlite3.Connection, worker: int) -> int:
  """Answers of a worker, gold or not, that no submitted seat is bound to; also a reading `db`."""
  return db.execute(
      "SELECT COUNT(*) FROM assignments a WHERE a.worker_id = ? AND NOT EXISTS "
      "(SELECT 1 FROM crowd c WHERE c.answer_id = a.id)", (worker,)).fetchone()[0]


def _oldest_unpaid(db, worker: int) -> int | None:
  row = db.execute(
      "SELECT a.id FROM assignments a WHERE a.worker_id = ? AND NOT EXISTS "
      "(SELECT 1 FROM crowd c WHERE c.answer_id = a.id) ORDER BY a.id LIMIT 1",
      (worker,)).fetchone()
  return row and row[0]
