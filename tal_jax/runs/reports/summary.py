"""From metrics.jsonl to summary.json and the table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tal_jax.metrics import learning_curve


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[list[Mapping[str, Any]]]]:
  """Rows by strategy, in order of appearance, then by seed, then by step."""
  strategies = dict.fromkeys(row["strategy"] for row in rows)
  seeds = sorted({row["seed"] for row in rows})
  return {name: [[row for row in rows if (row["strategy"], row["seed"]) == (name, seed)]
                 for seed in seeds] for name in strategies}


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """{strategy: {measure: {mean, ci95, per_seed}}} of finished runs."""
  functions = {"aulc": learning_curve.aulc,
               "aulc_unnormalized": learning_curve.aulc_unnormalized,
               "label_fraction_at_80": learning_curve.label_fraction_at}
  return {
      name: {measure: learning_curve.mean_ci95(
          [function([row["labeled_ratio"] for row in run], [row["map_ratio"] for row in run])
           for run in runs])._asdict() for measure, function in functions.items()}
      for name, runs in curves(rows).items()}


def comparisons(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Paired tests on AULC, and the share of the way from random to the greedy oracle."""
  summary = summarise(rows)
  aulc = {name: entry["aulc"]["per_seed"] for name, entry in summary.items()}
  result: dict[str, Any] = {}
  if len(aulc) > 1 and len(next(iter(aulc.values()))) > 1:
    result["wilcoxon_holm"] = [test._asdict() for test in learning_curve.wilcoxon_holm(aulc)]
  if {"random", "greedy_oracle"} <= set(aulc):
    ends = aulc["random"], aulc["greedy_oracle"]
    result["share_of_gap"] = {
        name: learning_curve.share_of_gap(ends[0], values, ends[1])._asdict()
        for name, values in aulc.items()}
    attention = {name: [learning_curve.aulc([row["labeled_ratio"] for row in run],
                                            [row["attention_ap"] for row in run])
                        for run in runs] for name, runs in curves(rows).items()}
    ends = attention["random"], attention["greedy_oracle"]
    result["share_of_gap_attention_ap"] = {
        name: learning_curve.share_of_gap(ends[0], values, ends[1])._asdict()
        for name, values in attention.items()}
  return result


def table(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
  """The result for a terminal."""
  summary, shares = summarise(rows), comparisons(rows).get("share_of_gap", {})
  last = {name: [run[-1] for run in runs] for name, runs in curves(rows).items()}
  lines = [f"{'strategy':20s} {'AULC':>16s} {'80 % of full mAP at':>20s} {'final mAP':>10s}"
           + (f" {'random to oracle':>17s}" if shares else "")]
  for name, entry in summary.items():
    final = sum(row["map"] for row in last[name]) / len(last[name])
    line = (f"{name:20s} {_interval(entry['aulc'], 3):>16s} "
            f"{_interval(entry['label_fraction_at_80'], 2):>20s} {final:10.4f}")
    if shares:
      share = shares[name]["share"]
      line += f" {'-' if share is None else f'{share:.0%}':>17s}"
    lines.append(line)
  num_seeds = len(next(iter(summary.values()))["aulc"]["per_seed"])
  lines.append(f"{num_seeds} seed{'s' if num_seeds > 1 else ''}"
               + ("; mean +- 95 % confidence interval. " if num_seeds > 1 else ". ") + caption)
  return "\n".join(lines)


def _interval(entry: Mapping[str, Any], digits: int) -> str:
  if entry["mean"] is None:
    return "not reached"
  text = f"{entry['mean']:.{digits}f}"
  return text if entry["ci95"] is None else f"{text} +- {entry['ci95']:.{digits}f}"
