"""experiments.annotate in this process: its roles, what it writes, whom it refuses.

The oracle is the simulated one; tests/annotation/test_whole_loop.py has people's way, over HTTP.
"""

import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import threading
import time
import urllib.request

import jax
import msgspec
import numpy as np
import pytest

from configs import campaign as campaign_config
from experiments import annotate
from tal_jax import learner
from tal_jax.annotation import oracles
from tal_jax.annotation.oracles import settings
from tal_jax.annotation.oracles.label_studio import LabelStudioSettings
from tal_jax.annotation.oracles.local import LocalSettings
from tal_jax.annotation.oracles.mturk import TurkSettings
from tal_jax.annotation.oracles.simulated import SimulatedSettings
from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError
from tal_jax.runs.campaign import learner as annotate_learner, learner_supervisor
from tests.annotation import drawn_videos

VIDEOS = 8


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
  pytest.importorskip("av")
  folder = tmp_path_factory.mktemp("drawn")
  return folder, drawn_videos.make(folder, selection=VIDEOS, testing=4)


def config(drawn, **changes):
  folder = drawn[0]
  made = campaign_config.get_config()
  made.model = "paper"  # trained in a moment
  made.update_from_flattened_dict({
      "campaign.videos": str(folder / "videos"), "campaign.labels": str(folder / "labels.json"),
      "campaign.oracle": "simulated", "campaign.port": 0, "campaign.poll_seconds": 0.02,
      "campaign.simulated.annotations": str(folder / "annotations.json"),
      "campaign.round_quorum": 1.0, "campaign.num_initial": 3, "batch_size": 3,
      "budget_ratio": 0.75, "encoder": "mean",
      "campaign.serve_when_done": False, "data.features": str(folder / "features"),
      "data.annotations": str(folder / "annotations.json"), "data.testing_subset": "testing"
  } | changes)
  return made


@contextlib.contextmanager
def served(config, folder):
  """The campaign's server in a thread, until the end of the block."""
  done, errors = threading.Event(), []

  def sleep(seconds, real=time.sleep):
    if done.is_set() and threading.current_thread() is server:
      raise KeyboardInterrupt
    real(seconds)

  def serve():
    try:
      annotate.run(config, folder, "server")
    except BaseException as error:
      errors.append(error)

  server = threading.Thread(target=serve)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(annotate.time, "sleep", sleep)
    server.start()
    try:
      yield
    finally:
      done.set()
      server.join(timeout=60)
  assert [type(error) for error in errors] == [KeyboardInterrupt]


def run(config, folder):
  """A whole campaign in this process."""
  with served(config, folder):
    annotate.run(config, folder, "learner")


@pytest.fixture(scope="module")
def finished(drawn, tmp_path_factory):
  folder = tmp_path_factory.mktemp("finished")
  run(config(drawn), folder)
  return folder


def rows(folder):
  return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_campaign(finished, drawn):
  assert [row["num_labeled"] for row in rows(finished)] == [3, 6]
  found = read_annotations(finished / "annotations.json").videos
  assert len(found) == 6
  for name, video in found.items():
    np.testing.assert_allclose(video.segments, drawn[1][name][1])  # without noise
  assert "operator" in (finished / "links.txt").read_text()


def test_a_finished_campaign_goes_on_when_its_budget_grows(finished, drawn):
  before = [{**row, "seconds": 0} for row in rows(finished)]
  run(config(drawn), finished)
  assert [{**row, "seconds": 0} for row in rows(finished)] == before
  run(config(drawn, **{"budget_ratio": 1.0}), finished)
  assert [row["num_labeled"] for row in rows(finished)] == [3, 6, 8]
  assert [{**row, "seconds": 0} for row in rows(finished)[:2]] == before


