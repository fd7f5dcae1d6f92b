"""A campaign ends, or says what it waits for: who can still answer, and what is told."""

import itertools

import pytest

from tal_jax.annotation import campaign, workers
from tal_jax.annotation.campaign import Ask, require_gold
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.oracles import links
from tal_jax.annotation.oracles.local import Local
from tal_jax.annotation.rules import people
from tal_jax.annotation.rules.answers import submit, submit_all
from tal_jax.annotation.rules.corrections import undo
from tal_jax.annotation.rules.decisions import adjudicate, dispute, recount_all
from tal_jax.annotation.rules.exclusions import exclude
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_visit, release
from tal_jax.annotation.rules.second_thoughts import ask_again
from tal_jax.annotation.rules.shortfall import Shortfall, lines
from tal_jax.annotation.web import server
from tal_jax.errors import DataError
from tests.annotation import serving, sites
from tests.annotation.campaigns import ask, check, enrol, select

LABELS = ("jump", "run", "walk")


def named_only(made):
  with made.store.write() as db:
    people.set_named_only(db, True)


def revoke(made, worker):
  with made.store.write() as db:
    workers.revoke(db, worker, now=made.clock())


def missing(made):
  """{task: people missing}."""
  with made.store.read() as db:
    return {s.task_id: s.missing for s in people.shortages(db, made.policy, made.clock())}


# Who answers what, by the person's number: everybody alike; everybody otherwise; only the second
# class is in dispute; the first person gives everything back, or never comes.
BEHAVIOURS = {
    "alike": lambda person, label: [(0, 10)],
    "otherwise": lambda person, label: [(10 * person, 10 * person + 5)],
    "one class otherwise": lambda person, label: (
        [(18 * person, 18 * person + 9)] if label == "run" else [(0, 90)]),
    "first skips": lambda person, label: (
        None if person == 0 else [(18 * person, 18 * person + 9)]),
    "first never comes": lambda person, label: () if person == 0 else [(0, 10)],
}
SMALL = [(c, p, a, m) for c, p, a, m in itertools.product((1, 2, 3), range(1, 6), (1, 2, 3),
                                                          range(1, 6)) if a <= m]


def run_out(made, persons, behaviour):
  """Everybody works until nobody gets anything more."""
  while True:
    moved = False
    for number, worker in enumerate(persons):
      if behaviour(number, "jump") == ():
        continue
      visit = next_visit(made, worker)
      if visit is None:
        continue
      moved = True
      labels = {row["id"]: row["name"] for row in select(
          made, "SELECT t.id, c.name FROM tasks t JOIN classes c ON c.id = t.class_id")}
      given = {task: behaviour(number, labels[task]) for task in visit.task_ids}
      if None in given.values():
        release(made, worker, visit.task_ids[0])
      else:
        submit_all(made, worker, given, f"{worker} {visit.task_ids}")
    if not moved:
      return


def test_a_dispute_is_judged_again_when_somebody_is_invited(make, tmp_path):
  """Whether by the page, by another name at a start, or as one who works again."""
  made = make(annotators=2, max_annotators=4)
  named_only(made)
  task, taken = ask(made, videos=("v0", "v1"))
  operator, who = enrol(made, "op", "operator"), [enrol(made, name) for name in "ab"]
  for worker, segment in zip(who, ((0, 10), (50, 60)), strict=True):
    for _ in range(2):
      visit = next_visit(made, worker)
      submit(made, worker, visit.task_ids[0], f"{worker} {visit.task_ids}", [segment])
  ask_again(made, operator, taken)
  dispute(made, operator, taken)  # by an operator's word: it stays theirs
  assert select(made, "SELECT state FROM tasks") == [{"state": "disputed"}] * 2

  def states():
    check(made)
    return [(row["state"], row["wanted"]) for row in select(made, "SELECT * FROM tasks")]

  def invite(name):
    links.write_links(made, [links.Person(name, "annotator")], folder=tmp_path,
                      address="http://x", days=1.0)

  before = states()
  invite("c")
  assert states() == [("open", 3), before[1]]
  with made.store.read() as db:
    c, = db.execute("SELECT id FROM workers WHERE name = 'c'").fetchone()
  submit(made, c, next_visit(made, c).task_ids[0], "c", [(80, 90)])
  assert states() == [("disputed", 3), before[1]]
  invite("c")  # nobody new
  assert states() == [("disputed", 3), before[1]]
  app = server.build_app(made, title="x")
  with serving.running(app) as url:
    token = serving.enrol(made, "second operator", "operator")
    with sites.client_of(url, token) as client:
      assert client.post("/api/workers", json={
          "name": "d", "role": "annotator", "days": 1}).status_code == 200
  assert states() == [("open", 4), before[1]]


