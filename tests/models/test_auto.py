"""`Auto` over stub models: what it chooses, when, on which labels, and what it says."""

import dataclasses
import types
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import checkpoints, learner, pool as pool_lib
from tal_jax.models import auto as lib, localizer
from tal_jax.models.attending import Attending
from tal_jax.models.localizer import Confidences, Detections, Picks
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.pool import PROPOSALS, ROWS
from tests import pools

pytestmark = pytest.mark.slow

CLASSES = pools.NUM_CLASSES
FITS = []  # (name, videos it was trained on, fits before by its parameters, and by its memory)


class StubInfo(NamedTuple):
  num_videos: int

  @property
  def metrics(self):
    return {"num_videos": self.num_videos}


@dataclasses.dataclass(frozen=True)
class Stub:
  """Finds the truths themselves, moved by so many seconds: the less, the better it is."""

  name: str
  shift: float
  reads: tuple[str, ...] = (PROPOSALS,)
  size: int = 2  # of its parameters

  def init(self, pool, num_classes):
    return {"fits": jnp.zeros((), jnp.int32), "w": jnp.zeros((self.size, num_classes))}

  def empty_memory(self, pool):
    return jnp.zeros(self.size, jnp.int32)

  def fit(self, key, pool, labeled, *, start, memory):
    videos = np.flatnonzero(labeled).tolist()
    FITS.append((self.name, videos, int(start["fits"]), int(memory[0])))
    params = {"fits": start["fits"] + 1, "w": start["w"] + len(videos)}
    return params, StubInfo(len(videos)), memory + 1

  def detect(self, params, pool):
    scores = jnp.where(pool.truth_mask, 0.5, 0.0)
    return Detections(pool.truths + self.shift, scores, scores, pool.truth_mask, scores,
                      pool.truth_labels)

  def confidences(self, params, pool, memory):
    seen = 0 if memory is None else int(memory[0])
    return Confidences(np.full((pool.num_videos, 1), self.shift), seen)

  def picks(self, params, pool, memory):
    return Picks(self.name, int(params["fits"]), None if memory is None else memory, None, None)

  def embed(self, params, pool):
    return np.full((pool.num_videos, self.size), float(params["fits"]))


FAR, NEAR = Stub("far", 6.0), Stub("near", 0.1, (ROWS, PROPOSALS), 3)
AUTO = lib.Auto(("far", "near"), (FAR, NEAR))
SAME = lib.Auto(("one", "two"), (Stub("one", 0.1), Stub("two", 0.1)))


@pytest.fixture
def pool():
  FITS.clear()
  return pools.videos(64)


def fit(videos, pool, *, start=None, memory=None, model=AUTO, key=0):
  return model.fit(jax.random.key(key), pool, np.isin(np.arange(pool.num_videos), videos),
                   start=start or model.init(pool, CLASSES),
                   memory=memory or model.empty_memory(pool))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_with_few_labels_the_first_candidate(count, pool):
  params, info, memory = fit(range(count), pool)
  assert FITS == [("far", list(range(count)), 0, 0)]
  assert (int(params.choice), int(params.chosen_with), info.name) == (0, 0, "far")
  assert info.metrics == {"num_videos": count, "model": "far"}
  assert info.held_out == {}
  assert localizer.statement(info) == (
      f"auto: far, since it takes 8 labelled videos to choose (now {count})")
  # The other's parameters and memory stay as they were.
  chex.assert_trees_all_equal(params.models[1], NEAR.init(pool, CLASSES))
  assert not memory[1].any() and (memory[0] == 1).all()


def test_from_eight_on_the_better_on_held_out_labels(pool):
  videos = list(range(3, 43, 4))  # ten: two or three are held out
  params, info, memory = fit(videos, pool)
  (_, far, *_), (_, near, *_), (name, last, *_) = FITS
  assert name == "near" and last == videos and far == near
  assert set(far) < set(videos) and len(far) == 8
  assert (int(params.choice), int(params.chosen_with), info.name) == (1, 10, "near")
  assert set(info.held_out) == {"far", "near"} and info.held_out["near"] > info.held_out["far"]
  assert info.metrics == {"num_videos": 10, "model": "near"}
  # The final fit begins where the last one ended, not from a candidate's trial.
  assert FITS[-1][2:] == (0, 0) and int(params.models[1]["fits"]) == 1
  assert not params.models[0]["w"].any() and not memory[0].any()
  assert localizer.statement(info) == (
      f"auto: mAP on held-out labels: far {info.held_out['far']:.3f}, "
      f"near {info.held_out['near']:.3f}: near")


