"""Oracles: exact answers, the amount of noise, and who gets which noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax import oracles
from tests.test_segments import slow_tiou

KEY = jax.random.key(0)
_answer = jax.jit(oracles.answer, static_argnames=("noise", "noise_sigma"))


def wide_videos(n, t=3):
  """Truths far from the ends of their video, where nothing is clipped."""
  rng = np.random.default_rng(0)
  start = rng.uniform(400, 600, (n, t))
  truths = np.stack([start, start + rng.uniform(1, 10, (n, t))], -1).astype(np.float32)
  mask = np.arange(t) < rng.integers(0, t + 1, (n, 1))
  return np.where(mask[..., None], truths, 0), mask, np.full(n, 1000, np.float32)


def test_exact_oracle_returns_the_truths():
  truths, mask, durations = wide_videos(5)
  answer = _answer(KEY, jnp.arange(5), truths, mask, durations)
  np.testing.assert_array_equal(answer.segments, truths)
  np.testing.assert_array_equal(answer.mask, mask)
  np.testing.assert_array_equal(answer.reached, mask)


@pytest.mark.parametrize(("noise", "sigma"), [(0.05, 0.0), (0.3, 0.05)])
def test_reached_tiou_has_the_mean_and_spread_asked_for(noise, sigma):
  truths, mask, durations = wide_videos(2000)
  answer = _answer(KEY, jnp.arange(2000), truths, mask, durations, noise=noise,
                   noise_sigma=sigma)
  reached = np.asarray(answer.reached, np.float64)
  assert not reached[~mask].any() and not np.asarray(answer.segments)[~mask].any()
  np.testing.assert_array_equal(answer.mask, mask)
  r = reached[mask]
  assert r.mean() == pytest.approx(1 - noise, abs=4 * sigma / np.sqrt(len(r)) + 1e-3)
  assert r.std() == pytest.approx(sigma, abs=0.1 * sigma + 1e-3)


def test_each_kind_of_move_is_exact_and_all_occur():
  t, r = 300, 0.6
  truths = np.tile(np.float32([[500, 510]]), (t, 1))
  moved = np.asarray(oracles.perturb(KEY, truths, jnp.asarray(1000.0), noise=1 - r,
                                     noise_sigma=0.0))
  lengths = moved[:, 1] - moved[:, 0]
  for length in (10.0, 10 * r, 10 / r):  # shift, shrink, expansion
    kind = np.abs(lengths - length) < 1e-2
    assert 0.2 < kind.mean() < 0.47
    for segment in moved[kind]:
      assert slow_tiou(segment.astype(float), (500.0, 510.0)) == pytest.approx(r, abs=1e-4)
  inside = moved[np.abs(lengths - 10 * r) < 1e-2]
  assert inside.min() >= 500 - 1e-3 and inside.max() <= 510 + 1e-3
  outside = moved[np.abs(lengths - 10 / r) < 1e-2]
  assert outside[:, 0].max() <= 500 + 1e-3 and outside[:, 1].min() >= 510 - 1e-3
  shifted = moved[np.abs(lengths - 10) < 1e-2, 0] - 500
  np.testing.assert_allclose(np.abs(shifted), 10 * (1 - r) / (1 + r), rtol=1e-3)
  assert (shifted > 0).any() and (shifted < 0).any()


def test_an_answer_belongs_to_its_video_not_to_its_batch():
  truths, mask, durations = wide_videos(20)
  whole = _answer(KEY, jnp.arange(20), truths, mask, durations, noise=0.2, noise_sigma=0.1)
  some = jnp.asarray([7, 3, 19])
  part = _answer(KEY, some, truths[some], mask[some], durations[some], noise=0.2,
                 noise_sigma=0.1)
  jax.tree.map(np.testing.assert_array_equal, part, jax.tree.map(lambda leaf: leaf[some], whole))
  wider = _answer(KEY, some, np.pad(truths[some], ((0, 0), (0, 2), (0, 0))),
                  np.pad(mask[some], ((0, 0), (0, 2))), durations[some], noise=0.2,
                  noise_sigma=0.1)
  np.testing.assert_array_equal(wider.segments[:, :3], part.segments)
  assert not wider.mask[:, 3:].any() and not wider.reached[:, 3:].any()
  other = _answer(jax.random.key(1), some, truths[some], mask[some], durations[some],
                  noise=0.2, noise_sigma=0.1)
  assert np.any(np.asarray(other.segments) != np.asarray(part.segments))


_perturb = jax.jit(oracles.perturb)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), noise=st.floats(0.01, 0.99), sigma=st.floats(0, 0.5),
       starts=st.lists(st.floats(0, 0.99), min_size=4, max_size=4))
def test_always_inside_the_video(seed, noise, sigma, starts):
  start = np.float32(starts) * 30
  truths = np.stack([start, start + 0.5 * (30 - start)], -1).astype(np.float32)
  truths[0, 1] = 30  # one that ends with the video
  moved = np.asarray(_perturb(jax.random.key(seed), truths, np.float32(30), noise=noise,
                              noise_sigma=sigma))
  assert moved.min() >= 0 and moved.max() <= 30
  assert np.all(moved[:, 1] >= moved[:, 0])
