"""Mechanical Turk, one behaviour at a time, against the fake."""

import logging
import re

import pytest

from tal_jax.annotation.oracles import mturk_client, mturk_question, mturk_seats
from tal_jax.annotation.rules import payments
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import adjudicate, dispute, final_answers
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task, renew
from tal_jax.errors import DataError
from tests.annotation import campaigns
from tests.annotation.crowd_world import SEAT, World
from tests.annotation.fake_mturk import FakeMTurk


@pytest.fixture
def world(tmp_path):
  made = World(tmp_path / "w")
  campaigns.ask(made.made, videos=("v0", "v1"))
  yield made
  made.check()
  made.close()


def states(world):
  return [row["state"] for row in world.select("SELECT state FROM hits ORDER BY id")]


def test_the_plain_run(world):
  lines = world.start()
  assert any("sandbox" in line for line in lines) and any("0.30 $" in line for line in lines)
  world.run("W1", "W2", "W3")
  world.check_end()
  assert [(a.video, [s[:2] for s in a.segments]) for a in final_answers(world.made, 0)] == [
      ("v0", [(1.0, 11.0)]), ("v1", [(2.0, 12.0)])]
  assert [hit["max"] for hit in world.fake.hits.values()] == [2, 2]
  assert world.spend() == (600, 0, 120)


def test_what_is_published(world):
  world.advance()
  kind, = world.fake.types.values()
  assert (kind["Reward"], kind["AssignmentDurationInSeconds"], kind["AutoApprovalDelayInSeconds"],
          kind["QualificationRequirements"]) == ("0.25", 600, 14 * 86_400, [])
  for hit, row in zip(world.fake.hits.values(), world.select("SELECT * FROM hits"), strict=True):
    assert hit["note"] == row["request_token"] and row["request_token"].startswith("sandbox-")
    assert re.fullmatch(
        '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas'
        '/2006-07-14/ExternalQuestion.xsd"><ExternalURL>https://host/mturk'
        rf"\?hit={row['request_token']}&amp;key=[0-9a-f]{{64}}</ExternalURL>"
        "<FrameHeight>0</FrameHeight></ExternalQuestion>", hit["question"])
    assert hit["expiration"] > row["deadline_at"] == 1000.0 + 3 * 86_400
  assert world.spend().reserved == 4 * SEAT


@pytest.mark.parametrize(("cents", "text", "seat"), [
    (1, "0.01", 2), (5, "0.05", 6), (6, "0.06", 8), (25, "0.25", 30), (105, "1.05", 126),
    (1000, "10.00", 1200)])
def test_money(cents, text, seat):
  assert mturk_client.dollars(cents) == text
  assert mturk_seats.seat_cents(cents) == seat


def test_qualifications(tmp_path):
  world = World(tmp_path / "w", settings={"min_approved": 100, "min_approval_percent": 97})
  world.start()
  kind, = world.fake.types.values()
  assert [(q["QualificationTypeId"], q["Comparator"], q["IntegerValues"])
          for q in kind["QualificationRequirements"]] == [
              ("00000000000000000040", "GreaterThanOrEqualTo", [100]),
              ("000000000000000000L0", "GreaterThanOrEqualTo", [97])]
  world.close()


def test_disagreement_costs_one_more_seat(tmp_path):
  world = World(tmp_path / "w", videos=1)
  campaigns.ask(world.made)
  world.advance()
  for name, segments in (("W1", [(0, 10)]), ("W2", [(50, 60)])):
    assignment, token = world.accept(name)
    world.answer(token, segments)
    world.fake.submit(assignment)
  world.advance()
  assert [hit["max"] for hit in world.fake.hits.values()] == [2, 1]
  assignment, token = world.accept("W1")  # a new HIT, but a video that they had
  assert world.answer(token) is None
  world.fake.give_back(assignment)
  assignment, token = world.accept("W3")
  world.answer(token, [(80, 90)])
  world.fake.submit(assignment)
  world.made.clock.now += 1000
  world.advance()
  assert world.select("SELECT state FROM tasks") == [{"state": "disputed"}]
  olga = campaigns.enrol(world.made, "olga", "operator")
  adjudicate(world.made, olga, 1, [(0, 10)])
  world.run("W1", "W2", "W3")
  world.check_end()
  assert world.spend().paid == 3 * SEAT
  world.close()


