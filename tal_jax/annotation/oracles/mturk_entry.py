"""A worker of Mechanical Turk at the door: who they are, and a token for the page.

Amazon's parameters: assignmentId, hitId, workerId, turkSubmitTo; ours: hit and key, see
`mturk_question`. A worker who only looks at a HIT has the assignment ASSIGNMENT_ID_NOT_AVAILABLE
and gets no token. After the answer the page posts assignmentId (and at least one other field) to
`submit_to` + /mturk/externalSubmit.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from tal_jax.annotation import workers
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import Conflict, Forbidden, InvalidAnswer
from tal_jax.annotation.oracles import mturk_question, mturk_seats

SUBMIT_TO = ("https://workersandbox.mturk.com", "https://www.mturk.com")
PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
_ID = re.compile(r"[A-Z0-9]{1,64}")
_TOKEN_SECONDS = 24 * 3600.0  # longer than any assignment lasts that is set sensibly
_ENTRIES_A_SEAT = 20  # accepted, returned, accepted by the next, ...: who claims more makes them up


class Entry(NamedTuple):
  token: str  # "" in a preview
  preview: bool
  submit_to: str  # of SUBMIT_TO; "" in a preview
  answered: bool = False  # an answer is stored that Amazon does not know of yet: submit it


def enter(campaign: Campaign, query: Mapping[str, str]) -> Entry:
  """Lets a worker in, and notes which assignment they have.

  The same call again (the page was reloaded) gives a new token; the old one is void.

  Raises:
    InvalidAnswer: ids that are none, or an address to submit to that is not Amazon's.
    Forbidden: not a HIT of this campaign, another worker's assignment, or a worker whose access
      an operator ended.
    Conflict: the HIT is over, or too many have come with it.
  """
  assignment = query.get("assignmentId", PREVIEW)
  with campaign.store.write() as db:
    now = campaign.clock()
    hit = _own_hit(db, query)
    if assignment == PREVIEW:
      return Entry("", True, "")
    worker_name = query.get("workerId", "")
    for value in (assignment, worker_name):
      if not _ID.fullmatch(value):
        raise InvalidAnswer("this page is to be opened from Mechanical Turk")
    submit_to = query.get("turkSubmitTo", "").rstrip("/")
    if submit_to not in SUBMIT_TO:
      raise InvalidAnswer("turkSubmitTo is not an address of Mechanical Turk")
    worker, token = _enrol(db, mturk_seats.worker_name(worker_name), now)
    _note(db, hit, mturk_seats.assignment_key(assignment), worker.id, now)
    answered = mturk_seats.unpaid_answers(db, worker.id) > 0
  return Entry(token, False, submit_to, answered)


def _own_hit(db: sqlite3.Connection, query: Mapping[str, str]) -> sqlite3.Row:
  token = query.get("hit", "")
  if mturk_question.is_signed(mturk_question.signing_key(db), token, query.get("key", "")):
    hit = db.execute("SELECT * FROM hits WHERE request_token = ?", (token,)).fetchone()
    # A HIT whose creation was not confirmed yet has no hit_id here, but may have a worker.
    if hit and (hit["hit_id"] is None or query.get("hitId", hit["hit_id"]) == hit["hit_id"]):
      return hit
  raise Forbidden("this is not a task of this campaign")


def _enrol(db: sqlite3.Connection, name: str, now: float) -> tuple[workers.Worker, str]:
  known = db.execute("SELECT token_revoked_at FROM workers WHERE name = ?", (name,)).fetchone()
  if known and known["token_revoked_at"] is not None:  # a new token would undo it
    raise Forbidden("an operator ended your access: please return this task")
  return workers.enrol(db, name, seconds=_TOKEN_SECONDS, now=now)


def _note(db: sqlite3.Connection, hit: sqlite3.Row, key: str, worker: int, now: float) -> None:
  known = db.execute("SELECT worker_id, hit FROM crowd WHERE assignment_key = ?",
                     (key,)).fetchone()
  if known:
    if tuple(known) != (worker, hit["id"]):
      raise Forbidden("this assignment is another worker's")
    return
  if hit["state"] == "closed":
    raise Conflict("this task is over: please return it")
  entries = db.execute("SELECT COUNT(*) FROM crowd WHERE hit = ?", (hit["id"],)).fetchone()[0]
  if entries >= _ENTRIES_A_SEAT * hit["assignments_asked"]:
    raise Conflict("too many have come with this task: please return it")
  mturk_seats.accept(db, key, hit["id"], worker, now)
