"""The names under which features are kept, against the ids of the annotations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tal_jax.data import arrays
from tal_jax.data.checks.problems import Problem
from tal_jax.data.feature_store import FeatureStore
from tal_jax.data.text.near_names import Affix, Near, affixes, by_plain_id, find_id, form, plain_id
from tal_jax.errors import DataError

FEW = 3  # videos, below which a name is a matter of its own
_SHOWN = 5


def check_names(video_ids: Collection[str], used: Sequence[str],
                store: FeatureStore) -> list[Problem]:
  """Videos without features, features without a video, and what their names have in common.

  Args:
    video_ids: all annotated videos.
    used: those that must have features.
    store: the features.
  """
  problems = [Problem("duplicate id", store.path, name, f"claimed by {', '.join(places)}")
              for name, places in store.duplicates.items()]
  problems += prefix_problems(video_ids, store.files, store.path)
  shared, explained = _other_names(video_ids, used, store)
  problems += shared
  extra = sorted({name for _, places in store.pieces for name in _unmatched(video_ids, places)}
                 - explained)
  near, lacking = Near(extra), []
  for video_id in used:
    if find_id(video_id, store.files) is None and video_id not in explained:
      lacking.append(video_id)
      problems.append(Problem("no features", store.path, video_id,
                              store.why_missing(video_id) or near.hint(video_id)))
  wanted = by_plain_id(lacking)
  for name in extra:
    own = wanted.get(plain_id(name))
    problems.append(Problem("features without annotation", store.path, name,
                            f"those of {own!r}?" if own else ""))
  return problems


def prefix_problems(video_ids: Iterable[str], names: Mapping[str, object],
                    file: str) -> list[Problem]:
  """Videos that a file keeps under their id with `v_` added or taken off."""
  found = ((video_id, find_id(video_id, names)) for video_id in video_ids)
  return [Problem("ids differ by v_", file, video_id, f"stored as {name!r}")
          for video_id, name in found if name not in (None, video_id)]


def _other_names(video_ids: Collection[str], used: Sequence[str], store: FeatureStore
                 ) -> tuple[list[Problem], set[str]]:
  """What all names of a folder or file add to the ids; and the names and ids that it explains."""
  problems, explained = [], set()
  for path, places in store.pieces:
    extra = _unmatched(video_ids, places)
    lacking = {x.removeprefix("v_"): x for x in video_ids if find_id(x, places) is None}
    least = max(FEW, 0.5 * min(len(lacking), len(extra)))
    if len(extra) < len(places):  # some names are ids: the others must be many, to be a rule
      least = max(least, 0.5 * len(used))
    found = affixes(list(lacking), extra, least)
    if found:
      problems.append(_pattern_problem(path, places, found, len(lacking)))
      for affix in found:
        explained |= {affix.of(x) for x in lacking}
        explained |= {lacking[x] for x in found[affix]}
        explained |= {x for own in lacking.values() if affix.of(own) in places
                      for x in (own, affix.of(own))}
      continue
    groups = _groups(places, lacking) if len(extra) == len(places) else []
    if groups:
      problems.append(Problem("names of features", path, "", "; ".join(groups)))
      explained |= {*places, *lacking.values()}
      continue
    near = Near(extra)
    same = [x for x in lacking.values() if near.same(x)]
    if len(same) >= least:
      problems.append(Problem(
          "names of features", path, "", f"{len(same)} of {len(lacking)} videos under another "
          f"spelling, {near.same(same[0])[0]!r} for {same[0]!r}"
          f"{form(near.same(same[0])[0], same[0])}, say: rename them"))
      explained |= {*same, *(name for x in same for name in near.same(x))}
  return problems, explained


def _pattern_problem(path: str, places: Mapping[str, arrays.Place],
                     found: Mapping[Affix, Sequence[str]], total: int) -> Problem:
  """The names, and the patterns for data.features of those that hold [T, d]."""
  example = next(iter(found.values()))[0]
  count = len(set().union(*found.values()))
  patterns = [_pattern(places[affix.of(ids[0])], affix) for affix, ids in found.items()
              if _is_table(places[affix.of(ids[0])])]
  names = ", ".join(repr(affix.of(example)) for affix in found if affix.of(example) in places)
  both = (" puts them side by side; one of them alone is possible" if len(patterns) > 1 else "")
  return Problem("names of features", path, "", f"{count} of {total} videos have their features "
                 f"under other names, {example!r} under {names}: "
                 f"data.features={','.join(patterns)}{both}")


def _pattern(place: arrays.Place, affix: Affix) -> str:
  if place.member is None:
    name = place.file.name
    stem = arrays.stem(name)
    return str(place.file.parent / (affix.of("{}") + name[len(stem):]))
  group, slash, _ = place.member.rpartition("/")
  return f"{place.file}/{group}{slash}{affix.of('{}')}"


def _groups(places: Mapping[str, arrays.Place], ids: Collection[str]) -> list[str]:
  """For messages: the members of an HDF5 file that are groups with videos in them."""
  found = []
  for name, (file, member) in list(places.items())[:_SHOWN]:
    inside = [] if member is None else arrays.hdf5_members(file, member)
    if {x.removeprefix("v_") for x in inside} & set(ids):
      found.append(f"{name!r} is a group with {len(inside)} members, {inside[0]!r} say: "
                   f"data.features={file}/{member}")
  return found


def _is_table(place: arrays.Place) -> bool:
  try:
    return len(arrays.shape(place)) == 2
  except DataError:
    return True  # said elsewhere


def _unmatched(video_ids: Collection[str], places: Mapping[str, arrays.Place]) -> list[str]:
  used = {find_id(video_id, places) for video_id in video_ids}
  return [name for name in places if name not in used]