def test_many_answers_are_split_over_hits(tmp_path):
  """From ten assignments on, the fee doubles."""
  world = World(tmp_path / "w", videos=1, annotators=12, max_annotators=12)
  campaigns.ask(world.made)
  world.advance()
  assert sorted(hit["max"] for hit in world.fake.hits.values()) == [3, 9]
  world.run(*(f"W{i}" for i in range(14)))
  world.check_end()
  assert world.spend().paid == 12 * SEAT
  world.close()


def test_the_budget_is_hard(tmp_path, caplog):
  world = World(tmp_path / "w", videos=3, budget=5)
  campaigns.ask(world.made, videos=("v0", "v1", "v2"))
  with caplog.at_level(logging.ERROR, logger="absl"):
    for _ in range(4):
      world.advance()
      world.work("W1", "W2", "W3", "W4")
  assert sum("budget" in record.message for record in caplog.records) == 1
  assert sum(hit["max"] for hit in world.fake.hits.values()) == 5
  assert world.spend() == (150, 0, 150)
  world.settings = world.settings.__class__(**{
      name: getattr(world.settings, name) for name in world.settings.__struct_fields__}
      | {"budget_cents": 6 * SEAT})
  world.start()
  world.run("W1", "W2", "W3", "W4")
  world.check_end()
  world.close()


def test_a_budget_below_what_is_spent(world):
  world.start()
  world.advance()
  smaller = World.__new__(World)
  smaller.__dict__.update(world.__dict__)
  smaller.settings = world.settings.__class__(address="https://host", budget_cents=SEAT)
  with pytest.raises(DataError, match="120 cents are reserved"):
    smaller.start()


def test_an_assignment_without_an_answer_is_left_alone(world):
  world.advance()
  cheat, _ = world.accept("W1")
  world.fake.submit(cheat)
  for _ in range(3):
    world.advance()
    world.work("W2", "W3")
    world.made.clock.now += 100
  world.advance()
  assert world.fake.assignments[cheat]["status"] == "Submitted"
  unanswered, = campaigns.select(world.made, """
      SELECT assignment_key FROM crowd WHERE state = 'submitted' AND answer_id IS NULL""")
  assert unanswered["assignment_key"].endswith(cheat)
  assert campaigns.state(world.made, "rounds", 0) == "complete"
  assert world.spend().reserved == SEAT  # Amazon will approve it
  world.fake.approve_by_time()
  world.fake.assignments[cheat]["payments"] = 0  # checked apart: it was not we who paid
  world.turk.advance()
  assert world.spend() == (600, 0, 5 * SEAT) and set(states(world)) == {"closed"}
  world.fake.assignments.pop(cheat)


def test_a_rejection_by_hand_gives_the_money_back(world):
  world.advance()
  cheat, _ = world.accept("W1")
  world.fake.submit(cheat)
  world.advance()
  world.fake.assignments[cheat]["status"] = "Rejected"
  world.run("W2", "W3")
  assert world.spend() == (600, 0, 4 * SEAT)
  assert world.select("SELECT state FROM crowd WHERE answer_id IS NULL") == [{"state": "rejected"}]


def test_an_answer_that_comes_before_the_list_knows_is_paid_once(world):
  world.advance()
  assignment, token = world.accept("W1")
  world.answer(token)
  world.advance()
  assert world.fake.assignments[assignment]["status"] == "Accepted"
  assert world.shortage() == 0
  world.fake.submit(assignment)
  world.advance()
  world.advance()
  paid = world.fake.assignments[assignment]
  assert (paid["worker"], paid["status"], paid["payments"]) == ("W1", "Approved", 1)


