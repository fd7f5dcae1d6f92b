"""Reading of feature files in every layout."""

import h5py
import numpy as np
import pytest

from tal_jax.data import features as lib
from tal_jax.data.records import TimeGrid
from tal_jax.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(4, 3)
GRIDS = {"a": TimeGrid(25.0, 8.0, 16.0), "b": TimeGrid(30.0), "c": TimeGrid(1.0)}


def folder(tmp_path):
  np.save(tmp_path / "a.npy", X)
  np.savez(tmp_path / "v_b.npz", feats=X + 1, other=X[0])
  np.savez_compressed(tmp_path / "c.npz", anything=X.astype(np.float16))
  (tmp_path / "notes.txt").write_text("not read")
  return tmp_path


def hdf5(tmp_path):
  with h5py.File(tmp_path / "all.h5", "w") as file:
    file["a"] = X
    file["v_b/c3d_features"] = X + 1
    file["c/feats"] = X.astype(np.float16)
    file["c/other"] = X
  return tmp_path / "all.h5"


@pytest.mark.parametrize("make", [folder, hdf5])
def test_layouts(tmp_path, make):
  store = lib.open_store(make(tmp_path), grids=GRIDS)
  assert store.ids() == ("a", "c", "v_b") and not store.duplicates
  for video_id, expected in (("a", X), ("b", X + 1), ("c", X)):
    assert store.shape(video_id) == (4, 3)
    values, grid = store.load(video_id)
    np.testing.assert_array_equal(values, expected)
    assert grid == GRIDS[video_id]
  assert lib.unused(store, ["a", "b"]) == ("c",)
  with pytest.raises(DataError, match="d has no features in"):
    store.load("d")


def test_array_by_key(tmp_path):
  store = lib.open_store(folder(tmp_path), grids=GRIDS, key="other")
  with pytest.raises(DataError, match=r"v_b.npz has the shape \(3,\)"):
    store.load("b")
  with pytest.raises(DataError, match=r"c.npz: has no array 'other', only anything"):
    store.load("c")


def test_ambiguous_npz(tmp_path):
  np.savez(tmp_path / "a.npz", x=X, y=X)
  with pytest.raises(DataError, match="holds 2 arrays"):
    lib.open_store(tmp_path, grids=GRIDS).shape("a")


def test_duplicates(tmp_path):
  for name in ("a", "v_a"):
    np.save(tmp_path / f"{name}.npy", X)
  np.savez(tmp_path / "a.npz", X)
  assert lib.open_store(tmp_path, grids=GRIDS).duplicates == {"a": ("a.npy", "a.npz", "v_a.npy")}


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_files(tmp_path, name):
  (tmp_path / name).write_bytes(b"\x93NUMPY garbage")
  store = lib.open_store(tmp_path, grids=GRIDS)
  for read in (store.load, store.shape):
    with pytest.raises(DataError, match=f"{name} cannot be read"):
      read("a")


def test_truncated_and_object_arrays(tmp_path):
  np.save(tmp_path / "a.npy", X)
  content = (tmp_path / "a.npy").read_bytes()
  (tmp_path / "a.npy").write_bytes(content[:-5])
  np.save(tmp_path / "b.npy", np.array([None, 1], object))
  np.save(tmp_path / "c.npy", np.array([["x"]]))
  store = lib.open_store(tmp_path, grids=GRIDS)
  for video_id, message in (("a", "cannot be read"), ("b", "cannot be read"), ("c", "not numbers")):
    with pytest.raises(DataError, match=message):
      store.load(video_id)


def test_nothing_to_read(tmp_path):
  with pytest.raises(DataError, match="is in no known format of features.*The folder is empty"):
    lib.open_store(tmp_path, grids={})
  with pytest.raises(DataError, match="cannot read .*absent"):
    lib.open_store(tmp_path / "absent", grids={})
  (tmp_path / "bad.h5").write_bytes(b"no")
  with pytest.raises(DataError, match="not a readable HDF5"):
    lib.open_store(tmp_path / "bad.h5", grids={})


def test_a_rate_that_is_not_known(tmp_path):
  np.save(tmp_path / "b.npy", X)
  with pytest.raises(DataError, match="b: the frame rate of the features is not known"):
    lib.open_store(tmp_path, grids={}).load("b")


def test_hapt(data_dir):
  store = lib.open_store(data_dir / "hapt" / "features", grids={})
  assert len(store.ids()) == 340
  assert {store.shape(video_id)[1] for video_id in store.ids()} == {64}