def test_a_server_and_a_learner_side_by_side(drawn, tmp_path):
  with served(config(drawn), tmp_path):
    annotate.run(config(drawn), tmp_path, "learner")
    with pytest.raises(DataError, match="another process has the role 'server'"):
      annotate.run(config(drawn), tmp_path, "all")
    link = next(line.split("\t")[2] for line in (tmp_path / "links.txt").read_text().splitlines()
                if "operator" in line)
    address, token = link.split("/campaign#")
    request = urllib.request.Request(f"{address}/api/campaign",
                                     headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as reply:
      seen = json.load(reply)
  assert [point["num_labeled"] for point in seen["curve"]] == [3, 6]
  assert [point["map"] for point in seen["curve"]] == [row["map"] for row in rows(tmp_path)]


@pytest.mark.exhaustive
def test_all_in_one_although_the_learner_is_killed(drawn, finished, tmp_path, monkeypatch):
  """Its process ends by kill -9 in the first round; the pages answer, and it starts again."""
  killed, answers = [], []

  def hear(supervisor, real=learner_supervisor.Supervisor._hear):
    real(supervisor)
    if supervisor._begun and not killed:
      killed.append(supervisor._process.pid)
      os.kill(supervisor._process.pid, signal.SIGKILL)
    elif killed and supervisor._process.pid not in killed and not answers:
      line = (tmp_path / "links.txt").read_text().splitlines()[0]
      address = line.split("\t")[2].split("/campaign#")[0]
      with urllib.request.urlopen(f"{address}/healthz") as reply:
        answers.append(reply.status)

  monkeypatch.setattr(learner_supervisor.Supervisor, "_hear", hear)
  annotate.run(config(drawn), tmp_path)
  assert len(killed) == 1 and answers == [200]
  assert [{**row, "seconds": 0} for row in rows(tmp_path)] == [
      {**row, "seconds": 0} for row in rows(finished)[:2]]
  with contextlib.closing(sqlite3.connect(tmp_path / "campaign.sqlite")) as db:
    assert db.execute("SELECT state, error FROM learner_process").fetchall() == [("finished", "")]
    found, = db.execute("SELECT detail FROM events WHERE kind = 'learner.restarting'").fetchall()
    assert "SIGKILL" in found[0]


@pytest.mark.exhaustive
def test_what_the_learner_cannot_use_ends_the_program_at_its_start(drawn, tmp_path):
  with pytest.raises(DataError, match="learns from|learn from"):
    annotate.run(config(drawn, **{"campaign.strategy": "mcle"}), tmp_path)


def test_a_training_that_goes_astray_loses_no_answer(drawn, tmp_path, monkeypatch):
  """A round is refused in one line, and the same command goes on after it is mended."""
  def astray(*args, real=learner.step, **kwargs):
    state, info = real(*args, **kwargs)
    return state.replace(model=jax.tree.map(lambda leaf: leaf * np.nan, state.model)), info

  with monkeypatch.context() as patch, pytest.raises(
      DataError, match="^round 1: the training of the model 'paper' ended in numbers") as fault:
    patch.setattr(annotate_learner.learner, "step", astray)
    run(config(drawn), tmp_path)
  text = str(fault.value)
  assert "\n" not in text and "the features are finite" in text and "answers are kept" in text
  assert [row["num_labeled"] for row in rows(tmp_path)] == [3]
  answers = read_answers(tmp_path)
  run(config(drawn), tmp_path)
  assert [row["num_labeled"] for row in rows(tmp_path)] == [3, 6]
  assert read_answers(tmp_path) == answers  # nobody was asked again
  assert len(read_annotations(tmp_path / "annotations.json").videos) == 6


def read_answers(folder):
  with contextlib.closing(sqlite3.connect(folder / "campaign.sqlite")) as db:
    return db.execute("SELECT * FROM assignments ORDER BY id").fetchall()


@pytest.mark.parametrize(("changes", "message"), [
    ({"campaign.host": "0.0.0.0"}, "campaign.address"),
    ({"campaign.oracle": "nobody"}, "no oracle 'nobody'"),
    ({"campaign.videos": "/no/such/folder"}, "neither a folder nor a file"),
    ({"campaign.labels": "/no/such/file.json"}, "cannot read /no/such/file.json"),
    ({"campaign.policy.gold_before": 2}, "wants 2 gold videos"),
    ({"campaign.oracle": "local", "campaign.local.annotators": ("ann,bob",)},
     "2 annotators are named")])
def test_faults(drawn, tmp_path, changes, message):
  with pytest.raises(DataError, match=message):
    annotate.run(config(drawn, **changes), tmp_path)


def test_no_video_has_a_label(drawn, tmp_path):
  path = pathlib.Path(tmp_path / "labels.json")
  path.write_text(json.dumps({"other": "swing"}))
  with pytest.raises(DataError, match="named after the ids of campaign.labels"):
    annotate.run(config(drawn, **{"campaign.labels": str(path)}), tmp_path / "w")


def test_the_config_has_every_setting_of_every_oracle():
  """Only what a config declares can be set on the command line."""
  kinds = {"local": LocalSettings, "simulated": SimulatedSettings, "mturk": TurkSettings,
           "label_studio": LabelStudioSettings}
  assert set(kinds) == set(oracles.ORACLES)
  options = campaign_config.get_config().campaign
  for name, kind in kinds.items():
    fields = {field.name for field in msgspec.structs.fields(kind)} - {"address"}
    assert set(options[name]) == fields
    settings.read(kind, options[name].to_dict(), name)  # the defaults are of the right types
