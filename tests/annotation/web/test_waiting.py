"""Whoever has no task is told why, through the whole life of a campaign."""

import httpx
import pytest

from tal_jax.annotation import campaign, learner_status
from tal_jax.annotation.active import loop
from tal_jax.annotation.rules import decisions, gold, rounds, second_thoughts
from tal_jax.annotation.videos import preparing
from tal_jax.annotation.web import server
from tal_jax.annotation.web.server import Program
from tests.annotation import campaigns, serving


class World:
  """A campaign of 6 videos, served; its clock stands."""

  def __init__(self, made, url, clients):
    self.made, self.url, self.clients = made, url, clients

  def next(self, name="ann"):
    """(task, reason, waiting) of POST /api/next; the task by its id."""
    found = self.clients[name].post("/api/next").json()
    return found["task"] and found["task"]["id"], found["reason"], found["waiting"]

  def answer(self, name, task):
    reply = self.clients[name].post(f"/api/tasks/{task}/answer", json={
        "submission_id": f"{name} {task}", "segments": [[10, 20]]})
    assert reply.status_code == 200, reply.text

  def overview(self):
    return self.clients["op"].get("/api/campaign").json()


@pytest.fixture
def world(tmp_path):
  worlds = []

  def open_(**policy):
    made = campaigns.make(tmp_path / "c.db", videos=6, **{"annotators": 2, "max_annotators": 2}
                          | policy)
    app = server.build_app(made, title="T", program=Program(lambda: loop.is_finished(made)))
    tokens = {name: serving.enrol(made, name, "operator" if name == "op" else "annotator")
              for name in ("ann", "bob", "cleo", "op")}
    running = serving.running(app)
    url = running.__enter__()
    clients = {name: httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})
               for name, token in tokens.items()}
    worlds.append((running, made, clients))
    return World(made, url, clients)

  yield open_
  for running, made, clients in worlds:
    for client in clients.values():
      client.close()
    running.__exit__(None, None, None)
    made.store.close()


def test_from_the_first_round_to_the_end(world):
  w = world()
  made = w.made
  assert w.next() == (None, "nothing", "learner")  # it chooses the first videos
  campaign.add_videos(made, [campaign.Video("v0", "/videos/0.mp4", 100.0, 25.0, ready=False)])
  campaigns.ask(made, videos=("v0", "v1"))
  assert w.next() == (2, "", "")  # v1
  w.answer("ann", 2)
  assert w.next() == (None, "nothing", "videos")
  campaign.add_videos(made, [campaign.Video("v0", "/videos/0.mp4", 100.0, 25.0)])
  assert w.next("bob")[0] == w.next("cleo")[0] == 1
  assert w.next() == (None, "nothing", "others")  # v0 has two places, and two are at it
  w.answer("bob", 1)
  w.answer("cleo", 1)
  assert w.next("cleo") == (2, "", "")
  assert w.next("ann") == (None, "nothing", "answered")
  assert w.next("bob") == (None, "nothing", "others")
  assert w.clients["cleo"].post("/api/tasks/2/release").status_code == 200
  assert w.next("cleo") == (None, "nothing", "answered")  # what she gave back is for others
  operator = campaigns.select(made, "SELECT id FROM workers WHERE name = 'op'")[0]["id"]
  decisions.dispute(made, operator, 2)
  assert w.next("ann") == w.next("bob") == (None, "nothing", "operator")
  decisions.adjudicate(made, operator, 2, [])
  assert w.next() == (None, "nothing", "learner")
  rounds.close(made, 0)
  campaign.mark_trained(made, 0)
  assert w.next() == (None, "nothing", "learner")
  learner_status.record(made, "restarting", 1, "MemoryError")
  assert w.next() == (None, "nothing", "learner")
  learner_status.record(made, "down", 5, "MemoryError")
  assert w.next() == (None, "nothing", "down")
  loop.finish(made)
  assert w.next() == (None, "finished", "")
  second_thoughts.ask_again(made, operator, 2)
  assert w.next("ann") == (None, "nothing", "answered")
  decisions.dispute(made, operator, 2)
  assert w.next("bob") == (None, "nothing", "operator")


