"""Containers of features that are not read, and how to make files of them that are.

Pickles (and what NumPy and PyTorch put around them) can run any code when they are read; the others
are for other programs. Each is told by its name, and refused with the lines that convert it.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from tal_jax.errors import DataError

_RISK = "and reading one can run any code; where you trust it, convert it"
_SAVE = "numpy.save(ID + '.npy', array)"
_PICKLE = (f"a pickle, {_RISK}: for ID, array in pickle.load(open(FILE, 'rb')).items(): {_SAVE} "
           "(one array, if the file is of one video)")
_TORCH = ("a pickle of PyTorch, which is not read; convert it: x = torch.load(FILE, "
          "map_location='cpu', weights_only=True); numpy.save(ID + '.npy', x.numpy()), or for ID, "
          "tensor in x.items() if it is a dictionary")
_MATLAB = ("a MATLAB file; convert it: x = scipy.io.loadmat(FILE)[NAME] (h5py.File(FILE)[NAME][()]"
           f".T for version 7.3); {_SAVE}, as [T, d]")
_TABLE = f"a table of another program; convert it: pandas.read_...(FILE).to_numpy(), and {_SAVE}"
_ARCHIVE = "an archive: unpack it, and name the folder"
_KINDS = {
    (".pkl", ".pickle", ".p", ".joblib"): _PICKLE,
    (".pt", ".pth", ".ckpt", ".bin.pt"): _TORCH,
    (".mat",): _MATLAB,
    (".parquet", ".feather", ".xlsx", ".xls"): _TABLE,
    (".tfrecord", ".tfrecords", ".lmdb", ".msgpack", ".safetensors", ".zarr"):
        f"a container that is not read; convert it with the program that wrote it: {_SAVE}",
    (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"): _ARCHIVE,
}
_FOLDERS = 20  # of a folder that are looked into
OBJECTS = (f"say a dictionary that numpy.save was given, {_RISK}: x = numpy.load(FILE, "
           f"allow_pickle=True).item(); for ID, array in x.items(): {_SAVE} (a list of arrays of "
           "one length: numpy.stack)")


class Foreign(DataError):
  """A file in a container that is not read; the message has the way out."""


def describe(name: str) -> str | None:
  """What a file of that name is, and how to convert it; None: none of those that are refused."""
  return next((kind for suffixes, kind in _KINDS.items() if name.lower().endswith(suffixes)), None)


def refused(path: str | os.PathLike) -> str | None:
  """For a path in no known format: what it is, or holds, that is refused; None: nothing such."""
  path = pathlib.Path(path)
  if not path.is_dir():
    what = _alone(path) or describe(path.name)
    return f"{path.name} is {what}" if what else None
  folders = [path, *sorted(entry for entry in path.iterdir() if entry.is_dir())[:_FOLDERS]]
  found = ([name for name in sorted(os.listdir(folder)) if describe(name)] for folder in folders)
  return next((_several(names) for names in found if names), None)


def _several(names: Sequence[str]) -> str:
  more = f" and {len(names) - 1} more" if len(names) > 1 else ""
  return f"{names[0]}{more} is {describe(names[0])}"


def _alone(path: pathlib.Path) -> str | None:
  """What is said of a single .npy or .npz file, which is no set of videos."""
  suffix = path.suffix.lower()
  if suffix == ".npy":
    return ("one array (or, if it holds objects, a pickled dictionary); features are a file per "
            f"video: name the folder that it is in, or convert it: {OBJECTS.partition(': ')[2]}")
  if suffix == ".npz":
    return ("one archive of arrays; features are a file per video: for ID, array in "
            f"numpy.load(FILE).items(): {_SAVE}")
  return None
