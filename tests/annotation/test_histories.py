"""Random histories of a campaign: whatever people do, in whatever order, it can be brought to its
end, and no acknowledged answer is lost on the way."""

import random

import pytest

from tal_jax.annotation import campaign, exports
from tal_jax.annotation.errors import RequestError
from tal_jax.annotation.rules import (
  corrections,
  counting,
  decisions,
  exclusions,
  gold,
  leases,
  people,
  rounds,
  second_thoughts,
  states,
)
from tal_jax.annotation.rules.answers import submit_all
from tests.annotation.campaigns import check, enrol, select

pytestmark = pytest.mark.slow

_ANSWERS = ([], [(0, 10)], [(0, 9)], [(50, 60)], [(0, 10), (50, 60)])
_STEPS = 60
_POLICIES = (
    {"annotators": 1},
    {"annotators": 2, "max_annotators": 3},
    {"annotators": 3, "max_annotators": 4, "gold_before": 1},
    {"annotators": 2, "max_annotators": 4, "min_worker_f1": 0.5, "min_compared": 2},
    {"annotators": 2, "gold_every": 2, "min_compared": 2})


class History:
  """Steps drawn at random; most are refused where they make no sense, and change nothing then."""

  def __init__(self, made, seed):
    self.made, self.rng = made, random.Random(seed)
    gold.add_gold(made, [(f"v{i}", "jump", [(0, 10)]) for i in (8, 9)])
    self.people = [enrol(made, name) for name in "abcd"]
    self.operator = enrol(made, "op", "operator")
    with made.store.write() as db:
      people.set_named_only(db, True)
    campaign.open_round(made, 0, [campaign.Ask(f"v{i}", label) for i in range(3)
                                  for label in ("jump", "run")[:1 + i % 2]])
    self.tasks = [row["id"] for row in select(made, "SELECT id FROM tasks WHERE NOT is_gold")]
    self.said = {}  # (worker, task) -> what was acknowledged last; None: taken back
    self.last = {}  # worker -> their last submission

  def draw(self):
    made, rng = self.made, self.rng
    number = rng.randrange(10**9)
    who, task, video = rng.choice(self.people), rng.choice(self.tasks), rng.randrange(1, 11)
    return rng.choices([
        lambda: leases.next_visit(made, who),
        lambda: self.answer(who, f"{number}"),
        lambda: self.correct(who, f"{number}"),
        lambda: self.undo(who),
        lambda: leases.put_off(made, who, task),
        lambda: leases.release(made, who, task),
        lambda: leases.expire(made),
        lambda: decisions.dispute(made, self.operator, task),
        lambda: decisions.adjudicate(made, self.operator, task, rng.choice(_ANSWERS)),
        lambda: second_thoughts.ask_again(made, self.operator, task, rng.randint(1, 2)),
        lambda: second_thoughts.leave_answers_out(made, self.operator, who),
        lambda: second_thoughts.reinstate(made, self.operator, who),
        lambda: exclusions.exclude_by_operator(made, self.operator, video, "dull"),
        lambda: exclusions.include(made, self.operator, video),
        lambda: enrol(made, rng.choice("abcdef")),
        lambda: decisions.recount_all(made)],
        [14, 18, 4, 4, 2, 1, 1, 2, 2, 3, 1, 2, 1, 3, 1, 1])[0]

  def _what(self, tasks):
    """Answers of one submission: segments, or that the video is unusable."""
    unusable = "it is damaged" if self.rng.random() < 0.15 else ""
    return {t: [] if unusable else self.rng.choice(_ANSWERS) for t in tasks}, unusable

  def _acknowledged(self, who, given, unusable, name):
    self.said |= {(who, t): (tuple(map(tuple, s)), unusable) for t, s in given.items()}
    self.last[who] = name

  def answer(self, who, name):
    tasks = [row["task_id"] for row in select(
        self.made, "SELECT task_id FROM leases WHERE worker_id = ? AND state = 'held'", who)]
    given, unusable = self._what(tasks[:self.rng.randint(1, 2)])
    submit_all(self.made, who, given, name, unusable=unusable)
    assert submit_all(self.made, who, given, name, unusable=unusable).replayed
    self._acknowledged(who, given, unusable, name)

  def correct(self, who, name):
    with self.made.store.read() as db:
      mine = [answer.task_id for answer in corrections.open_answers(db, who)]
    given, unusable = self._what(mine[:1])
    corrections.correct(self.made, who, given, name, unusable=unusable)
    self._acknowledged(who, given, unusable, name)

  def undo(self, who):
    for task in corrections.undo(self.made, who, self.last.get(who, "")):
      self.said[who, task] = None

  def check(self):
    check(self.made)
    with self.made.store.read() as db:
      for (who, task), said in self.said.items():
        found = counting.given_by(db, who, task)
        assert found.taken_back if said is None else (
            (found.segments, found.unusable, found.taken_back) == (*said, False))
    content = exports.activitynet(self.made)
    assert not content["database"].keys() & content["excluded"].keys()
    decided = {row["name"] for row in select(
        self.made, "SELECT name FROM videos WHERE id IN (SELECT video_id FROM tasks) AND id NOT IN "
        f"(SELECT video_id FROM tasks WHERE state NOT IN {states.DECIDED})")}
    assert set(content["database"]) == decided

  def finish(self):
    """Everybody who can answers all there is; then the operator decides what is in dispute."""
    made = self.made
    for _ in range(100):
      made.clock.now += 100
      leases.expire(made)
      with made.store.read() as db:
        able = people.able(db, made.policy, made.clock())
      visits = [(who, leases.next_visit(made, who)) for who in able]
      for who, visit in visits:
        if visit:
          submit_all(made, who, dict.fromkeys(visit.task_ids, [(0, 10)]), f"{who} {made.clock.now}")
      disputed = select(made, "SELECT id FROM tasks WHERE state = 'disputed'")
      for row in disputed:
        decisions.adjudicate(made, self.operator, row["id"], [])
      if not disputed and not any(visit for _, visit in visits):
        return
    raise AssertionError("there is always something more to answer")


@pytest.mark.parametrize("policy", _POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_every_history_can_be_brought_to_its_end(make, policy, seed):
  made = make(videos=10, **policy)
  history = History(made, seed)
  for _ in range(_STEPS):
    made.clock.now += history.rng.choice((0, 1, 5, 40))
    try:
      history.draw()()
    except RequestError:
      pass
    history.check()
  history.finish()
  with made.store.read() as db:
    short = {task.task_id for task in people.shortages(db, made.policy, made.clock())}
  left = {row["id"] for row in select(
      made, f"SELECT id FROM tasks WHERE NOT is_gold AND state NOT IN {states.CLOSED}")}
  assert left == short  # the operator is told, and may invite somebody or decide
  for task in left:
    decisions.dispute(made, history.operator, task)
    decisions.adjudicate(made, history.operator, task, [])
  check(made)
  assert rounds.has_enough(made, 0, 1.0) and rounds.all_decided(made)
  learnt = [row["name"] for row in select(made, "SELECT name FROM videos WHERE state = 'labelled'")]
  assert sorted(rounds.close(made, 0)[0]) == sorted(learnt) == sorted(
      exports.activitynet(made)["database"])
