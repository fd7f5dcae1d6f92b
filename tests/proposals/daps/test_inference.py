"""Inference of DAPs: the published network on a real video, and small cases."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tal_jax.data.records import FrameFeatures, TimeGrid
from tal_jax.errors import DataError
from tal_jax.metrics.proposal_recall import recall
from tal_jax.proposals.daps import inference as daps_inference, weights as daps_weights
from tests.proposals.daps import daps_reference

VIDEO = "video_test_0000541"
FPS = 30.0


@pytest.fixture(scope="module")
def real(data_dir):
  """(the 21 arrays, features [863, 500], annotation) of the published weights' sample video."""
  h5py = pytest.importorskip("h5py")
  folder, truths = data_dir / "daps", data_dir / "thumos14" / "thumos14_v2.json"
  for path in (folder, truths):
    if not path.exists():
      pytest.skip(f"no {path}")
  with np.load(folder / "T512K64_thumos14.npz") as file:
    arrays = [file[f"arr_{i}"] for i in range(daps_weights.NUM_ARRAYS)]
  with h5py.File(folder / "c3d_after_pca.hdf5") as file:
    features = file[VIDEO]["c3d_features"][()]
  return arrays, features, json.loads(truths.read_text())["database"][VIDEO]


def propose(arrays, features, video, **options):
  model = daps_weights.DapsModel(daps_weights.from_published(arrays), (512 / FPS,))
  return daps_inference.propose(
      model, FrameFeatures(features, TimeGrid(FPS, stride=1.0, window=16.0)), video["duration"],
      **options)


def test_finds_both_truths_of_the_real_video(real):
  """Recall at tIoU 0.5 is 1 within the first 50 proposals, with the published weights."""
  arrays, features, video = real
  assert video["fps"] == FPS and np.isnan(features).any()  # all but every 8th row
  found = propose(arrays, features, video)
  truths = [np.array([x["segment"] for x in video["annotations"]])]
  assert len(truths[0]) == 2
  assert recall(truths, [found.segments], (0.5,), first=50).recall == [1.0]
  assert (np.diff(found.scores) <= 0).all()
  assert found.segments.min() >= 0 and found.segments.max() <= video["duration"]


def test_is_the_published_recipe_but_for_frames(real):
  """The slow loop gives the 57 proposals that the published code gives; ours are near them."""
  arrays, features, video = real
  slow = daps_reference.published_proposals(arrays, features)
  assert len(slow) == 57
  found = propose(arrays, features, video, cover_end=False)
  np.testing.assert_allclose(found.segments[0] * FPS, slow[0] + [0, 1], atol=2)
  best = [np.abs(found.segments * FPS - (x + [0, 1])).max(axis=1).min() for x in slow
          if x[0] >= 0 and x[1] <= video["duration_frame"]]
  assert np.mean(np.array(best) < 2) > 0.8


def test_padded_rows_and_blocks_change_nothing():
  """37 windows make two blocks; dropping half of the rows by NaN or by row_step is the same."""
  rng = np.random.default_rng(0)
  arrays = daps_reference.random_arrays(rng, dim=4, width=5, num_anchors=3)
  values = rng.standard_normal((400, 4)).astype(np.float32)
  options = {"stride": 0.25, "nms_threshold": 1.0, "num_proposals": 10 ** 6}
  holes = values.copy()
  holes[1::2] = np.nan
  model = daps_weights.DapsModel(daps_weights.from_published(arrays), (10.0,), 4)
  grid = TimeGrid(fps=4.0)
  found = daps_inference.propose(model, FrameFeatures(holes, grid), 100.0, **options)
  step = daps_inference.propose(model, FrameFeatures(values, grid), 100.0, row_step=2, **options)
  np.testing.assert_array_equal(found.segments, step.segments)
  assert len(found.scores) <= 37 * 3  # 37 windows; the ReLU leaves some without duration
  one = daps_inference.propose(model, FrameFeatures(holes[:40], grid), 10.0, **options)
  of_first = {tuple(x) for x in np.round(one.segments, 3)}
  clipped = {tuple(x) for x in np.round(np.clip(found.segments, 0, 10), 3)}
  assert of_first <= clipped


