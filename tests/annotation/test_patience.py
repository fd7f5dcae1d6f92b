"""Which faults pass, what is said of them, and how often."""

import errno
import os
import sqlite3

import pytest

from tal_jax.annotation.patience import Patience, passing
from tal_jax.errors import DataError


def of_sqlite(code):
  error = sqlite3.OperationalError("as SQLite says it")
  error.sqlite_errorcode = code
  return error


def caused(error):
  try:
    raise DataError("cannot write it") from error
  except DataError as made:
    return made


@pytest.mark.parametrize(("error", "text"), [
    (of_sqlite(sqlite3.SQLITE_FULL), "disk full: work"),
    (of_sqlite(sqlite3.SQLITE_IOERR | 12 << 8), "the disk cannot be read or written: work"),
    (of_sqlite(sqlite3.SQLITE_BUSY), "the database is locked: work (another program holds it, "
                                     "perhaps with a change that was not saved)"),
    (of_sqlite(sqlite3.SQLITE_CANTOPEN), "a file of the database cannot be opened: work"),
    (of_sqlite(sqlite3.SQLITE_ERROR), None),
    (sqlite3.IntegrityError("a rule"), None),
    (OSError(errno.ENOSPC, "No space left on device"), "disk full: work"),
    (OSError(errno.EDQUOT, "Quota", "/far/off/file"), "disk full: /far/off"),
    (OSError(errno.EMFILE, "Too many", "/far/off/file"), "too many open files: /far/off/file"),
    (OSError(errno.EAGAIN, "Resource unavailable"), "no more processes can be started: work"),
    (OSError(errno.ENOENT, "No such file", "file"), None),
    (PermissionError(errno.EACCES, "Permission denied", "file"), None),
    (caused(OSError(errno.ENOSPC, "No space")), "disk full: work"),
    (DataError("the data are wrong"), None), (KeyError("a fault of ours"), None)])
def test_which_faults_pass(error, text):
  assert passing(error, "work") == text


class Faults:
  """An action that fails in turn with each of these, and then is done."""

  def __init__(self, *errors):
    self.errors = list(errors)

  def __call__(self):
    if self.errors:
      raise self.errors.pop(0)
    return "done"


def test_again_says_it_once_and_says_that_it_goes_on():
  said, slept = [], []
  patience = Patience("work", said.append, seconds=3.0, sleep=slept.append)
  full, locked = of_sqlite(sqlite3.SQLITE_FULL), of_sqlite(sqlite3.SQLITE_BUSY)
  assert patience.again(Faults()) == "done" and not said
  assert patience.again(Faults(full, full, full, locked)) == "done"
  assert slept == [3.0] * 4
  assert [line.split(";")[0].split(" (")[0] for line in said] == [
      "disk full: work", "the database is locked: work", "the campaign goes on"]
  said.clear()
  assert patience.again(Faults(full)) == "done"  # another time is news again
  assert len(said) == 2


def test_other_faults_pass_through():
  for error in (KeyError("ours"), DataError("yours"), KeyboardInterrupt()):
    patience = Patience("work", pytest.fail, sleep=pytest.fail)
    with pytest.raises(type(error)):
      patience.again(Faults(error))


def test_a_disk_that_is_full_in_truth():
  if not os.path.exists("/dev/full"):
    pytest.skip("no /dev/full")
  with pytest.raises(OSError) as fault, open("/dev/full", "w") as file:
    file.write("x")
  assert passing(fault.value, "work") == "disk full: work"