def test_a_round_that_closed_before_its_last_task(world):
  w = world(annotators=1)
  campaigns.ask(w.made, videos=("v0", "v1"))
  assert w.next("ann")[0] == 1 and w.next("bob")[0] == 2
  w.answer("ann", 1)
  assert w.next("ann") == (None, "nothing", "others")
  rounds.close(w.made, 0)
  assert w.next("ann") == (None, "nothing", "learner")  # bob is still at v1
  campaign.mark_trained(w.made, 0)
  loop.finish(w.made)
  # Not finished while a task is undecided; but no learner will come.
  assert w.next("ann") == (None, "nothing", "others")


def test_a_last_round_that_waits_for_a_task_of_the_round_before(world):
  w = world(annotators=1)
  campaigns.ask(w.made, videos=("v0", "v1"))
  assert w.next("ann")[0] == 1 and w.next("bob")[0] == 2
  w.answer("ann", 1)
  rounds.close(w.made, 0)
  campaign.mark_trained(w.made, 0)
  campaigns.ask(w.made, 1, videos=("v2",))
  assert w.next("ann")[0] == 3
  w.answer("ann", 3)
  assert campaigns.state(w.made, "rounds", 1) == "complete"
  assert w.next("ann") == (None, "nothing", "others")  # bob is at v1
  rounds.close(w.made, 1)
  assert w.next("ann") == (None, "nothing", "learner")


def test_while_the_learner_trains_there_is_the_next_of_its_ranking(world):
  w = world(annotators=1)
  campaigns.ask(w.made, videos=("v0",))
  preparing.expect(w.made, ["v3"], [campaign.Ask("v3", "jump")])
  w.next("ann")
  w.answer("ann", 1)
  rounds.close(w.made, 0)
  assert w.next("ann") == (2, "", "")
  assert w.next("bob") == (None, "nothing", "learner")
  assert [r["state"] for r in w.overview()["rounds"]] == ["complete", "open"]


def test_gold_that_is_not_ready(world):
  w = world(gold_before=1)
  gold.add_gold(w.made, [("v5", "jump", [(1.0, 2.0)])])
  campaign.add_videos(w.made, [campaign.Video("v5", "/videos/5.mp4", 100.0, 25.0, ready=False)])
  campaigns.ask(w.made, videos=("v0",))
  assert w.next() == (None, "nothing", "videos")
  campaign.add_videos(w.made, [campaign.Video("v5", "/videos/5.mp4", 100.0, 25.0)])
  assert w.next()[0] == 1


def test_the_operator_sees_the_learner_and_videos_that_are_late(world):
  w = world()
  seen = w.overview()
  assert seen["learner"] is None and seen["preparing"] == {"videos": 0, "problem": ""}
  learner_status.record(w.made, "down", 5, "MemoryError: 8 GiB")
  campaign.add_videos(w.made, [campaign.Video("v0", "/videos/0.mp4", 100.0, 25.0, ready=False)])
  assert w.overview()["preparing"]["videos"] == 0  # nobody waits for it
  campaigns.ask(w.made, videos=("v0",))
  preparing.postpone(w.made, "v0", "no space left")
  seen = w.overview()
  assert seen["learner"] == {"state": "down", "failures": 5, "error": "MemoryError: 8 GiB",
                             "at": 1000.0}
  assert seen["preparing"] == {"videos": 1, "problem": "no space left"}
  learner_status.forget(w.made)
  assert w.overview()["learner"] is None


def test_left_counts_what_is_ready(world):
  w = world()
  campaigns.ask(w.made, videos=("v0", "v1"))
  campaign.add_videos(w.made, [campaign.Video("v0", "/videos/0.mp4", 100.0, 25.0, ready=False)])
  assert w.clients["ann"].get("/api/me").json()["progress"]["left"] == 1
