"""Builds a data set of pooled proposal features, for the source `tfds`; no TensorFlow.

    python -m experiments.build_dataset --config=configs/tfds.py:hapt --manual_dir=downloads \
        --output=datasets
    python -m experiments.build_dataset --config=configs/files.py --output=datasets \
        --config.data.annotations=truth.json --config.data.features=features

A config with a part `build` (configs/tfds.py) names the data set and its settings; another one
(configs/files.py) gives a `custom` data set from its part `data`. Files that the config does not
name are looked for in --manual_dir. The result, array_record files, stands in
OUTPUT/temporal_localization/CONFIG/VERSION and is read with --config.data.path=OUTPUT.

A run that was killed goes on with the same command, with the same result. The same command once
more compares the inputs with those that the data set was built from.
"""

from __future__ import annotations

import os
import pathlib

import tensorflow_datasets as tfds
from absl import flags
from ml_collections import ConfigDict, config_flags

from tal_jax.data.tfds.builder import TemporalLocalization
from tal_jax.data.tfds.settings import LAYOUTS, Settings
from tal_jax.errors import DataError
from tal_jax.runs import cli


def run(config: ConfigDict, output: str | os.PathLike, *, manual_dir: str | os.PathLike = "manual",
        num_shards: int | None = None, overwrite: bool = False) -> pathlib.Path:
  """Builds the data set of a config, or checks the one that is there.

  Args:
    config: with a part `build`, or with a part `data` of the source `files`.
    output: folder above the data set.
    manual_dir: where files are looked for that the config does not name.
    num_shards: of each subset; None: by size.
    overwrite: builds again what is there.

  Returns:
    The data set's folder.

  Raises:
    DataError: a setting, the files, or what is in `output`.
  """
  name, settings = dataset_and_settings(config)
  if num_shards is not None and num_shards < 1:
    raise DataError(f"--shards={num_shards}: it must be at least 1")
  builder = TemporalLocalization(config=name, settings=settings, data_dir=os.fspath(output))
  mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS if overwrite else (
      tfds.GenerateMode.REUSE_DATASET_IF_EXISTS)
  tfds.disable_progress_bar()  # ours tells more
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(
      manual_dir=os.fspath(manual_dir), num_shards=num_shards, download_mode=mode))
  return pathlib.Path(builder.data_dir)


def dataset_and_settings(config: ConfigDict) -> tuple[str, Settings]:
  """The data set's name and the build's settings that a config asks for.

  Raises:
    DataError: a config of neither kind, or an unknown data set.
  """
  if "build" in config:
    options = config.build.to_dict()
    name = options.pop("dataset")
  elif config.data.source == "files":
    name, options = "custom", {key: value for key, value in config.data.to_dict().items()
                               if key in Settings._fields}
  else:
    raise DataError(f"data.source = {config.data.source!r}: a data set is built with "
                    "configs/tfds.py, or from the source 'files'.")
  if name not in LAYOUTS:
    raise DataError(f"build.dataset = {name!r}; there are {', '.join(LAYOUTS)}.")
  return name, Settings(**options | {"encoder": config.encoder})


def main() -> None:
  folder = run(_CONFIG.value, _OUTPUT.value, manual_dir=_MANUAL.value, num_shards=_SHARDS.value,
               overwrite=_OVERWRITE.value)
  info = tfds.builder_from_directory(folder).info
  sizes = ", ".join(f"{name} {split.num_examples} videos in {split.num_shards} files"
                    for name, split in info.splits.items())
  print(f"{folder}: {sizes}, {sum(s.num_bytes for s in info.splits.values()) / 2**20:.1f} MiB")


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file(
      "config", None, "Configuration, e.g. configs/tfds.py:hapt or configs/files.py.")
  _OUTPUT = flags.DEFINE_string("output", "datasets", "Folder above the data set.")
  _MANUAL = flags.DEFINE_string(
      "manual_dir", "manual", "Where files are looked for that the config does not name.")
  _SHARDS = flags.DEFINE_integer("shards", None, "Files of each subset; default: by size.")
  _OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Builds again what is there.")
  flags.mark_flag_as_required("config")
  cli.run_main(main)
