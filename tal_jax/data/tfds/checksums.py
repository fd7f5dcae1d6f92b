"""SHA-256 of the files that a data set was built from, and of those that it consists of."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import pathlib
from collections.abc import Iterable, Mapping

from tal_jax.errors import DataError

Checksums = dict[str, str]  # name -> SHA-256 in hexadecimal
_SHOWN = 5  # files that a message names; the rest is counted


def sha256(path: str | os.PathLike) -> str:
  """Of one file's content.

  Raises:
    DataError: it cannot be read.
  """
  try:
    with open(path, "rb") as file:
      return hashlib.file_digest(file, "sha256").hexdigest()
  except OSError as error:
    raise DataError(f"cannot read {path}: {error.strerror}") from error


def of_paths(paths: Iterable[str | os.PathLike]) -> Checksums:
  """Of files and of all files in folders, sorted by name, read in parallel.

  The names are independent of where the files lie: that of a file, or of a folder with the place
  inside it. Two paths of one name are told apart by their place in `paths`. Hidden files, which
  file managers leave behind, do not count.

  Raises:
    DataError: no such path, or a file that cannot be read.
  """
  files: dict[str, pathlib.Path] = {}
  for number, path in enumerate(map(pathlib.Path, paths)):
    name = path.resolve().name
    if any(known.split("/")[0] == name for known in files):
      name = f"{name}#{number}"
    if path.is_dir():
      inside = {f"{name}/{file.relative_to(path).as_posix()}": file for file in path.rglob("*")
                if file.is_file() and not _is_hidden(file.relative_to(path))}
      files.update(inside)
    else:
      files[name] = path
  names = sorted(files)
  with concurrent.futures.ThreadPoolExecutor() as pool:
    return dict(zip(names, pool.map(lambda name: sha256(files[name]), names), strict=True))


def differences(recorded: Mapping[str, str], found: Mapping[str, str]) -> str:
  """What differs, in words; "" if nothing does."""
  kinds = {
      "changed": [name for name in recorded if name in found and found[name] != recorded[name]],
      "missing": [name for name in recorded if name not in found],
      "new": [name for name in found if name not in recorded]}
  return "; ".join(
      f"{len(names)} {kind}: {', '.join(sorted(names)[:_SHOWN])}"
      + (", ..." if len(names) > _SHOWN else "") for kind, names in kinds.items() if names)


def _is_hidden(path: pathlib.Path) -> bool:
  return any(part.startswith(".") for part in path.parts)
