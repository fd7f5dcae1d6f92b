"""A pool through the detector: in pieces as in one, alone as with others, and few programs."""

import functools
import logging

import jax
import numpy as np
import pytest

from tal_jax import rows as rows_lib, segments as seg
from tal_jax.models.point import decoding, scoring
from tal_jax.models.point.levels import Levels
from tal_jax.models.point.network import CONTEXTS, Network, reach
from tests import row_pools
from tests.row_pools import DIM, STEP

pytestmark = pytest.mark.slow

CLASSES, WIDTH = 2, 8
LONG = 420
SETTINGS = decoding.Settings(candidates=30, kept=10)


@functools.cache
def model(context="maxpool", seed=0):
  """One network of random weights that say different things at different places."""
  network = Network(CLASSES, Levels(2, 2), WIDTH, context)
  params = network.init(jax.random.key(0), np.zeros((1, 8, DIM)), np.ones((1, 8), bool))["params"]
  rng = np.random.default_rng(seed)
  params = jax.tree.map(lambda leaf: leaf + 0.2 * rng.normal(size=leaf.shape).astype(np.float32),
                        params)
  params["classes"]["out"]["bias"] = params["classes"]["out"]["bias"] * 0.0
  return network, jax.tree.map(lambda leaf: leaf[None], params)


def rows_and_durations(counts, seed=0):
  values = [row_pools.noise(n, seed=seed) for n in counts]
  return row_pools.rows_of(np.concatenate(values), counts), STEP * np.array(counts, np.float32)


def detect(context, rows, durations, **options):
  network, params = model(context)
  return scoring.detect(params, rows, durations, network=network, settings=SETTINGS, **options)


def look(context, rows, durations, **options):
  network, params = model(context)
  return scoring.look(params, rows, durations, network=network, num_picks=5, **options)


