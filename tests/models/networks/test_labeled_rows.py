"""Crops of the labelled rows: the video itself, a slow copy of the arithmetic, and invariants."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax import pool as pool_lib
from tal_jax.models.networks import labeled_rows as lib
from tal_jax.models.networks.labeled_rows import NONE, Augmentation, LabeledRows
from tal_jax.sizes import bucket
from tests import row_pools

pytestmark = pytest.mark.slow

LENGTH = 64
SMOOTH = Augmentation(noise=0.0, channel_noise=0.0, drop=0.0)
COUNTS = (40, 1, 100, 2, 64)
TRUTHS = ([[3.0, 12.5], [20.0, 39.0]], [[-0.2, 0.3]], [[10.0, 50.0], [70.5, 71.5], [-5.0, 120.0]],
          [], [[0.0, 63.0]])
LABELS = ([0, 1], [1], [0, 1, 0], [], [1])

_crops = jax.jit(lib.crops, static_argnames=("length", "augmentation"))


def crops(key, rows, videos, *, length, augmentation):
  noise = lib.draw_noise(jax.random.key(9), length, rows.values.shape[1])
  return _crops(key, rows, videos, noise, length=length, augmentation=augmentation)


@functools.cache
def data() -> LabeledRows:
  pool = row_pools.make([(row_pools.noise(n), t, c)
                         for n, t, c in zip(COUNTS, TRUTHS, LABELS, strict=True)])
  return lib.of_pool(pool, np.ones(len(COUNTS), bool))


def test_of_pool_by_hand():
  videos = [(np.full((3, 2), 10.0), [[0, 2]], [0]), (np.full((5, 2), 2.0), [[1, 3]], [1]),
            (np.zeros((0, 2)), [[0, 1]], [0]),
            # of no length; beyond the last row; before the first; of no class; two real ones
            (np.full((4, 2), -1.0), [[2, 2], [3.5, 9], [-9, -0.5], [0, 2], [-9, -0.4], [3.4, 9]],
             [0, 0, 0, -1, 1, 0])]
  pool = row_pools.make(videos)
  pool = pool._replace(rows=pool.rows._replace(mean=np.array([1.0, 0.0], np.float32),
                                               scale=np.array([0.5, 0.0], np.float32)))
  found = lib.of_pool(pool, np.array([True, False, True, True]))
  assert found.values.shape == (1024, 2) and found.count.shape == (16,)
  np.testing.assert_array_equal(found.values[:7], [[4.5, 0]] * 3 + [[-1, 0]] * 4)
  np.testing.assert_array_equal(found.count[:4], [3, 0, 4, 0])
  np.testing.assert_array_equal(found.first[:3], [0, 3, 3])
  np.testing.assert_array_equal(found.mask[0], [True] + [False] * 5)
  np.testing.assert_array_equal(found.mask[2], [False] * 4 + [True] * 2)
  assert not found.mask[1].any() and not found.mask[3:].any()
  np.testing.assert_allclose(found.truths[2, 4:], [[-9, -0.4], [3.4, 9]], atol=1e-5)
  np.testing.assert_array_equal(found.labels[2, 4:], [1, 0])


def test_of_no_video():
  pool = row_pools.make([(row_pools.noise(3), [[0, 1]], [0])])
  found = lib.of_pool(pool, np.array([False]))
  assert not found.count.any() and not found.mask.any() and found.values.shape == (1024, 4)


def test_without_augmentation_a_crop_is_the_video():
  videos = np.array([0, 1, 3, 4])
  batch = crops(jax.random.key(0), data(), videos, length=LENGTH, augmentation=NONE)
  for i, video in enumerate(videos):
    n = COUNTS[video]
    np.testing.assert_array_equal(batch.mask[i], np.arange(LENGTH) < n)
    np.testing.assert_allclose(batch.x[i, :n], row_pools.noise(n), rtol=1e-6)
    assert not batch.x[i, n:].any()
  np.testing.assert_array_equal(batch.truths, data().truths[videos])
  np.testing.assert_array_equal(batch.labels, data().labels[videos])
  np.testing.assert_array_equal(batch.truth_mask, data().mask[videos])


@jax.jit
@jax.vmap
def draws(key):
  """What a crop draws for its speed, its share (twice) and its begin, in that order."""
  k_speed, k_share, k_begin, *_ = jax.random.split(key, 6)
  return (jax.random.uniform(k_speed, minval=-SMOOTH.stretch, maxval=SMOOTH.stretch),
          *jax.random.uniform(k_share, (2,)), jax.random.uniform(k_begin))


def slow_crop(drawn, data, video, how):
  """From the same draws; the rest in float64 and loops. Returns rows, truths, which remain."""
  speed, chance, share, place = map(float, drawn)
  count, first = int(data.count[video]), int(data.first[video])
  stretch = np.exp(speed)
  total = int((count - 1) * stretch) + 1
  share = how.shortest + (1 - how.shortest) * share if chance < how.crop else 1.0
  kept = min(max(round(total * share), 1), LENGTH)
  begin = int(place * (total - kept + 1))
  values, x = np.asarray(data.values, np.float64), []
  for i in range(kept):
    at = min((begin + i) / stretch, count - 1)
    left = int(at)
    after = min(left + 1, count - 1)
    x.append((1 - at + left) * values[first + left] + (at - left) * values[first + after])
  truths, remain = [], []
  for (start, end), real in zip(np.asarray(data.truths[video], np.float64), data.mask[video],
                                strict=True):
    start, end = start * stretch - begin, end * stretch - begin
    cut = [start, end]
    if begin > 0:
      cut = [max(bound, -0.5) for bound in cut]
    if begin + kept < total:
      cut = [min(bound, kept - 0.5) for bound in cut]
    truths.append(cut)
    remain.append(bool(real) and cut[1] - cut[0] >= how.kept * (end - start))
  return np.array(x), np.array(truths), np.array(remain)


def test_crops_equal_the_slow_copy():
  videos = np.tile(np.arange(len(COUNTS)), 12)
  key = jax.random.key(3)
  batch, rows = jax.device_get((
      crops(key, data(), videos, length=LENGTH, augmentation=SMOOTH), data()))
  drawn = np.stack(draws(jax.random.split(key, len(videos))), axis=1)
  left, gone = 0, 0
  for i, video in enumerate(videos):
    x, truths, remain = slow_crop(drawn[i], rows, video, SMOOTH)
    np.testing.assert_array_equal(batch.mask[i], np.arange(LENGTH) < len(x))
    np.testing.assert_allclose(batch.x[i, :len(x)], x, atol=2e-4)
    assert not batch.x[i, len(x):].any()
    np.testing.assert_allclose(batch.truths[i], truths, atol=1e-4)
    np.testing.assert_array_equal(batch.truth_mask[i], remain)
    left, gone = left + remain.sum(), gone + (rows.mask[video] & ~remain).sum()
  assert left > 50 and gone > 5


def test_truths_are_where_the_features_say():
  """One dimension is 1 inside the instance and 0 elsewhere: its edges are the truth's, to a row."""
  bounds = [[20.0, 50.0]]
  values = np.zeros((90, 1), np.float32)
  values[20:51] = 1.0
  marked = lib.of_pool(row_pools.make([(values, bounds, [0])]), np.array([True]))
  batch = jax.device_get(crops(jax.random.key(0), marked, np.zeros(200, int), length=LENGTH,
                               augmentation=SMOOTH))
  whole, cut = 0, 0
  for x, mask, (start, end), real in zip(batch.x[..., 0], batch.mask, batch.truths[:, 0],
                                         batch.truth_mask[:, 0], strict=True):
    kept = int(mask.sum())
    inside = np.flatnonzero(np.asarray(x) > 0.5)
    if not real:
      assert len(inside) < 0.5 * 31 * np.exp(0.15) + 1
      continue
    assert abs(start - inside[0]) <= 1 and abs(end - inside[-1]) <= 1
    assert start >= -0.5 and end <= kept - 0.5
    is_cut = inside[0] == 0 or inside[-1] == kept - 1
    whole, cut = whole + (not is_cut), cut + is_cut
  assert whole > 20 and cut > 20


