"""What the networks over rows need, by hand, and where it is refused."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import campaign
from tal_jax.data import pool_size
from tal_jax.errors import DataError
from tal_jax.models.networks import training as row_training
from tal_jax.models.networks.labeled_rows import LabeledRows
from tal_jax.models.point import levels as levels_lib
from tal_jax.models.point.network import CONTEXTS, Network
from tal_jax.models.point.training import Loss
from tal_jax.runs import row_memory

GB = 1e9


def pool(counts, values):
  return types.SimpleNamespace(rows=types.SimpleNamespace(
      values=values, count=np.array(counts), dim=values.shape[1]))


def data(counts=(100, 2000, 300), dim=10, dtype=np.float16, **more):
  made = pool(counts, np.zeros((sum(counts), dim), dtype))
  return types.SimpleNamespace(**{"selection": made, "classes": ("jump", "run"),
                                  "testing": types.SimpleNamespace(rows=None)} | more)


def config(model="point"):
  made = campaign.get_config()
  made.model = model
  return made


def test_by_hand():
  """Two videos of 2,000 and 300 rows are labelled; crops have 1,024 rows."""
  options = config().point
  found = row_memory.need(options, dim=10, itemsize=2, stored=2400, counts=np.array(
      [100, 2000, 300]), budget=2, classes=5, side_by_side=True)
  labeled = 2300 * 10 * 4
  assert found.rows == 2400 * 10 * 2 + 2 * labeled and found.labeled == 1.5 * labeled
  assert found.training == 3 * 8 * 1024 * (4 * 10 + 100 * 64 + 12 * 5) * 4
  assert found.scoring == 16384 * (3 * 10 + 3 * (18 * 64 + 6 * 5)) * 4
  assert found.device == found.labeled + found.training
  in_turn = row_memory.need(options, dim=10, itemsize=2, stored=0, counts=np.array([9]), budget=9,
                            classes=5, side_by_side=False)
  assert in_turn.training == 8 * 64 * (4 * 10 + 100 * 64 + 12 * 5) * 4
  assert in_turn.device == in_turn.labeled + in_turn.scoring


@pytest.mark.parametrize("model", ["point", "auto", "frames"])
def test_a_machine_that_is_too_small(monkeypatch, model):
  monkeypatch.setattr(row_memory, "device_memory", lambda: None)
  monkeypatch.setattr(pool_size, "memory", lambda: 64 * GB)
  row_memory.check(config(model), data(), 3)
  monkeypatch.setattr(pool_size, "memory", lambda: 0.02 * GB)
  with pytest.raises(DataError) as refused:
    row_memory.check(config(model), data(), 3)
  network = "frames" if model == "frames" else "point"
  assert str(refused.value).startswith(f"model '{network}' would need ")
  assert "of the machine's 20 MB" in str(refused.value)
  assert f"--config.{network}.batch_size" in str(refused.value)
  assert ("--config.point.members=1" in str(refused.value)) == (network == "point")
  row_memory.check(config("paper"), data(), 3)  # reads no rows


def test_an_accelerator_that_is_too_small(monkeypatch):
  monkeypatch.setattr(pool_size, "memory", lambda: 64 * GB)
  monkeypatch.setattr(row_memory, "device_memory", lambda: 16 * GB)
  row_memory.check(config(), data(), 3)
  monkeypatch.setattr(row_memory, "device_memory", lambda: 0.7 * GB)
  with pytest.raises(DataError, match="of the accelerator's 700 MB"):
    row_memory.check(config(), data(), 3)
  alone = config()
  alone.point.members = 1
  row_memory.check(alone, data(), 3)


def test_rows_on_the_disk_need_no_memory(monkeypatch, tmp_path):
  monkeypatch.setattr(row_memory, "device_memory", lambda: 16 * GB)
  monkeypatch.setattr(pool_size, "memory", lambda: 40e6)
  counts = (5_000, 5_000)
  with pytest.raises(DataError, match="rows "):
    row_memory.check(config(), data(counts, 1024), 1)
  stored = np.memmap(tmp_path / "rows", np.float16, "w+", shape=(10_000, 1024))
  monkeypatch.setattr(pool_size, "memory", lambda: 60e6)  # two copies of the labelled rows: 41 MB
  row_memory.check(config(), data(selection=pool(counts, stored)), 1)
  with pytest.raises(DataError, match="rows "):
    row_memory.check(config(), data(counts, 1024), 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_step_holds_no_more_than_it_is_said_to(context):
  """As XLA counts it."""
  dim, width, rows = 96, 64, 256
  network = Network(10, levels_lib.DEFAULT, width, context)
  stride, shape = network.levels.strides[-1], jax.ShapeDtypeStruct
  params = jax.eval_shape(lambda key: network.init(
      {"params": key}, jnp.zeros((1, stride, dim)), jnp.ones((1, stride), bool))["params"],
                          jax.random.key(0))
  labeled = LabeledRows(shape((1024, dim), jnp.float32), *[shape((16,), jnp.int32)] * 2,
                        shape((16, 16, 2), jnp.float32), shape((16, 16), jnp.int32),
                        shape((16, 16), bool))
  steps = row_training.Steps(jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 50)),
                             shape((50, 8), jnp.int32), shape((50,), jnp.float32))
  program = row_training._chunk.lower(
      jax.eval_shape(lambda leaf: row_training.begin(leaf, jnp.zeros(())), params), labeled, steps,
      loss_fn=Loss(network), length=rows, schedule=row_training.Schedule()).compile()
  held = program.memory_analysis().temp_size_in_bytes
  options = config().point
  options.longest_crop = rows
  said = row_memory.need(options, dim=dim, itemsize=4, stored=0, counts=np.array([9999]), budget=1,
                         classes=10, side_by_side=False).training
  assert 0.15 * said < held < said
