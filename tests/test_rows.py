"""Rows: places and times, normalisation, and videos taken, padded and gathered."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax import pool as pool_lib, rows as lib
from tests import row_pools

COUNTS = (3, 0, 5, 1)


def make():
  return row_pools.rows_of(row_pools.noise(9), COUNTS)


def test_times_by_hand():
  np.testing.assert_allclose(lib.to_times(np.array([0.0, 2.0, 2.5]), 0.25, 0.5), [0.25, 1.25, 1.5])
  np.testing.assert_allclose(lib.to_rows(np.array([0.25, 1.25, 0.0]), 0.25, 0.5), [0, 2, -0.5])


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(0, 100), st.floats(0.01, 10))
def test_times_and_rows_are_inverse(row, start, step):
  assert abs(lib.to_rows(lib.to_times(row, start, step), start, step) - row) < 1e-6


def test_normalised_by_hand():
  values = np.array([[1.0, 5.0, 3.0], [100.0, -100.0, 7.0]], np.float16)
  found = lib.normalised(values, np.array([1.0, 4.0, 3.0]), np.array([2.0, 0.5, 0.0]))
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, [[0, 0.5, 0], [6, -6, 0]])  # cut off; a constant dimension


def test_sizes():
  rows = make()
  assert rows.dim == row_pools.DIM and rows.num_videos == 4


def test_take_and_gather():
  rows = make()
  taken = lib.take(rows, np.array([2, 0, 2]))
  assert taken.values is rows.values
  np.testing.assert_array_equal(taken.count, [5, 3, 5])
  np.testing.assert_array_equal(lib.gather(taken, [0, 1]), rows.values[[3, 4, 5, 6, 7, 0, 1, 2]])
  np.testing.assert_array_equal(lib.gather(rows, [1]), np.zeros((0, 4)))
  assert lib.gather(rows, []).shape == (0, 4) and lib.gather(rows, []).dtype == np.float32


@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray])
def test_padding_adds_videos_without_rows(convert):
  rows = lib.Rows(*map(convert, make()))
  padded = lib.pad(rows, 6)
  assert padded.num_videos == 6 and isinstance(padded.count, type(rows.count))
  np.testing.assert_array_equal(padded.count, [*COUNTS, 0, 0])
  np.testing.assert_array_equal(lib.gather(padded, range(6)), lib.gather(rows, range(4)))
  assert np.isfinite(lib.to_rows(3.0, padded.start, padded.step)).all()  # no division by 0


def test_gather_reads_a_file(tmp_path):
  rows = make()
  path = tmp_path / "rows.bin"
  rows.values.tofile(path)
  mapped = rows._replace(values=np.memmap(path, np.float32, "r", shape=rows.values.shape))
  np.testing.assert_array_equal(lib.gather(mapped, [2, 3]), rows.values[3:])


def test_a_pool_s_rows_go_with_its_videos():
  pool = row_pools.make([(row_pools.noise(n), [[0, 1]], [0]) for n in (3, 5, 1)])
  taken = pool_lib.take(pool, np.array([2, 1]))
  np.testing.assert_array_equal(taken.rows.count, [1, 5])
  np.testing.assert_allclose(taken.durations, [0.5, 2.5])
  padded = pool_lib.pad(pool, num_videos=5)
  np.testing.assert_array_equal(padded.rows.count, [3, 5, 1, 0, 0])
  assert pool_lib.pad(pool, num_truths=7).rows is pool.rows
  assert pool_lib.without_features(pool).rows is None
  assert pool_lib.append(pool, pool).rows is None
  plain = pool._replace(rows=None)
  assert pool_lib.take(plain, np.array([0])).rows is None
  assert pool_lib.pad(plain, num_videos=4).rows is None
  bare = pool_lib.take(pool._replace(features=None), np.array([1]))
  assert bare.features is None and bare.num_videos == 1
