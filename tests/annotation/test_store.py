"""The database: durability settings, transactions, snapshots, the log, migrations."""

import contextlib
import shutil
import sqlite3
import threading
import time

import pytest

from tal_jax.annotation import schema, store
from tal_jax.errors import DataError
from tests.annotation import campaigns

_TABLES = {"videos", "classes", "rounds", "tasks", "leases", "assignments", "drafts", "segments",
           "workers", "events", "gold", "scores", "budget", "payments", "payouts", "hits", "crowd",
           "suggestions", "results", "secrets", "reinstated", "together", "audience", "asked_again",
           "begun", "closings", "early", "excluded", "later", "learner_process", "learnt",
           "left_out", "merged", "plan", "preparing", "skips", "stopped", "taken_back", "unusable",
           "upcoming", "upcoming_tasks", "versions"}


def test_settings_and_tables(tmp_path):
  with store.Store(tmp_path / "c.db") as opened, opened.write() as db:
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert schema.version(db) == len(schema.MIGRATIONS)
    assert _TABLES == {row[0] for row in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'")}
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
      db.execute("INSERT INTO drafts VALUES (1, 1, 0, '', 0)")


def test_a_transaction_is_all_or_nothing(tmp_path):
  with store.Store(tmp_path / "c.db") as opened:
    with pytest.raises(KeyError), opened.write() as db:
      store.log(db, "a", 1, now=0.0)
      raise KeyError
    with opened.write() as db:
      store.log(db, "b", 1, now=0.0)
      with opened.read() as snapshot:
        assert not snapshot.execute("SELECT * FROM events").fetchall()
    with opened.read() as db:
      assert [row["kind"] for row in db.execute("SELECT * FROM events")] == ["b"]
      with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("INSERT INTO classes (name, instructions) VALUES ('a', '')")
  with store.Store(tmp_path / "c.db") as opened, opened.read() as db:
    assert db.execute("SELECT COUNT(*) FROM events").fetchone()[0] == 1


def test_log_and_answers_cannot_be_rewritten(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made)
  with made.store.write() as db:
    db.execute("INSERT INTO workers VALUES (1, 'w', 'annotator', zeroblob(32), 0, NULL)")
    db.execute("INSERT INTO leases VALUES (1, 1, 1, 'submitted', 0, 0)")
    db.execute("INSERT INTO assignments VALUES (1, 's', 1, 1, 1, '', 0)")
    db.execute("INSERT INTO segments VALUES (1, 1, 1, 0, 1, 'worker', NULL, NULL)")
  for statement in ("UPDATE events SET at = 0", "DELETE FROM events",
                    "UPDATE assignments SET comment = 'x'", "DELETE FROM assignments",
                    "UPDATE segments SET start = 0.5", "DELETE FROM segments"):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), made.store.write() as db:
      db.execute(statement)
  made.store.close()


def test_migrations_keep_the_rows(tmp_path):
  path = tmp_path / "c.db"
  with store.Store(path, schema.MIGRATIONS[:1]) as old, old.write() as db:
    assert schema.version(db) == 1
    assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gold'").fetchone()
    db.execute("INSERT INTO classes (name, instructions) VALUES ('jump', 'up')")
  with store.Store(path) as new, new.read() as db:
    assert schema.version(db) == len(schema.MIGRATIONS)
    assert db.execute("SELECT name FROM classes").fetchone()[0] == "jump"
    assert not db.execute("SELECT * FROM gold").fetchall()


def test_a_migration_that_fails_leaves_the_version_before(tmp_path):
  path = tmp_path / "c.db"
  bad = (*schema.MIGRATIONS, [f"CREATE TABLE {name} (id INTEGER)" for name in ("extra", "videos")])
  with pytest.raises(DataError, match="already exists"):
    store.Store(path, bad)
  with store.Store(path) as opened, opened.read() as db:
    assert schema.version(db) == len(schema.MIGRATIONS)
    assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone()


def test_what_cannot_be_opened_is_said(tmp_path):
  with store.Store(tmp_path / "c.db", (*schema.MIGRATIONS, ("CREATE TABLE extra (id INTEGER)",))):
    pass
  with pytest.raises(DataError, match="newer version"):
    store.Store(tmp_path / "c.db")
  with pytest.raises(DataError, match="cannot be opened"):
    store.Store(tmp_path / "absent" / "c.db")
  (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 50)
  with pytest.raises(DataError, match="cannot be used"):
    store.Store(tmp_path / "text.db")


def test_another_process_makes_the_database_at_the_same_time(tmp_path):
  """While it writes, SQLite refuses to switch to WAL, and does not wait."""
  other = sqlite3.connect(tmp_path / "c.db", isolation_level=None, check_same_thread=False)
  other.execute("BEGIN IMMEDIATE")
  other.execute("CREATE TABLE theirs (id INTEGER)")
  with contextlib.closing(other):
    done = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    done.start()
    with store.Store(tmp_path / "c.db") as opened, opened.read() as db:
      assert schema.version(db) == len(schema.MIGRATIONS)
    done.join()


