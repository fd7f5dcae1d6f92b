"""Trains LAL's selector on Knowledge-Source and saves it (the paper, Sec. 3.2).

    python -m experiments.train_lal --config=configs/anet.py --output=lal.npz [--seed=0]
    python -m experiments.simulate --config=configs/anet.py --config.lal.artifact=lal.npz

Without an artifact `simulate` trains one per seed, on that seed's Knowledge-Source, the same as
this binary does with `--seed`. An artifact made once serves all seeds of a run, and other data of
the same encoder and feature width; mind that another seed's Selection may hold videos that this
seed's Knowledge-Source had.

The episodes are written beside the artifact as they come (lal.npz: lal.episodes.jsonl). The same
command goes on where a killed one stopped, to the same bytes; an --output whose episodes are of
another configuration or other data is refused. Once the artifact is there the file may be deleted;
kept, it serves to fit the regressor again with other lal.cs, gamma_factors or epsilon.
"""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags
from ml_collections import ConfigDict, config_flags

from tal_jax import devices
from tal_jax.errors import DataError
from tal_jax.runs import cli, context, distributed, learner_checks, localizers
from tal_jax.runs.reporter import Reporter
from tal_jax.selection import lal_artifact
from tal_jax.selection.lal_regression import Report


def run(config: ConfigDict, output: str | pathlib.Path, *, seed: int = 0) -> Report:
  """Generates the episodes, fits the regressor, writes the artifact; returns its quality."""
  localizers.check_strategies(config, ("lal",), instead="")  # whatever strategies the config has
  config = context.checked(config)
  path = pathlib.Path(output)
  if path.suffix != ".npz":
    raise DataError(f"--output={output}: the artifact is a .npz file")
  if not 0 <= seed:
    raise DataError(f"--seed={seed}: it must not be negative")
  with Reporter("train_lal", counts_steps=False) as report:
    data = context.load_data(config, seed, report, learnt=())
    learner_checks.check_knowledge_source(config, data, ["lal"], instead="")
    learner_checks.check_truths(data, ["knowledge_source"])
    _, quality = lal_artifact.train(
        config.to_dict(), data, localizers.stage_wise_settings(config),
        context.strategy_key(config, seed, "lal"), path, report)
  return quality


def main() -> None:
  distributed.start_from_flags()
  quality = run(_CONFIG.value, _OUTPUT.value, seed=_SEED.value)
  if not devices.is_writer():
    return
  for field, value in dataclasses.asdict(quality).items():
    print(f"{field:26s} {value:.4g}")
  print(f"selector: {_OUTPUT.value}")


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration.")
  _OUTPUT = flags.DEFINE_string("output", None, "Where to write the selector (.npz).")
  _SEED = flags.DEFINE_integer("seed", 0, "Which seed's Knowledge-Source.")
  distributed.define_flags()
  flags.mark_flags_as_required(["config", "output"])
  cli.run_main(main)
