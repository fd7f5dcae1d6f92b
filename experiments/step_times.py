"""Plots the seconds of each active-learning step against the labelled videos.

    python -m experiments.step_times --workdir=runs/anet_paper --output=docs/paper_scale.png

Reads WORKDIR/metrics.jsonl, as experiments.simulate writes it, and fits seconds = a + b * labels by
least squares over all strategies: a cost per step that is linear in the labelled set lies on it. A
strategy's first row is left out: its training is shared and was done before.
"""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
from absl import flags

from experiments import cli
from tal_jax.data.types import DataError


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
  """Seconds at no label, and per labelled video, of the least-squares line."""
  labels, seconds = np.concatenate(list(steps.values())).T
  slope, offset = np.polyfit(labels, seconds, 1)
  return float(offset), float(slope)


def plot(steps: dict[str, np.ndarray], path: str | os.PathLike) -> None:
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  offset, slope = fit(steps)
  figure, axis = plt.subplots(figsize=(7, 4.2), constrained_layout=True)
  for name, points in steps.items():
    axis.plot(*points.T, ".", markersize=4, label=name)
  most = max(points[:, 0].max() for points in steps.values())
  axis.plot([0, most], [offset, offset + slope * most], color="0.3", linewidth=1,
            label=f"{offset:.2f} s + {1000 * slope:.2f} s per 1,000 labels")
  axis.set_xlim(0, None)
  axis.set_ylim(0, None)
  axis.set_xlabel("Labelled videos")
  axis.set_ylabel("Seconds per step")
  axis.legend(frameon=False, fontsize=9)
  axis.grid(color="0.9")
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  figure.savefig(path, dpi=150, format="png")
  plt.close(figure)


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
