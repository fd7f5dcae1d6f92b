"""Named arrays from a file of weights, in whatever format; no code of the file is run.

    .npz            NumPy, without pickles
    .safetensors    read here
    .h5, .hdf5      Keras, old and new (needs h5py); names joined by /
    .pth, .pt, .tar PyTorch (needs torch), read with weights_only=True
"""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import zipfile

import numpy as np

from tal_jax.errors import DataError

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """All arrays of the file by name.

  Raises:
    DataError: no such file, an unknown format, a damaged file, or a package that is not installed.
  """
  path = pathlib.Path(path)
  reader = _READERS.get(path.suffix.lower())
  if reader is None:
    raise DataError(f"{path}: weights are read from {', '.join(sorted(_READERS))}")
  if not path.is_file():
    raise DataError(f"{path} is not a file")
  try:
    return reader(path)
  except DataError:
    raise
  except (OSError, ValueError, KeyError, EOFError, RuntimeError, pickle.UnpicklingError,
          zipfile.BadZipFile) as error:
    raise DataError(f"{path} cannot be read as {path.suffix}: {str(error)[:300]}") from error


def _read_npz(path):
  with np.load(path, allow_pickle=False) as archive:
    return {name: archive[name] for name in archive.files}


def _read_safetensors(path):
  content = path.read_bytes()
  start = 8 + int.from_bytes(content[:8], "little")
  arrays = {}
  for name, entry in json.loads(content[8:start]).items():
    if name == "__metadata__":
      continue
    if entry["dtype"] not in _DTYPES:
      raise DataError(f"{path}: {name} is of the type {entry['dtype']}; save it as F32")
    first, last = entry["data_offsets"]
    data = np.frombuffer(content[start + first:start + last], _DTYPES[entry["dtype"]])
    arrays[name] = data.reshape(entry["shape"])
  return arrays


def _read_hdf5(path):
  try:
    import h5py
  except ImportError as error:
    raise DataError("reading Keras weights needs h5py: pip install h5py") from error
  arrays = {}

  def visit(name, item):
    if isinstance(item, h5py.Dataset) and np.issubdtype(item.dtype, np.number):
      arrays[name] = item[()]

  with h5py.File(path, "r") as root:
    root.visititems(visit)
  return arrays


def _read_torch(path):
  try:
    import torch
  except ImportError as error:
    raise DataError(f"reading {path} needs PyTorch: pip install torch, or save the tensors as .npz "
                    "or .safetensors where it is installed") from error
  content = torch.load(path, map_location="cpu", weights_only=True)
  content = content.get("state_dict", content)
  return {name: value.numpy() for name, value in content.items() if hasattr(value, "numpy")}


_READERS = {".npz": _read_npz, ".safetensors": _read_safetensors, ".h5": _read_hdf5,
            ".hdf5": _read_hdf5, ".pth": _read_torch, ".pt": _read_torch, ".tar": _read_torch}