def test_a_larger_limit_is_followed_at_a_start(make):
  made = make(annotators=1, max_annotators=1)
  task, = ask(made)
  ann = enrol(made, "ann")
  enrol(made, "bob")
  with made.store.write() as db:
    db.execute("UPDATE tasks SET wanted = 2")
  made = made._replace(policy=made.policy._replace(annotators=2, max_annotators=2))
  for worker, segment in ((ann, (0, 10)), (ann + 1, (50, 60))):
    submit(made, worker, next_visit(made, worker).task_ids[0], f"{worker}", [segment])
  assert select(made, "SELECT state FROM tasks")[0]["state"] == "disputed"
  recount_all(made)
  assert select(made, "SELECT state FROM tasks")[0]["state"] == "disputed"
  recount_all(made._replace(policy=made.policy._replace(max_annotators=3)))
  assert select(made, "SELECT state, wanted FROM tasks") == [{"state": "open", "wanted": 3}]


def give_up(made, worker, operator, tasks):
  """The person who never came is sent away; what that leaves undecided is named, and decided."""
  revoke(made, worker)
  for task in tasks:
    assert task in missing(made)
    dispute(made, operator, task)
    adjudicate(made, operator, task, [])


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_every_small_campaign_ends_or_says_what_it_waits_for(make, tmp_path, behaviour):
  """Classes, people, answers wanted at first and at most: all combinations of a few.

  In the end each task is decided, or in dispute before an operator, or it is said how many people
  it lacks; and where too few are named, the campaign does not start.
  """
  made = make(videos=1)
  made.store._db.execute("PRAGMA synchronous = OFF")
  campaign.add_classes(made, [(label, "") for label in LABELS])
  operator = enrol(made, "op", "operator")
  ends = set()
  for classes, persons, annotators, most in SMALL:
    made = made._replace(policy=made.policy._replace(annotators=annotators, max_annotators=most))
    settings = {"annotators": [f"p{i}" for i in range(persons)]}
    if persons < annotators:
      with pytest.raises(DataError, match=f"answers of {annotators}"):
        Local.make(made, settings, tmp_path)
      continue
    Local.make(made, settings, tmp_path)
    with made.store.write() as db:
      number = db.execute("SELECT COUNT(*) FROM rounds").fetchone()[0]
      db.execute("UPDATE rounds SET state = 'trained'")
      db.execute("UPDATE workers SET token_revoked_at = 0 WHERE role = 'annotator'")
      people.set_named_only(db, True)
    campaign.add_videos(made, [campaign.Video(f"n{number}", "/v", 100.0, 25.0)])
    campaign.open_round(made, number, [Ask(f"n{number}", label) for label in LABELS[:classes]])
    who = [enrol(made, f"r{number} p{i}") for i in range(persons)]
    assert not missing(made)
    run_out(made, who, BEHAVIOURS[behaviour])
    lacks = missing(made)
    tasks = select(made, "SELECT id, state, wanted FROM tasks WHERE round_id = ?", number)
    for task in tasks:
      where = (classes, persons, annotators, most, task)
      if task["state"] in ("open", "leased"):
        assert behaviour in ("first skips", "first never comes"), where
        assert lacks.pop(task["id"], 0) == (
            task["wanted"] - persons + 1 if behaviour == "first skips" else 0), where
        if behaviour == "first never comes":
          continue  # the person is able: it is their turn
        ends.add("named")
      elif task["state"] == "disputed":
        adjudicate(made, operator, task["id"], [])
        ends.add("disputed")
      else:
        assert task["state"] == "agreed", where
        ends.add("agreed")
    assert not lacks
    give_up(made, who[0], operator, [row["id"] for row in select(
        made, "SELECT id FROM tasks WHERE state IN ('open', 'leased')")])
  assert ends >= {"alike": {"agreed"}, "otherwise": {"agreed", "disputed"},
                  "one class otherwise": {"agreed", "disputed"},
                  "first skips": {"agreed", "disputed", "named"},
                  "first never comes": {"agreed"}}[behaviour]


def test_a_dispute_goes_to_the_operator_when_nobody_is_left(make):
  """Where others may come, it waits for them."""
  for named, expected in ((False, "open"), (True, "disputed")):
    made = make(annotators=2, max_annotators=5)
    task, = ask(made)
    if named:
      named_only(made)
    for person, segments in ((enrol(made, "a"), [(0, 10)]), (enrol(made, "b"), [(50, 60)])):
      submit(made, person, next_visit(made, person).task_ids[0], f"{person}", segments)
    assert select(made, "SELECT state FROM tasks WHERE id = ?", task) == [{"state": expected}]


