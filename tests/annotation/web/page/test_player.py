"""The annotators' page in Chromium: what is kept from video to video, ways through a long one."""

import re

import pytest

from tal_jax.annotation.web import server
from tests.annotation import counted_video, serving
from tests.annotation.web.page.pages import (
  at_frame,
  drag,
  expect,
  expect_list,
  listed,
  on_timeline,
  press,
  seen,
)


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
  """The counted video with a sound track."""
  return counted_video.draw(tmp_path_factory.mktemp("video") / "heard.mp4", sound=True)


def liked(page):
  """Speed, frames of a large step, and whether the sound is off."""
  return page.evaluate("""[document.querySelector('[title^=Speed]').value,
      document.querySelector('[title^="Frames of"]').value,
      document.querySelector('.screen video').muted,
      document.querySelector('.screen video').playbackRate]""")


def test_speed_step_and_sound_are_kept(tmp_path, heard, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=heard, num_videos=2)
  with made.store, serving.running(server.build_app(made, title="Kept")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    assert liked(page) == ["1", "10", False, 1]
    press(page, ".", ".", "m")
    page.get_by_title("Frames of a large step").select_option("30")
    press(page, "Escape", "Home", "Shift+ArrowRight")
    at_frame(page, 30)
    press(page, "n", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    at_frame(page, 25)
    assert liked(page) == ["2", "30", True, 2]
    page.reload()
    at_frame(page, 25)
    assert liked(page) == ["2", "30", True, 2]
    press(page, "m", "1")
    assert liked(page) == ["1", "30", False, 1]


@pytest.mark.parametrize("spoil", [
    "localStorage['tal_jax.preferences'] = '{\"rate\": 17, \"step\": \"x\", \"muted\": 1}'",
    "localStorage['tal_jax.preferences'] = 'null, '",
    "localStorage['tal_jax.preferences'] = '[]'",
    "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"])
def test_without_what_was_kept(tmp_path, heard, open_page, spoil):
  made, tokens = serving.sample_campaign(tmp_path, video_path=heard, num_videos=2)
  with made.store, serving.running(server.build_app(made, title="Blocked")) as url:
    page = open_page("about:blank")
    page.context.add_init_script(spoil)
    page.goto(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    assert liked(page) == ["1", "10", False, 1]
    press(page, ".", "m", "n", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")
    at_frame(page, 25)
    assert liked(page) == ["1.5", "10", True, 1.5]  # as long as the page is open


def test_a_silent_video_has_no_button_for_sound(tmp_path, counted, heard, open_page):
  for name, video, buttons in (("silent", counted, 0), ("heard", heard, 1)):
    (tmp_path / name).mkdir()
    made, tokens = serving.sample_campaign(tmp_path / name, video_path=video, num_videos=1)
    with made.store, serving.running(server.build_app(made, title=name)) as url:
      page = open_page(f"{url}/#{tokens['annotator']}")
      at_frame(page, 25)
      expect(page.locator("[data-command=mute]")).to_have_count(buttons)
      press(page, "?")
      expect(page.get_by_text("Sound on or off")).to_have_count(buttons)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 256)])  # 256: at 400 % zoom
def test_the_picture_stays_on_a_small_window(tmp_path, counted, open_page, width, height):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  with made.store, serving.running(server.build_app(made, title="Small")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    page.set_viewport_size({"width": width, "height": height})
    at_frame(page, 25)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    screen, video, transport = (page.locator(name).bounding_box() for name in (
        ".screen", ".screen video", ".transport"))
    assert video == screen and screen["height"] >= 140
    assert transport["y"] == screen["y"] + screen["height"]
    press(page, "ArrowRight")
    at_frame(page, 26)
    assert seen(page) == 26


@pytest.fixture(scope="module")
def long(tmp_path_factory):
  """A frame a second for 61 minutes."""
  return counted_video.draw(tmp_path_factory.mktemp("video") / "long.mp4", frames=3660, rate=1)


def test_ways_through_a_long_video(tmp_path, long, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=long, num_videos=1)
  with made.store, serving.running(server.build_app(made, title="Long")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 1)
    for keys, frame in (("Alt+ArrowRight", 2), ("Control+ArrowRight", 12), ("Alt+ArrowLeft", 11),
                        ("Alt+Shift+ArrowLeft", 1), ("Control+ArrowLeft", 0)):
      press(page, keys)
      at_frame(page, frame)
    field = page.get_by_label("Go to a time")
    for typed, frame in (("1:00:40", 3640), ("62", 62), ("9:59:59", 3659), ("00:02.000", 2)):
      press(page, "g")
      expect(field).to_be_focused()
      page.keyboard.type(typed)
      press(page, "Enter")
      at_frame(page, frame)
      assert seen(page) == frame % 256
      expect(page.locator(".screen")).to_be_focused()
    press(page, "g")
    page.keyboard.type("1:75")
    press(page, "Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".toast")).to_contain_text("no time")
    press(page, "Escape")
    expect(page.locator(".screen")).to_be_focused()
    at_frame(page, 2)
    press(page, "End", "i", "o")
    expect_list(page, [("1:00:59.000", "1:01:00.000")])
    expect(page.locator(".readout .time")).to_contain_text("1:00:59.000")
    expect(page.locator(".tl-ruler .major").last).to_have_text(re.compile(r"^1:\d\d:\d\d$"))


def test_an_edge_held_at_the_border_scrolls(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  with made.store, serving.running(server.build_app(made, title="Border")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    press(page, "Home", *["ArrowRight"] * 20, "i", "Shift+ArrowRight", "o", "z")
    expect_list(page, [("00:00.800", "00:01.240")])  # shown: 15 to 36
    edge = page.locator(".tl-segment.selected .tl-edge.end").bounding_box()
    lane = page.locator(".tl-lane.tl-edit").bounding_box()
    y = edge["y"] + edge["height"] / 2
    page.mouse.move(edge["x"] + edge["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(1279, y, steps=3)
    end = page.locator(".tl-segment.selected .tl-edge.end")
    expect(end).to_have_attribute("aria-valuenow", re.compile(r"^[6-9]\d$"))  # no other move
    page.mouse.move(lane["x"] - 20, y, steps=3)
    expect(end).to_have_attribute("aria-valuenow", "21")  # a frame after the start
    page.mouse.up()
    page.wait_for_timeout(100)
    ruler = page.locator(".tl-ruler").last.inner_text()
    page.wait_for_timeout(200)
    assert page.locator(".tl-ruler").last.inner_text() == ruler  # it stops with the drag
    press(page, "Control+z")
    expect_list(page, [("00:00.800", "00:01.240")])  # one step


def test_back_to_back_actions_do_not_overlap(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  with made.store, serving.running(server.build_app(made, title="Split")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    press(page, "p")
    expect(page.locator(".toast")).to_contain_text("Mark the start first")
    press(page, "Home", "i", *["ArrowRight"] * 4, "p")
    at_frame(page, 5)
    expect(page.locator(".flag")).to_contain_text("frame 5")
    press(page, "Shift+ArrowRight", "p", "ArrowRight", "o")
    expect_list(page, [("00:00.000", "00:00.200"), ("00:00.200", "00:00.640"),
                       ("00:00.640", "00:00.720")])
    press(page, "i")  # where the last one ends
    at_frame(page, 18)
    press(page, "o")
    expect(page.locator(".segment-table tbody tr").last).to_contain_text("00:00.720")
    expect(page.locator(".warning")).to_be_hidden()
    press(page, "End", "i", "p")  # nothing comes after the last frame
    expect(page.locator(".flag")).to_be_hidden()
    assert listed(page)[-1] == ("00:04.760", "00:04.800")
    press(page, "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")


def test_the_limit_of_segments_is_told_when_it_is_reached(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1, max_segments=3)
  with made.store, serving.running(server.build_app(made, title="Limit")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)
    told = page.locator(".toast", has_text="no more")
    press(page, "Home", "i", "o", "ArrowRight", "ArrowRight", "i", "o")
    expect(told).to_have_count(0)
    press(page, "ArrowRight", "ArrowRight", "i", "o")
    expect(told).to_contain_text("This is segment 3")
    press(page, "ArrowRight", "ArrowRight", "i", "o")
    expect(told).to_contain_text("Not added")
    drag(page, on_timeline(page, .5), on_timeline(page, .6))
    assert len(listed(page)) == 3
    press(page, "Escape", "Control+Enter")
    expect(page.locator(".progress")).to_contain_text("1 answered")


def test_keys_mean_their_place_on_a_layout_without_latin_letters(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=1)
  with made.store, serving.running(server.build_app(made, title="Layout")) as url:
    page = open_page(f"{url}/#{tokens['annotator']}")
    at_frame(page, 25)

    def key(printed, code, **more):
      page.evaluate("""(keys) => document.activeElement.dispatchEvent(new KeyboardEvent(
          'keydown', {bubbles: true, cancelable: true, ...keys}))""",
                    {"key": printed, "code": code, **more})

    key("\u0448", "KeyI")
    expect(page.locator(".flag")).to_be_visible()
    key("\u0449", "KeyO")
    expect_list(page, [("00:01.000", "00:01.040")])
    key("\u044f", "KeyZ", ctrlKey=True)
    expect_list(page, [])
    press(page, "?")
    page.get_by_role("dialog").get_by_role("checkbox").uncheck()
    press(page, "Escape")
    key("\u0449", "KeyO")
    expect_list(page, [])
