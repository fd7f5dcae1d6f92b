"""The operators' page in a real browser: disputes in a row, what was written, what is left out."""

import pytest

from tal_jax.annotation.rules import answers, exclusions, leases, pace
from tal_jax.annotation.web import server
from tal_jax.annotation.web.server import Program
from tests.annotation import campaigns, serving
from tests.annotation.web.page.pages import AUDIT, expect, listed, press

SIZES = ((1280, 720), (1920, 1080))


def answer(made, worker, segments, comment="", unusable=""):
  task = leases.next_task(made, worker).task_id
  answers.submit(made, worker, task, f"{worker} {task}", segments, comment, unusable)
  return task


@pytest.fixture
def disputed(tmp_path, counted):
  """Six videos, three people: two disputes of which one has two who agree, a skip, an exclusion."""
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=6, annotators=4)
  people = {name: campaigns.enrol(made, name) for name in ("Amira", "Ben", "Chidi", "Dana")}
  pace.plan(made, 20)
  for name, first, second in (("Amira", [(0.0, 1.0)], []), ("Ben", [(0.04, 1.0)], [(1.0, 2.0)]),
                              ("Chidi", [(2.0, 3.0)], [(3.0, 4.0)]),
                              ("Dana", [(3.0, 4.0)], [(0.0, 0.5)])):
    answer(made, people[name], first, "is it the arm?" if name == "Ben" else "")
    answer(made, people[name], second)
  for name, given in (("Amira", "it is damaged"), ("Ben", "it is damaged"), ("Chidi", "")):
    answer(made, people[name], [], "black after 2 s" if given else "", given)
  answer(made, people["Dana"], [], "", "it does not play")
  skipped = leases.next_task(made, people["Amira"]).task_id
  leases.release(made, people["Amira"], skipped, "it takes too long", "two hours")
  exclusions.exclude(made, "sample-5", "damaged after 1.9 s: the file is cut short")
  with made.store, serving.running(server.build_app(made, title="Doorway")) as url:
    yield made, f"{url}/campaign", tokens["operator"]


def test_disputes_in_a_row(disputed, open_page, shoot):
  made, url, token = disputed
  page = open_page(f"{url}#{token}")
  page.get_by_role("button", name="Adjudicate").click()
  page.locator(".table .link").first.click()
  expect(page.locator(".tl-lane.answer")).to_have_count(4)
  # The two who agree have marked it together: it is there to be confirmed.
  assert len(listed(page)) == 1
  expect(page.get_by_text("Amira \u2713", exact=True)).to_be_visible()
  shoot(page, "operator-1-dispute")
  assert page.evaluate(AUDIT) == []
  press(page, "Control+Enter")
  expect(page.locator(".eyebrow")).to_have_text("sample-1")  # the next dispute
  expect(page.get_by_text("the next of 1 dispute", exact=False).last).to_be_visible()
  assert listed(page) == []  # nobody agrees
  page.get_by_role("button", name="Ask again").click()
  page.get_by_label("Answers more").fill("2")
  page.get_by_role("dialog").get_by_role("button", name="Ask again").click()
  expect(page.locator(".badge").first).to_have_text("open")
  states = campaigns.select(made, "SELECT state, wanted FROM tasks WHERE id <= 2 ORDER BY id")
  assert states == [{"state": "adjudicated", "wanted": 4}, {"state": "open", "wanted": 6}]
  page.get_by_role("button", name="Exclude this video").click()
  page.get_by_role("dialog").get_by_label("Reason").fill("of another place")
  shoot(page, "operator-2-exclude")
  press(page, "Enter")
  expect(page.get_by_text("Left out: of another place.")).to_be_visible()
  shoot(page, "operator-3-excluded")
  page.get_by_role("button", name="Include this video again").click()
  expect(page.locator(".badge").first).to_have_text("open")


def test_progress_exclusions_and_remarks(disputed, open_page, shoot):
  made, url, token = disputed
  page = open_page(f"{url}#{token}")
  tile = page.locator(".tile[aria-label='Videos']")
  expect(tile.locator(".value")).to_have_text("0 of 4")  # six, of which two are left out
  expect(page.get_by_text("2 videos left out", exact=False)).to_be_visible()
  expect(page.locator(".tile[aria-label='Round'] .muted").first).to_have_text(
      "open, 0 of 4 decided")
  expect(page.get_by_text("sample-2: it is damaged (by most annotators)")).to_be_visible()
  for width, height in SIZES:
    page.set_viewport_size({"width": width, "height": height})
    shoot(page, f"operator-4-overview-{width}")
  assert page.evaluate(AUDIT) == []
  page.get_by_role("button", name="Include sample-5 again").click()
  expect(page.get_by_text("1 video left out", exact=False)).to_be_visible()
  page.get_by_role("link", name="Comments and skips").click()
  rows = page.locator(".table:visible tbody tr")
  expect(rows).to_have_count(5)
  expect(rows.first).to_contain_text("skipped")
  expect(rows.first).to_contain_text("it takes too long")
  for width, height in SIZES:
    page.set_viewport_size({"width": width, "height": height})
    shoot(page, f"operator-5-remarks-{width}")
  page.get_by_label("By", exact=True).select_option("Ben")
  expect(rows).to_have_count(2)
  assert page.evaluate(AUDIT) == []
  page.get_by_role("link", name="Videos and answers").click()
  page.get_by_label("Answered by").select_option("Dana")
  expect(page.locator(".table:visible tbody tr")).to_have_count(3)
  page.get_by_label("State").select_option("excluded")
  expect(page.locator(".table:visible tbody tr")).to_have_count(1)
  shoot(page, "operator-6-videos")


def test_a_persons_answers_are_left_out(disputed, open_page, shoot):
  made, url, token = disputed
  page = open_page(f"{url}?view=workers#{token}")
  page.get_by_role("button", name="Leave out the answers of Chidi").click()
  shoot(page, "operator-7-leave-out")
  page.get_by_role("dialog").get_by_role("button", name="Leave out").click()
  expect(page.locator("tr", has_text="Chidi").locator(".badge")).to_have_text("left out")
  assert [row["state"] for row in campaigns.select(
      made, "SELECT state FROM tasks WHERE id <= 2 ORDER BY id")] == ["open", "open"]
  for width, height in SIZES:
    page.set_viewport_size({"width": width, "height": height})
    shoot(page, f"operator-8-people-{width}")
  page.get_by_role("button", name="Reinstate Chidi").click()
  page.get_by_role("dialog").get_by_role("button", name="Reinstate").click()
  expect(page.locator("tr", has_text="Chidi").locator(".badge")).to_have_text("revoked")


def test_the_page_says_that_the_campaign_is_finished(tmp_path, counted, open_page, shoot):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  answer(made, campaigns.enrol(made, "Amira"), [])
  pace.plan(made, 1)
  app = server.build_app(made, title="Doorway", program=Program(finished=lambda: True))
  with made.store, serving.running(app) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    expect(page.get_by_text("The campaign is finished.")).to_be_visible()
    expect(page.locator(".tile[aria-label='Videos'] .value")).to_have_text("1 of 1")
    shoot(page, "operator-9-finished")
    assert page.evaluate(AUDIT) == []
