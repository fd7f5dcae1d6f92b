"""Personal links: who may open which page, in a file that only its owner can read.

A token is shown once, when it is made; the database keeps its hash. So that a restart leaves the
links in people's hands valid, the tokens are kept in `links.txt` in the work directory (mode 0600),
and are made again only where they are missing there, expired, or not of this campaign. A link that
an operator gave on the campaign page is not in the file, and stays valid, too.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from tal_jax.annotation import names as names_lib, workers
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.errors import InvalidAnswer, Unauthorized
from tal_jax.annotation.rules import decisions
from tal_jax.errors import DataError

FILE = "links.txt"
_PAGES = {"annotator": "/", "operator": "/campaign"}
_DAY = 86_400.0
_GIVEN = "as it was given on the campaign page (without this line a new one is made at the start)"


class Person(NamedTuple):
  name: str
  role: str  # of workers.ROLES


def write_links(campaign: Campaign, people: Iterable[Person], *, folder: pathlib.Path,
                address: str, days: float) -> list[str]:
  """Enrols who is new, writes the links of all, and returns the lines of the file.

  Args:
    campaign: where they are enrolled.
    people: everybody who is to have a link; whoever is left out keeps a link they have.
    folder: of the file.
    address: of the server, e.g. http://host:8000.
    days: for how long a new token is good.

  Raises:
    DataError: a name twice, that cannot be stored, or that has another role in the campaign; the
      file cannot be written.
  """
  people = [person._replace(name=names_lib.normal(person.name)) for person in people]
  names = [person.name for person in people]
  for name in names:
    if names.count(name) > 1:
      raise DataError(f"{name!r} is named twice: every annotator and operator needs an own name")
    if not name.isprintable() or name != name.strip():
      raise DataError(f"{name!r} cannot be a name in {FILE}: use printable characters only")
    names_lib.checked(name, "the name of an annotator or operator", "the campaign's people")
  path = folder / FILE
  kept = _read(path)
  lines = []
  with campaign.store.write() as db:
    known = {names_lib.normal(row["name"]): row["name"]
             for row in db.execute("SELECT name FROM workers")}
    for person in people:
      person = person._replace(name=known.get(person.name, person.name))
      lines.append(f"{person.role}\t{person.name}\t" + _link(
          db, person, kept.get(person.name), address, days, campaign.clock()))
    decisions.reconsider(db, campaign.policy, campaign.clock())
    _write(path, lines)  # inside: a token that is not in the file would be lost
  return lines


def _link(db, person: Person, kept: str | None, address: str, days: float, now: float) -> str:
  """`kept`: the token in the file; "" if the person's line has none, None without a line."""
  if kept is None or not _is_valid(db, kept, person, now):
    if kept is not None and _has_token(db, person, now):
      return _GIVEN
    kept = _new_token(db, person, days, now)
  return f"{address.rstrip('/')}{_PAGES[person.role]}#{kept}" if kept else "revoked"


def _has_token(db, person: Person, now: float) -> bool:
  """Whether the person has a valid link, whichever it is."""
  return db.execute(
      "SELECT 1 FROM workers WHERE name = ? AND role = ? AND token_revoked_at IS NULL "
      "AND token_expires_at > ?", (*person, now)).fetchone() is not None


def _is_valid(db, token: str, person: Person, now: float) -> bool:
  try:
    worker = workers.authenticate(db, token, now=now)
  except Unauthorized:
    return False
  return (worker.name, worker.role) == person


def _new_token(db, person: Person, days: float, now: float) -> str | None:
  """None where an operator revoked the person's token: a restart must not let them in again."""
  row = db.execute("SELECT token_revoked_at FROM workers WHERE name = ?",
                   (person.name,)).fetchone()
  if row is not None and row["token_revoked_at"] is not None:
    return None
  try:
    return workers.enrol(db, person.name, role=person.role, seconds=days * _DAY, now=now)[1]
  except InvalidAnswer as error:
    raise DataError(str(error)) from error


def _read(path: pathlib.Path) -> dict[str, str]:
  """Name -> token, "" in a line without one; empty without a file."""
  try:
    lines = path.read_text("utf-8").splitlines()
  except FileNotFoundError:
    return {}
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f"cannot read {path} ({error}): mend or remove it; links are then made "
                    "again, and the old ones are void") from error
  fields = [line.split("\t") for line in lines]
  return {f[1]: f[2].partition("#")[2] for f in fields if len(f) == 3}


def _write(path: pathlib.Path, lines: list[str]) -> None:
  """All or nothing, and never readable by others, not even for a moment."""
  part = path.with_name(path.name + ".part")
  part.unlink(missing_ok=True)
  try:
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w",
              encoding="utf-8") as file:
      file.write("".join(line + "\n" for line in lines))
      file.flush()
      os.fsync(file.fileno())
    os.replace(part, path)
  except OSError as error:
    raise DataError(f"cannot write {path}: {error.strerror}") from error
