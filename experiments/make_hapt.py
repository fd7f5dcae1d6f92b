"""Makes the data set of configs/hapt.py from the archive of the UCI repository.

    python -m experiments.make_hapt --manual_dir=downloads --output=data/hapt

Takes `HAPT Data Set.zip` (or its newer name, or the unpacked folder) in --manual_dir, and writes
OUTPUT/hapt.json and OUTPUT/features/ID.npy. What is ours in it stands in tal_jax/data/tfds/hapt.py.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from tal_jax.data.annotations import write_annotations
from tal_jax.data.features import write_features
from tal_jax.data.tfds import hapt
from tal_jax.runs import cli


def run(manual_dir: str | os.PathLike, output: str | os.PathLike) -> pathlib.Path:
  """Writes the data set and returns its annotation file.

  Raises:
    DataError: no archive there, or one that is not whole.
  """
  found = hapt.load(manual_dir)
  folder = pathlib.Path(output)
  folder.mkdir(parents=True, exist_ok=True)
  write_features(folder / "features", ((i, found.features(i)) for i in found.annotations.videos))
  write_annotations(folder / "hapt.json", found.annotations)
  return folder / "hapt.json"


def main() -> None:
  print(run(_MANUAL_DIR.value, _OUTPUT.value))


if __name__ == "__main__":
  _MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder that holds the archive.")
  _OUTPUT = flags.DEFINE_string("output", None, "Folder of the data set, e.g. data/hapt.")
  flags.mark_flags_as_required(["manual_dir", "output"])
  cli.run_main(main)
