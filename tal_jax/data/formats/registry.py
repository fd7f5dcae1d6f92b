"""One door to every file format: what a path holds, how it is read, how it is written.

A format is a `Format` in the tuple FORMATS of a module of this package, and a new one is one small
module and its name in `_MODULES`. `detect` recognises a format by what the files hold, not by what
they are called, and says by which sign; where two formats fit, the one listed first is the more
special one.

What `read` gives, by kind:
  annotations   Annotations
  features      FeatureStore: ids(), shape(id), load(id) -> FrameFeatures (tal_jax/data/features.py)
  proposals     {id: ScoredProposals(segments, scores)}, in file order
  predictions   PredictionFile (tal_jax/data/predictions.py)
"""

from __future__ import annotations

import csv
import functools
import importlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from tal_jax.data.file_options import AUTO
from tal_jax.data.formats import nearest
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.option_names import advice, option
from tal_jax.data.records import StructuralFault
from tal_jax.data.text.text_file import read_head
from tal_jax.errors import DataError

KINDS = ("annotations", "features", "proposals", "predictions")
# Imported when first asked for: they use the functions that stand on this module.
_MODULES = ("annotation_json", "bsn", "actions_json", "label_studio", "campaign_csv",
            "annotation_csv", "kinetics", "charades", "epic", "ssn", "thumos_texts",
            "feature_hdf5", "feature_folders", "feature_layouts", "feature_files",
            "proposal_json", "bmn", "daps_csv", "prediction_json")
# Offered to all formats, used by those that need them.
_CONTEXT = ("durations", "rates", "video_info")
_HEAD = 1 << 16  # bytes
_SNIFFING_ERRORS = (ValueError, OSError, RecursionError, csv.Error)
_SHOWN = 20  # faults that one error message lists; the rest is counted


class Reading(NamedTuple):
  """What was read, and a line that says as what."""

  value: Any
  format: str
  statement: str
  faults: tuple[StructuralFault, ...]  # left out of `value`


@functools.cache
def formats(kind: str | None = None) -> tuple[Format, ...]:
  """All formats, or those of a kind, the more special first."""
  modules = (importlib.import_module(f"{__package__}.{name}") for name in _MODULES)
  return tuple(x for module in modules for x in module.FORMATS if kind in (None, x.kind))


def detect(path: str | os.PathLike, kind: str) -> tuple[str, str]:
  """The format of that kind in which `path` is, and the sign by which it was recognised.

  Raises:
    DataError: nothing there, or no format fits; the message says what it looks like instead.
  """
  probe, faults = _probe(path), []
  for candidate in formats(kind):
    try:
      why = candidate.detect(probe)
    except DataError as error:  # said if no other format fits
      faults.append(f" {candidate.name}: {error}")
      continue
    except _SNIFFING_ERRORS:
      continue
    if why:
      return candidate.name, why
  others = [f" It looks like {x.kind} ({x.name}: {why})." for x in formats()
            if x.kind != kind and (why := _sign(x, probe))]
  known = "\n".join(f"  {x.name}: {x.looks}" for x in formats(kind))
  name_one = advice(f"{kind}_format", "Name one with {} if it was not recognised.")
  said = nearest.refusal(probe, kind, formats(kind), lambda name: _probe(probe.path / name))
  raise DataError(f"{path} is in no known format of {kind}.{''.join([*others[:1], *faults])} "
                  f"{said}\n"
                  f"Known are:\n{known}" + (f"\n{name_one.strip()}" if name_one else ""))


def _sign(candidate: Format, probe: Probe) -> str | None:
  """`candidate.detect`; a file that it cannot look at is not in that format."""
  try:
    return candidate.detect(probe)
  except _SNIFFING_ERRORS:
    return None


def get(name: str, kind: str) -> Format:
  """The format of that name; DataError if there is none."""
  for candidate in formats(kind):
    if candidate.name == name:
      return candidate
  raise DataError(f"{option(f'{kind}_format') or 'format'} = {name!r}; there are {AUTO}, "
                  f"{', '.join(x.name for x in formats(kind))}.")


def read(path: str | os.PathLike, kind: str, *, format: str = AUTO, strict: bool = True,
         **options: Any) -> Reading:
  """Reads a file or folder.

  Args:
    path: what to read.
    kind: one of KINDS.
    format: a name, or "auto".
    strict: whether entries that cannot be read are an error; else they are left out and listed.
    **options: of the format; None, False and "" stand for "not given". Always welcome are
      `durations` (seconds by id) and `rates` (frames per second by id), which formats without
      seconds of their own need, and `video_info`, see tal_jax/data/annotations.py.

  Raises:
    DataError: nothing there, no such format, an option that it does not have, faults.
  """
  name, why = detect(path, kind) if format == AUTO else (format, "as asked")
  chosen = get(name, kind)
  given = {key: value for key, value in options.items()
           if value is not None and value is not False and value != ""}
  unknown = [key for key in given if key not in chosen.options + _CONTEXT]
  if unknown:
    raise DataError(
        f"{path}: {option(unknown[0]) or unknown[0]} means nothing for {kind} in the format "
        f"{name!r}" + (f"; it takes {', '.join(chosen.options)}." if chosen.options else "."))
  if not pathlib.Path(path).exists():
    raise DataError(f"cannot read {path}: No such file or directory")
  value, faults = chosen.read(pathlib.Path(path), **{key: value for key, value in given.items()
                                                     if key in chosen.options})
  if strict and faults:
    raise unreadable(f"{path}, read as {kind} in the format {name!r}", faults)
  return Reading(value, name, f"{path}: {kind} in the format {name!r} ({why})", tuple(faults))


def unreadable(what: str, faults: Sequence[StructuralFault]) -> DataError:
  """One error for all faults of a file; `what` says which it is, and read as what."""
  lines = [f"  {fault.video_id or 'the file'}: {fault.message}" for fault in faults[:_SHOWN]]
  if len(faults) > _SHOWN:
    lines.append(f"  ... and {len(faults) - _SHOWN} more")
  return DataError(f"{what}: {len(faults)} fault(s):\n" + "\n".join(lines)
                   + "\nMend these entries or take them out of the file.")


def write(path: str | os.PathLike, kind: str, value: Any, *, format: str, **options: Any) -> None:
  """Writes what `read` gives in that format.

  Raises:
    DataError: no such format, or none that is written.
  """
  chosen = get(format, kind)
  if chosen.write is None:
    able = ", ".join(x.name for x in formats(kind) if x.write is not None)
    raise DataError(f"{kind} are not written in the format {format!r}; choose from {able}.")
  chosen.write(pathlib.Path(path), value, **options)


def _probe(path: str | os.PathLike) -> Probe:
  path = pathlib.Path(path)
  try:
    if path.is_dir():
      return Probe(path, "", tuple(sorted(x for x in os.listdir(path) if not x.startswith("."))))
  except OSError as error:
    raise DataError(f"cannot read {path}: {error.strerror}") from error
  head = read_head(path, _HEAD)
  return Probe(path, head.text, (), head.whole, head.plain)
