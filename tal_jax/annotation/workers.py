"""Who may answer: workers and their tokens.

A token is 256 random bits, shown once when it is made; the database keeps its SHA-256 only. A
plain hash will do: there is nothing to guess in 256 random bits. Tokens expire and can be revoked.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from typing import NamedTuple

from tal_jax.annotation import store
from tal_jax.annotation.errors import Forbidden, InvalidAnswer, NotFound, Unauthorized

ROLES = ("annotator", "operator")
_TOKEN_BYTES = 32


class Worker(NamedTuple):
  id: int
  name: str
  role: str  # of ROLES; an operator may also adjudicate


def enrol(db: sqlite3.Connection, name: str, *, role: str = "annotator", seconds: float,
          now: float) -> tuple[Worker, str]:
  """Makes the worker, or gives the known one a new token; the old token is void.

  Args:
    db: a writing transaction.
    name: unique, e.g. an address or a crowd's worker id.
    role: of ROLES; a known worker's role does not change.
    seconds: for how long the token is good.
    now: seconds since the epoch.

  Returns:
    The worker and the token, which cannot be had again.

  Raises:
    InvalidAnswer: no name, an unknown role, or another role than before.
  """
  if not name or len(name) > 200 or role not in ROLES or not seconds > 0:
    raise InvalidAnswer(f"a worker needs a name of 1 to 200 characters, a role of {ROLES}, and a "
                        "token that is good for a while")
  token = secrets.token_urlsafe(_TOKEN_BYTES)
  known = db.execute("SELECT id, role FROM workers WHERE name = ?", (name,)).fetchone()
  if known is None:
    worker_id = db.execute(
        "INSERT INTO workers (name, role, token_sha256, token_expires_at) VALUES (?, ?, ?, ?)",
        (name, role, _digest(token), now + seconds)).lastrowid
  elif known["role"] != role:
    raise InvalidAnswer(f"{name} is {known['role']} already: use another name")
  else:
    worker_id = known["id"]
    db.execute("UPDATE workers SET token_sha256 = ?, token_expires_at = ?, token_revoked_at = NULL "
               "WHERE id = ?", (_digest(token), now + seconds, worker_id))
  store.log(db, "workers.token", worker_id, now=now, role=role, expires_at=now + seconds)
  return Worker(worker_id, name, role), token


def revoke(db: sqlite3.Connection, worker_id: int, *, now: float) -> None:
  """Makes the worker's token void at once. Raises NotFound."""
  if not db.execute("UPDATE workers SET token_revoked_at = ? WHERE id = ?",
                    (now, worker_id)).rowcount:
    raise NotFound(f"no worker {worker_id}")
  store.log(db, "workers.revoked", worker_id, now=now)


def authenticate(db: sqlite3.Connection, token: str, *, now: float) -> Worker:
  """The worker whose token this is. Raises Unauthorized."""
  row = db.execute(
      "SELECT id, name, role FROM workers WHERE token_sha256 = ? AND token_expires_at > ? "
      "AND token_revoked_at IS NULL", (_digest(token), now)).fetchone()
  if row is None:
    raise Unauthorized("this link is not valid, or no longer: ask for a new one")
  return Worker(*row)


def require_operator(db: sqlite3.Connection, worker_id: int) -> None:
  """Raises Forbidden unless the worker is an operator."""
  row = db.execute("SELECT role FROM workers WHERE id = ?", (worker_id,)).fetchone()
  if row is None or row["role"] != "operator":
    raise Forbidden("only an operator may do this")


def _digest(token: str) -> bytes:
  return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