def test_nobody_loses_a_hit_while_at_work(tmp_path):
  world = World(tmp_path / "w", settings={"assignment_seconds": 10 * 86_400})
  campaigns.ask(world.made, videos=("v0", "v1"))
  world.advance()
  assignment, token = world.accept("W1")
  worker = world.id_of(token)
  next_task(world.made, worker)
  mine = world.fake.assignments[assignment]["hit"]
  for _ in range(3):  # past the deadline, at work
    world.made.clock.now += 2 * 86_400
    renew(world.made, worker, 1)
    world.advance()
  withdrawn = {c["HITId"] for name, c in world.fake.calls if name == "UpdateExpirationForHIT"}
  assert withdrawn and mine not in withdrawn
  submit(world.made, worker, 1, "late", [(1.0, 11.0)])
  world.fake.submit(assignment)
  world.run("W2", "W3", "W4", "W5")
  world.check_end()
  world.close()


def test_at_the_deadline_it_is_published_anew(world):
  world.advance()
  assert states(world) == ["published"] * 2
  world.made.clock.now += 3 * 86_400
  world.advance()
  assert states(world) == ["closed"] * 2
  assert world.spend().reserved == 0
  world.advance()
  assert states(world) == ["closed"] * 2 + ["published"] * 2
  world.run("W1", "W2")
  world.check_end()


def test_an_operator_decides_while_it_is_out(world):
  world.advance()
  olga = campaigns.enrol(world.made, "olga", "operator")
  for task in (1, 2):
    dispute(world.made, olga, task)
    adjudicate(world.made, olga, task, [])
  world.advance()
  assert states(world) == ["closed"] * 2 and world.spend() == (600, 0, 0)
  assert not any(world.fake.available(hit) for hit in world.fake.hits)


def test_others_may_answer_too(world):
  ann = campaigns.enrol(world.made, "ann")
  assert next_task(world.made, ann).task_id == 1
  world.advance()
  assert sum(hit["max"] for hit in world.fake.hits.values()) == 3
  world.made.clock.now += 60  # ann has gone
  world.advance()
  assert sum(hit["max"] for hit in world.fake.hits.values()) == 4


def test_stopping_takes_it_off_the_market(world):
  world.advance()
  assignment, token = world.accept("W1")
  next_task(world.made, world.id_of(token))
  world.turk.stop()
  assert states(world) == ["published", "expired"]
  world.answer(token)
  world.fake.submit(assignment)
  world.run("W2", "W3")
  world.check_end()


def test_work_on_a_hit_that_is_off_the_market_counts(world):
  """W1 accepted in time and began late: of four answers wanted, one is on its way."""
  world.advance()
  assignment, token = world.accept("W1")
  world.turk.stop()
  assert states(world) == ["expired"] * 2
  next_task(world.made, world.id_of(token))
  world.advance()
  assert sum(world.fake.hits[hit]["max"] for hit in world.fake.hits
             if world.fake.available(hit)) == 3
  world.answer(token)
  world.fake.submit(assignment)
  world.run("W2", "W3")
  world.check_end()
  assert world.spend().paid == 4 * SEAT


def test_gold_is_paid_like_any_answer(tmp_path):
  world = World(tmp_path / "w", videos=2, gold_before=1)
  add_gold(world.made, [("v1", "jump", [(5.0, 9.0)])])
  campaigns.ask(world.made, videos=("v0",))
  world.advance()
  for name in ("W1", "W2"):  # the first HIT of everybody is gold
    assignment, token = world.accept(name)
    assert world.answer(token, [(5.0, 9.0)]) == 1
    world.fake.submit(assignment)
  world.run("W1", "W2")
  world.check_end()
  assert world.spend().paid == 4 * SEAT
  world.close()


def test_a_token_that_amazon_forgot(tmp_path):
  """The reply is lost, and the program down for days: the list of HITs tells."""
  lost = iter(["lose"])
  world = World(tmp_path / "w", videos=1, fake={
      "faults": lambda operation, when: next(lost, None)
      if (operation, when) == ("CreateHITWithHITType", "after") else None})
  campaigns.ask(world.made)
  world.advance()
  assert states(world) == ["planned"] and len(world.fake.hits) == 1
  world.made.clock.now += 30 * 3600
  world.turk = None
  world.advance()
  assert len(world.fake.hits) == 1 and states(world) == ["published"]
  world.run("W1", "W2")
  world.check_end()
  world.close()


