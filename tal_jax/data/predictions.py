"""Reading and writing of ActivityNet-format predictions.

The format is `{"version": ..., "results": {video id: [{"label": name, "score": s, "segment":
[start, end]}, ...]}, "external_data": {...}}`, seconds, ids without the prefix `v_`. Only `results`
is read. Numbers are written so that they are read back exactly.

Source: ActivityNet's evaluation kit, detection task.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tal_jax.data.prediction_stream import Columns, open_plain, read_columns
from tal_jax.data.records import Predictions
from tal_jax.data.text.json_file import parse, seen
from tal_jax.data.text.numerals import number
from tal_jax.data.text.text_file import UNPACKING_ERRORS, is_packed, open_bytes, read_text
from tal_jax.errors import DataError


class PredictionFile(NamedTuple):
  """The predictions of a file, in file order, with the names that they use."""

  video_ids: tuple[str, ...]  # in file order; `predictions.video` indexes it
  classes: tuple[str, ...]  # in order of appearance; `predictions.label` indexes it
  predictions: Predictions


def read_predictions(path: str | os.PathLike) -> PredictionFile:
  """Reads predictions, float64 seconds and scores.

  The file may be packed, a pipe, or in another encoding, see tal_jax/data/text/text_file.py.
  Segments with end <= start are read as they stand; they overlap with nothing. Plain files are
  read by `prediction_stream`; the others, and those with a fault, by the standard library, which
  gives the same numbers and takes several times as long.

  Raises:
    DataError: no such file, not JSON, no `results`, an id that occurs twice, or an entry without
      a text label, a finite score and a segment of two finite numbers (or texts of numbers, as
      the official code takes them); the first one is named.
  """
  try:
    columns = read_columns(path, open_file=_stream(path))
  except UNPACKING_ERRORS:
    columns = None  # the exact reader says what is wrong
  if columns is None:
    columns = _read_exactly(path)
  video = np.repeat(np.arange(len(columns.video_ids)), columns.counts)
  return PredictionFile(columns.video_ids, columns.classes, Predictions(
      video=video, label=columns.label, segments=columns.segments, scores=columns.scores))


def reindex(file: PredictionFile, video_ids: Sequence[str], classes: Sequence[str]) -> Predictions:
  """The predictions with `video` and `label` as indices of the given lists, -1 where not in them.

  Their number and order stay.
  """
  video, label = file.predictions.video, file.predictions.label
  return file.predictions._replace(video=_positions(file.video_ids, video_ids)[video],
                                   label=_positions(file.classes, classes)[label])


def write_predictions(path: str | os.PathLike, predictions: Predictions,
                      video_ids: Sequence[str], classes: Sequence[str]) -> None:
  """Writes predictions, grouped by video, within a video in their given order.

  Predictions that are given video by video so keep their order, and with it the order of ties.
  The file appears only when it is complete.

  Args:
    path: file to write or replace.
    predictions: `video` indexes `video_ids`, `label` indexes `classes`.
    video_ids: every one of them gets an entry, if an empty one.
    classes: names.

  Raises:
    ValueError: a number that is not finite (JSON has none), or a negative index.
  """
  scores = np.asarray(predictions.scores, np.float64)
  segments = np.asarray(predictions.segments, np.float64).reshape(-1, 2)
  video, label = np.asarray(predictions.video), np.asarray(predictions.label)
  if not (np.isfinite(scores).all() and np.isfinite(segments).all()):
    raise ValueError("predictions with a score or a time that is not finite cannot be written")
  if min(video.min(initial=0), label.min(initial=0)) < 0:
    raise ValueError("predictions of an unknown video or label (-1) cannot be written")
  order = np.argsort(video, kind="stable")
  ends = np.cumsum(np.bincount(video, minlength=len(video_ids)))
  quoted = [json.dumps(name) for name in classes]
  temporary = pathlib.Path(f"{path}.part")
  with temporary.open("w", encoding="utf-8") as file:
    file.write('{"version": "VERSION 1.3", "results": {')
    start = 0
    for i, video_id in enumerate(video_ids):
      rows = order[start:ends[i]]
      start = ends[i]
      # repr of a Python float is the shortest text that reads back as the same number.
      file.write((",\n" if i else "\n") + json.dumps(video_id) + ": [" + ", ".join(
          f'{{"label": {quoted[y]}, "score": {s!r}, "segment": [{t0!r}, {t1!r}]}}'
          for y, s, (t0, t1) in zip(label[rows].tolist(), scores[rows].tolist(),
                                    segments[rows].tolist(), strict=True)) + "]")
    file.write('}, "external_data": {"used": false, "details": ""}}\n')
  os.replace(temporary, path)


def _stream(path: str | os.PathLike) -> Callable[[Any], BinaryIO]:
  """How the stream's reader opens the file."""
  return open_bytes if os.path.isfile(path) and is_packed(path) else open_plain


