"""A visit: one person answers the classes of a video at once; leases, drafts, submissions of it."""

import sqlite3

import pytest

from tal_jax.annotation import campaign, schema, store
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import Conflict, InvalidAnswer, LeaseLost
from tal_jax.annotation.rules.answers import Draft, load_draft, save_draft, submit, submit_all
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import expire, next_visit, release, renew
from tests.annotation import campaigns
from tests.annotation.campaigns import check, enrol, select, state

LABELS = ("jump", "run", "walk")


def opened(made, videos=("v0",), labels=LABELS):
  """A round that asks for all labels in all videos; {(video, label): task}."""
  campaign.add_classes(made, [(label, "") for label in labels])
  campaign.open_round(made, 0, [Ask(v, label) for v in videos for label in labels])
  return {(row["v"], row["c"]): row["id"] for row in select(
      made, "SELECT t.id, v.name AS v, c.name AS c FROM tasks t JOIN videos v ON v.id = t.video_id "
      "JOIN classes c ON c.id = t.class_id WHERE NOT t.is_gold")}


def visit(made, worker):
  found = next_visit(made, worker)
  return found and found.task_ids


def answer(made, worker, segments):
  """Answers all of the next visit alike; its tasks."""
  tasks = visit(made, worker)
  submit_all(made, worker, dict.fromkeys(tasks, segments), f"{worker} {tasks}")
  return tasks


def test_as_many_people_as_answers_are_enough(make):
  """Three classes, three answers of each, three people; each sees each video once."""
  made = make(annotators=3, max_annotators=3)
  opened(made, ("v0", "v1"))
  people = [enrol(made, name) for name in "abc"]
  for tasks in ((1, 2, 3), (4, 5, 6)):
    assert [answer(made, person, [(1, 9)]) for person in people] == [tasks] * 3
    check(made)
  assert {row["state"] for row in select(made, "SELECT state FROM tasks")} == {"agreed"}
  assert state(made, "rounds", 0) == "complete"
  assert [visit(made, person) for person in people] == [None] * 3


