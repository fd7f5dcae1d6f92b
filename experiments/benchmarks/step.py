"""One active-learning step at the paper's dimensions: select, annotate, retrain, score the pool.

The peer is the step that a user would write with scikit-learn: LinearSVC from scratch on the rows
of all labelled videos, a logistic regression on its decision values for Platt, a second one on the
positives among the top-k for the classes, then the pool's decision values and their entropies.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.benchmarks import data, svm_peers
from experiments.benchmarks.timing import peak_mib, spread
from tal_jax import learner
from tal_jax.models import stage_wise
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.pool import VideoPool, append, take
from tal_jax.selection import uncertainty
from tal_jax.selection.uncertainty import NUM_BINS

_NUM_CLASSES = 200  # more than the simulation draws


def cases(size: str) -> list[dict[str, Any]]:
  if size == "small":
    return [{"labeled": 16, "pool": 40, "d": 64, "batch_size": 4, "repeats": 2}]
  return [{"labeled": 1000, "pool": 2000, "d": 2048, "batch_size": 64, "repeats": 5}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Times successive steps (after one that compiles), and the plain step on the last labels."""
  pool = _pool(case)
  state = learner.init(jax.random.key(0), pool, num_classes=_NUM_CLASSES,
                       localizer=StageWise(data.SETTINGS))
  annotate = learner.simulated_oracle(jax.random.key(1))
  state, _ = learner.start(state, pool, num_initial=case["labeled"], annotate=annotate)
  seconds, converged, gaps = [], [], []
  for _ in range(1 + case["repeats"]):
    begin = time.perf_counter()
    state, info = learner.step(state, pool, select=uncertainty.select, annotate=annotate,
                               batch_size=case["batch_size"])
    jax.block_until_ready(state)
    seconds.append(time.perf_counter() - begin)
    converged.append(bool(info.fit.svm.converged))
    gaps.append(float(info.fit.svm.duality_gap))
  ours, peak = spread(seconds[1:]), peak_mib()
  theirs, excess = _plain_step(state, pool)
  tol = data.SETTINGS.svm_tol
  first, last = (case["labeled"] + i * case["batch_size"] for i in (2, 1 + case["repeats"]))
  return [{
      "case": f"{first:,} to {last:,} labelled of {case['pool']:,} videos, {data.PROPOSALS} "
              f"proposals, d = {case['d']:,}, batch {case['batch_size']}",
      "unit": "s", "ours": ours, "peak_mib": peak,
      "peers": [{"name": "scikit-learn, from scratch", **spread([theirs]),
                 "ratio": theirs / ours["median"], "our_relative_excess": excess}],
      "details": {"first_call_seconds": seconds[0], "tol": tol,
                  "largest_relative_duality_gap": max(gaps),
                  "certified": all(converged) and max(gaps) <= tol,
                  "pool_gib": pool.features.nbytes / 2**30}}]


def _pool(case: dict[str, Any]) -> VideoPool:
  pools = data.pools(num_rows=case["labeled"] * data.PROPOSALS, dim=case["d"],
                     num_candidates=case["pool"] - case["labeled"])
  return jax.tree.map(jnp.asarray, append(pools.labeled, pools.candidates))


def _plain_step(state: learner.LearnerState, pool: VideoPool) -> tuple[float, float]:
  """Seconds of the plain step on the state's labels; how far our SVM's objective is above its."""
  settings = learner.attention_settings(state)
  labeled = np.flatnonzero(state.labeled)
  chosen = take(pool, labeled)
  y, overlaps = map(np.asarray, stage_wise.attention_labels(chosen, settings))
  labels = np.take_along_axis(np.asarray(chosen.truth_labels), overlaps.argmax(-1), axis=1)
  features = np.asarray(pool.features)
  x = features[labeled].reshape(-1, pool.dim)
  nothing = np.zeros((0, pool.dim)), np.zeros(0)
  begin = time.perf_counter()
  fit = svm_peers.linear_svc(x, y.ravel(), *nothing, settings.svm_c, settings.svm_loss)
  scores = (x @ fit.w + fit.b).reshape(y.shape)
  platt = LogisticRegression(C=1e6).fit(scores.reshape(-1, 1), y.ravel())
  best = np.argsort(-scores, axis=1)[:, :settings.top_k]
  video, row = np.nonzero(np.take_along_axis(y, best, axis=1) > 0)
  row = best[video, row]
  LogisticRegression(C=settings.classifier_c, max_iter=settings.classifier_max_iters).fit(
      features[labeled[video], row], labels[video, row])
  h = platt.predict_proba((features.reshape(-1, pool.dim) @ fit.w + fit.b).reshape(-1, 1))[:, 1]
  entropies = []
  for video_h in h.reshape(pool.num_videos, -1):
    share = np.histogram(video_h, NUM_BINS, (0, 1))[0] / len(video_h)
    entropies.append(-np.sum(share * np.log(np.maximum(share, 1e-12))))
  np.argsort(entropies)
  seconds = time.perf_counter() - begin
  ours, theirs = (svm_peers.objective(p.w, p.b, x, y.ravel(), settings.svm_c,
                                      settings.svm_loss) for p in (state.model.svm, fit))
  return seconds, (ours - theirs) / theirs
