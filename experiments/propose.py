"""Makes temporal proposals and measures them against sliding windows.

    python -m experiments.propose --config=configs/propose.py [--workdir=DIR] [--config.method=tag]

Methods: `sliding_windows`; `daps` (trained here, or `--config.daps.weights=FILE`: the published
weights, or a daps.npz that this binary wrote); `tag` (grouping of a linear SVM's actionness);
`points` (the point detector with one class).
The same command goes on where a killed training stopped. What it writes:

    proposals.json   of all videos of the split, in ActivityNet's format: what data.proposals reads
    report.json      AR-AN and recall on the held-out videos, beside sliding windows of equal number
    ar_an.png        the curves
    config.json      the configuration
    daps.npz, daps_state.msgpack    the trained network, and its training after the last epoch

Proposals of videos that DAPs, TAG or points was trained on have seen their truths. The default
trains on Knowledge-Source alone, whose labels an active learner has (the paper, Sec. 4.1).
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from tal_jax.data.proposals import sliding_windows, write_proposals
from tal_jax.data.records import ScoredProposals
from tal_jax.errors import DataError
from tal_jax.metrics.proposal_recall import AR_TIOUS, RECALL_TIOUS, average_recall
from tal_jax.runs import cli, value_ranges
from tal_jax.runs.propose import (
  daps as propose_daps,
  data as propose_data,
  points as propose_points,
  tag as propose_tag,
)
from tal_jax.runs.propose.data import ProposalData
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.reports import propose_plots
from tal_jax.runs.workdir import write_json

METHODS = ("sliding_windows", "daps", "tag", "points")
ORDERS = ("longest_first", "random")
NUMBERS = (1, 5, 10, 20, 50, 100)  # AN at which the report compares
_MAX_AVERAGE = 100  # ActivityNet's proposal task
_ORDER = 2  # random stream

Propose = Callable[[str], ScoredProposals]


def run(config: ConfigDict, workdir: str | pathlib.Path) -> dict[str, Any]:
  """Makes the proposals and the report; returns what report.json holds.

  Raises:
    DataError: a setting, the data, or the work directory cannot be used.
  """
  config = checked(config)
  workdir = pathlib.Path(workdir)
  if workdir.exists() and not workdir.is_dir():
    raise DataError(f"--workdir={workdir} is a file: give a folder")
  workdir.mkdir(parents=True, exist_ok=True)
  with Reporter("propose") as report:
    data = propose_data.load(config.data, seed=config.seed, train_sets=tuple(config.train_sets),
                             validation_share=config.validation_share)
    write_json(workdir / "config.json", config.to_dict())
    propose = _method(config, data, workdir, report)
    report.expect_more(len(data.ids))
    found = {}
    for video_id in data.ids:
      found[video_id] = propose(video_id)
      report.step(f"{config.method}: {video_id}")
  part = workdir / "proposals.json.part"
  write_proposals(part, found)
  os.replace(part, workdir / "proposals.json")
  baselines = {f"sliding windows, {order.replace('_', ' ')}": _windows(config, data, order)
               for order in ORDERS}
  if config.method == "sliding_windows":
    rankings = baselines
  else:
    rankings = {config.method: found.__getitem__} | baselines
  result = measure(config, data, rankings)
  write_json(workdir / "report.json", result)
  if result["methods"]:
    propose_plots.ar_an(result, workdir / "ar_an.png")
  return result


def checked(config: ConfigDict) -> ConfigDict:
  """A copy of the config that a run can use; DataError for a setting that none could use."""
  config = config.copy_and_resolve_references()
  daps = config.daps
  ranges = (("method", config.method in METHODS, f"one of {', '.join(METHODS)}"),
            ("seed", config.seed >= 0, "not negative"),
            ("num_proposals", config.num_proposals >= 1, "at least 1"),
            ("windows.order", config.windows.order in ORDERS, f"one of {', '.join(ORDERS)}"),
            ("daps.epochs", daps.epochs >= 1, "at least 1"),
            ("daps.batch_size", daps.batch_size >= 1, "at least 1"),
            ("daps.width", daps.width >= 1, "at least 1"),
            ("daps.num_chunks", daps.num_chunks >= 1, "at least 1"),
            ("daps.row_step", daps.row_step >= 1, "at least 1"),
            ("daps.random_windows", daps.random_windows >= 0, "not negative"),
            ("daps.learning_rate", daps.learning_rate > 0, "positive"),
            ("daps.regress_to", daps.regress_to in propose_daps.REGRESS_TO,
             f"one of {', '.join(propose_daps.REGRESS_TO)}"),
            ("daps.nms_threshold", 0 < daps.nms_threshold <= 1, "in (0, 1]"),
            ("daps.soft_nms_sigma", daps.soft_nms_sigma >= 0, "not negative"),
            ("tag.nms_threshold", 0 < config.tag.nms_threshold <= 1, "in (0, 1]"),
            ("tag.max_rows", config.tag.max_rows >= 2, "at least 2"),
            ("tag.svm_c", config.tag.svm_c > 0, "positive"))
  value_ranges.check(config, ranges)
  return config


def measure(config: ConfigDict, data: ProposalData, rankings: Mapping[str, Propose]
            ) -> dict[str, Any]:
  """AR-AN and recall of several rankings on the held-out videos that have truths.

  Returns:
    What report.json holds: per method `area` (under AR-AN up to 100, as a share), the curve, and
    at each AN of NUMBERS the average recall and the recall at tIoU 0.5, 0.7 and 0.9. `methods` is
    empty where no held-out video has a truth.
  """
  videos = [data.annotations.videos[i] for i in data.held_out]
  truths = [video.segments[video.segments[:, 1] > video.segments[:, 0]] for video in videos]
  result = {
      "method": config.method, "seed": config.seed, "caption": data.caption,
      "num_videos": len(videos), "num_truths": sum(map(len, truths)), "methods": {}}
  if not result["num_truths"]:
    return result
  rows = [int(np.abs(AR_TIOUS - tiou).argmin()) for tiou in RECALL_TIOUS]
  for name, propose in rankings.items():
    segments = [propose(video_id).segments for video_id in data.held_out]
    curve = average_recall(truths, segments, max_average=_MAX_AVERAGE)
    result["methods"][name] = {
        "area": curve.area, "average_proposals": curve.num_proposals.tolist(),
        "average_recall": curve.average_recall.tolist(),
        "proposals_per_video": float(np.mean([len(x) for x in segments])),
        "at": {str(n): {"average_recall": float(curve.average_recall[n - 1])} | {
            f"recall_{tiou:g}": float(curve.recall[row, n - 1])
            for tiou, row in zip(RECALL_TIOUS, rows, strict=True)} for n in NUMBERS}}
  return result


def table(result: Mapping[str, Any]) -> str:
  """The report for a terminal."""
  lines = [f"{result['num_videos']} held-out videos, {result['num_truths']} truths. "
           f"{result['caption']}"]
  if not result["methods"]:
    return "\n".join([*lines, "No truth to measure recall with."])
  lines += ["", f"{'':32s}  area   " + "".join(f"AR@{n:<5d}" for n in NUMBERS)
            + "".join(f"R@100,{tiou:g} " for tiou in RECALL_TIOUS)]
  for name, x in result["methods"].items():
    last = x["at"][str(NUMBERS[-1])]
    lines.append(f"{name:32s} {x['area']:6.4f}  "
                 + "".join(f"{x['at'][str(n)]['average_recall']:.3f}   " for n in NUMBERS)
                 + "".join(f"{last[f'recall_{tiou:g}']:.3f}     " for tiou in RECALL_TIOUS))
  return "\n".join(line.rstrip() for line in lines)


def _method(config: ConfigDict, data: ProposalData, workdir: pathlib.Path,
            report: Reporter) -> Propose:
  if config.method == "sliding_windows":
    return _windows(config, data, config.windows.order)
  if config.method == "tag":
    return propose_tag.proposer(config, data, report)
  if config.method == "points":
    return propose_points.proposer(config, data, report)
  return propose_daps.proposer(config, data, workdir, report)


def _windows(config: ConfigDict, data: ProposalData, order: str) -> Propose:
  """Sliding windows in an order of their own: they have no scores.

  "longest_first" is the better of the two where actions fill much of their video.
  """
  options = {name: value or None for name, value in config.windows.to_dict().items()
             if name != "order"}
  index = {video_id: i for i, video_id in enumerate(data.ids)}

  def propose(video_id: str) -> ScoredProposals:
    found = sliding_windows(data.annotations.videos[video_id].duration, **options)
    if order == "random":
      rng = np.random.default_rng([config.seed, _ORDER, index[video_id]])
      found = rng.permutation(found)
    else:
      found = found[np.argsort(found[:, 0] - found[:, 1], kind="stable")]
    found = found[:config.num_proposals]
    return ScoredProposals(found, 1.0 / np.arange(1, 1 + len(found)))

  return propose


def main() -> None:
  config = _CONFIG.value
  workdir = _WORKDIR.value or pathlib.Path("runs") / config.name.replace(":", "_")
  print(table(run(config, workdir)))
  print(f"proposals: {pathlib.Path(workdir) / 'proposals.json'}")


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file(
      "config", None, "Configuration, e.g. configs/propose.py or configs/propose.py:files.")
  _WORKDIR = flags.DEFINE_string("workdir", None, "Where to write; default: runs/NAME_VARIANT.")
  flags.mark_flag_as_required("config")
  cli.run_main(main)
