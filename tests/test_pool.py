"""VideoPool: what is stored, taken, appended and padded; overlaps against a slow loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax import pool as pools
from tests.test_segments import slow_tiou


def video(p, t, *, dim=3, seed=0):
  rng = np.random.default_rng(seed)
  duration = float(rng.uniform(20, 40))
  return pools.Video(
      segments=np.sort(rng.uniform(0, duration, (p, 2))), features=rng.normal(size=(p, dim)),
      truths=np.sort(rng.uniform(0, duration, (t, 2))),
      truth_labels=rng.integers(0, 5, t), duration=duration)


def test_from_videos_hand_values():
  a = pools.Video(np.asarray([[0, 1], [2, 3]]), np.asarray([[1.0, 2.0], [3.0, 4.0]]),
                  np.asarray([[0.5, 1.5]]), np.asarray([4]), 9.0)
  b = pools.Video(np.asarray([[1, 2]]), np.asarray([[5.0, 6.0]]), np.zeros((0, 2)),
                  np.zeros(0, int), 7.0)
  pool = pools.from_videos([a, b])
  np.testing.assert_array_equal(pool.segments, [[[0, 1], [2, 3]], [[1, 2], [0, 0]]])
  np.testing.assert_array_equal(pool.features, [[[1, 2], [3, 4]], [[5, 6], [0, 0]]])
  np.testing.assert_array_equal(pool.proposal_mask, [[True, True], [True, False]])
  np.testing.assert_array_equal(pool.truths, [[[0.5, 1.5]], [[0, 0]]])
  np.testing.assert_array_equal(pool.truth_labels, [[4], [-1]])
  np.testing.assert_array_equal(pool.truth_mask, [[True], [False]])
  np.testing.assert_array_equal(pool.durations, [9, 7])
  assert (pool.num_videos, pool.dim) == (2, 2)
  assert pool.rows is None and [leaf.dtype for leaf in pool[:-1]] == [
      np.float32, np.float32, bool, np.float32, np.int32, bool, np.float32]


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32])
def test_storage_type_is_kept(dtype):
  pool = pools.from_videos([video(3, 1)], dtype=dtype)
  assert pool.features.dtype == dtype and pool.segments.dtype == np.float32
  for changed in (pools.take(pool, np.asarray([0, 0])), pools.append(pool, pool),
                  pools.pad(pool, num_videos=3, num_proposals=5, num_truths=2)):
    assert changed.features.dtype == dtype
    np.testing.assert_array_equal(np.float32(changed.features[0, :3]), np.float32(pool.features[0]))


def test_from_videos_faults():
  with pytest.raises(ValueError, match="at least one video"):
    pools.from_videos([])
  with pytest.raises(ValueError, match=r"different widths: \[3, 4\]"):
    pools.from_videos([video(2, 1), video(2, 1, dim=4)])
  with pytest.raises(ValueError, match=r"video 1 has 5 proposals and 1 truths"):
    pools.from_videos([video(2, 1), video(5, 1)], num_proposals=4)
  with pytest.raises(ValueError, match=r"video 0 has 2 proposals and 3 truths"):
    pools.from_videos([video(2, 3)], num_truths=2)


def test_append_and_pad_faults():
  a, b = pools.from_videos([video(2, 1)]), pools.from_videos([video(2, 1, dim=4)])
  with pytest.raises(ValueError, match="width 4 to features of width 3"):
    pools.append(a, b)
  for shrink in ({"num_proposals": 1}, {"num_videos": 0, "num_proposals": 1}):
    with pytest.raises(ValueError, match="cannot pad"):
      pools.pad(a, **shrink)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4),
       others=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4))
def test_append_is_from_videos_of_both_and_take_undoes_it(sizes, others):
  first = [video(p, t, seed=i) for i, (p, t) in enumerate(sizes)]
  second = [video(p, t, seed=10 + i) for i, (p, t) in enumerate(others)]
  both = pools.append(pools.from_videos(first), pools.from_videos(second))
  expected = pools.from_videos(first + second)
  jax.tree.map(np.testing.assert_array_equal, both, expected)
  back = pools.take(both, np.arange(len(first)))
  padded = pools.pad(pools.from_videos(first), num_proposals=both.segments.shape[1],
                     num_truths=both.truths.shape[1])
  jax.tree.map(np.testing.assert_array_equal, back, padded)


def test_pad_masks_what_it_adds():
  pool = pools.pad(pools.from_videos([video(2, 1)]), num_videos=2, num_proposals=3, num_truths=4)
  assert pool.features.shape == (2, 3, 3) and pool.truths.shape == (2, 4, 2)
  assert pool.proposal_mask.sum() == 2 and pool.truth_mask.sum() == 1
  assert set(np.asarray(pool.truth_labels)[~np.asarray(pool.truth_mask)]) == {-1}
  assert pool.durations[1] == 0


def test_take_follows_the_order_and_works_under_jit():
  pool = pools.from_videos([video(2, 1, seed=i) for i in range(4)])
  taken = jax.jit(pools.take)(jax.tree.map(jnp.asarray, pool), jnp.asarray([3, 1, 3]))
  np.testing.assert_array_equal(taken.durations, pool.durations[[3, 1, 3]])
  np.testing.assert_array_equal(taken.features, pool.features[[3, 1, 3]])


def test_proposal_overlaps_equal_the_slow_loop():
  pool = pools.from_videos([video(4, 2, seed=1), video(3, 3, seed=2), video(2, 0, seed=3)])
  overlaps = pools.proposal_overlaps(pool.segments, pool.truths, pool.truth_mask)
  assert overlaps.shape == (3, 4, 3)
  for v in range(3):
    for p in range(4):
      for t in range(3):
        expected = slow_tiou(pool.segments[v, p].astype(float), pool.truths[v, t].astype(float))
        expected *= pool.truth_mask[v, t]
        assert float(overlaps[v, p, t]) == pytest.approx(expected, abs=1e-6)
