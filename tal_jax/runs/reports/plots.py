"""learning_curves.png: mAP and attention AP against the share of labels, mean and 95 % CI."""

from __future__ import annotations

import os
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tal_jax.metrics.learning_curve import mean_ci95
from tal_jax.runs.reports.summary import curves

# Okabe and Ito's colours, told apart by most colour-blind readers; with lines and markers of
# their own the curves survive greyscale, too.
STYLES = {
    "random": ("#000000", ":", "o"), "uncertainty": ("#0072B2", "--", "s"),
    "uncertainty_binary": ("#56B4E9", "--", "v"), "margin": ("#CC79A7", "-.", "P"),
    "mcle": ("#E69F00", "-.", "D"), "lal": ("#D55E00", "-", "^"),
    "greedy_oracle": ("#009E73", (0, (1, 1)), "*"),
}
NAMES = {"random": "Random", "uncertainty": "Uncertainty", "uncertainty_binary":
          "Uncertainty (binary)", "margin": "Margin", "mcle": "MCLE", "lal": "LAL",
          "greedy_oracle": "Greedy oracle (bound)"}


def learning_curves(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike, *, title: str,
                    caption: str) -> None:
  """Draws the curves of all strategies.

  Args:
    rows: of metrics.jsonl.
    path: of the PNG.
    title: of the figure.
    caption: is shown under it: what the data are.
  """
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt
  from matplotlib.ticker import PercentFormatter

  figure, axes = plt.subplots(1, 2, figsize=(11, 4.9), constrained_layout=True)
  panels = (("map_ratio", 100.0, "mAP (% of full training)"),
            ("attention_ap", 100.0, "Attention AP, class-agnostic (%)"))
  num_seeds = 1
  for axis, (field, scale, label) in zip(axes, panels, strict=True):
    for i, (name, runs) in enumerate(curves(rows).items()):
      num_seeds = len(runs)
      steps = min(map(len, runs))
      x = np.mean([[row["labeled_ratio"] for row in run[:steps]] for run in runs], axis=0)
      points = [mean_ci95([run[s][field] * scale for run in runs]) for s in range(steps)]
      mean = np.array([point.mean for point in points])
      half = np.array([point.ci95 or 0.0 for point in points])
      colour, line, marker = STYLES.get(name, (f"C{i}", "-", "o"))
      axis.plot(x, mean, color=colour, linestyle=line, marker=marker, markersize=4,
                markevery=max(1, steps // 10), linewidth=1.6, label=NAMES.get(name, name))
      axis.fill_between(x, mean - half, mean + half, color=colour, alpha=0.12, linewidth=0)
    if field == "map_ratio":
      axis.axhline(80, color="0.6", linewidth=0.8, zorder=0)
      axis.annotate("80 %", (1.0, 80), xycoords=("axes fraction", "data"), xytext=(3, -3),
                    textcoords="offset points", fontsize=8, color="0.4")
    axis.set_xlabel("Labelled videos (% of Selection)")
    axis.set_ylabel(label)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=""))
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
  axes[0].legend(frameon=False, fontsize=9)
  seeds = f"mean of {num_seeds} seeds, band: 95 % CI" if num_seeds > 1 else "one seed"
  figure.suptitle(f"{title} ({seeds})", fontsize=12)
  figure.supxlabel("\n".join(textwrap.wrap(caption, 150)), fontsize=8, color="0.35")
  save(figure, path)


def save(figure: Any, path: str | os.PathLike, *, dpi: int = 150) -> None:
  """Writes a figure of matplotlib in the format of the suffix, and closes it.

  The file appears only when it is complete.
  """
  import matplotlib.pyplot as plt

  part = f"{os.fspath(path)}.part"
  figure.savefig(part, dpi=dpi, format=pathlib.Path(path).suffix.removeprefix(".") or "png")
  plt.close(figure)
  os.replace(part, path)
