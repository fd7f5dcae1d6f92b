"""What tests/test_devices.py runs on eight virtual devices, in a process of its own.

    python -m tests.eight_devices CONFIG.json WORKDIR...

Checks `tal_jax.devices`, then runs the configuration in each work directory.
"""

import json
import pathlib
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from experiments import simulate
from tal_jax import devices, pool as pool_lib
from tal_jax.models import svm
from tal_jax.selection import gain, held_out
from tests import pools
from tests.test_devices import config_of


def host_pool(num_videos: int) -> pool_lib.VideoPool:
  pool = jax.tree.map(np.array, pools.videos(num_videos))
  return pool._replace(features=pool.features.astype(np.float16))


def check_place() -> None:
  """Padded, masked and in order, from host memory, a file or a device; no device has it all."""
  pool = host_pool(13)
  wanted = jax.tree.map(np.asarray, pool_lib.pad(pool, num_videos=16))
  with tempfile.TemporaryDirectory() as folder:
    np.save(f"{folder}/features.npy", pool.features)
    mapped = pool._replace(features=np.load(f"{folder}/features.npy", mmap_mode="r"))
    for source in (pool, mapped, jax.tree.map(jnp.asarray, pool)):
      placed = devices.place(source)
      for got, want in zip(*map(jax.tree.leaves, (placed, wanted)), strict=True):
        assert got.dtype == want.dtype and len(got.addressable_shards) == 8
        assert {shard.data.shape[0] for shard in got.addressable_shards} == {2}
        np.testing.assert_array_equal(devices.to_host(got), want)
  again = devices.place(placed)
  assert again.num_videos == 16 and again.features.sharding == placed.features.sharding


def check_replicate() -> None:
  tree = devices.replicate({"a": np.arange(3.0), "b": jnp.ones((2, 2))})
  for leaf in jax.tree.leaves(tree):
    assert leaf.is_fully_replicated and len(leaf.addressable_shards) == 8
  np.testing.assert_array_equal(tree["a"], np.arange(3.0))


def enlarged_fits(shared, batched, *, loss):
  """One SVM per candidate: what a loop of retraining does, with its own factorisations."""
  x, y = shared

  def one(extra_x, extra_y):
    return svm.fit(jnp.concatenate([x, extra_x]), jnp.concatenate([y, extra_y]), c=10.0,
                   loss=loss, tol=1e-5)

  return jax.vmap(one)(*batched)


def check_split_batch() -> None:
  """Every candidate as on one device, also where the batch does not divide, again and again.

  Many rounds: factorisations that wait for one another would hang here.
  """
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(60, 40)).astype(np.float32), np.sign(rng.normal(size=60))
  extra = (rng.normal(size=(19, 5, 40)).astype(np.float32), np.sign(rng.normal(size=(19, 5))))
  params, info = enlarged_fits((x, y), extra, loss="squared_hinge")
  for _ in range(30):
    got, got_info = devices.to_host(devices.split_batch(
        enlarged_fits, (x, y), extra, loss="squared_hinge"))
  assert got.w.shape == (19, 40) and got_info.converged.all()
  np.testing.assert_allclose(got.w, params.w, atol=2e-3)
  np.testing.assert_allclose(got_info.objective, info.objective, rtol=2e-5)


def check_gains() -> None:
  """Candidates retrained on eight devices: the gains are those of one."""
  pool, testing = pools.videos(12), pools.videos(6, seed=1)
  start = svm.SvmParams(jnp.zeros(pools.DIM), jnp.zeros(()))
  labeled, candidates = (pool_lib.take(pool, jnp.arange(*part)) for part in ((4,), (4, 12)))
  measured_on = held_out.prepare(testing, pools.SETTINGS)
  got = gain.one_step_gains(labeled, candidates, measured_on, pools.SETTINGS, start)
  *rows, extra_x, extra_y, extra_mask = gain._rows(labeled, candidates, pools.SETTINGS)
  params, info, ap = gain._retrain_and_measure(
      (*rows, start, measured_on), (extra_x, extra_y, extra_mask), settings=pools.SETTINGS)
  assert info.converged.all() and got.info.converged.all()
  np.testing.assert_allclose(got.base.w, params.w[0], atol=1e-3)
  np.testing.assert_allclose(got.base_ap, ap[0], atol=1e-6)
  np.testing.assert_allclose(got.gains, ap[1:] - ap[0], atol=1e-6)


def main() -> None:
  assert jax.device_count() == 8
  check_place()
  check_replicate()
  check_split_batch()
  check_gains()
  config = config_of(json.loads(pathlib.Path(sys.argv[1]).read_text()))
  for workdir in sys.argv[2:]:
    simulate.run(config, workdir)


if __name__ == "__main__":
  main()
