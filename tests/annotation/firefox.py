"""Debian's Firefox, driven by the protocol that is built into it (Marionette), for tests.

Playwright drives only a Firefox of its own build. geckodriver, which drives any, speaks this
protocol; neither Debian nor PyPI has it.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

import pytest

_SETTINGS = {
    "marionette.port": 0,  # any that is free; the profile gets a file that tells which
    "media.autoplay.default": 0,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
_PLAYS = "document.createElement('video').canPlayType('video/mp4; codecs=avc1.42E01E')"
_START = 120.0  # seconds; a busy machine is slow
_KEYS = {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015",
         "Home": "\ue011", "End": "\ue010", "Enter": "\ue007", "Escape": "\ue00c",
         "Delete": "\ue017", "Shift": "\ue008", "Control": "\ue009", "Alt": "\ue00a", "Space": " "}


def find():
  """The path of Firefox."""
  found = shutil.which("firefox-esr") or shutil.which("firefox")
  if found is None:
    pytest.skip("no Firefox on the PATH: apt-get install firefox-esr")
  return found


class Firefox:
  """A window of 1280 x 720; what it can do is what `engines.Chromium` can."""

  def __init__(self, address):
    self._socket = socket.create_connection(address, timeout=_START)
    self._file = self._socket.makefile("rb")
    self._number = 0
    self._receive()  # a greeting
    self._send("WebDriver:NewSession")
    self._send("WebDriver:SetTimeouts", script=60_000, pageLoad=60_000)
    extra = self.ask("[outerWidth - innerWidth, outerHeight - innerHeight]")
    self._send("WebDriver:SetWindowRect", width=1280 + extra[0], height=720 + extra[1])

  def open(self, url):
    """Loads a page, also where only what is behind the # differs."""
    self._send("WebDriver:Navigate", url="about:blank")
    self._send("WebDriver:Navigate", url=url)

  def ask(self, expression):
    """The value of an expression, or of the promise that it is."""
    return self._send("WebDriver:ExecuteScript", script=f"return ({expression})", args=[],
                      newSandbox=False, sandbox=None)["value"]

  def press(self, *chords):
    """Presses keys, e.g. "i", "Shift+ArrowLeft"."""
    for chord in chords:
      keys = [_KEYS.get(key, key) for key in (chord.split("+") if len(chord) > 1 else [chord])]
      down = [{"type": "keyDown", "value": key} for key in keys]
      up = [{"type": "keyUp", "value": key} for key in reversed(keys)]
      self._send("WebDriver:PerformActions", actions=[
          {"type": "key", "id": "keyboard", "actions": down + up}])

  def shoot(self, path):
    """Takes a screenshot."""
    found = self._send("WebDriver:TakeScreenshot", full=False, hash=False)["value"]
    pathlib.Path(path).write_bytes(base64.b64decode(found))

  def errors(self):
    """What scripts of the pages did wrong so far."""
    self._send("Marionette:SetContext", value="chrome")
    try:
      return self.ask("""Services.console.getMessageArray()
          .filter((m) => m instanceof Ci.nsIScriptError
                         && !(m.flags & Ci.nsIScriptError.warningFlag)
                         && m.sourceName.startsWith('http://127.0.0.1'))
          .map((m) => m.errorMessage)""")
    finally:
      self._send("Marionette:SetContext", value="content")

  def quit(self):
    with contextlib.suppress(OSError):
      self._send("Marionette:Quit", flags=["eForceQuit"])
    self._socket.close()

  def _send(self, name, **parameters):
    self._number += 1
    text = json.dumps([0, self._number, name, parameters])
    self._socket.sendall(f"{len(text)}:{text}".encode("ascii"))
    _, number, error, result = self._receive()
    assert number == self._number
    if error:
      raise RuntimeError(f"{name}: {error['error']}: {error['message']}")
    return result

  def _receive(self):
    length = b""
    while not length.endswith(b":"):
      length += self._file.read(1) or _gone()
    return json.loads(self._file.read(int(length[:-1])))


def _gone():
  raise ConnectionError("Firefox has gone")


@contextlib.contextmanager
def running(folder):
  """Firefox without a screen; `folder` gets its profile and its log."""
  folder = pathlib.Path(folder)
  (folder / "user.js").write_text("".join(
      f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
      for name, value in _SETTINGS.items()))
  with open(folder / "log", "w") as log:
    process = subprocess.Popen(
        [find(), "--headless", "--marionette", "--remote-allow-system-access",
         "--profile", str(folder)],
        stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(folder)})
  try:
    opened = Firefox(("127.0.0.1", _port(folder, process)))
    if not opened.ask(_PLAYS):
      pytest.skip("this Firefox plays no H.264: apt-get install '^libavcodec[0-9]+$'")
    yield opened
    opened.quit()
    process.wait(30)
  finally:
    process.kill()
    process.wait()


def _port(folder, process):
  file, until = folder / "MarionetteActivePort", time.monotonic() + _START
  while time.monotonic() < until and process.poll() is None:
    with contextlib.suppress(FileNotFoundError, ValueError):
      return int(file.read_text())
    time.sleep(0.1)
  raise RuntimeError(f"Firefox did not start: {(folder / 'log').read_text()[-2000:]}")
