"""What is done on a page, and read from it."""

import json
import pathlib
import re

import pytest

from tests.annotation import campaigns, counted_video

FRAMES = 120  # of the counted video, at 25 frames a second
AUDIT = (pathlib.Path(__file__).parent / "page_audit.js").read_text("utf-8")


def expect(what):
  """Playwright's, which waits; a busy machine is no fault of the page."""
  sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
  sync_api.expect.set_options(timeout=30_000)  # milliseconds
  return sync_api.expect(what)


def seen(page):
  """The number that the counted video shows."""
  return page.evaluate(counted_video.SEEN)


def at_frame(page, frame):
  expect(page.locator(".readout .frame")).to_have_text(re.compile(rf"^frame {frame} /"))


def listed(page):
  """The segments in the list: [(start, end)] as texts."""
  return [tuple(row.locator(".link").all_inner_texts()[1:])
          for row in page.locator(".segment-table tbody tr").all()]


def expect_list(page, segments):
  expect(page.locator(".segment-table tbody tr")).to_have_count(len(segments))
  assert listed(page) == segments


def saved(page):
  expect(page.locator(".save")).to_have_text("Draft saved")


def stored(made):
  """worker -> task -> segments of all answers in the database."""
  return [(row["name"], row["task_id"], row["comment"], json.loads(row["segments"]))
          for row in campaigns.select(made, """
      SELECT w.name, a.task_id, a.comment, (
        SELECT json_group_array(json_array(start, "end")) FROM (
          SELECT start, "end" FROM segments s WHERE s.assignment_id = a.id ORDER BY start)
        ) AS segments
      FROM assignments a JOIN workers w ON w.id = a.worker_id ORDER BY a.id""")]


def press(page, *keys):
  for key in keys:
    page.keyboard.press(key)


def on_timeline(page, share):
  """A point of the edit lane, at a share of its width."""
  box = page.locator(".tl-lane.tl-edit").bounding_box()
  return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def drag(page, start, end):
  page.mouse.move(*start)
  page.mouse.down()
  page.mouse.move((start[0] + end[0]) / 2, start[1], steps=3)
  page.mouse.move(*end, steps=3)
  page.mouse.up()
