"""One SVM on the labelled rows of a pool, retrained as the labels grow.

Notation as in `svm`, with the rows of a video kept together: vectors over rows are [v, p].

The method is `solver`'s; what differs is where the work goes. A step of active learning adds
few rows to many, so what the last fit learned is kept in a `Memory`:

- the decision values of all rows, hence every u = 1 - y f, at no pass over the features;
- the Gram matrix G of the rows S on the curved part of the loss, and the sum q of y (x, 1) over
  them. With them the Newton matrix I + sigma G costs no pass, nor, for the squared hinge, does
  A' alpha = sigma (q - G theta). Rows that entered or left S since are accounted for one by one,
  and are added or subtracted once they are a share of `_STALE`.

Per Newton step that leaves one pass over the labelled rows (A step). At the end comes one over the
pool, which is the certificate's and the scores of the next selection, and one for A' alpha: the
certificate is that of the returned parameters and owes nothing to the memory. Where it is refused,
A' alpha is computed by passes from then on.

Few, long rows (`wide`) are collected instead, where the hinge is asked for or no certificate
was found: the small problem is solved as `svm.fit` solves it.

The loop runs on the host, since the features may be streamed from a file (`blocks`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models import svm
from tal_jax.models.svm import SvmInfo, SvmParams, solver as svm_solver, wide as svm_wide
from tal_jax.models.svm.blocks import gram, margins, take_rows, weighted_sum
from tal_jax.models.svm.newton import factorise
from tal_jax.models.svm.problem import LOSSES, PRECISION, dual_point, newton_weights
from tal_jax.sizes import bucket

_STALE = 0.02  # rows that may enter or leave before G follows, as a share of those in it
_LARGE = 16  # rows per dimension from which a cold fit begins with a part of the videos ...
_PART = 8  # ... one in so many
_PATIENCE = 2  # steps without a clearly smaller gap after which the Newton system is solved better


class Memory(NamedTuple):
  """What a fit leaves to the next one on the same pool."""

  params: SvmParams  # of `decisions`
  decisions: chex.Array  # [v, p] float32, x w + b of every row; 0 where padded
  gram: chex.Array  # [d + 1, d + 1] float32, of the rows `curved`
  pull: chex.Array  # [d + 1] float32, the sum of these rows times their labels
  curved: chex.Array  # [v, p] bool

  def map_videos(self, fn: Callable[[chex.Array], chex.Array]) -> Memory:
    """See `localizer.PerVideo`."""
    return self._replace(decisions=fn(self.decisions), curved=fn(self.curved))


def empty_memory(num_videos: int, num_rows: int, dim: int) -> Memory:
  """Before any fit: parameters 0 and their decisions."""
  shape = (num_videos, num_rows)
  return Memory(SvmParams(jnp.zeros(dim), jnp.zeros(())), jnp.zeros(shape),
                jnp.zeros((dim + 1, dim + 1)), jnp.zeros(dim + 1), jnp.zeros(shape, bool))


def decisions(features: chex.Array, exists: chex.Array, params: SvmParams,
              memory: Memory | None = None) -> chex.Array:
  """x w + b of every row that exists, 0 elsewhere: [v, p]; read from memory if there.

  Args:
    features: [v, p, d].
    exists: [v, p] bool, False where padded.
    params: the SVM.
    memory: of these features, or None.
  """
  if memory is not None and bool(
      jnp.all(memory.params.w == params.w) & (memory.params.b == params.b)):
    return memory.decisions
  return margins(features, exists, _theta(params))


def fit(features: chex.Array, y: chex.Array, labeled: chex.Array, exists: chex.Array, *, c: float,
        loss: str, tol: float, memory: Memory, start: SvmParams | None = None,
        max_iters: int = 500) -> tuple[SvmParams, SvmInfo, Memory]:
  """Fits one SVM to a certified relative duality gap, as `svm.fit` does.

  The result depends on `memory` within the tolerance only, and on nothing else that happened
  before: the same memory gives the same bits.

  Args:
    features: [v, p, d], on devices, or a NumPy array to be streamed.
    y: [v, p] in {-1, +1}.
    labeled: [v, p] bool, rows to train on; each must exist.
    exists: [v, p] bool, False where padded.
    c, loss, tol, max_iters: as in `svm.fit`.
    memory: of the last fit on these features, or `empty_memory`.
    start: where to start; None means `memory.params`.

  Returns:
    (SvmParams, SvmInfo, Memory).
  """
  if loss not in LOSSES:
    raise ValueError(f"loss must be one of {LOSSES}, not {loss!r}")
  start = memory.params if start is None else start
  num = int(labeled.sum())
  # (Rows that several processes share cannot be collected.)
  is_wide = (svm_wide.pays(num, features.shape[-1])
             and getattr(features, "is_fully_addressable", True))
  wide = functools.partial(_fit_wide, features, y, labeled, exists, num, c=c, loss=loss, tol=tol,
                           max_iters=max_iters)
  if is_wide and loss == "hinge":
    return wide(memory=memory, start=start)
  solve = functools.partial(_fit, features, y, c=c, loss=loss, max_iters=max_iters)
  if num > _LARGE * features.shape[-1] and not bool(memory.curved.any()):
    # Cold, and much data: from zero every row would enter the Newton matrix, and many leave again.
    part = labeled & (jnp.arange(y.shape[0]) % _PART == 0)[:, None]
    start, _, partial = solve(part, part, memory=memory, start=start, tol=10.0 * tol)
    memory = memory._replace(gram=partial.gram, pull=partial.pull, curved=partial.curved)
  found = solve(labeled, exists, memory=memory, start=start, tol=tol)
  if is_wide and not bool(found[1].converged):
    other = wide(memory=found[2], start=found[0])
    found = other if bool(other[1].objective < found[1].objective) else found
  return found


def _fit_wide(features, y, labeled, exists, num: int, *, c, loss, tol, memory: Memory, start,
              max_iters):
  """Few, long rows: they are collected, and the memory's matrix stays as it is."""
  size = bucket(num)
  video, row = (np.pad(index, (0, size - num)) for index in np.nonzero(np.asarray(labeled)))
  signs = np.asarray(y)[video, row]
  params, info = svm.fit(take_rows(features, video, row), signs, np.arange(size) < num, c=c,
                         loss=loss, tol=tol, init=start, max_iters=max_iters, is_wide=True)
  values = margins(features, exists, _theta(params))
  return params, info, memory._replace(params=params, decisions=values)


