"""Targets and loss by hand and against a slow loop; training on a task with a known answer."""

import chex
import jax
import numpy as np
import pytest

from tal_jax.proposals.daps import network as daps, training as daps_training
from tests.proposals.daps import daps_reference

pytestmark = pytest.mark.slow

ANCHORS = np.array([[0.25, 0.5], [0.75, 0.5], [0.5, 1.0]], np.float32)


def targets(truths, **options):
  padded, mask = daps_training.pad_truths([np.reshape(t, (-1, 2)) for t in truths])
  return jax.tree.map(np.asarray, daps_training.targets(ANCHORS, padded, mask, **options))


def test_targets_by_hand():
  """IoU with [0, .5]: [.05, .5] .9, [.2, 1] .3; with [.5, 1]: 0, .625; with [0, 1]: .45, .8."""
  positive, goal = targets([[[0.275, 0.45], [0.6, 0.8]], []])
  np.testing.assert_array_equal(positive, [[True, True, True], [False] * 3])
  np.testing.assert_allclose(goal[0], [[0.275, 0.45], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)
  assert np.isfinite(goal).all()
  _, goal = targets([[[0.275, 0.45], [0.6, 0.8]], []], regress_to="anchor")
  np.testing.assert_array_equal(goal, np.broadcast_to(ANCHORS, (2, 3, 2)))


def test_half_an_overlap_is_not_positive():
  """[0, .5] and its half [0, .25]: IoU is 0.5 exactly."""
  assert not targets([[[0.125, 0.25]]])[0].any()


def slow_loss(arrays, chunks, truths, settings):
  """L, one anchor at a time."""
  locations, confidences = daps_reference.forward(arrays, chunks)
  total = 0.0
  for location, confidence, own in zip(locations, confidences, truths, strict=True):
    for j, (centre, duration) in enumerate(ANCHORS):
      best, goal = 0.0, None
      for c, d in own:
        overlap = max(0.0, min(centre + duration / 2, c + d / 2) - max(centre - duration / 2,
                                                                       c - d / 2))
        iou = overlap / (duration + d - overlap)
        if iou > best:
          best, goal = iou, (c, d)
      if best > 0.5:
        total += settings.alpha * ((location[j] - goal) ** 2).sum() / 2 / len(ANCHORS)
        total -= settings.positive_weight * np.log(confidence[j]) / len(ANCHORS)
      else:
        total -= np.log(1 - confidence[j]) / len(ANCHORS)
  return total / len(chunks)


def test_loss_is_the_slow_loop():
  rng = np.random.default_rng(3)
  arrays = daps_reference.random_arrays(rng, dim=4, width=5, num_anchors=3)
  chunks = rng.standard_normal((6, 3, 4)).astype(np.float32)
  truths = [rng.uniform(0.2, 0.8, (n, 2)) for n in (0, 1, 2, 3, 1, 2)]
  settings = daps_training.Settings(alpha=0.7, positive_weight=3.0)
  from tal_jax.proposals.daps.weights import from_published
  windows = daps_training.Windows(chunks, *daps_training.pad_truths(truths))
  wanted = slow_loss(arrays, chunks, truths, settings)
  for batch_size in (2, 4, 6, 8):  # padded batches count nothing twice
    found = daps_training.mean_loss(from_published(arrays), ANCHORS, windows,
                                    batch_size=batch_size, settings=settings)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_mask_belongs_to_the_anchor():
  """Moving the location of an anchor that is not positive changes nothing; of one that is, does."""
  params = daps.initialize(jax.random.key(0), dim=2, width=3, anchors=ANCHORS)
  chunks = np.ones((1, 2, 2), np.float32)
  truths, mask = daps_training.pad_truths([np.array([[0.25, 0.5]])])  # anchor 0 alone
  settings = daps_training.Settings(alpha=1.0)

  @jax.jit
  @jax.grad
  def slope(bias):
    changed = params | {"location_b": bias}
    return daps_training.losses(changed, ANCHORS, chunks, truths, mask, settings).sum()

  gradient = np.asarray(slope(params["location_b"] + 0.1)).reshape(3, 2)
  assert (gradient[0] > 0).all()
  np.testing.assert_array_equal(gradient[1:], 0)


def task(seed, n):
  """Windows in whose first or second half the chunks point another way: that half is the truth."""
  rng = np.random.default_rng(seed)
  late = rng.random(n) < 0.5
  chunks = 0.3 * rng.standard_normal((n, 8, 3)).astype(np.float32)
  chunks[..., 0] += 1
  rows = np.where(late[:, None], np.arange(4, 8), np.arange(4))
  chunks[np.arange(n)[:, None], rows] *= -1
  truths = np.where(late[:, None], [0.67, 0.5], [0.33, 0.5])
  chunks /= np.linalg.norm(chunks, axis=-1, keepdims=True)
  return daps_training.Windows(chunks, truths[:, None].astype(np.float32), np.ones((n, 1), bool)
                               ), late


@pytest.fixture(scope="module")
def trained():
  training, _ = task(0, 200)
  validation, _ = task(1, 50)
  settings = daps_training.Settings(alpha=10.0, learning_rate=0.05)
  key = jax.random.key(0)
  state = daps_training.start(key, ANCHORS, dim=3, width=8, settings=settings)
  states = [state]
  for _ in range(12):
    state = daps_training.run_epoch(key, state, ANCHORS, training, validation, batch_size=64,
                                    settings=settings)
    states.append(state)
  return states


def test_learns_which_anchor_it_is(trained):
  windows, late = task(2, 100)
  locations, logits = daps.apply(trained[-1].best_params, windows.chunks)
  assert (np.asarray(logits)[:, :2].argmax(axis=1) == late).mean() > 0.95
  assert (np.asarray(logits)[:, 2] < 0).all()  # the whole window: IoU with the truth is 0.5
  # The anchors stand at .25 and .75, the truths at .33 and .67.
  np.testing.assert_allclose(np.asarray(locations)[~late, 0, 0].mean(), 0.33, atol=0.06)
  np.testing.assert_allclose(np.asarray(locations)[late, 1, 0].mean(), 0.67, atol=0.06)


def test_the_best_epoch_is_kept(trained):
  losses = trained[-1].history[:, 1]
  assert [state.epoch for state in trained] == list(range(13))
  for i, state in enumerate(trained[1:], start=1):
    assert state.best_loss == losses[:i].min()
    chex.assert_trees_all_equal(state.best_params, trained[1 + losses[:i].argmin()].params)


def test_an_epoch_can_be_run_again(trained):
  training, _ = task(0, 200)
  validation, _ = task(1, 50)
  again = daps_training.run_epoch(
      jax.random.key(0), trained[5], ANCHORS, training, validation, batch_size=64,
      settings=daps_training.Settings(alpha=10.0, learning_rate=0.05))
  chex.assert_trees_all_equal(again, trained[6])


def test_the_gain_goes_into_the_weights(trained):
  """What the loss sees with a gain is what the final parameters see without."""
  windows, _ = task(2, 20)
  settings = daps_training.Settings(alpha=1.0, input_gain=3.0)
  final = daps_training.final_params(trained[-1], settings)
  plain = daps_training.Settings(alpha=1.0)
  np.testing.assert_allclose(
      daps_training.losses(final, ANCHORS, *windows, plain),
      daps_training.losses(trained[-1].best_params, ANCHORS, *windows, settings), rtol=1e-4)


def test_dropout_blinds_dimensions_of_whole_windows():
  """With one dimension left of two, the loss is one of three: each alone at twice its size, none;
  both, too, as each is drawn on its own."""
  params = daps.initialize(jax.random.key(0), dim=2, width=3, anchors=ANCHORS)
  params = params | {"w_in": params["w_in"] * 20}
  chunks = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
  truths, mask = daps_training.pad_truths([np.array([[0.25, 0.5]])])
  settings = daps_training.Settings(dropout=0.5)

  @jax.jit
  def loss(x, key=None):
    return daps_training.losses(params, ANCHORS, x, truths, mask, settings, key)[0]

  wanted = [loss(chunks * np.array(kept, np.float32)) for kept in ((0, 0), (0, 2), (2, 0), (2, 2))]
  found = [loss(chunks, key) for key in jax.random.split(jax.random.key(1), 40)]
  distance = np.abs(np.subtract.outer(found, wanted))
  assert distance.min(axis=1).max() < 1e-5
  assert set(distance.argmin(axis=1)) == {0, 1, 2, 3}


def test_one_program_for_all_steps():
  """Other epochs, sets and remainders compile nothing anew."""
  training, _ = task(0, 40)
  settings = daps_training.Settings(alpha=0.5, learning_rate=0.02)
  state = daps_training.start(jax.random.key(1), ANCHORS, dim=3, width=4, settings=settings)
  before = daps_training.train_step._cache_size(), daps_training._losses._cache_size()
  for n in (50, 33, 19):
    validation, _ = task(n, n)
    state = daps_training.run_epoch(jax.random.key(1), state, ANCHORS, training, validation,
                                    batch_size=16, settings=settings)
  after = daps_training.train_step._cache_size(), daps_training._losses._cache_size()
  assert (after[0] - before[0], after[1] - before[1]) == (1, 1)
