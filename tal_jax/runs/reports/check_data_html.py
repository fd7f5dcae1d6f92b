"""The page of experiments.check_data: one HTML file that needs nothing else, figures as inline SVG.

Every text that comes from the data is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from tal_jax.data.checks.problems import FATAL, KINDS, NOTE, WARNING, Report
from tal_jax.data.overview import ALL
from tal_jax.data.records import Annotations, VideoAnnotation
from tal_jax.runs.reports import check_data_svg as svg

_SHOWN_PROBLEMS = 50  # of a kind; the rest is in report.json
_SHOWN_CLASSES = 60
_SHOWN_VIDEOS = 8
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 64em; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
h3 { font-size: 1em; margin: 1.6em 0 .3em; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th { font-weight: 600; } tr:first-child th { border-bottom: 2px solid #888; }
th:first-child, td:first-child, .text th, .text td { text-align: left; vertical-align: top; }
.text td { overflow-wrap: anywhere; } .text td:first-child { min-width: 9em; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin: .5em 0; border-left: 4px solid #bbb; padding-left: .8em; }
details.fatal { border-color: #a00; } details.warning { border-color: #d08700; }
summary { cursor: pointer; } .small { color: #555; font-size: .9em; }
svg { display: block; max-width: 100%; height: auto; margin: .3em 0; }
"""
_HEADS = (("subset", "subset"), ("videos", "videos"), ("hours", "hours"), ("classes", "classes"),
          ("instances", "instances"), ("empty_truths", "of these empty"),
          ("copied_truths", "copies"), ("median_instance_seconds", "median instance, s"),
          ("coverage", "covered by truths"), ("videos_with_features", "videos with features"),
          ("feature_width", "feature width"), ("features_per_second", "features per second"),
          ("videos_with_proposals", "videos with proposals"),
          ("proposals_per_video", "proposals per video"))

Draw = Callable[[str], np.ndarray | None]


def page(name: str, content: Mapping[str, Any], annotations: Annotations, report: Report,
         proposals: Draw | None) -> str:
  """The page.

  Args:
    name: of the data set.
    content: of report.json, see `check_data.run`.
    annotations, report: what was checked, and what was found.
    proposals: [p, 2] seconds by video id, best first; None where there are none.
  """
  counts = content["counts"]
  verdict = ("No problem was found." if not counts else ", ".join(
      f"{sum(n for kind, n in counts.items() if KINDS[kind].severity == severity)} {name}"
      for severity, name in ((FATAL, "fatal"), (WARNING, "warning(s)"), (NOTE, "note(s)"))) + ".")
  drawn = f" Proposals: {escape(content['proposals'])}." if content["proposals"] else ""
  body = [f"<h1>Data check: {escape(name)}</h1>", f"<p><strong>{verdict}</strong>{drawn}</p>",
          "<h2>What was read</h2><ul>",
          *(f"<li><code>{escape(line)}</code></li>" for lines in content["detected"]
            for line in lines.splitlines()), "</ul>",
          "<h2>What was found</h2>", _overview(content["overview"]),
          *_recall(content["overview"]), "<h2>Problems</h2>", *_problems(report),
          "<h2>Timelines</h2>",
          *_timelines(annotations, report, proposals, ranked=not content["proposals"]),
          "<h2>Instances per class</h2>", *_classes(content["classes"])]
  return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          f"<title>Data check: {escape(name)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
          + "\n".join(body) + "\n</body></html>\n")


def number(key: str, value: Any) -> str:
  """A cell of the overview."""
  if value is None:
    return "-"
  if key == "coverage":
    return f"{value:.1%}"
  return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else (
      f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}")


def recalls(row: Mapping[str, Any]) -> str:
  """The recalls of a row of the overview, as a text."""
  parts = [f"{value:.3f} at tIoU {tiou}" for tiou, value in row["recall"].items()]
  curve = row["average_recall"]
  if curve:
    parts.append(f"AR {curve['recall'][-1]:.3f} at AN {curve['number'][-1]:.1f}, AR-AN area "
                 f"{100 * curve['area']:.2f} %")
  return ", ".join(parts)


