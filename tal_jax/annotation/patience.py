"""Faults of the machine that pass: what to say of them, and to try again until they do.

A full disk, a database that another program keeps locked, no more open files: none of them is a
reason to end a campaign. It says so once, tries again, and says once that it goes on.
"""

from __future__ import annotations

import errno
import os
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_SECONDS = 5.0  # from one try to the next

_FULL, _LOCKED, _FILES = "disk full", "the database is locked", "too many open files"
_PROCESSES = "no more processes can be started"
_BROKEN, _READ_ONLY = "the disk cannot be read or written", "the disk or the file is read-only"
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL, sqlite3.SQLITE_BUSY: _LOCKED, sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_IOERR: _BROKEN, sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "a file of the database cannot be opened"}
_OF_SYSTEM = {
    errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EIO: _BROKEN, errno.ESTALE: _BROKEN,
    errno.EROFS: _READ_ONLY, errno.EMFILE: _FILES, errno.ENFILE: _FILES, errno.EAGAIN: _PROCESSES}
_ASIDE = {_LOCKED: " (another program holds it, perhaps with a change that was not saved)"}


def passing(error: BaseException, folder: str | os.PathLike) -> str | None:
  """What is wrong, with the folder; None for a fault that trying again does not mend.

  Args:
    error: as it was raised; a DataError is as good or bad as what caused it.
    folder: where the campaign writes, for errors that name no file.
  """
  seen: BaseException | None = error
  while seen is not None:
    text = None
    if isinstance(seen, sqlite3.Error):
      text = _OF_SQLITE.get(getattr(seen, "sqlite_errorcode", 0) & 0xFF)
    elif isinstance(seen, OSError):
      text = _OF_SYSTEM.get(seen.errno)
      if isinstance(seen.filename, str | os.PathLike):
        folder = seen.filename if text == _FILES else pathlib.Path(seen.filename).parent
    if text is not None:
      return f"{text}: {os.fspath(folder)}{_ASIDE.get(text, '')}"
    seen = seen.__cause__
  return None


class Patience:
  """Tries again what a passing fault stopped, and talks about it once.

  For a program that has nothing else to do; `housekeeping` is for one that has.
  """

  def __init__(self, folder: str | os.PathLike, say: Callable[[str], None], *,
               seconds: float = _SECONDS, sleep: Callable[[float], None] = time.sleep):
    """`folder`: see `passing`; `say`: gets a line; `seconds`: from one try to the next."""
    self._folder = folder
    self._say = say
    self._seconds = seconds
    self._sleep = sleep
    self._trouble: str | None = None

  def again(self, action: Callable[[], _T]) -> _T:
    """What the action returns; one that may be repeated from its start."""
    while True:
      try:
        result = action()
      except Exception as error:
        self._tell(error)
        self._sleep(self._seconds)
        continue
      self._over()
      return result

  def _tell(self, error: Exception) -> None:
    """Says what is wrong, unless that was said; raises what will not pass."""
    trouble = passing(error, self._folder)
    if trouble is None:
      raise error
    if trouble != self._trouble:
      self._say(f"{trouble}; the campaign waits, and tries again every few seconds")
    self._trouble = trouble

  def _over(self) -> None:
    if self._trouble is not None:
      self._say(f"the campaign goes on ({self._trouble.split(':')[0]}: no longer)")
    self._trouble = None
