"""Checkpoints: exact, and never damaged ones in silence."""

import errno
import pathlib
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from tal_jax import checkpoints as lib, learner
from tal_jax.models.stage_wise.two_stage import Settings, TwoStage
from tal_jax.selection import uncertainty
from tests import pools

pytestmark = pytest.mark.slow

TWO_STAGE = TwoStage(Settings(num_kept=6, num_picks=3))
ROOT = str(pathlib.Path(__file__).resolve().parents[1])


@pytest.fixture(scope="module")
def first():
  pool = pools.videos()
  return learner.init(jax.random.key(0), pool, num_classes=3, localizer=pools.LOCALIZER)


def at(first, step):
  """A state of that step, with something of its own in every part."""
  rng = np.random.default_rng(step)
  model = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32),
                       first.model)
  return first.replace(
      step=jnp.asarray(step, jnp.int32), key=jax.random.key(100 + step), model=model,
      labeled=jnp.asarray(rng.random(16) < 0.5),
      annotations=jnp.asarray(rng.normal(size=first.annotations.shape), jnp.float32),
      annotation_mask=jnp.asarray(rng.random(first.annotation_mask.shape) < 0.5))


def content(state):
  state = state.replace(key=jax.random.key_data(state.key))
  return [(np.asarray(leaf).dtype, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(state)]


def save(folder, first, steps):
  checkpoints = lib.Checkpoints(folder)
  for step in steps:
    checkpoints.save(at(first, step))
  checkpoints.close()


def save_one(folder, state):
  checkpoints = lib.Checkpoints(folder)
  checkpoints.save(state)
  checkpoints.close()


def restore(folder, first):
  checkpoints = lib.Checkpoints(folder)
  try:
    return checkpoints.restore(first)
  finally:
    checkpoints.close()


@pytest.fixture
def warnings(monkeypatch):
  """What was logged as a warning by us."""
  said = []
  monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text % args))
  return said


def test_none(first, tmp_path):
  assert restore(tmp_path / "c", first) is None


def test_round_trip(first, tmp_path, warnings):
  save(tmp_path / "c", first, range(5))
  got = restore(tmp_path / "c", first)
  assert content(got) == content(at(first, 4)) and not warnings
  assert got.localizer == first.localizer
  # The key is one: it can be split, and gives the same stream.
  np.testing.assert_array_equal(jax.random.key_data(jax.random.split(got.key)),
                                jax.random.key_data(jax.random.split(jax.random.key(104))))
  assert len([p for p in (tmp_path / "c").iterdir() if p.name.isdigit()]) == 3


def test_a_restored_learner_goes_on_alike(tmp_path):
  pool = pools.videos()
  state = pools.started(pool)
  checkpoints = lib.Checkpoints(tmp_path / "c")
  checkpoints.save(state)
  restored = checkpoints.restore(learner.init(
      jax.random.key(5), pool, num_classes=3, localizer=pools.LOCALIZER))
  checkpoints.close()
  go = {"select": pools.prepared(pool, pool)["mcle"], "batch_size": 3,
        "annotate": learner.simulated_oracle(jax.random.key(1))}
  assert content(learner.step(restored, pool, **go)[0]) == content(
      learner.step(state, pool, **go)[0])


