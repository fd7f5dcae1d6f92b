"""A copy of a campaign's database, made while the campaign runs."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sqlite3

from tal_jax.annotation import schema
from tal_jax.errors import DataError


def write(database: str | os.PathLike, output: str | os.PathLike) -> int:
  """Copies all that was committed when it began; the file appears when it is whole (mode 0600).

  Args:
    database: campaign.sqlite, which a server may be writing to.
    output: a file that does not exist.

  Returns:
    How many answers the copy has.

  Raises:
    DataError: no campaign's database, `output` exists, or it cannot be written.
  """
  database, output = pathlib.Path(database), pathlib.Path(output)
  if output.exists() or output.is_symlink():
    raise DataError(f"{output} exists: a backup replaces nothing; name another file")
  if not database.is_file():
    raise DataError(f"{database} does not exist: give the work directory of a campaign")
  part = output.with_name(f"{output.name}.{os.getpid()}.part")
  try:
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
      answers = _copy(database, part)
      _sync(part)
      _rename(part, output)
    finally:
      part.unlink(missing_ok=True)
    _sync(output.parent)
  except FileExistsError as error:
    raise DataError(f"{error.filename2 or error.filename} exists: another backup is being made; "
                    "name another file") from error
  except OSError as error:
    raise DataError(f"cannot write {output}: {error.strerror}") from error
  except sqlite3.Error as error:
    raise DataError(f"cannot copy {database} to {output}: {error}") from error
  return answers


def _copy(database: pathlib.Path, part: pathlib.Path) -> int:
  """`part` becomes one snapshot of the database, without a -wal; the number of its answers."""
  with (contextlib.closing(sqlite3.connect(database.resolve().as_uri() + "?mode=ro", uri=True,
                                           timeout=30.0)) as source,
        contextlib.closing(sqlite3.connect(part)) as copy):
    if not schema.version(source):
      raise DataError(f"{database} is empty: there is nothing to keep")
    source.backup(copy)  # in one step: what is written meanwhile does not make it begin again
    copy.execute("PRAGMA journal_mode = DELETE")
    if (found := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
      raise DataError(f"{database} is damaged ({found}): put an earlier backup back")
    return copy.execute("SELECT COUNT(*) FROM assignments").fetchone()[0]


def _rename(part: pathlib.Path, output: pathlib.Path) -> None:
  """Raises FileExistsError where a file appeared meanwhile."""
  try:
    os.link(part, output)
  except OSError as error:
    if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
      raise
    part.rename(output)  # a file system without hard links


def _sync(path: pathlib.Path) -> None:
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
