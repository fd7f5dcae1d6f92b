"""What the user of an evaluation should know beside its numbers: names that do not match."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tal_jax.data import time_units
from tal_jax.data.annotation_fields import frame_rate
from tal_jax.data.checks import labels as label_checks, units as unit_checks
from tal_jax.data.checks.annotations import is_duration
from tal_jax.data.predictions import PredictionFile
from tal_jax.data.records import Annotations, Predictions
from tal_jax.data.text.near_names import LOOK_ALIKE, Near

_SHOWN = 5  # names in a note
_SEARCHED = 5000  # names among which a slow comparison may look for the closest


def ignored(file: PredictionFile, predictions: Predictions, classes: Sequence[str]) -> list[str]:
  """Predictions whose class has no truth, by name."""
  rows = predictions.label < 0
  return [] if not rows.any() else [
      f"{int(rows.sum())} predictions ignored: no instance of their class in this subset: labels "
      + listed(_names(file.classes, file.predictions.label[rows]), classes)]


def outside(file: PredictionFile, predictions: Predictions, annotations: Annotations,
            ids: Sequence[str]) -> list[str]:
  """Predictions of videos that are not in the subset, by name."""
  rows = predictions.video < 0
  if not rows.any():
    return []
  names = _names(file.video_ids, file.predictions.video[rows])
  others = Counter(annotations.videos[x].subset for x in names if x in annotations.videos)
  known = "".join(f"; {count} of them of the subset {name!r}" for name, count in others.items())
  unknown = [name for name in names if name not in annotations.videos] or names
  return [f"{int(rows.sum())} predictions of videos outside this subset; those of its classes "
          f"count as false positives: {len(names)} video(s){known}: {listed(unknown, ids)}"]


def without_predictions(file: PredictionFile, predictions: Predictions, annotations: Annotations,
                        ids: Sequence[str], classes: Sequence[str]) -> list[str]:
  """Videos and classes that have truths and no prediction."""
  seen = set(np.unique(predictions.video).tolist())
  videos = [x for i, x in enumerate(ids) if i not in seen and annotations.videos[x].labels]
  found = set(np.unique(predictions.label).tolist())
  labels = [x for i, x in enumerate(classes) if i not in found]
  notes = []
  if videos:
    notes.append(f"{len(videos)} of {len(ids)} videos have truths and no prediction: "
                 + listed(videos, set(file.video_ids) - set(ids)))
  if labels:
    notes.append(f"{len(labels)} of {len(classes)} classes have no prediction: "
                 + listed(labels, set(file.classes) - set(classes)))
  return notes


def doubtful(annotations: Annotations, ids: Sequence[str], classes: Sequence[str]) -> list[str]:
  """Classes of the truth that may be none, or two spellings of one."""
  videos = [annotations.videos[x] for x in ids]
  notes = [f"class {name!r} has {count} instance(s): if it is no class, leave it out with "
           f"--no_class={name} (what is found there is wrong then) or --ignore={name} (it is "
           "neither right nor wrong)" for name, count in label_checks.no_classes(videos).items()]
  notes += [f"{count} instance(s) have the field {name!r} and count like the others: "
            f"--ignore={name} leaves them out, and predictions over them"
            for name, count in label_checks.marked(videos).items()]
  return notes + ["classes of the truth that differ in spelling alone: "
                  + ", ".join(map(repr, names)) for names in label_checks.alike(classes)]


def units(file: PredictionFile, annotations: Annotations) -> list[str]:
  """Predictions that reach far past the ends of their videos, or not beyond their beginnings."""
  ends = np.full(len(file.video_ids), -np.inf)
  np.maximum.at(ends, file.predictions.video, file.predictions.segments[:, 1])
  known = [(end, video.duration, frame_rate(video) or np.nan)
           for end, video in zip(ends, map(annotations.videos.get, file.video_ids), strict=True)
           if video is not None and np.isfinite(end) and is_duration(video.duration)]
  columns = tuple(np.array(known, np.float64).reshape(-1, 3).T)
  unit = time_units.misread(*columns)
  if unit is None:
    return []
  fit = "; shares of the videos?" if unit == time_units.SHARES else unit_checks.would_fit(*columns)
  return ["the predictions look as if they were not in seconds: "
          f"{unit_checks.describe(*columns)}{fit}"]


def listed(names: Collection[str], among: Collection[str]) -> str:
  """The first names, and of those which other names they resemble."""
  shown = list(names)[:_SHOWN]
  more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
  return ", ".join(map(repr, shown)) + more + did_you_mean(shown, among)


def did_you_mean(names: Sequence[str], among: Collection[str]) -> str:
  """A question, after a semicolon, for names that `among` has in another spelling; else ""."""
  near = Near(among)
  found = [x for name in names for x in near.same(name) if x != name]
  if not found and len(among) <= _SEARCHED:
    found = [x for name in names for x in difflib.get_close_matches(name, list(among), 1, 0.8)]
  found = list(dict.fromkeys(found))
  if not found:
    return ""
  same = {unicodedata.normalize("NFC", x) for x in found} & {
      unicodedata.normalize("NFC", x) for x in names}
  form = LOOK_ALIKE if same else ""
  return f"; did you mean {', '.join(map(repr, found[:_SHOWN]))}{form}?"


def _names(names: Sequence[str], places: np.ndarray) -> list[str]:
  """The names at these places, the most frequent first."""
  counts: Mapping[int, int] = Counter(places.tolist())
  return [names[i] for i in sorted(counts, key=lambda i: (-counts[i], i))]
