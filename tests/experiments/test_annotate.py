"""experiments.annotate in this process: its roles, what it writes, whom it refuses.

The oracle is the simulated one; tests/annotation/test_whole_loop.py has people's way, over HTTP.
"""

import json
import pathlib
import threading
import time
import urllib.request

import msgspec
import numpy as np
import pytest

from configs import campaign as campaign_config
from experiments import annotate
from tal_jax.annotation import oracles
from tal_jax.annotation.oracles import settings
from tal_jax.annotation.oracles.label_studio import LabelStudioSettings
from tal_jax.annotation.oracles.local import LocalSettings
from tal_jax.annotation.oracles.mturk import TurkSettings
from tal_jax.annotation.oracles.simulated import SimulatedSettings
from tal_jax.data.annotations import read_annotations
from tal_jax.data.types import DataError
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
      "campaign.num_initial": 3, "batch_size": 3, "budget_ratio": 0.75, "encoder": "mean",
      "campaign.serve_when_done": False, "data.features": str(folder / "features"),
      "data.annotations": str(folder / "annotations.json"), "data.testing_subset": "testing"
  } | changes)
  return made


@pytest.fixture(scope="module")
def finished(drawn, tmp_path_factory):
  folder = tmp_path_factory.mktemp("finished")
  annotate.run(config(drawn), folder)
  return folder


def rows(folder):
  return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_all_in_one(finished, drawn):
  assert [row["num_labeled"] for row in rows(finished)] == [3, 6]
  found = read_annotations(finished / "annotations.json").videos
  assert len(found) == 6
  for name, video in found.items():
    np.testing.assert_allclose(video.segments, drawn[1][name][1])  # without noise
  assert "operator" in (finished / "links.txt").read_text()


def test_a_finished_campaign_goes_on_when_its_budget_grows(finished, drawn):
  before = [{**row, "seconds": 0} for row in rows(finished)]
  annotate.run(config(drawn), finished)
  assert [{**row, "seconds": 0} for row in rows(finished)] == before
  annotate.run(config(drawn, **{"budget_ratio": 1.0}), finished)
  assert [row["num_labeled"] for row in rows(finished)] == [3, 6, 8]
  assert [{**row, "seconds": 0} for row in rows(finished)[:2]] == before


def test_a_server_and_a_learner_side_by_side(drawn, tmp_path, monkeypatch):
  done, errors = threading.Event(), []

  def sleep(seconds, real=time.sleep):
    if done.is_set() and threading.current_thread() is not threading.main_thread():
      raise KeyboardInterrupt
    real(seconds)

  def serve():
    try:
      annotate.run(config(drawn), tmp_path, "server")
    except BaseException as error:
      errors.append(error)

  monkeypatch.setattr(annotate.time, "sleep", sleep)
  server = threading.Thread(target=serve)
  server.start()
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
  done.set()
  server.join(timeout=60)
  assert [type(error) for error in errors] == [KeyboardInterrupt]


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