def test_who_is_able(make):
  made = make(annotators=2, videos=3)
  task, other = ask(made, videos=("v0", "v1"))
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  operator = enrol(made, "op", "operator")
  assert missing(made) == {}
  submit(made, ann, next_visit(made, ann).task_ids[0], "s", [])
  assert missing(made) == {}  # bob or cleo
  revoke(made, bob)
  assert missing(made) == {}
  assert next_visit(made, cleo).task_ids == (task,)
  release(made, cleo, task)
  assert missing(made) == {task: 1}
  assert next_visit(made, operator).task_ids == (task,)
  assert missing(made) == {}  # the operator is at it
  release(made, operator, task)
  made.clock.now += 2e6  # the links expire
  assert missing(made) == {task: 1, other: 2}


def test_who_can_never_qualify_is_not_able(make):
  made = make(annotators=1, videos=4, gold_before=2)
  add_gold(made, [("v2", "jump", []), ("v3", "jump", [])])
  task, = ask(made)
  ann = enrol(made, "ann")
  assert missing(made) == {}
  raised = made._replace(policy=made.policy._replace(gold_before=3))
  assert missing(raised) == {task: 1}
  with pytest.raises(Conflict, match="wants 3 gold videos"), made.store.read() as db:
    require_gold(db, raised.policy)
  submit(made, ann, next_visit(made, ann).task_ids[0], "s", [(0, 50)])
  submit(made, ann, next_visit(made, ann).task_ids[0], "t", [(0, 50)])
  assert missing(made) == {task: 1}  # stopped


def test_gold_that_cannot_be_shown_is_missing(make):
  made = make(annotators=1, videos=3, gold_before=2)
  add_gold(made, [("v1", "jump", []), ("v2", "jump", [])])
  task, = ask(made)
  enrol(made, "ann")
  said = []
  look = Shortfall(made, said.append)
  look.step()
  assert said == []
  exclude(made, "v2", "damaged")
  look.step()
  look.step()
  assert said == ["task 3 (v0, jump) wants 1 more person than can still answer it: invite somebody",
                  "nobody new can qualify: there are 1 gold tasks less than "
                  "campaign.policy.gold_before: add gold, or ask for less"]
  assert missing(made) == {task: 1}
  with pytest.raises(Conflict, match="there are 1"), made.store.read() as db:
    require_gold(db, made.policy)


def test_what_is_told_once_a_change(make):
  made = make(annotators=2, videos=8)
  tasks = ask(made, videos=[f"v{i}" for i in range(8)])
  said = []
  look = Shortfall(made, said.append)
  ann = enrol(made, "ann")

  def step():
    said.clear()
    look.step()
    return list(said)

  assert step() == ["8 tasks want 1 more person than can still answer them: invite somebody (tasks "
                    "1, 2, 3, 4, 5 and 3 others)"]
  assert step() == []
  bob = enrol(made, "bob")
  assert step() == ["enough people again for every task"]
  next_visit(made, bob)
  release(made, bob, tasks[0])
  assert step() == ["task 1 (v0, jump) wants 1 more person than can still answer it: invite "
                    "somebody"]
  submit(made, ann, next_visit(made, ann).task_ids[0], "s", [])
  assert step() == []  # as many as before
  revoke(made, bob)
  assert step() == ["7 tasks want 1 more person than can still answer them: invite somebody (tasks "
                    "2, 3, 4, 5, 6 and 2 others)"]
  made.clock.now += 2e6
  assert step() == ["7 tasks want 2 more people than can still answer them: invite somebody (tasks "
                    "2, 3, 4, 5, 6 and 2 others)"]
  assert lines([]) == []


def test_disputes_that_no_operator_hears_of(make):
  made = make(annotators=2, max_annotators=2)
  ask(made)
  for name, segments in (("a", [(0, 10)]), ("b", [(50, 60)])):
    person = enrol(made, name)
    submit(made, person, next_visit(made, person).task_ids[0], name, segments)
  said = []
  look = Shortfall(made, said.append)
  look.step()
  assert said == ["1 task waits for an operator, and no operator has a valid link: start again, "
                  "which makes new links, or name another one in `operators`"]
  look.step()
  assert len(said) == 1
  check(made)


def test_who_takes_an_answer_back_can_answer_again(make):
  made = make(annotators=1)
  task, = ask(made)
  ann = enrol(made, "ann")
  made = made._replace(policy=made.policy._replace(annotators=2))
  with made.store.write() as db:
    db.execute("UPDATE tasks SET wanted = 2")
  for turn in range(2):  # the second time, too
    submit(made, ann, next_visit(made, ann).task_ids[0], f"{turn}", [])
    assert missing(made) == {task: 1}
    undo(made, ann, f"{turn}")
    assert missing(made) == {task: 1}  # of two, one is here
  enrol(made, "bob")
  assert missing(made) == {}
