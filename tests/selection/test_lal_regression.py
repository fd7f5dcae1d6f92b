"""LAL's regressor: what it finds, what scikit-learn predicts, and the artifact."""

import dataclasses

import numpy as np
import pytest
from sklearn.svm import SVR

from tal_jax.errors import DataError
from tal_jax.selection import lal, lal_regression as lib
from tal_jax.selection.lal_training import Episodes

E, M, D, BINS = 24, 12, 5, 6
ONE = {"cs": (1.0,), "gamma_factors": (1.0,)}  # a grid of one: the search is tested apart


def episodes(target, *, seed=0):
  """`target(states [e, 1, d + 1], samples [e, m, bins], rng) -> gains [e, m]`."""
  rng = np.random.default_rng(seed)
  states = rng.normal(size=(E, D + 1)) * [3, 1, 0.1, 0.1, 0.1, 0.1]
  samples = rng.dirichlet(np.ones(BINS), size=(E, M))
  gains = target(states[:, None], samples, rng)
  return Episodes(np.full(E, 3), states.astype(np.float32), samples.astype(np.float32),
                  gains.astype(np.float32), np.zeros(E), np.ones(E, bool))


def planted(states, samples, rng):
  """Which bin is good depends on the state: a rule that no state-blind ranking can follow."""
  return 0.02 * np.tanh(states[..., 0]) * (samples[..., 0] - samples[..., 1])


def noise(states, samples, rng):
  return 0.02 * rng.normal(size=samples.shape[:2])


def test_learns_a_planted_relation():
  selector, report = lib.fit(episodes(planted), **ONE)
  assert report.held_out_spearman_within > 0.7 and report.held_out_spearman > 0.7
  assert report.held_out_r2 > 0.4
  # On states that were not in the training set at all:
  fresh = episodes(planted, seed=1)
  ranks = [np.corrcoef(lal.predict(selector, w, x), y)[0, 1]
           for w, x, y in zip(fresh.states, fresh.samples, fresh.gains, strict=True)]
  assert np.median(ranks) > 0.7


def test_reports_nothing_on_noise():
  _, report = lib.fit(episodes(noise), **ONE)
  assert abs(report.held_out_spearman) < 0.3 and abs(report.held_out_spearman_within) < 0.3
  assert report.held_out_r2 < 0.1


