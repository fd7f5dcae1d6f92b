"""The loop: purity, the oracle's answers, pairing between strategies, and what is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax import learner
from tal_jax.models import stage_wise
from tal_jax.pool import take
from tal_jax.selection import SELECTION, random_sampling, uncertainty
from tal_jax.sizes import bucket
from tests import pools

EXACT = learner.simulated_oracle(jax.random.key(9))
NOISY = learner.simulated_oracle(jax.random.key(9), noise=0.3, noise_sigma=0.05)


@pytest.fixture(scope="module")
def pool():
  return pools.videos(seed=0)


@pytest.fixture(scope="module")
def testing():
  return pools.videos(seed=1)


@pytest.fixture(scope="module")
def selects(pool, testing):
  """Every selection function for that pool, by its name."""
  return pools.prepared(pool, testing)


def first(pool, seed=0):
  return learner.init(jax.random.key(seed), pool, num_classes=pools.NUM_CLASSES,
                      localizer=pools.LOCALIZER)


def leaves(state):
  state = state.replace(key=jax.random.key_data(state.key))
  return [np.array(leaf) for leaf in jax.tree.leaves(state)]


def assert_same(a, b):
  for x, y in zip(a, b, strict=True):
    np.testing.assert_array_equal(x, y)


def test_before_the_first_label(pool):
  state = first(pool)
  assert int(state.step) == 0 and not state.labeled.any() and not state.annotation_mask.any()
  assert (stage_wise.confidence(state.model, pool)[pool.proposal_mask] == 0.5).all()


def test_start(pool):
  begun, info = learner.start(first(pool), pool, num_initial=5, annotate=EXACT)
  assert int(begun.labeled.sum()) == 5 and int(begun.step) == 0
  assert info.indices.tolist() == np.flatnonzero(begun.labeled).tolist()
  assert info.reached_tiou == 1.0 and info.fit.svm.converged
  again, _ = learner.start(first(pool), pool, num_initial=5, annotate=EXACT)
  assert_same(leaves(begun), leaves(again))
  other, _ = learner.start(first(pool, seed=1), pool, num_initial=5, annotate=EXACT)
  assert np.asarray(other.labeled).tolist() != np.asarray(begun.labeled).tolist()


@pytest.mark.parametrize("name", ["random", "mcle"])
def test_step_is_pure(pool, selects, name):
  state, _ = learner.start(first(pool), pool, num_initial=4, annotate=EXACT)
  before = leaves(state)
  results = [learner.step(state, pool, select=selects[name], annotate=EXACT, batch_size=3)
             for _ in range(2)]
  assert_same(before, leaves(state))
  assert_same(leaves(results[0][0]), leaves(results[1][0]))
  np.testing.assert_array_equal(results[0][1].indices, results[1][1].indices)
  after = results[0][0]
  assert int(after.step) == 1 and int(after.labeled.sum()) == 7
  assert not np.array_equal(jax.random.key_data(after.key), jax.random.key_data(state.key))


def test_the_last_batch_takes_what_is_left(pool):
  state, _ = learner.start(first(pool), pool, num_initial=14, annotate=EXACT)
  options = {"select": uncertainty.select, "annotate": EXACT, "batch_size": 5}
  state, info = learner.step(state, pool, **options)
  assert len(info.indices) == 2 and state.labeled.all()
  with pytest.raises(ValueError, match="every video of the pool is labelled"):
    learner.step(state, pool, **options)


def test_the_exact_oracle_answers_the_truth(pool):
  state, _ = learner.label(first(pool), pool, jnp.array([3, 8]), EXACT)
  chosen = [3, 8]
  np.testing.assert_array_equal(np.asarray(state.annotation_mask)[chosen],
                                np.asarray(pool.truth_mask)[chosen])
  np.testing.assert_array_equal(np.asarray(state.annotations)[chosen],
                                np.asarray(pool.truths)[chosen])
  rest = np.setdiff1d(np.arange(16), chosen)
  assert not np.asarray(state.annotation_mask)[rest].any()
  assert not np.asarray(state.annotations)[rest].any()


def test_the_learner_trains_on_the_answers_not_on_the_truth(pool):
  state, answer = learner.label(first(pool), pool, jnp.array([3, 8]), NOISY)
  np.testing.assert_array_equal(state.annotations[jnp.array([3, 8])], answer.segments)
  assert not np.array_equal(answer.segments, take(pool, jnp.array([3, 8])).truths)
  labeled = learner.annotated_pool(state, pool)
  np.testing.assert_array_equal(labeled.truths[:2], answer.segments)
  assert labeled.num_videos == 16 and not labeled.proposal_mask[2:].any()
  assert not labeled.truth_mask[2:].any()
  # Truths that are moved after the labels were given change nothing.
  moved = pool._replace(truths=pool.truths + 40.0)
  assert_same(jax.tree.leaves(learner.train(state, pool)[0].model),
              jax.tree.leaves(learner.train(state, moved)[0].model))


@pytest.mark.slow
def test_noise_is_reported(pool):
  state, info = learner.start(first(pool), pool, num_initial=16, annotate=NOISY)
  assert 0.6 < info.reached_tiou < 0.85  # 0.7 and clipping
  empty = pools.without_truths(pool)
  assert learner.start(first(empty), empty, num_initial=4,
                       annotate=NOISY)[1].reached_tiou is None


@pytest.mark.slow
def test_strategies_are_paired(pool, selects):
  """Same first labels; a video has the same noise whichever strategy asks, and whenever."""
  begun, _ = learner.start(first(pool), pool, num_initial=4, annotate=NOISY)
  ends = {}
  for name, batch_size in (("random", 6), ("uncertainty", 6), ("margin", 3)):
    state = begun
    while not state.labeled.all():
      state, _ = learner.step(state, pool, select=selects[name], annotate=NOISY,
                              batch_size=batch_size)
    ends[name] = state
  for name in ("uncertainty", "margin"):
    np.testing.assert_array_equal(ends[name].annotations, ends["random"].annotations)
    # On all labels the models are the same to the solver's tolerance, wherever they came from.
    np.testing.assert_allclose(ends[name].model.svm.w, ends["random"].model.svm.w, atol=1e-3)


@pytest.fixture(scope="module")
def compilations():
  """A list that grows by one at each compilation; older JAX cannot take its listener off again."""
  seen = []

  def listen(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
      seen.append(duration)

  jax.monitoring.register_event_duration_secs_listener(listen)
  return seen


@pytest.mark.parametrize("name", sorted(SELECTION))
def test_no_recompilation_from_step_to_step(pool, selects, name, compilations):
  """A step compiles only for a size that no step before had: labels, or the classifier's rows."""
  state, info = learner.start(first(pool, seed=3), pool, num_initial=2, annotate=EXACT)
  known, compiled = {bucket(info.fit.num_classifier_rows)}, []
  for i in range(7):
    before = len(compilations)
    state, info = learner.step(state, pool, select=selects[name], annotate=EXACT, batch_size=2)
    size = bucket(info.fit.num_classifier_rows)
    compiled.append(len(compilations) - before)
    if i > 0 and size in known:
      assert compiled[-1] == 0, (i, compiled)
    known.add(size)
  assert state.labeled.all() and known == {64} and 0 in compiled[3:]


