"""A file of episodes: whatever a kill leaves of it, it goes on to the same bytes."""

import json
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.errors import DataError
from tal_jax.selection import episode_file as lib
from tests import pools

DESCRIPTION = {"format": 1, "key": [0, 7], "labeled_sizes": [2, 5]}
ROWS = [{"gains": np.random.default_rng(i).normal(size=i + 1).astype(np.float32).tolist()}
        for i in range(4)]


def go_on(path, rows=ROWS):
  """What `generate` does; returns how many rows there were."""
  there = lib.open_rows(path, DESCRIPTION)
  assert there == rows[:len(there)]
  for row in rows[len(there):]:
    lib.append(path, row)
  return len(there)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  path = tmp_path_factory.mktemp("rows") / "deep" / "rows.jsonl"
  assert go_on(path) == 0
  return path.read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_cut_anywhere_it_ends_with_the_same_bytes(whole, data):
  size = data.draw(st.integers(0, len(whole)))
  after = data.draw(st.sampled_from([b"", b"\0\0\0", b"\0\n", b"{\"gains\": [\n", b"\xff\xfe"]))
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "rows.jsonl"
    path.write_bytes(whole[:size])
    there = max(0, whole[:size].count(b"\n") - 1)
    if there:  # a full disk, or a power cut, may leave something else behind the last row
      path.write_bytes(whole[:size] + after)
    assert go_on(path) in (there, there + 1)
    assert path.read_bytes() == whole


def test_every_position(whole, tmp_path):
  path = tmp_path / "rows.jsonl"
  for size in range(len(whole) + 1):
    path.write_bytes(whole[:size])
    assert go_on(path) == max(0, whole[:size].count(b"\n") - 1)
    assert path.read_bytes() == whole


def test_float32_comes_back_to_the_bit(tmp_path):
  values = np.array([1 / 3, 1e-45, -0.0, 3.4e38, np.pi, 1e-7], np.float32)
  lib.open_rows(tmp_path / "rows", DESCRIPTION)
  lib.append(tmp_path / "rows", {"values": values.tolist()})
  (row,) = lib.open_rows(tmp_path / "rows", DESCRIPTION)
  assert np.asarray(row["values"], np.float32).tobytes() == values.tobytes()


def test_another_description_is_refused_and_named(whole, tmp_path):
  path = tmp_path / "rows.jsonl"
  path.write_bytes(whole)
  with pytest.raises(DataError, match=r"(?s)rows.jsonl holds 4 episodes.*labeled_sizes: \[2, 5\] "
                     r"there, \[2, 6\] now.*Delete it"):
    lib.open_rows(path, DESCRIPTION | {"labeled_sizes": [2, 6]})
  assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"\x89PNG\n\x1a", b"[1, 2]\n", b"hello", b"{\"a\": 1}"])
def test_a_file_of_something_else_is_left_alone(content, tmp_path):
  path = tmp_path / "rows.jsonl"
  path.write_bytes(content)
  with pytest.raises(DataError, match="not a file of LAL's episodes"):
    lib.open_rows(path, DESCRIPTION)
  assert path.read_bytes() == content


def test_describes_all_that_determines_the_episodes():
  pool, key = pools.videos(), jax.random.key(3)
  base = lib.describe(key, pool, pools.SETTINGS, labeled_sizes=(2, 5))
  assert base == json.loads(json.dumps(base))
  assert base == lib.describe(key, jax.tree.map(np.asarray, pool), pools.SETTINGS,
                              labeled_sizes=(2, 5))
  half = pool._replace(features=pool.features.astype(jnp.bfloat16))
  moved = pool._replace(truths=pool.truths.at[1, 0, 0].add(0.01))
  for other in (lib.describe(jax.random.key(4), pool, pools.SETTINGS, labeled_sizes=(2, 5)),
                lib.describe(key, half, pools.SETTINGS, labeled_sizes=(2, 5)),
                lib.describe(key, moved, pools.SETTINGS, labeled_sizes=(2, 5)),
                lib.describe(key, pool, pools.SETTINGS._replace(top_k=4), labeled_sizes=(2, 5)),
                lib.describe(key, pool, pools.SETTINGS, labeled_sizes=(2, 6))):
    assert other != base and other.keys() == base.keys()
