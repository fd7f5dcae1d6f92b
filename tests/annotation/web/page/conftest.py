"""Fixtures of the tests in a real browser: Debian's Chromium, driven by Playwright.

Screenshots go to the folder named by TAL_JAX_ARTIFACTS (default: pytest's temporary one).
"""

import os
import pathlib

import pytest

from tests.annotation import browser, counted_video
from tests.annotation.web.page import pages


@pytest.fixture(scope="module")
def chromium():
  from playwright import sync_api
  with sync_api.sync_playwright() as driver:
    opened = driver.chromium.launch(executable_path=browser.chromium(), args=["--no-sandbox"])
    yield opened
    opened.close()


@pytest.fixture
def open_page(chromium):
  """Opens an address in a window of 1280 x 720; in the end there must be no error in any."""
  errors, contexts = [], []

  def open_(url, **more):
    contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}, **more))
    page = contexts[-1].new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error"
            and "Failed to load resource" not in message.text else None)
    page.goto(url)
    return page

  yield open_
  for context in contexts:
    context.close()
  assert not errors


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
  return counted_video.draw(tmp_path_factory.mktemp("video") / "counted.mp4", frames=pages.FRAMES)


@pytest.fixture
def shoot(tmp_path):
  """Takes a screenshot of a page."""
  folder = pathlib.Path(os.environ.get("TAL_JAX_ARTIFACTS", tmp_path))
  folder.mkdir(parents=True, exist_ok=True)
  return lambda page, name: page.screenshot(path=folder / f"{name}.png")