def test_noise():
  flat = lib.of_pool(row_pools.make([(np.ones((50, 300)), [], [])]), np.array([True]))
  how = NONE._replace(channel_noise=0.3, drop=0.2)
  batch = crops(jax.random.key(0), flat, np.zeros(2, int), length=LENGTH, augmentation=how)
  x = np.asarray(batch.x)
  np.testing.assert_array_equal(x[:, :50], np.broadcast_to(x[:, :1], (2, 50, 300)))
  assert not x[:, 50:].any()
  dropped = (x[:, 0] == 0).mean()
  assert 0.12 < dropped < 0.28 and 0.25 < x[:, 0][x[:, 0] != 0].std() < 0.35
  assert (x[0] != x[1]).any()
  x = np.asarray(crops(jax.random.key(0), flat, np.zeros(1, int), length=LENGTH,
                       augmentation=NONE._replace(noise=0.5)).x)
  assert 0.45 < x[0, :50].std() < 0.55 and abs(np.corrcoef(x[0, 0], x[0, 1])[0, 1]) < 0.2


def test_a_truth_remains_if_half_of_it_does():
  """All crops keep 60 %: of an instance at the end the part that is inside decides."""
  how = NONE._replace(crop=1.0, shortest=0.6)
  one = lib.of_pool(row_pools.make([(row_pools.noise(50), [[39.5, 49.5]], [0])]), np.array([True]))
  batch = crops(jax.random.key(0), one, np.zeros(100, int), length=LENGTH, augmentation=how)
  share = np.asarray(batch.truths[:, 0, 1] - batch.truths[:, 0, 0]) / 10
  assert ((share > 0) & (share < 0.5)).any() and ((share > 0.5) & (share < 1)).any()
  np.testing.assert_array_equal(batch.truth_mask[:, 0], share >= 0.5)