def _fit(features, y, labeled, exists, *, c, loss, tol, memory, start, max_iters):
  real = labeled.reshape(1, -1).astype(jnp.float32)
  signs, c = y.reshape(1, -1) * real, jnp.float32(c)

  def forward(theta):
    return margins(features, labeled, theta[0]).reshape(1, -1) * signs

  def backward(alpha):
    return weighted_sum(features, (alpha * signs).reshape(y.shape))[None]

  scored, values = start, decisions(features, exists, start, memory)
  state = svm_solver.begin(real, _start(start, real, c, loss), c)
  u, exact = _violations(values, signs), True  # u = 1 - A theta, not its update by a step
  g, pull, curved, solve = memory.gram, memory.pull, memory.curved, None
  remembered, by_pass = loss == "squared_hinge", loss != "squared_hinge"
  while True:
    state = state._replace(violation=u)
    weights, now, moved, size = _curvature(real, state, c, loss, curved)
    if not by_pass and moved > _STALE * size:
      g, pull, curved, solve = *_follow(features, y, g, pull, curved, now), now, None
    alpha = _dual_point(real, u, state, c, loss)
    if by_pass or not remembered:
      dual_theta = backward(alpha)
    else:
      change = _change(u, y, state.sigma, now, curved)
      dual_theta = _remembered_dual(g, pull, state, weighted_sum(features, change))
    certified = _certify(real, state, u, alpha, dual_theta, c, loss, tol)
    done = bool(certified.done[0])
    if done and not exact:
      scored = _params(state.theta[0])
      values = margins(features, exists, state.theta[0])
      u, exact, by_pass = _violations(values, signs), True, True
      continue
    if done and remembered and not by_pass:
      by_pass = True
      continue
    state = certified
    if not bool(svm_solver.unfinished(state, max_iters)[0]):
      break
    if remembered and (by_pass or bool(state.stalled[0] | jnp.any(state.multipliers != 0))):
      # The memory promised more than there is, or is no longer what is asked for.
      remembered = False
      state = state._replace(best_gap=state.best_gap + jnp.inf, best_dual=0.0 * state.best_dual,
                             stalled=0 * state.stalled)
      by_pass = False
      continue
    by_pass = False
    if moved > _STALE * size and curved is not now:
      g, pull, curved, solve = *_follow(features, y, g, pull, curved, now), now, None
    if solve is None or solve[0] != float(state.sigma[0]):
      solve = float(state.sigma[0]), factorise(g, state.sigma[0])
    if int(state.stalled[0]) < _PATIENCE:
      step = _newton_step(solve[1], state.gradient)
      product = forward(step)
    else:
      step, product = svm_solver.conjugate_gradients(
          forward, backward, weights, -state.gradient,
          functools.partial(_apply, solve[1]), loop=_host_loop)
    state, _ = _advance(real, state, step, product, c, loss, tol, max_iters)
    u, exact = state.violation, False
  params = _params(state.best_theta[0])
  if not bool(jnp.all(_theta(scored) == _theta(params))):
    values = margins(features, exists, _theta(params))
  gap, objective = svm_solver.certified_gap(state)[0], state.best_objective[0]
  info = SvmInfo(objective, jnp.where(gap > 0, gap / jnp.maximum(objective, 1e-30), 0.0),
                 jnp.minimum(state.num_iters[0], max_iters), state.done[0])
  return params, info, Memory(params, values, g, pull, curved)


