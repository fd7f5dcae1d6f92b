"""What fails of the service is named, tried again, and ends nothing else."""

import errno
import sqlite3
import threading
import time

import httpx
import pytest
from absl import logging

from tal_jax.annotation import housekeeping
from tal_jax.annotation.housekeeping import Board, Part
from tal_jax.annotation.videos import preparing, proxy_maker
from tal_jax.annotation.web import server
from tal_jax.annotation.web.server import Program
from tal_jax.errors import DataError
from tests.annotation import campaigns, sites
from tests.annotation.test_patience import Faults


class World:
  """A board and parts on a clock that a test moves."""

  def __init__(self, monkeypatch):
    self.said, self.logged, self.clock = [], [], campaigns.Clock()
    self.board = Board(self.said.append, self.clock)
    monkeypatch.setattr(housekeeping.logging, "error", self._log)

  def _log(self, text, *args, exc_info=None):
    self.logged.append((text % args, exc_info))

  def part(self, action, name="sweeping", **options):
    return Part(name, action, self.board, "work", clock=self.clock, **options)


@pytest.fixture
def world(monkeypatch):
  return World(monkeypatch)


def test_a_fault_that_passes_is_tried_at_every_step(world):
  action = Faults(*[OSError(errno.ENOSPC, "No space", "/a/b")] * 2)
  part = world.part(action)
  assert [part.step() for _ in range(2)] == [None, None]
  assert world.board.troubles() == [
      ("sweeping", "disk full: /a", True, 2, 1000.0, 1000.0)]
  assert [part.step() for _ in range(2)] == ["done", "done"]
  assert world.said == ["disk full: /a; the campaign waits, and tries again every few seconds",
                        "the campaign goes on (disk full: no longer)"]
  assert world.board.troubles() == [] and world.logged == []


def test_an_unexpected_error_is_tried_later_and_later(world):
  fault = KeyError("ours")
  part = world.part(Faults(*[fault] * 8))
  tries = []
  for _ in range(1300):
    before = len(tries)
    result = part.step()
    trouble = world.board.troubles()
    if trouble and trouble[0].failures > before:
      tries.append(world.clock.now - 1000.0)
      assert trouble[0].retry_at > world.clock.now and trouble[0].since == 1000.0
    if result:
      break
    world.clock.now += 0.25
  assert tries == [0, 1, 3, 7, 15, 31, 63, 123] and world.clock.now == 1183
  assert world.logged == [("sweeping failed", fault)]  # once
  assert world.said == [
      "the campaign's housekeeping failed (sweeping): KeyError: 'ours'; retried in 1 s, then later "
      "and later; answers are accepted meanwhile",
      "the campaign's housekeeping is done again (sweeping)"]
  part = world.part(Faults(fault))  # another time is news again
  part.step()
  assert len(world.logged) == 2 and len(world.said) == 3


def test_another_error_is_news(world):
  part = world.part(Faults(KeyError("a"), KeyError("a"), ValueError("b\nand more")))
  for _ in range(3):
    part.step()
    world.clock.now += 60
  assert [trouble.error for trouble in world.board.troubles()] == ["ValueError: b"]
  assert len(world.said) == len(world.logged) == 2


def test_one_full_disk_is_said_once_and_over_once(world):
  full = OSError(errno.ENOSPC, "No space")
  parts = [world.part(Faults(*[full] * n), f"part {n}") for n in (1, 2)]
  for _ in range(3):
    for part in parts:
      part.step()
  assert [line.split(";")[0] for line in world.said] == [
      "disk full: work", "the campaign goes on (disk full: no longer)"]


def test_what_ends_the_program_does(world):
  refused = DataError("no features")
  part = world.part(Faults(refused), ends=lambda error: error is refused)
  with pytest.raises(DataError, match="no features"):
    part.step()
  with pytest.raises(KeyboardInterrupt):
    world.part(Faults(KeyboardInterrupt())).step()


def test_a_log_that_cannot_be_written_is_no_fault(monkeypatch):
  board = Board(Faults(OSError(errno.ENOSPC, "No space"), OSError(errno.ENOSPC, "No space")))
  part = Part("sweeping", Faults(sqlite3.OperationalError("unknown")), board, "work",
              clock=campaigns.Clock())
  monkeypatch.setattr(logging, "error", lambda *_, **__: None)
  part.step()
  assert board.troubles()[0].error == "OperationalError: unknown"


def test_the_thread_that_makes_videos_goes_on(make, monkeypatch):
  """Its error is on the board until a step is done."""
  made = make()
  logged, said, queue = [], [], preparing.queue
  monkeypatch.setattr(housekeeping.logging, "error", lambda *args, **_: logged.append(args))
  monkeypatch.setattr(housekeeping, "LONGEST_PAUSE", 0.02)
  broken = threading.Event()
  broken.set()

  def look(campaign):
    if broken.is_set():
      raise KeyError("ours")
    return queue(campaign)

  monkeypatch.setattr(proxy_maker.preparing, "queue", look)
  board = Board(said.append)
  maker = proxy_maker.Maker(made, lambda *_: pytest.fail("nothing to make"), say=said.append,
                            board=board)
  with proxy_maker.running(maker, 0.005):
    assert _soon(lambda: board.troubles() and board.troubles()[0].failures > 2)
    broken.clear()
    assert _soon(lambda: not board.troubles())
  assert len(logged) == 1 and len(said) == 2
  assert said[0].startswith("the campaign's housekeeping failed (making videos ready): KeyError")


def test_a_server_that_ends_is_started_again_at_its_address(tmp_path, monkeypatch):
  monkeypatch.setattr(housekeeping, "LONGEST_PAUSE", 0.1)
  monkeypatch.setattr(housekeeping.logging, "error", lambda *_, **__: None)
  with sites.running(tmp_path) as site:
    said, made = [], []
    real = server._server
    monkeypatch.setattr(server, "_server", lambda *args: made.append(real(*args)) or made[-1])
    with server.running(site.app, board=Board(said.append)) as url:
      assert httpx.get(f"{url}/healthz").status_code == 200
      made[0].should_exit = True  # as if it had ended by itself
      assert _soon(lambda: len(made) > 1 and made[1].started)
      assert httpx.get(f"{url}/healthz").status_code == 200
  assert said[0].startswith("the campaign's housekeeping failed (serving the pages): RuntimeError: "
                            "the server ended by itself; retried in 0 s")
  with pytest.raises(httpx.ConnectError):
    httpx.get(f"{url}/healthz")


def test_operators_read_what_is_not_done(tmp_path):
  board = Board(lambda _: None)
  with sites.running(tmp_path, program=Program(troubles=board.troubles)) as site:
    assert site.operator.get("/api/campaign").json()["troubles"] == []
    board.failed("sweeping", "KeyError: 'ours'", passes=False, pause=30.0)
    shown, = site.operator.get("/api/campaign").json()["troubles"]
  assert 25 < shown.pop("retry_seconds") <= 30 and time.time() - 60 < shown.pop("since")
  assert shown == {"part": "sweeping", "error": "KeyError: 'ours'", "passes": False, "failures": 1}


def _soon(condition):
  deadline = time.monotonic() + 20
  while not (found := condition()) and time.monotonic() < deadline:
    time.sleep(0.01)
  return found
