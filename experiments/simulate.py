"""Runs the paper's active-learning simulation (Sec. 3 and 4).

    python -m experiments.simulate --config=configs/anet.py [--workdir=DIR] [--config.x.y=...]

The same command goes on where a killed run stopped. What it writes is listed in docs/running.md.
"""

from __future__ import annotations

import json
import math
import pathlib
import time
from typing import Any, NamedTuple

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

from configs import common
from tal_jax import devices, learner
from tal_jax.checkpoints import Checkpoints
from tal_jax.data.annotations import in_one_subset, write_annotations
from tal_jax.data.predictions import write_predictions
from tal_jax.errors import DataError
from tal_jax.metrics.detections import to_predictions
from tal_jax.pool import PROPOSALS
from tal_jax.runs import cli, context, distributed, learner_checks, tensorboard, unused_settings
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.reports import plots, summary
from tal_jax.runs.workdir import Workdir, write_json


def run(config: ConfigDict, workdir: str | pathlib.Path) -> dict[str, Any]:
  """Runs every strategy on every seed, or what is left of it.

  Returns:
    The summary: {strategy: {measure: {mean, ci95, per_seed}}}.

  Raises:
    DataError: a setting, the data, or the work directory cannot be used.
  """
  config = context.checked(config)
  directory = Workdir(workdir, config.to_dict())
  with Reporter("simulate") as report:
    for seed in range(config.seeds):
      rows = [directory.rows(name, seed) for name in config.strategies]
      if all(_is_finished(run) for run in rows):
        for _ in sum(rows, []):
          report.step(f"seed {seed} was finished")
      else:
        if seed == 0 and (line := unused_settings.line(config, common.defaults())):
          report.say(line)
        _run_seed(context.build(config, seed, directory.path, report), directory, report)
  rows = directory.all_rows()
  result = summary.summarise(rows)
  if devices.is_writer():
    _write_results(config, rows, result, directory)
  return result


def _write_results(config: ConfigDict, rows: list[dict[str, Any]], result: dict[str, Any],
                   directory: Workdir) -> None:
  write_json(directory.path / "summary.json", result)
  write_json(directory.path / "comparisons.json", summary.comparisons(rows))
  caption = json.loads((directory.path / "data.json").read_text())["caption"]
  plots.learning_curves(rows, directory.path / "learning_curves.png",
                        title=config.name.removesuffix(":default"), caption=caption)
  print(summary.table(rows, caption))
  print(f"curves: {directory.path / 'learning_curves.png'}")


def _run_seed(shared: context.Context, directory: Workdir, report: Reporter) -> None:
  config, data = shared.config, shared.data
  if devices.is_writer():
    write_json(directory.path / "data.json", {"name": data.name, "caption": data.caption,
                                              "classes": list(data.classes)})
    if shared.seed == 0:
      write_annotations(directory.path / "ground_truth.json",
                        in_one_subset(data.testing_annotations))
  total = len(data.ids.selection)
  num_initial = max(1, round(config.initial_ratio * total))
  budget = max(num_initial, round(config.budget_ratio * total))
  steps = 1 + math.ceil((budget - num_initial) / config.batch_size)
  # The seeds to come may have a few videos more or fewer.
  report.expect_more((config.seeds - shared.seed) * len(config.strategies) * steps)
  report.working("first trainings", 0, 2)
  start = _start(shared, num_initial)
  report.working("first trainings", 1, 2)
  full_map, lines = shared.full_training()
  for line in lines:
    report.say(f"seed {shared.seed}, all labels: {line}")
  if not full_map > 0:
    raise DataError(
        f"seed {shared.seed}: the model trained on every video has an mAP of 0 on Testing: there "
        f"is no learning curve to measure. {_why_zero(shared)}")
  for name in config.strategies:
    _run_strategy(name, shared, start, full_map, budget, directory, report)


class _Start(NamedTuple):
  """The training on the first labels, which all strategies share."""

  state: learner.LearnerState
  info: learner.StepInfo
  seconds: float


def _start(shared: context.Context, num_initial: int) -> _Start:
  begin = time.perf_counter()
  state, info = learner.start(shared.first, shared.data.selection, num_initial=num_initial,
                              annotate=shared.annotate)
  jax.block_until_ready(state.model)
  shared.check_training(state, info, when=f"seed {shared.seed}, {num_initial} labels")
  return _Start(state, info, time.perf_counter() - begin)


