"""Several folders or files of features: one set of videos, or parts of the same videos.

Those that have no video in common are one set (a folder per subset or person); those that have the
same videos stand side by side (RGB and flow). What is neither is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tal_jax.data import arrays
from tal_jax.data.feature_store import Part
from tal_jax.errors import DataError

_SAME = 0.9  # of the smaller one's videos, from which two have the same


def arranged(parts: Sequence[Part]) -> list[Part]:
  """The parts to stand side by side, in order of the first of each.

  Raises:
    DataError: parts of which some videos meet and others do not, or one set of several layouts.
  """
  columns: list[list[Part]] = []
  known: list[list[set[str]]] = []
  for part in parts:
    names = {name.removeprefix("v_") for name in part.places}
    place = None
    for number, column in enumerate(known):
      meets = [_meet(names, other, part, before)
               for other, before in zip(column, columns[number], strict=True)]
      if place is None and not any(meets):
        place = number
    if place is None:
      columns.append([])
      known.append([])
      place = len(columns) - 1
    columns[place].append(part)
    known[place].append(names)
  return [_union(column) for column in columns]


def named(places: Sequence[tuple[str, arrays.Place, str]]
          ) -> tuple[dict[str, arrays.Place], dict[str, tuple[str, ...]]]:
  """Places by name, the first of each; and the ids that several claim, with what claims them.

  Args:
    places: (name, place, what to call it in messages).
  """
  found: dict[str, arrays.Place] = {}
  claims: dict[str, list[str]] = {}
  for name, place, called in places:
    found.setdefault(name, place)
    claims.setdefault(name.removeprefix("v_"), []).append(called)
  return found, {name: tuple(x) for name, x in claims.items() if len(x) > 1}


def describe(parts: Sequence[Part]) -> str:
  """For messages, how the parts of several paths were put together; "" for a single path."""
  pieces = [[path for path, _ in part.pieces] or [part.path] for part in parts]
  if max(map(len, pieces)) > 1:
    sets = [f"{len(part.places)} videos of {', '.join(own)}"
            for part, own in zip(parts, pieces, strict=True)]
    return "one set, no video in common: " + "; side by side with ".join(sets)
  return "side by side: " + ", ".join(path for (path,) in pieces) if len(pieces) > 1 else ""


def _meet(names: set[str], others: set[str], part: Part, other: Part) -> bool:
  """Whether two have the same videos."""
  shared = names & others
  if not shared:
    return False
  if len(shared) < _SAME * min(len(names), len(others)):
    own, foreign = sorted(names - others), sorted(others - names)
    raise DataError(
        f"{other.path} and {part.path} have {len(shared)} video(s) in common ({min(shared)!r}, "
        f"say), and each has others ({len(foreign)} and {len(own)}; {foreign[0]!r} and {own[0]!r}, "
        "say). Paths of data.features without a common video are one set, those with the same "
        "videos stand side by side: take the files that are twice out of one of them, or give both "
        "all videos.")
  return True


def _union(parts: Sequence[Part]) -> Part:
  if len(parts) == 1:
    return parts[0]
  first = parts[0]
  for part in parts[1:]:
    if (part.layout, part.key, part.transposed) != (first.layout, first.key, first.transposed):
      raise DataError(f"{first.path} and {part.path} were taken for different layouts: name the "
                      "one of both with data.features_format.")
  return first._replace(
      path=", ".join(part.path for part in parts),
      places=_merged([part.places for part in parts]),
      duplicates=_merged([part.duplicates for part in parts]),
      grids=_merged([part.grids for part in parts]),
      faults=_merged([part.faults for part in parts]),
      pieces=tuple(piece for part in parts for piece in part.pieces or ((part.path, part.places),)))


def _merged(mappings: Sequence[Mapping]) -> dict:
  return {key: value for mapping in mappings for key, value in mapping.items()}
