"""The point detector from end to end, on synthetic videos whose features say where and what.

Nearly all of these trainings are the same compiled program: 64 rows, two classes, `DEFAULT` levels.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import pool as pool_lib
from tal_jax.data.records import GroundTruth, Predictions
from tal_jax.metrics.average_precision import detection_map
from tal_jax.models.networks import labeled_rows, training as row_training
from tal_jax.models.networks.training import CHUNK, Schedule
from tal_jax.models.point import detector as lib
from tal_jax.models.point.levels import DEFAULT, Levels
from tal_jax.models.point.network import Network
from tal_jax.models.point.training import Loss
from tests import row_pools
from tests.row_pools import DIM, five_videos as pool

pytestmark = pytest.mark.slow

CLASSES, LENGTH = 2, 64
SETTINGS = lib.Settings(width=16, members=1, steps=6 * CHUNK, warm_steps=CHUNK, top_k=4,
                        schedule=Schedule(learning_rate=5e-3, batch_size=4))
BRIEF = SETTINGS._replace(steps=CHUNK)
POINT = lib.Point(SETTINGS)


def labeled(*videos):
  return np.isin(np.arange(5), videos)


def fit(videos, *, start=None, settings=SETTINGS, seed=0, pool_=None):
  pool_ = pool_ or pool()
  point = lib.Point(settings)
  return point.fit(jax.random.key(seed), pool_, np.isin(np.arange(pool_.num_videos), videos),
                   start=start or point.init(pool_, CLASSES), memory=None)


@functools.cache
def one_video():
  return fit([0])


def test_one_video_is_learnt_by_heart():
  params, info, memory = one_video()
  assert (info.num_steps, info.levels, memory) == (300, DEFAULT, None)
  assert set(info.metrics) == {"loss", "num_steps", "finest_stride", "coarsest_stride"}
  assert info.loss < 0.3 and info.metrics["coarsest_stride"] == 32
  assert params.begun_with == 1
  found = POINT.detect(params, pool())
  truths, real = pool().truths[:1], pool().truth_mask[:1]
  truth = GroundTruth(np.zeros(3, int), pool().truth_labels[0], truths[real].astype(float), CLASSES)
  kept = found.mask[0]
  predictions = Predictions(np.zeros(kept.sum(), int), found.labels[0][kept],
                            found.segments[0][kept].astype(float), found.scores[0][kept])
  assert detection_map(truth, predictions, [0.5, 0.75]).mean_ap.min() == 1.0
  # What selection functions read tells the same.
  picks = POINT.picks(params, pool(), None)
  best = picks.segments[0][picks.mask[0]][:3]
  np.testing.assert_allclose(best[np.argsort(best[:, 0])], truths[0], atol=1.5)
  confidences = POINT.confidences(params, pool(), None)
  assert confidences.values.shape == (5, 32) and confidences.values.max() > 0.5
  np.testing.assert_array_equal(confidences.mask.sum(1), [30, 32, 25, 20, 17])
  assert POINT.embed(params, pool()).shape == (5, 16)


def test_the_same_key_gives_the_same_bytes():
  chex.assert_trees_all_equal(one_video()[0], fit([0])[0])
  other = fit([0], seed=1)[0]
  assert (np.asarray(one_video()[0].network["scale"]) != np.asarray(other.network["scale"])).any()


def test_more_padding_changes_nothing():
  params = one_video()[0]
  grown = pool_lib.pad(pool(), num_videos=8)
  chex.assert_trees_all_equal(params, fit([0], pool_=grown)[0])
  # A labelled video without rows is none.
  chex.assert_trees_all_equal(params, fit([0, 6], pool_=grown)[0])
  few, more = POINT.detect(params, pool()), POINT.detect(params, grown)
  for name in ("segments", "scores", "labels", "mask"):
    np.testing.assert_array_equal(getattr(few, name), getattr(more, name)[:5])
    assert not more.mask[5:].any()
  for read in (POINT.confidences, POINT.picks):
    for a, b in zip(read(params, pool(), None), read(params, grown, None), strict=True):
      np.testing.assert_array_equal(a, b[:5])
      assert np.isfinite(b).all()


@pytest.fixture
def without_steps(monkeypatch):
  monkeypatch.setattr(row_training, "run_many", lambda progress, *_, **__: (progress, np.zeros(1)))


def test_warm_starts(without_steps):
  params, info, _ = fit([0])
  assert info.num_steps == 300
  doubled, info, _ = fit([0, 1], start=params)
  assert info.num_steps == 300 and doubled.begun_with == 2  # one became two: from nothing
  more, info, _ = fit([0, 1, 2], start=doubled)
  assert info.num_steps == CHUNK and more.begun_with == 2
  chex.assert_trees_all_equal(more.network, doubled.network)  # (no step was taken)
  more, info, _ = fit([0, 1, 2, 3], start=more)
  assert info.num_steps == 300 and more.begun_with == 4
  _, info, _ = fit([0, 1, 2], start=doubled, settings=SETTINGS._replace(warm_steps=0))
  assert info.num_steps == 300


@pytest.mark.parametrize("begun_with, num_videos, levels, wanted, warm_steps, goes_on", [
    (0, 1, Levels(2, 5), Levels(2, 5), 100, False),  # the first labels
    (5, 5, Levels(2, 5), Levels(2, 5), 100, True),
    (5, 9, Levels(2, 5), Levels(2, 5), 100, True),
    (5, 10, Levels(2, 5), Levels(2, 5), 100, False),  # twice as many
    (5, 3, Levels(2, 5), Levels(2, 5), 100, True),  # answers were taken back
    (5, 9, Levels(2, 5), Levels(2, 5), 0, False),
    (5, 9, Levels(2, 6), Levels(4, 5), 100, True),  # as fine, and as coarse: 64 rows
    (5, 9, Levels(2, 5), Levels(1, 6), 100, False),  # a finer level is wanted
    (5, 9, Levels(2, 5), Levels(4, 5), 100, False)])  # 32 rows, and 64 are wanted
def test_the_rule_of_the_number_of_steps(begun_with, num_videos, levels, wanted, warm_steps,
                                         goes_on):
  settings = lib.Settings(warm_steps=warm_steps)
  assert lib.goes_on(levels, begun_with, num_videos, wanted, settings) is goes_on


def test_a_training_from_nothing_takes_the_same_steps_for_any_number_of_labels(without_steps):
  assert (lib.Settings().steps, lib.Settings().warm_steps) == (400, 100)
  for videos in ([0], [0, 1], [0, 1, 2, 3, 4]):
    assert fit(videos)[1].num_steps == SETTINGS.steps


def test_levels_that_no_longer_do_begin_again(without_steps):
  params, _, _ = fit([0, 1])
  point = lib.Point(SETTINGS)
  for truth, expected in (([8.0, 508.0], Levels(2, 6)), ([4.0, 6.0], Levels(1, 5))):
    changed = pool()._replace(truths=pool().truths.copy())
    changed.truths[2, :2] = row_pools.START + row_pools.STEP * np.array(truth)
    again, info, _ = point.fit(jax.random.key(0), changed, labeled(0, 1, 2), start=params,
                               memory=None)
    assert info.num_steps == 300 and info.levels == expected
    assert again.begun_with == 3 and Levels(*map(int, again.levels)) == expected
    chex.assert_trees_all_equal_shapes_and_dtypes(again, params)  # a checkpoint can be restored


def test_a_warm_start_goes_on():
  """After 50 more steps on the same video it is not worse."""
  params, before, _ = one_video()
  after, info, _ = fit([0], start=params)
  assert info.num_steps == CHUNK and info.loss < 1.5 * before.loss
  assert after.begun_with == 1 and (np.asarray(after.network["scale"])
                                    != np.asarray(params.network["scale"])).any()


def test_no_labels_yet():
  start = POINT.init(pool(), CLASSES)
  params, info, _ = fit([], start=start)
  chex.assert_trees_all_equal(params, start)
  assert info.num_steps == 0 and POINT.empty_memory(pool()) is None
  found, picks = POINT.detect(params, pool()), POINT.picks(params, pool(), None)
  for leaf in (*found, *picks, *POINT.confidences(params, pool(), None),
               POINT.embed(params, pool())):
    assert np.isfinite(leaf).all()
  assert 0 < found.scores.max() < 0.1  # every class is rare before training


def train(videos, *, num=CHUNK):
  """The same program, whatever levels would be chosen for these videos."""
  data = labeled_rows.of_pool(row_pools.make(videos, num_truths=3), np.ones(len(videos), bool))
  start = POINT.init(pool(), CLASSES)
  network = Network(CLASSES, DEFAULT, SETTINGS.width, SETTINGS.context)
  steps = row_training.plan(jax.random.key(0), np.asarray(data.count), num, SETTINGS.schedule,
                            length=LENGTH)
  return row_training.run(row_training.begin(first_of(start.network), jnp.zeros(())), data, steps,
                          loss_fn=Loss(network), length=LENGTH, schedule=SETTINGS.schedule)


def first_of(tree):
  """The first member of an ensemble."""
  return jax.tree.map(lambda leaf: leaf[0], tree)


@pytest.mark.parametrize("videos", [
    [(row_pools.noise(60), [], [])],  # no truth at all
    [(row_pools.noise(60), [[-300.0, 400.0]], [0])],  # longer than all levels are for
    [(row_pools.noise(60), [[7.8, 8.1], [9.3, 9.6]], [0, 1])],  # shorter than a row
    [(row_pools.noise(3), [[0.0, 2.0]], [1]), (row_pools.noise(2), [[0.5, 1.5]], [0]),
     (row_pools.noise(1), [[-0.4, 0.4]], [0])],
    [(row_pools.noise(60), [[2.0, 12.0]] * 3, [0, 1, 1])],  # the same truth three times
    [(np.full((60, DIM), 1e4), [[2.0, 12.0]], [0])],  # before normalisation cuts it off
], ids=["none", "long", "short", "few rows", "equal", "huge"])
def test_extreme_videos_train(videos):
  progress, loss = train(videos)
  assert np.isfinite(loss)
  for leaf in jax.tree.leaves(progress):
    assert np.isfinite(leaf).all()


def test_labelled_videos_without_truths():
  params, info, _ = fit([4], settings=BRIEF)
  assert info.num_steps == CHUNK and info.levels == DEFAULT and np.isfinite(info.loss)
  assert params.begun_with == 1
  assert POINT.detect(params, pool()).scores.max() < 0.2


def test_a_class_of_one_instance():
  """Both classes are learnt from four videos of the one and a single instance of the other."""
  rare = pool()._replace(truth_labels=np.where(pool().truth_mask, 0, -1))
  rare.truth_labels[1, 0] = 1
  values = rare.rows.values.copy()
  values[:, 0], values[:, 1] = values[:, :2].sum(1), 0.0
  values[60:124, 1], values[60:124, 0] = pool().rows.values[60:124, 1], 0.0
  rare = rare._replace(rows=rare.rows._replace(values=values))
  params, info, _ = fit([0, 1, 2, 3], pool_=rare)
  assert info.levels == DEFAULT
  found = POINT.detect(params, rare)
  assert found.labels[0, 0] == 0 and found.labels[1, 0] == 1
  np.testing.assert_allclose(found.segments[1, 0], rare.truths[1, 0], atol=2.0)


def test_one_class():
  videos = [row_pools.signal(60, [[4.0, 14.0], [24.0, 42.0]], [0, 0])]
  one = row_pools.make(videos)
  point = lib.Point(BRIEF._replace(width=8, context="maxpool"))
  params, info, _ = point.fit(jax.random.key(0), one, np.array([True]), start=point.init(one, 1),
                              memory=None)
  found = point.detect(params, one)
  assert np.isfinite(info.loss) and lib.num_classes(params) == 1
  assert found.mask.any() and not found.labels.any()
  assert point.picks(params, one, None).classes.shape == (1, SETTINGS.top_k, 1)


def test_the_training_lowers_for_accelerators():
  data = labeled_rows.of_pool(pool(), labeled(0, 1))
  network = Network(CLASSES, DEFAULT, SETTINGS.width, SETTINGS.context)
  steps = row_training.plan(jax.random.key(0), np.asarray(data.count), CHUNK, SETTINGS.schedule,
                            length=LENGTH)
  begun = row_training.begin(first_of(POINT.init(pool(), CLASSES).network), jnp.zeros(()))
  traced = row_training._chunk.trace(begun, data, steps, loss_fn=Loss(network), length=LENGTH,
                                     schedule=SETTINGS.schedule)
  for platform in ("tpu", "cuda"):
    assert traced.lower(lowering_platforms=(platform,)).as_text()


def test_an_ensemble(monkeypatch):
  """Its members differ, find the truths together, and go on from their own weights."""
  settings = SETTINGS._replace(members=2)
  params, info, _ = fit([0, 1], settings=settings)
  for leaf, other in zip(*(jax.tree.leaves(tree) for tree in (
      params.network, POINT.init(pool(), CLASSES).network)), strict=True):
    assert leaf.shape == (2, *other.shape[1:])
  scale = np.asarray(params.network["scale"])
  assert (scale[0] != scale[1]).any() and np.isfinite(info.loss)
  point = lib.Point(settings)
  assert point.embed(params, pool()).shape == (5, 32)
  found = point.detect(params, pool())
  for video in (0, 1):
    real = pool().truth_mask[video]
    best = found.segments[video, :real.sum()]
    np.testing.assert_allclose(best[np.argsort(best[:, 0])], pool().truths[video][real], atol=1.5)
  data = labeled_rows.of_pool(pool(), labeled(0, 1))
  warm, info = lib.fit(jax.random.key(5), data, start=params, settings=settings)
  assert info.num_steps == CHUNK
  # Side by side in one program, as on an accelerator, the members learn the same.
  monkeypatch.setattr(row_training, "run_many",
                      functools.partial(row_training.run_many, side_by_side=True))
  together, _ = lib.fit(jax.random.key(5), data, start=params, settings=settings)
  chex.assert_trees_all_close(together, warm, atol=1e-4)


def test_a_trial_is_the_first_network_in_every_member_s_place():
  settings = BRIEF._replace(members=3)
  trial, start = lib.Trial(settings), lib.Point(settings).init(pool(), CLASSES)
  one, info, memory = trial.fit(jax.random.key(3), pool(), labeled(0, 1), start=start, memory=None)
  all_three, *_ = fit([0, 1], settings=settings, seed=3)
  chex.assert_trees_all_equal_shapes_and_dtypes(one, all_three)
  for found, whole in zip(*(jax.tree.leaves(p.network) for p in (one, all_three)), strict=True):
    np.testing.assert_array_equal(found, np.repeat(whole[:1], 3, axis=0))
  assert memory is None and info.num_steps == CHUNK and one.begun_with == 2
  assert trial.detect(one, pool()).mask.any()


def test_instances_that_do_not_fit_the_levels_are_told():
  info = lib.PointInfo(0.1, 400, Levels(2, 5), outside=(1, 9), num_instances=100)
  assert info.statement == ""
  said = info._replace(outside=(2, 9)).statement
  assert "of 8 to 256 rows; of 100 labelled instances 2 are shorter and 9 are longer" in said
