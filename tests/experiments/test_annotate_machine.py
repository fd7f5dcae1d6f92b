"""experiments.annotate and its machine: the files it leaves, a full disk, what a log may say."""

import contextlib
import errno
import functools
import json
import shutil
import sqlite3
import threading
import time

import pytest

from experiments import annotate
from tal_jax.annotation import campaign, housekeeping, keeping, patience, store
from tal_jax.annotation.active import loop
from tal_jax.annotation.oracles import simulated
from tal_jax.annotation.rules import decisions, shortfall
from tal_jax.checkpoints import Checkpoints
from tal_jax.errors import DataError
from tal_jax.runs import workdir
from tal_jax.runs.campaign import learner as annotate_learner
from tests.annotation import drawn_videos
from tests.experiments.test_annotate import config, rows


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
  pytest.importorskip("av")
  folder = tmp_path_factory.mktemp("drawn")
  return folder, drawn_videos.make(folder, selection=8, testing=4)


@pytest.fixture(scope="module")
def finished(drawn, tmp_path_factory):
  """The work directory of a campaign that has ended."""
  folder = tmp_path_factory.mktemp("finished") / "campaign"
  annotate.run(config(drawn), folder)
  return folder


@contextlib.contextmanager
def served(drawn, folder):
  """The server's role, in a thread; gives what ended it, if it was not the end of the block."""
  ends, errors = threading.Event(), []

  def serve():
    try:
      annotate.run(config(drawn), folder, "server")
    except BaseException as error:
      errors.append(error)

  thread = threading.Thread(target=serve)

  def sleep(seconds, real=time.sleep):
    if ends.is_set() and threading.current_thread() is thread:
      raise KeyboardInterrupt
    real(seconds)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(annotate.time, "sleep", sleep)
    thread.start()
    try:
      yield
    finally:
      ends.set()
      thread.join(60)
  assert [type(error) for error in errors] == [KeyboardInterrupt]


def soon(condition):
  """Whether it comes true within a while."""
  deadline = time.monotonic() + 20
  while not (found := condition()) and time.monotonic() < deadline:
    time.sleep(0.02)
  return found


def test_a_finished_campaign_is_whole_and_private(finished, tmp_path):
  """Nothing is left in a -wal, though pages and exports have read."""
  assert not list(finished.glob("campaign.sqlite-*"))
  copy = shutil.copy(finished / "campaign.sqlite", tmp_path / "copy.sqlite")
  with contextlib.closing(sqlite3.connect(copy)) as db:
    assert db.execute("SELECT state FROM rounds").fetchall() == [("trained",)] * 2
    assert db.execute("SELECT COUNT(*) FROM assignments").fetchone()[0] >= 18
  found = {path.relative_to(finished): path.stat().st_mode & 0o777
           for path in finished.rglob("*")} | {".": finished.stat().st_mode & 0o777}
  assert {mode & 0o077 for mode in found.values()} == {0}, found


def test_a_lost_database_is_not_begun_anew(drawn, finished, tmp_path):
  lost = shutil.copytree(finished, tmp_path / "lost")
  (lost / "campaign.sqlite").unlink()
  with pytest.raises(DataError, match="of an earlier campaign, but campaign.sqlite is missing"):
    annotate.run(config(drawn), lost)
  assert not (lost / "campaign.sqlite").exists()


def test_a_correction_after_the_last_round_is_in_the_file(drawn, finished, tmp_path):
  folder = shutil.copytree(finished, tmp_path / "copy")

  def shown(name):
    database = json.loads((folder / "annotations.json").read_text())["database"]
    return [found["segment"] for found in database[name]["annotations"]]

  with served(drawn, folder), contextlib.closing(store.Store(folder / "campaign.sqlite")) as opened:
    made = campaign.Campaign(opened, campaign.Policy(), time.time)
    with opened.read() as db:
      operator = db.execute("SELECT id FROM workers WHERE role = 'operator'").fetchone()[0]
      task, name = db.execute("SELECT t.id, v.name FROM tasks t JOIN videos v "
                              "ON v.id = t.video_id ORDER BY t.id").fetchone()
    for segment in ([0.25, 0.75], [0.5, 1.5]):
      decisions.adjudicate(made, operator, task, [segment])
      assert soon(lambda segment=segment: shown(name) == [segment])


