"""The work directory of a campaign: refused where its database was lost, closed to other users."""

import contextlib
import os
import sqlite3

import pytest

from tal_jax.annotation import backup, store
from tal_jax.errors import DataError
from tal_jax.runs.campaign import folder as annotate_folder
from tests.annotation import campaigns


def fill(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def database(folder, rounds=0):
  """A campaign's, with so many rounds."""
  made = campaigns.make(folder / "campaign.sqlite")
  with made.store.write() as db:
    db.executemany("INSERT INTO rounds (id, state, opened_at) VALUES (?, 'trained', 0)",
                   [(number,) for number in range(rounds)])
  made.store.close()


def empty_database(folder):
  """What is left of a database whose -wal had everything."""
  with contextlib.closing(sqlite3.connect(folder / "campaign.sqlite")) as db:
    db.execute("PRAGMA journal_mode = WAL")
  assert (folder / "campaign.sqlite").stat().st_size == 4096


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "selections.jsonl",
                                  "annotations.json", "links.txt", "checkpoints/3/state"])
@pytest.mark.parametrize(("make", "what"), [
    (lambda folder: None, "missing"), (empty_database, "empty"),
    (lambda folder: (folder / "campaign.sqlite").touch(), "empty")])
def test_files_of_a_campaign_without_its_database(tmp_path, name, make, what):
  make(tmp_path)
  fill(tmp_path, name)
  with pytest.raises(DataError, match=(
      f"{name.split('/')[0]}.* of an earlier campaign, but campaign.sqlite is {what}: put the "
      "backup back as .* with the -wal .* or give another --workdir")):
    annotate_folder.check_whole(tmp_path)


@pytest.mark.parametrize("touched", [False, True])
def test_a_wal_without_its_database_is_kept(tmp_path, touched):
  """SQLite would delete it."""
  (tmp_path / "campaign.sqlite-wal").write_bytes(b"answers")
  if touched:
    (tmp_path / "campaign.sqlite").touch()
  with pytest.raises(DataError, match="campaign.sqlite is missing or empty, and campaign.sqlite-"
                                      "wal lies there without it"):
    annotate_folder.check_whole(tmp_path)
  assert (tmp_path / "campaign.sqlite-wal").read_bytes() == b"answers"


