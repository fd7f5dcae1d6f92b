"""Names that are like an id, among many, and what names add to ids. Nothing here is quadratic."""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from typing import NamedTuple

_SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov", ".npy")
_PROBED = 200  # names that are taken apart to see what they add
_LONGEST = 120  # characters of a name that is taken apart
_SHOWN = 3  # names that a hint gives
LOOK_ALIKE = " (the same to the eye: letters composed here, decomposed there)"


class Affix(NamedTuple):
  """What names add to the ids: `before` + id + `after`."""

  before: str
  after: str

  def of(self, video_id: str) -> str:
    return self.before + video_id + self.after


def plain_id(name: str) -> str:
  """What is left of an id without prefix, file suffix, case, signs and leading zeros."""
  name = unicodedata.normalize("NFKC", name).strip().lower()
  for suffix in _SUFFIXES:
    name = name.removesuffix(suffix)
  name = name.removeprefix("v_").removeprefix("video_")
  plain = re.sub(r"[\W_]+", " ", name).strip()
  return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", plain) or name


def affixes(ids: Sequence[str], names: Collection[str], least: float) -> dict[Affix, list[str]]:
  """What most names add to the ids, and the ids that have such a name; in order of the affixes.

  Args:
    ids: without the prefix `v_`.
    names: none of them an id.
    least: ids that must have a name with an affix for it to count.
  """
  known, every = set(ids), set(names)
  probed = sorted(every)[::max(1, len(every) // _PROBED)]
  seen: Counter[Affix] = Counter()
  for name in probed:
    found = _inside(name, known)
    if found is not None:
      seen[Affix(name[:found[0]], name[found[1]:])] += 1
  covered = {affix: [x for x in ids if affix.of(x) in every] for affix, _ in seen.most_common(20)}
  return {affix: covered[affix] for affix in sorted(covered) if len(covered[affix]) >= least}


def form(a: str, b: str) -> str:
  """For messages, after a blank: that two names look the same; "" if they do not."""
  if a == b or unicodedata.normalize("NFC", a) != unicodedata.normalize("NFC", b):
    return ""
  return LOOK_ALIKE


class Near:
  """Finds the names that are like an id."""

  def __init__(self, names: Collection[str]):
    self._plain: dict[str, list[str]] = {}
    for name in sorted(names):
      self._plain.setdefault(plain_id(name), []).append(name)
    self._forward = sorted((name.lower(), name) for name in names)
    self._backward = sorted((name.lower()[::-1], name) for name in names)

  def same(self, video_id: str) -> list[str]:
    """The names that differ from the id in their spelling alone."""
    return self._plain.get(plain_id(video_id), [])

  def hint(self, video_id: str) -> str:
    """For messages: the names that are like the id, or that there are none."""
    same = self.same(video_id)
    if same:
      return f"there is {_quoted(same)}: the same with another spelling?"
    bare = video_id.lower().removeprefix("v_")
    found = _begin(self._forward, bare) + _begin(self._backward, bare[::-1])
    if found:
      return f"there is {_quoted(found)}"
    return f"nothing like it among {len(self._forward)} other name(s)" if self._forward else ""


def by_plain_id(ids: Collection[str]) -> Mapping[str, str]:
  """The ids by their plain form."""
  return {plain_id(x): x for x in ids}


def _inside(name: str, ids: Collection[str]) -> tuple[int, int] | None:
  """Where the longest id is in a name."""
  name = name[:_LONGEST]
  return next(((start, start + length) for length in range(len(name), 0, -1)
               for start in range(len(name) - length + 1)
               if name[start:start + length] in ids), None)


def _begin(names: Sequence[tuple[str, str]], prefix: str) -> list[str]:
  """A few of the sorted names that begin so and go on with a sign."""
  found, place = [], bisect.bisect_left(names, (prefix,))
  for key, name in names[place:place + 10 * _SHOWN]:
    if key.startswith(prefix) and not key[len(prefix):len(prefix) + 1].isalnum():
      found.append(name)
  return found


def _quoted(names: Sequence[str]) -> str:
  more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
  return ", ".join(map(repr, names[:_SHOWN])) + more


def find_id(video_id: str, names: Container[str]) -> str | None:
  """The name under which a file keeps a video: the id itself, else with `v_` added or removed.

  ActivityNet's annotations have ids without the prefix, many feature archives have them with it.
  """
  for name in (video_id, "v_" + video_id, video_id.removeprefix("v_")):
    if name in names:
      return name
  return None
