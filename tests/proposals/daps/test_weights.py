"""Weights on disk: the published order, a round trip, and faults that name the file."""

import numpy as np
import pytest

from tal_jax.errors import DataError
from tal_jax.proposals.daps import weights as daps_weights
from tests.proposals.daps import daps_reference

SIZES = {"dim": 5, "width": 6, "num_anchors": 3}


@pytest.fixture
def arrays():
  return daps_reference.random_arrays(np.random.default_rng(1), **SIZES)


def test_round_trip(arrays, tmp_path):
  model = daps_weights.DapsModel(daps_weights.from_published(arrays), (64.0, 128.5), 16,
                                 np.arange(5.0), np.full(5, 0.5), np.ones((3, 2)))
  daps_weights.write_model(tmp_path / "model.npz", model)
  with np.load(tmp_path / "model.npz") as file:
    for i, array in enumerate(arrays):
      np.testing.assert_array_equal(file[f"arr_{i}"], array)
  back = daps_weights.read_model(tmp_path / "model.npz")
  assert (back.dim, back.num_anchors, back.receptive_fields) == (5, 3, (64.0, 128.5))
  for field, value in back._asdict().items():
    if field != "params":
      np.testing.assert_array_equal(value, getattr(model, field))
  for name, value in model.params.items():
    np.testing.assert_array_equal(back.params[name], value)
  assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_plain_arrays_have_no_anchors(arrays, tmp_path):
  np.savez(tmp_path / "plain.npz", *arrays)
  model = daps_weights.read_model(tmp_path / "plain.npz")
  assert model[1:] == ((), 32, None, None, None)


def test_faults(arrays, tmp_path):
  path = tmp_path / "w.npz"
  with pytest.raises(DataError, match="w.npz cannot be read"):
    daps_weights.read_model(path)
  path.write_bytes(b"no zip")
  with pytest.raises(DataError, match="cannot be read"):
    daps_weights.read_model(path)
  np.savez(path, *arrays[:-1])
  with pytest.raises(DataError, match="no arr_20"):
    daps_weights.read_model(path)
  np.savez(path, *arrays[:4], arrays[4][:-1], *arrays[5:])
  with pytest.raises(DataError, match=r"arr_4 has the shape \(5, 6\), expected \(6, 6\)"):
    daps_weights.read_model(path)


def test_published_files(data_dir):
  folder = data_dir / "daps"
  if not folder.is_dir():
    pytest.skip(f"no published weights at {folder}")
  model = daps_weights.read_model(folder / "T512K64_thumos14.npz")
  assert (model.dim, model.num_anchors, len(model.params["cell_init"])) == (500, 64, 256)