def test_a_visit_is_held_renewed_and_given_back_as_a_whole(make):
  made = make()
  opened(made, ("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  assert next_visit(made, ann) == ((1, 2, 3), made.clock() + 60)
  assert visit(made, bob) == (4, 5, 6)
  made.clock.now += 59
  assert renew(made, ann, 2) == (2, made.clock() + 60)
  assert {row["expires_at"] for row in select(
      made, "SELECT expires_at FROM leases WHERE worker_id = ?", ann)} == {made.clock() + 60}
  made.clock.now += 30
  assert expire(made) == 3  # bob's
  assert visit(made, ann) == (1, 2, 3)
  release(made, ann, 3)
  assert [state(made, "tasks", t) for t in (1, 2, 3)] == ["open"] * 3
  assert visit(made, ann) == (4, 5, 6) and visit(made, bob) == (1, 2, 3)
  release(made, bob, 1)
  assert visit(made, bob) is None  # the others are ann's
  check(made)


def test_a_visit_that_was_left_comes_back(make):
  made = make()
  opened(made, ("v0", "v1"))
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  assert visit(made, ann) == (1, 2, 3)
  made.clock.now += 1000
  assert expire(made) == 3
  assert visit(made, ann) == (1, 2, 3)
  made.clock.now += 1000
  expire(made)
  renew(made, ann, 2)  # a page that was asleep takes all of it up again
  assert select(made, "SELECT COUNT(*) AS n FROM leases WHERE state = 'held'") == [{"n": 3}]
  made.clock.now += 1000
  assert visit(made, bob) == (1, 2, 3)
  for refused in (lambda: renew(made, ann, 2), lambda: submit_all(
      made, ann, {1: [], 2: [], 3: []}, "late")):
    with pytest.raises(LeaseLost):
      refused()
  assert visit(made, ann) == (4, 5, 6)


def test_one_submission_is_stored_whole_or_not_at_all(make):
  made = make(annotators=2)
  opened(made)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  visit(made, ann)
  given = {1: [(1, 2)], 2: [], 3: [(5, 6), (3, 4)]}
  for bad, refusal in (({**given, 3: [(0, 101)]}, InvalidAnswer), ({}, InvalidAnswer),
                       ({**given, 99: []}, campaign.NotFound)):
    with pytest.raises(refusal):
      submit_all(made, ann, bad, "s")
    assert not select(made, "SELECT * FROM assignments")
  receipt = submit_all(made, ann, given, "s", "fine")
  before = select(made, "SELECT * FROM events")
  assert submit_all(made, ann, given, "s", "fine") == (receipt.assignment_id, True)
  assert select(made, "SELECT * FROM events") == before
  assert select(made, "SELECT task_id, comment FROM assignments ORDER BY 1") == [
      {"task_id": t, "comment": "fine"} for t in (1, 2, 3)]
  visit(made, bob)
  for worker, other, comment in ((ann, {**given, 2: [(1, 2)]}, "fine"), (ann, given, "other"),
                                 (ann, {1: [(1, 2)]}, "fine"), (bob, given, "fine"),
                                 (bob, {1: [(1, 2)]}, "fine")):
    with pytest.raises(Conflict, match="another answer"):
      submit_all(made, worker, other, "s", comment)
  with pytest.raises(Conflict, match="has your answer"):
    submit_all(made, ann, given, "again")
  with pytest.raises(Conflict, match="another answer"):  # an id that a part of the other has
    submit(made, bob, 1, "s/1", [])
  submit_all(made, bob, given, "t")
  assert {row["state"] for row in select(made, "SELECT state FROM tasks")} == {"agreed"}


def test_of_a_visit_some_may_be_answered_first(make):
  """Who answers a class at a time, as other clients do, keeps the rest."""
  made = make()
  opened(made)
  ann = enrol(made, "ann")
  visit(made, ann)
  save_draft(made, ann, 1, Draft(4, "all three"))
  submit(made, ann, 1, "a", [])
  assert visit(made, ann) == (2, 3) and load_draft(made, ann, 2) == (4, "all three")
  submit_all(made, ann, {2: [], 3: []}, "b")
  assert load_draft(made, ann, 1) is None and visit(made, ann) is None
  assert state(made, "rounds", 0) == "complete"


def test_a_draft_is_of_the_visit(make):
  made = make()
  opened(made)
  ann = enrol(made, "ann")
  visit(made, ann)
  assert save_draft(made, ann, 1, Draft(1, "one"))
  assert not save_draft(made, ann, 3, Draft(1, "other window"))
  assert save_draft(made, ann, 3, Draft(2, "two"))
  assert {load_draft(made, ann, t) for t in (1, 2, 3)} == {(2, "two")}
  submit_all(made, ann, {1: [], 2: [], 3: []}, "s")
  with pytest.raises(LeaseLost):
    save_draft(made, ann, 2, Draft(3, "after"))


def test_one_more_answer_to_one_class_goes_first_to_new_eyes(make):
  made = make(annotators=2, max_annotators=4)
  tasks = opened(made, ("v0", "v1"))
  a, b, c, d = (enrol(made, name) for name in "abcd")
  for person, segments in ((a, [(0, 10)]), (b, [(50, 60)])):
    visit(made, person)
    submit_all(made, person, {1: segments, 2: [], 3: []}, f"{person}")
  assert [state(made, "tasks", t) for t in (1, 2, 3)] == ["open", "agreed", "agreed"]
  assert visit(made, a) == (4, 5, 6)  # they answered that class
  assert visit(made, c) == (1,)
  with made.store.write() as db:  # as a stop or an operator may ask
    db.execute("UPDATE tasks SET wanted = 3, state = 'open' WHERE id = 2")
  submit_all(made, c, {1: [(80, 90)]}, "c")
  assert visit(made, c) == (4, 5, 6)  # not seen yet: before the other class of the first video
  release(made, c, 4)
  assert visit(made, c) == (2,)  # the same eyes, another class
  release(made, c, 2)
  assert visit(made, d) == (tasks["v0", "jump"], tasks["v0", "run"])
  submit_all(made, d, {1: [(80, 90)], 2: []}, "d")


def test_gold_of_a_video_is_one_visit(make):
  made = make(gold_before=3, videos=6)
  add_gold(made, [(f"v{i}", label, [(1, 9)]) for i in (3, 4, 5) for label in LABELS[:2]])
  opened(made, ("v0",))
  ann = enrol(made, "ann")
  first = visit(made, ann)
  assert len(first) == 2 and len(select(
      made, f"SELECT DISTINCT video_id FROM tasks WHERE is_gold AND id IN {first}")) == 1
  submit_all(made, ann, dict.fromkeys(first, [(1, 9)]), "gold")
  second = visit(made, ann)
  assert len(second) == 2 and not set(first) & set(second)
  submit(made, ann, second[0], "three", [(1, 9)])
  release(made, ann, second[1])
  real = {row["id"] for row in select(made, "SELECT id FROM tasks WHERE NOT is_gold")}
  assert set(visit(made, ann)) == real


def test_whoever_gives_gold_back_can_still_qualify(make):
  """Also of a video of which they answered another class."""
  made = make(gold_before=2, videos=6)
  add_gold(made, [("v4", "jump", []), ("v4", "run", []), ("v5", "jump", [])])
  opened(made, ("v0",))
  ann = enrol(made, "ann")
  while len(tasks := visit(made, ann)) < 2:
    release(made, ann, tasks[0])
  submit(made, ann, tasks[0], "one", [])
  release(made, ann, tasks[1])
  seen = set()
  for _ in range(2):
    one, = visit(made, ann)
    seen.add(one)
    release(made, ann, one)
  submit(made, ann, visit(made, ann)[0], "two", [])
  assert visit(made, ann) == tuple(
      row["id"] for row in select(made, "SELECT id FROM tasks WHERE NOT is_gold ORDER BY id"))


def test_a_stopped_worker_gives_the_visit_back(make):
  made = make(annotators=3, min_worker_f1=0.5, min_compared=1)
  opened(made, ("v0", "v1"))
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  answer(made, ann, [(0, 10)])
  assert visit(made, ann) == (4, 5, 6)
  for person in (bob, cleo):
    answer(made, person, [(50, 60)])
  assert visit(made, ann) is None
  assert not select(made, "SELECT * FROM leases WHERE state = 'held'")
  check(made)


def test_a_crowd_answers_one_class_for_one_seat(make):
  made = make(annotators=1)
  opened(made)
  ann = enrol(made, "ann")
  with made.store.write() as db:
    db.execute("INSERT INTO hits VALUES (1, 1, 't', 'H', 'token', 'published', 1, 1, 0, 0)")
    db.execute("INSERT INTO crowd VALUES ('mturk:A', 1, ?, NULL, 'accepted', 0)", (ann,))
  assert visit(made, ann) == (1,)
  made.clock.now += 1000
  expire(made)
  renew(made, ann, 1)
  assert select(made, "SELECT task_id FROM leases WHERE state = 'held'") == [{"task_id": 1}]
  submit(made, ann, 1, "s", [])
  assert visit(made, ann) == (2,)


def test_the_database_lets_nobody_hold_two_videos(make):
  made = make()
  opened(made, ("v0", "v1"))
  ann = enrol(made, "ann")
  visit(made, ann)
  for task, refusal in ((4, "one video"), (1, "UNIQUE")):
    with pytest.raises(sqlite3.IntegrityError, match=refusal), made.store.write() as db:
      db.execute("INSERT INTO leases (task_id, worker_id, granted_at, expires_at) "
                 "VALUES (?, ?, 0, 9e9)", (task, ann))


def test_an_older_campaign_goes_on(tmp_path):
  """Its people hold one class of a video; they get the others when they have answered it."""
  before = next(i for i, m in enumerate(schema.MIGRATIONS) if any("together" in s for s in m))
  path = tmp_path / "old.db"
  with store.Store(path, schema.MIGRATIONS[:before]) as old, old.write() as db:
    db.execute("INSERT INTO videos (id, name, path, media_path, duration, fps, state) "
               "VALUES (1, 'v0', '/v', '/v', 100, 25, 'asked')")
    db.executemany("INSERT INTO classes (id, name, instructions) VALUES (?, ?, '')",
                   enumerate(LABELS, 1))
    db.execute("INSERT INTO rounds (id, opened_at) VALUES (0, 0)")
    db.executemany("INSERT INTO tasks (id, round_id, video_id, class_id, state, wanted) "
                   "VALUES (?, 0, 1, ?, ?, 1)", [(1, 1, "agreed"), (2, 2, "leased"),
                                                 (3, 3, "open")])
    db.execute("INSERT INTO workers VALUES (1, 'ann', 'annotator', zeroblob(32), 9e9, NULL)")
    db.execute("INSERT INTO leases VALUES (1, 2, 1, 'held', 0, 9e9)")
    db.execute("INSERT INTO drafts VALUES (2, 1, 7, 'mine', 0)")
  made = campaign.Campaign(store.Store(path), campaign.Policy(annotators=1), campaigns.Clock())
  with made.store:
    assert visit(made, 1) == (2,) and load_draft(made, 1, 2) == (7, "mine")
    submit(made, 1, 2, "s", [])
    assert answer(made, 1, []) == (3,)
    check(made)
    assert state(made, "rounds", 0) == "complete"