def test_a_full_disk_does_not_end_the_server(drawn, tmp_path, monkeypatch, capfd):
  faults, advance = [], simulated.Simulated.advance

  def full(self):
    faults.append(1)
    if 2 <= len(faults) <= 5:
      error = sqlite3.OperationalError("database or disk is full")
      error.sqlite_errorcode = sqlite3.SQLITE_FULL
      raise error
    advance(self)

  monkeypatch.setattr(simulated.Simulated, "advance", full)
  with served(drawn, tmp_path):
    assert soon(lambda: len(faults) > 8)
  said = capfd.readouterr().err
  assert said.count(f"disk full: {tmp_path}") == 1 and "the campaign goes on" in said


@pytest.mark.parametrize(("owner", "name"), [
    (simulated.Simulated, "advance"), (keeping.Keeper, "step"), (shortfall.Shortfall, "step")])
def test_an_error_of_the_program_does_not_end_the_server(drawn, tmp_path, monkeypatch, capfd, owner,
                                                         name):
  tries, real = [], getattr(owner, name)

  def broken(self):
    tries.append(1)
    if 2 <= len(tries) <= 5:
      raise KeyError("ours")
    return real(self)

  monkeypatch.setattr(owner, name, broken)
  monkeypatch.setattr(housekeeping, "LONGEST_PAUSE", 0.05)
  with served(drawn, tmp_path):
    assert soon(lambda: len(tries) > 7)
  said = capfd.readouterr().err
  assert said.count("the campaign's housekeeping failed (") == 1
  assert said.count("KeyError: 'ours'; retried in") == 1 and "is done again" in said


def test_links_in_a_log_have_no_tokens():
  token = "aB3_-" * 9
  lines = [f"annotator\tann\thttp://lab:8000/#{token}", "The links are personal."]
  found = annotate._without_tokens(lines)
  assert found[:2] == ["annotator\tann\thttp://lab:8000/#...", "The links are personal."]
  assert "--print_links" in found[2] and len(found) == 3
  assert annotate._without_tokens(lines[1:]) == lines[1:]


def test_a_learner_on_a_full_disk_waits_and_comes_to_the_same(drawn, finished, tmp_path,
                                                              monkeypatch, capfd):
  """Each of its writes fails, one of them half-way; it goes on when there is space."""
  left = {}

  def fails(owner, name, error, times=2):
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
      if threading.current_thread() is threading.main_thread() and left.setdefault(name, times):
        left[name] -= 1
        raise error
      return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)

  no_space, busy = OSError(errno.ENOSPC, "No space left on device"), store.busy("locked")
  fails(workdir, "append_row", no_space, 1)
  original = workdir.append_row

  def half(path, row):
    original(path, row)
    if path.name == "selections.jsonl" and left.setdefault("half", 1):
      left["half"] -= 1
      raise no_space

  monkeypatch.setattr(workdir, "append_row", half)
  fails(Checkpoints, "save", no_space)
  for name in ("record", "open_round", "close", "finish"):
    fails(loop, name, busy)
  monkeypatch.setattr(annotate_learner, "Patience",
                      functools.partial(patience.Patience, seconds=0.01))
  with served(drawn, tmp_path):
    annotate.run(config(drawn), tmp_path, "learner")
  assert not any(left.values()) and len(left) == 7
  assert [{**row, "seconds": 0} for row in rows(tmp_path)] == [
      {**row, "seconds": 0} for row in rows(finished)]
  chosen = [folder / "selections.jsonl" for folder in (tmp_path, finished)]
  assert chosen[0].read_text() == chosen[1].read_text()
  assert f"disk full: {tmp_path}" in capfd.readouterr().err


@pytest.mark.parametrize(("code", "said"), [
    (sqlite3.SQLITE_CORRUPT | 11 << 8, "campaign.sqlite is damaged .*: put a backup back"),
    (sqlite3.SQLITE_FULL, "disk full: .*; mend that, and the same command goes on")])
def test_faults_of_the_database_end_with_a_line(tmp_path, code, said):
  error = sqlite3.DatabaseError("as SQLite says it")
  error.sqlite_errorcode = code
  with pytest.raises(DataError, match=said), annotate._as_data_errors(tmp_path):
    raise error
