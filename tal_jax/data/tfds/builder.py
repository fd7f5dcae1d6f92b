"""`TemporalLocalization`: pooled proposal features in array_record files, without TensorFlow.

    builder = TemporalLocalization(config="thumos14", data_dir="datasets")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir="downloads"))
    source = builder.as_data_source("train[:50%]")  # source[0]["features"]: [p, d]

`tfds.load`, `as_dataset` and the `tfds` command line need TensorFlow, these do not; nor does
`tfds.builder_from_directory`. The tfds splits are the subsets (train, validation, test, others by
their own names); the three sets of the paper's protocol are chosen when the data set is read
(reader.py). Records are in the order of the annotation file, texts come back as bytes.

The same inputs and settings give the same bytes. A killed build goes on with the same command.
Preparing what is there already compares the inputs' checksums with those it was built from.
"""

from __future__ import annotations

import collections
import functools
import json
import math
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from tal_jax.data.annotations import subset_key
from tal_jax.data.text.json_file import plain
from tal_jax.data.tfds import checksums, inputs, parts
from tal_jax.data.tfds.settings import INSTRUCTIONS, LAYOUTS, Settings
from tal_jax.errors import DataError

CHECKSUMS = "checksums.json"  # of the data set's own files, written last
_SPLITS = {"training": "train", "testing": "test"}
_PATHS = ("annotations", "features", "proposals", "video_info")  # settings: not what, but where
_SHARD_SIZE = 256 << 20  # bytes


class _Deterministic(ExampleWriter):
  """Writes the fields of a record in one order: protobuf's own differs from process to process."""

  def write(self, path, examples):
    parse = tf_example_pb2.Example.FromString
    return super().write(path, ((key, parse(record).SerializeToString(deterministic=True))
                                for key, record in examples))


