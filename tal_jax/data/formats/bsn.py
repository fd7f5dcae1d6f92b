"""BSN's and BMN's annotations of ActivityNet: JSON by video id, without a subset.

    {"v_ID": {"duration_second": 30.0, "duration_frame": 900, "feature_frame": 896,
              "annotations": [{"segment": [start, end], "label": name}, ...]}, ...}

Seconds. The subsets stand beside it, in video_info_new.csv (video,...,subset,...): give it as
`video_info`. Without it, or for a video that it has not, the subset is taken from the file's name.

Source: wzmsltw/BSN-boundary-sensitive-network, anet_anno_action.json.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np

from tal_jax.data.annotations import subset_of_file
from tal_jax.data.formats.annotation_json import read_by_id, truth_of
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.json_file import as_dict
from tal_jax.data.text.near_names import find_id
from tal_jax.data.text.numerals import number
from tal_jax.data.text.table import read_table
from tal_jax.data.text.text_file import read_head

_FRAMES = ("duration_frame", "feature_frame")


def read(path: pathlib.Path, *,
         video_info: str = "") -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read; DataError for another JSON."""
  subsets, default = _subsets(video_info), subset_of_file(path)

  def video(video_id, entry, faults):
    name = find_id(video_id, subsets)
    return _video(video_id, default if name is None else subsets[name], entry, faults)

  return read_by_id(path, "annotations", "{duration_second, annotations}", video)


def _video(video_id: str, subset: str, entry: dict[str, Any],
           faults: list[StructuralFault]) -> VideoAnnotation:
  def fault(message):
    faults.append(StructuralFault(video_id, message))

  truths = [x for i, item in enumerate(entry["annotations"])
            if (x := truth_of(as_dict(item), f"annotations[{i}]", fault)) is not None]
  duration = number(entry.get("duration_second"))
  extra = {key: entry[key] for key in _FRAMES if number(entry.get(key)) is not None}
  return VideoAnnotation(video_id, subset, math.nan if duration is None else duration,
                         np.asarray([x[0] for x in truths], np.float64).reshape(-1, 2),
                         tuple(x[1] for x in truths), extra)


def _subsets(video_info: str) -> dict[str, str]:
  """The subsets by id, of a csv that has them; none for other files."""
  if not video_info or read_head(video_info, 64).text.lstrip().startswith("{"):
    return {}
  rows, _ = read_table(video_info, (), optional=("video", "video_id", "id", "subset"))
  names = rows[0].values if rows else {}
  ids = next((name for name in ("video", "video_id", "id") if name in names), None)
  return {row.values[ids]: row.values["subset"] for row in rows
          if ids is not None and row.values.get("subset")}


def _detect(probe: Probe) -> str | None:
  start = probe.text.lstrip()
  if not start.startswith("{") or probe.search(r'"database"\s*:\s*\{'):
    return None
  found = probe.search(r'"duration_second"\s*:') and probe.search(r'"annotations"\s*:\s*\[')
  return "JSON by id with duration_second, annotations" if found else None


FORMATS = (Format("bsn", "annotations", "JSON {id: {duration_second, annotations: [{segment, "
                  "label}]}}, BSN's and BMN's; subsets from video_info_new.csv", _detect, read,
                  options=("video_info",), fields=("duration_second", "annotations", "segment",
                                                   "label")),)