def _overview(rows: Sequence[Mapping[str, Any]]) -> str:
  heads = [(key, head) for key, head in _HEADS if any(key in row for row in rows)]
  lines = [f"<th>{head}</th>" + "".join(
      f"<{tag}>{escape(number(key, row.get(key)))}</{tag}>" for row in rows)
      for i, (key, head) in enumerate(heads) for tag in ("td" if i else "th",)]
  return ('<div class="wide"><table>' + "".join(f"<tr>{line}</tr>" for line in lines)
          + "</table></div>")


def _recall(rows: Sequence[Mapping[str, Any]]) -> list[str]:
  measured = [row for row in rows if row.get("recall")]
  lines = [f"<li>{escape(row['subset'])}: {recalls(row)}</li>" for row in measured]
  curves = {row["subset"]: (row["average_recall"]["number"], row["average_recall"]["recall"])
            for row in measured if row["average_recall"] and row["subset"] != ALL}
  if not measured:
    return []
  return ["<h3>Recall of the proposals</h3><ul>", *lines, "</ul>",
          *([svg.recall_curves(curves)] if curves else [])]


def _problems(report: Report) -> list[str]:
  lines = []
  for kind, found in report.by_kind().items():
    severity, meaning, remedy = KINDS[kind]
    rows = "".join(f"<tr><td>{escape(x.video_id)}</td><td>{escape(x.message)}</td>"
                   f"<td><code>{escape(x.file)}</code></td></tr>" for x in found[:_SHOWN_PROBLEMS])
    more = (f'<p class="small">{len(found) - _SHOWN_PROBLEMS} more are in report.json.</p>'
            if len(found) > _SHOWN_PROBLEMS else "")
    lines.append(
        f'<details class="{severity}"{" open" if len(found) <= 5 else ""}><summary><strong>'
        f"{severity}: {kind}</strong> ({len(found)})</summary><p>{escape(meaning)}.<br>"
        f'<em>To mend:</em> {escape(remedy)}.</p><table class="text"><tr><th>video</th>'
        f"<th>what</th><th>file</th></tr>{rows}</table>{more}</details>")
  return lines or ["<p>None.</p>"]


def _timelines(annotations: Annotations, report: Report, proposals: Draw | None, *,
               ranked: bool) -> list[str]:
  which = "the best proposals, the best of all on top" if ranked else "proposals of all lengths"
  lines = ['<p class="small">The first video with each kind of problem, and some others; '
           f"{which if proposals else 'no proposals'}.</p>", svg.legend()]
  for video, kinds in chosen(annotations, report):
    why = f' <span class="small">({escape(", ".join(kinds))})</span>' if kinds else ""
    lines.append(f"<h3>{escape(video.video_id)}, {escape(video.subset)}{why}</h3>")
    lines.append(svg.timeline(video, report.extents.get(video.video_id),
                              proposals(video.video_id) if proposals else None,
                              ranked=ranked))
  return lines


def chosen(annotations: Annotations, report: Report
           ) -> list[tuple[VideoAnnotation, list[str]]]:
  """The videos that are drawn, each with the kinds of its problems."""
  kinds: dict[str, list[str]] = {}
  first: dict[str, str] = {}
  for kind, found in report.by_kind().items():
    for problem in found:
      if problem.video_id in annotations.videos:
        own = kinds.setdefault(problem.video_id, [])
        if kind not in own:
          own.append(kind)
        first.setdefault(kind, problem.video_id)
  ids = list(dict.fromkeys(first.values()))[:_SHOWN_VIDEOS - 2]
  others = [key for key, video in annotations.videos.items() if video.labels and key not in ids]
  others = [key for key in others if key not in kinds] or others  # without problems, if there are
  # Spread over the file, since neighbours are alike.
  number = min(len(others), _SHOWN_VIDEOS - len(ids))
  ids += [others[i] for i in np.linspace(0, len(others) - 1, number).astype(int)]
  return [(annotations.videos[key], kinds.get(key, [])) for key in ids]


def _classes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
  if not counts:
    return ["<p>There are no truths.</p>"]
  ordered = sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))
  left = len(ordered) - _SHOWN_CLASSES
  if left > 0:  # the frequent and the rare
    ordered = ordered[:_SHOWN_CLASSES // 2] + ordered[-_SHOWN_CLASSES // 2:]
  note = [f'<p class="small">The {_SHOWN_CLASSES // 2} most frequent and the '
          f"{_SHOWN_CLASSES // 2} rarest; {left} between them are in report.json.</p>"]
  return (note if left > 0 else []) + [svg.class_bars(ordered)]
