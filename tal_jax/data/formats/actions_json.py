"""MultiTHUMOS' and Charades' annotations in JSON, with the actions as lists.

    {id: {"subset": s, "duration": seconds, "actions": [[class, start, end], ...]}, ...}

Seconds. A class is a number, and named "class 3"; where it is a text that is its name.

Source: piergiaj/super-events-cvpr18, multithumos.json and charades.json.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np

from tal_jax.data.annotations import subset_of_file
from tal_jax.data.formats.annotation_json import read_by_id
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.json_file import plain
from tal_jax.data.text.numerals import number


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations and what could not be read; DataError for another JSON."""
  default = subset_of_file(path)
  return read_by_id(path, "actions", "{subset, duration, actions}",
                    lambda video_id, entry, faults: _video(video_id, entry, default, faults))


def _video(video_id: str, entry: dict[str, Any], subset: str,
           faults: list[StructuralFault]) -> VideoAnnotation:
  segments, labels = [], []
  for i, action in enumerate(entry["actions"]):
    bounds = [number(x) for x in action[1:]] if isinstance(action, list) else []
    label = action[0] if isinstance(action, list) and len(action) == 3 else None
    if (len(bounds) != 2 or None in bounds or isinstance(label, bool)
        or not isinstance(label, int | str) or not str(label).strip()):
      faults.append(StructuralFault(
          video_id, f"actions[{i}] is not [class, start, end] but {str(plain(action))[:60]}"))
      continue
    segments.append(bounds)
    labels.append(label if isinstance(label, str) else f"class {label}")
  duration = number(entry.get("duration"))
  extra = {key: plain(x) for key, x in entry.items()
           if key not in ("subset", "duration", "actions")}
  return VideoAnnotation(video_id, str(entry.get("subset", subset)),
                         math.nan if duration is None else duration,
                         np.asarray(segments, np.float64).reshape(-1, 2), tuple(labels), extra)


def _detect(probe: Probe) -> str | None:
  if not probe.text.lstrip().startswith("{") or probe.search(r'"database"\s*:\s*\{'):
    return None
  return ("JSON by id with actions: [[class, start, end]]"
          if probe.search(r'"actions"\s*:\s*\[\s*(\[|\])') else None)


FORMATS = (Format("actions", "annotations", "JSON {id: {subset, duration, actions: [[class, start, "
                  "end]]}}, MultiTHUMOS' and Charades'", _detect, read,
                  fields=("subset", "duration", "actions")),)