def _kinds_in_a_copy(path):
  """Kinds of the events in a copy of the one file, as somebody would copy it who knows no other."""
  copy = shutil.copy(path, path.with_name("copy.db"))
  with contextlib.closing(sqlite3.connect(copy)) as db:
    return [row[0] for row in db.execute("SELECT kind FROM events ORDER BY id")]


def _log(opened, kind):
  with opened.write() as db:
    store.log(db, kind, 1, now=0.0)


def test_a_closed_database_is_one_whole_file(tmp_path):
  path = tmp_path / "c.db"
  opened = store.Store(path)
  _log(opened, "a")
  with opened.read() as db:  # leaves a reading connection behind
    assert db.execute("SELECT COUNT(*) FROM events").fetchone()[0] == 1
  _log(opened, "b")
  opened.close()
  assert [file.name for file in tmp_path.iterdir()] == ["c.db"]
  assert _kinds_in_a_copy(path) == ["a", "b"]
  opened.close()  # again: nothing happens
  with pytest.raises(sqlite3.ProgrammingError), opened.read():
    pass


def test_closing_waits_for_who_reads(tmp_path):
  opened = store.Store(tmp_path / "c.db")
  _log(opened, "a")
  reads, ends = threading.Event(), threading.Event()

  def read():
    with opened.read() as db:
      db.execute("SELECT COUNT(*) FROM events").fetchone()  # a snapshot of before
      reads.set()
      ends.wait()

  reader, closer = threading.Thread(target=read), threading.Thread(target=opened.close)
  reader.start()
  reads.wait()
  _log(opened, "b")
  closer.start()
  closer.join(0.1)
  assert closer.is_alive()
  ends.set()
  closer.join()
  reader.join()
  assert _kinds_in_a_copy(tmp_path / "c.db") == ["a", "b"]


def test_a_checkpoint_makes_the_file_whole(tmp_path):
  with store.Store(tmp_path / "c.db") as opened:
    _log(opened, "a")
    with opened.read() as db:
      db.execute("SELECT COUNT(*) FROM events").fetchone()
      _log(opened, "b")
      assert not opened.checkpoint()  # the reader's snapshot needs what was before
      _log(opened, "c")
    assert opened.checkpoint()
    assert (tmp_path / "c.db-wal").stat().st_size == 0
    assert _kinds_in_a_copy(tmp_path / "c.db") == ["a", "b", "c"]


def test_nobody_waits_long_for_a_transaction(tmp_path, monkeypatch):
  monkeypatch.setattr(store, "WAIT_SECONDS", 0.2)

  def refused(opened):
    start = time.monotonic()
    with pytest.raises(sqlite3.OperationalError) as fault, opened.write():
      pass
    assert fault.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return time.monotonic() - start

  with store.Store(tmp_path / "c.db") as opened:
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert 0.1 < refused(opened) < 2
    with opened.read() as db:  # does not wait
      assert not db.execute("SELECT * FROM events").fetchall()
    with store.deadline(time.monotonic()):
      assert refused(opened) < 0.15
    other.close()
    holds, ends = threading.Event(), threading.Event()

    def hold():
      with opened.write():
        holds.set()
        ends.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait()
    assert 0.1 < refused(opened) < 2
    assert not opened.checkpoint()  # that is no fault
    ends.set()
    holder.join()
    _log(opened, "goes on")


def test_a_database_that_another_program_keeps_locked_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(store, "_OPEN_SECONDS", 0.1)
  store.Store(tmp_path / "c.db").close()
  other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
  with contextlib.closing(other):
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DataError, match=r"c\.db: another program keeps the database locked"):
      store.Store(tmp_path / "c.db")


def test_a_write_after_a_disk_that_was_full(tmp_path):
  """Neither COMMIT nor ROLLBACK could be done; the next transaction begins all the same."""
  with store.Store(tmp_path / "c.db") as opened:
    with pytest.raises(sqlite3.DatabaseError), opened.write() as db:
      store.log(db, "lost", 1, now=0.0)
      db.set_authorizer(lambda action, *_: (
          sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK))
    db.set_authorizer(None)
    _log(opened, "stored")
    assert _kinds(opened) == ["stored"]


def _kinds(opened):
  with opened.read() as db:
    return [row["kind"] for row in db.execute("SELECT kind FROM events ORDER BY id")]


def test_a_full_disk_at_the_start_is_named(tmp_path, monkeypatch):
  def full(*_):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error

  monkeypatch.setattr(schema, "migrate", full)
  with pytest.raises(DataError, match=f"c.db: cannot be used now .disk full: {tmp_path}"):
    store.Store(tmp_path / "c.db")
