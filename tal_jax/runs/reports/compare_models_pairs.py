"""How variants of a model differ from the plain model: cell by cell, on the same labels.

A pair is a variant (`stage_wise:folds=0`) and its plain model (`stage_wise`) in one split of one
set, at one share of the labels: both learn from the same clips and are measured on the same.
"""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

from tal_jax.metrics.learning_curve import mean_ci95
from tal_jax.runs import model_variants

ALL = "all"  # the sets together
_COLUMNS = ("set", "model", "plain", "share", "pairs", "difference", "ci95", "wins", "losses")


def differences(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Average mAP of every variant minus that of its plain model.

  Args:
    rows: cells, as experiments.compare_models has them.

  Returns:
    A row per variant, share and set, and then one over all sets, `ALL`, in which every pair counts
    the same. `difference` is the mean over the pairs, `ci95` half its 95 % interval (Student's t;
    None with one pair), `wins` and `losses` the pairs in which the variant has more, or less.
    Nothing for a variant without its plain model.
  """
  maps = {(row["set"], row["split"], row["model"], row["share"]): row["map"] for row in rows}
  found: dict[tuple, list[float]] = {}
  for (name, split, model, share), value in maps.items():
    beside = maps.get((name, split, model_variants.plain(model), share))
    if model != model_variants.plain(model) and beside is not None:
      for group in (name, ALL):
        found.setdefault((group, model, share), []).append(value - beside)
  result = []
  for (name, model, share), values in sorted(found.items(), key=lambda item: item[0][0] == ALL):
    mean = mean_ci95(values)
    result.append(dict(zip(_COLUMNS, (
        name, model, model_variants.plain(model), share, len(values), mean.mean, mean.ci95,
        sum(x > 0 for x in values), sum(x < 0 for x in values)), strict=True)))
  return result


def markdown(rows: Sequence[dict[str, Any]]) -> str:
  """A table of the differences at each share; "" where there are none."""
  found = differences(rows)
  cells = {(row["set"], row["model"], row["share"]): row for row in found}
  sets = [*(name for name in dict.fromkeys(row["set"] for row in found) if name != ALL), ALL]
  lines = []
  for share in sorted({row["share"] for row in found}):
    here = [row for row in found if row["share"] == share]
    most = {name: max((row["pairs"] for row in here if row["set"] == name), default=0)
            for name in sets}
    there = [name for name in sets if most[name]]
    if len(there) == 2:
      there.remove(ALL)
    lines += ["", f"**Variants, {share:.0%} of the labels**: average mAP minus the plain model's "
              "on the same clips, ± half a 95 % interval (splits won : lost)", "",
              "| model | " + " | ".join(f"{name}, {most[name]} "
                                        f"{'pair' if most[name] == 1 else 'pairs'}"
                                        for name in there) + " |",
              "|---" * (len(there) + 1) + "|"]
    for model in dict.fromkeys(row["model"] for row in here):
      lines.append(f"| `{model}` | " + " | ".join(
          _text(cells.get((name, model, share))) for name in there) + " |")
  return "\n".join([*lines, ""]) if lines else ""


def write(rows: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
  """The differences as csv; without any there is no file, nor an earlier run's."""
  found = differences(rows)
  if not found:
    path.unlink(missing_ok=True)
    return
  with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    writer.writerows(found)


def _text(row: dict[str, Any] | None) -> str:
  if row is None:
    return "-"
  half = "" if row["ci95"] is None else f" ± {row['ci95']:.3f}"
  return f"{row['difference']:+.3f}{half} ({row['wins']}:{row['losses']})"
