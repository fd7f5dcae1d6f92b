"""The source `tfds`: what `TemporalLocalization` wrote, as RawData whose features are pooled."""

from __future__ import annotations

import json
import os
import pathlib
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tal_jax.data import files, splits
from tal_jax.data.records import Annotations, EncodedFeatures, RawData, Split, VideoAnnotation
from tal_jax.data.tfds import builder as builder_lib, checksums
from tal_jax.errors import DataError


def load(*, path: str | os.PathLike, split: Mapping[str, Any], seed: int, verify: bool = True,
         caption: str = "") -> RawData:
  """Opens a data set; features are read video by video.

  Args:
    path: the folder with dataset_info.json, or one above it that holds a single data set.
    split: `kind` and its options, see `files.split_by`.
    seed: of the split.
    verify: compares the files with their checksums first.
    caption: is shown under plots; "" takes that of the build.

  Raises:
    DataError: no data set there, an incomplete or damaged one, or a split that cannot be made.
  """
  folder = find(path)
  if verify:
    check(folder)
  builder = tfds.builder_from_directory(folder)
  metadata = builder.info.metadata
  sources = {name: builder.as_data_source(name) for name in builder.info.splits}
  places, found = {}, []
  for name, source in sources.items():
    for i in range(len(source)):
      record = source[i]
      video = _annotation(record, metadata["classes"])
      places[video.video_id] = name, i
      found.append((int(record["index"]), video, np.array(record["proposals"])))
  found.sort(key=lambda entry: entry[0])
  annotated = Annotations({video.video_id: video for _, video, _ in found},
                          tuple(metadata["classes"]))
  proposals = {video.video_id: segments for _, video, segments in found}
  encoder, lock = metadata["settings"]["encoder"], threading.Lock()

  def features(video_id):
    name, i = places[video_id]
    with lock:  # a reader of array_record is made when it is first used
      record = sources[name][i]
    return EncodedFeatures(record["features"], record["whole"], encoder)

  options = dict(split)
  sets = files.split_by(annotated, options.pop("kind"), options, seed)
  unusable = {video_id for ids in sets for video_id in ids if not len(proposals[video_id])}
  if unusable:
    logging.warning("%s: %d video(s) without features or proposals leave the split, as the build "
                    "allowed: %s", folder, len(unusable), ", ".join(sorted(unusable)[:5]))
    sets = splits.checked(Split(*(tuple(i for i in ids if i not in unusable) for ids in sets)),
                          cold=not sets.knowledge_source)
  return RawData(annotated, features, proposals.__getitem__, sets,
                 files.search_videos(annotated, sets), caption or metadata["settings"]["caption"])


def find(path: str | os.PathLike) -> pathlib.Path:
  """The folder of the data set at or below `path`.

  Raises:
    DataError: none, or several.
  """
  if not os.fspath(path):
    raise DataError("data.path is not set: add --config.data.path=DIR, the --output of "
                    "experiments.build_dataset")
  root = pathlib.Path(path)
  # Three folders below the output: data set, config, version.
  found = next((matches for depth in range(4) if (matches := sorted(
      file.parent for file in root.glob("*/" * depth + "dataset_info.json")
      if not any(part.startswith((".", "incomplete.")) for part in file.relative_to(root).parts)))),
      [])
  if len(found) != 1:
    there = "; ".join(map(str, found)) or "none"
    raise DataError(f"data.path = {path} must name one data set that experiments.build_dataset "
                    f"made, found: {there}")
  return found[0]


def check(folder: pathlib.Path) -> None:
  """Compares the files of a data set with their checksums.

  Raises:
    DataError: a file that is missing or has changed.
  """
  file = folder / builder_lib.CHECKSUMS
  if not file.exists():
    raise DataError(f"{folder} is not complete (no {file.name}): give the command that built it "
                    "once more, it goes on")
  recorded = json.loads(file.read_text())
  present = {name: checksums.sha256(folder / name) for name in recorded
             if (folder / name).is_file()}
  fault = checksums.differences(recorded, present)
  if fault:
    raise DataError(f"{folder} is damaged ({fault}): build it again with --overwrite")


def _annotation(record: Mapping[str, Any], classes: list[str]) -> VideoAnnotation:
  return VideoAnnotation(
      record["video_id"].decode(), record["subset"].decode(), float(record["duration"]),
      np.array(record["truths"]), tuple(classes[i] for i in record["labels"]),
      json.loads(record["extra"]))
