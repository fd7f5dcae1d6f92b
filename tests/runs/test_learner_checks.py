"""What a run refuses: sets without truths, no Knowledge-Source, numbers that are not finite."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from configs import common
from tal_jax.data import assemble
from tal_jax.data.annotations import from_videos
from tal_jax.data.records import FrameFeatures, RawData, Split, TimeGrid, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.pool import PROPOSALS, ROWS
from tal_jax.runs import context, learner_checks

IDS = ("k0", "k1", "s0", "s1", "t0")
SPLIT = Split(("k0", "k1"), ("s0", "s1"), ("t0",))


def data(labels=None, features=None, split=SPLIT, **options):
  """Five videos of eight seconds with an instance each, whose class `labels` gives ("": none)."""
  labels = dict.fromkeys(IDS, "run") | (labels or {})
  annotated = from_videos(VideoAnnotation(
      i, "training", 8.0, np.array([[1.0, 3.0]])[:len(labels[i])],
      (labels[i],) if labels[i] else ()) for i in IDS)

  def read(video_id):
    values = np.random.default_rng(IDS.index(video_id)).normal(size=(8, 3)).astype(np.float32)
    return FrameFeatures((features or {}).get(video_id, 1.0) * values, TimeGrid(1.0))

  return assemble.assemble(
      RawData(annotated, read, lambda _: np.array([[0.0, 4.0], [2.0, 8.0]]), split, None, ""),
      name="test", encoder="mean", reads=(PROPOSALS, ROWS), **options)


def config(model="point", **changes):
  made = common.defaults()
  made.model = model
  made.data.source = "files"
  made.update_from_flattened_dict(changes)
  return made


def test_all_sets_have_instances():
  learner_checks.check_truths(data())
  learner_checks.check_truths(data(), ["knowledge_source"])
  learner_checks.check_truths(data({"s0": ""}))
  learner_checks.check_truths(data({"k0": "", "k1": "", "s0": "jump"}))


@pytest.mark.parametrize(("labels", "sets", "message"), [
    ({"s0": "", "s1": ""}, ["selection", "testing"],
     "Selection: none of its 2 videos has an instance .* nothing to learn"),
    ({"t0": ""}, ["selection", "testing"],
     "Testing: none of its 1 videos has an instance .* nothing to measure"),
    ({"k0": "", "k1": ""}, ["knowledge_source"], "Knowledge-Source: none of its 2 videos"),
    ({"s0": "jump", "s1": "hop"}, ["selection", "testing"],
     "no class in common: Selection has hop, jump, Testing run:")])
def test_sets_without_instances(labels, sets, message):
  with pytest.raises(DataError, match=message) as fault:
    learner_checks.check_truths(data(labels), sets)
  assert "\n" not in str(fault.value)


def test_a_truth_without_length_is_none():
  shut = data()
  shut = shut._replace(selection=shut.selection._replace(
      truth_mask=np.zeros_like(shut.selection.truth_mask)))
  with pytest.raises(DataError, match="Selection: none"):
    learner_checks.check_truths(shut)


def test_load_data_looks_at_the_truths(monkeypatch):
  """All that measure a learning curve load through it."""
  blind = data({"s0": "", "s1": ""})
  monkeypatch.setattr(context.sources, "load", lambda *_, **__: blind)
  report = types.SimpleNamespace(say=lambda _: None, working=lambda *_: None)
  with pytest.raises(DataError, match="Selection: none of its 2 videos"):
    context.load_data(config(), 0, report)
  assert context.load_data(config(), 0, report, learnt=()).ids == SPLIT


def test_no_knowledge_source():
  cold, warm = data(split=SPLIT._replace(knowledge_source=())), data()
  made = config()
  made.data.split = {"kind": "drawn_subjects"}
  for found, learners in ((warm, ["lal"]), (cold, [])):
    learner_checks.check_knowledge_source(made, found, learners)
  with pytest.raises(DataError) as fault:
    learner_checks.check_knowledge_source(made, cold, ["mcle", "lal"])
  assert str(fault.value) == (
      "mcle and lal learn from Knowledge-Source, and data.split.kind = 'drawn_subjects' leaves it "
      "without a video: take a split that has one (configs/files.py:class or :subject, or :list "
      "with ids in knowledge_source), or choose other strategies")
  with pytest.raises(DataError, match="^lal learns from .*knowledge_source\\)$"):
    learner_checks.check_knowledge_source(made, cold, ["lal"], instead="")


def trained(**metrics):
  return types.SimpleNamespace(metrics=metrics)


GOOD = {"w": jnp.ones(3), "n": jnp.zeros((), jnp.int32)}


def refused(model, params, fit, found, **changes):
  with pytest.raises(DataError) as fault:
    learner_checks.check_training(config(model, **changes), model, params, fit, found,
                                  when="seed 0, 8 labels", after="Nothing is lost")
  text = str(fault.value)
  assert text.startswith("seed 0, 8 labels: the training of the model ") and "\n" not in text
  assert text.endswith(". Nothing is lost")
  return text


def test_a_finite_training_passes():
  for model in ("point", "paper"):
    learner_checks.check_training(config(model), model, GOOD, trained(loss=0.5, converged=True),
                                  data(), when="")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_rate_of_a_network(value):
  text = refused("frames", GOOD, trained(loss=float(value), steps=3), data())
  assert f"'frames' ended in numbers that are not finite (loss = {value}): the features" in text
  assert "lower frames.learning_rate, which is 0.002." in text
  text = refused("auto", {"w": jnp.array([1.0, value])}, trained(loss=1.0, model="point"), data())
  assert "'auto' (point) ended in numbers that are not finite: the features are finite" in text
  assert "lower point.learning_rate" in text


def test_a_faulty_video_is_named():
  one, two = {"s1": np.nan}, {"s0": np.inf, "s1": np.nan}
  for model, values, named in (("paper", one, "s1 has features"),
                               ("stage_wise", two, r"s0 (and 1 more videos) has features")):
    text = refused(model, {"w": jnp.array([np.nan])}, trained(duality_gap=np.nan),
                   spoilt(data(), values))
    assert f"{named} that are NaN or infinite: extract them again" in text
  text = refused("point", {"w": jnp.array([np.nan])}, trained(loss=1.0), spoilt(data(), one))
  assert "s1 has features that are NaN or infinite" in text


def spoilt(found, factors):
  """The data with a value of each of these videos of Selection multiplied."""
  pool = found.selection
  features, values = pool.features.copy(), pool.rows.values.copy()
  for video_id, factor in factors.items():
    i = found.ids.selection.index(video_id)
    features[i, 1, 2] *= factor
    values[pool.rows.first[i] + 5, 1] *= factor
  return found._replace(selection=pool._replace(features=features,
                                                rows=pool.rows._replace(values=values)))


def test_large_features_are_told():
  found = spoilt(data(), {"s1": 1e30})
  text = refused("stage_wise", {"w": jnp.array([np.inf])}, trained(), found)
  largest = np.abs(found.selection.features[1]).max()
  assert f"the features are finite, the largest value is {largest:g} (s1)" in text
  assert "data.normalize=standardize" in text


def test_remarks():
  state = types.SimpleNamespace(annotation_mask=np.zeros((3, 2), bool),
                                labeled=np.array([True, True, False]))
  silent, told = trained(), types.SimpleNamespace(statement="point: mind the gap")
  assert learner_checks.remarks(state, silent) == [
      "none of the 2 labelled videos has an instance: there is nothing to learn from yet"]
  state.annotation_mask[0, 0] = True
  assert learner_checks.remarks(state, silent) == []
  assert learner_checks.remarks(state, told) == ["point: mind the gap"]
