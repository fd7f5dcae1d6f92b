"""What all strategies of one seed share: data, first labels, oracle, full training.

Paired design: in a seed every strategy has the same split, the same first labels, the same oracle
noise for a video, and the same reference of full training (the paper, Sec. 4.1).
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import zlib
from collections.abc import Mapping

import chex
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from tal_jax import devices, learner
from tal_jax.data import sources
from tal_jax.data.dataset import Dataset
from tal_jax.data.ground_truth import ground_truth
from tal_jax.errors import DataError
from tal_jax.metrics.attention_ap import attention_ap
from tal_jax.metrics.average_precision import GroundTruth, MeanAP
from tal_jax.metrics.detections import mean_ap
from tal_jax.models.localizer import Detections, Localizer, Params
from tal_jax.pool import PROPOSALS, ROWS, VideoPool, pad
from tal_jax.runs import (
  cli,
  learner_checks,
  localizers,
  pool_storage,
  tensorboard,
  value_ranges,
)
from tal_jax.runs.reporter import Reporter
from tal_jax.selection import SELECTION, prior
from tal_jax.selection.strategy import SelectFn, Shared
from tal_jax.sizes import bucket

# Independent random streams of one seed.
_NUM_STREAMS = 4
_LEARNER, _ORACLE = 0, 1
_STREAMS = {"mcle": 2, "lal": 3}  # of strategies; those that are not here take one by their name


def checked(config: ConfigDict) -> ConfigDict:
  """A copy of the config that a run can use.

  `--config.strategies=random,lal` arrives as one name with a comma: it is taken apart here.

  Raises:
    DataError: a setting that no run could use, before any work is done.
  """
  config = config.copy_and_resolve_references()
  config.strategies = cli.names(config.strategies)
  unknown = [name for name in config.strategies if name not in SELECTION]
  if unknown or not config.strategies:
    raise DataError(f"strategies = {tuple(config.strategies)}: there is no {', '.join(unknown)}. "
                    f"There are {', '.join(SELECTION)}.")
  if len(set(config.strategies)) < len(config.strategies):
    raise DataError(f"strategies = {tuple(config.strategies)} names one twice")
  ranges = (("seeds", config.seeds >= 1, "at least 1"),
            ("batch_size", config.batch_size >= 1, "at least 1"),
            ("top_k", config.top_k >= 1, "at least 1"),
            ("initial_ratio", 0 < config.initial_ratio <= 1, "in (0, 1]"),
            ("budget_ratio", config.initial_ratio <= config.budget_ratio <= 1,
             "from initial_ratio to 1"),
            ("svm.c", config.svm.c > 0, "positive"), ("svm.tol", config.svm.tol > 0, "positive"),
            ("classifier.c", config.classifier.c > 0, "positive"),
            ("classifier.score", config.classifier.score in ("product", "classifier"),
             "'product' or 'classifier'"),
            ("oracle.noise", 0 <= config.oracle.noise < 1, "in [0, 1)"),
            ("oracle.noise_sigma", config.oracle.noise_sigma >= 0, "not negative"),
            ("mcle.prior", config.mcle.prior in prior.PRIORS, f"one of {prior.PRIORS}"),
            ("mcle.precision", 0 <= config.mcle.precision <= 1, "in [0, 1]"))
  value_ranges.check(config, ranges)
  localizers.make(config)
  localizers.check_strategies(config, config.strategies)
  if config.tensorboard:
    tensorboard.check()
  return config


@dataclasses.dataclass(frozen=True)
class Context:
  """One seed's data, and the selection functions that learn from it."""

  config: ConfigDict
  seed: int
  data: Dataset
  truth: GroundTruth
  localizer: Localizer
  annotate: learner.Annotate
  selection: Mapping[str, SelectFn]  # of the config's strategies, by name
  first: learner.LearnerState  # before any label; the same for every strategy

  def evaluate(self, model: Params) -> tuple[MeanAP, float, Detections]:
    """Detection mAP and attention AP on Testing, and the detections behind them."""
    testing = self.data.testing
    detections = self.localizer.detect(model, testing)
    ap = _attention_ap(detections.segments, detections.decisions, detections.mask, testing.truths,
                       testing.truth_mask)
    detections = devices.to_host(detections)
    return mean_ap(self.truth, detections), float(ap), detections

  def full_training(self) -> tuple[float, list[str]]:
    """mAP of the model trained, from nothing, on every video of Selection with its true labels.

    A model may depend on where its training started, so that of the first labels is not taken.

    Returns:
      The mAP, and what is to be told of the training, a line each.

    Raises:
      DataError: the training ended in numbers that are not finite.
    """
    state, info = learner.start(
        self.first, self.data.selection, num_initial=len(self.data.ids.selection),
        annotate=learner.simulated_oracle(jax.random.key(0)))
    self.check_training(state, info, when=f"seed {self.seed}, all labels")
    return self.evaluate(state.model)[0].average_map, learner_checks.remarks(state, info.fit)

  def check_training(self, state: learner.LearnerState, info: learner.StepInfo, *, when: str,
                     after: str = "") -> None:
    """See `learner_checks.check_training`."""
    learner_checks.check_training(self.config, self.config.model, state.model, info.fit, self.data,
                                  when=when, after=after)