def damage(folder, kind):
  """Damages the largest file of a checkpoint, or all of it."""
  files = [path for path in folder.rglob("*") if path.is_file()]
  victim = max(files, key=lambda path: path.stat().st_size)
  if kind == "truncated":
    victim.write_bytes(victim.read_bytes()[:victim.stat().st_size // 2])
  elif kind == "garbage":
    victim.write_bytes(np.random.default_rng(0).bytes(victim.stat().st_size))
  elif kind == "flipped":
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
  elif kind == "missing":
    victim.unlink()
  elif kind == "empty":
    for path in files:
      path.write_bytes(b"")
  elif kind == "digest":
    meta = folder / "meta" / "metadata"
    text = meta.read_text()
    digit = text.index('"digest"') + 15
    meta.write_text(text[:digit] + ("0" if text[digit] != "0" else "1") + text[digit + 1:])


@pytest.mark.parametrize("kind", ["truncated", "garbage", "flipped", "missing", "empty", "digest"])
def test_a_damaged_one_is_reported_and_the_one_before_it_used(first, tmp_path, warnings, kind):
  save(tmp_path / "c", first, range(3))
  damage(tmp_path / "c" / "2", kind)
  assert content(restore(tmp_path / "c", first)) == content(at(first, 1))
  assert len(warnings) == 1 and str(tmp_path / "c" / "2") in warnings[0]
  assert "using the one before it" in warnings[0]
  # The damaged one is gone, and its step can be written again.
  save(tmp_path / "c", first, [2])
  assert content(restore(tmp_path / "c", first)) == content(at(first, 2)) and len(warnings) == 1


def test_all_damaged(first, tmp_path, warnings):
  save(tmp_path / "c", first, range(3))
  for step in range(3):
    damage(tmp_path / "c" / str(step), "garbage")
  assert restore(tmp_path / "c", first) is None and len(warnings) == 3


def test_any_flipped_byte_gives_a_state_that_was_saved(first, tmp_path, warnings):
  """Some bytes are never read again; what is restored is the last state or the one before it."""
  folder = tmp_path / "c"
  save(folder, first, range(2))
  files = sorted(path for path in (folder / "1").rglob("*") if path.is_file())
  original = {path: path.read_bytes() for path in files}
  good, rng = {str(content(at(first, step))) for step in (0, 1)}, np.random.default_rng(0)
  for path in files:
    if not original[path]:
      continue
    data = bytearray(original[path])
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    assert str(content(restore(folder, first))) in good, path
    for other in files:  # undo, a damaged one is deleted
      other.parent.mkdir(parents=True, exist_ok=True)
      other.write_bytes(original[other])
  assert warnings


def test_of_another_shape(first, tmp_path, warnings):
  """As if another configuration had written it."""
  save(tmp_path / "c", first, [0])
  other = learner.init(jax.random.key(0), pools.videos(12), num_classes=3)
  assert restore(tmp_path / "c", other) is None and len(warnings) == 1


def test_without_the_padding_of_the_devices(tmp_path):
  """Saved where 13 videos are padded to 16, restored where they are not, and back."""
  def of_length(padded):
    pool = pools.videos(padded)
    return learner.init(jax.random.key(0), pool, num_classes=3, localizer=pools.LOCALIZER).replace(
        labeled=jnp.zeros(13, bool))

  state = of_length(16).replace(labeled=jnp.arange(13) % 2 == 0)
  state = state.replace(
      annotations=state.annotations.at[:13].set(7.0),
      memory=state.memory._replace(decisions=state.memory.decisions.at[:13].set(-2.0)))
  save_one(tmp_path / "c", state)
  short = restore(tmp_path / "c", of_length(13))
  np.testing.assert_array_equal(short.labeled, state.labeled)
  assert short.annotations.shape[0] == 13 and (short.annotations == 7.0).all()
  assert short.memory.decisions.shape[0] == 13 and (short.memory.decisions == -2.0).all()
  save_one(tmp_path / "d", short)
  again = restore(tmp_path / "d", of_length(16))
  assert content(again) == content(state)


def two_stage(padded, *, labeled=()):
  """A learner of the model with a second stage: 13 videos, with padding."""
  pool = pools.videos(padded)
  pool = pool._replace(proposal_mask=pool.proposal_mask.at[13:].set(False),
                       truth_mask=pool.truth_mask.at[13:].set(False))
  first = learner.init(jax.random.key(0), pool, num_classes=3, num_videos=13, localizer=TWO_STAGE)
  state, _ = learner.label(first, pool, jnp.asarray(labeled, jnp.int32),
                           learner.simulated_oracle(jax.random.key(1)))
  return pool, state


def test_a_memory_in_parts(tmp_path):
  """Of the model with a second stage: to the bit, and without the padding of the devices."""
  pool, state = two_stage(16, labeled=range(0, 13, 2))
  state, _ = learner.train(state, pool)
  assert state.memory.scores.decisions.any() and state.memory.svms[1].curved.any()
  save_one(tmp_path / "c", state)
  again = restore(tmp_path / "c", two_stage(16)[1])
  assert content(again) == content(state)
  assert jax.tree.structure(again.memory) == jax.tree.structure(state.memory)
  go = {"select": uncertainty.select, "batch_size": 3,
        "annotate": learner.simulated_oracle(jax.random.key(1))}
  assert content(learner.step(again, pool, **go)[0]) == content(learner.step(state, pool, **go)[0])
  short = restore(tmp_path / "c", two_stage(13)[1])
  for part, whole in zip(jax.tree.leaves(short.memory), jax.tree.leaves(state.memory), strict=True):
    np.testing.assert_array_equal(part, whole[:13] if whole.shape[:1] == (16,) else whole)
  assert short.memory.scores.attention.shape[0] == short.memory.svms[2].curved.shape[0] == 13
  save_one(tmp_path / "d", short)
  assert content(restore(tmp_path / "d", two_stage(16)[1])) == content(state)


def test_an_unfinished_write_is_not_a_checkpoint(first, tmp_path, warnings):
  """What SIGKILL leaves in the middle of a save: a folder under orbax' temporary name."""
  save(tmp_path / "c", first, range(2))
  (tmp_path / "c" / "1").rename(tmp_path / "c" / "1.orbax-checkpoint-tmp-0")
  assert content(restore(tmp_path / "c", first)) == content(at(first, 0)) and not warnings


def test_in_another_process(first, tmp_path):
  save(tmp_path / "c", first, [7])
  code = ("import sys, jax; from tests import pools, test_checkpoints as t; "
          "from tal_jax import learner; pool = pools.videos(); "
          "like = learner.init(jax.random.key(0), pool, num_classes=3, localizer=pools.LOCALIZER); "
          "assert t.content(t.restore(sys.argv[1], like)) == t.content(t.at(like, 7))")
  subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], cwd=ROOT, check=True)


def test_what_cannot_be_written_names_the_folder_and_may_be_repeated(first, tmp_path):
  """A limit on the size of files stands for the full disk, which tensorstore reports likewise."""
  checkpoints = lib.Checkpoints(tmp_path)
  checkpoints.save(at(first, 0))
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  for most in (0, 512):  # met by orbax's own files, and by tensorstore's
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
      with pytest.raises(OSError) as fault:
        checkpoints.save(at(first, 1))
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (fault.value.errno, fault.value.filename) == (errno.EFBIG, str(tmp_path))
  assert content(restore(tmp_path, first)) == content(at(first, 0))
  checkpoints.save(at(first, 1))
  checkpoints.close()
  assert content(restore(tmp_path, first)) == content(at(first, 1))
