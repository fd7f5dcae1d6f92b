"""Small campaigns for tests, and what must hold in the database of any campaign at any time."""

import itertools
import sqlite3

import numpy as np
import pytest

from tal_jax.annotation import campaign, store, workers
from tal_jax.annotation.rules.consensus import pair_agreement
from tal_jax.annotation.rules.counting import given as all_given
from tal_jax.annotation.rules.standing import standing


class Clock:
  """Seconds that pass only when a test says so."""

  def __init__(self):
    self.now = 1000.0

  def __call__(self):
    return self.now


def make(path, *, videos=3, **policy):
  """A campaign of `videos` videos of 100 s, v0 to ..., and the classes jump and run; no round."""
  policy = {"annotators": 1, "max_annotators": 3, "lease_seconds": 60.0} | policy
  made = campaign.Campaign(store.Store(path), campaign.Policy(**policy), Clock())
  campaign.add_classes(made, [("jump", "Both feet off the ground."), ("run", "Faster than walk.")])
  campaign.add_videos(made, [campaign.Video(f"v{i}", f"/videos/{i}.mp4", 100.0, 25.0)
                             for i in range(videos)])
  return made


def ask(made, number=0, videos=("v0",), label="jump"):
  """Opens a round and gives the ids of its tasks, in order."""
  campaign.open_round(made, number, [campaign.Ask(video, label) for video in videos])
  return [row["id"] for row in
          select(made, "SELECT id FROM tasks WHERE round_id = ? ORDER BY id", number)]


def enrol(made, name, role="annotator"):
  with made.store.write() as db:
    return workers.enrol(db, name, role=role, seconds=1e6, now=made.clock())[0].id


def select(made, query, *values):
  with made.store.read() as db:
    return [dict(row) for row in db.execute(query, values)]


def askable(made):
  """Names of the videos that a round may still ask for, in the order in which they were added."""
  return [row["name"] for row in select(made, """
      SELECT name FROM videos WHERE state = 'unlabelled' AND id NOT IN (
        SELECT video_id FROM tasks WHERE is_gold = 1) ORDER BY id""")]


def state(made, table, row_id):
  return select(made, f"SELECT state FROM {table} WHERE id = ?", row_id)[0]["state"]


