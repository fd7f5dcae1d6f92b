"""Gold tasks: when they come, whom they come to, and that nobody can tell them from others."""

import json
import pathlib
import re

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import Conflict, IllegalTransition, InvalidAnswer, NotFound
from tal_jax.annotation.rules.answers import Draft, load_draft, save_draft, submit
from tal_jax.annotation.rules.decisions import adjudicate, dispute, final_answers
from tal_jax.annotation.rules.gold import Gold, add_gold
from tal_jax.annotation.rules.leases import expire, next_task, release, renew
from tal_jax.annotation.rules.standing import standing
from tests.annotation.campaigns import ask, askable, enrol, select, state

_RIGHT = [(12.345, 23.456)]


@pytest.fixture
def make(make):
  opened = []

  def open_one(gold=3, videos=30, **more):
    """A campaign whose last `gold` videos have a gold task each, and no round."""
    made = make(videos=videos, **more)
    add_gold(made, [(f"v{i}", "jump", _RIGHT) for i in range(videos - gold, videos)])
    opened.append(made)
    return made

  yield open_one
  for made in opened:
    assert not select(made, "SELECT * FROM tasks WHERE is_gold AND state != 'open'")


def is_gold(made, task):
  return select(made, "SELECT is_gold FROM tasks WHERE id = ?", task)[0]["is_gold"] == 1


def work(made, worker, count, segments=_RIGHT):
  """Answers up to `count` tasks; which were gold, as a text of g and r."""
  found = ""
  while len(found) < count and (lease := next_task(made, worker)) is not None:
    submit(made, worker, lease.task_id, f"{worker} {lease.task_id}", segments)
    found += "g" if is_gold(made, lease.task_id) else "r"
  return found


def real(made, gold=3):
  names = [row["name"] for row in select(made, "SELECT name FROM videos ORDER BY id")]
  return ask(made, videos=names[:-gold])


def test_a_gold_video_can_be_judged(make):
  """Its answer is known: "unusable" is a wrong one, also before anything else was judged."""
  made = make(gold_before=2, annotators=1)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  real(made)
  for worker in (ann, ann, bob):
    task = next_task(made, worker).task_id
    submit(made, worker, task, f"{worker} {task}", [], unusable="it does not play")
  assert work(made, bob, 1) == "g"
  with made.store.read() as db:
    stands = [standing(db, made.policy, worker) for worker in (ann, bob)]
  assert [(stand.state, stand.gold_f1) for stand in stands] == [("stopped", 0.0), ("working", 0.5)]


def test_gold_comes_before_work(make):
  made = make(gold_before=2, annotators=2)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  assert work(made, ann, 9) == "gg"  # qualifies while there is no work
  assert next_task(made, ann) is None
  real(made)
  assert work(made, ann, 4) == "rrrr"
  assert work(made, bob, 6) == "ggrrrr"  # room for everybody


def test_who_does_not_pass_gets_no_work(make):
  made = make(gold_before=2, min_gold_f1=0.6)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  real(made)
  assert work(made, ann, 1, []) == "g"
  assert work(made, ann, 9) == "g"  # mean F1 of 0 and 1 is 0.5
  assert next_task(made, ann) is None
  assert work(made, bob, 3) == "ggr"


