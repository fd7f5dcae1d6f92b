"""Starting one run in several processes: the flags, and what the surroundings say.

    --coordinator=HOST:PORT --num_processes=N --process_id=I    by hand, on anything
    --distributed                                               TPU pods, and what else JAX knows
    (nothing)                                                   in a Slurm step of several tasks

The three of the first line may come from JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
JAX_PROCESS_ID. Every process runs the same command; the first one talks and writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from absl import flags

from tal_jax import devices
from tal_jax.errors import DataError

# Flag, environment variable, type.
_BY_HAND = (("coordinator", "JAX_COORDINATOR_ADDRESS", str),
            ("num_processes", "JAX_NUM_PROCESSES", int), ("process_id", "JAX_PROCESS_ID", int))


def define_flags() -> None:
  """Of a binary; called where it defines its own."""
  flags.DEFINE_bool("distributed", None, "Join the other processes of a TPU pod, Slurm, Open MPI "
                    "or Kubernetes; default: only in a Slurm step of several tasks.")
  flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, to start by hand.")
  flags.DEFINE_integer("num_processes", None, "How many processes run this command.")
  flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")


def start(*, distributed: bool | None = None, coordinator: str | None = None,
          num_processes: int | None = None, process_id: int | None = None,
          environ: Mapping[str, str] = os.environ) -> None:
  """Joins the other processes, if there are any; before JAX computes anything.

  Raises:
    DataError: a part of the settings is missing, or there is nothing to join.
  """
  given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
  for name, variable, kind in _BY_HAND:
    if given[name] is None and variable in environ:
      given[name] = _parsed(variable, environ[variable], kind)
  missing = [name for name, value in given.items() if value is None]
  if distributed is False or (len(missing) == 3 and not distributed and not _in_a_step(environ)):
    return
  if 0 < len(missing) < 3 and not distributed:
    variables = {name: variable for name, variable, _ in _BY_HAND}
    raise DataError("to start several processes by hand, give each one all three settings; "
                    "missing: " + ", ".join(f"--{name} (or {variables[name]})" for name in missing))
  try:
    devices.initialize(**given)
  except (ValueError, TypeError, RuntimeError) as error:
    raise DataError(f"this process cannot join the others: {error} Start each with --coordinator, "
                    "--num_processes and --process_id, or alone with --nodistributed.") from error


def start_from_flags() -> None:
  values = flags.FLAGS
  start(distributed=values.distributed, coordinator=values.coordinator,
        num_processes=values.num_processes, process_id=values.process_id)


def _parsed(name: str, text: str, kind: type):
  try:
    return kind(text)
  except ValueError as error:
    raise DataError(f"{name}={text!r} is not a whole number") from error


def _in_a_step(environ: Mapping[str, str]) -> bool:
  """In a Slurm step (srun) of several tasks, and not merely in the job's own shell."""
  return environ.get("SLURM_STEP_NUM_TASKS", "1") != "1"
