"""Several classes of one video on the page: a lane and a number each, one submission for all.

Screenshots go to the folder named by TAL_JAX_ARTIFACTS (default: pytest's temporary one).
"""

import json
import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tal_jax.annotation import campaign
from tal_jax.annotation.rules import answers
from tal_jax.annotation.web import server
from tests.annotation import campaigns, serving
from tests.annotation.web.page.pages import AUDIT, at_frame, drag, expect, listed, press, saved

LABELS = ("enter the room", "leave", "sit down", "stand up", "open the window")


def ask(folder, video, labels=LABELS, videos=2):
  """A campaign with one round that asks for all labels in each video; an annotator's token."""
  made, tokens = serving.sample_campaign(folder, video_path=video, num_videos=1)
  campaign.add_classes(made, [(label, f"How to see {label}. " * 3) for label in labels])
  with made.store.write() as db:
    row = db.execute("SELECT * FROM videos").fetchone()
    db.execute("UPDATE rounds SET state = 'trained'")
    db.execute("UPDATE tasks SET state = 'agreed'")
  names = [f"several-{i}" for i in range(videos)]
  campaign.add_videos(made, [campaign.Video(
      name, row["path"], row["duration"], row["fps"], media_path=row["media_path"],
      width=row["width"], height=row["height"], num_frames=row["num_frames"]) for name in names])
  campaign.open_round(made, 1, [
      campaign.Ask(name, label, (1.0, 2.0) if i == 1 else None)
      for name in names for i, label in enumerate(labels)])
  return made, tokens


def stored(made):
  """label -> segments of the answers, in the order of the tasks."""
  return [(row["name"], row["comment"], json.loads(row["segments"])) for row in campaigns.select(
      made, """SELECT c.name, a.comment, (
        SELECT json_group_array(json_array(start, "end")) FROM (
          SELECT start, "end" FROM segments s WHERE s.assignment_id = a.id ORDER BY start)
      ) AS segments FROM assignments a JOIN tasks t ON t.id = a.task_id
      JOIN classes c ON c.id = t.class_id ORDER BY t.id""")]


def rows(page):
  """(number, class, start, end) of the segments in the list."""
  return [(row.locator("th").inner_text(), row.locator(".of-class .clip").inner_text(),
           *row.locator("td .link").all_inner_texts())
          for row in page.locator(".segment-table tbody tr").all()]


def lane(page, index):
  return page.locator(".tl-lane.tl-edit").nth(index)


