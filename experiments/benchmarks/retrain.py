"""`svm.retrain_with_one_extra`: exact batched retraining, against one solver call a candidate."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import data, svm_peers
from experiments.benchmarks.timing import matrix_rates, peak_mib, spread, timed
from tal_jax.models import svm
from tal_jax.models.svm import screening as svm_screening

# `rounds` of the peer, at most: a fit takes seconds at d = 2,048, and a tenth of one at d = 64.
_LONG = {"n": 10_000, "d": 2048, "rows": "l2", "rounds": 3}
_SHORT = {"n": 20_000, "d": 64, "rows": "two classes", "rounds": 40}
# Tight enough for an objective no worse than LinearSVC's, up to 1e-5 of it.
_TOL = {"hinge": 1e-5, "squared_hinge": 1e-4}


def cases(size: str) -> list[dict[str, Any]]:
  losses = ("squared_hinge", "hinge")
  if size == "small":
    return [{"n": 500, "d": 64, "rows": "l2", "b": 8, "c": 1.0, "loss": loss, "repeats": 2,
             "rounds": 2, "seconds": 2.0, "more_iters": 2000, "lbfgs": (4, 30), "matrix": 512}
            for loss in losses]
  shared = {"b": 256, "repeats": 3, "seconds": 20.0, "more_iters": 20_000,
            "lbfgs": (4, 30), "matrix": 2048}
  # At rows of |x|^2 = d LinearSVC needs more than a minute a fit: one round of one case. Of the
  # hinge whose best is w = 0 (`data`) one case, too.
  return [{**shared, **shape, "c": c, "loss": loss}
          for shape in (_LONG, _SHORT) for loss in losses for c in (0.1, 1.0, 10.0)] + [
      {**shared, **_LONG, "rows": "standardize", "c": 0.1, "loss": "squared_hinge", "rounds": 1},
      {**shared, **_SHORT, "rows": "l2", "c": 1.0, "loss": "hinge"}]


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Times the b retrains from the base fit, then the peers on a sample of the candidates."""
  n, b, c, loss, tol = case["n"], case["b"], case["c"], case["loss"], _TOL[case["loss"]]
  problem = _problem(case)
  d, m = problem.x.shape[1], problem.extra_y.shape[1]
  arrays = jax.tree.map(jnp.asarray, problem)

  base_seconds, _, (base, _) = timed(
      lambda: svm.fit(arrays.x, arrays.y, c=c, loss=loss, tol=1e-4), 1)

  def retrain():
    return svm.retrain_with_one_extra(
        arrays.x, arrays.y, None, arrays.extra_x, arrays.extra_y, None, c=c, loss=loss, tol=tol,
        init=base)

  seconds, first, (params, info) = timed(retrain, case["repeats"])
  ours = _rates(seconds, b)
  peak = peak_mib()
  params, info = jax.tree.map(np.asarray, (params, info))
  # One product of the rows for the margins and one for the gradient: of all of them to certify a
  # solution, and of those that stay in each step.
  kept = svm_screening.num_kept(n) if svm_screening.pays(n, d) else n
  flops = 4.0 * d * (n + kept * float(info.num_iters.mean()))
  rates = matrix_rates(case["matrix"])
  row = {
      "case": f"{loss}, n = {n:,}, d = {d:,}, m = {m}, b = {b}, {case['rows']}, C = {c:g}",
      "unit": "retrains/s", "ours": ours, "peak_mib": peak,
      "peers": [_linear_svc(problem, params, case, ours["median"], 1000)],
      "details": {
          "certified": bool(info.converged.all()), "tol": tol,
          "base_fit_seconds": base_seconds["median"],
          "largest_relative_duality_gap": float(info.duality_gap.max()),
          "mean_num_iters": float(info.num_iters.mean()), "first_call_seconds": first,
          "flops_a_retrain_at_least": flops, "matrix_flops_per_second": rates,
          "fraction_of_matrix_rate_at_least": flops * ours["median"] / rates["highest"]}}
  if row["peers"][0]["num_convergence_warnings"]:  # it did not meet its tolerance of 1e-4
    row["peers"].append(_linear_svc(problem, params, {**case, "rounds": 1}, ours["median"],
                                    case["more_iters"]))
  if loss == "squared_hinge":
    row["peers"].append(_lbfgs(problem, arrays, params, case, ours["median"]))
  return [row]


def _problem(case: dict[str, Any]) -> data.Problem:
  sizes = {"num_rows": case["n"], "dim": case["d"], "num_candidates": case["b"]}
  if case["rows"] == "two classes":
    return data.two_classes(**sizes)
  return data.problem(data.pools(**sizes, normalize=case["rows"]))


def _linear_svc(problem, params, case, our_rate: float, max_iter: int) -> dict[str, Any]:
  fits, rates = svm_peers.linear_svc_loop(
      problem, case["c"], case["loss"], max_rounds=case["rounds"], seconds=case["seconds"],
      max_iter=max_iter)
  theirs = spread(rates)
  return {"name": f"LinearSVC, joblib, {svm_peers.PROCESSES} processes, max_iter={max_iter:,}",
          **theirs,
          "ratio": our_rate / theirs["median"], "num_fits": len(fits),
          "dual": "True" if case["loss"] == "hinge" else "auto",
          "seconds_a_fit": spread([fit.seconds for fit in fits]),
          "num_iters": spread([fit.num_iters for fit in fits]),
          "num_convergence_warnings": sum(fit.warned for fit in fits),
          **_excess(problem, params, [(fit.w, fit.b) for fit in fits], case)}


def _lbfgs(problem, arrays, params, case, our_rate: float) -> dict[str, Any]:
  count, num_steps = case["lbfgs"]
  inputs = (arrays.x, arrays.y, arrays.extra_x[:count], arrays.extra_y[:count], case["c"])
  solve = svm_peers.vmapped_lbfgs.lower(*inputs, num_steps=num_steps).compile()
  begin = time.perf_counter()
  w, b = jax.block_until_ready(solve(*inputs))
  theirs = spread([count / (time.perf_counter() - begin)])
  w, b = np.asarray(w), np.asarray(b)
  return {"name": f"vmap of optax.lbfgs, {num_steps} steps", **theirs,
          "ratio": our_rate / theirs["median"], "batch": count,
          **_excess(problem, params, [(w[i], b[i]) for i in range(count)], case)}


def _excess(problem, params, theirs, case) -> dict[str, float]:
  """Largest relative excess of our objective over theirs, in float64, and of theirs over ours."""
  mine, other = [], []
  for i, (w, b) in enumerate(theirs):
    x, y = svm_peers.enlarged(problem, i)
    mine.append(svm_peers.objective(params.w[i], params.b[i], x, y, case["c"], case["loss"]))
    other.append(svm_peers.objective(w, b, x, y, case["c"], case["loss"]))
  mine, other = np.asarray(mine), np.asarray(other)
  return {"our_largest_relative_excess": float(np.max((mine - other) / other)),
          "their_largest_relative_excess": float(np.max((other - mine) / mine))}


def _rates(seconds: dict[str, float], count: int) -> dict[str, float]:
  """Seconds of `count` problems as problems a second."""
  return {"min": count / seconds["max"], "median": count / seconds["median"],
          "max": count / seconds["min"], "repeats": seconds["repeats"]}
