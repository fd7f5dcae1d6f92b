"""SIGKILL in the middle of submissions: what was acknowledged is there, and nothing is twice."""

import itertools
import pathlib
import signal
import sqlite3
import subprocess
import sys

import pytest

from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import final_answers
from tal_jax.annotation.rules.leases import next_task
from tests.annotation import campaigns, submitter

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_VIDEOS = 60
_KILLS = (13, 58, 41)  # acknowledged answers after which the process is killed


def _campaign(path):
  made = campaigns.make(path, videos=_VIDEOS, **submitter.POLICY._asdict())
  campaigns.ask(made, videos=[f"v{i}" for i in range(_VIDEOS)])
  return made, [campaigns.enrol(made, name) for name in "abc"]


def _start(path, workers):
  return subprocess.Popen(
      [sys.executable, "-m", "tests.annotation.submitter", str(path), *map(str, workers)],
      cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def _pairs(lines):
  return [tuple(map(int, line.split())) for line in lines]


def _stored(made):
  """(worker, task) -> segments of every answer; fails if one is there twice."""
  rows = campaigns.select(made, "SELECT id, worker_id, task_id, submission_id FROM assignments")
  found = {(row["worker_id"], row["task_id"]): [
      (s["start"], s["end"]) for s in campaigns.select(
          made, "SELECT * FROM segments WHERE assignment_id = ? ORDER BY start", row["id"])]
           for row in rows}
  assert len(found) == len(rows)
  return found


def test_killed_again_and_again(tmp_path):
  path = tmp_path / "killed.db"
  made, workers = _campaign(path)
  acknowledged = []
  for count in _KILLS:
    with _start(path, workers) as process:
      lines = [process.stdout.readline() for _ in range(count)]
      process.kill()
      lines += process.stdout.readlines()  # acknowledged before the kill, read after it
    assert process.returncode == -signal.SIGKILL
    acknowledged += _pairs(lines)
    campaigns.check(made)
    stored = _stored(made)
    assert set(acknowledged) <= set(stored)
    assert len(stored) < 3 * _VIDEOS, "the process had finished: it was not killed at work"
    assert all(segments == submitter.answer(*key) for key, segments in stored.items())
  assert len(acknowledged) == len(set(acknowledged)) >= sum(_KILLS)
  for worker, task in acknowledged:  # the clients did not hear in time, and send again
    assert submit(made, worker, task, submitter.submission_id(worker, task),
                  submitter.answer(worker, task), submitter.COMMENT).replayed
  assert _stored(made) == stored
  with _start(path, workers) as process:
    acknowledged += _pairs(process.stdout.readlines())
  assert process.returncode == 0
  campaigns.check(made)
  stored = _stored(made)
  assert set(acknowledged) <= set(stored)
  assert len(stored) == 3 * _VIDEOS
  assert campaigns.state(made, "rounds", 0) == "complete"

  undisturbed, workers = _campaign(tmp_path / "undisturbed.db")
  for worker in workers:
    submitter.work(undisturbed, worker, acknowledge=lambda *_: None)
  assert final_answers(made, 0) == final_answers(undisturbed, 0)
  made.store.close()
  undisturbed.store.close()


def test_a_fault_at_any_write_of_a_submission(tmp_path):
  """The n-th writing statement fails, as on a full disk: the answer is there wholly or not."""
  made = campaigns.make(tmp_path / "c.db")
  campaigns.ask(made)
  worker = campaigns.enrol(made, "ann")
  next_task(made, worker)
  tables = ("assignments", "segments", "leases", "tasks", "videos", "rounds", "events")
  before = [campaigns.select(made, f"SELECT * FROM {table}") for table in tables]
  for fault in itertools.count():
    campaigns.deny_write(made, fault)
    try:
      submit(made, worker, 1, "s", [(1.0, 2.0)])
      break
    except sqlite3.DatabaseError:
      after = [campaigns.select(made, f"SELECT * FROM {table}") for table in tables]
      assert after == before
  with made.store.write() as db:
    db.set_authorizer(None)
  assert fault >= 10
  assert campaigns.state(made, "rounds", 0) == "complete"
  campaigns.check(made)
  made.store.close()
