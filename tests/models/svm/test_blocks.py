"""Blocked products against NumPy, wherever the features are, and whatever stands in padding."""

import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models.svm import blocks as lib

V, P, D = 37, 30, 6  # more than a block of videos and of rows, and no multiple of either
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(V, P, D)).astype(np.float16)
WANTED = (RNG.random((V, P)) < 0.7) & (np.arange(V) % 5 > 0)[:, None]
WEIGHTS = np.where(WANTED, RNG.normal(size=(V, P)), 0.0).astype(np.float32)
THETA = RNG.normal(size=D + 1).astype(np.float32)
ROWS = np.concatenate([FEATURES.astype(np.float64), np.ones((V, P, 1))], 2)
DIRTY = np.where(WANTED[..., None], FEATURES, np.float16(np.nan))

SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tests.models.svm import test_blocks as t
mesh = jax.make_mesh((4,), ("videos",), axis_types=(AxisType.Auto,))
features = np.concatenate([t.DIRTY, t.DIRTY[:3]])
wanted, weights = (np.concatenate([a, 0 * a[:3]]) for a in (t.WANTED, t.WEIGHTS))
placed = jax.device_put(features, NamedSharding(mesh, PartitionSpec("videos")))
t.check(placed, jax.numpy.asarray(wanted), jax.numpy.asarray(weights))
"""


def place(kind, tmp_path):
  if kind == "device":
    return jnp.asarray(DIRTY)
  if kind == "host":
    return DIRTY
  stored = np.memmap(tmp_path / "features.bin", np.float16, "w+", shape=DIRTY.shape)
  stored[:] = DIRTY
  return stored


def check(features, wanted, weights):
  n = len(ROWS)
  margins = np.asarray(lib.margins(features, wanted, jnp.asarray(THETA)))
  np.testing.assert_allclose(margins[:n], np.where(WANTED, ROWS @ THETA, 0.0), atol=1e-5)
  assert not margins[n:].any()
  np.testing.assert_allclose(lib.weighted_sum(features, weights),
                             np.einsum("vp,vpd->d", WEIGHTS, ROWS), atol=1e-4)
  np.testing.assert_allclose(lib.gram(features, weights),
                             np.einsum("vp,vpd,vpe->de", WEIGHTS, ROWS, ROWS), atol=1e-3)


@pytest.mark.parametrize("kind", ["device", "host", "file"])
def test_against_numpy(kind, tmp_path):
  check(place(kind, tmp_path), jnp.asarray(WANTED), jnp.asarray(WEIGHTS))


@pytest.mark.parametrize("kind", ["device", "host"])
@pytest.mark.parametrize("chosen", [[], [0], [0, 36], range(37)])
def test_any_number_of_rows(kind, chosen, tmp_path):
  """None, one, and all of them: counts that fill no block, or several."""
  features = jnp.asarray(FEATURES) if kind == "device" else FEATURES
  weights = np.zeros((V, P), np.float32)
  weights[list(chosen)] = 1.0
  np.testing.assert_allclose(lib.weighted_sum(features, jnp.asarray(weights)),
                             ROWS[list(chosen)].sum((0, 1)), atol=1e-3)
  np.testing.assert_allclose(
      lib.margins(features, jnp.asarray(weights > 0), jnp.asarray(THETA)),
      np.where(weights > 0, ROWS @ THETA, 0.0), atol=1e-5)


def test_small_blocks_of_a_file(monkeypatch, tmp_path):
  monkeypatch.setattr(lib, "STREAMED_BYTES", 4 * FEATURES[:1].nbytes)
  check(place("file", tmp_path), jnp.asarray(WANTED), jnp.asarray(WEIGHTS))


@pytest.mark.parametrize("kind", ["device", "host"])
def test_take_rows(kind):
  features = jnp.asarray(FEATURES) if kind == "device" else FEATURES
  video, row = jnp.array([3, 0, 36]), jnp.array([1, 29, 1])
  np.testing.assert_array_equal(lib.take_rows(features, video, row),
                                FEATURES[[3, 0, 36], [1, 29, 1]])


def test_sharded_over_videos():
  env = os.environ | {
      "XLA_FLAGS": os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"}
  done = subprocess.run([sys.executable, "-c", SHARDED], env=env, text=True, capture_output=True)
  assert done.returncode == 0, done.stderr
