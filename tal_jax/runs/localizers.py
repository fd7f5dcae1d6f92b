"""From a config to its localisation model: `config.model` names it."""

from __future__ import annotations

from ml_collections import ConfigDict

from tal_jax.errors import DataError
from tal_jax.models import frames, stage_wise
from tal_jax.models.auto import Auto
from tal_jax.models.localizer import Localizer
from tal_jax.models.networks import training as row_training
from tal_jax.models.point import decoding, detector, network
from tal_jax.models.stage_wise import two_stage as stage_wise_two
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.models.stage_wise.two_stage import TwoStage
from tal_jax.models.svm.problem import LOSSES
from tal_jax.runs import value_ranges
from tal_jax.selection import SELECTION

MODELS = ("paper", "stage_wise", "frames", "point", "auto")
ATTENDING = ("paper", "stage_wise")  # the models with an attention
CONTEXTS = network.CONTEXTS  # of the point detector
_CANDIDATES = ("point", "frames", "stage_wise")  # of auto; the first is taken with few labels


def make(config: ConfigDict) -> Localizer:
  """The model of a config.

  Raises:
    DataError: an unknown name, or a setting that the model cannot have.
  """
  if config.model not in MODELS:
    raise DataError(f"model = {config.model!r}; there are {', '.join(MODELS)}.")
  return _MAKERS[config.model](config)


def check_strategies(config: ConfigDict, strategies: tuple[str, ...], *,
                     instead: str = ", or choose other strategies") -> None:
  """DataError for a strategy that reads an attention which the model does not have.

  Args:
    config: names the model.
    strategies: names of selection functions.
    instead: what can be done other than to take another model.
  """
  barred = [name for name in strategies if SELECTION[name].reads_attention]
  if barred and config.model in MODELS and config.model not in ATTENDING:
    verb = "reads" if len(barred) == 1 else "read"
    raise DataError(
        f"model = {config.model!r}: {' and '.join(barred)} {verb} the attention of a stage-wise "
        "model, which this model does not have: add --config.model=paper or "
        f"--config.model=stage_wise{instead}")


def stage_wise_settings(config: ConfigDict) -> stage_wise.Settings:
  """The stage-wise model's hyper-parameters from a config."""
  if config.svm.loss not in LOSSES:
    raise DataError(f"svm.loss = {config.svm.loss!r}; there are {', '.join(LOSSES)}.")
  return stage_wise.Settings(
      top_k=config.top_k, positive_tiou=config.attention.positive_tiou,
      nms_threshold=config.attention.nms_threshold, score=config.classifier.score,
      svm_c=config.svm.c, svm_loss=config.svm.loss, svm_tol=config.svm.tol,
      classifier_c=config.classifier.c, classifier_max_iters=config.classifier.max_iters)


def _two_stage(config: ConfigDict) -> TwoStage:
  options = config.stage_wise
  value_ranges.check(options, (
      ("num_kept", options.num_kept >= 1, "at least 1"),
      ("folds", options.folds == 0 or options.folds >= 2, "0, or at least 2"),
      ("exponent", options.exponent > 0, "positive")), section="stage_wise")
  paper = stage_wise_settings(config)
  return TwoStage(stage_wise_two.Settings(
      positive_tiou=paper.positive_tiou, svm_c=paper.svm_c, svm_loss=paper.svm_loss,
      svm_tol=paper.svm_tol, classifier_max_iters=paper.classifier_max_iters,
      nms_threshold=config.attention.nms_threshold, num_picks=config.top_k, **options.to_dict()))


def _frames(config: ConfigDict) -> frames.Frames:
  options = config.frames
  check_rows("frames", options, tuple(frames.DILATIONS))
  return frames.Frames(frames.Settings(
      context=options.context, width=options.width, steps=options.steps,
      longest_crop=options.longest_crop, top_k=config.top_k, schedule=schedule(options),
      decoding=decoding.Settings(sigma=options.soft_nms_sigma)))


def check_rows(model: str, options: ConfigDict, contexts: tuple[str, ...]) -> None:
  """DataError for a setting that no network over rows could have."""
  chunk = row_training.CHUNK
  value_ranges.check(options, (
      ("context", options.context in contexts, f"one of {', '.join(contexts)}"),
      ("width", options.width >= 4 and options.width % 4 == 0, "a multiple of 4"),
      ("steps", options.steps >= chunk and options.steps % chunk == 0,
       f"a multiple of {chunk}, at least {chunk}"),
      ("longest_crop", options.longest_crop >= 64, "at least 64 rows"),
      ("learning_rate", options.learning_rate > 0, "positive"),
      ("batch_size", options.batch_size >= 1, "at least 1"),
      ("soft_nms_sigma", options.soft_nms_sigma > 0, "positive")), section=model)


def schedule(options: ConfigDict) -> row_training.Schedule:
  """How a network over rows is trained."""
  return row_training.Schedule(learning_rate=options.learning_rate, batch_size=options.batch_size)


def _point(config: ConfigDict) -> detector.Point:
  options, chunk = config.point, row_training.CHUNK
  check_rows("point", options, CONTEXTS)
  value_ranges.check(options, (
      ("warm_steps", options.warm_steps >= 0 and options.warm_steps % chunk == 0,
       f"a multiple of {chunk}, or 0"),
      ("members", options.members >= 1, "at least 1")), section="point")
  return detector.Point(detector.Settings(
      context=options.context, width=options.width, members=options.members, steps=options.steps,
      warm_steps=options.warm_steps, longest_crop=options.longest_crop, top_k=config.top_k,
      schedule=schedule(options), decoding=decoding.Settings(sigma=options.soft_nms_sigma)))


def _auto(config: ConfigDict) -> Auto:
  models = {name: _MAKERS[name](config) for name in _CANDIDATES}
  trials = models | {"point": detector.Trial(models["point"].settings)}
  return Auto(_CANDIDATES, tuple(models.values()), trials=tuple(trials.values()))


_MAKERS = {"paper": lambda config: StageWise(stage_wise_settings(config)),
           "stage_wise": _two_stage, "frames": _frames, "point": _point, "auto": _auto}
