"""What the tests of the pages need from the machine: a JavaScript engine, and Debian's Chromium."""

import pathlib
import shutil

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "tal_jax" / "annotation" / "web" / "page"


def node():
  """The path of node: the machine's, or the one that Playwright brings along."""
  found = shutil.which("node")
  if found is None:
    driver = pytest.importorskip(
        "playwright._impl._driver", reason="neither node nor playwright is installed")
    found = driver.compute_driver_executable()[0]
  return str(found)


def chromium():
  """The path of Chromium."""
  found = shutil.which("chromium") or shutil.which("chromium-browser")
  if found is None:
    pytest.skip("no Chromium on the PATH: apt-get install chromium")
  return found
