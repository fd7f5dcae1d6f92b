"""Trains localisation models on shares of the labels of several data sets, and measures them.

    python -m experiments.compare_models --config=configs/compare_models.py [--workdir=DIR]

The same command goes on where a killed run stopped. What it writes:

    cells.jsonl      a row per set, split, model and share: average mAP, mAP at 0.5, seconds
    models.csv       mean and 95 % interval over the splits
    models.md        the same as tables, a set each, and the table of differences.csv
    differences.csv  of variants such as stage_wise:folds=0 (tal_jax/runs/model_variants.py) from
                     the plain model on the same labels, if both are among the models
    models.png       the curves
    predictions/     of each cell, with the truths: what experiments.evaluate was given
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from configs import real
from experiments import evaluate
from tal_jax import learner
from tal_jax.data.annotations import ONE_SUBSET, in_one_subset, write_annotations
from tal_jax.data.dataset import Dataset
from tal_jax.data.predictions import write_predictions
from tal_jax.errors import DataError
from tal_jax.metrics.detections import to_predictions
from tal_jax.runs import cli, context, learner_checks, localizers, model_variants, value_ranges
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.reports import compare_models_report
from tal_jax.runs.workdir import append_row, check_same, read_rows, write_json, write_text

_FEWEST = 2  # labelled clips


def run(config: ConfigDict, workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """Computes every cell that is not there yet, and the report; returns all rows.

  Raises:
    DataError: a setting, the data, or the work directory cannot be used.
  """
  sets = cli.names(config.sets)
  variants = model_variants.read(config, config.models)
  models = tuple(name for name, _ in variants)
  _check(config, sets, models)
  cells = [(name, split, model, share) for name in sets for split in range(config.seeds)
           for model in models for share in config.shares]
  settings = dict(variants)
  folder = pathlib.Path(workdir)
  (folder / "predictions").mkdir(parents=True, exist_ok=True)
  rows = _read(folder, config)
  with Reporter("compare_models") as report:
    left = [cell for cell in cells if cell not in rows]
    report.expect_more(len(left))
    loaded: tuple[Any, Dataset | None] = None, None
    for cell in left:
      if loaded[0] != cell[:2]:
        loaded = cell[:2], None  # the old data set goes before the new one comes
        # And so do its programs, since the new one has other shapes: some hundreds of them use up
        # the memory maps that a process may have.
        jax.clear_caches()
        loaded = cell[:2], _load(config, settings.values(), *cell[:2], report)
      rows[cell] = _cell(settings[cell[2]], loaded[1], cell, folder)
      append_row(folder / "cells.jsonl", rows[cell])
      report.step(f"{cell[0]}, split {cell[1]}, {cell[2]}, {cell[3]:.0%}: "
                  f"mAP {rows[cell]['map']:.3f}")
  found = [rows[cell] for cell in cells]
  compare_models_report.write(found, folder)
  return found


def _check(config: ConfigDict, sets: Sequence[str], models: Sequence[str]) -> None:
  """DataError for a setting that no run could use, before any work is done."""
  unknown = [name for name in sets if name not in real.SETS]
  if unknown:
    raise DataError(f"sets: there is no {unknown[0]!r} in configs/real.py: {', '.join(real.SETS)}")
  for name, values in (("sets", sets), ("models", models), ("shares", config.shares)):
    twice = sorted({value for value in values if list(values).count(value) > 1})
    if twice:
      raise DataError(f"{name}: {twice[0]!r} is given twice")
  value_ranges.check(config, (
      ("sets", len(sets) > 0, "at least one"), ("models", len(models) > 0, "at least one"),
      ("shares", len(config.shares) > 0 and all(0 < share <= 1 for share in config.shares),
       "at least one, each in (0, 1]"),
      ("seeds", config.seeds >= 1, "at least 1")))


def _read(folder: pathlib.Path, config: ConfigDict) -> dict[tuple, dict[str, Any]]:
  """The cells of an earlier run of the same configuration, by name, up to a damaged line."""
  file, path = folder / "config.json", folder / "cells.jsonl"
  # What is computed in a cell does not depend on which others are.
  own = {name: value for name, value in json.loads(json.dumps(config.to_dict())).items()
         if name not in ("name", "sets", "models", "shares", "seeds")}
  if file.exists() and path.exists():
    check_same(file, own)
  write_json(file, own)
  rows = read_rows(path)
  write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
  return {(row["set"], row["split"], row["model"], row["share"]): row for row in rows}


def _load(config: ConfigDict, settings, name: str, split: int, report: Reporter) -> Dataset:
  options = real.get_config(name)
  options.encoder = config.encoder
  reads = tuple(dict.fromkeys(
      what for each in settings for what in localizers.make(each).reads))
  return context.load_data(options, split, report, reads=reads)


def _cell(config: ConfigDict, data: Dataset, cell: tuple, folder: pathlib.Path) -> dict[str, Any]:
  """Trains and measures one model."""
  name, split, model, share = cell
  total = len(data.ids.selection)
  k_order, k_train = jax.random.split(jax.random.key(split))
  order = np.asarray(jax.random.permutation(k_order, total))
  chosen = np.sort(order[:min(total, max(_FEWEST, round(share * total)))])
  first = learner.init(k_train, data.selection, num_classes=len(data.classes), num_videos=total,
                       localizer=localizers.make(config))
  state, _ = learner.label(first, data.selection, chosen,
                           learner.simulated_oracle(jax.random.key(0)))
  begin = time.perf_counter()
  state, info = learner.train(state, data.selection)
  jax.block_until_ready(state.model)
  trained = time.perf_counter()
  learner_checks.check_training(config, config.model, state.model, info, data,
                                when=f"{name}, split {split}, {model}, {share:.0%} of the labels")
  detections = state.localizer.detect(state.model, data.testing)
  predictions = to_predictions(detections)
  scored = time.perf_counter()
  stem = folder / "predictions" / f"{name}_{split}"
  truth, written = stem.with_name(f"{stem.name}_truth.json"), stem.with_name(
      f"{stem.name}_{model.replace(':', '_')}_{share:g}.json")
  if not truth.exists():
    part = truth.with_name(truth.name + ".part")
    write_annotations(part, in_one_subset(data.testing_annotations, ONE_SUBSET))
    os.replace(part, truth)
  write_predictions(written, predictions, data.ids.testing, data.classes)
  result = {"average_mAP": 0.0, "mAP": [0.0]}
  asked = {label for video in data.testing_annotations.videos.values() for label in video.labels}
  if asked & {data.classes[i] for i in np.unique(predictions.label)}:  # else nothing can be found
    result = evaluate.run(str(truth), str(written), ONE_SUBSET)
  return {"set": name, "split": split, "model": model, "share": share, "labeled": len(chosen),
          "videos": total, "map": result["average_mAP"], "map_at_50": result["mAP"][0],
          "fit_seconds": round(trained - begin, 2), "detect_seconds": round(scored - trained, 2),
          "info": info.metrics}


def main() -> None:
  config = _CONFIG.value
  workdir = _WORKDIR.value or pathlib.Path("runs") / config.name.replace(":", "_")
  run(config, workdir)
  print((pathlib.Path(workdir) / "models.md").read_text())


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration.")
  _WORKDIR = flags.DEFINE_string("workdir", None, "Where to write, and to go on.")
  flags.mark_flag_as_required("config")
  cli.run_main(main)
