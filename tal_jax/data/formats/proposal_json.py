"""Proposals in ActivityNet's JSON.

    {"results": {id: [{"score": s, "segment": [start, end]}, ...]}, "version", "external_data"}

Seconds. Only `results` is read; labels, if there are any, are not looked at. A file without any
scores is read as well: its proposals are taken to stand in order.

Source: ActivityNet's evaluation kit, proposal task.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping

import numpy as np

from tal_jax.data.formats.format import Format, Probe
from tal_jax.data.records import ScoredProposals, StructuralFault
from tal_jax.data.text.json_file import as_dict, load_json, members, plain, seen
from tal_jax.errors import DataError


def read(path: pathlib.Path) -> tuple[dict[str, ScoredProposals], list[StructuralFault]]:
  """Proposals, and the videos whose entries cannot be read; DataError without `results`."""
  content = load_json(path)
  results = members(as_dict(content).get("results")) if members(content) is not None else None
  if results is None:
    raise DataError(f"{path} has no 'results' object at its top level.{seen(content)} Proposals "
                    "are "
                    '{"results": {id: [{"score": s, "segment": [start, end]}]}}, in seconds.')
  proposals, faults = {}, []
  for video_id, entries in results:
    if video_id in proposals:
      faults.append(StructuralFault(video_id, "duplicate id"))
    try:
      proposals[video_id] = _video(plain(entries))
    except (KeyError, TypeError, ValueError, IndexError):
      faults.append(StructuralFault(
          video_id, "not a list of {'score': number, 'segment': [start, end]}"))
  lacking = [key for key, x in proposals.items() if x.scores is None and len(x.segments)]
  if lacking and any(x.scores is not None and len(x.segments) for x in proposals.values()):
    faults += [StructuralFault(key, "no scores, where other videos have them") for key in lacking]
  return proposals, faults


def write(path: pathlib.Path, proposals: Mapping[str, ScoredProposals]) -> None:
  """Writes proposals so that `read` gives them back exactly; ValueError for NaN."""
  results = {}
  for video_id, (segments, scores) in proposals.items():
    entries = [{"segment": [float(s), float(e)]} for s, e in segments]
    if scores is not None:
      entries = [{"score": float(score)} | entry
                 for score, entry in zip(scores, entries, strict=True)]
    results[video_id] = entries
  content = {"version": "VERSION 1.3", "results": results,
             "external_data": {"used": False, "details": ""}}
  path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _video(entries: list) -> ScoredProposals:
  if not isinstance(entries, list):
    raise TypeError("list")
  segments = np.array([entry["segment"] for entry in entries], np.float64)
  segments = segments.reshape(-1, 2) if segments.size == 0 else segments
  scores = (np.array([entry["score"] for entry in entries], np.float64)
            if any("score" in entry for entry in entries) or not entries else None)
  if segments.shape != (len(entries), 2) or scores is not None and scores.shape != (len(entries),):
    raise ValueError("shape")
  return ScoredProposals(segments, scores)


def detect_results(probe: Probe) -> str | None:
  """The sign of ActivityNet's results, proposals and predictions alike."""
  return ("JSON with 'results'" if probe.text.lstrip().startswith("{")
          and probe.search(r'"results"\s*:\s*\{') else None)


FORMATS = (Format("activitynet", "proposals",
                  "JSON {results: {id: [{score, segment}]}}, seconds", detect_results, read,
                  write=write, fields=("results", "score", "segment")),)