def test_gold_among_the_work(make):
  made = make(gold=10, videos=60, gold_before=1, gold_every=4)
  real(made, gold=10)
  found = [work(made, enrol(made, name), 21)[1:] for name in "ab"]
  for text in found:
    assert text.count("g") in (4, 5)  # 20 tasks, one gold in each run of 4 real ones
    answered, runs = 0, []
    for kind in text:
      if kind == "g":
        runs.append(answered // 4)
      answered += kind == "r"
    assert runs == sorted(set(runs))  # at most one a run, and none of an earlier run
  assert len({tuple(i for i, k in enumerate(text) if k == "g") for text in found}) == 2


def test_gold_can_be_used_up(make):
  made = make(gold=2, gold_every=1)
  real(made, gold=2)
  assert work(made, enrol(made, "ann"), 8) == "grgrrrrr"


def test_who_has_yet_to_qualify_gets_nothing_else(make):
  """Also when the policy was raised under way and there is not as much gold."""
  made = make(gold=2, gold_before=2)
  real(made, gold=2)
  made = made._replace(policy=made.policy._replace(gold_before=3))
  assert work(made, enrol(made, "ann"), 9) == "gg"


def test_the_choice_is_repeated_and_differs_between_workers(make):
  orders = []
  for _ in range(2):
    made = make(gold=6, gold_before=6)
    workers = [enrol(made, name) for name in "abc"]
    orders.append([])
    for worker in workers:
      assert work(made, worker, 9) == "gggggg"
      orders[-1].append([row["task_id"] for row in select(
          made, "SELECT task_id FROM assignments WHERE worker_id = ? ORDER BY id", worker)])
  assert orders[0] == orders[1]
  assert len(set(map(tuple, orders[0]))) == 3


def test_a_lease_on_gold_is_like_any_other(make):
  made = make(gold=2, gold_before=2, annotators=1)
  real(made, gold=2)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  first = next_task(made, ann).task_id
  assert is_gold(made, first) and next_task(made, ann).task_id == first
  assert save_draft(made, ann, first, Draft(1, "{}")) and load_draft(made, ann, first) == (1, "{}")
  made.clock.now += 1000
  assert expire(made) == 1
  assert next_task(made, ann).task_id == first  # what was left comes back
  made.clock.now += 1000
  expire(made)
  assert renew(made, ann, first).task_id == first
  release(made, ann, first)
  second = next_task(made, ann).task_id
  assert second != first and is_gold(made, second)
  submit(made, ann, second, "a", _RIGHT)
  assert next_task(made, ann).task_id == first  # else who gives gold back could never qualify
  assert submit(made, ann, first, "b", _RIGHT).replayed is False
  assert submit(made, ann, first, "b", _RIGHT).replayed is True
  with pytest.raises(Conflict):
    submit(made, ann, first, "c", _RIGHT)
  assert not is_gold(made, next_task(made, ann).task_id)
  assert is_gold(made, next_task(made, bob).task_id)


def test_given_back_gold_among_the_work_does_not_return(make):
  made = make(gold=2, gold_every=1)
  real(made, gold=2)
  ann = enrol(made, "ann")
  for _ in range(2):
    release(made, ann, next_task(made, ann).task_id)
  assert work(made, ann, 3) == "rrr"


def test_gold_decides_nothing(make):
  made = make(gold=3, videos=5, gold_before=3)
  tasks = real(made)
  operator = enrol(made, "op", "operator")
  assert work(made, enrol(made, "ann"), 9) == "gggrr"
  assert [state(made, "tasks", t) for t in tasks] == ["agreed", "agreed"]
  assert state(made, "rounds", 0) == "complete"
  assert [a.video for a in final_answers(made, 0)] == ["v0", "v1"]
  assert {row["state"] for row in select(
      made, "SELECT v.state FROM videos v JOIN tasks t ON t.video_id = v.id WHERE t.is_gold")} == {
          "unlabelled"}
  for refused in (lambda: dispute(made, operator, 1), lambda: adjudicate(made, operator, 1, [])):
    with pytest.raises(IllegalTransition):
      refused()


def test_a_gold_video_is_in_no_round(make):
  made = make(gold=1, videos=3)
  assert askable(made) == ["v0", "v1"]
  with pytest.raises(Conflict, match="gold"):
    ask(made, videos=("v0", "v2"))
  assert state(made, "videos", 1) == "unlabelled" and not select(made, "SELECT * FROM rounds")
  ask(made, videos=("v0",))
  assert askable(made) == ["v1"]
  with pytest.raises(Conflict, match="round"):
    add_gold(made, [("v0", "run", [])])
  work(made, enrol(made, "ann"), 1)
  with pytest.raises(Conflict, match="round"):  # labelled by now
    add_gold(made, [("v0", "run", [])])


@pytest.mark.parametrize("policy", [{"gold_before": 2}, {"gold_every": 5}])
def test_too_little_gold_is_said_when_a_round_opens(make, policy):
  made = make(gold=0, **policy)
  add_gold(made, [(f"v{i}", label, []) for i in range(policy.get("gold_before", 1) - 1)
                  for label in ("jump", "run")])
  with pytest.raises(Conflict, match="add gold tasks"):
    ask(made, videos=("v9",))
  add_gold(made, [("v5", "jump", [])])
  ask(made, videos=("v9",))


@pytest.mark.parametrize("gold", [
    ("nobody", "jump", []), ("v0", "fly", []), ("v0", "jump", [(0, 101)]), ("v0", "jump", [(5, 5)]),
    ("v0", "jump", [], (90, 101)), ("v0", "jump", [], (5, 5)), ("v0", "jump", "ab")])
def test_bad_gold_leaves_nothing(make, gold):
  made = make(gold=0)
  with pytest.raises((InvalidAnswer, NotFound)):
    add_gold(made, [("v1", "jump", _RIGHT), gold])
  for table in ("tasks", "gold", "events"):
    assert not select(made, f"SELECT * FROM {table}")


def test_gold_can_be_added_again_and_corrected(make):
  made = make(gold=0, gold_before=1)
  gold = Gold("v0", "jump", [(0, 10)], hint=(5.0, 15.0))
  task, = add_gold(made, [gold])
  ann = enrol(made, "ann")
  assert work(made, ann, 1, [(0, 10)]) == "g"
  before = select(made, "SELECT * FROM events")
  assert add_gold(made, [gold]) == [task]
  assert select(made, "SELECT * FROM events") == before
  assert select(made, "SELECT hint_start, hint_end FROM tasks") == [
      {"hint_start": 5.0, "hint_end": 15.0}]
  with made.store.read() as db:
    assert standing(db, made.policy, ann).gold_f1 == 1.0
  assert add_gold(made, [gold._replace(segments=[(0, 10), (20, 30), (40, 50)])]) == [task]
  with made.store.read() as db:
    assert standing(db, made.policy, ann).gold_f1 == 0.5
  assert add_gold(made, [("v0", "run", [])]) != [task]


def test_the_answer_of_gold_reaches_no_worker(make):
  """Whatever a worker can call returns nothing of it, whether they are right or wrong."""
  made = make(gold=3, gold_before=3, gold_every=1, min_gold_f1=0.9)
  real(made)
  seen = []
  for name, segments in (("ann", _RIGHT), ("bob", [(1.0, 2.0)])):
    worker = enrol(made, name)
    for step in range(5):
      lease = next_task(made, worker)
      if lease is None:
        break
      task = lease.task_id
      seen += [lease, renew(made, worker, task), load_draft(made, worker, task),
               save_draft(made, worker, task, Draft(step, "{}")),
               load_draft(made, worker, task),
               submit(made, worker, task, f"{name} {step}", segments)]
    with made.store.read() as db:
      stand = standing(db, made.policy, worker)
      seen += [stand.state, stand.reason]
  assert seen[-2] == "stopped" and "working" in seen
  text = repr(seen)
  assert "12.3" not in text and "23.4" not in text and "gold" not in text.lower()
  # The same shapes whether a task is gold or not: receipts and leases have no other fields.
  assert {type(x).__name__ for x in seen} == {"Lease", "NoneType", "bool", "Draft", "Receipt",
                                              "str"}


def test_only_two_modules_read_the_answers():
  """So that no other can send one out; the export counts them."""
  folder = pathlib.Path(campaign.__file__).parent
  readers = {path.name for path in folder.rglob("*.py")
             if re.search(r"(FROM|JOIN|INTO|UPDATE)\s+gold\b", path.read_text("utf-8"))}
  assert readers == {"gold.py", "quality.py", "activitynet_json.py"}


def test_hints_of_gold_are_kept_inside_the_video(make):
  made = make(gold=0)
  add_gold(made, [Gold("v0", "jump", [], (0.0, 100.0))])
  assert json.loads(select(made, "SELECT segments FROM gold")[0]["segments"]) == []
  campaign.open_round(made, 0, [Ask("v1", "jump", (0.0, 100.0))])