def test_a_database_that_is_older_than_the_learner(tmp_path):
  database(tmp_path, rounds=2)
  (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n')
  with pytest.raises(DataError, match="knows 2 rounds, .* results of 3: the database is an older"):
    annotate_folder.check_whole(tmp_path)
  (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n')
  annotate_folder.check_whole(tmp_path)


def test_what_may_go_on(tmp_path):
  annotate_folder.check_whole(tmp_path)  # a new folder
  fill(tmp_path, "setup.lock", "media/probes.json", "notes.txt")
  annotate_folder.check_whole(tmp_path)  # a start that found no videos
  (tmp_path / "campaign.sqlite").touch()
  annotate_folder.check_whole(tmp_path)  # killed while it made the database
  (tmp_path / "campaign.sqlite").unlink()
  database(tmp_path)
  fill(tmp_path, "config.json", "links.txt")
  annotate_folder.check_whole(tmp_path)


def test_a_campaign_that_was_killed_has_all_in_the_wal(tmp_path):
  folder = tmp_path / "killed"
  folder.mkdir()
  with store.Store(tmp_path / "campaign.sqlite") as opened, opened.write() as db:
    db.execute("PRAGMA wal_autocheckpoint = 0")
    for end in ("", "-wal"):
      (folder / f"campaign.sqlite{end}").write_bytes(
          (tmp_path / f"campaign.sqlite{end}").read_bytes())
  assert (folder / "campaign.sqlite").stat().st_size == 4096
  fill(folder, "config.json")
  annotate_folder.check_whole(folder)


def modes(folder):
  return {str(path.relative_to(folder)): path.stat().st_mode & 0o777
          for path in folder.rglob("*")} | {"": folder.stat().st_mode & 0o777}


def test_what_was_open_to_others_is_closed(tmp_path):
  folder = tmp_path / "campaign"
  folder.mkdir()
  database(folder)
  fill(folder, "campaign.sqlite-wal", "links.txt", "media/a.mp4", "checkpoints/0/state/x",
       "annotations.json", "server.lock", "label_studio/completed/x.json", "mine/notes.txt")
  for path in folder.rglob("*"):
    path.chmod(0o755 if path.is_dir() else 0o644)
  folder.chmod(0o755)
  (tmp_path / "outside").mkdir()
  (tmp_path / "outside").chmod(0o755)
  fill(tmp_path / "outside", "video.mp4")
  (tmp_path / "outside" / "video.mp4").chmod(0o644)
  (folder / "media" / "link").symlink_to(tmp_path / "outside")
  line, = annotate_folder.make_private(folder)
  assert line.startswith("Other users could read") and "now only you can" in line
  found = modes(folder)
  assert {found.pop("mine"), found.pop("mine/notes.txt")} == {0o755, 0o644}  # not the campaign's
  assert found.pop("media/link") == 0o755
  for name, mode in found.items():
    assert mode == (0o700 if (folder / name).is_dir() else 0o600), name
  assert (tmp_path / "outside" / "video.mp4").stat().st_mode & 0o777 == 0o644
  assert annotate_folder.make_private(folder) == []


def test_what_belongs_to_somebody_else_is_named(tmp_path, monkeypatch):
  fill(tmp_path, "links.txt")
  (tmp_path / "links.txt").chmod(0o644)
  tmp_path.chmod(0o700)

  def refuse(*_, **__):
    raise PermissionError(1, "Operation not permitted")

  monkeypatch.setattr(os, "chmod", refuse)
  line, = annotate_folder.make_private(tmp_path)
  assert "links.txt, which belong to somebody else" in line


def test_what_is_made_is_private(tmp_path):
  before = os.umask(0o022)
  try:
    with annotate_folder.private():
      database(tmp_path)
      fill(tmp_path, "media/a.mp4")
      opened = store.Store(tmp_path / "campaign.sqlite")
      with opened.write() as db:
        store.log(db, "x", 1, now=0.0)
      assert {mode & 0o077 for name, mode in modes(tmp_path).items() if name} == {0}
      assert len(modes(tmp_path)) == 6  # with the -wal and the -shm
      opened.close()
    (tmp_path / "later").touch()
    assert modes(tmp_path)["later"] == 0o644
  finally:
    os.umask(before)


def test_what_is_no_campaigns_database_is_left_to_the_store(tmp_path):
  (tmp_path / "campaign.sqlite").write_text("text" * 2000)
  fill(tmp_path, "config.json")
  (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
  annotate_folder.check_whole(tmp_path)
  with pytest.raises(DataError, match="cannot be used as a campaign's database"):
    store.Store(tmp_path / "campaign.sqlite")


def test_a_backup_beside_the_wal_of_another_time(tmp_path):
  """SQLite would mix the two without a word."""
  made = campaigns.make(tmp_path / "campaign.sqlite", videos=300)
  backup.write(made.store.path, tmp_path / "backup.sqlite")
  early = made.store.path.read_bytes() if made.store.checkpoint() else None
  with made.store.write() as db:
    db.execute("UPDATE videos SET path = path || hex(zeroblob(300))")
  assert made.store.checkpoint()  # from here on the -wal has only what follows
  with made.store.write() as db:
    db.execute("UPDATE videos SET name = 'w' || id WHERE id % 7 = 0")
  files = [made.store.path.read_bytes(), early, (tmp_path / "backup.sqlite").read_bytes()]
  wal = (tmp_path / "campaign.sqlite-wal").read_bytes()
  made.store.close()
  for number, content in enumerate(files):
    folder = tmp_path / str(number)
    folder.mkdir()
    (folder / "campaign.sqlite").write_bytes(content)
    (folder / "campaign.sqlite-wal").write_bytes(wal)
    if number == 0:
      annotate_folder.check_whole(folder)  # killed
    else:
      with pytest.raises(DataError, match="campaign.sqlite-wal do not belong together"):
        annotate_folder.check_whole(folder)
    assert (folder / "campaign.sqlite").read_bytes() == content
    assert (folder / "campaign.sqlite-wal").read_bytes() == wal
