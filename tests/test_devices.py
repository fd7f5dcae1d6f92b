"""One device, eight, and two processes of four: the same results. The eight are virtual.

The number of devices is fixed when JAX starts, so the others run in processes of their own, which
`others` starts all at once; tests/eight_devices.py is one of them.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import anet
from experiments import simulate
from tal_jax import devices
from tal_jax.errors import DataError
from tal_jax.runs import distributed
from tal_jax.selection import lal_regression
from tests import pools

ROOT = str(pathlib.Path(__file__).resolve().parents[1])
STRATEGIES, STEPS = ("random", "uncertainty", "margin", "mcle", "lal"), 3
# 19 and 11 videos: neither is a multiple of eight.
TINY = {"strategies": STRATEGIES, "batch_size": 4, "initial_ratio": 0.4, "budget_ratio": 0.8,
        "encoder": "mean", "mcle.results_per_class": 2, "data.seed": 2,
        "data.num_knowledge_videos": 8, "data.num_selection_videos": 19,
        "data.num_testing_videos": 11, "data.num_knowledge_classes": 2,
        "data.num_selection_classes": 3, "data.num_search_per_class": 2, "data.frame_dim": 5,
        "data.num_proposals": 12}
TIMEOUT = 900  # seconds; a run that hangs fails, one on a busy machine does not


def config_of(changes):
  made = anet.get_config("smoke")
  made.update_from_flattened_dict(changes)
  return made


def start(arguments, *, num_devices):
  environment = os.environ | {
      # With XLA's optimiser: without it the parts of a batch round too differently to compare.
      "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
      "JAX_PLATFORMS": "cpu"}
  return subprocess.Popen([sys.executable, "-m", *map(str, arguments)], cwd=ROOT, text=True,
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(*processes):
  """The outputs of processes that must succeed; none of them outlives this."""
  try:
    outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
  finally:
    for process in processes:
      process.kill()
  for process, (_, stderr) in zip(processes, outputs, strict=True):
    assert process.returncode == 0, stderr[-4000:]
  return outputs


def two_processes(changes, workdir):
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
  return [start(["experiments.simulate", "--config=configs/anet.py:smoke",
                 f"--workdir={workdir if i == 0 else workdir / 'of_nobody'}",
                 f"--coordinator=localhost:{port}", "--num_processes=2", f"--process_id={i}",
                 *(f"--config.{key}={value}" for key, value in changes.items())], num_devices=4)
          for i in range(2)]


def unfinished(source, folder):
  """A copy of a finished run that was killed before its last step."""
  shutil.copytree(source, folder)
  rows = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
  (folder / "metrics.jsonl").write_text("".join(
      row for row in rows if not json.loads(row)["is_last"]))
  for newest in folder.glob(f"checkpoints/*/*/{STEPS - 1}"):
    shutil.rmtree(newest)
  return folder


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
  """The settings of all runs, with a LAL selector that is made up."""
  file = tmp_path_factory.mktemp("lal") / "selector.npz"
  report = lal_regression.Report(
      num_rows=1, num_episodes=1, nonzero_share=1.0, gain_std=0.01, c=1.0, gamma_factor=1.0,
      held_out_r2=0.0, held_out_spearman=0.0, held_out_spearman_within=0.0, num_support=6)
  lal_regression.save(file, jax.tree.map(np.asarray, pools.selector()), report, encoder="mean")
  return TINY | {"lal.artifact": str(file)}


@pytest.fixture(scope="module")
def reference(changes, tmp_path_factory):
  """The run on one device."""
  folder = tmp_path_factory.mktemp("one") / "run"
  simulate.run(config_of(changes), folder)
  return folder


@pytest.fixture(scope="module")
def others(changes, reference, tmp_path_factory):
  """Eight devices, from the start and from a checkpoint of one; two processes of four."""
  folder = tmp_path_factory.mktemp("others")
  (folder / "config.json").write_text(json.dumps(changes))
  runs = {"8": folder / "8", "1 -> 8": unfinished(reference, folder / "1_to_8"),
          "2 x 4": folder / "2x4"}
  outputs = finish(
      start(["tests.eight_devices", folder / "config.json", runs["8"], runs["1 -> 8"]],
            num_devices=8),
      *two_processes(changes | {"strategies": ",".join(STRATEGIES)}, runs["2 x 4"]))
  return runs | {"outputs": outputs}


def read(folder, name):
  return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def assert_same_results(folder, reference):
  def in_order(rows):
    return sorted(rows, key=lambda row: (STRATEGIES.index(row["strategy"]), row["step"]))

  assert in_order(read(folder, "selections.jsonl")) == in_order(
      read(reference, "selections.jsonl"))
  got, wanted = (in_order(read(path, "metrics.jsonl")) for path in (folder, reference))
  assert len(got) == len(wanted) == STEPS * len(STRATEGIES)
  for a, b in zip(got, wanted, strict=True):
    assert (a["strategy"], a["step"], a["num_labeled"]) == (
        b["strategy"], b["step"], b["num_labeled"])
    for measure in ("map", "map_ratio", "full_map", "map_at_50", "attention_ap"):
      np.testing.assert_allclose(a[measure], b[measure], rtol=0, atol=1e-6)


@pytest.mark.parametrize("which", ["8", "1 -> 8", "2 x 4"])
def test_the_results_are_those_of_one_device(reference, others, which):
  assert_same_results(others[which], reference)


@pytest.mark.parametrize("which", ["8", "2 x 4"])
def test_one_device_goes_on_from_the_checkpoints_of_many(reference, others, changes, tmp_path,
                                                         which):
  folder = unfinished(others[which], tmp_path / "run")
  simulate.run(config_of(changes), folder)
  assert_same_results(folder, reference)


def test_only_the_first_process_talks_and_writes(others):
  """The other one need not even see the work directory."""
  _, (said, progress), (silent, other_progress) = others["outputs"]
  assert "curves:" in said and "simulate: 100%" in progress
  # The library for collectives has a line for each connection.
  assert all(line.startswith("[Gloo]") for line in silent.splitlines())
  assert "simulate" not in other_progress
  assert not (others["2 x 4"] / "of_nobody").exists()
  assert (others["2 x 4"] / "learning_curves.png").exists()


def test_a_fault_ends_all_processes(changes, reference, tmp_path):
  """What only the first process can see: the folder belongs to another configuration."""
  folder = shutil.copytree(reference, tmp_path / "run")
  processes = two_processes(changes | {"svm.c": 2.0, "strategies": "random"}, folder)
  outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
  for process, (_, stderr) in zip(processes, outputs, strict=True):
    assert process.returncode == 2 and "svm.c: 0.01 there, 2.0 now" in stderr, stderr


def _twice(shared, batched, *, power):
  return shared * batched**power


def test_one_device_only_converts():
  pool = jax.tree.map(np.asarray, pools.videos())
  for placed in (devices.place(pool), devices.replicate(pool), devices.local(pool)):
    for got, want in zip(*map(jax.tree.leaves, (placed, pool)), strict=True):
      assert isinstance(got.sharding, jax.sharding.SingleDeviceSharding)
      np.testing.assert_array_equal(got, want)
  on_device = devices.place(pool)
  assert all(a is b for a, b in zip(*map(jax.tree.leaves, (devices.place(on_device), on_device)),
                                    strict=True))
  np.testing.assert_array_equal(
      devices.split_batch(_twice, 3.0, jnp.arange(4.0), power=2), 3.0 * np.arange(4.0)**2)
  assert devices.is_writer() and devices.from_writer(lambda: "read") == "read"
  assert devices.mesh().devices.shape == (1,)


@pytest.mark.parametrize("given, message", [
    ({"coordinator": "localhost:1"}, "missing: --num_processes .or JAX_NUM_PROCESSES., --process"),
    ({"num_processes": 2, "process_id": 0}, "missing: --coordinator"),
    ({"environ": {"JAX_PROCESS_ID": "first"}}, "JAX_PROCESS_ID='first' is not a whole number")])
def test_faults_of_the_start(given, message):
  with pytest.raises(DataError, match=message):
    distributed.start(**{"environ": {}} | given)


@pytest.mark.parametrize("given, wanted", [
    ({}, None), ({"distributed": False, "coordinator": "h:1"}, None),
    ({"distributed": True}, (None, None, None)),
    ({"coordinator": "h:1", "num_processes": 2, "process_id": 1}, ("h:1", 2, 1)),
    ({"environ": {"JAX_COORDINATOR_ADDRESS": "h:1", "JAX_NUM_PROCESSES": "2",
                  "JAX_PROCESS_ID": "0"}}, ("h:1", 2, 0)),
    ({"environ": {"SLURM_STEP_NUM_TASKS": "4"}}, (None, None, None)),
    ({"environ": {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"}}, None)])
def test_which_processes_are_joined(monkeypatch, given, wanted):
  joined = []
  monkeypatch.setattr(devices, "initialize", lambda **kwargs: joined.append(
      (kwargs["coordinator"], kwargs["num_processes"], kwargs["process_id"])))
  distributed.start(**{"environ": {}} | given)
  assert joined == ([] if wanted is None else [wanted])
