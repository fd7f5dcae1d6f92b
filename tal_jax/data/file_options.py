"""Where the parts of a data set are, and how they are read: the options of the source `files`.

In a config 0 and "" stand for "not given", since a field must keep its type when it is overridden
on the command line; `FileOptions.of` is the one place that knows it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Paths = str | os.PathLike | Iterable[str | os.PathLike]
AUTO = "auto"  # the format that the file's content shows


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileOptions:
  """One record for all readers; None, "" and () where something is not given.

  Attributes:
    annotations: a file, or several (with commas between, or a sequence), each with other videos.
    features: a folder or file, or several whose features are put side by side.
    proposals: file or folder; None draws sliding windows.
    annotations_format, features_format, proposals_format: names of formats; "auto" detects them.
    fps, stride, window: time grid of the features, see `TimeGrid`; None takes what the features or
      their layout say, else the frame rate of each video, stride 1 and window 1.
    feature_key: array name inside .npz files or HDF5 groups.
    num_proposals: the most proposals of a video: the best of the file, or the longest windows.
    windows: arguments of `sliding_windows`; None: none were given.
    background, video_info, label: of the annotation formats that have them (Kinetics, EPIC, SSN).
    no_class: labels, or fields of truths, that are no class: their truths are left out.
    allow_missing: takes videos without features or proposals out of the split, with a warning.
  """

  annotations: Paths = ""
  features: Paths | None = None
  proposals: str | os.PathLike | None = None
  annotations_format: str = AUTO
  features_format: str = AUTO
  proposals_format: str = AUTO
  fps: float | None = None
  stride: float | None = None
  window: float | None = None
  feature_key: str | None = None
  num_proposals: int | None = None
  windows: Mapping[str, Any] | None = None
  background: bool = False
  video_info: str | os.PathLike | None = None
  label: str | None = None
  no_class: str | Sequence[str] = ()
  allow_missing: bool = False

  @classmethod
  def of(cls, fields: Mapping[str, Any]) -> FileOptions:
    """The options in a config's fields, where 0 and "" are "not given".

    Raises:
      TypeError: a field that is no option.
    """
    given = {name: value for name, value in fields.items() if value or name not in NAMES}
    if "windows" in given:
      given["windows"] = {name: value or None for name, value in given["windows"].items()}
    return cls(**given)


NAMES = tuple(field.name for field in dataclasses.fields(FileOptions))
