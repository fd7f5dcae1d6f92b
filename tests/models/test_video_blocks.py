"""A function mapped over videos against a loop, wherever the features are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tal_jax.models import video_blocks as lib
from tal_jax.models.svm import blocks as svm_blocks

V, P, D = 11, 4, 3
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(V, P, D)).astype(np.float32)
OWN = RNG.normal(size=(V, P)).astype(np.float32)
SOME = [np.arange(V) % 3 > 0, np.ones(V, bool), np.zeros(V, bool), np.arange(V) == 7]


def weighted(static, x, own, shared):
  power, _ = static
  total = (x * own[:, None]).sum(0)
  return {"sum": shared * total**power, "first": own[0] > 0}


def check(place, wanted, static):
  """Videos that are not wanted are not read."""
  features = place(np.where(wanted[:, None, None], FEATURES, np.float32(np.nan)))
  found = lib.over_videos(weighted, static, features, jnp.asarray(wanted), jnp.asarray(OWN), 3.0)
  expected = 3.0 * np.einsum("vpd,vp->vd", FEATURES, OWN)**static[0]
  np.testing.assert_allclose(found["sum"], np.where(wanted[:, None], expected, 0.0), rtol=1e-4,
                             atol=1e-5)
  np.testing.assert_array_equal(found["first"], wanted & (OWN[:, 0] > 0))
  assert found["first"].dtype == bool


@pytest.mark.parametrize("pairs", [4 * P**2, P**2 - 1])  # four videos a block; one
def test_on_a_device_with_one_program_whatever_is_wanted(pairs, monkeypatch):
  monkeypatch.setattr(lib, "_PAIRS", pairs)
  for wanted in SOME:
    check(jnp.asarray, wanted, (2, pairs))
  assert svm_blocks.jitted(lib.kernel(weighted, (2, pairs)))._cache_size() == 1


@pytest.mark.parametrize("videos", [4, V, 1])
def test_from_a_file_with_one_program_whatever_is_wanted(videos, monkeypatch):
  monkeypatch.setattr(svm_blocks, "STREAMED_BYTES", videos * FEATURES[:1].nbytes)
  for wanted in SOME:
    check(np.asarray, wanted, (2, videos))
  assert svm_blocks.jitted(lib.kernel(weighted, (2, videos)))._cache_size() == 1


def test_inside_a_jit():
  run = jax.jit(lambda x, wanted, own: lib.over_videos(weighted, (3, 0), x, wanted, own, 3.0))
  expected = 3.0 * np.einsum("vpd,vp->vd", FEATURES, OWN)**3
  np.testing.assert_allclose(run(FEATURES, SOME[0], OWN)["sum"],
                             np.where(SOME[0][:, None], expected, 0.0), rtol=1e-4, atol=1e-5)
