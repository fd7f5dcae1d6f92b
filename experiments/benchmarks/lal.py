"""LAL's training set: a retrain and its gain in average precision, per candidate video.

The peer is the loop that a user would write: LinearSVC on the enlarged set, then the official
metric's algorithm on the held-out videos at one class.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import data, official_map, svm_peers
from experiments.benchmarks.timing import peak_mib, spread, timed
from tal_jax.metrics.average_precision import DEFAULT_TIOUS, GroundTruth, Predictions
from tal_jax.models import stage_wise, svm
from tal_jax.pool import VideoPool
from tal_jax.selection import gain

_TARGET = 20_000  # gains


def cases(size: str) -> list[dict[str, Any]]:
  if size == "small":
    # With the null candidate these are the 8 of the item `retrain`: no second compilation.
    return [{"n": 500, "d": 64, "b": 7, "held_out": 20, "repeats": 2, "loops": 2}]
  return [{"n": 10_000, "d": 2048, "b": 256, "held_out": 500, "repeats": 3, "loops": 2}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Times the gains of b candidates and the loop on a few of them; extrapolates to 20,000."""
  n, b = case["n"], case["b"]
  pools = data.pools(num_rows=n, dim=case["d"], num_candidates=b,
                     num_held_out=case["held_out"], normalize="l2")
  pools = jax.tree.map(jnp.asarray, pools)
  settings = data.SETTINGS
  start = svm.SvmParams(jnp.zeros(case["d"]), jnp.zeros(()))  # so the base fit is timed, too
  seconds, first, gains = timed(lambda: gain.all_gains(
      pools.labeled, pools.candidates, np.arange(b), pools.held_out, settings, start,
      chunk_size=b), case["repeats"])
  ours = {key: seconds[key] * _TARGET / b for key in ("min", "median", "max")}
  peak = peak_mib()
  problem = data.problem(jax.tree.map(np.asarray, pools))
  loop_seconds, difference = _loop(problem, pools.held_out, settings, gains, case["loops"])
  theirs = spread([value * _TARGET / svm_peers.PROCESSES for value in loop_seconds])
  return [{
      "case": f"{_TARGET:,} gains, n = {n:,}, d = {case['d']:,}, {case['held_out']} held-out videos"
              f" (from {b})",
      "unit": "s", "ours": {**ours, "repeats": case["repeats"]}, "peak_mib": peak,
      "peers": [{"name": f"LinearSVC and plain AP, from {case['loops']}, halved for 2 processes",
                 **theirs, "ratio": theirs["median"] / ours["median"],
                 "largest_difference_of_gains": difference}],
      "details": {"first_call_seconds": first, "all_finite": bool(np.isfinite(gains).all())}}]


def _loop(problem: data.Problem, held_out: VideoPool, settings: stage_wise.Settings, gains,
          count: int) -> tuple[list[float], float]:
  """Seconds per candidate of the plain loop; its largest difference from `gains`."""
  empty_x, empty_y = np.zeros((0, problem.x.shape[1])), np.zeros(0)
  fit = svm_peers.linear_svc(problem.x.astype(np.float64), problem.y, empty_x, empty_y,
                             settings.svm_c, settings.svm_loss)
  base = _plain_ap(fit, held_out, settings)
  seconds, differences = [], []
  for i in range(count):
    begin = time.perf_counter()
    fit = svm_peers.linear_svc(problem.x.astype(np.float64), problem.y,
                               problem.extra_x[i].astype(np.float64), problem.extra_y[i],
                               settings.svm_c, settings.svm_loss)
    ap = _plain_ap(fit, held_out, settings)
    seconds.append(time.perf_counter() - begin)
    differences.append(abs(ap - base - float(gains[i])))
  return seconds, max(differences)


def _plain_ap(fit: svm_peers.Fit, held_out: VideoPool, settings: stage_wise.Settings) -> float:
  features, segments, truths, real = (np.asarray(leaf) for leaf in (
      held_out.features, held_out.segments, held_out.truths, held_out.truth_mask))
  scores = features @ fit.w + fit.b  # [v, p]
  best = np.argsort(-scores, axis=1, kind="stable")[:, :settings.top_k]
  video = np.repeat(np.arange(len(best)), best.shape[1])
  predictions = Predictions(video, np.zeros(len(video), int),
                            segments[video, best.ravel()].astype(np.float64),
                            scores[video, best.ravel()])
  where = np.nonzero(real)
  truth = GroundTruth(where[0], np.zeros(len(where[0]), int), truths[where].astype(np.float64), 1)
  return float(official_map.mean_average_precision(truth, predictions, DEFAULT_TIOUS).mean())
