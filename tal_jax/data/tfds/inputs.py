"""What a data set is built from, opened and validated: annotations, features, proposals."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import logging

from tal_jax.data import annotations as annotations_lib, file_options, option_names
from tal_jax.data.checks.validation import Read, validate
from tal_jax.data.feature_paths import on_disk
from tal_jax.data.file_options import FileOptions
from tal_jax.data.parts import proposals_by_video, read_parts
from tal_jax.data.records import Annotations, FrameFeatures
from tal_jax.data.tfds import checksums, hapt
from tal_jax.data.tfds.settings import Settings, complete


class Inputs(NamedTuple):
  """A source of all videos, without a split: that is chosen when the data set is read."""

  annotations: Annotations
  features: Callable[[str], FrameFeatures]
  proposals: Callable[[str], np.ndarray]  # -> [p, 2] float64 seconds
  unusable: frozenset[str]  # videos without features or proposals
  settings: Settings  # with all paths
  checksums: checksums.Checksums


def load(settings: Settings, dataset: str, manual_dir: str | os.PathLike) -> Inputs:
  """Opens and validates everything, and goes through all files once for their checksums.

  Raises:
    DataError: a file that is missing or faulty; the message names them all.
  """
  settings = complete(settings, dataset, manual_dir)
  if dataset == "hapt":
    found = hapt.load(manual_dir)
    return Inputs(
        found.annotations, found.features,
        proposals_by_video(found.annotations, None, settings.windows, "windows"), frozenset(),
        settings, checksums.of_paths([found.path]))
  paths = annotations_lib.several(settings.annotations)
  with option_names.spelled("build."):
    parts = read_parts(FileOptions.of({name: value for name, value in settings._asdict().items()
                                       if name in file_options.NAMES}))
  annotated, store, read = parts.annotations, parts.store, parts.proposals
  report = validate(
      annotated, store, split=None, allow_missing=settings.allow_missing,
      read=Read(", ".join(map(os.fspath, paths)), parts.structural, read, settings.proposals,
                parts.proposal_faults))
  report = report._replace(summary="\n".join([report.summary, *parts.detected]))
  report.raise_if_fatal()
  logging.log(logging.WARNING if report.problems else logging.INFO, "%s", report.text())
  extra = [settings.video_info] if settings.video_info else []
  extra += [settings.proposals] if settings.proposals else []
  caption = settings.caption or ", ".join(map(os.path.basename, paths))
  return Inputs(
      annotated, store, proposals_by_video(annotated, read, settings.windows, "windows"),
      report.unusable, settings._replace(caption=caption),
      checksums.of_paths([*paths, *dict.fromkeys(map(on_disk, annotations_lib.several(
          settings.features))), *extra]))
