"""The source `files`: real data from annotations, features and proposals in any format.

`inspect` reads and validates, `load` refuses what is faulty; both stream the features. The formats
are those of tal_jax/data/formats; the report says what each path was taken for.
"""

from __future__ import annotations

import inspect as inspect_lib
import os
from collections.abc import Mapping
from typing import Any

from absl import logging

from tal_jax.data import annotations as annotations_lib, splits
from tal_jax.data.checks.validation import Read, Report, validate
from tal_jax.data.file_options import FileOptions
from tal_jax.data.parts import proposals_by_video, read_parts
from tal_jax.data.records import Annotations, RawData, Split
from tal_jax.errors import DataError

SPLITS = {"class": splits.by_class, "subject": splits.by_subject, "subsets": splits.by_subsets,
          "drawn_subjects": splits.by_drawn_subjects, "list": splits.by_list}
_DRAWN = ("class", "subject", "drawn_subjects")  # those that depend on the seed
_SUBSET_OPTIONS = ("knowledge_subset", "selection_subset", "testing_subset")


def load(options: FileOptions, *, split: str, split_options: Mapping[str, Any], seed: int,
         caption: str | None = None, report_path: str | os.PathLike | None = None) -> RawData:
  """Reads and validates real data; the arguments are those of `inspect`.

  The report's warnings go to the log, all of it to `report_path` if given.

  Raises:
    DataError: a fatal problem; the message is the bounded report.
  """
  raw, report = inspect(options, split=split, split_options=split_options, seed=seed,
                        caption=caption)
  if report_path is not None:
    report.write(report_path)
  report.raise_if_fatal()
  if report.problems:
    logging.warning("%s", report.text())
  else:
    logging.info("%s", report.text())
  assert raw is not None  # without data the report is fatal
  return raw


def inspect(options: FileOptions, *, split: str, split_options: Mapping[str, Any], seed: int,
            caption: str | None = None) -> tuple[RawData | None, Report]:
  """Reads real data and reports everything wrong with them.

  Args:
    options: where the parts are, and how they are read.
    split: a name in SPLITS.
    split_options: its other arguments, e.g. num_knowledge_classes, testing_subset, path.
    seed: of the split.
    caption: is shown under plots; default: the name of the annotation file.

  Returns:
    The data, and the report; no data if the report is fatal.

  Raises:
    DataError: a path or an option that makes even the report impossible.
  """
  if options.proposals is not None and options.windows:
    raise DataError("data.proposals and data.windows exclude each other: the proposals come from "
                    "the file or from sliding windows.")
  files = annotations_lib.several(options.annotations)
  parts = read_parts(options)
  annotated, store, read = parts.annotations, parts.store, parts.proposals
  sets, split_error = None, None
  try:
    sets = split_by(annotated, split, split_options, seed)
  except DataError as error:
    split_error = error  # the report first: its wrong subset names are the likely cause
  report = validate(
      annotated, store, split=sets, subsets=split_subsets(split, split_options),
      read=Read(", ".join(map(os.fspath, files)), parts.structural, read,
                os.fspath(options.proposals or ""), parts.proposal_faults),
      allow_missing=options.allow_missing)
  report = report._replace(summary="\n".join([report.summary, *parts.detected]))
  if report.is_fatal:
    return None, report
  if split_error is not None:
    raise split_error
  if report.unusable:
    sets = splits.checked(Split(*(tuple(i for i in ids if i not in report.unusable)
                                  for ids in sets)), cold=not sets.knowledge_source)
  draw = proposals_by_video(annotated, read, {"most": options.num_proposals,
                                              **(options.windows or {})}, "data.windows")
  return RawData(annotated, store, draw, sets, search_videos(annotated, sets),
                 caption or ", ".join(map(os.path.basename, files))), report


def split_by(annotated: Annotations, name: str, options: Mapping[str, Any], seed: int) -> Split:
  """The split of that name with its options; DataError for an unknown name or option."""
  if name not in SPLITS:
    raise DataError(f"data.split.kind = {name!r}; there are {', '.join(sorted(SPLITS))}.")
  _check_options(name, options)
  if name in _DRAWN:
    options = {"seed": seed, **options}
  try:
    return SPLITS[name](annotated, **options)
  except TypeError as error:
    raise DataError(f"data.split: {error}") from error


def _check_options(name: str, options: Mapping[str, Any]) -> None:
  """DataError for an option of another kind of split, of none, or one that is not given."""
  takes = {kind: {key: parameter for key, parameter in inspect_lib.signature(
      split).parameters.items() if key not in ("annotations", "seed")}
           for kind, split in SPLITS.items()}
  missing = [key for key, parameter in takes[name].items()
             if parameter.default is parameter.empty and key not in options]
  unknown = [key for key in options if key not in takes[name]]
  if not unknown and not missing:
    return
  faults = [f"needs {' and '.join(missing)}"] if missing else []
  faults += [f"has no option {' and '.join(unknown)}"] if unknown else []
  owners = [kind for kind, keys in takes.items() if unknown and set(unknown) <= set(keys)]
  whose = f" ({' and '.join(unknown)}: an option of {' and '.join(owners)})" if owners else ""
  raise DataError(f"data.split.kind = {name!r} {' and '.join(faults)}{whose}: its options are "
                  f"{', '.join(takes[name])}. --config=configs/files.py:{name} has them; on "
                  "another config write --config.data.split=\"{'kind': '" + name + "', ...}\"")


def split_subsets(name: str, options: Mapping[str, Any]) -> set[str] | None:
  """The subset names in use: those given, else the defaults of the split's function."""
  if name not in SPLITS or name in ("list", "drawn_subjects"):
    return None
  defaults = SPLITS[name].__kwdefaults__
  return {subset for option in _SUBSET_OPTIONS if option in defaults
          for subset in splits.names(options.get(option, defaults[option]))}


def search_videos(annotated: Annotations, split: Split) -> Annotations | None:
  """Videos that may play search results: Knowledge-Source, if it shares classes with Selection."""
  knowledge = annotations_lib.select(annotated, split.knowledge_source)
  selection = annotations_lib.select(annotated, split.selection)
  return knowledge if set(knowledge.classes) & set(selection.classes) else None