def test_report_and_determinism():
  rows = episodes(planted)
  rows = rows._replace(gains=np.where(np.arange(M) < M // 4, 0, rows.gains))
  selector, report = lib.fit(rows, **ONE)
  assert (report.num_rows, report.num_episodes, report.c, report.gamma_factor) == (E * M, E, 1, 1)
  assert report.nonzero_share == 0.75 and report.num_support == len(selector.coefficients)
  np.testing.assert_allclose(report.gain_std, rows.gains.std(), rtol=1e-5)
  again, other = lib.fit(rows, **ONE)
  assert other == report
  for a, b in zip(selector, again, strict=True):
    np.testing.assert_array_equal(a, b)


def test_equals_scikit_learns_prediction():
  """SVR with the product kernel as a Python function of (z, u), on its own standardisation."""
  rows = episodes(planted)
  selector, report = lib.fit(rows, **ONE)
  s = type(selector)(*map(np.float64, selector))

  def describe(states, samples):
    z = np.repeat((np.float64(states) - rows.states.mean(0)) @ s.state_components.T, M, axis=0)
    flat = np.float64(rows.samples).reshape(-1, BINS)
    u = (np.float64(samples).reshape(-1, BINS) - flat.mean(0)) / flat.std(0)
    return np.concatenate([z, u], 1)

  def kernel(a, b):
    q = len(s.state_components)
    d = (a[:, None] - b[None])**2
    return np.exp(-s.gamma_state * d[..., :q].sum(-1) - s.gamma_sample * d[..., q:].sum(-1))

  y = np.float64(rows.gains).ravel()
  model = SVR(kernel=kernel, C=report.c, epsilon=0.1).fit(
      describe(rows.states, rows.samples), (y - y.mean()) / y.std())
  fresh = episodes(planted, seed=2)
  expected = model.predict(describe(fresh.states, fresh.samples)) * y.std() + y.mean()
  got = np.stack([lal.predict(selector, w, x)
                  for w, x in zip(fresh.states, fresh.samples, strict=True)])
  np.testing.assert_allclose(got.ravel(), expected, atol=2e-3 * y.std())


def test_settings_are_chosen_by_rank():
  """A kernel of no width ranks nothing; the search must not take it."""
  _, report = lib.fit(episodes(planted), cs=(1.0,), gamma_factors=(1e5, 1.0), num_folds=2)
  assert report.gamma_factor == 1.0


@pytest.mark.parametrize("target", [lambda w, x, rng: 0 * x[..., 0], lambda w, x, rng: w[..., 0]
                                    + 0 * x[..., 0]])
def test_degenerate_targets_are_finite(target):
  rows = episodes(target)
  selector, report = lib.fit(rows, **ONE)
  assert all(np.isfinite(value) for value in dataclasses.astuple(report))
  assert np.isfinite(lal.predict(selector, rows.states[0], rows.samples[0])).all()


def test_equal_states():
  rows = episodes(planted)
  selector, _ = lib.fit(rows._replace(states=np.ones_like(rows.states)), **ONE)
  assert np.isfinite(lal.predict(selector, rows.states[0], rows.samples[0])).all()


def test_too_few_episodes():
  few = Episodes(*(leaf[:7] for leaf in episodes(planted)))
  with pytest.raises(ValueError, match="at least 8 episodes, got 7.*lal.episodes_per_size"):
    lib.fit(few, **ONE)


@pytest.fixture(scope="module")
def artifact():
  return lib.fit(episodes(planted), **ONE)


def test_round_trip(artifact, tmp_path):
  selector, report = artifact
  path = tmp_path / "deep" / "lal.npz"
  lib.save(path, selector, report, encoder="context")
  got, got_report = lib.load(path, dim=D, encoder="context")
  assert got_report == report and [p.name for p in path.parent.iterdir()] == ["lal.npz"]
  for a, b in zip(got, selector, strict=True):
    np.testing.assert_array_equal(a, b)
    assert a.dtype == b.dtype and a.shape == b.shape
  first = path.read_bytes()
  lib.save(path, selector, report, encoder="context")
  assert path.read_bytes() == first or len(path.read_bytes()) == len(first)  # zip keeps the time


@pytest.mark.parametrize(("wanted", "message"), [
    ({"dim": D + 1, "encoder": "mean"}, "5 dimensions.*with 6"),
    ({"dim": D, "encoder": "context"}, "encoder='mean'.*encoder='context'")])
def test_of_another_run(artifact, tmp_path, wanted, message):
  lib.save(tmp_path / "lal.npz", *artifact, encoder="mean")
  with pytest.raises(DataError, match=message):
    lib.load(tmp_path / "lal.npz", **wanted)


def test_no_such_file(tmp_path):
  with pytest.raises(DataError, match="no file.*train_lal"):
    lib.load(tmp_path / "lal.npz", dim=D, encoder="mean")


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped", "npy", "npz",
                                    "pickle", "meta", "folder"])
def test_broken_files(artifact, tmp_path, damage):
  path = tmp_path / "lal.npz"
  lib.save(path, *artifact, encoder="mean")
  content = bytearray(path.read_bytes())
  if damage == "empty":
    path.write_bytes(b"")
  elif damage == "text":
    path.write_text("not an artifact")
  elif damage == "truncated":
    path.write_bytes(content[:len(content) // 2])
  elif damage == "flipped":
    content[content.find(b"state_components.npy") + 300] ^= 255
    path.write_bytes(content)
  elif damage == "npy":
    with path.open("wb") as file:
      np.save(file, np.ones(3))
  elif damage == "npz":
    np.savez(path, other=np.ones(3))
  elif damage == "pickle":
    np.savez(path, meta=np.array({"format": 1}, object))
  elif damage == "meta":
    np.savez(path, meta="[1]", **artifact[0]._asdict())
  else:
    path.unlink()
    path.mkdir()
  with pytest.raises(DataError, match="is not a LAL artifact"):
    lib.load(path, dim=D, encoder="mean")
