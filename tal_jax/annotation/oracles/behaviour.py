"""How a simulated worker answers: noise, carelessness, laziness, going away.

Notation: truths [t, 2] seconds of one class in one video; all rates are probabilities except
`false_alarms`, a mean number.

The noise of the marked bounds is that of the simulated oracles (`tal_jax.oracles.perturb`: the
mean tIoU with the truth is 1 - noise [paper, Sec. 4.2]). The paper does not model the rest; our
choices: each instance is missed independently; false alarms are Poisson many, uniform in place,
5 % to 30 % of the video long; a lazy answer is "not here" or the whole video, either as likely;
whoever goes away without a word draws again when the task comes back to them.

Everything depends on (seed, worker, task) alone (going away also on the attempt), so that a
program that was killed gets the same answers again.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tal_jax.annotation.oracles.settings import require_share
from tal_jax.errors import DataError

_SHORTEST = 2e-3  # seconds; what the campaign takes, and some room for rounding


class Behaviour(NamedTuple):
  noise: float = 0.0  # 1 - mean tIoU of a marked instance with the truth, in [0, 1)
  noise_sigma: float = 0.0  # standard deviation of that tIoU
  miss: float = 0.0  # probability of not seeing an instance
  false_alarms: float = 0.0  # mean number in an answer
  lazy: float = 0.0  # probability of an answer without looking
  abandon: float = 0.0  # probability of taking a task and never answering
  seed: int = 0


def check(behaviour: Behaviour) -> Behaviour:
  """Raises DataError for a rate that is none, and for workers who never answer."""
  require_share("simulated", noise=behaviour.noise, miss=behaviour.miss, lazy=behaviour.lazy,
                abandon=behaviour.abandon, noise_sigma=behaviour.noise_sigma,
                **{"false_alarms / 100": behaviour.false_alarms / 100})
  if behaviour.abandon == 1:
    raise DataError("oracle simulated: abandon is 1: nobody would ever answer")
  return behaviour


def abandons(behaviour: Behaviour, worker: str, task: int, attempt: int = 0) -> bool:
  """Whether the worker goes away from a task that they took for the `attempt`-th time, from 0."""
  return bool(_rng(behaviour, worker, task, "abandon", attempt).random() < behaviour.abandon)


def answer(behaviour: Behaviour, worker: str, task: int, truths: np.ndarray,
           duration: float) -> list[tuple[float, float]]:
  """What the worker marks, by start: segments that the campaign takes.

  Args:
    behaviour: of this worker.
    worker: name.
    task: id.
    truths: [t, 2] seconds, t may be 0.
    duration: of the video, seconds.
  """
  rng = _rng(behaviour, worker, task, "answer")
  if rng.random() < behaviour.lazy:
    return [(0.0, duration)] if rng.random() < 0.5 else []
  truths = np.asarray(truths, np.float64).reshape(-1, 2)
  marked = _move(rng, truths, duration, behaviour)[rng.random(len(truths)) >= behaviour.miss]
  count = rng.poisson(behaviour.false_alarms)
  lengths = rng.uniform(0.05, 0.3, count) * duration
  starts = rng.uniform(0.0, 1.0, count) * (duration - lengths)
  given = np.concatenate([marked, np.stack([starts, starts + lengths], -1)])
  given = np.clip(given, 0.0, duration)
  given = given[given[:, 1] - given[:, 0] >= _SHORTEST]
  return sorted((float(start), float(end)) for start, end in given)


def _move(rng: np.random.Generator, truths: np.ndarray, duration: float,
          behaviour: Behaviour) -> np.ndarray:
  """[t, 2] the truths at the tIoU that the noise asks for."""
  seed = np.uint32(rng.integers(2**32))
  if not len(truths) or (behaviour.noise == 0 and behaviour.noise_sigma == 0):
    return truths
  padded = 1 << (len(truths) - 1).bit_length()  # few shapes, few compilations
  rows = np.concatenate([truths, np.tile([[0.0, 1.0]], (padded - len(truths), 1))])
  moved = _perturb()(seed, rows.astype(np.float32), np.float32(duration),
                     noise=np.float32(behaviour.noise),
                     noise_sigma=np.float32(behaviour.noise_sigma))
  return np.asarray(moved, np.float64)[:len(truths)]


@functools.cache
def _perturb() -> Callable[..., np.ndarray]:
  """The noise of the simulated oracles; loads JAX, which a campaign with people can do without."""
  import jax

  from tal_jax import oracles

  @jax.jit
  def perturb(seed, truths, duration, *, noise, noise_sigma):
    # Makes the key inside: outside, it would cost as much as the rest.
    return oracles.perturb(jax.random.key(seed), truths, duration, noise=noise,
                           noise_sigma=noise_sigma)

  return perturb


def _rng(behaviour: Behaviour, *key: object) -> np.random.Generator:
  text = repr((behaviour.seed, *key)).encode("utf-8")
  return np.random.default_rng(np.frombuffer(hashlib.sha256(text).digest(), np.uint32))
