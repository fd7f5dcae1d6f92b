"""The work directory of a campaign before it is used: is all of it there, and is it private?"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import stat
import sys
from collections.abc import Iterator

from tal_jax.annotation import schema
from tal_jax.errors import DataError
from tal_jax.runs.workdir import read_rows

DATABASE = "campaign.sqlite"
# Made by a campaign whose database exists, each of them.
_LATER = ("config.json", "metrics.jsonl", "selections.jsonl", "annotations.json", "links.txt")
_MADE = (f"{DATABASE}*", *(f"{name}*" for name in _LATER), "*.lock", "lal.npz*", "checkpoints",
         "media", "label_studio")
_OTHERS = 0o077  # permissions of everybody but the owner


@contextlib.contextmanager
def private() -> Iterator[None]:
  """What this process makes inside belongs to its user alone: files 0600, folders 0700."""
  before = os.umask(_OTHERS)
  try:
    yield
  finally:
    os.umask(before)


def make_private(folder: pathlib.Path) -> list[str]:
  """Takes the permissions of other users off what a campaign made in its work directory.

  Returns:
    Lines for whoever runs the campaign: what was changed, and what belongs to somebody else.
  """
  found = [path for pattern in _MADE for top in folder.glob(pattern) for path in _tree(top)]
  changed, foreign = [], []
  for path in (folder, *found):
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode) or not mode & _OTHERS:
      continue
    try:
      path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
      changed.append(path)
    except OSError:
      foreign.append(path)
  lines = []
  if changed:
    lines.append(f"Other users could read {_some(changed)}: now only you can (0600, folders 0700).")
  if foreign:
    lines.append(f"Other users can read {_some(foreign)}, which belong to somebody else: chown "
                 "them, or give another --workdir.")
  return lines


def check_whole(folder: pathlib.Path) -> None:
  """Refuses a work directory whose database was lost, before SQLite makes an empty one in it.

  Raises:
    DataError: files of a campaign without its database, or with one that is older than they are
      or does not fit its -wal.
  """
  database = folder / DATABASE
  log = folder / f"{DATABASE}-wal"
  size = database.stat().st_size if database.exists() else 0
  mend = (f"put the backup back as {database}, with the -wal that was copied with it if there is "
          "one, or give another --workdir")
  if not size and log.exists() and log.stat().st_size:
    raise DataError(f"{database} is missing or empty, and {log.name} lies there without it: the "
                    f"two belong together; move {log.name} away, then {mend}")
  rounds = _rounds(database, log) if size else None
  later = [name for name in _LATER if (folder / name).exists()]
  if any((folder / "checkpoints").glob("*")):
    later.append("checkpoints/")
  if rounds is None and later:
    raise DataError(f"{folder} has {', '.join(later)} of an earlier campaign, but {DATABASE} "
                    f"{'is empty' if database.exists() else 'is missing'}: {mend}")
  done = len(read_rows(folder / "metrics.jsonl"))
  if rounds is not None and rounds < done:
    raise DataError(f"{database} knows {rounds} rounds, and metrics.jsonl has the results of "
                    f"{done}: the database is an older one, or its -wal is missing. Put a newer "
                    "one back; or move checkpoints, metrics.jsonl and selections.jsonl away, and "
                    "the learner begins again from the answers that are there")


def _rounds(database: pathlib.Path, log: pathlib.Path) -> int | None:
  """How many were opened; None of a database without tables, many of what is no campaign's.

  Raises DataError: with its -wal, which only a crash or a copy leaves behind, it is not in order.
  """
  try:
    # Only to read: otherwise what the -wal has would be in the database from here on.
    with contextlib.closing(sqlite3.connect(database.resolve().as_uri() + "?mode=ro", uri=True,
                                            timeout=30.0)) as db:
      if log.exists() and log.stat().st_size and not (_writes_wal(database) and _in_order(db)):
        raise DataError(f"{database} and {log.name} do not belong together, or are damaged: if you "
                        "put a backup back, move the -wal and the -shm of before away; else put a "
                        "backup back")
      return db.execute("SELECT COUNT(*) FROM rounds").fetchone()[0] if schema.version(db) else None
  except sqlite3.Error:
    return sys.maxsize  # `Store` says what is wrong


def _writes_wal(database: pathlib.Path) -> bool:
  """A campaign's database does; a backup does not until a campaign has opened it."""
  with database.open("rb") as file:
    return file.read(20)[18:] == b"\x02\x02"  # of the format's header: who may read and write


def _in_order(db: sqlite3.Connection) -> bool:
  try:
    return (db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            and not db.execute("PRAGMA foreign_key_check").fetchone())
  except sqlite3.OperationalError:
    raise  # of the machine
  except sqlite3.DatabaseError:
    return False


def _tree(top: pathlib.Path) -> Iterator[pathlib.Path]:
  """The file or folder and all inside; links are not followed."""
  yield top
  if top.is_dir() and not top.is_symlink():
    for folder, folders, files in os.walk(top):
      yield from (pathlib.Path(folder, name) for name in (*folders, *files))


def _some(paths: list[pathlib.Path]) -> str:
  more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
  return ", ".join(map(str, paths[:3])) + more