class TemporalLocalization(tfds.core.ShardBasedBuilder):
  """Videos with truths, proposals and the pooled features of the proposals.

  Not a GeneratorBasedBuilder: beyond 1 GB a split, those keep records in files of TensorFlow's.
  """

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = INSTRUCTIONS
  url_infos = {}  # nothing is downloaded; tfds would look for a list with an undeclared package
  BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name, description=layout.caption or "Any data.")
                     for name, layout in LAYOUTS.items()]

  def __init__(self, *, settings: Settings | None = None, **options: Any):
    """Makes the builder; `options` are those of tfds: config, data_dir, version.

    Args:
      settings: what a build depends on; None: all as the data set has it. Paths in it come before
        those in `manual_dir`.
    """
    self._settings = settings or Settings()
    self._inputs: inputs.Inputs | None = None
    self._num_shards: int | None = None
    super().__init__(**{"file_format": "array_record"} | options)
    self._original_state["settings"] = self._settings  # what tfds pickles

  def download_and_prepare(self, *, download_dir: str | None = None,
                           download_config: tfds.download.DownloadConfig | None = None,
                           **options: Any) -> None:
    """Builds the data set, goes on with a build that was killed, or checks what is there.

    Raises:
      DataError: files that are missing or faulty, or a data set of other inputs or settings.
    """
    config = download_config or tfds.download.DownloadConfig()
    self._num_shards = config.num_shards
    folder, scratch = pathlib.Path(self.data_dir), self._scratch()
    if (folder.exists() and config.download_mode.overwrite_dataset) or (
        folder.exists() and not (folder / CHECKSUMS).exists()):  # a build that was killed late
      shutil.rmtree(folder)
    manual = config.manual_dir or pathlib.Path(download_dir or self.data_dir_root) / "manual"
    self._inputs = inputs.load(self._settings, self.builder_config.name, manual)
    metadata = self._metadata()
    if folder.exists():
      self._compare(metadata)
      return
    for leftover in folder.parent.glob(f"incomplete.*_{folder.name}"):
      shutil.rmtree(leftover)
    self.info.metadata.update(metadata)
    # Nothing is downloaded, but tfds makes a folder for it.
    super().download_and_prepare(download_dir=os.fspath(scratch / "downloads"),
                                 download_config=config, **options)
    own = {path.name: checksums.sha256(path) for path in sorted(folder.iterdir())}
    (folder / CHECKSUMS).write_text(json.dumps(own, indent=1) + "\n")
    shutil.rmtree(scratch)

  def as_data_source(self, *args: Any, **options: Any):
    """Random access to the records; their types are those of the files, whatever the settings."""
    return tfds.builder_from_directory(self.data_dir).as_data_source(*args, **options)

  def _info(self) -> tfds.core.DatasetInfo:
    def tensor(shape, dtype):  # bytes: a list of numbers in a record would be float32, and slow
      return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

    return self.dataset_info_from_configs(
        description="Temporal action localization: truths, proposals and pooled features.",
        features=tfds.features.FeaturesDict({
            "video_id": tfds.features.Text(),
            "subset": tfds.features.Text(),  # as spelled in the annotations
            "index": np.int64,  # place in the annotations
            "duration": tensor((), np.float64),  # seconds
            "truths": tensor((None, 2), np.float64),  # seconds
            "labels": tensor((None,), np.int32),  # of the truths, into metadata["classes"]
            "proposals": tensor((None, 2), np.float64),  # seconds; none: the video is unusable
            "features": tensor((None, None), np.dtype(self._settings.dtype).type),  # [p, d]
            "whole": tensor((None,), np.float64),  # [d], of the segment [0, duration]
            "extra": tfds.features.Text(),  # JSON, other fields of the annotations
        }), metadata=tfds.core.MetadataDict(), disable_shuffling=True)

  def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Iterator]]]:
    del dl_manager  # nothing is downloaded
    files = parts.pool(self._inputs, self._scratch(), parts.fingerprint(self._metadata()))
    members = collections.defaultdict(list)
    for index, video in enumerate(self._inputs.annotations.videos.values()):
      members[_split_name(video.subset)].append((index, files[index]))
    shards = {}
    for name, split in sorted(members.items()):
      size = sum(file.stat().st_size for _, file in split)
      number = min(self._num_shards or math.ceil(size / _SHARD_SIZE), len(split))
      bounds = [len(split) * k // number for k in range(number + 1)]
      shards[name] = [functools.partial(self._examples, split[begin:end])
                      for begin, end in zip(bounds, bounds[1:], strict=False)]
    return shards

  def _examples(self, members: list[tuple[int, pathlib.Path]]
                ) -> Iterator[tuple[int, dict[str, Any]]]:
    videos = list(self._inputs.annotations.videos.values())
    classes = {name: i for i, name in enumerate(self._inputs.annotations.classes)}
    for index, file in members:
      video, part = videos[index], parts.load(file)
      # Empty arrays have no bytes to restore their shape from: one zero stands for no features.
      features = part.features if len(part.proposals) else np.zeros((1, 1), part.features.dtype)
      yield index, {
          "video_id": video.video_id, "subset": video.subset, "index": index,
          "duration": np.float64(video.duration),
          "truths": np.asarray(video.segments, np.float64).reshape(-1, 2),
          "labels": np.array([classes[label] for label in video.labels], np.int32),
          "proposals": part.proposals, "features": features, "whole": part.whole,
          "extra": json.dumps(plain(dict(video.extra)))}

  def _example_writer(self) -> ExampleWriter:
    return _Deterministic(self.info.file_format)

  def _metadata(self) -> dict[str, Any]:
    """What is stored with the data set; nothing in it depends on where the files lie."""
    found = self._inputs
    settings = {key: value for key, value in found.settings._asdict().items()
                if key not in _PATHS}
    return {"classes": list(found.annotations.classes), "settings": settings,
            "inputs": found.checksums}

  def _compare(self, metadata: dict[str, Any]) -> None:
    """DataError unless the data set that is there was built from the same."""
    recorded = self.info.metadata
    fault = checksums.differences(recorded["inputs"], metadata["inputs"])
    if fault:
      raise DataError(f"{self.data_dir} was built from other inputs ({fault}). Build into another "
                      "folder, or again with --overwrite.")
    changed = [f"{key}: {recorded['settings'].get(key)!r}, now {value!r}"
               for key, value in metadata["settings"].items()
               if recorded["settings"].get(key) != value]
    if changed:
      raise DataError(f"{self.data_dir} was built with other settings ({'; '.join(changed)}). "
                      "Build into another folder, or again with --overwrite.")

  def _scratch(self) -> pathlib.Path:
    return pathlib.Path(self.data_dir).parent / ".parts"


def _split_name(subset: str) -> str:
  """tfds wants words without signs; the record keeps the subset as it is spelled."""
  key = subset_key(subset)
  return _SPLITS.get(key, re.sub(r"\W+", "_", key) or "all")