def inside(page, index, share):
  """A point of a lane, at a share of its width."""
  box = lane(page, index).bounding_box()
  return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def test_five_classes_by_keyboard_and_mouse(tmp_path, counted, open_page, shoot):
  made, tokens = ask(tmp_path, counted)
  with made.store, serving.running(server.build_app(made, title="Doors")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    expect(page.locator(".tl-lane.tl-edit")).to_have_count(5)
    expect(page.get_by_role("heading", name="enter the room")).to_be_visible()
    at_frame(page, 0)
    shoot(page, "classes-1-start")
    press(page, "Control+Enter")
    expect(page.locator("#missing")).to_contain_text(
        "No answer yet: " + ", ".join(LABELS) + ".")
    press(page, "i", *["ArrowRight"] * 9, "o")  # enter: frames 0 to 9
    press(page, "2")
    expect(page.get_by_role("heading", name="leave")).to_be_visible()
    expect(page.locator("#missing")).to_contain_text("No answer yet: leave, sit down,")
    press(page, "i", "3", "i")  # two at once
    expect(page.locator(".flag")).to_contain_text("sit down, segment from")
    expect(page.locator("#missing")).to_contain_text("Mark the end (O) of leave, sit down")
    press(page, "ArrowRight", "o", "2", "ArrowRight", "o")
    drag(page, inside(page, 3, .5), inside(page, 3, .75))  # frames 60 to 89, and the class with it
    expect(page.get_by_role("heading", name="stand up")).to_be_visible()
    assert rows(page) == [
        ("1", "enter the room", "00:00.000", "00:00.400"),
        ("1", "sit down", "00:00.360", "00:00.440"),
        ("1", "leave", "00:00.360", "00:00.480"),
        ("1", "stand up", *rows(page)[3][2:])]
    expect(page.locator("#missing")).to_have_text(
        "No answer yet: open the window.")
    press(page, "Control+Enter")  # refused, and the class that lacks an answer is chosen
    expect(page.get_by_role("heading", name="open the window")).to_be_visible()
    press(page, "n")
    expect(lane(page, 4)).to_contain_text("not here")
    shoot(page, "classes-2-marked")
    press(page, "Control+z")
    expect(lane(page, 4).locator(".tl-nothing")).to_be_hidden()
    page.get_by_role("button", name="open the window is not here").click()
    expect(lane(page, 4)).to_contain_text("not here")
    press(page, "Control+z", "Control+z")  # the drawn one: undo goes where it was
    expect(page.get_by_role("heading", name="stand up")).to_be_visible()
    assert len(rows(page)) == 3
    press(page, "Control+y", "Control+y", "1", "ArrowUp")
    expect(page.locator(".inspected")).to_contain_text("segment 1")
    press(page, "Escape", "Home", "ArrowDown")  # through all classes in the order of time
    expect(page.locator(".inspected")).to_have_text("enter the room, segment 1")
    press(page, "ArrowDown", "ArrowDown", "d", "f", "f")
    expect(page.locator(".inspected")).to_have_text("leave, segment 1")
    assert rows(page)[2][3] == "00:00.520"
    page.set_viewport_size({"width": 1920, "height": 1080})
    shoot(page, "classes-3-large")
    page.set_viewport_size({"width": 1280, "height": 720})
    saved(page)
    before = rows(page)
    page.reload()
    expect(page.locator(".segment-table tbody tr")).to_have_count(4)
    assert rows(page) == before
    expect(page.get_by_role("heading", name="leave")).to_be_visible()  # as it was left
    assert page.evaluate(AUDIT) == []
    width, height = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert (width, height) == (1280, 720)
    press(page, "c")
    page.keyboard.type("hello")
    press(page, "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    drawn = stored(made)[3][2]
    assert stored(made) == [
        ("enter the room", "hello", [[0.0, .4]]), ("leave", "hello", [[9 / 25, 13 / 25]]),
        ("sit down", "hello", [[9 / 25, 11 / 25]]), ("stand up", "hello", drawn),
        ("open the window", "hello", [])]
    assert drawn[0] == pytest.approx([60 / 25, 90 / 25], abs=.05)
    expect(page.locator(".tl-lane.tl-edit")).to_have_count(5)  # the next video


def test_a_lost_receipt_and_a_class_that_another_took(tmp_path, counted, open_page):
  made, tokens = ask(tmp_path, counted, LABELS[:2])
  with made.store, serving.running(server.build_app(made, title="Doors")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 0)
    sent = []

    def swallow(route):  # the server stores the answers, but their receipt is lost
      sent.append(route.fetch().json())
      route.abort()

    page.route("**/answer", swallow, times=1)
    press(page, "n", "2", "n", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    assert [receipt["replayed"] for receipt in sent] == [False]
    assert [segments for *_, segments in stored(made)] == [[], []]

    at_frame(page, 0)
    press(page, "n", "2", "i", "o")
    saved(page)
    worker = campaigns.enrol(made, "other")
    tasks = [row["id"] for row in campaigns.select(
        made, "SELECT id FROM tasks WHERE round_id = 1 ORDER BY id")][2:]
    with made.store.write() as db:  # away for so long that somebody else answers one class
      db.execute("UPDATE leases SET state = 'expired' WHERE state = 'held'")
      db.execute("UPDATE tasks SET state = 'open' WHERE id = ?", (tasks[0],))
      db.execute("UPDATE tasks SET state = 'open' WHERE id = ?", (tasks[1],))
      db.execute("INSERT INTO leases (task_id, worker_id, granted_at, expires_at) "
                 "VALUES (?, ?, 0, 9e9)", (tasks[0], worker))
      db.execute("UPDATE tasks SET state = 'leased' WHERE id = ?", (tasks[0],))
    answers.submit(made, worker, tasks[0], "theirs", [])
    press(page, "Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("cannot go on here")
    page.get_by_role("button", name="Load what is next").click()
    expect(page.get_by_role("heading", name="leave")).to_be_visible()
    expect(page.locator(".tl-lane.tl-edit")).to_have_count(1)  # what is left, with the draft
    assert listed(page) == [("00:00.000", "00:00.040")]
    press(page, "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("2 answered")
    assert [segments for *_, segments in stored(made)][2:] == [[], [[0.0, .04]]]


def test_more_classes_than_numbers_scroll(tmp_path, counted, open_page, shoot):
  labels = [f"action {i}" for i in range(12)]
  made, tokens = ask(tmp_path, counted, labels, videos=1)
  with made.store, serving.running(server.build_app(made, title="Many")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    expect(page.locator(".tl-lane.tl-edit")).to_have_count(12)
    at_frame(page, 0)
    choice = page.get_by_role("button", name=re.compile("action 11$"))
    choice.focus()
    press(page, "Enter")
    expect(page.get_by_role("heading", name="action 11")).to_be_visible()
    press(page, "i", "o")
    assert rows(page) == [("1", "action 11", "00:00.000", "00:00.040")]
    press(page, "1")
    expect(page.get_by_role("button", name=re.compile("action 0$"))).to_be_in_viewport()
    choice.focus()
    press(page, "Enter")
    shoot(page, "classes-4-many")
    box = page.locator(".screen").bounding_box()
    assert box["height"] > 150
    assert page.evaluate(AUDIT) == []
