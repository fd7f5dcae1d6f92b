"""Variants of a model by the settings behind its name."""

import pytest

from configs import compare_models as config_file
from tal_jax.errors import DataError
from tal_jax.models.stage_wise.two_stage import TwoStage
from tal_jax.runs import localizers, model_variants
from tal_jax.runs.model_variants import read


def names(*entries):
  return [name for name, _ in read(config_file.get_config(), entries)]


def only(entry):
  (_, config), = read(config_file.get_config(), (entry,))
  return config


def test_a_variant_has_its_settings_and_leaves_the_config_alone():
  config = config_file.get_config()
  config.stage_wise.exponent = 0.9
  (plain, one), (name, two) = read(config, ("stage_wise", "stage_wise:folds=0,voting=1.5,top_k=4"))
  assert (plain, name) == ("stage_wise", "stage_wise:folds=0,top_k=4,voting=1.5")
  assert (one.model, two.model) == ("stage_wise", "stage_wise")
  assert (one.stage_wise.folds, one.stage_wise.voting, one.top_k) == (4, 3.0, 10)
  assert (two.stage_wise.folds, two.stage_wise.voting, two.top_k) == (0, 1.5, 4)
  assert one.stage_wise.exponent == two.stage_wise.exponent == 0.9
  assert (config.stage_wise.folds, config.top_k) == (4, 10)
  made = localizers.make(two)
  assert isinstance(made, TwoStage) and (made.settings.folds, made.settings.voting) == (0, 1.5)


@pytest.mark.parametrize(("entry", "path", "value"), [
    ("frames:linear", "frames.context", "linear"),
    ("point:context=maxpool", "point.context", "maxpool"),
    ("point:maxpool,steps=50", "point.steps", 50),
    ("paper:svm.c=1e-1", "svm.c", 0.1), ("paper:top_k=3", "top_k", 3),
    ("stage_wise:stage_wise.folds=2", "stage_wise.folds", 2),
    ("stage_wise:nms_sigma=0", "stage_wise.nms_sigma", 0.0),
    ("stage_wise:attention.nms_threshold=.3", "attention.nms_threshold", 0.3),
    ("stage_wise:whitened=false", "stage_wise.whitened", False),
    ("auto:point.members=1", "point.members", 1)])
def test_values_have_the_kind_of_their_setting(entry, path, value):
  config = only(entry)
  for key in path.split("."):
    config = config[key]
  assert config == value and type(config) is type(value)


def test_one_name_for_one_variant():
  """So that a finished cell is found again, and nothing is computed twice."""
  assert names("stage_wise:voting=0, folds=0") == names("stage_wise: folds = 0 , voting=0.0") == [
      "stage_wise:folds=0,voting=0"]
  assert names("point:steps=50,context=maxpool") == ["point:maxpool,steps=50"]
  assert names("stage_wise:whitened=0", "stage_wise:stage_wise.whitened=f", "frames:") == [
      "stage_wise:whitened=False", "stage_wise:whitened=False", "frames"]
  assert names("point:learning_rate=2e-3", "point:learning_rate=0.0020001") == [
      "point:learning_rate=0.002", "point:learning_rate=0.0020001"]
  assert names("paper:classifier.score=classifier") == ["paper:classifier.score=classifier"]


def test_commas_between_models_and_between_settings():
  """A command line's list is one text; a `SETTING=VALUE` goes to the model before it."""
  assert names("paper,stage_wise:folds=0,voting=0,frames:linear,steps=50, point") == [
      "paper", "stage_wise:folds=0,voting=0", "frames:linear,steps=50", "point"]
  assert names("stage_wise:folds=0", "voting=0", "paper") == [
      "stage_wise:folds=0,voting=0", "paper"]


def test_plain():
  assert list(map(model_variants.plain, ("paper", "frames:linear", "stage_wise:folds=0"))) == [
      "paper", "frames", "stage_wise"]


def test_settings_are_those_that_the_model_reads():
  config = config_file.get_config()
  found = {model: model_variants.settings(config, model) for model in localizers.MODELS}
  assert set(found["paper"]) == {
      "top_k", "svm.c", "svm.loss", "svm.tol", "attention.positive_tiou",
      "attention.nms_threshold", "classifier.c", "classifier.max_iters", "classifier.score"}
  assert set(found["point"]) == {"top_k", *config.point}
  assert {"folds", "svm.c", "classifier.max_iters"} < set(found["stage_wise"])
  assert "classifier.c" not in found["stage_wise"]  # it has classifier_c
  assert {"point.steps", "frames.steps", "stage_wise.folds", "svm.c"} < set(found["auto"])


@pytest.mark.parametrize(("entry", "message"), [
    ("svm:c=1", "model = 'svm'; there are paper, stage_wise, frames, point, auto"),
    ("stage_wise:fold=0", "models: 'stage_wise:fold=0': stage_wise has no setting `fold`; did you "
                          "mean `folds`?; there are top_k, all_positives, average_classes, "),
    ("stage_wise:soft_nms=False", "stage_wise has no setting `soft_nms`"),
    ("stage_wise:linear", "stage_wise has no setting `context`"),
    ("stage_wise:=1", "stage_wise has no setting ``"),
    ("stage_wise:folds=0,voting", "model = 'voting'; there are paper"),
    ("paper:folds=0", "paper has no setting `folds`; there are top_k, svm.c"),
    ("paper:encoder=mean", "paper has no setting `encoder`"),  # one for all models of a split
    ("point:frames.steps=50", "point has no setting `frames.steps`"),
    ("stage_wise:classifier.c=1", "no setting `classifier.c`; did you mean `classifier_c`?"),
    ("stage_wise:folds=2.5", "folds must be a whole number, such as 4"),
    ("stage_wise:folds=", "folds must be a whole number"),
    ("stage_wise:whitened=maybe", "whitened must be true or false, such as True"),
    ("stage_wise:voting=much", "voting must be a number, such as 3.0"),
    ("stage_wise:folds=1", "stage_wise.folds = 1: it must be 0, or at least 2"),
    ("point:steps=20", "point.steps = 20"),
    ("paper:svm.loss=log", "svm.loss = 'log'; there are"),
    ("stage_wise:folds=0,folds=2", "folds is given twice"),
    ("point:maxpool,context=conv", "context is given twice"),
    ("folds=0", "models: 'folds=0' belongs to no model: write MODEL:folds=0"),
    ("stage_wise,folds=0", "'folds=0' belongs to no model")])
def test_refusals(entry, message):
  """One line, with the names that exist."""
  with pytest.raises(DataError) as fault:
    names(entry)
  assert message in str(fault.value) and "\n" not in str(fault.value)


def test_the_options_leave_out_one_each():
  config = config_file.get_config("options")
  plain, *variants = read(config, config.models)
  assert plain[0] == "stage_wise" and config.shares == (0.1, 1.0) and config.seeds == 5
  left_out = []
  for _, made in variants:
    changed = {name for name in made.stage_wise
               if made.stage_wise[name] != config.stage_wise[name]}
    left_out += changed
    assert len(changed) == 1 and made.svm == config.svm and made.attention == config.attention
  assert set(left_out) == set(config.stage_wise) - {"num_kept", "classifier_c"}
  assert len(left_out) == len(set(left_out))
