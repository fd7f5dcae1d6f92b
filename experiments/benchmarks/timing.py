"""How the benchmark measures: seconds with their spread, peak memory, the chip's matrix rate."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def spread(values: Sequence[float]) -> dict[str, float]:
  """Minimum, median and maximum over repeats, and their number."""
  return {"min": min(values), "median": statistics.median(values), "max": max(values),
          "repeats": len(values)}


def timed(function: Callable[[], Any], repeats: int) -> tuple[dict[str, float], float, Any]:
  """Calls `function` once for compilation, then `repeats` times, each until its result is there.

  Returns:
    spread of the repeats in seconds; seconds of the first call; the last result.
  """
  seconds = []
  for _ in range(1 + repeats):
    begin = time.perf_counter()
    result = jax.block_until_ready(function())
    seconds.append(time.perf_counter() - begin)
  return spread(seconds[1:]), seconds[0], result


def peak_mib(*, children: bool = False) -> float:
  """Peak resident memory of this process so far; the full size gives each case a new one.

  With `children`: of the largest of its children that have ended.
  """
  who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
  peak = resource.getrusage(who).ru_maxrss
  return peak / (2**20 if sys.platform == "darwin" else 2**10)


def matrix_rates(size: int) -> dict[str, float]:
  """Measured FLOP/s of a float32 matrix product [size, size]^2, by precision."""
  x = jnp.ones((size, size), jnp.float32)
  rates = {}
  for name in ("highest", "default"):
    product = jax.jit(lambda a, b, name=name: jnp.matmul(a, b, precision=name))
    seconds, _, _ = timed(lambda product=product: product(x, x), 3)
    rates[name] = 2 * size**3 / seconds["min"]
  return rates
