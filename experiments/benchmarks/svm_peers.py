"""What others retrain with: a loop over scikit-learn's LinearSVC, and a vmap of an optax solver.

Notation and objective as in tal_jax/models/svm: P = (|w|^2 + b^2) / 2 + c sum loss. LinearSVC
minimises the same: `intercept_scaling=1` is a constant feature 1, regularised like the others.
"""

from __future__ import annotations

import functools
import time
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import joblib
import numpy as np
import optax
from joblib.externals.loky import get_reusable_executor
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from experiments.benchmarks.data import Problem

PROCESSES = 2


class Fit(NamedTuple):
  w: np.ndarray  # [d]
  b: float
  seconds: float
  num_iters: int
  warned: bool  # a ConvergenceWarning


def objective(w, b, x, y, c: float, loss: str) -> float:
  """P in float64, on the host."""
  w, b = np.asarray(w, np.float64), float(b)
  violation = np.maximum(0.0, 1.0 - y * (np.asarray(x, np.float64) @ w + b))
  return float((w @ w + b * b) / 2
               + c * np.sum(violation if loss == "hinge" else np.square(violation)))


def enlarged(problem: Problem, i: int) -> tuple[np.ndarray, np.ndarray]:
  """The training set of candidate i: [n + m, d] and [n + m], float64."""
  return (np.concatenate([problem.x, problem.extra_x[i]]).astype(np.float64),
          np.concatenate([problem.y, problem.extra_y[i]]).astype(np.float64))


def linear_svc(x: np.ndarray, y: np.ndarray, extra_x: np.ndarray, extra_y: np.ndarray, c: float,
               loss: str, max_iter: int = 1000) -> Fit:
  """One LinearSVC, at its defaults as a user would call it."""
  begin = time.perf_counter()
  model = LinearSVC(C=c, loss=loss, tol=1e-4, dual=True if loss == "hinge" else "auto",
                    max_iter=max_iter, random_state=0)
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(np.concatenate([x, extra_x]), np.concatenate([y, extra_y]))
  return Fit(model.coef_[0], float(model.intercept_[0]), time.perf_counter() - begin,
             int(model.n_iter_), any(issubclass(w.category, ConvergenceWarning) for w in caught))


def linear_svc_loop(problem: Problem, c: float, loss: str, *, max_rounds: int,
                    seconds: float, max_iter: int = 1000) -> tuple[list[Fit], list[float]]:
  """LinearSVC over the first candidates, two processes at a time.

  A round is one fit in each process; rounds go on until `max_rounds` or until `seconds` are spent.

  Returns:
    The fits of candidates 0, 1, ...; the retrains a second of each round.
  """
  x = problem.x.astype(np.float64)  # converted once; each fit copies them with its own rows
  fits, rates = [], []
  with joblib.Parallel(n_jobs=PROCESSES) as parallel:
    call = joblib.delayed(linear_svc)
    tiny = np.eye(2)  # starts the processes and their imports
    parallel([call(tiny, np.array([-1.0, 1.0]), tiny, np.array([-1.0, 1.0]), c, loss)] * PROCESSES)
    begin = time.perf_counter()
    while len(rates) < max_rounds and len(fits) + PROCESSES <= len(problem.extra_y) and (
        not rates or time.perf_counter() - begin < seconds):
      start = time.perf_counter()
      fits += parallel(
          call(x, problem.y, problem.extra_x[i].astype(np.float64), problem.extra_y[i], c, loss,
               max_iter)
          for i in range(len(fits), len(fits) + PROCESSES))
      rates.append(PROCESSES / (time.perf_counter() - start))
  # joblib keeps its processes for calls to come, and the process of a case would wait for them.
  get_reusable_executor().shutdown(wait=True)
  return fits, rates


@functools.partial(jax.jit, static_argnames="num_steps")
def vmapped_lbfgs(x, y, extra_x, extra_y, c: float, *, num_steps: int):
  """`optax.lbfgs` on the squared hinge, one problem written plainly, vmapped over candidates.

  Returns:
    w [b, d], b [b] after `num_steps` steps from 0.
  """
  def solve(own_x, own_y):
    def value(params):
      w, b = params
      hinge = jnp.maximum(0.0, 1 - y * (x @ w + b))
      own = jnp.maximum(0.0, 1 - own_y * (own_x @ w + b))
      return (w @ w + b * b) / 2 + c * (jnp.sum(hinge**2) + jnp.sum(own**2))

    solver = optax.lbfgs()
    start = (jnp.zeros(x.shape[1]), jnp.zeros(()))
    value_and_grad = optax.value_and_grad_from_state(value)

    def step(carry, _):
      params, state = carry
      loss, grad = value_and_grad(params, state=state)
      updates, state = solver.update(grad, state, params, value=loss, grad=grad, value_fn=value)
      return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (start, solver.init(start)), length=num_steps)
    return params

  return jax.vmap(solve)(extra_x, extra_y)
