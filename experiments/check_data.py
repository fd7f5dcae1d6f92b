"""Checks a data set before anything runs on it: what is there, and everything that is wrong.

    python -m experiments.check_data --config=configs/files.py \
        --config.data.annotations=truth.json [--config.data.features=features] \
        [--config.data.proposals=proposals.json] [--output=DIR] [--examples=3]

Takes any config; features and proposals are checked where the config names them. Prints a table of
what was found and the first problems of each kind. DIR (default runs/NAME_check) gets
`report.json`, with all problems by file and id, and `report.html`, with timelines and counts.

Exit codes: 0 no problem (or notes alone), 1 problems, 2 nothing could be checked.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from tal_jax.data import file_options, files
from tal_jax.data.annotations import several
from tal_jax.data.checks.annotations import is_duration
from tal_jax.data.checks.problems import KINDS, NOTE, Report
from tal_jax.data.checks.validation import Read, validate
from tal_jax.data.file_options import FileOptions
from tal_jax.data.overview import class_counts, overview
from tal_jax.data.parts import Parts, read_parts
from tal_jax.data.proposals import sliding_windows
from tal_jax.data.text.near_names import find_id
from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.reports import check_data_html
from tal_jax.runs.workdir import write_json, write_text

PROBLEMS = 1  # exit code
_MOST_WINDOWS = 3e7  # of all videos, that the memory is asked to hold
_COLUMNS = (("subset", "subset"), ("videos", "videos"), ("hours", "hours"), ("classes", "classes"),
            ("instances", "instances"), ("empty_truths", "empty"), ("copied_truths", "copies"),
            ("median_instance_seconds", "median s"),
            ("coverage", "coverage"), ("videos_with_features", "with features"),
            ("feature_width", "width"), ("features_per_second", "features/s"),
            ("videos_with_proposals", "with proposals"), ("proposals_per_video", "a video"))


class Result(NamedTuple):
  """What the check found; `parts` and `report` are None where there was nothing to check."""

  parts: Parts | None
  report: Report | None
  rows: list[dict[str, Any]]  # of the overview
  content: Mapping[str, Any]  # of report.json
  exit_code: int


def run(config: ConfigDict, output: str | pathlib.Path) -> Result:
  """Checks the data of a config, and writes report.json and report.html into the folder `output`.

  Raises:
    DataError: no such file, an option that does not exist, no annotations named.
  """
  data = config.data.to_dict()
  source = data.get("source", "")
  if "annotations" not in data:
    return Result(None, None, [], {"source": source, "problems": []}, 0)
  if not data["annotations"]:
    raise DataError("data.annotations is not set: add --config.data.annotations=PATH")
  options = FileOptions.of({name: data[name] for name in file_options.NAMES if name in data})
  parts = read_parts(options)
  report = _judge(parts, options, data)
  draw, drawn = _proposals(parts, options)
  extents = None if parts.store is None else report.extents
  rows = overview(parts.annotations, extents, draw, ranked=not drawn)
  found = any(problem.severity != NOTE for problem in report.problems)
  content = {
      "source": source, "detected": list(parts.detected), "summary": report.summary,
      "proposals": drawn, "overview": rows, "classes": class_counts(parts.annotations),
      "counts": {kind: len(problems) for kind, problems in report.by_kind().items()},
      "problems": [{"severity": KINDS[kind].severity, "kind": kind, "file": problem.file,
                    "id": problem.video_id, "message": problem.message,
                    "meaning": KINDS[kind].meaning, "remedy": KINDS[kind].remedy}
                   for kind, problems in report.by_kind().items() for problem in problems]}
  folder = pathlib.Path(output)
  if folder.exists() and not folder.is_dir():
    raise DataError(f"--output={folder} is a file: give a folder")
  folder.mkdir(parents=True, exist_ok=True)
  write_json(folder / "report.json", content)
  write_text(folder / "report.html", check_data_html.page(
      config.get("name", "data"), content, parts.annotations, report, draw))
  return Result(parts, report, rows, content, PROBLEMS if found else 0)


def text(result: Result, *, examples: int = 3) -> str:
  """The result for a terminal; `examples`: problems shown of each kind."""
  if result.report is None:
    return (f"data.source = {result.content['source']!r} reads no files: there is nothing to "
            "check")
  lines = [*result.parts.detected, *([f"proposals: {result.content['proposals']}"]
                                     if result.content["proposals"] else []), ""]
  lines += table(result.rows) + [""]
  return "\n".join(lines) + "\n" + result.report.text(examples=examples)


def table(rows: list[dict[str, Any]]) -> list[str]:
  """The overview as lines: a table, and a line of recalls per subset that has proposals."""
  columns = [(key, name) for key, name in _COLUMNS if any(key in row for row in rows)]
  cells = [[name for _, name in columns]] + [
      [check_data_html.number(key, row.get(key)) for key, _ in columns] for row in rows]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  lines = ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                     for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
           for line in cells]
  lines += [f"recall of the proposals, {row['subset']}: {check_data_html.recalls(row)}"
            for row in rows if row.get("recall")]
  return lines


def _judge(parts: Parts, options: FileOptions, data: Mapping[str, Any]) -> Report:
  """The report; a split that cannot be made is a problem of its own."""
  split = dict(data.get("split") or {})
  sets, subsets = None, None
  if split:
    kind = split.pop("kind")
    subsets = files.split_subsets(kind, split)
    try:
      sets = files.split_by(parts.annotations, kind, split, data.get("seed", 0))
    except DataError as error:
      sets = error
  with Reporter("check_data", counts_steps=False) as reporter:
    report = validate(
        parts.annotations, parts.store, split=sets, subsets=subsets,
        read=Read(", ".join(map(os.fspath, several(options.annotations))), parts.structural,
                  parts.proposals, os.fspath(options.proposals or ""), parts.proposal_faults),
        allow_missing=options.allow_missing,
        progress=lambda done, total: reporter.working("features", done, total))
  return report


def _proposals(parts: Parts, options: FileOptions):
  """The proposals by id, and what they are where no file has them ("" for a file)."""
  videos = parts.annotations.videos
  if parts.proposals is not None:
    names = {key: find_id(key, parts.proposals) for key in videos}
    return lambda key: None if names[key] is None else parts.proposals[names[key]], ""
  if not options.windows:
    return None, ""
  windows = {**options.windows, "most": options.num_proposals}
  try:
    sliding_windows(1.0, **windows)  # faulty options fail here, not at the first video
  except TypeError as error:
    raise DataError(f"data.windows: {error}") from error
  said = "sliding windows, " + ", ".join(f"{key} {value:g}" for key, value in windows.items()
                                         if value)

  total = sum(_num_windows(x.duration, windows) for x in videos.values()
              if is_duration(x.duration))
  if total > _MOST_WINDOWS:
    return None, f"{said}: about {total:.2g} of them, too many to count their recall"

  def draw(video_id: str) -> np.ndarray | None:
    duration = videos[video_id].duration
    return sliding_windows(duration, **windows) if is_duration(duration) else None

  return draw, said


def _num_windows(duration: float, windows: Mapping[str, float | None]) -> float:
  """About how many sliding windows a video has, without making them."""
  shortest, ratio = windows.get("shortest") or 2.0, windows.get("ratio") or 1.4
  step = shortest * (1 - (windows.get("overlap") or 0.0))
  return min(duration / step * ratio / (ratio - 1), windows.get("most") or np.inf)


def main() -> None:
  config = _CONFIG.value
  if _EXAMPLES.value < 0:
    raise DataError(f"--examples={_EXAMPLES.value}: give 0 or more")
  output = pathlib.Path(_OUTPUT.value or f"runs/{config.name.replace(':', '_')}_check")
  result = run(config, output)
  print(text(result, examples=_EXAMPLES.value))
  if result.report is not None:
    print(f"all of it: {output / 'report.html'}, {output / 'report.json'}")
  if result.exit_code:
    sys.stdout.flush()
    sys.exit(result.exit_code)


if __name__ == "__main__":
  _CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration, e.g. configs/files.py.")
  _OUTPUT = flags.DEFINE_string("output", None, "Folder of the report; default: runs/NAME_check.")
  _EXAMPLES = flags.DEFINE_integer("examples", 3, "Problems printed of each kind.")
  flags.mark_flag_as_required("config")
  cli.run_main(main)