def _read_exactly(path: str | os.PathLike) -> Columns:
  """The predictions of any file, by the standard library; DataError if it has a fault."""
  results = _load_results(path)
  try:
    entries = list(chain.from_iterable(results.values()))
    labels = [entry["label"] for entry in entries]
    scores = [entry["score"] for entry in entries]
    segments = [entry["segment"] for entry in entries]
    # NumPy would take "0.9" and true for numbers, and a string of two letters for a pair.
    typed = (set(map(type, results.values())) <= {list} and set(map(type, labels)) <= {str}
             and set(map(type, segments)) <= {list} and set(map(len, segments)) <= {2}
             and set(map(type, scores)) <= {int, float})
    scores = np.asarray(scores, np.float64)
    if not set(map(type, chain.from_iterable(segments))) <= {int, float}:
      segments = [[number(x) for x in segment] for segment in segments]
    segments = np.asarray(segments, np.float64).reshape(-1, 2)
    sound = typed and np.isfinite(scores).all() and np.isfinite(segments).all()
  except (TypeError, KeyError, ValueError, OverflowError):
    sound = False
  if not sound:
    raise DataError(f"{path}: {_first_fault(results)}")
  index = {name: i for i, name in enumerate(dict.fromkeys(labels))}
  return Columns(
      video_ids=tuple(results), classes=tuple(index),
      counts=np.fromiter(map(len, results.values()), np.int64, len(results)),
      label=np.fromiter((index[label] for label in labels), np.int64, len(labels)),
      segments=segments, scores=scores)


def _load_results(path: str | os.PathLike) -> dict[str, Any]:
  """The object `results`; DataError if the file has none."""
  repeated = []

  def members(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
      counts = Counter(name for name, _ in pairs)
      repeated.extend(name for name, count in counts.items() if count > 1)
    return content

  text = read_text(path)
  if text.strip() and text.lstrip()[0] not in "{[<" and not text.startswith("version https://git"):
    from tal_jax.data.formats import registry  # it reads predictions by this module
    registry.detect(path, "predictions")  # no JSON: it says what it is
  content = parse(text, path, members)
  if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
    hint = (" It has 'database': is it the ground truth?"
            if isinstance(content, dict) and "database" in content else seen(content))
    raise DataError(f"{path} has no 'results' object at its top level.{hint} The format is "
                    '{"results": {video id: [{"label", "score", "segment"}]}}.')
  if repeated:
    raise DataError(f"{path} has {len(repeated)} repeated key(s), first {repeated[0]!r}. "
                    "Put all predictions of a video into one list.")
  return content["results"]


def _first_fault(results: dict[str, Any]) -> str:
  """Names the first entry that is not a prediction, and what is wrong with it."""
  for video_id, entries in results.items():
    if not isinstance(entries, list):
      return f"results[{video_id!r}] is not a list of predictions but {_shown(entries)}"
    for i, entry in enumerate(entries):
      where = f"results[{video_id!r}][{i}]"
      if not isinstance(entry, dict):
        return f"{where} is not an object but {_shown(entry)}"
      for field in ("label", "score", "segment"):
        if field not in entry:
          return f"{where} has no {field!r}"
      if not isinstance(entry["label"], str):
        return f"{where}: label must be the text of a class name, not {_shown(entry['label'])}"
      if not _is_finite_number(entry["score"]):
        return f"{where}: score must be a finite number, not {_shown(entry['score'])}"
      segment = entry["segment"]
      if (not isinstance(segment, list) or len(segment) != 2
          or not all(_is_finite_number(number(x)) for x in segment)):
        return (f"{where}: segment must be [start, end], two finite numbers of seconds, not "
                f"{_shown(segment)}")
  raise AssertionError("a file that could not be read has no fault")


def _is_finite_number(value: Any) -> bool:
  try:
    return type(value) in (int, float) and math.isfinite(value)
  except OverflowError:  # an integer beyond the range of floats
    return False


def _shown(value: Any) -> str:
  text = json.dumps(value)
  return text if len(text) <= 60 else text[:57] + "..."


def _positions(names: Sequence[str], among: Sequence[str]) -> np.ndarray:
  """[len(names)] where each name is in `among`, -1 where it does not."""
  index = {name: i for i, name in enumerate(among)}
  return np.asarray([index.get(name, -1) for name in names], np.int64)
