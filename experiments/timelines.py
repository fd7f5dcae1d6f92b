"""Draws detections above the annotated instances, a timeline per video.

    python -m experiments.timelines --ground_truth=truth.json --predictions=predictions.json \
        --output=timelines.png [--videos=ID,ID] [--per_class=5]

The annotations may have any format that tal_jax/data/formats knows. Each row is a class: filled
bars are the truth, outlined bars above them the detections, the surest at the bottom and darkest,
with its score. Without --videos: the first six with predictions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from tal_jax.data import option_names
from tal_jax.data.annotations import read_annotations
from tal_jax.data.predictions import PredictionFile, read_predictions
from tal_jax.data.records import VideoAnnotation
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.runs.reports.plots import save

_MOST = 6  # videos, if none is named
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's
_HATCHES = ("", "//", "..", "xx", "\\\\", "--")  # for readers without colours


def run(ground_truth: str, predictions: str, output: str, *, videos: Sequence[str] = (),
        per_class: int = 5) -> list[str]:
  """Draws the figure and returns the ids of its videos.

  Args:
    ground_truth: file of annotations.
    predictions: file in ActivityNet's format.
    output: PNG, PDF or SVG.
    videos: ids; none means the first six with predictions.
    per_class: detections of a class that are drawn in each video.

  Raises:
    DataError: a file that cannot be read, an id that is in neither file, or nothing to draw.
  """
  if per_class < 1:
    raise DataError(f"--per_class={per_class} must be at least 1.")
  with option_names.spelled({}):  # none of the readers' options is a flag here
    annotated = read_annotations(ground_truth, needs_durations=False)
  detected = read_predictions(predictions)
  chosen = list(videos) or [
      i for i in detected.video_ids if find_id(i, annotated.videos)][:_MOST]
  missing = [i for i in chosen if not find_id(i, annotated.videos)]
  if missing:
    raise DataError(f"{ground_truth} has no annotation of {', '.join(missing)}.")
  if not chosen:
    raise DataError(f"{ground_truth} has no annotation of any video that {predictions} has "
                    "predictions for. Compare the ids of the two files.")
  _draw([annotated.videos[find_id(i, annotated.videos)] for i in chosen], annotated.classes,
        detected, output, per_class)
  return chosen


def best(detected: PredictionFile, video: str, label: str, count: int) -> np.ndarray:
  """The surest detections of a class in a video: [count, 3] start, end (seconds), score."""
  names = [i for i, name in enumerate(detected.video_ids) if find_id(name, (video,))]
  found = detected.predictions
  label_index = detected.classes.index(label) if label in detected.classes else -1
  mine = np.flatnonzero(np.isin(found.video, names) & (found.label == label_index))
  mine = mine[np.argsort(-found.scores[mine], kind="stable")][:count]
  return np.column_stack([found.segments[mine], found.scores[mine]])


def _end(video: VideoAnnotation, detections: Mapping[str, np.ndarray]) -> float:
  """The duration, or where the last bar ends."""
  ends = [video.segments[:, 1], *(found[:, 1] for found in detections.values())]
  return (float(np.concatenate(ends).max(initial=1.0)) if np.isnan(video.duration)
          else video.duration)


def _draw(videos: list[VideoAnnotation], classes: Sequence[str], detected: PredictionFile,
          output: str, per_class: int) -> None:
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt
  from matplotlib.patches import Patch

  found = [{label: best(detected, video.video_id, label, per_class) for label in classes}
           for video in videos]
  shown = [[label for label in classes if label in video.labels or len(detections[label])]
           for video, detections in zip(videos, found, strict=True)]
  heights = [0.6 + 0.55 * max(1, len(labels)) for labels in shown]
  figure, axes = plt.subplots(len(videos), 1, figsize=(10, sum(heights) + 0.5), squeeze=False,
                              height_ratios=heights, constrained_layout=True)
  for axis, video, labels, detections in zip(axes[:, 0], videos, shown, found, strict=True):
    for row, label in enumerate(labels):
      place = classes.index(label) % len(_COLOURS)
      colour, hatch = _COLOURS[place], _HATCHES[place]
      for (start, end), name in zip(video.segments, video.labels, strict=True):
        if name == label:
          axis.barh(row, end - start, left=start, height=0.34, align="edge", color=colour,
                    hatch=hatch, edgecolor="white", linewidth=0)
      step = 0.5 / max(1, len(detections[label]))
      for k, (start, end, score) in enumerate(detections[label]):
        axis.barh(row - (k + 1) * step - 0.02, end - start, left=start, height=0.8 * step,
                  align="edge", facecolor="none", edgecolor=colour,
                  alpha=1.0 - 0.7 * k / len(detections[label]), linewidth=1.3)
        if k == 0:
          axis.annotate(f"{score:.2f}", (end, row - 0.5 * step - 0.02), xytext=(3, 0),
                        textcoords="offset points", fontsize=7, va="center")
    axis.set_yticks(np.arange(len(labels)), labels, fontsize=8)
    axis.set_ylim(max(len(labels), 1) - 0.45, -0.65)
    axis.set_xlim(0, _end(video, detections))
    axis.set_title(video.video_id, loc="left", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
  axes[-1, 0].set_xlabel("time (s)")
  outlined = f"detected (at most {per_class} a class; score of the surest)"
  figure.legend(handles=[Patch(facecolor="0.4", label="annotated"),
                         Patch(facecolor="none", edgecolor="0.3", label=outlined)],
                loc="outside lower center", ncols=2, frameon=False, fontsize=8)
  os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
  save(figure, output)


def main() -> None:
  paths = flags.FLAGS
  drawn = run(paths.ground_truth, paths.predictions, paths.output,
              videos=[i for i in paths.videos if i], per_class=paths.per_class)
  print(f"{paths.output}: {len(drawn)} video(s)")


if __name__ == "__main__":
  flags.DEFINE_string("ground_truth", None, "Annotations, any known format.", required=True)
  flags.DEFINE_string("predictions", None, "Detections, ActivityNet's format.", required=True)
  flags.DEFINE_string("output", None, "The figure: .png, .pdf or .svg.", required=True)
  flags.DEFINE_list("videos", [], "Ids; default: the first six with predictions.")
  flags.DEFINE_integer("per_class", 5, "Detections of a class drawn in each video.")
  cli.run_main(main)
