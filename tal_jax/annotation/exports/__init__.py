"""The data set that a campaign has made so far, as files.

`activitynet` is the one to train from, `csv` is for spreadsheets, `label_studio` for that tool; all
read back through `tal_jax.data.annotations`. All hold the videos whose tasks are all decided, those
without an instance too, with the operators' latest corrections, and list those that were excluded
as such; none holds a gold video, a worker's name, or a single worker's answer.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import filelock

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.exports import csv_table
from tal_jax.annotation.exports.activitynet_json import activitynet
from tal_jax.annotation.exports.csv_table import csv_rows
from tal_jax.annotation.exports.label_studio_json import label_studio
from tal_jax.errors import DataError

__all__ = ["FORMATS", "activitynet", "csv_rows", "label_studio", "text", "write"]


def _json(content: Any) -> str:
  return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


_TEXTS = {
    "activitynet": lambda campaign: _json(activitynet(campaign)),
    "csv": lambda campaign: csv_table.text(csv_rows(campaign)),
    "label_studio": lambda campaign: _json(label_studio(campaign)),
}
FORMATS = tuple(_TEXTS)


def text(campaign: Campaign, format: str) -> str:
  """What `write` writes. Raises DataError: no such format."""
  if format not in FORMATS:
    raise DataError(f"there is no export {format!r}; choose from {', '.join(FORMATS)}")
  return _TEXTS[format](campaign)


def write(campaign: Campaign, path: str | os.PathLike, format: str = "activitynet") -> None:
  """Writes the file, complete or not at all; of several writers the last has the latest state.

  Raises:
    DataError: no such format, or a path that cannot be written.
  """
  path = pathlib.Path(path)
  part = path.with_name(f"{path.name}.part")
  try:
    os.stat(path.parent)  # the lock would make it
    # A server and a learner may both write; the system forgets it when they die.
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
      try:
        part.write_text(text(campaign, format), encoding="utf-8", newline="")
        os.replace(part, path)
      finally:
        part.unlink(missing_ok=True)
  except OSError as error:
    raise DataError(f"cannot write {path}: {error.strerror}") from error
