"""Sources of data by name: from the `data` part of a config to a Dataset.

    simulated                 the embedded data set, all from a seed
    activitynet_annotations   the timeline of a real ActivityNet-format JSON, features and proposals
                              simulated
    files                     real annotations, features and proposals
    tfds                      what experiments.build_dataset made of them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tal_jax.data import assemble, files, option_faults, public_sets
from tal_jax.data.annotations import read_annotations
from tal_jax.data.dataset import Dataset
from tal_jax.data.file_options import FileOptions
from tal_jax.data.records import RawData
from tal_jax.data.simulation import data_set as simulated
from tal_jax.errors import DataError
from tal_jax.pool import PROPOSALS


def _simulated(*, seed: int, **options: Any) -> RawData:
  return simulated.load(seed=seed, **options)


def _activitynet_annotations(*, seed: int, annotations: str, split: Mapping[str, Any],
                             **options: Any) -> RawData:
  public_sets.check_there(annotations)
  annotated, split = read_annotations(annotations), dict(split)
  chosen = files.split_by(annotated, split.pop("kind"), split, seed)
  return simulated.load_with_annotations(annotated, chosen, seed=seed, **options)


def _files(*, seed: int, split: Mapping[str, Any], annotations: str | tuple[str, ...],
           features: str | tuple[str, ...], caption: str | None = None,
           **options: Any) -> RawData:
  for name, value in (("annotations", annotations), ("features", features)):
    if not value:
      raise DataError(f"data.{name} is not set: add --config.data.{name}=PATH")
  split = dict(split)
  if options.get("proposals"):
    options.pop("windows", None)
  return files.load(
      FileOptions.of({"annotations": annotations, "features": features, **options}),
      split=split.pop("kind"), split_options=split, seed=seed, caption=caption)


def _tfds(**options: Any) -> RawData:
  from tal_jax.data.tfds import reader  # tensorflow_datasets takes a while to import
  return reader.load(**options)


SOURCES: dict[str, Callable[..., RawData]] = {
    "simulated": _simulated,
    "activitynet_annotations": _activitynet_annotations,
    "files": _files,
    "tfds": _tfds,
}


def load(options: Mapping[str, Any], *, seed: int, encoder: str,
         reads: Sequence[str] = (PROPOSALS,),
         progress: Callable[[int, int], None] | None = None) -> Dataset:
  """Loads, validates, encodes and normalises a data set.

  Args:
    options: `source`, `seed`, `normalize`, `dtype`, `storage` (a folder, default "": none), and the
      source's own settings (the arguments of its function; `split` is a mapping with `kind`).
    seed: of the run, added to `options["seed"]`: splits, and whatever is simulated, depend on it.
    encoder: "mean" or "context".
    reads: as in `assemble.assemble`.
    progress: called with (videos done, videos in all).

  Raises:
    DataError: whatever is wrong with the data or the settings.
  """
  options = dict(options)
  name = options.pop("source")
  if name not in SOURCES:
    raise DataError(f"data.source = {name!r}; there are {', '.join(SOURCES)}.")
  normalize, dtype = options.pop("normalize"), options.pop("dtype")
  storage = options.pop("storage", "")
  try:
    raw = SOURCES[name](seed=options.pop("seed") + seed, **options)
  except TypeError as error:
    fault = option_faults.of_source(name, error)
    if fault is None:
      raise
    raise DataError(fault) from error
  return assemble.assemble(raw, name=name, encoder=encoder, dtype=dtype, normalize=normalize,
                           storage=storage, reads=reads, progress=progress)