def test_more_padding_changes_nothing():
  grown = LabeledRows(*(jnp.pad(leaf, widths) for leaf, widths in zip(data(), (
      ((0, 1024), (0, 0)), (0, 16), (0, 16), ((0, 16), (0, 5), (0, 0)), ((0, 16), (0, 5)),
      ((0, 16), (0, 5))), strict=True)))
  videos = np.array([0, 1, 2, 3, 4, 2])
  few, more = (crops(jax.random.key(1), x, videos, length=LENGTH, augmentation=Augmentation())
               for x in (data(), grown))
  t = data().mask.shape[1]
  np.testing.assert_array_equal(few.x, more.x)
  np.testing.assert_array_equal(few.mask, more.mask)
  np.testing.assert_array_equal(few.truths, more.truths[:, :t])
  np.testing.assert_array_equal(few.truth_mask, more.truth_mask[:, :t])
  assert not more.truth_mask[:, t:].any()
  order = [lib.draw_order(np.random.default_rng(0), np.asarray(x.count), 50, length=LENGTH)
           for x in (data(), grown)]
  np.testing.assert_array_equal(*order)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=8).filter(any), st.integers(1, 60))
def test_every_pass_has_every_video(counts, num):
  units = [-(-n // LENGTH) for n in counts]
  order = lib.draw_order(np.random.default_rng(0), counts, num, length=LENGTH)
  assert order.dtype == np.int32 and order.shape == (num,)
  for begin in range(0, num - sum(units) + 1, sum(units)):
    found = np.bincount(order[begin:begin + sum(units)], minlength=len(counts))
    np.testing.assert_array_equal(found, units)
  passes = -(-num // sum(units))
  assert np.all(np.bincount(order, minlength=len(counts)) <= passes * np.array(units))
  again = lib.draw_order(np.random.default_rng(0), counts, num, length=LENGTH)
  np.testing.assert_array_equal(order, again)


@pytest.mark.parametrize(("counts", "most", "multiple", "expected"), [
    ([5, 60], 1024, 64, 64), ([65], 1024, 64, 128), ([5000], 1024, 64, 1024), ([0], 9, 64, 64),
    ([], 1024, 64, 64), ([130], 100, 128, 128)])
def test_crop_length(counts, most, multiple, expected):
  assert lib.crop_length(np.array(counts), most=most, multiple=multiple) == expected


def test_size():
  assert [bucket(n, smallest=16) for n in (0, 16, 17, 32, 33, 200)] == [16, 16, 32, 32, 64, 256]


def test_the_sizes_of_a_small_pool_do_not_depend_on_the_labels(monkeypatch):
  """One program for few labels and for all; a large pool has a series of sizes."""
  pool = row_pools.make([(row_pools.noise(200), [[1, 3]], [0])] * 20)  # 4,000 rows of 4 numbers

  def sizes(num):
    found = lib.of_pool(pool, np.arange(20) < num)
    return found.values.shape[0], found.count.shape[0]

  assert [sizes(num) for num in (1, 17, 20)] == [(4096, 32)] * 3
  monkeypatch.setattr(lib, "_ROOM", 5000 * 4)  # 1,250 rows: 1,024
  monkeypatch.setattr(lib, "_ROOM_VIDEOS", 16)
  assert [sizes(num) for num in (1, 6, 17, 20)] == [(1024, 16), (2048, 16), (4096, 32), (4096, 32)]


def test_a_pool_s_padding_changes_nothing():
  pool = row_pools.make([(row_pools.noise(7), [[1, 3]], [0]), (row_pools.noise(9), [[2, 3]], [1])])
  grown = pool_lib.pad(pool, num_videos=5)
  few = lib.of_pool(pool, np.array([False, True]))
  more = lib.of_pool(grown, np.array([False, True, False, True, True]))  # two have no rows
  for name, a, b in zip(few._fields, few, more, strict=True):
    if name != "first":  # where a video without rows begins does not matter
      np.testing.assert_array_equal(a, b)