def test_the_score_is_the_metric_on_the_cut(pool):
  """By hand: truths moved by 0.1 s are found at every threshold, those by 6 s at few."""
  _, info, _ = fit(range(16), pool)
  cut = np.setdiff1d(np.arange(16), FITS[0][1])
  assert len(cut) == 4
  real = pool.truth_mask[cut]
  lengths = np.asarray(pool.truths[cut][..., 1] - pool.truths[cut][..., 0])[real]
  assert ((lengths - 0.1) / (lengths + 0.1)).min() > 0.95 and info.held_out["near"] == 1.0
  assert ((lengths - 6.0) / (lengths + 6.0)).max() < 0.55 and info.held_out["far"] < 0.1


def test_trials_stand_for_the_candidates_until_one_is_chosen(pool):
  """The far one's trial is near, and the other way round: the trials decide."""
  trials = (Stub("far, in short", 0.1), Stub("near, in short", 6.0, size=3))
  model = dataclasses.replace(AUTO, trials=trials)
  params, info, _ = fit(range(16), pool, model=model)
  assert [name for name, *_ in FITS] == ["far, in short", "near, in short", "far"]
  assert info.name == "far" and int(params.choice) == 0 and FITS[-1][1] == list(range(16))
  assert set(info.held_out) == {"far", "near"} and info.held_out["far"] == 1.0
  assert int(params.models[0]["fits"]) == 1  # its own, not its trial's


def test_a_tie_goes_to_the_first(pool):
  params, info, _ = fit(range(8), pool, model=SAME)
  assert info.held_out["one"] == info.held_out["two"] > 0 and int(params.choice) == 0
  assert int(params.chosen_with) == 8


def test_chosen_again_only_after_the_labels_have_doubled(pool):
  params = memory = None
  chosen = []
  for count in (4, 8, 12, 15, 16, 24, 31, 32, 64):
    FITS.clear()
    params, info, memory = fit(range(count), pool, start=params, memory=memory)
    chosen.append((count, int(params.chosen_with), len(FITS),
                   localizer.statement(info).startswith("auto: mAP on held-out labels: ")))
    assert info.name == ("far" if count < 8 else "near")
  assert chosen == [(4, 0, 1, False), (8, 8, 3, True), (12, 8, 1, False), (15, 8, 1, False),
                    (16, 16, 3, True), (24, 16, 1, False), (31, 16, 1, False), (32, 32, 3, True),
                    (64, 64, 3, True)]
  assert int(params.models[1]["fits"]) == 8 and int(memory[1][0]) == 8  # from round to round
  assert int(params.models[0]["fits"]) == 1


def test_a_choice_may_go_back(pool):
  params, _, memory = fit(range(8), pool)
  swapped = lib.Auto(AUTO.names, (dataclasses.replace(FAR, shift=0.0), NEAR))
  again, info, _ = fit(range(16), pool, start=params, memory=memory, model=swapped)
  assert info.name == "far" and int(again.choice) == 0 and int(again.models[1]["fits"]) == 1


def test_what_the_chosen_model_says_is_passed_on(pool, monkeypatch):
  _, info, _ = fit(range(8), pool)
  told = info._replace(fit=types.SimpleNamespace(statement="near: mind the gap"))
  assert localizer.statement(told) == localizer.statement(info) + "; near: mind the gap"
  assert localizer.statement(told._replace(held_out={})) == "near: mind the gap"


def test_a_candidate_whose_score_is_no_number_is_not_chosen(pool, monkeypatch):
  scores = iter([np.nan, 0.25])
  monkeypatch.setattr(lib, "mean_ap", lambda *_: types.SimpleNamespace(average_map=next(scores)))
  _, info, _ = fit(range(8), pool)
  assert info.name == "near" and info.held_out == {"far": 0.0, "near": 0.25}


def test_the_cut_depends_on_the_key(pool):
  def trained(key):
    FITS.clear()
    fit(range(32), pool, key=key)
    return FITS[0][1]

  assert trained(0) == trained(0) != trained(1)


