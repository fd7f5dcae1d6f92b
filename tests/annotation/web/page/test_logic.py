"""The page's modules apart from the browser: `page_logic.mjs`, run by node."""

import json
import pathlib
import shutil
import subprocess

from tests.annotation import browser


def test_logic_of_the_page(tmp_path):
  page = tmp_path / "page"
  shutil.copytree(browser.PAGE, page)
  # Says to an older node what a browser knows from <script type=module>.
  (page / "package.json").write_text(json.dumps({"type": "module"}))
  script = pathlib.Path(__file__).with_name("page_logic.mjs")
  done = subprocess.run([browser.node(), str(script)], env={"PAGE": str(page), "LANG": "C.UTF-8"},
                        capture_output=True, text=True, timeout=60)
  assert done.returncode == 0, done.stdout + done.stderr
  assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout, done.stdout


def test_pages_hold_no_inline_code_and_make_no_markup_from_text():
  """What the Content-Security-Policy forbids, and what would let a label become markup."""
  for file in browser.PAGE.glob("*"):
    text = file.read_text("utf-8")
    for bad in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                "new Function", "style=", " onclick", "javascript:", "http://", "https://"):
      assert bad not in text.replace("http://www.w3.org/2000/svg", ""), (file.name, bad)
    if file.suffix == ".html":
      assert "<style" not in text and text.count("<script") == text.count("<script type=") == 1


def test_every_file_that_a_page_names_is_there():
  import re

  names = {file.name for file in browser.PAGE.glob("*")}
  used = {"annotate.html", "campaign.html"}
  for file in browser.PAGE.glob("*"):
    text = file.read_text("utf-8")
    named = set(re.findall(r"""from '\./([\w.]+)'""", text)) | set(
        re.findall(r"""(?:src|href)="/?page/([\w.]+)\"""", text))
    assert named <= names, (file.name, named - names)
    used |= named
  assert used == names