_attention_ap = jax.jit(attention_ap)


def build(config: ConfigDict, seed: int, workdir: pathlib.Path, report: Reporter) -> Context:
  """Loads one seed's data and prepares its strategies."""
  data = load_data(config, seed, report, folder=workdir)
  localizer = localizers.make(config)
  learner_checks.check_knowledge_source(config, data, [
      name for name in config.strategies
      if SELECTION[name].learns_from_knowledge_source(config.to_dict())])

  def path(file: str) -> pathlib.Path:
    return workdir / pathlib.Path(file).stem / f"seed_{seed}{pathlib.Path(file).suffix}"

  shared = Shared(
      data=data, options=config.to_dict(), attention=localizers.stage_wise_settings(config),
      key=functools.partial(strategy_key, config, seed), path=path, report=report)
  return Context(
      config=config, seed=seed, data=data,
      truth=ground_truth(data.testing_annotations, data.ids.testing, data.classes),
      localizer=localizer,
      selection={name: SELECTION[name](shared) for name in config.strategies},
      annotate=learner.simulated_oracle(_key(config, seed, _ORACLE), noise=config.oracle.noise,
                                        noise_sigma=config.oracle.noise_sigma),
      first=learner.init(_key(config, seed, _LEARNER), data.selection,
                         num_classes=len(data.classes), num_videos=len(data.ids.selection),
                         localizer=localizer))


def strategy_key(config: ConfigDict, seed: int, name: str) -> chex.PRNGKey:
  """The random stream of a strategy's preparation: it does not depend on the other strategies."""
  if name in _STREAMS:
    return _key(config, seed, _STREAMS[name])
  return jax.random.fold_in(jax.random.key(config.data.seed + seed), zlib.crc32(name.encode()))


def _key(config: ConfigDict, seed: int, stream: int) -> chex.PRNGKey:
  return jax.random.split(jax.random.key(config.data.seed + seed), _NUM_STREAMS)[stream]


def load_data(config: ConfigDict, seed: int, report: Reporter, *,
              reads: tuple[str, ...] | None = None,
              learnt: tuple[str, ...] = ("selection", "testing"),
              folder: pathlib.Path | None = None) -> Dataset:
  """The data set of one seed, its pools on the devices unless they are memory-mapped files.

  Args:
    reads: what the pools must have; default: what the config's model reads.
    learnt: the sets that must have instances, see `learner_checks.check_truths`.
    folder: for the files of pools that the memory has no room for; None: they are refused.

  Raises:
    DataError: whatever is wrong with the data or the settings.
  """
  options = config.data.to_dict()
  # Each process writes its own: a folder may be shared, or not.
  process = f"_process_{jax.process_index()}" if jax.process_count() > 1 else ""
  own = f"seed_{options['seed'] + seed}{process}"
  if options["storage"]:
    options["storage"] = str(pathlib.Path(options["storage"]) / own)
  reads = reads or localizers.make(config).reads
  data = pool_storage.load(
      lambda options: sources.load(
          options, seed=seed, encoder=config.encoder, reads=reads,
          progress=functools.partial(report.working, "loading videos")),
      options, folder and folder / pool_storage.FOLDER / own, report)
  if PROPOSALS in reads:
    pool_storage.check_pairs(config.model, data)
  report.say(f"seed {seed}: {data.name}: {data.knowledge_source.num_videos} Knowledge-Source, "
             f"{data.selection.num_videos} Selection, {data.testing.num_videos} Testing videos, "
             f"{len(data.classes)} classes, {describe(data.selection, reads)}. {data.caption}")
  learner_checks.check_truths(data, learnt)
  return place(data)


def describe(pool: VideoPool, reads: tuple[str, ...]) -> str:
  """What there is of each video, for the report."""
  parts = []
  if PROPOSALS in reads:
    parts.append(f"{pool.segments.shape[1]} proposals of {pool.dim} dimensions")
  if ROWS in reads:
    parts.append(f"{int(pool.rows.count.min())} to {int(pool.rows.count.max())} rows of "
                 f"{pool.rows.dim} dimensions")
  return ", ".join(parts)


def place(data: Dataset) -> Dataset:
  """The data set with its pools on the devices, unless they are memory-mapped files."""
  # The longest video's number of truths differs between seeds; one of a short series of sizes
  # keeps their shapes, and with them the compiled programs, the same.
  for name in ("knowledge_source", "selection", "testing"):
    pool = getattr(data, name)
    if not pool.num_videos:  # a set that a campaign can do without
      continue
    stays = name == "knowledge_source" or isinstance(pool.features, np.memmap)
    put = _to_device if stays else devices.place
    placed = pad(put(pool), num_truths=bucket(pool.truths.shape[1], smallest=16))
    data = data._replace(**{name: placed})  # one after the other: the host's copy goes
  return data


def _to_device(pool: VideoPool) -> VideoPool:
  """On each process' first device; rows and memory-mapped features stay where they are."""
  placed = jax.tree.map(
      lambda leaf: leaf if isinstance(leaf, np.memmap) else jnp.asarray(leaf),
      pool._replace(rows=None))
  return placed._replace(rows=pool.rows)