def _follow(features, y, g, pull, curved, now):
  """Gram matrix and pull of the rows `now`, from those of the rows `curved` or anew."""
  change = now.astype(jnp.float32) - curved.astype(jnp.float32)
  if bool((change != 0).sum() >= now.sum()):
    change, g, pull = now.astype(jnp.float32), 0.0, 0.0
  return g + gram(features, change), pull + weighted_sum(features, change * y)


@jax.jit
def _change(u, y, sigma, now, curved):
  """Weights [v, p] of the rows whose part in A' alpha the memory lacks, or has too much."""
  moved = now.astype(jnp.float32) - curved.astype(jnp.float32)
  return sigma[0] * u.reshape(y.shape) * y * moved


@jax.jit
def _remembered_dual(g, pull, state, change):
  """A' alpha = sigma A_S' (1 - A_S theta) of the rows S now curved, without a pass over them."""
  product = jnp.matmul(state.theta, g, precision=PRECISION)
  return state.sigma[:, None] * (pull[None] - product) + change[None]


def _theta(params: SvmParams) -> chex.Array:
  return jnp.append(params.w, params.b)


def _params(theta: chex.Array) -> SvmParams:
  return SvmParams(theta[:-1], theta[-1])


def _host_loop(unfinished, body, carry):
  while bool(unfinished(carry)):
    carry = body(carry)
  return carry


_certify = jax.jit(svm_solver.certify, static_argnames="loss")
_advance = jax.jit(svm_solver.advance, static_argnames="loss")


@functools.partial(jax.jit, static_argnames="loss")
def _start(params, real, c, loss):
  return svm_solver.start_at(real, _theta(params)[None], c, loss)


@jax.jit
def _violations(values, signs):
  return 1.0 - values.reshape(1, -1) * signs


@functools.partial(jax.jit, static_argnames="loss")
def _dual_point(real, u, state, c, loss):
  return dual_point(real, u, state.multipliers, state.sigma, c, loss)


@functools.partial(jax.jit, static_argnames="loss")
def _curvature(real, state, c, loss, curved):
  """The Newton weights [1, n], the rows they are on [v, p], how many of them moved, and are."""
  weights = newton_weights(real, state.violation, state.multipliers, state.sigma, c, loss)
  now = (weights > 0).reshape(curved.shape)
  return weights, now, (now != curved).sum(), now.sum()


@jax.jit
def _apply(factor, r):
  return factor.solve(r)


@jax.jit
def _newton_step(factor, gradient):
  return factor.solve(-gradient)
