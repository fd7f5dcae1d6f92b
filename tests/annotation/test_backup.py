"""Backups: complete while the campaign runs, private, and never in place of another file."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from tal_jax.annotation import backup, campaign, store
from tal_jax.errors import DataError
from tests.annotation import campaigns, submitter


def test_a_backup_has_what_the_wal_has_and_opens(tmp_path):
  made = campaigns.make(tmp_path / "campaign.sqlite")
  campaigns.ask(made, videos=["v0", "v1"])
  worker = campaigns.enrol(made, "ann")
  with made.store.write() as db:
    db.execute("PRAGMA wal_autocheckpoint = 0")
  submitter.work(made, worker, lambda *_: None)
  assert (tmp_path / "campaign.sqlite").stat().st_size <= 4096  # all is in the -wal
  assert backup.write(made.store.path, tmp_path / "b.sqlite") == 2
  assert (tmp_path / "b.sqlite").stat().st_mode & 0o777 == 0o600
  assert {file.name for file in tmp_path.iterdir()} == {
      "b.sqlite", *(f"campaign.sqlite{end}" for end in ("", "-wal", "-shm"))}
  expected = [campaigns.select(made, f"SELECT * FROM {table}") for table in ("segments", "events")]
  made.store.close()
  put_back = tmp_path / "elsewhere"
  put_back.mkdir()
  shutil.copy(tmp_path / "b.sqlite", put_back / "campaign.sqlite")
  with store.Store(put_back / "campaign.sqlite") as opened:
    again = made._replace(store=opened)
    campaigns.check(again)
    assert expected == [campaigns.select(again, f"SELECT * FROM {table}")
                        for table in ("segments", "events")]


def test_backups_while_many_answer(tmp_path):
  """Each backup is a state that the campaign had: its invariants hold, and none loses answers."""
  path = tmp_path / "campaign.sqlite"
  made = campaigns.make(path, videos=40, annotators=3)._replace(policy=submitter.POLICY)
  campaigns.ask(made, videos=[f"v{i}" for i in range(40)])
  workers = [campaigns.enrol(made, f"w{i}") for i in range(3)]
  acknowledged = []
  threads = [threading.Thread(target=submitter.work, args=(
      made, worker, lambda *answer: acknowledged.append(answer))) for worker in workers]
  for thread in threads:
    thread.start()
  backups = []
  while any(thread.is_alive() for thread in threads):
    least = len(acknowledged)
    backups.append(tmp_path / f"b{len(backups)}.sqlite")
    assert backup.write(path, backups[-1]) >= least
  made.store.close()
  assert len(acknowledged) == 120 and len(backups) > 1
  for file in backups:
    with store.Store(file) as opened:
      campaigns.check(campaign.Campaign(opened, submitter.POLICY, made.clock))


def test_a_backup_replaces_nothing(tmp_path):
  campaigns.make(tmp_path / "campaign.sqlite").store.close()
  (tmp_path / "mine").write_text("mine")
  (tmp_path / "link").symlink_to(tmp_path / "nowhere")
  for name in ("mine", "link", "campaign.sqlite"):
    with pytest.raises(DataError, match=f"{name} exists: a backup replaces nothing"):
      backup.write(tmp_path / "campaign.sqlite", tmp_path / name)
  assert (tmp_path / "mine").read_text() == "mine"


def test_what_cannot_be_kept(tmp_path):
  with pytest.raises(DataError, match=r"campaign.sqlite does not exist: give the work directory"):
    backup.write(tmp_path / "campaign.sqlite", tmp_path / "b")
  with contextlib.closing(sqlite3.connect(tmp_path / "empty")) as db:
    db.execute("PRAGMA journal_mode = WAL")
  with pytest.raises(DataError, match=r"empty is empty: there is nothing to keep"):
    backup.write(tmp_path / "empty", tmp_path / "b")
  (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 50)
  with pytest.raises(DataError, match=r"cannot copy .*text to .*b: file is not a database"):
    backup.write(tmp_path / "text", tmp_path / "b")
  campaigns.make(tmp_path / "c").store.close()
  with pytest.raises(DataError, match=r"cannot write .*absent/b: No such file"):
    backup.write(tmp_path / "c", tmp_path / "absent" / "b")
  assert not list(tmp_path.glob("*.part")) and not (tmp_path / "b").exists()


def test_the_command(tmp_path):
  campaigns.make(tmp_path / "campaign.sqlite").store.close()
  command = [sys.executable, "-m", "experiments.annotate_backup", f"--workdir={tmp_path}",
             f"--output={tmp_path / 'b.sqlite'}"]
  done = subprocess.run(command, capture_output=True, text=True, timeout=60)
  assert done.returncode == 0 and "b.sqlite: 0 answers" in done.stdout
  again = subprocess.run(command, capture_output=True, text=True, timeout=60)
  assert again.returncode == 2 and "exists" in again.stderr and "Traceback" not in again.stderr
