"""Measures what is fast here, each item against its peer in the same run.

    python -m experiments.benchmark                        a minute: checks that it runs
    python -m experiments.benchmark --size=full [--output=F]     26 minutes on two cores, 6 GiB
    python -m experiments.benchmark --only=retrain,evaluator

Prints a table and, with --output, writes JSON after each case: {"versions", "device", "host",
"rows": [...]}. A row has `item, case, unit`, `ours` and each of `peers` as {min, median, max,
repeats}, a peer's `ratio` (how many times as fast as the peer we are, by medians), our `peak_mib`
(resident memory), and `details`. In the full size each case runs in a process of its own, so that
its peak memory is its own; in the small one a process that serves all of them saves their start.

Exit code 2 if a solution does not meet its certificate.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import importlib.metadata
import multiprocessing
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

from absl import flags

from tal_jax.errors import DataError
from tal_jax.runs import cli
from tal_jax.runs.workdir import write_json

# Each is a module of experiments.benchmarks with cases(size) and measure(case).
ITEMS = ("retrain", "lal", "step", "evaluator", "startup", "detector", "checks")
SIZES = {"small": ITEMS[:4], "full": ITEMS}  # what is measured without --only
_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax", "joblib", "msgspec")


def run(size: str, items: Sequence[str] | None = None,
        output: pathlib.Path | None = None) -> dict[str, Any]:
  """Measures the items (default: those of the size) one after the other.

  With `output`, what has been measured is written there after each case.

  Returns:
    What --output writes.

  Raises:
    DataError: no such size or item, or no folder for the output.
  """
  if size not in SIZES:
    raise DataError(f"--size: there is no {size!r}, there are {', '.join(SIZES)}")
  items = SIZES[size] if items is None else items
  unknown = [name for name in items if name not in ITEMS]
  if unknown or not items:
    raise DataError(f"--only: there is no {', '.join(map(repr, unknown)) or 'empty list'}, there "
                    f"are {', '.join(ITEMS)}")
  if output and not output.parent.is_dir():
    raise DataError(f"--output: there is no folder {output.parent}")
  rows: list[dict[str, Any]] = []
  with concurrent.futures.ProcessPoolExecutor(
      1, mp_context=multiprocessing.get_context("spawn"),
      max_tasks_per_child=1 if size == "full" else None) as executor:
    result = {"size": size, "versions": _versions(), "device": executor.submit(_device).result(),
              "host": {"cpu": _cpu(), "cores": os.cpu_count(),
                       "python": platform.python_version(), "system": platform.platform()},
              "rows": rows}
    for name in items:
      for case in importlib.import_module(f"experiments.benchmarks.{name}").cases(size):
        for row in executor.submit(_measure, name, case).result():
          rows.append({"item": name, **row})
          print(table([rows[-1]]), flush=True)
        if output:
          write_json(output, result)
  return result


def table(rows: Sequence[dict[str, Any]]) -> str:
  """Rows for a terminal: our line and one for each peer, each with its details below it."""
  lines = []
  for row in rows:
    lines += [f"{row['item']}: {row['case']}",
              f"  {'tal_jax':<58} {_spread(row['ours'])} {row['unit']}, "
              f"{row['peak_mib']:,.0f} MiB", *_details(row["details"])]
    for peer in row["peers"]:
      lines += [f"  {peer['name']:<58} {_spread(peer)} {row['unit']}, {peer['ratio']:.4g}x",
                *_details(peer)]
  return "\n".join(lines)


def _details(values: dict[str, Any]) -> list[str]:
  """One line of what is neither shown elsewhere nor a spread of its own, if there is anything."""
  shown = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
           for key, value in values.items() if not isinstance(value, dict)
           and key not in ("name", "min", "median", "max", "repeats", "ratio")]
  return ["      " + "; ".join(shown)] if shown else []


def uncertified(rows: Sequence[dict[str, Any]]) -> list[str]:
  """The cases whose solutions do not meet their certificates."""
  return [f"{row['item']}: {row['case']}" for row in rows
          if not row["details"].get("certified", True)]


def _spread(values: dict[str, float]) -> str:
  return f"{values['median']:10.4g} ({values['min']:.4g} to {values['max']:.4g})"


def _measure(name: str, case: dict[str, Any]) -> list[dict[str, Any]]:
  return importlib.import_module(f"experiments.benchmarks.{name}").measure(case)


def _device() -> dict[str, Any]:
  import jax  # not in the parent: a process that has asked for an accelerator may hold it
  device = jax.devices()[0]
  return {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()}


def _versions() -> dict[str, str]:
  return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _cpu() -> str:
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
  except OSError:
    return platform.processor()
  return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
              platform.processor())


def main() -> None:
  result = run(_SIZE.value, _ONLY.value, pathlib.Path(_OUTPUT.value) if _OUTPUT.value else None)
  print(f"{result['host']['cpu']}, {result['host']['cores']} cores; {result['device']['kind']}; "
        + ", ".join(f"{name} {version}" for name, version in result["versions"].items()))
  failed = uncertified(result["rows"])
  if failed:
    raise DataError("not certified:\n" + "\n".join(failed))


if __name__ == "__main__":
  _SIZE = flags.DEFINE_string("size", "small", f"One of {', '.join(SIZES)}.")
  _ONLY = flags.DEFINE_list("only", None, f"Of {', '.join(ITEMS)}.")
  _OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the result to.")
  cli.run_main(main)
