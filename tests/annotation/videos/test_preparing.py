"""Videos become ready one after the other, in another process, while people work on the others."""

import os
import signal
import sys

import numpy as np
import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.rules import answers, leases
from tal_jax.annotation.videos import preparing, proxy_maker, proxy_process
from tal_jax.annotation.videos.media import Probe
from tal_jax.annotation.videos.proxy_process import Outcome, Request
from tests.annotation import campaigns

_PROBE = Probe(2.0, 10.0, 20, 64, 48, "container avi")


def video(name, ready):
  return campaign.Video(name, f"/videos/{name}.avi", 100.0, 25.0, ready=ready)


@pytest.fixture
def unready(make):
  """A campaign of v0 to v5, of which v2 alone needs no proxy; round 0 asks for v1, v3, v2."""
  made = make(videos=6)
  campaign.add_videos(made, [video(f"v{i}", i == 2) for i in range(6)])
  campaigns.ask(made, videos=("v1", "v3", "v2"))
  return made


def jobs(made):
  return [tuple(job) for job in preparing.queue(made)]


def states_of(made):
  return {row["name"]: row["state"] for row in campaigns.select(made, "SELECT * FROM videos")}


def test_what_people_wait_for_comes_first_then_what_is_expected(unready):
  assert jobs(unready) == [("v1", True), ("v3", True)]
  preparing.expect(unready, ["v5", "v2", "v3", "v0"])
  assert jobs(unready) == [("v1", True), ("v3", True), ("v5", False), ("v0", False)]
  preparing.expect(unready, ["v0"])
  assert jobs(unready) == [("v1", True), ("v3", True), ("v0", False)]
  campaign.add_videos(unready, [video("v1", True)])
  assert jobs(unready) == [("v3", True), ("v0", False)]


def test_a_task_opens_when_its_video_is_ready_and_holds_nobody_up(unready):
  ann, bob = (campaigns.enrol(unready, name) for name in ("ann", "bob"))
  assert leases.next_task(unready, ann).task_id == 3  # v2, the last of the round
  assert leases.next_task(unready, bob) is None
  answers.submit(unready, ann, 3, "a", [])
  assert leases.next_task(unready, ann) is None
  campaign.add_videos(unready, [video("v3", True)])
  assert leases.next_task(unready, ann).task_id == 2
  campaign.add_videos(unready, [video("v1", True)])
  assert leases.next_task(unready, bob).task_id == 1


def test_a_lease_that_ran_out_does_not_bring_a_video_back_that_is_gone(unready):
  ann = campaigns.enrol(unready, "ann")
  assert leases.next_task(unready, ann).task_id == 3
  unready.clock.now += 1000
  leases.expire(unready)
  campaign.add_videos(unready, [video("v2", False)])  # its proxy was removed
  assert leases.next_task(unready, ann) is None


def maker(made, outcomes, said=None):
  """Takes the outcomes of each name in turn; the last one stands."""
  def make_(name, stopped):
    assert not stopped()
    tried.append(name)
    found = outcomes.get(name, [Outcome()])
    return found.pop(0) if len(found) > 1 else found[0], video(name, True)

  tried = []
  made_ = proxy_maker.Maker(made, make_, say=(said if said is not None else []).append,
                            clock=made.clock)
  return made_, tried


def test_the_maker_goes_through_the_queue(unready):
  preparing.expect(unready, ["v4"])
  found, tried = maker(unready, {})
  assert [found.step() for _ in range(4)] == [True, True, True, False]
  assert tried == ["v1", "v3", "v4"] and jobs(unready) == []


def test_a_video_that_cannot_be_made_is_left_out_with_its_reason(unready):
  said = []
  found, tried = maker(unready, {"v1": [Outcome(fault="v1.avi is damaged after 9.7 s")]}, said)
  while found.step():
    pass
  assert tried == ["v1", "v3"] and said == ["left out: v1: v1.avi is damaged after 9.7 s"]
  assert states_of(unready)["v1"] == "excluded" and jobs(unready) == []
  assert campaigns.select(unready, "SELECT * FROM events WHERE detail LIKE '%damaged after 9.7%'")
  ann = campaigns.enrol(unready, "ann")
  for task in (2, 3):
    assert leases.next_task(unready, ann).task_id == task
    answers.submit(unready, ann, task, f"a{task}", [])
  assert campaigns.state(unready, "rounds", 0) == "complete"


def test_damage_that_a_video_can_be_watched_with_is_told(unready):
  said = []
  found, _ = maker(unready, {"v1": [Outcome(note="2 of 60 frames are damaged")]}, said)
  while found.step():
    pass
  assert said == ["v1: 2 of 60 frames are damaged: people see it as it is; an operator can exclude "
                  "it on the campaign page"]
  assert states_of(unready)["v1"] != "excluded" and jobs(unready) == []


def test_what_is_only_expected_is_left_out_when_it_is_asked_for(make):
  made = make(videos=2)
  campaign.add_videos(made, [video(f"v{i}", False) for i in range(2)])
  preparing.expect(made, ["v0"])
  found, tried = maker(made, {"v0": [Outcome(fault="no frames")]})
  assert [found.step() for _ in range(3)] == [True, False, False]
  assert states_of(made)["v0"] == "unlabelled"
  campaigns.ask(made, videos=("v1", "v0"))
  assert [found.step() for _ in range(2)] == [True, False]
  assert tried == ["v0", "v1"] and states_of(made) == {"v0": "excluded", "v1": "asked"}


