"""The control that classifies rows and groups them, on videos whose features say where and what.

Nearly all of these trainings are the same compiled program: 64 rows, two classes, width 8.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax import pool as pool_lib
from tal_jax.metrics.detections import mean_ap, truth_of
from tal_jax.models import frames as lib
from tal_jax.models.networks import windows as row_windows
from tal_jax.models.networks.labeled_rows import NONE, Batch, LabeledRows
from tal_jax.models.networks.training import CHUNK, Schedule
from tests import row_pools
from tests.row_pools import DIM, START, STEP, five_videos as pool

pytestmark = pytest.mark.slow

CLASSES = 2
SETTINGS = lib.Settings(width=8, steps=6 * CHUNK, top_k=4,
                        schedule=Schedule(learning_rate=1e-2, batch_size=4))
BRIEF = SETTINGS._replace(steps=CHUNK)
FRAMES = lib.Frames(SETTINGS)
OUTPUTS = ("segments", "scores", "labels", "mask")


def fit(videos, *, settings=SETTINGS, seed=0, pool_=None, classes=CLASSES, start=None):
  pool_ = pool_ or pool()
  model = lib.Frames(settings)
  return model.fit(jax.random.key(seed), pool_, np.isin(np.arange(pool_.num_videos), videos),
                   start=start or model.init(pool_, classes), memory=None)


@functools.cache
def learnt():
  return fit(range(5))


def test_smoothed_by_hand():
  p = np.array([[0.0, 1], [3, 1], [6, 4], [0, 4]])
  np.testing.assert_array_equal(lib.smoothed(p, 1), p)
  np.testing.assert_allclose(lib.smoothed(p, 3), [[1.5, 1], [3, 2], [3, 3], [3, 4]])
  np.testing.assert_allclose(lib.smoothed(p, 99), np.tile(p.mean(0), (4, 1)))
  assert lib.smoothed(np.zeros((0, 2)), 3).shape == (0, 2)


def test_runs_by_hand():
  """A row at the threshold is out; runs at both ends; classes overlap."""
  p = np.array([[0.75, 0.0], [0.5, 0.75], [0.25, 1.0], [0.3, 0.0], [0.5, 0.5]])
  bounds, labels, scores = lib.runs(p, 0.3)
  np.testing.assert_array_equal(bounds, [[-0.5, 1.5], [3.5, 4.5], [0.5, 2.5], [3.5, 4.5]])
  np.testing.assert_array_equal(labels, [0, 0, 1, 1])
  np.testing.assert_allclose(scores, [0.625, 0.5, 0.875, 0.5])
  for nothing in (np.zeros((4, 2)), np.zeros((0, 2))):
    bounds, labels, scores = lib.runs(nothing, 0.3)
    assert bounds.shape == (0, 2) and labels.shape == scores.shape == (0,)


def drawn(seed, t, c):
  return np.random.default_rng(seed).integers(0, 8, (t, c)) / 8


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 3), st.integers(0, 7))
def test_smoothed_equals_a_slow_loop(seed, t, c, half):
  p = drawn(seed, t, c)
  slow = [[np.mean(p[max(0, i - half):i + half + 1, k]) for k in range(c)] for i in range(t)]
  np.testing.assert_allclose(lib.smoothed(p, 2 * half + 1), np.reshape(slow, (t, c)), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 3),
       st.sampled_from([0.0, 0.3, 0.5, 0.875]))
def test_runs_equal_a_slow_loop(seed, t, c, threshold):
  p, slow = drawn(seed, t, c), []
  for k in range(c):
    begin = None
    for i in range(t + 1):
      if i < t and p[i, k] > threshold:
        begin = i if begin is None else begin
      elif begin is not None:
        slow.append((begin - 0.5, i - 0.5, k, p[begin:i, k].mean()))
        begin = None
  bounds, labels, scores = lib.runs(p, threshold)
  got = np.column_stack([bounds, labels, scores])
  np.testing.assert_allclose(got, np.reshape(slow, (-1, 4)), atol=1e-12)


def test_the_targets_of_the_loss_by_hand():
  """Rows at and between the bounds; a padded truth, a padded row and another class do not count."""
  truths = jnp.array([[[1.0, 2.5], [2.0, 3.0], [0.0, 4.0]]])  # classes 1, 0; the third is padding
  mask = jnp.array([[True, True, True, True, False]])
  x = jnp.asarray(row_pools.noise(5))[None]
  loss = lib.Loss(lib.Network(CLASSES, 8, ()))
  params = {"out": {"kernel": jnp.ones((1, DIM, CLASSES)), "bias": jnp.array([0.5, -1.0])}}
  batch = Batch(x, mask, truths, jnp.array([[1, 0, 1]]), jnp.array([[True, True, False]]))
  target = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
  logits = np.asarray(x[0, :4], np.float64).sum(1, keepdims=True) + [0.5, -1.0]
  p = 1 / (1 + np.exp(-logits))
  wanted = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
  got, state = loss(params, jax.random.key(0), batch, ())
  np.testing.assert_allclose(got, wanted, rtol=1e-5)
  assert state == ()


@pytest.mark.parametrize(("lengths", "share", "rows"), [
    ([], 0.5, 1), ([8.0], 0.5, 5), ([7.9], 0.5, 3), ([1.0], 0.5, 1), ([8.0] * 30 + [99.0], 0.5, 5),
    ([20.0], 1.0, 21), ([20.0], 0.0, 1)])
def test_the_size_of_the_mean_by_hand(lengths, share, rows):
  n = len(lengths)
  truths = np.zeros((1, 32, 2), np.float32)
  truths[0, :n, 0], truths[0, :n, 1] = 3.0, np.float32(3.0) + np.array(lengths, np.float32)
  data = LabeledRows(None, None, None, truths, None, np.arange(32)[None] < n)
  assert lib._smoothing(data, share) == rows


def test_toy_videos_are_learnt_by_heart():
  params, info, memory = learnt()
  assert memory is None and info.num_steps == 300 and info.loss < 0.15
  assert info.metrics == {"loss": info.loss, "num_steps": 300}
  assert int(params.smoothing) == 5 and int(params.smoothing) % 2
  found = FRAMES.detect(params, pool())
  assert mean_ap(truth_of(pool(), num_classes=CLASSES), found).mean_ap[:6].min() == 1.0  # to 0.75
  assert found.labels.dtype == np.int32 and not found.mask[4, 1:].any()
  assert (np.diff(np.where(found.mask, found.scores, 0)) <= 0).all()  # the best first
  # What selection functions read tells the same.
  confidences = FRAMES.confidences(params, pool(), None)
  assert confidences.values.shape == (5, 64)
  np.testing.assert_array_equal(confidences.mask.sum(1), [60, 64, 50, 40, 33])
  assert not confidences.values[~confidences.mask].any()
  assert confidences.values[0, 8] > 0.5 > confidences.values[0, 19]
  picks = FRAMES.picks(params, pool(), None)
  np.testing.assert_array_equal(picks.segments, found.segments[:, :4])
  np.testing.assert_array_equal(picks.classes.argmax(-1)[picks.mask],
                                found.labels[:, :4][picks.mask])
  np.testing.assert_allclose(picks.classes.sum(-1), picks.mask, atol=1e-6)
  assert picks.embedding.shape == (5, 4, 8) and FRAMES.embed(params, pool()).shape == (5, 8)
  assert np.linalg.norm(picks.embedding, axis=-1)[picks.mask].min() > 0


def test_overfitted_to_a_perfect_score():
  """No crops, no noise, and bounds half a row beyond the rows: nothing is left to be wrong."""
  some = row_pools.make([
      row_pools.signal(60, [[3.5, 14.5], [23.5, 42.5], [45.5, 56.5]], [0, 1, 0]),
      row_pools.signal(64, [[9.5, 30.5], [20.5, 40.5]], [1, 0], seed=1)], num_truths=3)
  still = SETTINGS.schedule._replace(augmentation=NONE)
  params, info, _ = fit([0, 1], pool_=some, settings=SETTINGS._replace(smoothing=0.0,
                                                                       schedule=still))
  found = FRAMES.detect(params, some)
  assert mean_ap(truth_of(some, num_classes=CLASSES), found).average_map == pytest.approx(1.0)
  assert info.loss < 0.05 and int(params.smoothing) == 1
  best = found.segments[1, :2]
  np.testing.assert_allclose(best[np.argsort(best[:, 0])], some.truths[1, :2], atol=1e-4)


def test_the_same_key_gives_the_same_bytes():
  one, same, other = (fit([0, 1], settings=BRIEF, seed=seed)[0] for seed in (0, 0, 1))
  chex.assert_trees_all_equal(one, same)
  assert (one.network["out"]["kernel"] != other.network["out"]["kernel"]).any()
  # The last round's model plays no part.
  chex.assert_trees_all_equal(one, fit([0, 1], settings=BRIEF, start=learnt()[0])[0])


def test_more_padding_changes_nothing():
  params = learnt()[0]
  grown = pool_lib.pad(pool(), num_videos=8)
  brief = fit([0, 1], settings=BRIEF)[0]
  chex.assert_trees_all_equal(brief, fit([0, 1], settings=BRIEF, pool_=grown)[0])
  # A labelled video without rows is none.
  chex.assert_trees_all_equal(brief, fit([0, 1, 6], settings=BRIEF, pool_=grown)[0])
  few, more = FRAMES.detect(params, pool()), FRAMES.detect(params, grown)
  for name in OUTPUTS:
    np.testing.assert_array_equal(getattr(few, name), getattr(more, name)[:5])
    assert not more.mask[5:].any()
  for read in (FRAMES.confidences, FRAMES.picks):
    for a, b in zip(read(params, pool(), None), read(params, grown, None), strict=True):
      np.testing.assert_array_equal(a, b[:5])
      assert np.isfinite(b).all() and not b[5:].any()
  np.testing.assert_array_equal(FRAMES.embed(params, grown)[:5], FRAMES.embed(params, pool()))


def test_truths_of_unlabelled_videos_are_not_read():
  blind = pool()._replace(truths=pool().truths.copy(), truth_mask=pool().truth_mask.copy())
  blind.truths[2:], blind.truth_mask[2:] = np.nan, False
  chex.assert_trees_all_equal(fit([0, 1], settings=BRIEF)[0],
                              fit([0, 1], settings=BRIEF, pool_=blind)[0])


def test_no_labels_yet():
  start = FRAMES.init(pool(), CLASSES)
  params, info, memory = fit([])
  chex.assert_trees_all_equal(params, start)
  assert info.metrics == {"loss": 0.0, "num_steps": 0}
  assert memory is None and FRAMES.empty_memory(pool()) is None
  found, picks = FRAMES.detect(params, pool()), FRAMES.picks(params, pool(), None)
  for leaf in (*found, *picks, *FRAMES.confidences(params, pool(), None),
               FRAMES.embed(params, pool())):
    assert np.isfinite(leaf).all()


def test_labelled_videos_without_truths():
  params, info, _ = fit([4], settings=BRIEF)
  assert info.num_steps == CHUNK and np.isfinite(info.loss) and int(params.smoothing) == 1
  found = FRAMES.detect(params, pool())
  assert np.isfinite(found.scores).all()
  chex.assert_trees_all_equal_shapes_and_dtypes(params, FRAMES.init(pool(), CLASSES))


def test_one_class():
  one = row_pools.make([row_pools.signal(60, [[4.0, 14.0], [24.0, 42.0]], [0, 0])])
  linear = SETTINGS._replace(context="linear")
  params, info, _ = fit([0], settings=linear, pool_=one, classes=1)
  model = lib.Frames(linear)
  found = model.detect(params, one)
  assert np.isfinite(info.loss) and found.scores.shape == (1, 20) and not found.labels.any()
  p = model.confidences(params, one, None).values[0]
  inside = np.isin(np.arange(60), [*range(6, 13), *range(26, 41)])
  assert p[inside].min() > p[44:60].max()
  picks = model.picks(params, one, None)
  np.testing.assert_allclose(picks.classes[picks.mask], 1.0)


def test_videos_of_a_few_rows():
  few = row_pools.make([
      (row_pools.noise(3), [[0.0, 2.0]], [1]), (row_pools.noise(2), [[0.5, 1.5]], [0]),
      (row_pools.noise(1), [[-0.4, 0.4]], [0]), (np.zeros((0, DIM)), [], [])], num_truths=3)
  params, info, _ = fit(range(4), settings=BRIEF, pool_=few)
  assert np.isfinite(info.loss)
  for trained in (params, learnt()[0]):
    found = FRAMES.detect(trained, few)
    durations = few.durations[:, None, None]
    assert (found.segments >= 0).all() and (found.segments <= durations).all()
    assert not found.mask[3].any()
    for leaf in (*found, *FRAMES.picks(trained, few, None), FRAMES.embed(trained, few)):
      assert np.isfinite(leaf).all()


def test_more_picks_than_detections():
  """One class keeps 20 segments: there are no more to pick from."""
  one = row_pools.make([row_pools.signal(60, [[4.0, 14.0]], [0])])
  model = lib.Frames(SETTINGS._replace(top_k=30))
  picks = model.picks(model.init(one, 1), one, None)
  assert {leaf.shape[:2] for leaf in picks} == {(1, 20)}


@functools.cache
def long_video():
  times = np.arange(10, 9000, 450.0)
  return row_pools.make([row_pools.signal(
      9000, np.stack([times, times + 30], 1), np.arange(20) % CLASSES)])


def test_a_long_video_in_windows_equals_one_piece(monkeypatch):
  """More rows than a window holds; and cut into windows of few rows."""
  params, some = learnt()[0], long_video()
  batches, found, numbers = row_windows.batches, {}, []
  for longest in (16384, row_windows.LONGEST, 512):
    monkeypatch.setattr(lib.row_windows, "batches",
                        functools.partial(batches, longest=longest))
    detections = FRAMES.detect(params, some)
    found[longest] = (*FRAMES.confidences(params, some, None),
                      *(getattr(detections, name) for name in OUTPUTS))
    numbers.append(sum((windows.video >= 0).sum() for windows in batches(
        some.rows, reach=31, multiple=64, longest=longest)))
  assert numbers == [1, 2, 21]  # 448 rows of their own each
  for longest in (row_windows.LONGEST, 512):
    for a, b in zip(found[16384], found[longest], strict=True):
      np.testing.assert_allclose(a, b, atol=1e-5)
  assert found[512][-1].sum() >= 20


def test_the_linear_context_looks_at_one_row():
  linear = SETTINGS._replace(context="linear")
  model = lib.Frames(linear)
  params, info, _ = fit(range(5), settings=linear)
  assert set(params.network) == {"out"} and info.loss < 0.5
  assert params.network["out"]["kernel"].shape == (1, DIM, CLASSES)
  found = model.detect(params, pool())
  assert mean_ap(truth_of(pool(), num_classes=CLASSES), found).mean_ap[0] > 0.8
  # Its features are the standardised rows; p of a row is of the row alone.
  values = pool().rows.values.copy()
  values[30] += 1.0
  other = pool()._replace(rows=pool().rows._replace(values=values))
  plain = params._replace(smoothing=jnp.ones((), jnp.int32))
  a, b = (model.confidences(plain, p, None).values for p in (pool(), other))
  assert np.argwhere(a != b).tolist() == [[0, 30]]
  wide = [FRAMES.confidences(learnt()[0]._replace(smoothing=plain.smoothing), p, None).values
          for p in (pool(), other)]
  assert (wide[0] != wide[1]).sum() > 1
  np.testing.assert_allclose(model.embed(params, pool())[0], pool().rows.values[:60].mean(0),
                             atol=1e-5)


def test_times_are_those_of_the_rows():
  """A constant network: one run over the whole video, half a row beyond, inside the video."""
  params = FRAMES.init(pool(), CLASSES)
  out = {"kernel": jnp.zeros_like(params.network["out"]["kernel"]), "bias": jnp.array([2.0, -9.0])}
  found = FRAMES.detect(params._replace(network=params.network | {"out": out}), pool())
  assert found.mask.sum(1).tolist() == [1] * 5
  np.testing.assert_allclose(found.segments[:, 0, 0], np.maximum(0.0, START - 0.5 * STEP))
  np.testing.assert_allclose(found.segments[:, 0, 1], STEP * pool().rows.count)
  np.testing.assert_allclose(found.scores[:, 0], 1 / (1 + np.exp(-2.0)), rtol=1e-6)
