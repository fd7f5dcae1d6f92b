"""The Monte-Carlo procedure: reproducible, without overlap, and able to go on."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.errors import DataError
from tal_jax.models import svm
from tal_jax.selection import gain, held_out as held_out_lib, lal_training as lib
from tests import pools

pytestmark = pytest.mark.slow

OPTIONS = {"labeled_sizes": (3, 4), "episodes_per_size": 2, "extras_per_episode": 3,
           "num_bins": 10}


@pytest.fixture(scope="module")
def knowledge():
  return pools.videos(seed=2)


def generate(knowledge, key=1, settings=pools.SETTINGS, **changes):
  return lib.generate(jax.random.key(key), knowledge, settings, **OPTIONS | changes)


@pytest.fixture(scope="module")
def written(knowledge, tmp_path_factory):
  """The episodes, and their file."""
  file = tmp_path_factory.mktemp("lal") / "lal.episodes.jsonl"
  return generate(knowledge, file=file), file


@pytest.fixture(scope="module")
def episodes(written):
  return written[0]


def test_shapes_and_ranges(episodes):
  assert episodes.num_labeled.tolist() == [3, 3, 4, 4]
  assert episodes.states.shape == (4, pools.DIM + 1)
  assert episodes.samples.shape == (4, 3, 10) and episodes.gains.shape == (4, 3)
  np.testing.assert_allclose(episodes.samples.sum(-1), 1.0, rtol=1e-6)
  assert episodes.converged.all() and ((0 < episodes.base_ap) & (episodes.base_ap <= 1)).all()
  assert (np.abs(episodes.gains) <= 1).all() and np.ptp(episodes.gains) > 0
  assert len({tuple(w) for w in episodes.states.tolist()}) == 4  # each its own initialisation


def test_deterministic_and_depends_on_the_key(knowledge, episodes):
  """With or without a file, to the bit."""
  jax.tree.map(np.testing.assert_array_equal, generate(knowledge), episodes)
  assert not np.array_equal(generate(knowledge, key=2).states, episodes.states)


def test_a_program_for_each_size(knowledge, monkeypatch):
  """Episodes of one size share what is compiled."""
  traced = chex.assert_max_traces(held_out_lib.average_precisions.__wrapped__, n=1)
  monkeypatch.setattr(held_out_lib, "average_precisions",
                      jax.jit(traced, static_argnames="settings"))  # one for all sizes
  chex.clear_trace_counter()
  before = (lib._histograms._cache_size(), gain._rows._cache_size())
  generate(knowledge, labeled_sizes=(2, 5), extras_per_episode=2)
  after = (lib._histograms._cache_size(), gain._rows._cache_size())
  assert [b - a for a, b in zip(before, after, strict=True)] == [2, 2]


def test_the_grid(knowledge, monkeypatch):
  """Every size has its episodes, each with a key of its own."""

  def fake(key, pool, train, held_out, settings, *, num_labeled, num_extra, num_bins):
    assert (len(train), len(held_out.features), num_extra, num_bins) == (8, 8, 3, 10)
    return lib.Episodes(num_labeled, jax.random.key_data(key), jnp.zeros((3, 10)), jnp.zeros(3),
                        jnp.zeros(()), jnp.array(True))

  monkeypatch.setattr(lib, "episode", fake)
  progress = []
  rows = generate(knowledge, labeled_sizes=(2, 5), episodes_per_size=3,
                  progress=lambda *done: progress.append(done))
  assert rows.num_labeled.tolist() == [2, 2, 2, 5, 5, 5]
  assert len({tuple(key) for key in rows.states.tolist()}) == 6
  assert progress == [(i, 6) for i in range(1, 7)]


def test_goes_on_to_the_same_rows(knowledge, written, tmp_path, monkeypatch):
  """Cut in the middle of the third episode: two are kept, two computed."""
  episodes, file = written
  whole, cut = file.read_bytes(), tmp_path / "cut.jsonl"
  lines = whole.splitlines(keepends=True)
  cut.write_bytes(b"".join(lines[:3]) + lines[3][:50])
  done = []
  got = generate(knowledge, file=cut, progress=lambda *at: done.append(at))
  assert done == [(3, 4), (4, 4)]
  jax.tree.map(np.testing.assert_array_equal, got, episodes)
  assert cut.read_bytes() == whole
  monkeypatch.setattr(lib, "episode", None)  # a finished file needs no more episodes
  jax.tree.map(np.testing.assert_array_equal, generate(knowledge, file=cut), episodes)


@pytest.mark.parametrize("changes", [
    {"key": 2}, {"labeled_sizes": (3, 5)}, {"episodes_per_size": 3}, {"extras_per_episode": 2},
    {"num_bins": 5}, {"held_out_ratio": 0.4}, {"settings": pools.SETTINGS._replace(svm_c=0.2)}])
def test_the_episodes_of_another_configuration_are_refused(knowledge, written, changes):
  before = written[1].read_bytes()
  with pytest.raises(DataError, match=f"4 episodes.*\n.*{'svm_c' if 'settings' in changes else ''}"
                     f"{''.join(changes) if 'settings' not in changes else ''}: .* there, .* now"):
    generate(knowledge, file=written[1], **changes)
  assert written[1].read_bytes() == before


def test_the_episodes_of_other_data_are_refused(knowledge, written):
  other = knowledge._replace(features=knowledge.features.at[3, 2, 1].add(1e-3))
  with pytest.raises(DataError, match="data: .* there, .* now"):
    generate(other, file=written[1])


def test_extra_videos_are_not_among_the_labelled(knowledge, monkeypatch):
  knowledge = knowledge._replace(durations=100.0 + jnp.arange(16.0))  # names for the videos
  train, held_out = lib.cut(jax.random.key(4), 16, 0.25)
  drawn = []

  def record(labeled, candidates, measured_on, settings, start):
    drawn.append((labeled.durations, candidates.durations))
    info = svm.SvmInfo(*(jnp.zeros(3),) * 3, jnp.ones(3, bool))
    return gain.OneStep(jnp.zeros(3), jnp.zeros(()), start, info)

  monkeypatch.setattr(gain, "one_step_gains", record)
  for seed in range(10):
    lib.episode(jax.random.key(seed), knowledge, train, None, pools.SETTINGS, num_labeled=4,
                num_extra=3, num_bins=10)
  measured = set(np.asarray(knowledge.durations)[held_out].tolist())
  for names in drawn:
    labeled, extra = (set(np.asarray(x).tolist()) for x in names)
    assert (len(labeled), len(extra), len(measured)) == (4, 3, 4)
    assert not labeled & extra and not (labeled | extra) & measured
  assert len({tuple(np.asarray(labeled).tolist()) for labeled, _ in drawn}) == 10


def test_the_cut_is_a_partition():
  train, held_out = lib.cut(jax.random.key(0), 16, 0.25)
  assert (len(train), len(held_out)) == (12, 4)
  assert sorted([*train, *held_out]) == list(range(16)) != [*train, *held_out]


def test_features_in_a_file(knowledge, episodes, tmp_path):
  """Read video by video as they are drawn."""
  features = np.asarray(knowledge.features)
  np.save(tmp_path / "features.npy", features)
  mapped = jax.tree.map(np.asarray, knowledge)._replace(
      features=np.load(tmp_path / "features.npy", mmap_mode="r"))
  jax.tree.map(np.testing.assert_array_equal, generate(mapped), episodes)


@pytest.mark.parametrize("changes", [{"labeled_sizes": (3, 6)}, {"extras_per_episode": 5},
                                     {"held_out_ratio": 0.0}, {"held_out_ratio": 0.9}])
def test_too_few_videos(knowledge, tmp_path, changes):
  with pytest.raises(ValueError, match="Knowledge-Source gives"):
    generate(knowledge, file=tmp_path / "rows.jsonl", **changes)
  assert not list(tmp_path.iterdir())
