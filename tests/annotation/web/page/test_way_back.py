"""The annotators' way back in a real browser: undo, own answers, later, skip, unusable."""

import pytest

from tal_jax.annotation.rules import exclusions
from tal_jax.annotation.web import server
from tests.annotation import campaigns, serving
from tests.annotation.web.page.pages import AUDIT, at_frame, expect, press, saved, stored


@pytest.fixture
def at_work(tmp_path, counted, open_page):
  """(the campaign, a page at the first of three videos, whose tasks want two answers)."""
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=3, annotators=2)
  with made.store, serving.running(server.build_app(made, title="Doorway")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    yield made, page


def versions(made):
  return campaigns.select(made, "SELECT segments, comment FROM versions ORDER BY id")


def test_undo(at_work, shoot):
  made, page = at_work
  press(page, "i", "ArrowRight", "o", "c")
  page.keyboard.type("the left one")
  press(page, "Escape", "Control+Enter")
  expect(page.locator(".progress")).to_contain_text("1 answered")
  expect(page.locator(".eyebrow, .asked-place").first).to_be_visible()
  undo = page.get_by_role("button", name="Undo", exact=True).last
  shoot(page, "way-1-undo")
  undo.click()
  expect(page.get_by_text("Undone: your answer is not submitted.").last).to_be_visible()
  expect(page.locator(".segment-table tbody tr")).to_have_count(1)
  expect(page.locator("#comment")).to_have_value("the left one")
  page.reload()  # the draft is on the server
  expect(page.locator(".segment-table tbody tr")).to_have_count(1)
  press(page, "ArrowDown", "d")
  saved(page)
  press(page, "Control+Enter")
  expect(page.locator(".progress")).to_contain_text("1 answered")
  expect(page.locator(".segment-table tbody tr")).to_have_count(0)
  assert [row["comment"] for row in versions(made)] == ["the left one"]
  assert stored(made)[0][3] == [[1.0, 1.08]]  # the first version stays
  assert campaigns.select(made, "SELECT COUNT(*) AS n FROM taken_back") == [{"n": 0}]


def test_own_answers_are_seen_and_corrected(at_work, shoot):
  made, page = at_work
  press(page, "n", "Control+Enter")
  expect(page.locator(".progress")).to_contain_text("1 answered")
  press(page, "i")  # half done
  saved(page)
  page.get_by_role("button", name="My answers").click()
  row = page.locator(".own-answers tbody tr")
  expect(row).to_have_count(1)
  expect(row).to_contain_text("not here")
  for width, height in ((1280, 720), (1920, 1080)):
    page.set_viewport_size({"width": width, "height": height})
    shoot(page, f"way-2-own-{width}")
  assert page.evaluate(AUDIT) == []
  page.set_viewport_size({"width": 1280, "height": 720})
  page.get_by_role("button", name="Correct jump in sample-0").click()
  at_frame(page, 25)
  press(page, "i", "o")
  expect(page.locator(".segment-table tbody tr")).to_have_count(1)
  shoot(page, "way-3-correct")
  assert page.evaluate(AUDIT) == []
  press(page, "Control+Enter")
  expect(row).to_contain_text("1 segment, version 2")
  assert [row["segments"] for row in versions(made)] == ["[[1.0, 1.04]]"]
  page.get_by_role("button", name="Back to the videos").click()
  expect(page.locator("#missing")).to_contain_text("end")  # the start that was marked is there


def test_later_skip_and_unusable(at_work, shoot):
  made, page = at_work
  press(page, "c")
  page.keyboard.type("who is it?")
  press(page, "Escape")
  saved(page)
  page.get_by_role("button", name="Later", exact=True).click()
  expect(page.locator("#comment")).to_have_value("")
  page.get_by_role("button", name="Skip").click()
  page.get_by_label("Reason").select_option("it takes too long")
  page.get_by_label("More about it").fill("two hours")
  shoot(page, "way-4-skip")
  assert page.evaluate(AUDIT) == []
  page.get_by_role("button", name="Skip it").click()
  expect(page.get_by_role("dialog")).to_have_count(0)
  page.get_by_role("button", name="This video is unusable").click()
  dialog = page.get_by_role("dialog")
  dialog.get_by_role("button", name="It is unusable").click()
  expect(dialog).to_be_visible()  # a reason is needed
  dialog.get_by_label("Reason").select_option("it is damaged")
  shoot(page, "way-5-unusable")
  dialog.get_by_role("button", name="It is unusable").click()
  expect(page.locator(".progress")).to_contain_text("1 answered")
  expect(page.locator("#comment")).to_have_value("who is it?")  # what was put off, and its draft
  page.get_by_role("button", name="Later", exact=True).click()
  expect(page.get_by_text("There is no other video for you right now.").last).to_be_visible()
  assert campaigns.select(made, "SELECT reason, comment FROM skips") == [
      {"reason": "it takes too long", "comment": "two hours"}]
  assert campaigns.select(made, "SELECT reason FROM unusable") == [{"reason": "it is damaged"}]
  assert exclusions.excluded(made) == {}  # one of two who are wanted
