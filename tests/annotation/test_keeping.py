"""annotations.json follows decisions and corrections; the database is one whole file after a round.
"""

import contextlib
import json
import shutil
import sqlite3
import threading

import pytest

from tal_jax.annotation import campaign, exports, keeping
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import adjudicate
from tal_jax.annotation.rules.leases import next_task
from tal_jax.errors import DataError
from tests.annotation import campaigns


@pytest.fixture
def kept(make, tmp_path):
  """A campaign of one round of two videos, a worker, an operator, and the keeper of its files."""
  made = make()
  campaigns.ask(made, videos=["v0", "v1"])
  people = campaigns.enrol(made, "ann"), campaigns.enrol(made, "op", "operator")
  return made, *people, keeping.Keeper(made, tmp_path / "annotations.json", clock=made.clock)


def answer(made, worker, segment):
  task = next_task(made, worker).task_id
  submit(made, worker, task, f"answer to {task}", [segment])


def shown(tmp_path):
  """Video -> segments."""
  database = json.loads((tmp_path / "annotations.json").read_text())["database"]
  return {name: [a["segment"] for a in video["annotations"]] for name, video in database.items()}


def test_every_decision_and_correction_is_shown(kept, tmp_path):
  made, ann, operator, keeper = kept
  keeper.step()
  assert not (tmp_path / "annotations.json").exists()  # nothing is decided
  answer(made, ann, (1, 2))
  keeper.step()
  assert shown(tmp_path) == {"v0": [[1, 2]]}
  answer(made, ann, (3, 4))
  campaign.mark_trained(made, 0)
  keeper.step()
  adjudicate(made, operator, 1, [(5, 6), (7, 8)])  # after the last round
  keeper.step()
  assert shown(tmp_path) == {"v0": [[5, 6], [7, 8]], "v1": [[3, 4]]}
  adjudicate(made, operator, 1, [])  # once more
  keeper.step()
  assert shown(tmp_path) == {"v0": [], "v1": [[3, 4]]}


def test_an_export_that_fails_does_not_keep_the_database_in_two_files(kept, monkeypatch):
  made, ann, _, keeper = kept
  answer(made, ann, (1, 2))
  answer(made, ann, (3, 4))
  campaign.mark_trained(made, 0)
  wal = made.store.path.with_name(f"{made.store.path.name}-wal")
  assert wal.stat().st_size
  monkeypatch.setattr(exports, "text", lambda *_: {}["ours"])
  with pytest.raises(KeyError, match="ours"):
    keeper.step()
  assert not wal.stat().st_size


def test_a_keeper_that_starts_again_catches_up(kept, tmp_path):
  made, ann, operator, keeper = kept
  answer(made, ann, (1, 2))
  keeper.step()
  adjudicate(made, operator, 1, [(5, 6)])  # and the process ends before it looks
  keeping.Keeper(made, tmp_path / "annotations.json").step()
  assert shown(tmp_path) == {"v0": [[5, 6]]}


def test_nothing_is_written_for_nothing(kept, tmp_path, monkeypatch):
  made, ann, _, keeper = kept
  answer(made, ann, (1, 2))
  keeper.step()
  monkeypatch.setattr(exports, "write", lambda *_: pytest.fail("written again"))
  next_task(made, ann)  # somebody takes a task
  keeper.step()


def test_a_data_set_that_takes_long_is_written_less_often(kept, tmp_path, monkeypatch):
  made, ann, operator, keeper = kept
  answer(made, ann, (1, 2))
  write, written = exports.write, []

  def slow(*args):
    made.clock.now += 1.5
    written.append(made.clock.now)
    write(*args)

  monkeypatch.setattr(exports, "write", slow)
  keeper.step()
  adjudicate(made, operator, 1, [(5, 6)])
  for _ in range(40):
    made.clock.now += 1
    keeper.step()
  assert len(written) == 2 and written[1] - written[0] == pytest.approx(31.5)
  assert shown(tmp_path) == {"v0": [[5, 6]]}


def test_a_fault_is_made_up_for(kept, tmp_path, monkeypatch):
  made, ann, _, keeper = kept
  answer(made, ann, (1, 2))

  def full(*_):
    raise DataError("cannot write annotations.json: No space left on device")

  with monkeypatch.context() as patched, pytest.raises(DataError):
    patched.setattr(exports, "write", full)
    keeper.step()
  keeper.step()
  assert shown(tmp_path) == {"v0": [[1, 2]]}


def test_the_database_is_whole_after_a_round(kept, tmp_path):
  made, ann, _, keeper = kept
  answer(made, ann, (1, 2))
  answer(made, ann, (3, 4))
  campaign.mark_trained(made, 0)
  with made.store.read() as db:  # in the way of the first look
    db.execute("SELECT COUNT(*) FROM events").fetchone()
    keeper.step()
  keeper.step()
  copy = shutil.copy(made.store.path, tmp_path / "copy.sqlite")
  with contextlib.closing(sqlite3.connect(copy)) as db:
    assert db.execute("SELECT state FROM rounds").fetchall() == [("trained",)]
    assert db.execute("SELECT COUNT(*) FROM assignments").fetchone() == (2,)


def test_two_writers_and_the_last_one_is_the_later_state(kept, tmp_path, monkeypatch):
  """The state is read while nobody else may write: an older one never replaces a newer."""
  made, ann, operator, _ = kept
  answer(made, ann, (1, 2))
  reads, goes_on = threading.Event(), threading.Event()
  read = exports.activitynet

  def slow(*args):
    found = read(*args)
    if threading.current_thread() is first:
      reads.set()
      goes_on.wait()
    return found

  monkeypatch.setitem(exports._TEXTS, "activitynet", lambda made: json.dumps(slow(made)))
  path = tmp_path / "annotations.json"
  first, second = (threading.Thread(target=exports.write, args=(made, path)) for _ in range(2))
  first.start()
  reads.wait()
  adjudicate(made, operator, 1, [(5, 6)])
  second.start()
  second.join(0.1)
  assert second.is_alive()
  goes_on.set()
  first.join()
  second.join()
  assert shown(tmp_path) == {"v0": [[5, 6]]}
