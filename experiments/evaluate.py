"""Evaluates predictions in ActivityNet's format against ground truth in ActivityNet's format.

    python -m experiments.evaluate --ground_truth=truth.json --predictions=predictions.json \
        --subset=validation [--tiou=0.5,0.75] [--output=result.json]

Prints mAP per tIoU threshold; with --output also writes
`{"tiou": [...], "mAP": [...], "average_mAP": x, "num_predictions": n, ...}`. The numbers are those
of ActivityNet's official code, see tal_jax/metrics/average_precision.py for the three exceptions.
Like there, the predictions of a video that has no truth in the subset are false positives; how many
they are is said.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from experiments import cli
from tal_jax.data.annotations import read_annotations
from tal_jax.data.ground_truth import ground_truth, subset_ids
from tal_jax.data.predictions import read_predictions, reindex
from tal_jax.data.types import DataError
from tal_jax.metrics.average_precision import DEFAULT_TIOUS, detection_map


def run(truth_path: str, predictions_path: str, subset: str,
        tious: Sequence[float] = DEFAULT_TIOUS) -> dict[str, Any]:
  """Evaluates the files.

  Returns:
    What --output writes: `tiou` and `mAP` per threshold, `average_mAP`; `num_predictions` in the
    file, of these `num_ignored` (their class has no truth in the subset) and
    `num_outside_subset` (their video is not in the subset: false positives); and of the subset
    `num_videos`, `num_truths` and `num_classes` that have truth.

  Raises:
    DataError: a file that cannot be read, no such subset, or ids that do not match at all.
  """
  annotations = read_annotations(truth_path)
  try:
    ids = subset_ids(annotations, subset)
  except DataError as error:
    raise DataError(f"{truth_path}: {error}") from error
  classes = sorted({label for i in ids for label in annotations.videos[i].labels})
  truth = ground_truth(annotations, ids, classes)
  if not len(truth.label):
    raise DataError(f"{truth_path}: no video of the subset {subset!r} has an annotation")
  file = read_predictions(predictions_path)
  _check_overlap(predictions_path, "video ids", file.video_ids, ids)
  _check_overlap(predictions_path, "labels", file.classes, classes)
  predictions = reindex(file, ids, classes)
  result = detection_map(truth, predictions, tious)
  return {
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
  }


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


def table(result: dict[str, Any]) -> str:
  """The result for a terminal."""
  lines = [f"{result['num_truths']} instances of {result['num_classes']} classes in "
           f"{result['num_videos']} videos of {result['subset']!r}, "
           f"{result['num_predictions']} predictions", "", "   tIoU      mAP"]
  lines += [f"{tiou:7.4g}  {value:7.4f}"
            for tiou, value in zip(result["tiou"], result["mAP"], strict=True)]
  lines.append(f"average  {result['average_mAP']:7.4f}")
  if result["num_ignored"]:
    lines.append(f"note: {result['num_ignored']} predictions ignored: no instance of their class "
                 "in this subset")
  if result["num_outside_subset"]:
    lines.append(f"note: {result['num_outside_subset']} predictions of videos outside this subset; "
                 "those of its classes count as false positives")
  return "\n".join(lines)


def _check_overlap(path: str, what: str, given: Sequence[str], expected: Sequence[str]) -> None:
  """DataError if nothing matches: an mAP of 0 would hide that the names differ."""
  if given and not set(given) & set(expected):
    hint = ""
    if {name.removeprefix("v_") for name in given} & set(expected):
      hint = " Take the prefix 'v_' off the predictions' ids."
    raise DataError(f"{path}: none of its {len(given)} {what} occurs in the subset: it has for "
                    f"example {given[0]!r}, the ground truth {expected[0]!r}.{hint}")


def _write(path: str, result: dict[str, Any]) -> None:
  """Writes JSON; the file appears only when it is complete."""
  temporary = pathlib.Path(f"{path}.part")
  temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
  os.replace(temporary, path)


def main() -> None:
  tious = parse_tious(_TIOU.value) if _TIOU.present else DEFAULT_TIOUS
  result = run(_GROUND_TRUTH.value, _PREDICTIONS.value, _SUBSET.value, tious)
  print(table(result))
  if _OUTPUT.value:
    _write(_OUTPUT.value, result)


if __name__ == "__main__":
  # Not at import: a test that imports two binaries would define a flag such as --output twice.
  _GROUND_TRUTH = flags.DEFINE_string("ground_truth", None, "Ground truth JSON.", required=True)
  _PREDICTIONS = flags.DEFINE_string("predictions", None, "Predictions JSON.", required=True)
  _SUBSET = flags.DEFINE_string("subset", None, "Subset, e.g. validation.", required=True)
  _TIOU = flags.DEFINE_list("tiou", None, "tIoU thresholds; default 0.5:0.05:0.95.")
  _OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the result to.")
  cli.run_main(main)