def test_suppress_by_hand():
  """The second overlaps the first by 0.8; the third lies outside, the fourth is cut at 10 s."""
  found = daps_inference.suppress(
      np.array([[0.0, 5.0], [0.0, 4.0], [11.0, 12.0], [8.0, 14.0]]), np.array([.9, .8, .7, .6]),
      10.0, threshold=0.7, limit=10)
  np.testing.assert_allclose(found.segments, [[0, 5], [8, 10]])
  np.testing.assert_allclose(found.scores, [0.9, 0.6])
  assert len(daps_inference.suppress(np.array([[0.0, 5.0], [6.0, 7.0]]), np.array([.9, .8]), 10.0,
                                     threshold=0.7, limit=1).scores) == 1


def test_soft_suppression_by_hand():
  """tIoU 0.8 lowers the second to .8 exp(-.64 / .5) = .222: behind the third, but not lost."""
  segments = np.array([[0.0, 5.0], [0.0, 4.0], [6.0, 9.0]])
  found = daps_inference.suppress(segments, np.array([0.9, 0.8, 0.3]), 10.0, threshold=0.7,
                                  limit=10, sigma=0.5)
  np.testing.assert_allclose(found.segments, segments[[0, 2, 1]])
  np.testing.assert_allclose(found.scores, [0.9, 0.3, 0.8 * np.exp(-0.64 / 0.5)], rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10 ** 6), st.integers(1, 16), st.floats(0.05, 5))
def test_soft_suppression_is_the_slow_loop(seed, n, sigma):
  rng = np.random.default_rng(seed)
  segments = np.sort(rng.uniform(0, 10, (n, 2)), axis=1)
  scores, left, wanted = rng.random(n) + 0.01, list(range(n)), []
  lowered = scores.copy()
  while left:
    best = max(left, key=lambda i: lowered[i])
    left.remove(best)
    wanted.append(lowered[best])
    for i in left:
      a, b = segments[i], segments[best]
      overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
      tiou = overlap / max((a[1] - a[0]) + (b[1] - b[0]) - overlap, 1e-12)
      lowered[i] *= np.exp(-tiou ** 2 / sigma)
  found = daps_inference.suppress(segments, scores, 10.0, threshold=0.7, limit=16, sigma=sigma)
  assert len(found.scores) == n
  np.testing.assert_allclose(found.scores, wanted, rtol=1e-3)


def small_model(rng):
  return daps_weights.DapsModel(daps_weights.from_published(
      daps_reference.random_arrays(rng, dim=3, width=7, num_anchors=2)), (8.0,), 4)


def test_few_programs_are_compiled():
  rng = np.random.default_rng(0)
  model = small_model(rng)
  before = daps_inference.forward._cache_size(), daps_inference._nms._cache_size()
  for duration in (5.0, 9.0, 30.0, 31.0, 33.0, 90.0):
    features = FrameFeatures(rng.standard_normal((int(duration), 3)), TimeGrid(1.0))
    daps_inference.propose(model, features, duration, num_proposals=16)
  after = daps_inference.forward._cache_size(), daps_inference._nms._cache_size()
  assert after[0] - before[0] == 1
  assert after[1] - before[1] <= 4  # 2 to 168 segments: 16, 64, 128 and 256


def test_another_width_is_a_fault():
  with pytest.raises(DataError, match="clip.*width 3"):
    daps_inference.propose(small_model(np.random.default_rng(0)),
                           FrameFeatures(np.ones((9, 4)), TimeGrid(1.0)), 9.0, video_id="clip")


def test_rows_are_standardised_first():
  """A model with a mean and a scale on rows is the plain one on rows that were put right."""
  rng = np.random.default_rng(0)
  model, rows = small_model(rng), rng.standard_normal((20, 3)).astype(np.float32)
  mean, scale = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 4.0])
  wanted = daps_inference.propose(model, FrameFeatures(rows, TimeGrid(1.0)), 20.0)
  found = daps_inference.propose(model._replace(mean=mean, scale=scale),
                                 FrameFeatures(rows / scale + mean, TimeGrid(1.0)), 20.0)
  np.testing.assert_allclose(found.segments, wanted.segments, atol=1e-4)
