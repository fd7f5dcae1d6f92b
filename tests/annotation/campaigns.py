"""Small campaigns for tests, and what must hold in the database of any campaign at any time."""

import numpy as np
import pytest

from tal_jax.annotation import campaign, store, workers
from tal_jax.annotation.consensus import consensus


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


def state(made, table, row_id):
  return select(made, f"SELECT state FROM {table} WHERE id = ?", row_id)[0]["state"]


def check(made):
  """Asserts the invariants by counting afresh."""
  everything = select(made, "SELECT * FROM tasks")
  tasks = [task for task in everything if not task["is_gold"]]
  leases = select(made, "SELECT * FROM leases")
  answers = select(made, "SELECT * FROM assignments")
  for task in tasks:
    given = sum(a["task_id"] == task["id"] for a in answers)
    held = sum(l["task_id"] == task["id"] and l["state"] == "held" for l in leases)
    left = task["wanted"] - given - held
    assert {"open": left > 0, "leased": left == 0 and held > 0, "submitted": False,
            "agreed": left == held == 0, "disputed": held == 0, "adjudicated": held == 0
            }[task["state"]], task
  decided = {"agreed", "adjudicated"}
  for table, column, done in (("videos", "video_id", {"labelled"}),
                              ("rounds", "round_id", {"complete", "trained"})):
    for row in select(made, f"SELECT * FROM {table}"):
      mine = [t["state"] in decided for t in tasks if t[column] == row["id"]]
      assert (row["state"] in done) == (bool(mine) and all(mine)), row
      assert (row["state"] != "unlabelled") or not mine
  assert sorted(a["lease_id"] for a in answers) == sorted(
      l["id"] for l in leases if l["state"] == "submitted")
  asked = {t["id"]: t["video_id"] for t in everything}
  seen = [(a["worker_id"], asked[a["task_id"]]) for a in answers]
  assert len(seen) == len(set(seen)), "a worker answered a video twice"
  gold = [t for t in everything if t["is_gold"]]
  assert not {t["video_id"] for t in gold} & {t["video_id"] for t in tasks}
  assert {(t["state"], t["wanted"], t["agreement"]) for t in gold} <= {("open", 1, None)}
  assert not select(made, "SELECT s.id FROM segments s JOIN tasks t ON t.id = s.task_id "
                    "WHERE t.is_gold AND s.source != 'worker'")
  _check_scores(made, tasks, answers)


def _check_scores(made, tasks, answers):
  """The scores that grew answer by answer are those that all answers give at once."""
  scores = {s["assignment_id"]: s for s in select(made, "SELECT * FROM scores")}
  assert set(scores) == {a["id"] for a in answers}
  for task in tasks:
    mine = [a for a in answers if a["task_id"] == task["id"]]
    if not mine:
      continue
    result = consensus([np.asarray([(s["start"], s["end"]) for s in select(
        made, "SELECT * FROM segments WHERE assignment_id = ?", a["id"])]) for a in mine],
                       match_tiou=made.policy.match_tiou)
    for answer, f1, tiou in zip(mine, result.worker_f1, result.worker_tiou, strict=True):
      found = scores[answer["id"]]
      assert (found["worker_id"], found["is_gold"]) == (answer["worker_id"], 0)
      assert found["others"] == len(mine) - 1
      expected = (f1, tiou) if len(mine) > 1 else (None, None)
      assert (found["f1"], found["tiou"]) == pytest.approx(expected)
