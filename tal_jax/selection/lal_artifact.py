"""LAL's trained regressor on disk: read where it is there, else trained on Knowledge-Source.

The episodes stand in a file beside the artifact as they come, from which a killed run goes on.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
from absl import logging

from tal_jax import devices
from tal_jax.data.dataset import Dataset
from tal_jax.errors import DataError
from tal_jax.models import stage_wise
from tal_jax.selection import lal_regression, lal_training
from tal_jax.selection.lal_selector import Selector
from tal_jax.selection.strategy import Report, Shared

FILE = "lal.npz"  # what a strategy asks `Shared.path` for


def selector(shared: Shared) -> Selector:
  """The regressor of `options.lal.artifact`, or of the run's own file, trained where it is missing.

  Raises:
    DataError: an artifact that cannot be used, or settings with which none can be trained.
  """
  given = shared.options["lal"]["artifact"]
  path = pathlib.Path(given) if given else shared.path(FILE)

  def read():
    if given or path.exists():
      return lal_regression.load(path, dim=shared.data.selection.dim,
                                 encoder=shared.options["encoder"])
    return None

  if found := devices.from_writer(read):
    shared.report.say(f"lal: read {path}. {found[1]}")
  else:
    found = train(shared.options, shared.data, shared.attention, shared.key("lal"), path,
                  shared.report)
  return jax.tree.map(jnp.asarray, found[0])


def train(options: Mapping[str, Any], data: Dataset, settings: stage_wise.Settings,
          key: chex.PRNGKey, path: pathlib.Path,
          report: Report) -> tuple[Selector, lal_regression.Report]:
  """Generates LAL's training set on Knowledge-Source, fits the regressor and saves it.

  Raises:
    DataError: too few videos, or episodes of other settings or data beside `path`.
  """
  own = options["lal"]
  try:
    lal_regression.check_number(len(own["labeled_sizes"]) * own["episodes_per_size"])
    episodes = lal_training.generate(
        key, data.knowledge_source, settings, labeled_sizes=tuple(own["labeled_sizes"]),
        episodes_per_size=own["episodes_per_size"],
        extras_per_episode=own["extras_per_episode"], num_bins=own["num_bins"],
        held_out_ratio=own["held_out_ratio"], file=episodes_file(path),
        progress=functools.partial(report.working, "training LAL: episode"))
    # On one host: libraries on the hosts of a cluster may differ in the last bits.
    made, quality = devices.from_writer(lambda: lal_regression.fit(
        episodes, cs=tuple(own["cs"]), gamma_factors=tuple(own["gamma_factors"]),
        epsilon=own["epsilon"]))
  except ValueError as error:
    raise DataError(str(error)) from error
  if not episodes.converged.all():
    logging.warning("lal: %d of %d episodes have a retrained SVM that did not meet svm.tol",
                    (~episodes.converged).sum(), len(episodes.converged))
  if devices.is_writer():
    lal_regression.save(path, made, quality, encoder=options["encoder"])
  report.say(f"lal: {quality}")
  return made, quality


def episodes_file(path: pathlib.Path) -> pathlib.Path:
  """Where the episodes of the artifact `path` stand."""
  return path.with_suffix(".episodes.jsonl")
