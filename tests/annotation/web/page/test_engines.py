"""What every browser must do alike: load the page, show the frame it names, mark, and submit.

In Debian's Chromium and Debian's Firefox. The frame that is shown is read from the pixels of a
counted video.
"""

import contextlib
import time

import pytest

from tal_jax.annotation.web import server
from tests.annotation import counted_video, engines, serving
from tests.annotation.web.page.pages import stored

pytest.importorskip("uvicorn", reason="the extra 'annotate' is not installed")
pytest.importorskip("av", reason="the extra 'annotate' is not installed")

FRAMES = 240
NAMED = "Number(/^frame (\\d+) /.exec(document.querySelector('.readout .frame')?.textContent)?.[1])"
SEGMENTS = """[...document.querySelectorAll('.tl-segment')].map((bar) =>
    [...bar.querySelectorAll('.tl-edge')].map((edge) => Number(edge.ariaValueNow)))"""
VIDEO = "document.querySelector('.screen video')"


@pytest.fixture(scope="module", params=engines.NAMES)
def window(request, tmp_path_factory):
  with engines.running(request.param, tmp_path_factory.mktemp(request.param)) as opened:
    yield opened
    assert opened.errors() == []


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
  """By frames a second; in the fast one a browser that tells of frames late is some behind."""
  folder = tmp_path_factory.mktemp("counted")
  return {rate: counted_video.draw(folder / f"{rate}.mp4", frames=FRAMES, rate=rate)
          for rate in (25, 60)}


@pytest.fixture
def annotate(tmp_path, window, videos):
  """Opens the page of an annotator, for a video of a rate; gives the campaign."""
  with contextlib.ExitStack() as open_ones:

    def start(rate):
      made, tokens = serving.sample_campaign(tmp_path, video_path=videos[rate], num_videos=1)
      open_ones.enter_context(made.store)
      url = open_ones.enter_context(serving.running(server.build_app(made, title="Both")))
      window.open(f"{url}/#{tokens['annotator']}")
      arrived(window, rate)  # the hint begins after a second
      return made

    yield start


def arrived(window, frame):
  """Waits until that frame is named; it must be on the screen."""
  engines.wait(window, f"{NAMED} === {frame} && {VIDEO}.readyState > 1 && !{VIDEO}.seeking")
  assert window.ask(counted_video.SEEN) == frame


def stopped(window):
  """The frame at which the video came to rest, which must be the one that is named."""
  engines.wait(window, f"{VIDEO}.paused && !{VIDEO}.seeking")
  time.sleep(0.5)  # longer than any late word of a frame
  named = window.ask(NAMED)
  assert window.ask(counted_video.SEEN) == named
  return named


def test_steps_and_marks_are_exact(window, annotate):
  made = annotate(25)
  window.press("Home")
  arrived(window, 0)
  for frame in range(1, 20):
    window.press("ArrowRight")
    arrived(window, frame)
  window.press(*["ArrowLeft"] * 7)  # faster than the seeks
  arrived(window, 12)
  window.press("End")
  arrived(window, FRAMES - 1)
  window.press("Home", "i", *["ArrowRight"] * 5, "o", "End", "i", "o")
  assert engines.wait(window, SEGMENTS) == [[0, 6], [FRAMES - 1, FRAMES]]
  window.press("Control+Enter")
  engines.wait(window, "document.querySelector('.progress').innerText.startsWith('1 answered')")
  assert stored(made)[0][3] == [[0.0, 6 / 25], [(FRAMES - 1) / 25, FRAMES / 25]]


def test_a_pause_shows_the_frame_that_it_names(window, annotate):
  annotate(60)
  at = [0]
  window.press("Home")
  arrived(window, 0)
  for _ in range(6):
    window.press("Space")
    engines.wait(window, f"{NAMED} > {at[-1] + 11}")
    window.press("Space")
    at.append(stopped(window))
  window.press("i", "o")
  assert window.ask(SEGMENTS) == [[at[-1], at[-1] + 1]]
  assert at == sorted(at) and at[-1] >= 72


def test_whatever_stops_the_video_the_frame_is_right(window, annotate):
  annotate(60)
  play = f"{NAMED} > %d && !{VIDEO}.paused"
  window.press(".", ".", "Space")  # faster
  engines.wait(window, play % 80)
  window.press("1", "Shift+ArrowLeft")  # a step
  before = stopped(window)
  assert 70 <= before
  window.press("Space")
  engines.wait(window, play % before)
  window.press("Home", "Space")  # a pause while it seeks
  assert stopped(window) < 12
  window.press("End", *["Shift+ArrowLeft"] * 3, "Space")  # the end
  engines.wait(window, f"{VIDEO}.currentTime > {(FRAMES - 10) / 60} && {VIDEO}.paused")
  assert stopped(window) == FRAMES - 1
  window.press("Space")  # begins again
  engines.wait(window, f"{play % 2} && {NAMED} < 200")
  window.ask("""Object.defineProperty(document, 'hidden', {value: true, configurable: true})
      && document.dispatchEvent(new Event('visibilitychange'))""")
  assert 2 <= stopped(window) < FRAMES - 1
  window.ask("delete document.hidden")


def test_a_mark_made_while_playing_is_a_frame_that_was_named(window, annotate):
  annotate(60)
  window.press("Home")
  arrived(window, 0)
  window.press("Space")
  engines.wait(window, f"{NAMED} > 10")
  before = window.ask(NAMED)
  window.press("i")
  after = window.ask(NAMED)
  window.press("Space")
  end = stopped(window)
  window.press("o")
  (start, last), = window.ask(SEGMENTS)
  assert before <= start <= after and last == end + 1
  window.press("Escape", "ArrowUp")  # goes to its start
  arrived(window, start)
