"""The browsers that the pages are tested in, with the little that both drivers can do."""

import contextlib
import time

from tests.annotation import browser, firefox

NAMES = ("chromium", "firefox")
_PATIENCE = 60.0  # seconds; a busy machine is no fault of the page


class Chromium:
  """A window of 1280 x 720."""

  def __init__(self, page):
    self._page = page
    self._errors = []
    page.on("pageerror", lambda error: self._errors.append(str(error)))

  def open(self, url):
    """Loads a page, also where only what is behind the # differs."""
    self._page.goto("about:blank")
    self._page.goto(url)

  def ask(self, expression):
    """The value of an expression, or of the promise that it is."""
    return self._page.evaluate(expression)

  def press(self, *chords):
    """Presses keys, e.g. "i", "Shift+ArrowLeft"."""
    for chord in chords:
      self._page.keyboard.press(chord)

  def shoot(self, path):
    """Takes a screenshot."""
    self._page.screenshot(path=path)

  def errors(self):
    """What scripts of the pages did wrong so far."""
    return self._errors


@contextlib.contextmanager
def running(name, folder):
  """A window of the browser of that name; `folder` is its own. Skips if it is not installed."""
  if name == "firefox":
    with firefox.running(folder) as window:
      yield window
    return
  from playwright.sync_api import sync_playwright
  with sync_playwright() as driver:
    opened = driver.chromium.launch(executable_path=browser.chromium(), args=["--no-sandbox"])
    yield Chromium(opened.new_page(viewport={"width": 1280, "height": 720}))
    opened.close()


def wait(window, expression):
  """The value of the expression, once it is true."""
  until = time.monotonic() + _PATIENCE
  while not (value := window.ask(expression)):
    assert time.monotonic() < until, f"never true: {expression}"
    time.sleep(0.02)
  return value
