"""The campaign's SQLite database: connections, transactions, and the log of events.

Durability: WAL with `synchronous=FULL`, so that what `write` returned from is on the disk and a
process killed inside it leaves nothing behind. There is one writing connection behind a lock;
`BEGIN IMMEDIATE` keeps a second process (a tool beside the server) apart from it. Readers get
a snapshot of their own and never wait. What cannot begin in `WAIT_SECONDS` is given up: SQLite's
own error, with the code SQLITE_BUSY, says so.

What was written is in PATH-wal until `checkpoint` or `close` moves it into the file at PATH.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import math
import pathlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from tal_jax.annotation import schema
from tal_jax.annotation.patience import passing
from tal_jax.errors import DataError

WAIT_SECONDS = 5.0  # how long a transaction waits for those of others
_OPEN_SECONDS = 30.0  # how long to wait for another process that opens the database, too
_CHECKPOINT_SECONDS = 0.5  # short: nobody can write meanwhile
_DEADLINE = contextvars.ContextVar("deadline", default=math.inf)


@contextlib.contextmanager
def deadline(at: float) -> Iterator[None]:
  """Transactions inside do not wait for others beyond `at`, of `time.monotonic`."""
  token = _DEADLINE.set(at)
  try:
    yield
  finally:
    _DEADLINE.reset(token)


def busy(text: str) -> sqlite3.OperationalError:
  """The error by which SQLite says that somebody else is at work."""
  error = sqlite3.OperationalError(text)
  error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_BUSY, "SQLITE_BUSY"
  return error


class Store:
  """An open database. Safe to share between threads; to be closed."""

  def __init__(self, path: str | pathlib.Path,
               migrations: Sequence[Sequence[str]] = schema.MIGRATIONS):
    """Opens or makes the database at `path` and brings its schema up to date."""
    self._path = pathlib.Path(path).resolve()
    self._lock = threading.Lock()  # of the writing connection
    self._readers = threading.Condition()  # of the three below
    self._idle: list[sqlite3.Connection] = []
    self._reading = 0
    self._closed = False
    try:
      self._db = self._connect(_OPEN_SECONDS)
    except sqlite3.OperationalError as error:
      raise DataError(f"{self._path}: cannot be opened ({error}); is it in a folder that exists "
                      "and may be written?") from error
    try:
      _use_wal(self._db)
      self._db.execute("PRAGMA synchronous = FULL")
      self._db.execute("PRAGMA foreign_keys = ON")
      schema.migrate(self._db, migrations)
    except sqlite3.DatabaseError as error:
      self._db.close()
      raise DataError(f"{self._path}: {_cannot_be_used(error, self._path)}") from error
    except BaseException:
      self._db.close()
      raise

  @property
  def path(self) -> pathlib.Path:
    return self._path

  @contextlib.contextmanager
  def write(self) -> Iterator[sqlite3.Connection]:
    """A transaction that alone may write: committed at the end, undone by any exception.

    Raises sqlite3.OperationalError with SQLITE_BUSY where another one takes too long.
    """
    with self._writer(min(time.monotonic() + WAIT_SECONDS, _DEADLINE.get())):
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
    with self._readers:
      if self._closed:
        raise sqlite3.ProgrammingError(f"{self._path} is closed")
      self._reading += 1
      db = self._idle.pop() if self._idle else None  # making one costs more than most reads
    try:
      if db is None:
        db = self._connect(WAIT_SECONDS, "?mode=ro")
      db.execute("BEGIN")
      try:
        yield db
      finally:
        db.execute("ROLLBACK")  # the next reader sees what is there then
    except sqlite3.Error:  # the connection may be the cause
      if db is not None:
        db.close()
        db = None
      raise
    finally:
      with self._readers:
        self._reading -= 1
        if db is not None and self._closed:
          db.close()
        elif db is not None:
          self._idle.append(db)
        self._readers.notify_all()

  def checkpoint(self) -> bool:
    """Moves what was written into the file at `path`, so that it is whole without its -wal.

    Returns whether that was done; not while others read or write, which then is no fault.
    """
    try:
      with self._writer(time.monotonic() + _CHECKPOINT_SECONDS):
        return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
      if _is_busy(error):
        return False
      raise

  def close(self) -> None:
    """Waits for those who read, for a while, and leaves one file behind that has everything."""
    with self._readers:
      self._closed = True
      self._readers.wait_for(lambda: not self._reading, WAIT_SECONDS)
      while self._idle:
        self._idle.pop().close()  # the last connection to go must be one that can write
    try:
      with self._writer(time.monotonic() + WAIT_SECONDS):
        if self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
          raise busy("another program reads it")
    except sqlite3.ProgrammingError:
      pass  # was closed before
    except sqlite3.Error as error:
      logging.warning("%s: some answers are still in %s-wal (%s): keep the two files together",
                      self._path, self._path.name, error)
    self._db.close()

  @contextlib.contextmanager
  def _writer(self, until: float) -> Iterator[None]:
    """The writing connection is the caller's, and waits for other processes `until` then."""
    if not self._lock.acquire(timeout=max(until - time.monotonic(), 0)):
      raise busy("another transaction takes too long")
    try:
      left = round(1000 * max(until - time.monotonic(), 0))
      self._db.execute(f"PRAGMA busy_timeout = {left}")
      if self._db.in_transaction:  # the disk let nobody end it
        self._db.execute("ROLLBACK")
      yield
    finally:
      self._lock.release()

  def _connect(self, seconds: float, options: str = "") -> sqlite3.Connection:
    db = sqlite3.connect(self._path.as_uri() + options, uri=True, timeout=seconds,
                         isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db

  def __enter__(self) -> Store:
    return self

  def __exit__(self, *_: object) -> None:
    self.close()


def _is_busy(error: sqlite3.Error) -> bool:
  return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _cannot_be_used(error: sqlite3.DatabaseError, path: pathlib.Path) -> str:
  if _is_busy(error):
    return "another program keeps the database locked: end it there, or save its changes"
  if trouble := passing(error, path.parent):
    return f"cannot be used now ({trouble}); mend that, and the same command goes on"
  return (f"cannot be used as a campaign's database ({error}); give another path, or put a backup "
          "back")


def _use_wal(db: sqlite3.Connection) -> None:
  """Switches to WAL, and waits for another process that does so: SQLite itself does not."""
  until = time.monotonic() + _OPEN_SECONDS
  while True:
    try:
      db.execute("PRAGMA journal_mode = WAL")
      return
    except sqlite3.OperationalError as error:
      if not _is_busy(error) or time.monotonic() > until:
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
