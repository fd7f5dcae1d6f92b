"""The four state machines of a campaign as tables, and the only function that changes a state.

What the states mean, and when each step is taken, is in `campaign`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from tal_jax.annotation import store
from tal_jax.annotation.errors import IllegalTransition, NotFound

_Machine = Mapping[str, frozenset[str]]


def _machine(**steps: str) -> _Machine:
  return {state: frozenset(targets.split()) for state, targets in steps.items()}


# Table -> state -> the states that may follow.
MACHINES: Mapping[str, _Machine] = {
    "tasks": _machine(open="leased submitted disputed excluded", leased="open submitted excluded",
                      submitted="open agreed disputed excluded",
                      agreed="adjudicated open excluded", disputed="adjudicated open excluded",
                      adjudicated="adjudicated open excluded", excluded="open"),
    "leases": _machine(held="released expired submitted", released="", expired="", submitted=""),
    "rounds": _machine(open="complete", complete="trained", trained=""),
    "videos": _machine(unlabelled="asked excluded", asked="labelled excluded",
                       labelled="asked excluded", excluded="unlabelled asked"),
}
DECIDED = ("agreed", "adjudicated")  # tasks with a final answer
CLOSED = (*DECIDED, "excluded")  # tasks that want nothing more


def state(db: sqlite3.Connection, table: str, row_id: int) -> str:
  """The state of a row. Raises NotFound."""
  row = db.execute(f"SELECT state FROM {table} WHERE id = ?", (row_id,)).fetchone()
  if row is None:
    raise NotFound(f"{table} has no row {row_id}")
  return row["state"]


def move(db: sqlite3.Connection, table: str, row_id: int, to: str, *, now: float,
         worker_id: int | None = None, **detail: Any) -> None:
  """Takes one step of a machine, in the caller's transaction, and logs it.

  Args:
    table: a key of MACHINES; never from outside (it becomes part of the statement).
    row_id: which row.
    to: the state that follows.
    now: seconds since the epoch.
    worker_id: on whose behalf.
    **detail: more for the log.

  Raises:
    IllegalTransition: the machine has no such step.
    NotFound: no such row.
  """
  before = state(db, table, row_id)
  if to not in MACHINES[table][before]:
    raise IllegalTransition(f"row {row_id} of {table} is {before}, and cannot become {to}")
  db.execute(f"UPDATE {table} SET state = ? WHERE id = ?", (to, row_id))
  store.log(db, f"{table}.{to}", row_id, now=now, worker_id=worker_id, before=before, **detail)
