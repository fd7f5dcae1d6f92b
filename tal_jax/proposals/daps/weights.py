"""Weights of DAPs on disk: the published files, and the models that this project trains.

Both are .npz files with the arrays arr_0 ... arr_20:

    (W_in [d, h], W_hidden [h, h], b [h]) of the input, forget, cell and output gate
    peepholes [h] of the input, forget and output gate; cell_init, hidden_init [1, h]
    location W [h, 2 K], b [2 K]; confidence W [h, K], b [K]

A file of ours has beside them the other fields of `DapsModel`, so that it can be used without its
configuration. The published anchors are an HDF5 file of their own; inference does not need them.

Source: escorciav/daps, data/models; Lasagne's `get_all_param_values` gives the order.
"""

from __future__ import annotations

import os
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from tal_jax.errors import DataError
from tal_jax.proposals.daps.network import Params

NUM_ARRAYS = 21
_OWN_ARRAYS = ("mean", "scale", "anchors")


class DapsModel(NamedTuple):
  """A trained network and what it reads."""

  params: Params  # arrays, see `daps.Daps`
  receptive_fields: tuple[float, ...] = ()  # T, seconds; () where the file does not say
  num_chunks: int = 32  # C
  mean: np.ndarray | None = None  # [d], taken off every row; None: 0
  scale: np.ndarray | None = None  # [d], the rows are multiplied by it then; None: 1
  anchors: np.ndarray | None = None  # [K, 2] [centre, duration] / T; None: not in the file

  @property
  def dim(self) -> int:
    """d, the width of the features."""
    return self.params["w_in"].shape[0]

  @property
  def num_anchors(self) -> int:
    return self.params["confidence_b"].shape[0]


def read_model(path: str | os.PathLike) -> DapsModel:
  """Reads a published or own model.

  Raises:
    DataError: no such file, or not of this layout.
  """
  try:
    with np.load(path, allow_pickle=False) as file:
      arrays = {name: file[name] for name in file.files}
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    reason = getattr(error, "strerror", None) or error
    raise DataError(f"{path} cannot be read as weights of DAPs ({reason}): give the .npz "
                    "file") from error
  missing = [f"arr_{i}" for i in range(NUM_ARRAYS) if f"arr_{i}" not in arrays]
  if missing:
    raise DataError(f"{path} has {len(arrays)} arrays, and no {', '.join(missing[:3])}: weights of "
                    f"DAPs are arr_0 to arr_{NUM_ARRAYS - 1}")
  params = from_published([arrays[f"arr_{i}"] for i in range(NUM_ARRAYS)], path)
  return DapsModel(params, tuple(map(float, arrays.get("receptive_fields", ()))),
                   int(arrays.get("num_chunks", 32)),
                   *(arrays.get(name) for name in _OWN_ARRAYS))


def from_published(arrays: list[np.ndarray], path: str | os.PathLike = "weights") -> Params:
  """Parameters from the 21 arrays in the published order; DataError if the shapes do not fit."""
  d, h = (*np.shape(arrays[0]), 0, 0)[:2]
  k = np.size(arrays[20])
  wanted = [*([(d, h), (h, h), (h,)] * 4), *([(h,)] * 3), (1, h), (1, h), (h, 2 * k), (2 * k,),
            (h, k), (k,)]
  for i, (array, shape) in enumerate(zip(arrays, wanted, strict=True)):
    if np.shape(array) != shape or not h:
      raise DataError(f"{path}: arr_{i} has the shape {np.shape(array)}, expected {shape} (the "
                      "first is [features, units], the last [anchors])")
  return {
      "w_in": np.concatenate(arrays[0:12:3], axis=1),
      "w_hidden": np.concatenate(arrays[1:12:3], axis=1),
      "bias": np.concatenate(arrays[2:12:3]), "peepholes": np.stack(arrays[12:15]),
      "cell_init": arrays[15][0], "hidden_init": arrays[16][0],
      "location_w": arrays[17], "location_b": arrays[18],
      "confidence_w": arrays[19], "confidence_b": arrays[20]}


def to_published(params: Params) -> list[np.ndarray]:
  """The 21 arrays in the published order; `from_published` gives the parameters back."""
  p = {name: np.asarray(value, np.float32) for name, value in params.items()}
  gates = zip(*(np.split(p[name], 4, axis=-1) for name in ("w_in", "w_hidden", "bias")),
              strict=True)
  return [*(array for gate in gates for array in gate), *p["peepholes"], p["cell_init"][None],
          p["hidden_init"][None], p["location_w"], p["location_b"], p["confidence_w"],
          p["confidence_b"]]


def write_model(path: str | os.PathLike, model: DapsModel) -> None:
  """Writes a model so that `read_model` gives it back; the file appears when it is complete."""
  arrays = {f"arr_{i}": array for i, array in enumerate(to_published(model.params))}
  arrays["receptive_fields"] = np.asarray(model.receptive_fields, np.float64)
  arrays["num_chunks"] = np.asarray(model.num_chunks)
  arrays |= {name: np.asarray(getattr(model, name), np.float32) for name in _OWN_ARRAYS
             if getattr(model, name) is not None}
  part = pathlib.Path(f"{os.fspath(path)}.part")
  with part.open("wb") as file:
    np.savez(file, **arrays)
  os.replace(part, path)