def test_submitted_at_the_very_last_moment(world):
  """Between our look at the list and Amazon's word that nobody has the HIT any more."""
  world.advance()
  assignment, token = world.accept("W1")
  world.answer(token)
  assert [world.work(name) for name in ("W2", "W3", "W4")] == [1, 1, 1]
  world.fake.faults = lambda operation, when: (
      world.fake.submit(assignment) if (operation, when) == ("GetHIT", "before")
      and world.fake.assignments[assignment]["status"] == "Accepted" else None)
  world.advance()
  assert set(states(world)) == {"closed"}
  world.check_end()
  assert world.spend().paid == 4 * SEAT


def test_a_withdrawal_without_a_reply(world):
  """The same call again is refused; Amazon's word on the HIT counts."""
  lost = iter(["lose", "throttle"])
  world.advance()
  world.turk.stop()
  assert states(world) == ["expired"] * 2
  world.advance()
  world.advance()
  world.fake.faults = lambda operation, when: next(lost, None) if (operation, when) == (
      "UpdateExpirationForHIT", "after") else None
  world.turk.stop()
  assert states(world)[2:] == ["published"] * 2
  world.turk.stop()
  assert states(world)[2:] == ["expired"] * 2


@pytest.mark.parametrize("repeats", ["error", "same"])
def test_a_lost_reply_makes_no_second_hit(tmp_path, repeats):
  faults = iter(["lose", "throttle", "throttle"])
  world = World(tmp_path / "w", videos=1, fake={
      "repeats": repeats, "faults": lambda operation, when: next(faults, None)
      if (operation, when) == ("CreateHITWithHITType", "after") else None})
  campaigns.ask(world.made)
  for _ in range(3):
    world.advance()
  assert len(world.fake.hits) == 1 and states(world) == ["published"]
  world.close()


def test_play_money_and_real_money_are_kept_apart(world):
  world.start()
  world.advance()
  world.settings = world.settings.__class__(address="https://host", budget_cents=600,
                                            real_money=True)
  with pytest.raises(DataError, match="HITs in the sandbox"):
    world.start()


def test_credentials_that_do_not_work(world):
  world.fake.faults = lambda operation, when: (_ for _ in ()).throw(
      mturk_client.Client(world.fake)._errors.NoCredentialsError())
  with pytest.raises(DataError, match="AWS_ACCESS_KEY_ID"):
    world.start()


def test_endpoints():
  for real, endpoint in ((False, mturk_client.SANDBOX), (True, mturk_client.PRODUCTION)):
    client = mturk_client.connect(real_money=real)
    assert client.meta.endpoint_url == endpoint
    assert client.meta.config.retries["mode"] == "adaptive"
  assert "sandbox" in mturk_client.SANDBOX


def test_a_question_that_is_too_long():
  with pytest.raises(ValueError, match="65535"):
    mturk_question.external_question("https://h/" + "x" * 65_535)


def test_the_list_is_read_to_its_end():
  fake = FakeMTurk(lambda: 0.0, page=2)
  kind = fake.create_hit_type(AssignmentDurationInSeconds=60, Reward="0.01", Title="t",
                              Description="d")["HITTypeId"]
  client = mturk_client.Client(fake)
  tokens = [f"t{i}" for i in range(7)]
  made = {t: client.create(kind, "q", token=t, assignments=1, lifetime=60) for t in tokens}
  assert client.find(tokens[:5]) == {t: made[t] for t in tokens[:5]}


def test_it_looks_at_amazon_only_so_often(tmp_path):
  world = World(tmp_path / "w", settings={"every_seconds": 60.0})
  campaigns.ask(world.made)
  world.start()
  world.turk.advance()
  count = len(world.fake.calls)
  world.made.clock.now += 59
  world.turk.advance()
  assert len(world.fake.calls) == count
  world.made.clock.now += 1
  world.turk.advance()
  assert len(world.fake.calls) > count
  with world.made.store.read() as db:
    assert payments.spend(db).reserved == 2 * SEAT
  world.close()
