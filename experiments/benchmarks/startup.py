"""Time from the command to the first step of `configs/anet.py:smoke`, by state of the cache.

The first step is done when its row stands in metrics.jsonl: the data are drawn, LAL's selector is
trained, the reference of full training is known, the first labels are learned and evaluated.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from experiments.benchmarks.timing import peak_mib, spread

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_CASES = ("no cache", "cold cache", "warm cache")


def cases(size: str) -> list[dict[str, Any]]:
  return [{"case": "configs/anet.py:smoke", "repeats": 2 if size == "full" else 1,
           "strategies": None if size == "full" else "random"}]  # random trains no LAL


def measure(case: dict[str, Any]) -> list[dict[str, Any]]:
  """Runs the command in each state of the cache; the first repeat of "cold" fills "warm"."""
  seconds = {name: [] for name in _CASES}
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    for i in range(case["repeats"]):
      for name in _CASES:
        seconds[name].append(_first_step(
            folder / f"{i} {name}", case["strategies"],
            None if name == "no cache" else folder / f"cache_{i}"))
  spreads = {name: spread(values) for name, values in seconds.items()}
  strategies = "" if case["strategies"] is None else f" ({case['strategies']} only)"
  return [{"case": f"{case['case']}{strategies}, {name}", "unit": "s", "ours": spreads[name],
           "peak_mib": peak_mib(children=True), "details": {},
           "peers": [{"name": "no cache", **spreads["no cache"],
                      "ratio": spreads["no cache"]["median"] / spreads[name]["median"]}]}
          for name in _CASES[1:]]


def _first_step(workdir: pathlib.Path, strategies: str | None,
                cache: pathlib.Path | None) -> float:
  """Seconds from the command to its first row."""
  keep = {key: value for key, value in os.environ.items()
          if not key.startswith(("JAX_COMPILATION_CACHE", "JAX_ENABLE_COMPILATION_CACHE"))}
  environment = {**keep, "PYTHONPATH": str(_ROOT), "MPLBACKEND": "Agg"}
  if cache is None:
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
  else:
    environment["XDG_CACHE_HOME"] = str(cache)
  command = [sys.executable, "-m", "experiments.simulate", "--config=configs/anet.py:smoke",
             f"--workdir={workdir}"]
  if strategies:
    command.append(f"--config.strategies={strategies}")
  rows = workdir / "metrics.jsonl"
  begin = time.perf_counter()
  with subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE, text=True) as process:
    try:
      while not (rows.exists() and rows.read_text().count("\n")):
        if process.poll() is not None:
          raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}: "
                             f"{process.stderr.read()}")
        time.sleep(0.02)
      return time.perf_counter() - begin
    finally:
      process.kill()
