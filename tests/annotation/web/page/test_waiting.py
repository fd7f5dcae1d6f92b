"""Whoever has no task reads why in the page, and is called back when one is there."""

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tal_jax.annotation import campaign, housekeeping, learner_status
from tal_jax.annotation.rules import rounds
from tal_jax.annotation.web import annotator_api as annotator, server
from tal_jax.annotation.web.server import Program
from tests.annotation import campaigns, serving
from tests.annotation.web.page.pages import expect

_AWAY = """
window.away = false;
Object.defineProperty(document, 'hidden', {get: () => window.away});
document.hasFocus = () => !window.away;
window.look = (here) => {
  window.away = !here;
  document.dispatchEvent(new Event('visibilitychange'));
  if (here) window.dispatchEvent(new Event('focus'));
};
window.notes = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.notes++; start.apply(this, when); };
"""


@pytest.fixture
def world(tmp_path, counted, open_page, monkeypatch):
  """A campaign whose tasks are done, and the annotator's page, which looks again every 0.2 s."""
  monkeypatch.setattr(annotator, "_RETRY_SECONDS", 0.2)
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=3)
  with made.store.write() as db:
    db.execute("UPDATE tasks SET state = 'agreed'")
    db.execute("UPDATE videos SET state = 'labelled'")
    db.execute("UPDATE rounds SET state = 'complete'")
  with made.store, serving.running(server.build_app(made, title="Wait")) as url:
    page = open_page("about:blank")
    page.add_init_script(_AWAY)
    page.goto(f"{url}/#{tokens['annotator']}")
    expect(page.get_by_role("heading", name="No task for you right now")).to_be_visible()
    yield made, page


def ask(made, number=1):
  """One more video, asked for in the next round."""
  campaign.mark_trained(made, number - 1)
  row = campaigns.select(made, "SELECT * FROM videos WHERE id = 1")[0]
  campaign.add_videos(made, [campaign.Video(
      f"more-{number}", row["path"], row["duration"], row["fps"], row["media_path"], row["width"],
      row["height"], row["num_frames"])])
  campaigns.ask(made, number, videos=(f"more-{number}",))


def test_the_reason_and_the_title(world):
  made, page = world
  expect(page.get_by_text("The learner is at work")).to_be_visible()
  expect(page).to_have_title("Waiting \u2013 Wait")
  learner_status.record(made, "down", 5, "MemoryError")
  expect(page.get_by_text("The learner has stopped")).to_be_visible()
  ask(made)
  expect(page).to_have_title("jump \u2013 Wait")  # who looks at the page needs no call


def test_who_looks_elsewhere_is_called_and_keeps_no_task_from_others(world):
  made, page = world
  page.get_by_label("Play a sound").check()
  assert page.evaluate("notes") == 1  # as it will sound
  page.evaluate("look(false)")
  ask(made)
  expect(page).to_have_title("(1) Wait")
  expect(page.get_by_role("heading", name="A task is there")).to_be_visible()
  assert page.evaluate("notes") == 2
  assert not campaigns.select(made, "SELECT * FROM leases")
  page.evaluate("look(true)")
  expect(page).to_have_title("jump \u2013 Wait")
  assert len(campaigns.select(made, "SELECT * FROM leases")) == 1
  assert page.evaluate("notes") == 2


def test_who_comes_too_late_waits_again(world):
  made, page = world
  page.evaluate("look(false)")
  ask(made)
  expect(page.get_by_role("heading", name="A task is there")).to_be_visible()
  with made.store.write() as db:
    db.execute("UPDATE tasks SET state = 'agreed'")
    db.execute("UPDATE videos SET state = 'labelled'")
  rounds.close(made, 1)
  page.evaluate("look(true)")
  expect(page.get_by_role("heading", name="No task for you right now")).to_be_visible()
  expect(page).to_have_title("Waiting \u2013 Wait")
  expect(page.get_by_label("Play a sound")).not_to_be_checked()


def test_the_operator_reads_once_of_a_full_disk_and_of_what_failed(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  board = housekeeping.Board(lambda _: None)
  learner_status.record(made, "restarting", 0, "disk full: /work/checkpoints")
  with made.store.write() as db:
    db.execute("INSERT INTO preparing VALUES (1, 'disk full: /work/media')")
  board.failed("handing out tasks", "disk full: /work", passes=True, pause=0.0)
  board.failed("writing the data set", "KeyError: 'x'", passes=False, pause=40.0)
  app = server.build_app(made, title="Wait", program=Program(troubles=board.troubles))
  with made.store, serving.running(app) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    expect(page.get_by_role("alert").filter(has_text="disk full: /work.")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text=re.compile(
        r"housekeeping failed \(writing the data set\): KeyError: 'x'; retried in \d\d s"
    ))).to_be_visible()
    assert page.get_by_text("disk full").count() == 1
    board.done("handing out tasks")  # what else the disk stops is told for itself
    expect(page.get_by_role("alert").filter(has_text=re.compile(
        "The learner stopped.*disk full"))).to_be_visible()
    assert page.get_by_text("disk full").count() == 1


def test_the_operator_reads_of_the_learner(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  learner_status.record(made, "down", 5, "MemoryError: no more memory")
  with made.store, serving.running(server.build_app(made, title="Wait")) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    expect(page.get_by_role("alert").filter(has_text=re.compile(
        "failed 5 times in a row and stays down: MemoryError: no more memory"))).to_be_visible()
