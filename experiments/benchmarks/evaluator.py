"""The metric from arrays and from JSON, against its algorithm written plainly and JSON parsers."""

from __future__ import annotations

import gc
import importlib
import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments import evaluate
from experiments.benchmarks import official_map
from experiments.benchmarks.timing import peak_mib, spread, timed
from tal_jax.data.predictions import write_predictions
from tal_jax.metrics.average_precision import (
  DEFAULT_TIOUS,
  GroundTruth,
  Predictions,
  detection_map,
)

# Parsers in order of what is known of their speed; those that are installed are measured (extra
# `benchmark` has the fastest).
_PARSERS = (("msgspec.json", "decode"), ("orjson", "loads"), ("simdjson", "loads"),
            ("cysimdjson", "loads"), ("ujson", "loads"), ("rapidjson", "loads"), ("json", "loads"))


def cases(size: str) -> list[dict[str, Any]]:
  if size == "small":
    return [{"videos": 40, "predictions": 50, "classes": 10, "sample": 40, "repeats": 2}]
  return [{"videos": 3662, "predictions": 1000, "classes": 150, "sample": 60, "repeats": 3}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Times both ways in; the plain algorithm on a sample of the videos, extrapolated linearly."""
  truth, predictions = made_up(case["videos"], case["predictions"], case["classes"])
  name = (f"{case['videos']:,} videos x {case['predictions']:,} predictions, {case['classes']} "
          f"classes, {len(DEFAULT_TIOUS)} thresholds")
  seconds, _, result = timed(lambda: detection_map(truth, predictions), case["repeats"])
  peak = peak_mib()
  few = case["sample"]
  part = (truth._replace(**_of_videos(truth, few)),
          predictions._replace(**_of_videos(predictions, few)))
  slow, plain = _once(lambda: official_map.mean_average_precision(*part, DEFAULT_TIOUS))
  scale = case["videos"] / few
  theirs = spread([slow * scale])
  rows = [{
      "case": f"from arrays: {name}", "unit": "s", "ours": seconds, "peak_mib": peak,
      "peers": [{"name": f"official algorithm written plainly, from {few} videos", **theirs,
                 "ratio": theirs["median"] / seconds["median"],
                 "largest_difference": float(np.max(np.abs(
                     plain - detection_map(*part).mean_ap)))}],
      "details": {"average_mAP": result.average_map}}]
  with tempfile.TemporaryDirectory() as scratch:
    rows.append(_from_json(pathlib.Path(scratch), truth, predictions, case, name))
  return rows


def made_up(num_videos: int, per_video: int, num_classes: int) -> tuple[GroundTruth, Predictions]:
  """One class and one or two truths a video; half of its predictions lie around a truth."""
  rng = np.random.default_rng(0)
  per = rng.integers(1, 3, num_videos)
  video = np.repeat(np.arange(num_videos), per)
  of_video = np.arange(num_videos) % num_classes
  start = rng.uniform(0, 100, len(video))
  truth = GroundTruth(video, of_video[video],
                      np.stack([start, start + rng.uniform(5, 60, len(video))], 1), num_classes)
  shape = (num_videos, per_video)
  near = truth.segments[np.cumsum(per) - 1][:, None] + rng.normal(0, 8, (*shape, 2))
  anywhere = rng.uniform(0, 160, (*shape, 2))
  segments = np.sort(np.where(rng.random(shape)[..., None] < 0.5, near, anywhere), axis=-1)
  right = rng.random(shape) < 0.3
  label = np.where(right, of_video[:, None], rng.integers(0, num_classes, shape))
  predictions = Predictions(
      np.repeat(np.arange(num_videos), per_video), label.ravel(), segments.reshape(-1, 2),
      rng.random(num_videos * per_video))
  return truth, predictions


def _of_videos(rows, count: int) -> dict[str, np.ndarray]:
  keep = rows.video < count
  return {key: value[keep] for key, value in rows._asdict().items() if np.ndim(value)}


def _from_json(folder: pathlib.Path, truth, predictions, case, name) -> dict[str, Any]:
  ids = [f"video_{i:05d}" for i in range(case["videos"])]
  classes = [f"class {i}" for i in range(case["classes"])]
  write_predictions(folder / "predictions.json", predictions, ids, classes)
  database: dict[str, Any] = {
      i: {"subset": "validation", "duration": 200.0, "annotations": []} for i in ids}
  for v, c, segment in zip(truth.video, truth.label, truth.segments, strict=True):
    database[ids[v]]["annotations"].append({"label": classes[c], "segment": segment.tolist()})
  (folder / "truth.json").write_text(json.dumps({"database": database}))
  ours, _, result = timed(lambda: evaluate.run(
      str(folder / "truth.json"), str(folder / "predictions.json"), "validation"),
      case["repeats"])
  peak = peak_mib()
  peers = []
  for parser, parse in _installed():
    for collector, suffix in ((gc.enable, ""), (gc.disable, ", garbage collector off")):
      collector()
      values = [_once(lambda parse=parse: parse((folder / "predictions.json").read_bytes()))[0]
                for _ in range(case["repeats"])]
      gc.enable()
      peers.append({"name": f"{parser}: reading the file alone{suffix}", **spread(values)})
  peers.sort(key=lambda peer: peer["median"])
  for peer in peers:
    peer["ratio"] = peer["median"] / ours["median"]
  return {"case": f"from JSON: {name}", "unit": "s", "ours": ours, "peak_mib": peak,
          "peers": peers, "details": {
              "average_mAP": result["average_mAP"],
              "file_mib": (folder / "predictions.json").stat().st_size / 2**20}}


def _installed() -> list[tuple[str, Callable[[bytes], Any]]]:
  found = []
  for module, function in _PARSERS:
    try:
      found.append((module, getattr(importlib.import_module(module), function)))
    except ImportError:
      continue
  return found


def _once(function: Callable[[], Any]) -> tuple[float, Any]:
  """Seconds of one call, and its result."""
  begin = time.perf_counter()
  result = function()
  return time.perf_counter() - begin, result
