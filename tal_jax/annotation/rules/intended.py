"""The intended actions: which classes are asked for in which video [paper, Sec. 3.3].

Where video-level labels are known, an annotator is asked for the labels of the video only (Kinetics
[Sec. 5.1]). They come from one of

    a JSON file       {"video id": "label", "other id": ["label", "label"]}
    a csv             video,label[,start,end] with a line per label; start and end, in seconds, are
                      where the action is known to be
    any annotations   in a format of tal_jax/data/formats; Kinetics' csv also tells the clip of ten
                      seconds in which the action is known to be

What annotators are told of a class comes from a JSON file

    {"label": "instructions", "other label": {"instructions": "...",
     "example": {"text": "...", "segments": [[1.5, 4.0]], "duration": 10.0}}}
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tal_jax.annotation import names
from tal_jax.data.annotations import read_annotations
from tal_jax.data.text.json_file import as_dict, load_json, plain, read_text, refuse_repeated
from tal_jax.data.text.table import has_columns, read_table
from tal_jax.errors import DataError

Hint = tuple[float, float] | None  # seconds: where the action is known to be
Intended = dict[str, dict[str, Hint]]  # video id -> its labels


class Example(msgspec.Struct, frozen=True):
  """What an instance of a class looks like."""

  text: str
  segments: list[tuple[float, float]] = []
  duration: float | None = None  # seconds


class ClassText(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
  """What annotators are told of a class."""

  instructions: str = ""
  example: Example | None = None


def read_labels(path: str | os.PathLike) -> Intended:
  """Reads video-level labels; ids as they are written, labels in Unicode's form NFC.

  Raises:
    DataError: none of the formats, no label in it, a label that is blank or too long, or an id or
      a hint that is there twice.
  """
  suffix = pathlib.Path(path).suffix.lower()
  if suffix == ".csv" and has_columns(read_text(path), ("video", "label")):
    found = _from_table(path)
  elif suffix == ".json" and "database" not in as_dict(load_json(path)):
    given = _converted(path, dict[str, str | list[str]], "a label, or a list of labels")
    found = {video_id: dict.fromkeys([value] if isinstance(value, str) else value)
             for video_id, value in given.items()}
  else:
    found = {video_id: dict.fromkeys(video.labels, _clip(video.extra))
             for video_id, video in read_annotations(path).videos.items()}
  found = {video_id: {names.checked(label, f"a label of {video_id!r}", f"{path}"): hint
                      for label, hint in labels.items()}
           for video_id, labels in found.items() if labels}
  if not found:
    raise DataError(f"{path}: no video has a label")
  return found


def every_class(video_ids: list[str], classes: tuple[str, ...]) -> Intended:
  """Every class is asked for in every video, since nothing is known of the videos."""
  return {video_id: dict.fromkeys(classes) for video_id in video_ids}


def inside(hint: Hint, duration: float) -> Hint:
  """A hint cut at the video's ends; None if nothing of it is inside."""
  if hint is None:
    return None
  start, end = max(hint[0], 0.0), min(hint[1], duration)
  return (start, end) if start < end else None


def draw_classes(intended: Intended, number: int, *, seed: int) -> Intended:
  """The videos of `number` classes drawn at random; 0 keeps all.

  Raises:
    DataError: there are fewer.
  """
  classes = sorted({label for labels in intended.values() for label in labels})
  if not 0 <= number <= len(classes):
    raise DataError(f"campaign.num_classes = {number}: campaign.labels has {len(classes)} classes")
  if not number:
    return intended
  chosen = {classes[i] for i in np.random.default_rng(seed).permutation(len(classes))[:number]}
  kept = {video_id: {label: hint for label, hint in labels.items() if label in chosen}
          for video_id, labels in intended.items()}
  return {video_id: labels for video_id, labels in kept.items() if labels}


def read_classes(path: str | os.PathLike) -> dict[str, ClassText]:
  """Reads what annotators are told of each class.

  Raises:
    DataError: another format.
  """
  found = _converted(path, dict[str, str | ClassText],
                     'instructions, or {"instructions": ..., "example": {"text": ...}}')
  texts: dict[str, ClassText] = {}
  for name, value in found.items():
    made = names.checked(name, "a class", f"{path}")
    if made in texts:
      raise DataError(f"{path}: the class {made!r} is there twice: keep one")
    texts[made] = ClassText(value) if isinstance(value, str) else value
  return texts


def _converted(path: str | os.PathLike, kind: Any, wanted: str) -> Any:
  value = load_json(path)
  refuse_repeated(value, path)
  try:
    return msgspec.convert(plain(value), kind)
  except msgspec.ValidationError as error:
    raise DataError(f"{path}: {error}. It must be a JSON object that gives each name {wanted}."
                    ) from error


def _from_table(path: str | os.PathLike) -> Intended:
  rows, faults = read_table(path, ("video", "label"))
  if faults:
    raise DataError(f"{path}: {faults[0][1]}")
  found: Intended = {}
  for row in rows:
    try:
      hint = ((row.number("start"), row.number("end")) if row.values.get("start") else None)
    except (ValueError, KeyError) as error:
      raise DataError(f"{path}: line {row.line}: a hint has a start and an end in seconds ({error})"
                      ) from error
    video = row.values["video"]
    label = names.checked(row.values["label"], "the label", f"{path}: line {row.line}")
    labels = found.setdefault(video, {})
    if labels.setdefault(label, hint) != hint:
      raise DataError(f"{path}: line {row.line}: {video!r} has the label {label!r} twice, with two "
                      "hints: keep one")
  return found


def _clip(extra: Mapping[str, Any]) -> Hint:
  clip = extra.get("clip")
  return (float(clip[0]), float(clip[1])) if clip else None
