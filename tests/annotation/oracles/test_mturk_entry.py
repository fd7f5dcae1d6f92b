"""At the door: who is let in, as whom, and to what."""

import pytest

from tal_jax.annotation import workers
from tal_jax.annotation.errors import Conflict, Forbidden, InvalidAnswer, Unauthorized
from tal_jax.annotation.oracles import mturk_entry
from tal_jax.annotation.rules.leases import next_task
from tests.annotation import campaigns
from tests.annotation.crowd_world import World


@pytest.fixture
def world(tmp_path):
  made = World(tmp_path / "w")
  campaigns.ask(made.made, videos=("v0", "v1"))
  made.advance()
  yield made
  made.check()
  made.close()


def accepted(world, worker="W1", index=0):
  return world.fake.accept(sorted(world.fake.hits)[index], worker)


def enter(world, query):
  return mturk_entry.enter(world.made, query)


def rows(world):
  return [world.select(f"SELECT * FROM {table}") for table in ("workers", "crowd", "leases")]


def test_in_and_out(world):
  assignment = accepted(world)
  entry = enter(world, world.fake.query(assignment))
  assert (entry.preview, entry.submit_to, entry.answered) == (
      False, "https://workersandbox.mturk.com", False)
  with world.made.store.read() as db:
    worker = workers.authenticate(db, entry.token, now=world.made.clock())
  assert worker[1:] == ("mturk:W1", "annotator")
  crowd = world.select("SELECT * FROM crowd")
  assert [(c["assignment_key"], c["worker_id"], c["state"]) for c in crowd] == [
      ("mturk:" + assignment, worker.id, "accepted")]
  world.answer(entry.token)
  again = enter(world, world.fake.query(assignment))
  assert again.answered and again.token != entry.token
  assert world.select("SELECT * FROM crowd") == crowd
  with pytest.raises(Unauthorized):
    world.id_of(entry.token)
  world.fake.submit(assignment)
  world.advance()
  assert not enter(world, world.fake.query(assignment)).answered


def test_a_preview_enrols_nobody(world):
  before = rows(world)
  query = world.fake.query(accepted(world))
  for changes in ({"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}, {"assignmentId": None}):
    preview = {key: value for key, value in (query | changes).items()
               if value is not None and key not in ("workerId", "turkSubmitTo")}
    assert enter(world, preview) == ("", True, "", False)
  assert rows(world) == before


@pytest.mark.parametrize(("changes", "error"), [
    ({"key": "0" * 64}, Forbidden), ({"key": ""}, Forbidden), ({"key": None}, Forbidden),
    ({"key": "\u00e9"}, Forbidden), ({"hit": None}, Forbidden), ({"hit": "\ud800"}, Forbidden),
    ({"hit": "sandbox-" + "0" * 32}, Forbidden), ({"hitId": "3OTHER"}, Forbidden),
    ({"hitId": ""}, Forbidden), ({"assignmentId": ""}, InvalidAnswer),
    ({"assignmentId": "x' OR 1"}, InvalidAnswer), ({"assignmentId": "A" * 65}, InvalidAnswer),
    ({"workerId": None}, InvalidAnswer), ({"workerId": "../W1"}, InvalidAnswer),
    ({"workerId": "W1\n"}, InvalidAnswer), ({"turkSubmitTo": None}, InvalidAnswer),
    ({"turkSubmitTo": "https://evil.example"}, InvalidAnswer),
    ({"turkSubmitTo": "http://www.mturk.com"}, InvalidAnswer),
    ({"turkSubmitTo": "https://www.mturk.com.evil.example"}, InvalidAnswer),
    ({"turkSubmitTo": "https://www.mturk.com@evil.example"}, InvalidAnswer),
    ({"turkSubmitTo": "javascript:alert(1)"}, InvalidAnswer)])
def test_who_is_not_let_in(world, changes, error):
  query = world.fake.query(accepted(world)) | changes
  before = rows(world)
  with pytest.raises(error):
    enter(world, {key: value for key, value in query.items() if value is not None})
  assert rows(world) == before


def test_the_marketplace_and_a_slash(world):
  query = world.fake.query(accepted(world)) | {"turkSubmitTo": "https://www.mturk.com/"}
  assert enter(world, query).submit_to == "https://www.mturk.com"


def test_a_key_is_good_for_its_hit_only(world):
  first, second = (world.fake.query(accepted(world, index=i)) for i in (0, 1))
  with pytest.raises(Forbidden):
    enter(world, second | {"hit": first["hit"]})


def test_another_workers_assignment(world):
  assignment = accepted(world)
  enter(world, world.fake.query(assignment))
  with pytest.raises(Forbidden, match="another worker"):
    enter(world, world.fake.query(assignment) | {"workerId": "W2"})
  assert [w["name"] for w in world.select("SELECT name FROM workers")] == ["mturk:W1"]


def test_amazon_knows_better_who_has_it(world):
  """Somebody came as W1 with an assignment that is really W2's."""
  assignment = accepted(world, "W2")
  enter(world, world.fake.query(assignment) | {"workerId": "W1"})
  world.fake.submit(assignment)
  world.advance()
  row = world.select("SELECT w.name, c.answer_id FROM crowd c JOIN workers w "
                     "ON w.id = c.worker_id")[0]
  assert row == {"name": "mturk:W2", "answer_id": None}


def test_a_revoked_worker_stays_out(world):
  assignment = accepted(world)
  worker = world.id_of(enter(world, world.fake.query(assignment)).token)
  with world.made.store.write() as db:
    workers.revoke(db, worker, now=world.made.clock())
  before = rows(world)
  with pytest.raises(Forbidden, match="operator"):
    enter(world, world.fake.query(assignment))
  assert rows(world) == before


def test_a_hit_that_is_over(world):
  early = accepted(world)
  token = enter(world, world.fake.query(early)).token
  query = world.fake.query(early)
  world.run("W2", "W3", "W4")
  assert world.select("SELECT DISTINCT state FROM hits") == [{"state": "closed"}]
  with pytest.raises(Conflict, match="over"):
    enter(world, query | {"assignmentId": "3LATE"})
  assert next_task(world.made, world.id_of(token)) is None


def test_before_its_creation_was_confirmed(tmp_path):
  """The HIT is at Amazon, the reply was lost, and a worker comes."""
  lost = iter(["lose"])
  world = World(tmp_path / "w", fake={"faults": lambda operation, when: next(lost, None)
                if (operation, when) == ("CreateHITWithHITType", "after") else None})
  campaigns.ask(world.made)
  world.advance()
  assert world.select("SELECT hit_id FROM hits") == [{"hit_id": None}]
  assert world.work("W1") == 1
  world.run("W2")
  world.check_end()
  world.close()


def test_claims_without_end(world):
  query = world.fake.query(accepted(world))
  with pytest.raises(Conflict, match="too many"):
    for i in range(1000):
      enter(world, query | {"assignmentId": f"3MADEUP{i}", "workerId": f"WX{i}"})
  assert i == 40  # two seats
  assert world.shortage() == 0
