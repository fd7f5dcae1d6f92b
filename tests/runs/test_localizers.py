"""From a config to its model: every name, settings that cannot be, strategies that are barred."""

import pytest

from configs import common, propose
from tal_jax.errors import DataError
from tal_jax.models.auto import Auto
from tal_jax.models.frames import Frames
from tal_jax.models.point.detector import Point, Trial
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.models.stage_wise.two_stage import TwoStage
from tal_jax.pool import PROPOSALS, ROWS
from tal_jax.runs import context, localizers
from tal_jax.selection import SELECTION

KINDS = {"paper": StageWise, "stage_wise": TwoStage, "frames": Frames, "point": Point, "auto": Auto}
READS = {"paper": (PROPOSALS,), "stage_wise": (PROPOSALS,), "frames": (ROWS,), "point": (ROWS,),
         "auto": (ROWS, PROPOSALS)}


def config(model="paper", **changes):
  made = common.defaults()
  made.model = model
  made.update_from_flattened_dict(changes)
  return made


def test_every_name_has_a_case():
  assert set(KINDS) == set(localizers.MODELS) == set(READS)


@pytest.mark.parametrize("name", localizers.MODELS)
def test_by_name(name):
  """Hashable, equal for equal settings, and with the settings that the config has."""
  model = localizers.make(config(name))
  assert type(model) is KINDS[name] and model.reads == READS[name]
  assert model == localizers.make(config(name)) and hash(model) == hash(
      localizers.make(config(name)))
  assert model != localizers.make(config(name, top_k=7))
  context.checked(config(name, strategies=("random", "uncertainty", "margin")))


def test_settings_arrive():
  model = localizers.make(config("frames", **{
      "top_k": 3, "frames.context": "linear", "frames.width": 8, "frames.steps": 50,
      "frames.batch_size": 2, "frames.learning_rate": 0.5, "frames.longest_crop": 128,
      "frames.soft_nms_sigma": 0.25})).settings
  assert (model.context, model.width, model.steps, model.longest_crop, model.top_k) == (
      "linear", 8, 50, 128, 3)
  assert (model.schedule.learning_rate, model.schedule.batch_size, model.decoding.sigma) == (
      0.5, 2, 0.25)
  model = localizers.make(config("point", **{
      "point.context": "maxpool", "point.width": 12, "point.steps": 100, "point.warm_steps": 0,
      "point.soft_nms_sigma": 0.75, "point.batch_size": 5})).settings
  assert (model.context, model.width, model.steps, model.warm_steps, model.decoding.sigma,
          model.schedule.batch_size) == ("maxpool", 12, 100, 0, 0.75, 5)
  model = localizers.make(config("stage_wise", **{
      "stage_wise.num_kept": 7, "stage_wise.folds": 0, "attention.nms_threshold": 0.25,
      "svm.c": 2.0, "top_k": 4})).settings
  assert (model.num_kept, model.folds, model.nms_threshold, model.svm_c, model.num_picks) == (
      7, 0, 0.25, 2.0, 4)


def test_auto_has_the_others_as_candidates():
  made = config("auto", **{"point.width": 8, "frames.steps": 50, "stage_wise.folds": 2})
  model = localizers.make(made)
  assert model.names == ("point", "frames", "stage_wise") and model.fewest == 8
  for name, candidate in zip(model.names, model.candidates, strict=True):
    made.model = name
    assert candidate == localizers.make(made)
  # One network of the detector's is enough to choose by; the others are tried as they are.
  point, *others = model.trials
  assert type(point) is Trial and point.settings == model.candidates[0].settings
  assert tuple(others) == model.candidates[1:]


ROWS_BAD = [("context", "lstm", "one of"), ("width", 0, "a multiple of 4"),
            ("width", 6, "a multiple of 4"), ("width", -4, "a multiple of 4"),
            ("steps", 0, "a multiple of 50, at least 50"), ("steps", 75, "a multiple of 50"),
            ("steps", -50, "at least 50"), ("longest_crop", 63, "at least 64 rows"),
            ("learning_rate", 0.0, "positive"), ("batch_size", 0, "at least 1"),
            ("soft_nms_sigma", 0.0, "positive")]
STAGE_WISE_BAD = [("num_kept", 0, "at least 1"), ("folds", 1, "0, or at least 2"),
                  ("folds", -1, "0, or at least 2"), ("exponent", 0.0, "positive")]


def refused(model, field, value, message):
  with pytest.raises(DataError) as fault:
    localizers.make(config(model, **{field: value}))
  text = str(fault.value)
  assert "\n" not in text and message in text and f"{field} = {value!r}" in text


def test_names():
  with pytest.raises(DataError, match="model = 'points'; there are paper, stage_wise, frames, "):
    localizers.make(config("points"))
  for model in ("paper", "stage_wise"):
    refused(model, "svm.loss", "log", "there are hinge, squared_hinge")


@pytest.mark.parametrize(("field", "value", "message"), ROWS_BAD)
@pytest.mark.parametrize("model", ["frames", "point"])
def test_settings_of_a_network_over_rows(model, field, value, message):
  refused(model, f"{model}.{field}", value, message)
  with pytest.raises(DataError, match=f"{model}.{field}"):  # of a candidate, too
    localizers.make(config("auto", **{f"{model}.{field}": value}))
  localizers.make(config("paper", **{f"{model}.{field}": value}))  # not of other models


@pytest.mark.parametrize(("field", "value", "message"), STAGE_WISE_BAD)
def test_settings_of_the_second_stage(field, value, message):
  refused("stage_wise", f"stage_wise.{field}", value, message)


@pytest.mark.parametrize("value", [-50, 20, 75])
def test_warm_steps(value):
  refused("point", "point.warm_steps", value, "it must be a multiple of 50, or 0")


@pytest.mark.parametrize(("model", "good"), [("frames", ("linear", "conv")),
                                             ("point", ("conv", "maxpool", "transformer"))])
def test_contexts(model, good):
  for name in good:
    assert localizers.make(config(model, **{f"{model}.context": name})).settings.context == name
  refused(model, f"{model}.context", "none", f"one of {', '.join(good)}")


def test_the_settings_of_propose():
  made = propose.get_config().points
  localizers.check_rows("points", made, localizers.CONTEXTS)
  made.width = 5
  with pytest.raises(DataError, match="points.width = 5: it must be a multiple of 4"):
    localizers.check_rows("points", made, localizers.CONTEXTS)


@pytest.mark.parametrize("model", localizers.MODELS)
def test_strategies(model):
  reading = tuple(name for name in SELECTION if SELECTION[name].reads_attention)
  others = tuple(name for name in SELECTION if name not in reading)
  localizers.check_strategies(config(model), others)
  if model in ("paper", "stage_wise"):
    localizers.check_strategies(config(model), tuple(SELECTION))
    return
  for name in reading:
    with pytest.raises(DataError) as fault:
      context.checked(config(model, strategies=("random", name)))
    text = str(fault.value)
    assert "\n" not in text and f"model = {model!r}: {name} read" in text
    assert "random" not in text and "--config.model=paper" in text


def test_the_defaults_are_those_of_the_configs():
  made = {model: localizers.make(config(model)) for model in localizers.MODELS}
  assert made["paper"] == StageWise() and made["stage_wise"] == TwoStage()
  assert made["frames"] == Frames() and made["point"] == Point()
