"""Every step of every machine: the legal ones are taken and logged, the others change nothing."""

import json

import pytest

from tal_jax.annotation.errors import IllegalTransition, NotFound
from tal_jax.annotation.rules import states
from tests.annotation import campaigns

# As the docstring of `campaign` draws them, written down a second time.
_LEGAL = {
    "videos": {("unlabelled", "asked"), ("asked", "labelled"), ("labelled", "asked"),
               ("unlabelled", "excluded"), ("asked", "excluded"), ("labelled", "excluded"),
               ("excluded", "unlabelled"), ("excluded", "asked")},
    "rounds": {("open", "complete"), ("complete", "trained")},
    "leases": {("held", "released"), ("held", "expired"), ("held", "submitted")},
    "tasks": {("open", "leased"), ("leased", "open"), ("leased", "submitted"),
              ("submitted", "open"), ("submitted", "agreed"), ("submitted", "disputed"),
              ("open", "disputed"), ("disputed", "adjudicated"), ("agreed", "adjudicated"),
              ("adjudicated", "adjudicated"),
              ("open", "submitted"), ("disputed", "open"), ("agreed", "open"),
              ("adjudicated", "open"), ("excluded", "open"),
              *((state, "excluded") for state in ("open", "leased", "submitted", "agreed",
                                                  "disputed", "adjudicated"))},
}
_STATES = {
    "videos": ("unlabelled", "asked", "labelled", "excluded"),
    "rounds": ("open", "complete", "trained"),
    "leases": ("held", "released", "expired", "submitted"),
    "tasks": ("open", "leased", "submitted", "agreed", "disputed", "adjudicated", "excluded"),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
  """A campaign with one row in each table, whose states the tests set by hand."""
  made = campaigns.make(tmp_path_factory.mktemp("states") / "c.db", videos=1)
  campaigns.ask(made)
  with made.store.write() as db:
    worker = db.execute("INSERT INTO workers (name, role, token_sha256, token_expires_at) "
                        "VALUES ('w', 'annotator', zeroblob(32), 0)").lastrowid
    db.execute("INSERT INTO leases (id, task_id, worker_id, granted_at, expires_at) "
               "VALUES (1, 1, ?, 0, 0)", (worker,))
  yield made
  made.store.close()


@pytest.mark.parametrize("table", _STATES)
def test_every_step(rows, table):
  row_id = 0 if table == "rounds" else 1
  for before in _STATES[table]:
    for after in (*_STATES[table], "nonsense"):
      with rows.store.write() as db:
        db.execute(f"UPDATE {table} SET state = ? WHERE id = ?", (before, row_id))
        logged = db.execute("SELECT COUNT(*) FROM events").fetchone()[0]
      if (before, after) in _LEGAL[table]:
        with rows.store.write() as db:
          states.move(db, table, row_id, after, now=7.5, why="test")
        event, = campaigns.select(rows, "SELECT * FROM events WHERE id > ?", logged)
        assert (event["at"], event["subject_id"]) == (7.5, row_id)
        assert event["kind"] == f"{table}.{after}"
        assert json.loads(event["detail"]) == {"before": before, "why": "test"}
      else:
        with pytest.raises(IllegalTransition), rows.store.write() as db:
          states.move(db, table, row_id, after, now=7.5)
        assert campaigns.select(rows, "SELECT COUNT(*) AS n FROM events")[0]["n"] == logged
        after = before
      assert campaigns.state(rows, table, row_id) == after


def test_no_such_row(rows):
  with pytest.raises(NotFound), rows.store.write() as db:
    states.move(db, "tasks", 99, "leased", now=0.0)


def test_the_machines_have_the_states_that_the_schema_has():
  assert {t: set(m) for t, m in states.MACHINES.items()} == {t: set(s) for t, s in _STATES.items()}
