"""The Monte-Carlo procedure: reproducible, batched without changing anything, without overlap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import platt, stage_wise, svm
from tal_jax.pool import take
from tal_jax.selection import gain
from tal_jax.selection import lal_training as lib
from tests import pools

OPTIONS = {"labeled_sizes": (4,), "episodes_per_size": 3, "extras_per_episode": 3, "num_bins": 10}


@pytest.fixture(scope="module")
def knowledge():
  return pools.videos(seed=2)


def generate(knowledge, key=0, **changes):
  return lib.generate(jax.random.key(key), knowledge, pools.SETTINGS, **OPTIONS | changes)


@pytest.fixture(scope="module")
def episodes(knowledge):
  """Two at once, so that the last batch is not full."""
  return generate(knowledge, vmap_size=2)


def test_shapes_and_ranges(episodes):
  assert episodes.num_labeled.tolist() == [4, 4, 4]
  assert episodes.states.shape == (3, pools.DIM + 1)
  assert episodes.samples.shape == (3, 3, 10) and episodes.gains.shape == (3, 3)
  np.testing.assert_allclose(episodes.samples.sum(-1), 1.0, rtol=1e-6)
  assert episodes.converged.all() and ((0 < episodes.base_ap) & (episodes.base_ap <= 1)).all()
  assert (np.abs(episodes.gains) <= 1).all() and np.ptp(episodes.gains) > 0
  assert len({tuple(w) for w in episodes.states.tolist()}) == 3  # each its own initialisation


def test_deterministic_and_depends_on_the_key(knowledge, episodes):
  jax.tree.map(np.testing.assert_array_equal, generate(knowledge, vmap_size=2), episodes)
  assert not np.array_equal(generate(knowledge, key=1, vmap_size=2).states, episodes.states)


def test_one_at_a_time_equals_batched(knowledge, episodes):
  """To the tolerance of the solver: batched products may round otherwise."""
  single = generate(knowledge, vmap_size=1)
  np.testing.assert_allclose(single.states, episodes.states, atol=1e-3)
  np.testing.assert_allclose(single.samples, episodes.samples, atol=0.21)  # one of >= 5 in a bin
  np.testing.assert_allclose(single.gains, episodes.gains, atol=5e-3)


def test_the_grid(knowledge, monkeypatch):
  """Every size has its episodes, each with a key of its own, whatever the batches."""

  def fake(keys, num_labeled, videos, held_out, settings, max_labeled, num_extra, num_bins):
    assert (videos.num_videos, held_out.num_videos, len(keys)) == (8, 8, 2)
    rows = jnp.ones(2)
    return lib.Episodes(num_labeled * rows, jax.random.key_data(keys), rows, rows, rows, rows)

  monkeypatch.setattr(lib, "_episodes", fake)
  progress = []
  rows = generate(knowledge, labeled_sizes=(2, 5), vmap_size=2,
                  progress=lambda *done: progress.append(done))
  assert rows.num_labeled.tolist() == [2, 2, 2, 5, 5, 5]
  assert len({tuple(key) for key in rows.states.tolist()}) == 6
  assert progress == [(2, 6), (4, 6), (6, 6)]


def test_extra_videos_are_not_among_the_labelled(knowledge, monkeypatch):
  knowledge = knowledge._replace(durations=100.0 + jnp.arange(16.0))  # names for the videos
  videos, held_out = lib.cut(jax.random.key(4), knowledge, 0.25)
  trained, drawn = [], []

  def record_training(labeled, settings, start):
    trained.append(labeled.durations)
    return start, platt.PlattParams(jnp.asarray(-1.0), jnp.zeros(())), None, None

  def record(labeled, candidates, held_out, settings, start):
    drawn.append((labeled.durations, candidates.durations, held_out.durations))
    info = svm.SvmInfo(*(jnp.zeros(3),) * 3, jnp.ones(3, bool))
    return jnp.zeros(3), jnp.zeros(()), info

  monkeypatch.setattr(stage_wise, "fit_attention", record_training)
  monkeypatch.setattr(gain, "one_step_gains", record)
  for seed in range(10):
    lib.episode(jax.random.key(seed), 4, videos, held_out, pools.SETTINGS, max_labeled=4,
                num_extra=3, num_bins=10)
  for start, names in zip(trained, drawn, strict=True):
    labeled, extra, measured = (set(np.asarray(x).tolist()) for x in names)
    assert set(np.asarray(start).tolist()) == labeled
    assert (len(labeled), len(extra), len(measured)) == (4, 3, 4)
    assert not labeled & extra and not (labeled | extra) & measured
  assert len({tuple(np.asarray(labeled).tolist()) for labeled, _, _ in drawn}) == 10


def test_the_cut_is_a_partition(knowledge):
  named = knowledge._replace(durations=jnp.arange(16.0))
  videos, held_out = lib.cut(jax.random.key(0), named, 0.25)
  assert (videos.num_videos, held_out.num_videos) == (12, 4)
  both = np.concatenate([videos.durations, held_out.durations])
  np.testing.assert_array_equal(np.sort(both), np.arange(16))
  i = int(videos.durations[0])  # all leaves move together
  jax.tree.map(np.testing.assert_array_equal, take(videos, 0), take(named, i))


@pytest.mark.parametrize("changes", [{"labeled_sizes": (3, 6)}, {"extras_per_episode": 5},
                                     {"held_out_ratio": 0.0}, {"held_out_ratio": 0.9}])
def test_too_few_videos(knowledge, changes):
  with pytest.raises(ValueError, match="Knowledge-Source gives"):
    generate(knowledge, **changes)