def test_a_crash_is_tried_once_more(unready):
  crash = Outcome(fault="it ends with code -11", crashed=True)
  found, tried = maker(unready, {"v1": [crash, Outcome()], "v3": [crash]})
  while found.step():
    pass
  assert tried == ["v1", "v1", "v3", "v3"]
  assert states_of(unready) | {"v1": "asked", "v3": "excluded"} == states_of(unready)


def test_a_problem_of_the_machine_leaves_nothing_out(unready):
  found, tried = maker(unready, {"v1": [Outcome(problem="no space left"), Outcome()]})
  assert [found.step() for _ in range(3)] == [True, True, False]
  assert tried == ["v1", "v3"] and jobs(unready) == [("v1", True)]
  row, = campaigns.select(unready, "SELECT * FROM preparing p JOIN videos v ON v.id = video_id "
                          "WHERE problem != ''")
  assert (row["name"], row["problem"]) == ("v1", "no space left")
  unready.clock.now += 29
  assert not found.step()
  unready.clock.now += 1
  assert found.step() and jobs(unready) == []


def test_a_video_at_which_the_maker_itself_fails_holds_up_no_other(unready):
  def make_(name, stopped):
    if name == "v1":
      raise KeyError(name)
    return Outcome(), video(name, True)

  found = proxy_maker.Maker(unready, make_, say=lambda text: None, clock=unready.clock)
  assert [found.step() for _ in range(3)] == [True, True, False]
  assert jobs(unready) == [("v1", True)]
  row, = campaigns.select(unready, "SELECT * FROM preparing WHERE problem != ''")
  assert "KeyError: 'v1'" in row["problem"]


def test_the_maker_survives_a_database_that_does_not_answer(unready, monkeypatch):
  found, tried = maker(unready, {})
  real, calls = preparing.queue, []

  def queue(made):
    calls.append(1)
    if len(calls) == 1:
      raise RuntimeError("database is locked")
    return real(made)

  monkeypatch.setattr(preparing, "queue", queue)
  with proxy_maker.running(found, 0.001):
    while jobs(unready):
      pass
  assert tried == ["v1", "v3"] and len(calls) > 2


# The process.


def draw(path, seconds=2):
  av = pytest.importorskip("av")
  rng = np.random.default_rng(0)
  with av.open(str(path), "w") as file:
    stream = file.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for _ in range(10 * seconds):
      image = rng.integers(0, 255, (48, 64, 3), np.uint8)
      file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    file.mux(stream.encode())
  return path


def test_a_proxy_from_another_process(tmp_path):
  path = draw(tmp_path / "a.avi")
  request = Request("a", str(path), _PROBE, str(tmp_path / "media"), 480)
  assert proxy_process.make(request) == Outcome()
  proxy, = (tmp_path / "media").iterdir()
  assert proxy.name.startswith("a.") and proxy.suffix == ".mp4"
  content = bytearray(draw(path, seconds=4).read_bytes())
  middle = len(content) // 2
  content[middle:middle + 200] = bytes(200)
  path.write_bytes(content)
  outcome = proxy_process.make(request)
  assert "frames are" in outcome.note and not outcome.fault and not outcome.problem
  path.write_bytes(b"no video")
  outcome = proxy_process.make(request)
  assert "a.avi" in outcome.fault and not outcome.problem and not outcome.crashed
  path.unlink()
  outcome = proxy_process.make(request)
  assert outcome == Outcome(problem=f"{path}: No such file or directory")


@pytest.mark.parametrize(("script", "outcome"), [
    (f"import os; os.kill(os.getpid(), {signal.SIGSEGV:d})",
     Outcome(fault="the process that decodes it ends with code -11", crashed=True)),
    ("print('{}')", Outcome()),
    ("print('{\"problem\": \"no space\"}')", Outcome(problem="no space"))])
def test_a_process_that_crashes_ends_nothing_else(script, outcome):
  request = Request("a", "/none", _PROBE, "/none", 480)
  assert proxy_process.make(request, command=(sys.executable, "-c", script)) == outcome


def test_a_process_that_hangs_or_is_not_wanted_any_more_is_killed(monkeypatch, tmp_path):
  script = (f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); "
            "time.sleep(600)")
  command = (sys.executable, "-c", script)
  request = Request("a", "/none", _PROBE, "/none", 480)
  monkeypatch.setattr(proxy_process, "_PATIENCE", (1.0, 0.0))
  found = proxy_process.make(request, command=command)
  assert found.crashed and "longer" in found.fault
  found = proxy_process.make(request, command=command, stopped=(tmp_path / "pid").exists)
  assert found == Outcome(problem="the program stopped")
  with pytest.raises(ProcessLookupError):
    os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_was_not_finished_is_removed(tmp_path):
  for name in ("a.1.2.mp4", "a.1.2.mp4.77.part", "probes.json", "probes.json.77.part"):
    (tmp_path / name).touch()
  proxy_maker.clean(tmp_path)
  assert {path.name for path in tmp_path.iterdir()} == {
      "a.1.2.mp4", "probes.json", "probes.json.77.part"}