def test_what_is_compiled_does_not_depend_on_the_number_of_labels():
  """From 16 to 80 labels: one program after the SVM, whatever the size of the labelled set."""
  pool = pools.videos(80, seed=5)
  before = stage_wise._calibrate_and_attend._cache_size()
  state, _ = learner.start(first(pool), pool, num_initial=16, annotate=EXACT)
  while not state.labeled.all():
    state, _ = learner.step(state, pool, select=random_sampling.select, annotate=EXACT,
                            batch_size=16)
  assert stage_wise._calibrate_and_attend._cache_size() - before == 1


def test_a_memory_mapped_pool_gives_the_same_run(pool, testing, tmp_path):
  stored = np.memmap(tmp_path / "features.bin", np.float32, "w+", shape=pool.features.shape)
  stored[:] = pool.features
  mapped = pool._replace(features=stored)
  prepared = {id(where): pools.prepared(where, testing) for where in (pool, mapped)}
  for name in sorted(SELECTION):
    runs = []
    for where in (pool, mapped):
      state, _ = learner.start(first(where), where, num_initial=4, annotate=EXACT)
      chosen = []
      for _ in range(2):
        state, info = learner.step(state, where, select=prepared[id(where)][name],
                                   annotate=EXACT, batch_size=4)
        chosen.append(info.indices)
      runs.append((np.concatenate(chosen), stage_wise.detect(state.model, where, pools.SETTINGS)))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    np.testing.assert_allclose(runs[0][1].attention, runs[1][1].attention, atol=1e-4)


def test_the_last_fit_scored_the_pool(pool):
  state, _ = learner.start(first(pool), pool, num_initial=6, annotate=EXACT)
  wanted = stage_wise.decision(state.model.svm, pool)
  np.testing.assert_allclose(learner.decisions(state, pool), wanted, atol=1e-6)
  svm = state.model.svm
  other = state.replace(model=state.model._replace(svm=svm._replace(b=svm.b + 1.0)))
  np.testing.assert_allclose(learner.decisions(other, pool), wanted + 1.0, atol=1e-6)