def assert_same(a, b, *, atol=1e-4):
  for x, y in zip(a, b, strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_long_video_in_pieces_is_as_in_one(context):
  network, _ = model(context)
  assert 4 * reach(network.levels, context) + 64 < LONG  # it is cut
  rows, durations = rows_and_durations([LONG, 50])
  whole = detect(context, rows, durations)
  pieces = detect(context, rows, durations, longest=1)
  assert whole.mask.sum(1).min() > 10
  assert_same(whole, pieces)


def test_what_selection_reads_of_a_long_video_in_pieces_is_as_in_one():
  context = "maxpool"
  rows, durations = rows_and_durations([LONG, 50])
  whole, pieces = look(context, rows, durations), look(context, rows, durations, longest=1)
  np.testing.assert_array_equal(whole.confidence_mask, pieces.confidence_mask)
  np.testing.assert_allclose(whole.confidence, pieces.confidence, atol=1e-5)
  np.testing.assert_allclose(whole.features, pieces.features, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(whole.pick_confidence[:, 0], pieces.pick_confidence[:, 0], rtol=1e-4)
  np.testing.assert_allclose(whole.segments[:, 0], pieces.segments[:, 0], atol=1e-3)


def test_networks_speak_with_one_voice():
  """A network twice is the network; of two, means of what they say and both their features."""
  (network, one), (_, other) = model(), model(seed=1)
  rows, durations = rows_and_durations([60, 150])

  def together(*params):
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *params)

  def seen(params):
    return scoring.look(params, rows, durations, network=network, num_picks=5)

  def found(params):
    return scoring.detect(params, rows, durations, network=network, settings=SETTINGS)

  assert_same(found(one), found(together(one, one)))
  a, b, both = seen(one), seen(other), seen(together(one, other))
  np.testing.assert_allclose(both.features, np.concatenate([a.features, b.features], 1), rtol=1e-4,
                             atol=1e-5)
  assert both.pick_features.shape == (2, 5, 2 * WIDTH)
  windows = next(scoring._windows(rows, network, 8192))
  values, mask, own, begun = windows.values, windows.mask, windows.own, (rows.mean, rows.scale)
  said = [scoring._forward(params, values, mask, own, *begun, network)[1]
          for params in (one, other, together(one, other))]
  for name in ("probabilities", "offsets"):
    first, second, mean = (np.asarray(getattr(part, name)) for part in said)
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_allclose(mean, (first + second) / 2, rtol=1e-4, atol=1e-5)


def test_reach_is_enough_and_not_far_too_much():
  """A row that is as far as `reach` says changes nothing; some row nearly as far does."""
  for context in CONTEXTS:
    network, params = model(context)
    apply = jax.jit(lambda x, network=network, params=params: network.apply(
        {"params": jax.tree.map(lambda leaf: leaf[0], params)}, x, np.ones((1, 128), bool)))
    x = row_pools.noise(128)[None]
    first = apply(x)
    positions = np.concatenate([np.arange(0, 128, s) for s in network.levels.strides])
    changed = np.zeros(len(positions), bool)
    for seed in range(3):
      other = x.copy()
      other[:, 64] += 3 * np.random.default_rng(seed).normal(size=DIM)
      second = apply(other)
      for a, b in zip(first, second, strict=True):
        changed |= (np.abs(np.asarray(a, float) - np.asarray(b, float))[0].reshape(
            len(positions), -1) > 1e-5).any(1)
    far = np.abs(positions - 64)[changed].max()
    limit = reach(network.levels, context)
    assert 0.6 * limit <= far <= limit


def test_other_videos_and_padding_change_nothing():
  counts = [1, 0, 2, 60, 3, 150]
  rows, durations = rows_and_durations(counts)
  together = detect("maxpool", rows, durations)
  seen = look("maxpool", rows, durations)
  assert together.mask.any(1).tolist() == [n > 0 for n in counts]
  for leaf in (*together, *seen):
    assert np.isfinite(leaf).all()
  assert not seen.pick_mask[1].any() and not seen.features[1].any()
  for i in range(len(counts)):
    alone = rows_lib.take(rows, np.array([i]))
    assert_same([leaf[i:i + 1] for leaf in together], detect("maxpool", alone, durations[i:i + 1]))
  padded = rows_lib.pad(rows, 8)
  more = detect("maxpool", padded, np.pad(durations, (0, 2)))
  assert_same([leaf[:6] for leaf in more], together, atol=0)
  assert not more.mask[6:].any()
  more = look("maxpool", padded, np.pad(durations, (0, 2)))
  assert_same([leaf[:6] for leaf in more], seen, atol=0)


def test_detections_are_sorted_and_inside_the_video():
  rows, durations = rows_and_durations([60, 150])
  found = detect("maxpool", rows, durations)
  assert (np.diff(found.scores, axis=1) <= 0).all() and found.scores.max() <= 1
  real = found.segments[found.mask]
  assert (real[:, 1] > real[:, 0]).all() and real.min() >= 0
  assert (found.segments[..., 1] <= durations[:, None]).all()
  assert found.labels.dtype == np.int32 and set(found.labels[found.mask]) == {0, 1}
  few = scoring.detect(model()[1], rows, durations, network=model()[0],
                       settings=SETTINGS._replace(most=7))
  assert few.scores.shape == (2, 7)
  np.testing.assert_allclose(few.scores, found.scores[:, :7], rtol=1e-5)


def test_picks_do_not_overlap():
  rows, durations = rows_and_durations([60, 150])
  seen = look("maxpool", rows, durations)
  assert seen.pick_mask.sum(1).min() > 1
  np.testing.assert_allclose(seen.pick_classes[seen.pick_mask].sum(-1), 1, rtol=1e-5)
  for segments, mask in zip(seen.segments, seen.pick_mask, strict=True):
    overlap = np.array(seg.tiou(segments[mask], segments[mask]))
    np.fill_diagonal(overlap, 0.0)
    assert overlap.max() <= 0.5 + 1e-5


def test_picks_of_two_windows_do_not_overlap():
  """Something happens where two windows meet, and the points on either side say so."""
  network, params = model()
  offsets = {**params["offsets"], "out": {**params["offsets"]["out"]}}
  offsets["out"]["bias"] = offsets["out"]["bias"] + 15.0  # strides: all segments are long
  rows, durations = rows_and_durations([LONG], seed=2)
  values = np.zeros_like(rows.values)
  values[124:133] = values[252:261] = 3 * rows.values[124:133]
  rows = rows._replace(values=values)
  whole, pieces = (
      scoring.look({**params, "offsets": offsets}, rows, durations, network=network, num_picks=8,
                   longest=longest) for longest in (8192, 1))
  np.testing.assert_allclose(whole.segments, pieces.segments, atol=1e-3)
  np.testing.assert_allclose(whole.pick_confidence, pieces.pick_confidence, rtol=1e-4)


def test_memory_mapped_rows(tmp_path):
  rows, durations = rows_and_durations([60, 150])
  rows = rows._replace(values=rows.values.astype(np.float16))
  path = tmp_path / "rows.bin"
  rows.values.tofile(path)
  mapped = rows._replace(values=np.memmap(path, np.float16, "r", shape=rows.values.shape))
  assert_same(detect("maxpool", rows, durations), detect("maxpool", mapped, durations), atol=0)


def compiled(caplog, function):
  """Names of what `function()` compiles."""
  caplog.clear()
  with jax.log_compiles(), caplog.at_level(logging.WARNING):
    function()
  return [r.getMessage() for r in caplog.records if "Finished XLA compilation" in r.getMessage()]


def test_pools_of_other_lengths_compile_nothing_new(caplog):
  def both(counts, seed):
    rows, durations = rows_and_durations(counts, seed)
    detect("maxpool", rows, durations, longest=1)
    look("maxpool", rows, durations, longest=1)

  jax.clear_caches()
  assert compiled(caplog, lambda: both([60, 100, 170, LONG, 3], 0))
  assert not compiled(caplog, lambda: both([64, 128, 180, LONG - 11, 1, 0, 50, 20], 1))


def test_lowers_for_accelerators():
  network, params = model("transformer")
  window = (params, np.zeros((2, 64, DIM), np.float16), np.ones((2, 64), bool),
            np.zeros(2, np.int32), np.zeros((2, 2), np.int32), np.zeros(DIM, np.float32),
            np.ones(DIM, np.float32))
  found = jax.eval_shape(functools.partial(scoring._candidates, network=network, num=5), *window)
  time = np.zeros(2, np.float32)
  for traced in (scoring._candidates.trace(*window, network=network, num=5),
                 scoring._look.trace(*window, network=network, num_picks=3),
                 decoding.segments_of_videos.trace(found, time, time, time, settings=SETTINGS)):
    for platform in ("tpu", "cuda"):
      assert traced.lower(lowering_platforms=(platform,)).as_text()
