"""ar_an.png: average recall against the average number of proposals."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from typing import Any

from tal_jax.runs.reports.plots import save

# Okabe and Ito's colours; lines and markers of their own survive greyscale.
_STYLES = (("#D55E00", "-", "^"), ("#0072B2", "--", "s"), ("#000000", ":", "o"),
           ("#009E73", "-.", "D"))


def ar_an(result: Mapping[str, Any], path: str | os.PathLike) -> None:
  """Draws the curves of report.json's methods into a PNG."""
  import matplotlib
  matplotlib.use("Agg")
  import matplotlib.pyplot as plt

  figure, axis = plt.subplots(figsize=(7.2, 5.0), constrained_layout=True)
  for i, (name, x) in enumerate(result["methods"].items()):
    colour, line, marker = _STYLES[i % len(_STYLES)]
    axis.plot(x["average_proposals"], x["average_recall"], color=colour, linestyle=line,
              marker=marker, markersize=4.5, markevery=(4 + 2 * i, 10), linewidth=1.6,
              label=f"{name} (area {x['area']:.3f})")
  axis.set_xlim(0, None)
  axis.set_ylim(0, 1)
  axis.set_xlabel("Average number of proposals per video")
  axis.set_ylabel("Average recall, tIoU 0.5:0.05:0.95")
  axis.grid(color="0.9")
  axis.set_axisbelow(True)
  axis.spines[["top", "right"]].set_visible(False)
  axis.legend(frameon=False, fontsize=9, loc="upper left")
  axis.set_title(f"Proposals on {result['num_videos']} held-out videos, seed {result['seed']}",
                 fontsize=11)
  figure.supxlabel("\n".join(textwrap.wrap(result["caption"], 100)), fontsize=8, color="0.35")
  save(figure, path)
