"""THUMOS14's own annotations: a text per class and subset, in one folder.

    Juggling_test.txt:  video_test_0000324  49.2 53.5
    Ambiguous_test.txt: video_test_0000324  60.0 61.5

Seconds. The class and the subset are in the file's name. Ambiguous segments are no class: THUMOS14
counts a detection over them neither as right nor as wrong, so they are kept apart, in
`extra["ignored_segments"]`. There are no durations: `video_info` names a file that has them, else
they are NaN. A folder or one of its files may be given.

Source: THUMOS Challenge 2014, TH14_Temporal_annotations_test and _validation.
"""

from __future__ import annotations

import math
import pathlib
import re

import numpy as np

from tal_jax.data.annotations import IGNORED, from_videos, subset_of_file
from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import Annotations, StructuralFault, VideoAnnotation
from tal_jax.data.text.numerals import number
from tal_jax.data.text.text_file import read_head, read_text
from tal_jax.errors import DataError

_NAME = re.compile(r"(.+)_(val|validation|test|train|training)\.txt(\.gz)?", re.IGNORECASE)
_LINE = re.compile(r"\s*(\S+)\s+([\d.eE+-]+)\s+([\d.eE+-]+)\s*")
_AMBIGUOUS = "ambiguous"


def read(path: pathlib.Path) -> tuple[Annotations, list[StructuralFault]]:
  """Annotations, and the lines that could not be read; DataError if no name fits."""
  files = sorted(path.iterdir()) if path.is_dir() else [path]
  files = [file for file in files if _NAME.fullmatch(file.name)]
  if not files:
    raise DataError(f"{path}: no text is named CLASS_test.txt or CLASS_val.txt")
  truths: dict[str, list[tuple[list[float], str]]] = {}
  subsets: dict[str, str] = {}
  ignored: dict[str, list[list[float]]] = {}
  faults: list[StructuralFault] = []
  for file in files:
    label, part = _NAME.fullmatch(file.name).group(1, 2)
    for line, text in enumerate(read_text(file).split("\n"), 1):
      match = _LINE.fullmatch(text)
      bounds = [number(x) for x in match.group(2, 3)] if match else [None]
      if None in bounds:
        if text.strip():
          faults.append(StructuralFault(match.group(1) if match else "", (
              f"{file.name}, line {line}: {text.strip()[:60]!r} is not 'id start end'")))
        continue
      video_id, subset = match.group(1), subset_of_file(part)
      if subsets.setdefault(video_id, subset) != subset:
        faults.append(StructuralFault(video_id, f"duplicate id, in two subsets, {file.name}"))
      own = truths.setdefault(video_id, [])
      if label.lower() == _AMBIGUOUS:
        ignored.setdefault(video_id, []).append(bounds)
      else:
        own.append((bounds, label))
  return from_videos(
      VideoAnnotation(video_id, subsets[video_id], math.nan,
                      np.array([x[0] for x in found], np.float64).reshape(-1, 2),
                      tuple(x[1] for x in found),
                      {IGNORED: ignored[video_id]} if video_id in ignored else {})
      for video_id, found in truths.items()), faults


def _detect(probe: Probe) -> str | None:
  named = [name for name in probe.names or (probe.path.name,) if _NAME.fullmatch(name)]
  texts = [name for name in probe.names if name.lower().endswith((".txt", ".txt.gz"))]
  if not named or len(named) < len(texts):
    return None
  text = read_head(probe.path / named[0], 4096).text if probe.names else probe.text
  first = next((line for line in text.split("\n") if line.strip()), "")
  if not _LINE.fullmatch(first):
    return None
  return (f"a folder of {len(named)} texts CLASS_SUBSET.txt" if probe.names
          else "a text CLASS_SUBSET.txt with lines 'id start end'")


FORMATS = (Format("thumos14_texts", "annotations", "THUMOS14's folder of CLASS_test.txt or "
                  "CLASS_val.txt with lines 'id start end'", _detect, read),)
