"""Plots the seconds of each active-learning step against the labelled videos.

    python -m experiments.step_times --workdir=runs/anet_paper --output=docs/paper_scale.png

Reads WORKDIR/metrics.jsonl, as experiments.simulate writes it, and fits seconds = a + b * labels
over all strategies: a cost per step that is linear in the labelled set lies on it. The line is
Theil and Sen's, whose slope is the median of those of all pairs: steps during which the machine was
busy with something else, and which only last longer, move it little. A strategy's first row is left
out: its training is shared, and most of its time may be that of compiling.
"""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
from absl import flags
from scipy import stats

from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.runs.reports.plots import NAMES, STYLES, save


def read(workdir: str | os.PathLike) -> dict[str, np.ndarray]:
  """The steps of each strategy: {name: [steps, 2] labelled videos, seconds}.

  Raises:
    DataError: no such file, or no step in it.
  """
  path = pathlib.Path(workdir) / "metrics.jsonl"
  if not path.exists():
    raise DataError(f"{path}: no such file; experiments.simulate writes it")
  steps: dict[str, list] = {}
  for line in path.read_text().splitlines():
    row = json.loads(line)
    if row["step"] > 0:
      steps.setdefault(row["strategy"], []).append((row["num_labeled"], row["seconds"]))
  if sum(map(len, steps.values())) < 2:
    raise DataError(f"{path}: fewer than two steps after the first: there is nothing to plot")
  return {name: np.array(points, float) for name, points in steps.items()}


def fit(steps: dict[str, np.ndarray]) -> tuple[float, float]:
  """Seconds at no label, and per labelled video, of Theil and Sen's line."""
  labels, seconds = np.concatenate(list(steps.values())).T
  line = stats.theilslopes(seconds, labels)
  return float(line.intercept), float(line.slope)


def plot(steps: dict[str, np.ndarray], path: str | os.PathLike) -> None:
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  offset, slope = fit(steps)
  figure, axis = plt.subplots(figsize=(7, 4.2), constrained_layout=True)
  for i, (name, points) in enumerate(steps.items()):
    colour, _, marker = STYLES.get(name, (f"C{i}", "-", "o"))
    axis.plot(*points.T, marker, color=colour, markersize=3.5, markerfacecolor="none",
              markeredgewidth=0.8, label=NAMES.get(name, name))
  most = max(points[:, 0].max() for points in steps.values())
  axis.plot([0, most], [offset, offset + slope * most], color="0.2", linewidth=1.5,
            label=f"{offset:.2f} s + {1000 * slope:.2f} s per 1,000 labels")
  axis.set_xlim(0, None)
  axis.set_ylim(0, None)
  axis.set_xlabel("Labelled videos")
  axis.set_ylabel("Seconds per step")
  figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
  axis.grid(color="0.9")
  axis.spines[["top", "right"]].set_visible(False)
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  save(figure, path)


def main() -> None:
  steps = read(_WORKDIR.value)
  plot(steps, _OUTPUT.value)
  offset, slope = fit(steps)
  for name, points in steps.items():
    print(f"{name:20s} {len(points):4d} steps {points[:, 1].sum() / 60:7.1f} minutes, "
          f"median {np.median(points[:, 1]):.2f} s, largest {points[:, 1].max():.2f} s")
  print(f"all: {offset:.2f} s + {1000 * slope:.2f} s per 1,000 labelled videos; {_OUTPUT.value}")


if __name__ == "__main__":
  _WORKDIR = flags.DEFINE_string("workdir", None, "Of experiments.simulate.")
  _OUTPUT = flags.DEFINE_string("output", "step_times.png", "PNG to write.")
  flags.mark_flag_as_required("workdir")
  cli.run_main(main)
