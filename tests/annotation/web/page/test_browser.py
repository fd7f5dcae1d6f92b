"""The pages in a real browser, from the first link to the last answer."""

import json
import pathlib
import re

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.rules import answers, leases
from tal_jax.annotation.web import server
from tests.annotation import campaigns, serving
from tests.annotation.web.page.pages import (
  AUDIT,
  FRAMES,
  at_frame,
  drag,
  expect,
  expect_list,
  listed,
  on_timeline,
  press,
  saved,
  seen,
  stored,
)

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the extra 'annotate' is not installed")
pytest.importorskip("av", reason="the extra 'annotate' is not installed")

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_whole_annotation_by_keyboard_and_mouse(tmp_path, data_dir, open_page, shoot):
  video = data_dir / "video" / "one-by-one-person-detection.mp4"  # 139.4 s, 10 frames a second
  made, tokens = serving.sample_campaign(tmp_path, video_path=video)
  example = {"jump": {"text": "Two jumps, one after the other: two segments.",
                      "segments": [[2, 3.1], [5, 6.2]], "duration": 9.0}}
  app = server.build_app(made, title="Doorway, autumn campaign", examples=example)
  with made.store, serving.running(app) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    expect(page.get_by_role("heading", name="jump")).to_be_visible()
    expect(page.locator(".screen")).to_be_focused()
    at_frame(page, 10)  # the hint begins there
    expect(page.get_by_text("Two jumps, one after")).to_be_attached()
    expect(page.locator(".tl-lane.tl-film")).to_have_attribute("data-missing", "0")
    shoot(page, "annotate-1-start")

    press(page, *"....")
    expect(page.get_by_label("Speed", exact=True)).to_have_value("4")
    press(page, "Space", "i")
    expect(page.locator(".readout .frame")).to_have_text(re.compile(r"^frame ([6-9]\d|\d{3,}) /"))
    press(page, "o", "Space", "1")
    expect(page.locator(".segment-table tbody tr")).to_have_count(1)
    expect(page.get_by_label("Speed", exact=True)).to_have_value("1")
    press(page, "Delete")  # where playing got to depends on the machine
    expect_list(page, [])

    press(page, "Home", *["ArrowRight"] * 12, "i", "Shift+ArrowRight", "Shift+ArrowRight", "o")
    expect_list(page, [("00:01.200", "00:03.300")])  # frames 12 to 32
    press(page, "q", "Shift+F", "d")
    expect_list(page, [("00:01.100", "00:04.200")])
    at_frame(page, 41)  # the last frame of the segment
    drag(page, on_timeline(page, .5), on_timeline(page, .6))
    expect(page.locator(".segment-table tbody tr")).to_have_count(2)
    drawn = page.locator(".tl-segment.selected").bounding_box()
    lane = page.locator(".tl-lane.tl-edit").bounding_box()
    assert abs(drawn["x"] - lane["x"] - .5 * lane["width"]) < 3
    assert abs(drawn["width"] - .1 * lane["width"]) < 4
    edge = page.locator(".tl-segment.selected .tl-edge.end").bounding_box()
    middle = (edge["x"] + edge["width"] / 2, edge["y"] + edge["height"] / 2)
    before = listed(page)
    drag(page, middle, (middle[0] + .05 * lane["width"], middle[1]))
    assert listed(page)[1][0] == before[1][0] and listed(page)[1][1] > before[1][1]
    after = listed(page)
    press(page, "Control+z")
    assert listed(page) == before  # a drag is one step
    press(page, "Control+y")
    assert listed(page) == after

    ruler = page.locator(".tl-ruler .major").all_inner_texts()
    page.mouse.move(*on_timeline(page, .5))
    page.mouse.wheel(0, -600)
    expect(page.locator(".tl-ruler .major").nth(1)).not_to_have_text(ruler[1])
    press(page, "z")
    expect(page.locator(".tl-lane.tl-film")).to_have_attribute("data-missing", "0")
    shoot(page, "annotate-2-zoomed")
    press(page, "0")
    assert page.locator(".tl-ruler .major").all_inner_texts() == ruler

    press(page, "ArrowUp")
    at_frame(page, 11)
    press(page, "l")
    frames = page.evaluate("""() => new Promise((resolve) => {
      const seen = [], video = document.querySelector('.screen video');
      const look = (_, {mediaTime}) => {
        seen.push(Math.round(mediaTime * 10));
        const turns = seen.filter((f, i) => i && f < seen[i - 1]).length;
        if (turns === 2) resolve(seen); else video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    })""")
    turns = [i for i in range(1, len(frames)) if frames[i] < frames[i - 1]]
    # A busy machine draws few frames; each turn leads back into the segment, frames 11 to 41.
    assert len(turns) == 2 and all(11 <= frames[i] < 42 for i in turns) and min(frames) >= 11
    press(page, "l", "Space", "1", "c")
    expect(page.locator("#comment")).to_be_focused()
    page.keyboard.type("I o? " + SCRIPT)
    press(page, "Escape")
    expect(page.locator(".screen")).to_be_focused()
    saved(page)
    after = listed(page)
    shoot(page, "annotate-3-marked")
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    shoot(page, "annotate-4-keys")
    press(page, "Escape")

    page.reload()
    expect_list(page, after)
    assert page.locator("#comment").input_value() == "I o? " + SCRIPT
    page.locator("button[data-command=submit]").click()
    expect(page.locator(".progress")).to_contain_text("1 answered")
    shoot(page, "annotate-5-next")
    press(page, "n", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("2 answered")
    assert page.title() != "owned"
    (worker, _, comment, segments), (_, _, _, none) = stored(made)
    assert (worker, comment, none) == ("annotator one", "I o? " + SCRIPT, [])
    assert segments[0] == [11 / 10, 42 / 10]
    assert segments[1] == [pytest.approx(60 * float(m) + float(s)) for m, s in (
        text.split(":") for text in after[1])]
    page.get_by_role("button", name="Skip").click()
    shoot(page, "annotate-6-skip")
    page.get_by_role("button", name="Skip it").click()
    expect(page.get_by_role("heading", name="No task for you right now")).to_be_visible()
    shoot(page, "annotate-7-none")


def test_steps_are_exact(tmp_path, counted, open_page):
  """The frame that the page names is the one whose pixels are on the screen, at every step."""
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Count")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)

    def go(frame, *keys):
      press(page, *keys)
      at_frame(page, frame)
      assert seen(page) == frame

    go(0, "Home")
    for frame in range(1, 30):
      go(frame, "ArrowRight")
    go(22, *["ArrowLeft"] * 7)  # faster than the seeks
    go(62, *["Shift+ArrowRight"] * 4)
    go(FRAMES - 1, "End")
    go(FRAMES - 1, "ArrowRight")
    go(FRAMES - 11, "Shift+ArrowLeft")
    press(page, "Home", "i", *["ArrowRight"] * 5, "o")  # a mark is where the steps lead
    expect_list(page, [("00:00.000", "00:00.240")])
    press(page, "End", "i", "o", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    assert stored(made)[0][3] == [[0.0, 6 / 25], [119 / 25, 120 / 25]]


def test_nothing_is_lost_while_the_server_is_away(tmp_path, counted, open_page, shoot):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Away")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    saved(page)
    page.route("**/api/**", lambda route: route.abort())
    press(page, "i", "Shift+ArrowRight", "o")
    expect(page.locator(".save.unsaved")).to_contain_text("Not saved")
    shoot(page, "annotate-8-away")
    page.unroute("**/api/**")
    page.reload()  # before it could be sent again: this browser has it
    expect_list(page, [("00:01.000", "00:01.440")])
    saved(page)
    at_frame(page, 35)

    lost = []

    def swallow(route):  # the server stores the answer, but its receipt is lost
      lost.append(route.fetch().json())
      route.abort()

    page.route("**/answer", swallow, times=1)
    press(page, "Control+Enter")
    expect(page.locator("#missing")).to_contain_text("sent again")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    assert [receipt["replayed"] for receipt in lost] == [False]
    assert [s for *_, s in stored(made)] == [[[1.0, 36 / 25]]]  # once


def test_two_windows_on_one_task_do_not_overwrite_each_other(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Twice")) as url:
    first, second = (open_page(f"{url}/#{tokens['annotator']}") for _ in range(2))
    for page in (first, second):
      at_frame(page, 25)
      saved(page)
    press(second, "i", "ArrowRight", "o", "i", "ArrowRight", "o")
    saved(second)
    press(first, "i")
    expect(first.get_by_role("dialog")).to_contain_text("another window")
    first.get_by_role("button", name="Load what is next").click()
    expect_list(first, listed(second))


def test_by_keyboard_alone_with_suggestions(tmp_path, counted, open_page, shoot):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  with made.store.write() as db:
    db.execute("INSERT INTO suggestions (video_id, class_id, body, round_id) "
               "SELECT v.id, c.id, ?, 0 FROM videos v, classes c WHERE c.name = 'jump'",
               (json.dumps([[0.4, 1.2, 0.9], [2.0, 3.0, 0.41]]),))
  with made.store:
    with serving.running(server.build_app(made, title="Plain")) as url:
      page = open_page(f"{url}/#{tokens['annotator']}")
      at_frame(page, 25)
      assert page.locator(".tl-span.suggestion").count() == 0  # only where the campaign shows them
    with serving.running(server.build_app(made, title="Shown", suggestions=True)) as url:
      page = open_page(f"{url}/#{tokens['annotator']}")
      at_frame(page, 25)
      expect(page.locator(".tl-span.suggestion")).to_have_count(2)
      press(page, "Home", "t", "t")
      expect_list(page, [("00:00.400", "00:01.200"), ("00:02.000", "00:03.000")])
      shoot(page, "annotate-9-suggestions")
      reached = []
      for _ in range(60):  # Tab reaches the edges of the selected segment, and the way to submit
        press(page, "Tab")
        name, chord = page.evaluate(
            "() => ((e) => [e.getAttribute('aria-label') || e.innerText || '', "
            "e.dataset.command || ''])(document.activeElement)")
        reached.append((name, chord))
        if name == "Start of segment 2":
          press(page, "Shift+ArrowLeft", "ArrowRight")
          expect_list(page, [("00:00.400", "00:01.200"), ("00:01.640", "00:03.000")])
      assert {"begin", "finish", "undo", "submit"} <= {chord for _, chord in reached}
      assert {"Start of segment 2", "End of segment 2", "Delete segment 1"} <= {
          name for name, _ in reached}
      page.locator("button[data-command=submit]").focus()
      press(page, "Enter")
      expect(page.get_by_role("heading", name="No task for you right now")).to_be_visible()
      assert [s for *_, s in stored(made)] == [[[10 / 25, 30 / 25], [41 / 25, 75 / 25]]]


def test_keys_without_ctrl_can_be_turned_off(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Letters")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    press(page, "?")
    page.get_by_role("dialog").get_by_role("checkbox").uncheck()
    press(page, "Escape", "i")
    expect(page.locator(".flag")).to_be_hidden()
    page.get_by_role("button", name="Mark start").click()
    expect(page.locator(".flag")).to_be_visible()


def test_links_that_are_no_good(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Links")) as url:
    page = open_page(url)
    expect(page.get_by_role("heading", name="Open your link")).to_be_visible()
    page.get_by_label("The link").fill(f"{url}/#{'x' * 43}")
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    page.get_by_label("The link").fill(f"{url}/#{tokens['annotator']}")
    press(page, "Enter")
    at_frame(page, 25)
    page = open_page(f"{url}/campaign#{tokens['annotator']}")
    expect(page.get_by_role("heading", name="This page is for operators")).to_be_visible()
    page = open_page(f"{url}/#preview=1")
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()


def test_label_with_markup_is_text(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store.write() as db:
    db.execute("UPDATE classes SET name = ?, instructions = ? WHERE name = 'jump'",
               (SCRIPT, SCRIPT))
  with made.store, serving.running(server.build_app(made, title=SCRIPT)) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    expect(page.get_by_role("heading", name=SCRIPT)).to_be_visible()
    assert page.title() != "owned" and page.locator("img").count() == 0


def grown_campaign(folder, video):
  """Three trained rounds and one with a dispute, by three annotators."""
  made, tokens = serving.sample_campaign(folder, video_path=video, num_videos=6, annotators=2)
  duration = campaigns.select(made, "SELECT duration FROM videos")[0]["duration"]
  people = [campaigns.enrol(made, name) for name in ("Amira", "Ben", "Chidi")]
  for number in range(4):
    if number:
      with made.store.write() as db:
        row = db.execute("SELECT * FROM videos LIMIT 1").fetchone()
      names = [f"door-{number}-{i}" for i in range(4)]
      campaign.add_videos(made, [campaign.Video(
          name, row["path"], row["duration"], row["fps"], media_path=row["media_path"],
          width=row["width"], height=row["height"], num_frames=row["num_frames"])
          for name in names])
      campaign.open_round(made, number, [campaign.Ask(name, "jump") for name in names])
    for k, person in enumerate(people[:2]):
      for i in range((6, 4, 4, 3)[number]):
        lease = leases.next_task(made, person)
        start = duration * (.1 + .02 * k + .01 * i)
        given = [[start, start + duration * .2], [duration * .7, duration * (.8 + .01 * k)]]
        if number == 3 and i == 0 and k:
          given = [[duration * .5, duration * .55]]
        answers.submit(made, person, lease.task_id, f"{number}-{k}-{i}", given,
                       f"hidden by the table {SCRIPT}" if i == 0 else "")
    if number < 3:
      with made.store.write() as db:
        db.execute("INSERT INTO results (round_id, num_labeled, num_instances, map, attention_ap, "
                   "seconds, at) VALUES (?, ?, ?, ?, ?, 30, ?)",
                   (number, 6 + 4 * number, 12 + 8 * number, .12 + .06 * number,
                    .31 + .05 * number, made.clock()))
      campaign.mark_trained(made, number)
  return made, tokens


def test_campaign_page(tmp_path, data_dir, open_page, shoot):
  video = data_dir / "video" / "one-by-one-person-detection.mp4"
  made, tokens = grown_campaign(tmp_path, video)
  app = server.build_app(made, title="Doorway, autumn campaign")
  with made.store, serving.running(app) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}", accept_downloads=True)
    tile = lambda name: page.locator(f".tile[aria-label='{name}'] .value")  # noqa: E731
    expect(tile("Round")).to_have_text("3")
    expect(tile("Disputed")).to_have_text("1")
    expect(tile("Decided")).to_have_text("16")
    expect(page.locator(".curve")).to_have_attribute(
        "aria-label", re.compile(r"mAP 0\.240 at 14 videos; Attention AP 0\.410"))
    assert page.locator(".curve .series.first circle").count() == 3
    shoot(page, "campaign-1-overview")

    page.get_by_role("button", name="Adjudicate").click()
    expect(page.locator("#by-state")).to_have_value("disputed")
    expect(page.locator(".table tbody tr")).to_have_count(1)
    page.locator("#by-state").select_option("")
    expect(page.locator(".table tbody tr")).to_have_count(18)
    shoot(page, "campaign-2-videos")
    page.locator("#by-name").fill("door-3")
    expect(page.locator(".table tbody tr")).to_have_count(4)
    page.locator("#by-state").select_option("disputed")
    page.locator(".table .link").first.click()
    expect(page.locator(".tl-lane.answer")).to_have_count(2)
    expect(page.locator(".comment").first).to_have_text(f"hidden by the table {SCRIPT}")
    page.get_by_role("button", name="Copy: Amira").click()
    expect(page.locator(".segment-table tbody tr")).to_have_count(2)
    expect(page.locator(".tl-lane.tl-film")).to_have_attribute("data-missing", "0")
    shoot(page, "campaign-3-adjudicate")
    press(page, "Control+Enter")
    expect(page.locator(".badge").first).to_have_text("adjudicated")
    press(page, "ArrowDown", "d")  # a correction of what is decided
    page.get_by_role("button", name="Save correction").click()
    expect(page.get_by_role("button", name="Save correction")).to_have_attribute(
        "aria-disabled", "true")
    task = int(re.search(r"task=(\d+)", page.url)[1])
    events = campaigns.select(made, "SELECT COUNT(*) AS n FROM events WHERE "
                              "kind = 'tasks.adjudicated' AND subject_id = ?", task)
    assert events == [{"n": 2}]
    final = campaigns.select(made, "SELECT source FROM segments WHERE task_id = ? "
                             "AND assignment_id IS NULL", task)
    assert [row["source"] for row in final] == ["adjudication"] * 2

    page.get_by_role("link", name="Annotators").click()
    page.get_by_label("Name", exact=True).fill("dana@example.org")
    press(page, "Enter")
    link = page.get_by_label("Link of dana@example.org", exact=True).input_value()
    shoot(page, "campaign-4-annotators")
    guest = open_page(link)
    expect(guest.get_by_role("heading", name="jump")).to_be_visible()
    page.get_by_role("button", name="Revoke the link of dana@example.org").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    row = page.locator("tr", has_text="dana@example.org")
    expect(row.locator(".badge")).to_have_text("revoked")
    guest.reload()
    expect(guest.get_by_role("heading", name="Open your link")).to_be_visible()

    with page.expect_download() as download:
      page.get_by_role("button", name="ActivityNet JSON").click()
    exported = json.loads(pathlib.Path(download.value.path()).read_text())
    assert len(exported["database"]) == 17
    assert page.title() != "owned"


def test_an_open_task_is_taken_out_of_the_queue_and_decided(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted)
  with made.store, serving.running(server.build_app(made, title="Stalled")) as url:
    page = open_page(f"{url}/campaign?view=task&task=1#{tokens['operator']}")
    expect(page.locator(".badge").first).to_have_text("open")
    press(page, "i", "o")
    assert listed(page) == []  # it is the annotators' still
    page.get_by_role("button", name="Take out of the queue").click()
    expect(page.locator(".badge").first).to_have_text("disputed")
    press(page, "n", "Control+Enter")
    expect(page.locator(".badge").first).to_have_text("adjudicated")
    expect(page.locator(".facts")).to_contain_text("the action is not here")


def test_a_stopped_worker_is_reinstated(tmp_path, counted, open_page, shoot):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1, annotators=3,
                                         min_worker_f1=0.5, min_compared=1)
  for name, segment in (("Amira", (0.0, 1.0)), ("Ben", (2.0, 3.0)), ("Chidi", (2.0, 3.0))):
    person = campaigns.enrol(made, name)
    answers.submit(made, person, leases.next_task(made, person).task_id, name, [segment])
  with made.store, serving.running(server.build_app(made, title="Again")) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    page.get_by_role("link", name="Annotators").click()
    row = page.locator("tr", has_text="Amira")
    expect(row.locator(".badge")).to_have_text("stopped")
    shoot(page, "campaign-5-stopped")
    assert page.evaluate(AUDIT) == []
    page.get_by_role("button", name="Reinstate Amira").click()
    page.get_by_role("dialog").get_by_role("button", name="Reinstate").click()
    expect(row.locator(".badge")).to_have_text("working")
    expect(page.locator("tr", has_text="Ben").locator(".badge")).to_have_text("working")


def test_the_overview_says_who_is_at_work(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1, annotators=1)
  with made.store, serving.running(server.build_app(made, title="Whose turn")) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    expect(page.get_by_text("The tasks are with the annotators.")).to_be_visible()
    annotator = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(annotator, 25)
    press(annotator, "n", "Control+Enter")
    expect(annotator.locator(".progress")).to_contain_text("1 answered")
    expect(page.get_by_text("The learner is at work.")).to_be_visible()
    campaign.mark_trained(made, 0)
    expect(page.get_by_text("All rounds so far are trained.")).to_be_visible()




def test_readable_and_named_and_on_one_screen(tmp_path, counted, open_page):
  """By hand what audits of accessibility look for: names, contrast, order, room."""
  made, tokens = grown_campaign(tmp_path, counted)
  app = server.build_app(made, title="Audit", suggestions=True,
                         examples={"jump": {"text": "One. " * 20, "segments": [[1, 2]],
                                            "duration": 4.0}})
  with made.store, serving.running(app) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    expect(page.locator(".readout .frame")).to_contain_text("frame")
    press(page, "i", "Shift+ArrowRight", "o", "ArrowLeft", "i", "ArrowRight", "o", "i")
    expect(page.locator(".segment-table tbody tr")).to_have_count(2)
    saved(page)
    assert page.evaluate(AUDIT) == []
    warning, comment = (page.locator(name).bounding_box() for name in (".warning", "#comment"))
    assert warning["y"] + warning["height"] <= comment["y"]
    press(page, "?")
    assert page.evaluate(AUDIT) == []
    press(page, "Escape")
    width, height = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert (width, height) == (1280, 720)
    operator = open_page(f"{url}/campaign#{tokens['operator']}")
    for name in ("Overview", "Videos and answers", "Annotators"):
      operator.get_by_role("link", name=name).click()
      operator.locator("table tbody th").first.wait_for(state="attached")
      assert operator.evaluate(AUDIT) == []
    operator.goto(f"{url}/campaign?view=task&task=1#{tokens['operator']}")
    expect(operator.locator(".tl-lane.answer")).to_have_count(2)
    assert operator.evaluate(AUDIT) == []