def check(made):
  """Asserts the invariants by counting afresh."""
  everything = select(made, "SELECT * FROM tasks")
  tasks = [task for task in everything if not task["is_gold"]]
  leases = select(made, "SELECT * FROM leases")
  answers = select(made, "SELECT * FROM assignments")
  _check_stopped(made)
  off = {row["worker_id"] for row in select(made, "SELECT * FROM stopped")}
  back = {row["assignment_id"] for row in select(made, "SELECT * FROM taken_back")}
  for task in tasks:
    given = sum(a["task_id"] == task["id"] and a["worker_id"] not in off and a["id"] not in back
                for a in answers)
    held = sum(l["task_id"] == task["id"] and l["state"] == "held" for l in leases)
    left = task["wanted"] - given - held
    assert {"open": left > 0, "leased": left <= 0 and held > 0, "submitted": False,
            "agreed": held == 0, "disputed": held == 0, "adjudicated": held == 0,
            "excluded": held == 0}[task["state"]], task
  decided = {"agreed", "adjudicated"}
  out = {row["video_id"] for row in select(made, "SELECT * FROM excluded")}
  assert out == {v["id"] for v in select(made, "SELECT * FROM videos WHERE state = 'excluded'")}
  assert all((t["state"] == "excluded") == (t["video_id"] in out) for t in tasks)
  for table, column, done in (("videos", "video_id", {"labelled"}),
                              ("rounds", "round_id", {"complete", "trained"})):
    for row in select(made, f"SELECT * FROM {table}"):
      mine = [t["state"] in decided or (table == "rounds" and t["state"] == "excluded")
              for t in tasks if t[column] == row["id"]]
      # An operator may ask again for what is decided; its round stays as it is.
      asked_again = table == "rounds" and row["state"] in done and select(
          made, "SELECT 1 FROM events e JOIN tasks t ON t.id = e.subject_id WHERE t.round_id = ? "
          "AND e.kind = 'tasks.open' AND e.detail LIKE '%replaced%'", row["id"])
      # A closed round goes on without its last tasks.
      closed = table == "rounds" and select(
          made, "SELECT 1 FROM closings WHERE round_id = ?", row["id"])
      assert not closed or row["state"] in done
      # One that has begun while the learner trained is open until the learner has chosen it.
      begun = table == "rounds" and select(
          made, "SELECT 1 FROM begun WHERE round_id = ?", row["id"])
      assert not begun or row["state"] == "open"
      assert asked_again or closed or begun or (
          row["state"] in done) == (bool(mine) and all(mine)), row
      assert (row["state"] != "unlabelled") or not mine
  submitted = {l["id"]: (l["worker_id"], l["task_id"]) for l in leases
               if l["state"] == "submitted"}
  assert {a["lease_id"] for a in answers} <= set(submitted)
  assert {(a["worker_id"], a["task_id"]) for a in answers} == set(submitted.values())
  # Who took an answer back had a lease again for its next version.
  assert 0 <= len(submitted) - len(answers) <= len(select(made, "SELECT id FROM versions"))
  asked = {t["id"]: t["video_id"] for t in everything}
  seen = [(a["worker_id"], a["task_id"]) for a in answers]
  assert len(seen) == len(set(seen)), "a worker answered a task twice"
  at = {(l["worker_id"], asked[l["task_id"]]) for l in leases if l["state"] == "held"}
  assert len(at) == len({worker for worker, _ in at}), "a worker is at two videos"
  gold = [t for t in everything if t["is_gold"]]
  assert not {t["video_id"] for t in gold} & {t["video_id"] for t in tasks}
  assert {(t["state"], t["wanted"], t["agreement"]) for t in gold} <= {("open", 1, None)}
  assert not select(made, "SELECT s.id FROM segments s JOIN tasks t ON t.id = s.task_id "
                    "WHERE t.is_gold AND s.source != 'worker'")
  _check_scores(made, tasks, answers)


def _check_stopped(made):
  """The table of the stopped is what the answers and the policy say."""
  with made.store.read() as db:
    stopped = {row["id"] for row in db.execute("SELECT id FROM workers").fetchall()
               if standing(db, made.policy, row["id"]).state == "stopped"}
  assert stopped == {row["worker_id"] for row in select(made, "SELECT * FROM stopped")}


def _check_scores(made, tasks, answers):
  """The scores are those of the final answers."""
  scores = {s["assignment_id"]: s for s in select(made, "SELECT * FROM scores")}
  assert set(scores) == {a["id"] for a in answers}
  for task in tasks:
    with made.store.read() as db:
      given = all_given(db, task["id"])
    final = np.asarray([(s["start"], s["end"]) for s in select(
        made, "SELECT * FROM segments WHERE task_id = ? AND assignment_id IS NULL", task["id"])])
    for one in given:
      found = scores[one.assignment_id]
      assert (found["worker_id"], found["is_gold"]) == (one.worker_id, 0)
      expected = (None, None)
      beside = len(given) > 1 or task["state"] == "adjudicated"
      if task["state"] in ("agreed", "adjudicated") and beside and not one.unusable:
        expected = pair_agreement(np.reshape(sorted(set(one.segments)), (-1, 2)),
                                  final.reshape(-1, 2), made.policy.match_tiou)
      assert (found["f1"], found["tiou"]) == pytest.approx(expected)


def deny_write(made, fault):
  """Lets the database refuse the write number `fault` from here on, and no other."""
  writes = itertools.count()

  def deny(action, *_):
    writing = action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
    return sqlite3.SQLITE_DENY if writing and next(writes) == fault else sqlite3.SQLITE_OK

  with made.store.write() as db:
    db.set_authorizer(deny)
