"""Evaluates predictions in ActivityNet's format against ground truth in any known format.

    python -m experiments.evaluate --ground_truth=truth.json --predictions=predictions.json \
        --subset=validation [--tiou=0.5,0.75] [--output=result.json]

Prints mAP per tIoU threshold; with --output also writes
`{"tiou": [...], "mAP": [...], "average_mAP": x, "num_predictions": n, ...}`. The numbers are those
of ActivityNet's official code, see tal_jax/metrics/average_precision.py for the three exceptions.
Like there, the predictions of a video that has no truth in the subset are false positives; how many
they are is said, and what else does not match, by name.

--ignore names labels (or fields of truths, such as difficult) that count neither way: their
segments are no truths, and a prediction that overlaps one and hits nothing is left out, as in
THUMOS14's own evaluation. THUMOS14's Ambiguous is treated so unless predictions name it; --ignore=
(empty) makes it a class. --no_class names labels whose segments are no truths, Background say,
where predictions count as anywhere else.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from absl import flags

from tal_jax.data import option_names
from tal_jax.data.checks import labels as label_checks
from tal_jax.data.ground_truth import Subset, ground_truth, over_ignored, read_subset
from tal_jax.data.predictions import PredictionFile, read_predictions, reindex
from tal_jax.data.text.near_names import Near, form
from tal_jax.errors import DataError
from tal_jax.metrics.average_precision import DEFAULT_TIOUS, detection_map
from tal_jax.runs import cli
from tal_jax.runs.reports import evaluate_notes

OPTIONS = {"annotations_format": "--ground_truth_format", "video_info": "--video_info",
           "label": "--label"}


class Evaluation(NamedTuple):
  """The numbers, and what to know beside them."""

  result: dict[str, Any]
  notes: list[str]


def run(truth_path: str, predictions_path: str, subset: str,
        tious: Sequence[float] = DEFAULT_TIOUS, **options: Any) -> dict[str, Any]:
  """The numbers of `examine`, whose arguments it has."""
  return examine(truth_path, predictions_path, subset, tious, **options).result


def examine(truth_path: str, predictions_path: str, subset: str,
            tious: Sequence[float] = DEFAULT_TIOUS, *, ignore: Collection[str] | None = None,
            no_class: Collection[str] = (), **options: Any) -> Evaluation:
  """Evaluates the files.

  Args:
    truth_path, predictions_path: files.
    subset: as the ground truth spells it.
    tious: thresholds.
    ignore: labels that count neither way; None: Ambiguous, unless predictions name it.
    no_class: labels whose segments are no truths.
    **options: of the ground truth, see `read_annotations`.

  Returns:
    What --output writes: `tiou` and `mAP` per threshold, `average_mAP`; `num_predictions` in the
    file, of these `num_ignored` (their class has no truth in the subset) and
    `num_outside_subset` (their video is not in the subset: false positives); and of the subset
    `num_videos`, `num_truths` and `num_classes` that have truth. And the notes.

  Raises:
    DataError: a file that cannot be read, no such subset, or ids that do not match at all.
  """
  with option_names.spelled(OPTIONS):
    read = read_subset(truth_path, subset, **options)
    file = read_predictions(predictions_path)
  ids, labels = read.ids, {x for i in read.ids for x in read.annotations.videos[i].labels}
  if ignore is None:
    ignore = [x for x in labels if x.strip().casefold() == label_checks.AMBIGUOUS
              and x not in file.classes]
  annotations = label_checks.set_aside(read.annotations, ignore, ignored=True)
  annotations = label_checks.set_aside(annotations, no_class)
  classes = sorted({label for i in ids for label in annotations.videos[i].labels})
  truth = ground_truth(annotations, ids, classes)
  if not len(truth.label):
    raise DataError(f"{truth_path}: no video of the subset {subset!r} has an annotation")
  _check_overlap(predictions_path, "video ids", file.video_ids, ids)
  _check_overlap(predictions_path, "labels", file.classes, classes)
  predictions = reindex(file, ids, classes)
  excused = over_ignored(predictions, annotations, ids)
  result = detection_map(truth, predictions, tious, excused=excused)
  notes = [*evaluate_notes.units(file, annotations),
           *evaluate_notes.ignored(file, predictions, classes),
           *evaluate_notes.outside(file, predictions, annotations, ids),
           *evaluate_notes.without_predictions(file, predictions, annotations, ids, classes),
           *evaluate_notes.doubtful(annotations, ids, classes), *_other_notes(read, file)]
  if excused is not None:
    notes.append(f"{int(excused.sum())} predictions overlap segments that count neither way"
                 + (f" ({', '.join(ignore)})" if ignore else "") + ", and are left out where they "
                 "hit nothing, as in THUMOS14's evaluation; --ignore= lets all count")
  return Evaluation({
      "tiou": [round(float(tiou), 10) for tiou in result.tious],
      "mAP": result.mean_ap.tolist(),
      "average_mAP": result.average_map,
      "num_predictions": result.num_predictions,
      "num_ignored": result.num_ignored,
      "num_outside_subset": int((predictions.video < 0).sum()),
      "num_videos": len(ids),
      "num_truths": len(truth.label),
      "num_classes": len(classes),
      "subset": subset,
  }, notes)


def _other_notes(read: Subset, file: PredictionFile) -> list[str]:
  notes = []
  if read.faults:
    first = read.faults[0]
    notes.append(f"{len(read.faults)} fault(s) of videos of other subsets, which do not count: "
                 f"{first.video_id}: {first.message}")
  empty = int((file.predictions.segments[:, 1] <= file.predictions.segments[:, 0]).sum())
  if empty:
    notes.append(f"{empty} predictions end at or before their start: they hit nothing")
  return notes


def parse_tious(texts: Iterable[str]) -> list[float]:
  """Thresholds from their texts; DataError unless they are distinct numbers in (0, 1]."""
  tious = []
  for text in texts:
    try:
      tiou = float(text)
    except ValueError as error:
      raise DataError(f"--tiou: {text!r} is not a number; write for example "
                      "--tiou=0.5,0.75") from error
    if not 0 < tiou <= 1:
      raise DataError(f"--tiou: {text} is not in (0, 1]")
    tious.append(tiou)
  if not tious:
    raise DataError("--tiou is empty; write for example --tiou=0.5,0.75")
  if len(set(tious)) < len(tious):
    raise DataError("--tiou names a threshold twice, which would weigh it twice in the average")
  return tious


def table(result: dict[str, Any], notes: Sequence[str] | None = None) -> str:
  """The result for a terminal; without `notes` these are the counts alone."""
  lines = [f"{result['num_truths']} instances of {result['num_classes']} classes in "
           f"{result['num_videos']} videos of {result['subset']!r}, "
           f"{result['num_predictions']} predictions", "", "   tIoU      mAP"]
  lines += [f"{tiou:7.4g}  {value:7.4f}"
            for tiou, value in zip(result["tiou"], result["mAP"], strict=True)]
  lines.append(f"average  {result['average_mAP']:7.4f}")
  if notes is None:
    notes = [f"{result[key]} {text}" for key, text in (
        ("num_ignored", "predictions ignored: no instance of their class in this subset"),
        ("num_outside_subset", "predictions of videos outside this subset; those of its classes "
                               "count as false positives")) if result[key]]
  return "\n".join([*lines, *(f"note: {note}" for note in notes)])


def _check_overlap(path: str, what: str, given: Sequence[str], expected: Sequence[str]) -> None:
  """DataError if nothing matches: an mAP of 0 would hide that the names differ."""
  if given and not set(given) & set(expected):
    first, there, hint = given[0], expected[0], evaluate_notes.did_you_mean(given[:5], expected)
    near = Near(expected)
    same = [name for name in given if near.same(name)]
    if same:
      first, there = same[0], near.same(same[0])[0]
      hint = (f"; did you mean {there!r}{form(first, there)}? {len(same)} of them differ in "
              "spelling alone.")
    if {name.removeprefix("v_") for name in given} & set(expected):
      hint = ". Take the prefix 'v_' off the predictions' ids."
    elif {"v_" + name for name in given} & set(expected):
      hint = ". Add the prefix 'v_' to the predictions' ids."
    raise DataError(f"{path}: none of its {len(given)} {what} occurs in the subset: it has for "
                    f"example {first!r}, the ground truth {there!r}{hint or '.'}")


def _write(path: str, result: dict[str, Any]) -> None:
  """Writes JSON; the file appears only when it is complete."""
  temporary = pathlib.Path(f"{path}.part")
  temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
  os.replace(temporary, path)


def main() -> None:
  tious = parse_tious(_TIOU.value) if _TIOU.present else DEFAULT_TIOUS
  found = examine(
      _GROUND_TRUTH.value, _PREDICTIONS.value, _SUBSET.value, tious,
      ignore=[x for x in _IGNORE.value if x] if _IGNORE.present else None,
      no_class=[x for x in _NO_CLASS.value if x], format=_FORMAT.value,
      video_info=_VIDEO_INFO.value, label=_LABEL.value)
  print(table(found.result, found.notes))
  if _OUTPUT.value:
    _write(_OUTPUT.value, found.result | ({"notes": found.notes} if found.notes else {}))


if __name__ == "__main__":
  # Not at import: a test that imports two binaries would define a flag such as --output twice.
  _GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Annotations, any known format.",
                                      required=True)
  _PREDICTIONS = flags.DEFINE_string("predictions", None, "Predictions JSON.", required=True)
  _SUBSET = flags.DEFINE_string("subset", None, "Subset, e.g. validation.", required=True)
  _TIOU = flags.DEFINE_list("tiou", None, "tIoU thresholds; default 0.5:0.05:0.95.")
  _OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the result to.")
  _IGNORE = flags.DEFINE_list("ignore", None, "Labels that count neither way; default: Ambiguous.")
  _NO_CLASS = flags.DEFINE_list("no_class", [], "Labels whose segments are no truths.")
  _FORMAT = flags.DEFINE_string("ground_truth_format", "auto", "Of the annotations.")
  _VIDEO_INFO = flags.DEFINE_string("video_info", "", "Durations, for formats in shares: csv.")
  _LABEL = flags.DEFINE_string("label", "", "EPIC-Kitchens: verb (the default) or noun.")
  cli.run_main(main)
