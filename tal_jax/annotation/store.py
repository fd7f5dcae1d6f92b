"""The campaign's SQLite database: connections, transactions, and the log of events.

Durability: WAL with `synchronous=FULL`, so that what `write` returned from is on the disk and a
process killed inside it leaves nothing behind. There is one writing connection behind a lock;
`BEGIN IMMEDIATE` keeps a second process (a tool beside the server) apart from it. Readers get
a snapshot of their own and never wait.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tal_jax.annotation import schema
from tal_jax.data.types import DataError

_BUSY_SECONDS = 30.0  # how long to wait for another process' transaction


class Store:
  """An open database. Safe to share between threads; to be closed."""

  def __init__(self, path: str | pathlib.Path,
               migrations: Sequence[Sequence[str]] = schema.MIGRATIONS):
    """Opens or makes the database at `path` and brings its schema up to date."""
    self._path = pathlib.Path(path).resolve()
    self._lock = threading.Lock()
    self._idle: list[sqlite3.Connection] = []  # of readers; list's append and pop are atomic
    try:
      self._db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None,
                                 check_same_thread=False)
    except sqlite3.OperationalError as error:
      raise DataError(f"{self._path}: cannot be opened ({error}); is it in a folder that exists "
                      "and may be written?") from error
    try:
      self._db.row_factory = sqlite3.Row
      _use_wal(self._db)
      self._db.execute("PRAGMA synchronous = FULL")
      self._db.execute("PRAGMA foreign_keys = ON")
      schema.migrate(self._db, migrations)
    except sqlite3.DatabaseError as error:
      self._db.close()
      raise DataError(f"{self._path}: cannot be used as a campaign's database ({error}); give "
                      "another path, or put a backup back") from error
    except BaseException:
      self._db.close()
      raise

  @contextlib.contextmanager
  def write(self) -> Iterator[sqlite3.Connection]:
    """A transaction that alone may write: committed at the end, undone by any exception."""
    with self._lock:
      self._db.execute("BEGIN IMMEDIATE")
      try:
        yield self._db
        self._db.execute("COMMIT")
      except BaseException:
        if self._db.in_transaction:
          self._db.execute("ROLLBACK")
        raise

  @contextlib.contextmanager
  def read(self) -> Iterator[sqlite3.Connection]:
    """A snapshot on a connection that cannot write, and that nobody else uses meanwhile."""
    try:
      db = self._idle.pop()  # a new one costs more than most reads: it parses the schema
    except IndexError:
      db = sqlite3.connect(self._path.as_uri() + "?mode=ro", uri=True, timeout=_BUSY_SECONDS,
                           isolation_level=None, check_same_thread=False)
      db.row_factory = sqlite3.Row
    db.execute("BEGIN")
    try:
      yield db
    finally:
      db.execute("ROLLBACK")  # the next reader sees what is there then
      self._idle.append(db)

  def close(self) -> None:
    with self._lock:
      self._db.close()
      while self._idle:
        self._idle.pop().close()

  def __enter__(self) -> Store:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()


def _use_wal(db: sqlite3.Connection) -> None:
  """Switches to WAL, and waits for another process that does so: SQLite itself does not."""
  deadline = time.monotonic() + _BUSY_SECONDS
  while True:
    try:
      db.execute("PRAGMA journal_mode = WAL")
      return
    except sqlite3.OperationalError as error:
      if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
        raise
      time.sleep(0.01)


def signing_key(db: sqlite3.Connection, name: str) -> bytes:
  """The campaign's key of that name, made when first asked for; `db`: a writing transaction."""
  db.execute("INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
             (name, secrets.token_bytes(32)))
  return db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0]


def log(db: sqlite3.Connection, kind: str, subject_id: int, *, now: float,
        worker_id: int | None = None, **detail: Any) -> None:
  """Appends an event of the transaction that `db` is in."""
  db.execute("INSERT INTO events (at, kind, subject_id, worker_id, detail) VALUES (?, ?, ?, ?, ?)",
             (now, kind, subject_id, worker_id, json.dumps(detail, sort_keys=True)))
