"""The data set that a campaign has made so far, as files.

`activitynet` is the one to train from and reads back through `tal_jax.data.annotations`; `csv` is
for spreadsheets, `label_studio` for that tool. All hold the videos whose tasks are all decided,
those without an instance too, with the operators' latest corrections; none holds a gold video, a
worker's name, or a single worker's answer.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.exports import csv_table
from tal_jax.annotation.exports.activitynet_json import activitynet
from tal_jax.annotation.exports.csv_table import csv_rows
from tal_jax.annotation.exports.label_studio_json import label_studio
from tal_jax.data.types import DataError

__all__ = ["FORMATS", "activitynet", "csv_rows", "label_studio", "write"]


def _json(content: Any) -> str:
  return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


_TEXTS = {
    "activitynet": lambda campaign: _json(activitynet(campaign)),
    "csv": lambda campaign: csv_table.text(csv_rows(campaign)),
    "label_studio": lambda campaign: _json(label_studio(campaign)),
}
FORMATS = tuple(_TEXTS)


def write(campaign: Campaign, path: str | os.PathLike, format: str = "activitynet") -> None:
  """Writes the file, complete or not at all.

  Raises:
    DataError: no such format, or a path that cannot be written.
  """
  if format not in FORMATS:
    raise DataError(f"there is no export {format!r}; choose from {', '.join(FORMATS)}")
  part = pathlib.Path(f"{path}.part")
  try:
    part.write_text(_TEXTS[format](campaign), encoding="utf-8", newline="")
    os.replace(part, path)
  except OSError as error:
    raise DataError(f"cannot write {path}: {error.strerror}") from error
