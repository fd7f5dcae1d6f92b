"""Shows a data set at a glance, as the paper's Fig. 4.

    python -m experiments.glance --annotations=truth.json [--subset=validation] [--output=DIR]

The annotations may have any format that tal_jax/data/formats knows; where they have no durations,
--video_info names a csv that has them, else coverage is not known. Printed is a table; the folder
gets glance.json (tal_jax/data/glance.py says what it holds) and glance.png: the classes, the
instances by coverage, length and number of instances in their video, and by each two of these.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np
from absl import flags

from tal_jax.data import option_names
from tal_jax.data.annotations import select, several
from tal_jax.data.glance import BINS, glance
from tal_jax.data.ground_truth import read_subset
from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.runs.reports.plots import save
from tal_jax.runs.workdir import write_json

ALL = "all"
OPTIONS = {"annotations_format": "--format", "video_info": "--video_info", "label": "--label"}
_TITLES = {"coverage": "Coverage (share of the video)", "length": "Length (s)",
           "number": "Instances in the video"}
_MOST_NAMES = 80  # classes whose names can be read below the bars
_DARK, _LIGHT = "#0072B2", "#BBBBBB"


def run(annotations: str, output: str | os.PathLike, *, subset: str = ALL,
        **options: Any) -> dict[str, Any]:
  """Writes glance.json and glance.png into the folder `output`, and returns what is in the first.

  Args:
    annotations: file, or several with commas between.
    output: folder; made if need be.
    subset: as the file spells it, or "all".
    **options: of the annotations, see `read_annotations`.

  Raises:
    DataError: a file that cannot be read, no such subset, or no instance in it.
  """
  with option_names.spelled(OPTIONS):
    read = read_subset(annotations, None if subset == ALL else subset, **options)
  names = [os.path.basename(os.fspath(path)) for path in several(annotations)]
  try:
    result = {"annotations": names, "subset": subset,
              **glance(select(read.annotations, read.ids))}
  except DataError as error:
    raise DataError(f"{annotations}, subset {subset!r}: {error}. Name a subset that has "
                    "annotations; --subset=all takes all videos.") from error
  folder = pathlib.Path(output)
  folder.mkdir(parents=True, exist_ok=True)
  write_json(folder / "glance.json", result)
  draw(result, folder / "glance.png")
  return result


def heading(result: dict[str, Any]) -> str:
  """What was counted, in one line."""
  return (f"{', '.join(result['annotations'])}, subset {result['subset']}: "
          f"{result['instances']} instances of {len(result['classes'])} classes in "
          f"{result['videos'] - result['videos_without_instances']} videos "
          f"({result['instances_per_video']:.2f} a video)")


def notes(result: dict[str, Any]) -> list[str]:
  """What was left out or is not as it should be; nothing for a clean file."""
  said = (("videos_without_instances", "videos without instances"),
          ("coverage_above_one", "instances longer than their video, counted as XL coverage"),
          ("coverage_unknown", "instances of videos without a duration: no coverage"))
  left = ", ".join(f"{count} {reason.replace('_', ' ')}"
                   for reason, count in result["left_out"].items() if count)
  return ([f"{result['annotated'] - result['instances']} of {result['annotated']} annotated truths "
           f"left out: {left}"] if left else []) + [
              f"{result[key]} {text}" for key, text in said if result[key]]


def table(result: dict[str, Any], *, classes: int = 5) -> str:
  """The result for a terminal; of the classes, the `classes` with most and fewest instances."""
  lines = [heading(result), *(f"note: {note}" for note in notes(result))]
  for name, bins in result["attributes"].items():
    lines += ["", f"{_TITLES[name]:32}{'instances':>9}  {'%':>5}"]
    lines += [f"  {size:3} {where:26}{count:9}  {_percent(bins['share'], i):>5}"
              for i, (size, where, count) in enumerate(zip(
                  bins["bins"], bins["ranges"], bins["instances"], strict=True))]
  for pair in result["pairs"]:
    lines += ["", f"% of instances, {pair['rows']} (rows) x {pair['columns']} (columns)",
              "     " + "".join(f"{size:>7}" for size in BINS)]
    lines += [f"  {size:3}" + "".join(
        f"{_percent(pair['share'] and pair['share'][i], j):>7}" for j in range(len(BINS)))
              for i, size in enumerate(BINS)]
  rows = result["classes"]
  shown = rows if len(rows) <= 2 * classes else rows[:classes] + [None] + rows[-classes:]
  lines += ["", f"{'class':32}{'instances':>9} {'videos':>7}"]
  lines += ["  ..." if row is None else f"{row['name']:32}{row['instances']:9} {row['videos']:7}"
            for row in shown]
  return "\n".join(lines)


def draw(result: dict[str, Any], path: str | os.PathLike) -> None:
  """Draws the figure into a PNG."""
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  figure = plt.figure(figsize=(13, 13), constrained_layout=True)
  grid = figure.add_gridspec(3, 3, height_ratios=(1.1, 0.85, 1.3))
  _draw_classes(figure.add_subplot(grid[0, :]), result["classes"])
  for i, (name, bins) in enumerate(result["attributes"].items()):
    _draw_bins(figure.add_subplot(grid[1, i]), name, bins)
  for i, pair in enumerate(result["pairs"]):
    _draw_pair(figure.add_subplot(grid[2, i]), pair, result["attributes"])
  figure.suptitle(heading(result), fontsize=12)
  figure.supxlabel("\n".join(notes(result)), fontsize=8, color="0.35")
  save(figure, path, dpi=130)


def _draw_classes(axis, rows: list[dict[str, Any]]) -> None:
  place, few = np.arange(len(rows)), len(rows) <= _MOST_NAMES
  for key, colour, width in (("instances", _LIGHT, 0.85), ("videos", _DARK, 0.4)):
    axis.bar(place, [row[key] for row in rows], width=width if few else 1.0, color=colour,
             label=key)
  if few:
    axis.set_xticks(place, [_short(row["name"]) for row in rows], rotation=60, ha="right",
                    rotation_mode="anchor", fontsize=9 if len(rows) <= 40 else 7)
  else:  # the names would cover each other: every n-th, with its rank
    named = place[::-(-len(rows) // 40)]
    axis.set_xticks(named, [f"{_short(rows[i]['name'])} ({i + 1})" for i in named], rotation=60,
                    ha="right", rotation_mode="anchor", fontsize=7)
    axis.set_xlabel(f"{len(named)} of {len(rows)} classes are named, with their rank", fontsize=9)
  axis.set_xlim(-0.7, len(rows) - 0.3)
  axis.set_ylabel("Number in the class")
  axis.legend(frameon=False, fontsize=9)
  _plain(axis)


def _draw_bins(axis, name: str, bins: dict[str, Any]) -> None:
  axis.set_xticks(range(len(BINS)), [f"{size}\n{where}" for size, where in zip(
      bins["bins"], bins["ranges"], strict=True)], fontsize=9)
  axis.set_xlabel(_TITLES[name])
  axis.set_ylabel("Instances (%)")
  if bins["share"] is None:
    axis.text(0.5, 0.5, "not known", transform=axis.transAxes, ha="center")
  else:
    drawn = axis.bar(range(len(BINS)), 100 * np.array(bins["share"]), width=0.75, color=_DARK)
    axis.bar_label(drawn, fmt="%.1f", padding=2, fontsize=9)
    axis.margins(y=0.12)
  _plain(axis)


def _draw_pair(axis, pair: dict[str, Any], attributes: dict[str, Any]) -> None:
  share = 100 * np.array(pair["share"] if pair["share"] is not None
                         else np.full((len(BINS), len(BINS)), np.nan))
  axis.imshow(share, cmap="Blues", vmin=0, vmax=np.nanmax(share, initial=1.0), aspect="equal")
  for (i, j), value in np.ndenumerate(share):
    dark = value > 0.6 * np.nanmax(share, initial=1.0)
    axis.text(j, i, "-" if np.isnan(value) else f"{value:.1f}", ha="center", va="center",
              fontsize=9, color="white" if dark else "black")
  for set_ticks, name in ((axis.set_xticks, pair["columns"]), (axis.set_yticks, pair["rows"])):
    set_ticks(range(len(BINS)), [f"{size}\n{where}" for size, where in zip(
        BINS, attributes[name]["ranges"], strict=True)], fontsize=8)
  axis.set_xlabel(_TITLES[pair["columns"]])
  axis.set_ylabel(_TITLES[pair["rows"]])
  axis.set_title(f"{pair['rows'].capitalize()} x {pair['columns']} (% of instances)", fontsize=10)
  axis.tick_params(length=0)
  axis.spines[:].set_visible(False)


def _plain(axis) -> None:
  axis.grid(axis="y", color="0.9")
  axis.set_axisbelow(True)
  axis.spines[["top", "right"]].set_visible(False)


def _short(name: str, most: int = 28) -> str:
  return name if len(name) <= most else name[:most - 1] + "…"


def _percent(shares: list[float] | None, i: int) -> str:
  return "-" if shares is None else f"{100 * shares[i]:.1f}"


def main() -> None:
  values = flags.FLAGS
  first = several(values.annotations)[0] if values.annotations else ""
  folder = values.output or f"runs/{pathlib.Path(first).stem}_glance"
  print(table(run(values.annotations, folder, subset=values.subset, format=values.format,
                  video_info=values.video_info, label=values.label)))
  print(f"\nfigure: {os.path.join(folder, 'glance.png')}, numbers: "
        f"{os.path.join(folder, 'glance.json')}")


if __name__ == "__main__":
  flags.DEFINE_string("annotations", None, "Annotations, any known format.", required=True)
  flags.DEFINE_string("subset", ALL, "Subset, as the file spells it.")
  flags.DEFINE_string("output", None, "Folder; default: runs/NAME_glance.")
  flags.DEFINE_string("format", "auto", "Of the annotations.")
  flags.DEFINE_string("video_info", "", "Durations, where the annotations have none: csv.")
  flags.DEFINE_string("label", "", "EPIC-Kitchens: verb (the default) or noun.")
  cli.run_main(main)