def test_the_longest_video_is_never_held_out(pool):
  """So that the crops of a trial are as long as those of all labels."""
  pool = pool._replace(durations=pool.durations.at[5].set(1e4).at[40].set(1e5))  # 40: not labelled
  for key in range(12):
    FITS.clear()
    fit(range(8), pool, key=key)
    assert len(FITS[0][1]) == 6 and 5 in FITS[0][1]


def test_a_cut_without_truth_decides_nothing(pool):
  blind = pools.without_truths(pool)
  params, info, _ = fit(range(12), blind)
  assert [name for name, *_ in FITS] == ["far"]
  assert (int(params.choice), int(params.chosen_with)) == (0, 0)
  assert info.metrics["model"] == "far" and localizer.statement(info) == (
      "auto: far, since no held-out label has an instance to choose by")
  # It is tried again in the next round.
  params, info, _ = fit(range(13), pool, start=params)
  assert int(params.chosen_with) == 13 and info.name == "near"


def test_truths_of_unlabelled_videos_are_not_read(pool):
  other = pools.videos(64, seed=5)
  mixed = pool._replace(**{name: getattr(other, name).at[:16].set(getattr(pool, name)[:16])
                           for name in ("truths", "truth_labels", "truth_mask")})
  a, b = fit(range(16), pool), fit(range(16), mixed)
  assert a[1] == b[1]
  chex.assert_trees_all_equal(a[0], b[0])


def test_what_is_asked_goes_to_the_chosen_model(pool):
  params, _, memory = fit(range(8), pool)
  few = pool_lib.take(pool, np.arange(3))
  for chosen, stub in ((0, FAR), (1, NEAR)):
    p = params._replace(choice=jnp.asarray(chosen))
    np.testing.assert_allclose(AUTO.detect(p, few).segments, few.truths + stub.shift)
    values, seen = AUTO.confidences(p, few, memory)
    assert (values == stub.shift).all() and seen == chosen
    assert AUTO.confidences(p, few, None)[1] == 0  # another pool has no memory
    assert AUTO.picks(p, few, memory)[:2] == (stub.name, chosen)
    assert AUTO.picks(p, few, None)[2] is None
    assert AUTO.embed(p, few).shape == (3, stub.size)
  assert AUTO.reads == (PROPOSALS, ROWS)
  assert not isinstance(AUTO, Attending) and hash(AUTO) == hash(
      lib.Auto(("far", "near"), (FAR, NEAR)))


def test_a_checkpoint_is_restored(pool, tmp_path):
  """Before the choice and after it the shapes are the same; a stage-wise model has a memory."""
  model = lib.Auto(("far", "paper"), (FAR, StageWise(pools.SETTINGS)))
  first = learner.init(jax.random.key(0), pool, num_classes=CLASSES, localizer=model)
  state, _ = learner.label(first, pool, jnp.arange(9), learner.simulated_oracle(jax.random.key(1)))
  state, info = learner.train(state, pool)
  assert set(info.held_out) == {"far", "paper"}
  chex.assert_trees_all_equal_shapes_and_dtypes(state.model, first.model)
  chex.assert_trees_all_equal_shapes_and_dtypes(state.memory, first.memory)
  kept = checkpoints.Checkpoints(tmp_path / "c")
  kept.save(state)
  again = kept.restore(first)
  kept.close()
  assert again is not None and isinstance(again.model, lib.AutoParams)
  chex.assert_trees_all_equal(again.model, state.model)
  chex.assert_trees_all_equal(again.memory, state.memory)
  assert int(again.model.chosen_with) == 9


def test_a_choice_is_kept_over_a_checkpoint(pool, tmp_path):
  def trained(state, videos):
    state, _ = learner.label(state, pool, jnp.asarray(videos),
                             learner.simulated_oracle(jax.random.key(1)))
    return learner.train(state, pool)

  first = learner.init(jax.random.key(0), pool, num_classes=CLASSES, localizer=AUTO)
  state, info = trained(first, np.arange(8))
  assert info.name == "near"
  kept = checkpoints.Checkpoints(tmp_path / "c")
  kept.save(state)
  again = kept.restore(first)
  kept.close()
  FITS.clear()
  on, same = trained(state, np.arange(8, 12)), trained(again, np.arange(8, 12))
  assert [name for name, *_ in FITS] == ["near", "near"] and on[1] == same[1]
  chex.assert_trees_all_equal(on[0].model, same[0].model)
