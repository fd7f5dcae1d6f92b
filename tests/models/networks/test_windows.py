"""Windows over rows: every row is some window's own, with enough around it."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.models.networks import windows as lib
from tests import row_pools

MULTIPLE = 8


def numbered(counts):
  """Rows that hold their own number, from 1 on."""
  total = int(np.sum(counts))
  return row_pools.rows_of(np.arange(1.0, total + 1, dtype=np.float32)[:, None], counts)


def test_by_hand():
  """Own parts of 24 - 2 * 2 = 20 rows become 16; a window begins 8 before its own rows."""
  rows = numbered([5, 0, 40, 9, 24])
  batches = list(lib.batches(rows, reach=2, multiple=MULTIPLE, longest=24))
  found = sorted((w.values.shape[1], int(w.video[i]), int(w.offset[i]), *map(int, w.own[i]))
                 for w in batches for i in np.flatnonzero(w.video >= 0))
  assert found == [(8, 0, 0, 0, 5), (16, 2, 24, 8, 16), (16, 3, 0, 0, 9), (24, 2, 0, 0, 16),
                   (24, 4, 0, 0, 24), (32, 2, 8, 8, 24)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 150), max_size=6), st.integers(1, 12), st.integers(1, 60))
def test_every_row_is_owned_once_and_has_its_surroundings(counts, reach, longest):
  rows = numbered(counts)
  owners = np.zeros(len(rows.values), int)
  limit = max(longest, 4 * reach + 2 * MULTIPLE) + 2 * MULTIPLE
  for w in lib.batches(rows, reach=reach, multiple=MULTIPLE, longest=longest):
    length = w.values.shape[1]
    assert length % MULTIPLE == 0 and length <= limit and (w.video >= 0).any()
    units = length // MULTIPLE
    assert units & (units - 1) == 0 or units % 3 == 0 or length >= longest
    for i, video in enumerate(w.video):
      if video < 0:
        assert not w.mask[i].any() and not w.values[i].any() and not w.own[i].any()
        continue
      n, offset, (begin, end) = counts[video], int(w.offset[i]), w.own[i]
      real = int(w.mask[i].sum())
      assert w.mask[i, :real].all() and offset % MULTIPLE == 0 and begin % MULTIPLE == 0
      at = int(rows.first[video]) + offset
      np.testing.assert_array_equal(w.values[i, :real, 0], np.arange(at, at + real) + 1)
      assert not w.values[i, real:].any()
      owners[at + begin:at + end] += 1
      assert begin >= reach or offset == 0
      assert real - end >= reach or offset + real == n
  np.testing.assert_array_equal(owners, 1)


def test_a_memory_mapped_file_is_read_by_windows(tmp_path):
  rows = numbered([30, 7])
  path = tmp_path / "rows.bin"
  rows.values.astype(np.float16).tofile(path)
  mapped = rows._replace(values=np.memmap(path, np.float16, "r", shape=rows.values.shape))
  options = {"reach": 2, "multiple": MULTIPLE, "longest": 16}
  for a, b in zip(lib.batches(rows, **options), lib.batches(mapped, **options), strict=True):
    assert b.values.dtype == np.float16 and not isinstance(b.values, np.memmap)
    for x, y in zip(a, b, strict=True):
      np.testing.assert_array_equal(x, y)


def test_batches_are_bounded_and_of_few_lengths():
  rng = np.random.default_rng(0)
  counts = rng.integers(1, 3000, 60)
  shapes = {w.values.shape[:2] for w in lib.batches(numbered(counts), reach=20, multiple=64)}
  assert all(b * n <= lib._ROWS_A_BATCH for b, n in shapes)
  assert {n for _, n in shapes} <= {64 * k for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)}
  assert len(shapes) == len({n for _, n in shapes})  # one number of windows for each length


@pytest.mark.parametrize("counts", [[], [0], [0, 0]])
def test_nothing(counts):
  assert not list(lib.batches(numbered(counts), reach=2, multiple=8))
