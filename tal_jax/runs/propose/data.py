"""The videos of experiments.propose: what DAPs and TAG learn from, and what they are measured on.

Any source of `tal_jax.data.sources` gives three sets (the paper, Sec. 4.1): proposals are learnt on
`train_sets`, a share of whose videos is kept for validation, and measured on Testing. The source
`unsplit` is annotations and features alone, all of it to be measured on: for a network that was
trained elsewhere. It takes rows with NaN, which some published features have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tal_jax.data import annotations as annotations_lib, option_faults
from tal_jax.data.features import open_store, with_time
from tal_jax.data.records import Annotations, FrameFeatures, Split
from tal_jax.data.sources import SOURCES
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError

UNSPLIT = "unsplit"
_VALIDATION = 0  # random stream


class ProposalData(NamedTuple):
  """Videos and their parts; the parts are disjoint."""

  annotations: Annotations
  features: Callable[[str], FrameFeatures]
  training: tuple[str, ...]
  validation: tuple[str, ...]
  held_out: tuple[str, ...]
  others: tuple[str, ...]  # of no part: proposals are made for them, too
  caption: str

  @property
  def ids(self) -> tuple[str, ...]:
    return self.training + self.validation + self.others + self.held_out


def load(options: Mapping[str, Any], *, seed: int, train_sets: tuple[str, ...],
         validation_share: float) -> ProposalData:
  """Loads the source that `options["source"]` names.

  Args:
    options: as for `sources.load`; of `unsplit`: annotations, features, feature_key, and fps,
      stride and window (0: see `features.with_time`).
    seed: of the run.
    train_sets: names of `Split`'s sets to learn on, not "testing".
    validation_share: of their videos, drawn by the seed, at least one.

  Raises:
    DataError: a setting or the data cannot be used.
  """
  options = dict(options)
  for name in ("normalize", "dtype", "storage"):
    options.pop(name, None)
  name, seed = options.pop("source"), options.pop("seed") + seed
  if name not in SOURCES and name != UNSPLIT:
    raise DataError(f"data.source = {name!r}; there are {', '.join(SOURCES)}, {UNSPLIT}.")
  unknown = set(train_sets) - set(Split._fields[:2])
  if unknown or not train_sets:
    raise DataError(f"train_sets = {tuple(train_sets)}: choose from {', '.join(Split._fields[:2])}")
  if not 0 < validation_share < 1:
    raise DataError(f"validation_share = {validation_share}: it must be between 0 and 1")
  try:
    if name == UNSPLIT:
      return _unsplit(**options)
    raw = SOURCES[name](seed=seed, **options)
  except TypeError as error:
    fault = option_faults.of_source(name, error)
    if fault is None:
      raise
    raise DataError(fault) from error
  sets = raw.split._asdict()
  ids = np.array([i for s in train_sets for i in sets[s]])
  if not len(ids):
    raise DataError(f"train_sets = {tuple(train_sets)}: this split has no video there: add "
                    "--config.train_sets=selection, if its labels may be used, or take another "
                    "data.split")
  num = max(1, round(validation_share * len(ids)))
  if num >= len(ids):
    raise DataError(f"{len(ids)} video(s) to train on are too few to keep {num} for validation")
  chosen = np.random.default_rng([seed, _VALIDATION]).permutation(len(ids)) < num
  others = [i for s in Split._fields[:2] if s not in train_sets for i in sets[s]]
  return ProposalData(raw.annotations, raw.features, tuple(ids[~chosen].tolist()),
                      tuple(ids[chosen].tolist()), raw.split.testing, tuple(others), raw.caption)


def check_truths(data: ProposalData) -> None:
  """DataError where no training video has an instance to learn from."""
  if not any(len(data.annotations.videos[i].segments) for i in data.training):
    raise DataError(f"none of the {len(data.training)} training videos has an instance in the "
                    "annotations, so there is nothing to learn: take other train_sets, or "
                    "--config.method=sliding_windows, which learns nothing")


def _unsplit(*, annotations: str, features: str, fps: float = 0.0, stride: float = 0.0,
             window: float = 0.0, feature_key: str = "") -> ProposalData:
  for name, value in (("annotations", annotations), ("features", features)):
    if not value:
      raise DataError(f"data.{name} is not set: add --config.data.{name}=PATH")
  annotated = annotations_lib.read_annotations(annotations)
  store = with_time(open_store(features, key=feature_key or None), annotated, fps=fps or None,
                    stride=stride or None, window=window or None)
  ids = tuple(i for i in annotated.videos if find_id(i, store.files))
  if not ids:
    raise DataError(f"{features}: none of its {len(store.files)} videos is annotated in "
                    f"{annotations}; it has for example {store.ids()[0]!r}")
  return ProposalData(annotations_lib.select(annotated, ids), store, (), (), ids, (),
                      f"{annotations}, {len(ids)} videos")
