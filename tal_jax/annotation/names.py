"""Names that people write: of videos, of classes, of annotators.

Two names are the same if they are equal in Unicode's form NFC: an accented letter may be one
character or two, depending on the system that wrote it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from tal_jax.data.text.near_names import Near, find_id
from tal_jax.errors import DataError

LONGEST = 200  # characters of a class or an annotator: what a page can filter by
_SHOWN = 5  # names that a message lists
_SEARCHED = 20_000  # names among which a misspelt one is looked for
_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv",
             ".flv", ".ogv", ".3gp")
# Line ends, control characters, halves of a character: no name has them.
_BROKEN = ("Cc", "Cs", "Zl", "Zp")


def normal(name: str) -> str:
  """The name in form NFC."""
  return unicodedata.normalize("NFC", name)


def checked(name: str, what: str, where: str) -> str:
  """The name in form NFC.

  Args:
    name: as it was written.
    what: it names, for the message: "a label".
    where: it stands, for the message.

  Raises:
    DataError: it is blank, too long, or has characters that no page can show.
  """
  made = normal(name)
  if not any(char.isprintable() and not char.isspace() for char in made):
    raise DataError(f"{where}: {what} is blank ({name!r}): write a name, or take it out")
  if any(unicodedata.category(char) in _BROKEN for char in made):
    raise DataError(f"{where}: {what} has a line end or another character that cannot be shown: "
                    f"{name[:LONGEST]!r}")
  if len(made) > LONGEST:
    raise DataError(f"{where}: {what} has {len(made)} characters, and may have {LONGEST}: "
                    f"{made[:60]!r}... Put the text into the class's instructions")
  return made


def alike(names: Iterable[str]) -> list[list[str]]:
  """Groups of names that differ in capitals, blanks, hyphens or underscores alone."""
  groups = defaultdict(list)
  for name in sorted(set(names)):
    key = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())
    groups[key].append(name)
  return [group for group in groups.values() if len(group) > 1]


def listed(names: Collection[str]) -> str:
  """For messages: the first names, and that there are more."""
  return ", ".join(list(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def nearest(name: str, names: Collection[str]) -> str:
  """For messages, in brackets after a blank: the name that was probably meant; "" if none is.

  Names that differ in their numbers alone are different things: clip_7 and clip_8.
  """
  if len(names) > _SEARCHED:
    return ""
  found = Near(names).same(name) or [
      other for spelled in (name, name.casefold())
      for other in difflib.get_close_matches(spelled, names, 3, 0.7)
      if _without_numbers(other) != _without_numbers(spelled)]
  same = [other for other in found if _numbers(other) == _numbers(name)]
  return f" (did you mean {(same or found)[0]!r}?)" if found else ""


def _numbers(name: str) -> list[int]:
  return [int(digits) for digits in re.findall(r"\d+", name)]


def _without_numbers(name: str) -> str:
  return re.sub(r"\d+", "", name)


class Videos:
  """Finds a video by how people name it.

  That is its id; its id with or without `v_` before it; its file's name; or its id with another
  suffix of videos.
  """

  def __init__(self, files: Mapping[str, str]):
    """`files`: the names of the files, by video id."""
    self._ids = {normal(video_id): video_id for video_id in files}
    self._ids |= {video_id: video_id for video_id in files}  # where two are the same in NFC
    self._files = {normal(file): video_id for video_id, file in files.items()}

  def find(self, name: str) -> str | None:
    """The id of the video, None if there is none."""
    for known, written in ((self._ids, name), (self._ids, normal(name)),
                           (self._files, normal(name))):
      found = find_id(written, known)
      if found is not None:
        return known[found]
    bare, dot, suffix = normal(name).rpartition(".")
    found = find_id(bare, self._ids) if f"{dot}{suffix}".lower() in _SUFFIXES else None
    return None if found is None else self._ids[found]

  def of(self, names: Iterable[str], where: str) -> tuple[dict[str, str], list[str]]:
    """The name of each video that has one, by id; and the names of no video.

    Raises:
      DataError: two names are of one video.
    """
    found: dict[str, str] = {}
    unknown = []
    for name in names:
      video_id = self.find(name)
      if video_id is None:
        unknown.append(name)
      elif video_id in found:
        raise DataError(f"{where}: {found[video_id]!r} and {name!r} are the same video: keep one "
                        "of them, with all its labels")
      else:
        found[video_id] = name
    return found, unknown

  def unknown(self, names: Collection[str], where: str) -> str:
    """For messages: names of no video, and which ones were probably meant."""
    shown = ", ".join(f"{name!r}{nearest(name, list(self._ids))}"
                      for name in list(names)[:_SHOWN])
    return (f"{where}: {len(names)} of its ids {'is' if len(names) == 1 else 'are'} of no video: "
            + shown + (", ..." if len(names) > _SHOWN else ""))
