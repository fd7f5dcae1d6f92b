"""What one path of data.features names: a folder, a file, a pattern, or a group inside HDF5.

    features                   a folder or file in one of the formats
    features/{}_rgb.npy        the files that the pattern fits; {} is the id, * any other text
    features/*/{}/rgb.npy      the same with folders
    all.h5/training            a group of an HDF5 file
    all.h5/{}/rgb              its members by pattern
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from tal_jax.data import arrays, containers
from tal_jax.data.feature_groups import named
from tal_jax.data.feature_store import FeatureStore, Part
from tal_jax.data.formats import feature_folders, feature_layouts, hdf5_tree, registry
from tal_jax.errors import DataError

ID = "{}"
_SHOWN = 5


def read(path: str | os.PathLike, *, format: str, key: str | None) -> registry.Reading:
  """Opens what the path names.

  Raises:
    DataError: nothing there that can be read; the message says what there is, and what to do.
  """
  text = os.fspath(path)
  inside = _inside_hdf5(pathlib.Path(text))
  if inside is not None:
    return _reading(text, _members(*inside, text), format, key, "members of an HDF5 file")
  if (ID in text or "*" in text) and not os.path.exists(text):
    return _reading(text, _files(text), format, key, "by the pattern")
  try:
    return registry.read(path, "features", format=format, key=key)
  except DataError as error:
    more = containers.refused(path) if os.path.exists(path) else ""
    if more and "no known format" in str(error):
      first, _, rest = str(error).partition("\n")
      raise containers.Foreign(f"{first} {more}\n{rest}") from error
    more = feature_folders.explain(pathlib.Path(path))
    if not more or "no known format" not in str(error):
      raise
    first, _, rest = str(error).partition("\n")
    raise DataError(f"{first} {more}\n{rest}") from error


def on_disk(path: str | os.PathLike) -> str | os.PathLike:
  """The file or folder that a path of data.features reads from: of a pattern, its fixed part."""
  text = os.fspath(path)
  inside = _inside_hdf5(pathlib.Path(text))
  if inside is not None:
    return inside[0]
  return path if os.path.exists(text) or (ID not in text and "*" not in text) else _root(text)


def _root(pattern: str) -> pathlib.Path:
  parts = pathlib.Path(pattern).parts
  return pathlib.Path(*parts[:next(i for i, part in enumerate(parts) if ID in part or "*" in part)])


def _reading(text: str, found: Sequence[tuple[str, arrays.Place]], format: str, key: str | None,
             how: str) -> registry.Reading:
  """The places as a part, with the layout that is named or seen."""
  places, duplicates = named([(name, place, str(place)) for name, place in found])
  layout, transposed = feature_layouts.chosen(format, [place.file for place in places.values()])
  part = Part(text, places, duplicates, layout, key, transposed=transposed)
  kind = "" if format == registry.AUTO else f" in the format {format!r}"
  return registry.Reading(FeatureStore((part,)), format, f"{text}: features of {len(places)} "
                          f"videos, {how}{kind}", ())


def _files(pattern: str) -> list[tuple[str, arrays.Place]]:
  """Ids and files that fit a pattern, sorted."""
  if pattern.count(ID) != 1:
    raise DataError(f"{pattern}: a pattern has {ID} once, where the id is, and may have * "
                    "elsewhere.")
  parts, root = pathlib.Path(pattern).parts, _root(pattern)
  found: list[tuple[str, pathlib.Path]] = [("", root)]
  for number in range(len(root.parts), len(parts)):
    last = number == len(parts) - 1
    found = [hit for item in found for hit in _step(*item, parts[number], last)]
  if not found:
    raise DataError(f"{pattern}: no file fits the pattern. {feature_folders.listing(root)}")
  return sorted((name, arrays.Place(file)) for name, file in found)


def _step(name: str, folder: pathlib.Path, part: str, last: bool
          ) -> Iterator[tuple[str, pathlib.Path]]:
  """Entries of a folder that fit one part of the pattern, with the id as far as it is known."""
  if not folder.is_dir():
    return
  if ID not in part and "*" not in part and not last:
    yield name, folder / part
    return
  shape = _expression(part)
  if last and arrays.stem(part) == part:
    shape += "(?:" + "|".join(map(re.escape, arrays.SUFFIXES)) + ")"
  for entry in os.scandir(folder):
    fit = re.fullmatch(shape, entry.name)
    if fit and not entry.name.startswith(".") and entry.is_dir() != last:
      yield fit.groupdict().get("id", name), folder / entry.name


def _expression(part: str) -> str:
  return re.escape(part).replace(re.escape(ID), "(?P<id>.+)").replace(re.escape("*"), ".*")


def _inside_hdf5(path: pathlib.Path) -> tuple[pathlib.Path, str] | None:
  """The HDF5 file that a path goes into, and the place inside."""
  for parent in path.parents:
    if arrays.is_hdf5(parent) and parent.is_file():
      return parent, path.relative_to(parent).as_posix()
  return None


def _members(file: pathlib.Path, inside: str, text: str) -> list[tuple[str, arrays.Place]]:
  with arrays.open_hdf5(file) as root:
    if ID in inside or "*" in inside:
      if inside.count(ID) != 1:
        raise DataError(f"{text}: a pattern has {ID} once, where the id is.")
      found = hdf5_tree.fitting(root, [_expression(part) for part in inside.split("/")])
    elif inside in root:
      found = hdf5_tree.videos(root[inside], None, prefix=inside + "/")
    else:
      found = []
    if not found:
      names = sorted(root)
      raise DataError(f"{text}: nothing there; {file} has {', '.join(names[:_SHOWN])}"
                      + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""))
  return [(name, arrays.Place(file, member)) for name, member in found]
