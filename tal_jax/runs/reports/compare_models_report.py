"""What experiments.compare_models writes of its cells: csv files, tables and a figure."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tal_jax.metrics.learning_curve import mean_ci95
from tal_jax.runs.reports import compare_models_pairs, plots

# Okabe and Ito's colours; lines and markers of their own survive greyscale.
STYLES = {"paper": ("#000000", ":", "o"), "stage_wise": ("#0072B2", "-.", "s"),
          "frames:linear": ("#56B4E9", (0, (1, 1)), "v"), "frames": ("#E69F00", "--", "D"),
          "point": ("#D55E00", "-", "^")}
_COLUMNS = ("set", "model", "share", "splits", "map", "map_ci95", "map_at_50", "map_at_50_ci95",
            "fit_seconds", "detect_seconds")


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Means over the splits, of every set, model and share; seconds are medians."""
  groups: dict[tuple, list[dict[str, Any]]] = {}
  for row in rows:
    groups.setdefault((row["set"], row["model"], row["share"]), []).append(row)
  found = []
  for (name, model, share), group in groups.items():
    average, at_50 = (mean_ci95([row[field] for row in group]) for field in ("map", "map_at_50"))
    found.append(dict(zip(_COLUMNS, (
        name, model, share, len(group), average.mean, average.ci95, at_50.mean, at_50.ci95,
        float(np.median([row["fit_seconds"] for row in group])),
        float(np.median([row["detect_seconds"] for row in group]))), strict=True)))
  return found


def markdown(rows: Sequence[dict[str, Any]]) -> str:
  """A table of each set: average mAP and its interval at every share, seconds of training."""
  table = summarise(rows)
  shares = sorted({row["share"] for row in table})
  lines = []
  for name in dict.fromkeys(row["set"] for row in table):
    mine = {(row["model"], row["share"]): row for row in table if row["set"] == name}
    splits = max(row["splits"] for row in mine.values())
    labels = {row["share"]: row["labeled"] for row in rows if row["set"] == name}
    lines += [f"**{name}**, {splits} split{'s' if splits > 1 else ''}: average mAP, ± half a 95 % "
              "interval (mAP at 0.5); seconds of training at all labels", "",
              "| model | " + " | ".join(f"{share:.0%} ({labels.get(share, '-')} clips)"
                                        for share in shares) + " | seconds |",
              "|---" * (len(shares) + 2) + "|"]
    for model in dict.fromkeys(row["model"] for row in table if row["set"] == name):
      cells = [_text(mine.get((model, share))) for share in shares]
      last = mine.get((model, shares[-1]))
      seconds = f"{last['fit_seconds']:.1f}" if last else "-"
      lines.append(f"| `{model}` | " + " | ".join([*cells, seconds]) + " |")
    lines.append("")
  return "\n".join(lines) + compare_models_pairs.markdown(rows)


def write(rows: Sequence[dict[str, Any]], folder: pathlib.Path) -> None:
  """models.csv, models.md and models.png; differences.csv if there is a variant to compare."""
  with (folder / "models.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    writer.writerows(summarise(rows))
  (folder / "models.md").write_text(markdown(rows), encoding="utf-8")
  compare_models_pairs.write(rows, folder / "differences.csv")
  figure(rows, folder / "models.png")


def figure(rows: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
  """Average mAP against the share of the labels, a panel each set."""
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  table = summarise(rows)
  names = list(dict.fromkeys(row["set"] for row in table))
  drawn, axes = plt.subplots(1, len(names), figsize=(3.0 * len(names) + 1.5, 3.6), squeeze=False,
                             constrained_layout=True)
  for axis, name in zip(axes[0], names, strict=True):
    for i, model in enumerate(dict.fromkeys(row["model"] for row in table)):
      mine = sorted((row for row in table if (row["set"], row["model"]) == (name, model)),
                    key=lambda row: row["share"])
      if not mine:
        continue
      x = np.array([row["share"] for row in mine])
      mean = np.array([row["map"] for row in mine])
      half = np.array([row["map_ci95"] or 0.0 for row in mine])
      colour, line, marker = STYLES.get(model, (f"C{i}", "-", "o"))
      axis.plot(x, mean, color=colour, linestyle=line, marker=marker, markersize=4, label=model)
      axis.fill_between(x, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    axis.set_xscale("log")
    axis.set_xticks(x, [f"{100 * share:g}" for share in x])
    axis.minorticks_off()
    axis.set_ylim(bottom=0)
    splits = max(row["splits"] for row in table if row["set"] == name)
    axis.set_title(f"{name} ({splits} split{'s' if splits > 1 else ''})", fontsize=10)
    axis.set_xlabel("Labelled clips (% of Selection)")
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
  axes[0, 0].set_ylabel("Average mAP, tIoU 0.5:0.05:0.95")
  drawn.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, fontsize=8,
               loc="outside right center")
  drawn.suptitle("Localisation models, labels chosen at random (mean over splits, band: 95 % "
                 "interval)", fontsize=11)
  plots.save(drawn, path)


def _text(row: dict[str, Any] | None) -> str:
  if row is None:
    return "-"
  half = "" if row["map_ci95"] is None else f" ± {row['map_ci95']:.3f}"
  return f"{row['map']:.3f}{half} ({row['map_at_50']:.2f})"
