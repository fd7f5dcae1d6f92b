"""A campaign whose database is of an earlier version goes on."""

from tal_jax.annotation import schema
from tal_jax.annotation.campaign import Campaign, Policy
from tal_jax.annotation.rules import exclusions
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import final_answers, recount_all
from tal_jax.annotation.rules.leases import next_task
from tal_jax.annotation.store import Store
from tests.annotation import campaigns
from tests.annotation.campaigns import check, enrol, select, state

_WORKERS = ("ann", "bob", "eve")


def test_scores_are_made_anew_and_videos_can_be_excluded(tmp_path):
  """ann and bob agree on v0, eve does not; on v1 there are eve's and ann's answers."""
  path = tmp_path / "c.db"
  with Store(path, schema.MIGRATIONS[:3]) as opened, opened.write() as db:
    for i in range(3):
      db.execute("INSERT INTO videos (name, path, media_path, duration, fps, state) "
                 "VALUES (?, 'p', 'p', 100, 25, ?)", (f"v{i}", ("labelled", "asked", "asked")[i]))
    db.execute("INSERT INTO classes (name, instructions) VALUES ('jump', '')")
    db.execute("INSERT INTO rounds VALUES (0, 'open', 0)")
    for i, task in enumerate(("agreed", "open", "open")):
      db.execute("INSERT INTO tasks (round_id, video_id, class_id, state, wanted, agreement) "
                 "VALUES (0, ?, 1, ?, 3, 0.33)", (i + 1, task))
    for i, name in enumerate(_WORKERS):
      db.execute("INSERT INTO workers VALUES (NULL, ?, 'annotator', ?, 1e9, NULL)",
                 (name, bytes([i]) * 32))
    number = 0
    for task, worker, start in ((1, 1, 0), (1, 2, 0), (1, 3, 50), (2, 3, 50), (2, 1, 0)):
      number += 1
      db.execute("INSERT INTO leases VALUES (?, ?, ?, 'submitted', 0, 1)", (number, task, worker))
      db.execute("INSERT INTO assignments VALUES (?, ?, ?, ?, ?, '', 1)",
                 (number, f"s{number}", task, worker, number))
      db.execute("INSERT INTO segments VALUES (NULL, ?, ?, ?, ?, 'worker', NULL, NULL)",
                 (task, number, start, start + 10))
      # As they were: means over the others, by which ann would be stopped as well.
      db.execute("INSERT INTO scores VALUES (?, ?, 0, 2, 0.25, 0.25)", (number, worker))
    db.execute("INSERT INTO segments VALUES (NULL, 1, NULL, 0, 10, 'consensus', 0.3, 0.67)")
  made = Campaign(Store(path), Policy(annotators=2, max_annotators=3, min_worker_f1=0.5,
                                      min_compared=1), campaigns.Clock())
  with made.store:
    recount_all(made)
    assert select(made, "SELECT worker_id, f1 FROM scores ORDER BY assignment_id") == [
        {"worker_id": 1, "f1": 1.0}, {"worker_id": 2, "f1": 1.0}, {"worker_id": 3, "f1": 0.0},
        {"worker_id": 3, "f1": None}, {"worker_id": 1, "f1": None}]
    assert select(made, "SELECT worker_id FROM stopped") == [{"worker_id": 3}]
    check(made)
    cleo = enrol(made, "cleo")  # with ann's answer the two that are wanted
    submit(made, cleo, next_task(made, cleo).task_id, "c", [(0, 10)])
    assert [f.video for f in final_answers(made, 0)] == ["v0", "v1"]
    exclusions.exclude(made, "v2", "damaged")
    assert state(made, "rounds", 0) == "complete"
    check(made)
