"""Nobody waits for the learner: what is next in its last ranking is asked for while it trains."""

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.active import loop
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import Conflict
from tal_jax.annotation.rules import ahead, answers, exclusions, leases, rounds
from tal_jax.annotation.videos import preparing
from tal_jax.annotation.web import waiting
from tests.annotation import campaigns

NEXT = [Ask("v5", "run", (1.0, 9.0)), Ask("v5", "jump"), Ask("v3", "jump"), Ask("v4", "jump")]


def answer(made, worker):
  visit = leases.next_visit(made, worker)
  if visit is None:
    return None
  answers.submit_all(made, worker, dict.fromkeys(visit.task_ids, []), f"{worker} {visit.task_ids}")
  return campaigns.select(made, "SELECT v.name FROM tasks t JOIN videos v ON v.id = video_id "
                          "WHERE t.id = ?", visit.task_ids[0])[0]["name"]


@pytest.fixture
def training(make):
  """Eight videos; v0 and v1 are learnt in round 0, of which v2 is late; v5, v3, v4 come next."""
  made = make(videos=8)
  people = [campaigns.enrol(made, name) for name in ("ann", "bob")]
  campaigns.ask(made, videos=("v0", "v1", "v2"))
  preparing.expect(made, ["v5", "v3", "v4"], NEXT)
  assert [answer(made, people[0]) for _ in range(2)] == ["v0", "v1"]
  rounds.close(made, 0)
  return made, *people


def reason(made, worker):
  with made.store.read() as db:
    return waiting.reason(db, worker, "working", finished=False)


def test_late_tasks_come_first_then_the_next_of_the_ranking(training):
  made, ann, bob = training
  assert [answer(made, ann) for _ in range(3)] == ["v2", "v5", "v3"]
  assert campaigns.select(made, "SELECT round_id, video_id, class_id, hint_start, wanted, state "
                          "FROM tasks WHERE round_id = 1 ORDER BY id") == [
      dict(zip(("round_id", "video_id", "class_id", "hint_start", "wanted", "state"), row,
               strict=True)) for row in ((1, 6, 2, 1.0, 1, "agreed"), (1, 6, 1, None, 1, "agreed"),
                                         (1, 4, 1, None, 1, "agreed"))]
  assert ahead.early(made, 1) == ["v5", "v3"] and loop.known_round(made, 1) is None
  assert rounds.is_there(made, 1)
  # Decided as a whole, but the learner has yet to choose the rest.
  assert campaigns.state(made, "rounds", 1) == "open"
  campaigns.check(made)
  assert answer(made, bob) == "v4" and answer(made, bob) is None
  assert reason(made, bob) == "learner"
  assert rounds.close(made, 0)[0] == ["v0", "v1"]  # as it was closed


def test_only_while_the_learner_trains(training):
  made, ann, _ = training
  assert answer(made, ann) == "v2"
  campaign.mark_trained(made, 0)
  assert answer(made, ann) is None
  campaigns.ask(made, 1, videos=("v6",))
  preparing.expect(made, ["v5"], NEXT[:2])
  assert answer(made, ann) == "v6"
  assert campaigns.state(made, "rounds", 1) == "complete"
  assert answer(made, ann) is None  # complete, but not closed
  rounds.close(made, 1)
  preparing.expect(made, [])  # no round follows
  assert answer(made, ann) is None


def test_only_when_somebody_is_idle(training):
  made, ann, bob = training
  assert leases.next_visit(made, bob).task_ids == (3,)  # v2
  assert ahead.early(made, 1) == []
  assert answer(made, ann) == "v5" and ahead.early(made, 1) == ["v5"]


def test_what_cannot_be_shown_or_was_left_out_is_passed_over(training):
  made, ann, _ = training
  answer(made, ann)
  campaign.add_videos(made, [campaign.Video("v5", "/videos/5.avi", 100.0, 25.0, ready=False)])
  exclusions.exclude(made, "v3", "damaged")
  assert answer(made, ann) == "v4" and answer(made, ann) is None


def test_the_learner_fills_the_round_up(training):
  made, ann, bob = training
  assert [answer(made, ann) for _ in range(2)] == ["v2", "v5"]
  leases.next_visit(made, ann)  # is at v3
  campaign.mark_trained(made, 0)
  asks = [*NEXT[:3], Ask("v7", "jump")]
  for wrong in ([NEXT[2], *NEXT[:2]], asks[2:]):
    with pytest.raises(Conflict, match="open with other tasks"):
      campaign.open_round(made, 1, wrong)
  for _ in range(2):  # again: changes nothing
    campaign.open_round(made, 1, asks)
  assert loop.known_round(made, 1) == ["v5", "v3", "v7"]
  assert ahead.early(made, 1) == ["v5", "v3"]  # for ever
  assert answer(made, ann) == "v3" and answer(made, bob) == "v7"
  assert campaigns.state(made, "rounds", 1) == "complete"
  assert rounds.close(made, 1)[0] == ["v2", "v5", "v3", "v7"]
  campaigns.check(made)


def test_a_round_that_was_done_before_it_was_chosen(training):
  made, ann, _ = training
  assert [answer(made, ann) for _ in range(2)] == ["v2", "v5"]
  campaign.mark_trained(made, 0)
  campaign.open_round(made, 1, NEXT[:2])
  assert campaigns.state(made, "rounds", 1) == "complete"
  campaigns.check(made)


def test_who_has_yet_to_qualify_opens_nothing(training):
  made, ann, _ = training
  answer(made, ann)
  strict = made._replace(policy=made.policy._replace(gold_before=1))
  assert leases.next_visit(strict, campaigns.enrol(made, "new")) is None
  assert ahead.early(made, 1) == []


def test_another_start_follows_videos_labels_and_settings(training):
  made, ann, _ = training
  answer(made, ann)
  ahead.refresh(made, {"v3": {"run": (5.0, 900.0)}, "v4": {"jump": None}}, may_open=True)
  ahead.keep(made, 1)
  assert answer(made, ann) == "v3" and answer(made, ann) is None
  assert campaigns.select(made, "SELECT class_id, hint_start, hint_end FROM tasks "
                          "WHERE round_id = 1") == [
      {"class_id": 2, "hint_start": 5.0, "hint_end": 100.0}]
  ahead.refresh(made, {"v3": {"run": None}, "v4": {"jump": None}}, may_open=False)
  assert answer(made, ann) is None
  assert len(campaigns.select(made, "SELECT * FROM upcoming")) == 2  # to be made ready