def _why_zero(shared: context.Context) -> str:
  """What may be wrong where even the model with all labels finds nothing."""
  if PROPOSALS in shared.localizer.reads:
    return ("Are the proposals good enough (experiments.check_data tells their recall), and do the "
            "features show the actions?")
  return ("Do the features' rows stand at the right times (data.fps, stride and window), and do "
          "they show the actions? More steps or a higher learning rate may help, too")


def _run_strategy(name: str, shared: context.Context, start: _Start, full_map: float,
                  budget: int, directory: Workdir, report: Reporter) -> None:
  """One learning curve, from its last good checkpoint on."""
  rows = directory.rows(name, shared.seed)
  if _is_finished(rows):
    for _ in rows:
      report.step(f"{name} was finished")
    return
  checkpoints = Checkpoints(directory.checkpoints(name, shared.seed))
  state = checkpoints.restore(shared.first)
  if state is not None and int(state.step) >= len(rows):
    state = None  # its rows are gone: begin again
  directory.keep(name, shared.seed, -1 if state is None else int(state.step))
  for _ in directory.rows(name, shared.seed):
    report.step(f"{name} goes on")
  events = tensorboard.Scalars(
      directory.path / "tensorboard" / f"{name}_seed_{shared.seed}",
      directory.rows(name, shared.seed)
  ) if shared.config.tensorboard and devices.is_writer() else None
  pool = shared.data.selection
  while state is None or int(state.labeled.sum()) < budget:
    begin = time.perf_counter()
    if state is None:
      state, info = start.state, start.info
      begin -= start.seconds
    else:
      left = budget - int(state.labeled.sum())
      state, info = learner.step(
          state, pool, select=shared.selection[name], annotate=shared.annotate,
          batch_size=min(shared.config.batch_size, left))
    when = f"{name}, seed {shared.seed}, {int(state.labeled.sum())} labels"
    shared.check_training(state, info, when=when)
    for line in learner_checks.remarks(state, info.fit):
      report.say(f"{when}: {line}")
    result, attention_ap, detections = shared.evaluate(state.model)
    seconds = time.perf_counter() - begin
    num_labeled = int(state.labeled.sum())
    row = {
        "strategy": name, "seed": shared.seed, "step": int(state.step),
        "num_labeled": num_labeled, "labeled_ratio": num_labeled / len(shared.data.ids.selection),
        "map": result.average_map, "map_ratio": result.average_map / full_map,
        "attention_ap": attention_ap, "seconds": round(seconds, 3),
        "map_at_50": float(result.mean_ap[0]), "full_map": full_map,
        "reached_tiou": info.reached_tiou, **info.fit.metrics, "is_last": num_labeled >= budget}
    is_kept = row["is_last"] and (name, shared.seed) == (shared.config.strategies[0], 0)
    if is_kept and devices.is_writer():
      write_predictions(directory.path / "predictions.json", to_predictions(detections),
                        shared.data.ids.testing, shared.data.classes)
    chosen = [shared.data.ids.selection[i] for i in info.indices]
    directory.append(row, {"strategy": name, "seed": shared.seed, "step": row["step"],
                           "video_ids": chosen})
    checkpoints.save(state)
    if events:
      events.add(row)
    report.step(f"{name}, seed {shared.seed}: {row['labeled_ratio']:.0%} of labels, "
                f"mAP {row['map']:.3f}")
  checkpoints.close()
  if events:
    events.close()


def _is_finished(rows: list[dict[str, Any]]) -> bool:
  return bool(rows) and rows[-1]["is_last"]


def main() -> None:
  distributed.start_from_flags()
  config = _CONFIG.value
  run(config, _WORKDIR.value or pathlib.Path("runs") / config.name.replace(":", "_"))


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file(
      "config", None, "Configuration, e.g. configs/anet.py or configs/anet.py:smoke.")
  _WORKDIR = flags.DEFINE_string(
      "workdir", None, "Where to write, and to go on; default: runs/NAME_VARIANT.")
  distributed.define_flags()
  flags.mark_flag_as_required("config")
  cli.run_main(main)
