"""Votes of neighbours against values worked out by hand, a slow loop, and under padding."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings, strategies as st

from tal_jax.models.stage_wise import bound_voting as lib
from tests.test_segments import slow_tiou

P, K = 9, 4


def video(seed, p=P):
  """Segments on half seconds, so that overlaps repeat; one has no length, and one is padding."""
  rng = np.random.default_rng(seed)
  start = rng.integers(0, 10, p) / 2
  segments = np.stack([start, start + rng.integers(1, 9, p) / 2], 1).astype(np.float32)
  segments[-2, 1] = segments[-2, 0]
  mask = np.ones(p, bool)
  mask[-1] = False
  return segments, rng.normal(size=p).astype(np.float32), mask, rng.dirichlet(np.ones(3), p)


def near(segments, mask, i, threshold):
  return [j for j in range(len(mask)) if mask[j] and slow_tiou(
      np.float64(segments[i]), np.float64(segments[j])) > threshold]


_sharpen = jax.jit(lib.sharpen)
_vote = jax.jit(lib.vote)
_average = jax.jit(lib.average)


def test_sharpen_by_hand():
  # The first two overlap by .8; the third stands alone.
  segments = jnp.asarray([[0.0, 10.0], [0.0, 8.0], [20.0, 30.0]])
  z = _sharpen(jnp.asarray([2.0, 1.0, 5.0]), segments, jnp.ones(3, bool), amount=0.5,
               threshold=0.5)
  np.testing.assert_allclose(z, [2.25, 0.75, 5.0])


def test_vote_by_hand():
  # With strength log 3 and deviation 1 the better one weighs three times the other.
  segments = jnp.asarray([[0.0, 10.0], [0.0, 8.0], [20.0, 30.0]])
  found = _vote(segments, jnp.asarray([2.0, 1.0, 5.0]), segments, jnp.ones(3, bool),
                strength=np.log(3.0), threshold=0.7, deviation=1.0)
  np.testing.assert_allclose(found, [[0, 9.5], [0, 9.5], [20, 30]], atol=1e-6)


def test_average_by_hand():
  segments = jnp.asarray([[0.0, 10.0], [0.0, 8.0], [20.0, 30.0]])
  probabilities = jnp.asarray([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]])
  found = _average(segments[1:], probabilities, probabilities[1:], segments, jnp.ones(3, bool),
                   threshold=0.7)
  np.testing.assert_allclose(found, [[0.75, 0.25], [0.2, 0.8]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.25, 0.5, 0.72]))
def test_against_the_slow_loop(seed, threshold):
  segments, z, mask, probabilities = video(seed)
  sharp = _sharpen(z, segments, mask, amount=0.5, threshold=threshold)
  picks = np.random.default_rng(seed).permutation(P - 1)[:K]
  bounds = _vote(segments[picks], z, segments, mask, strength=3.0, threshold=threshold,
                 deviation=0.7)
  classes = _average(segments[picks], probabilities, probabilities[picks], segments, mask,
                     threshold=threshold)
  for i in range(P - 1):
    others = near(segments, mask, i, threshold)
    mean = np.mean(z[others]) if others else z[i]
    np.testing.assert_allclose(sharp[i], z[i] + 0.5 * (z[i] - mean), atol=1e-5)
  assert sharp[-1] == 0
  for k, i in enumerate(picks):
    others = near(segments, mask, i, threshold) or [i]
    weights = np.exp(3 * (np.float64(z[others]) - z[i]) / 0.7)
    np.testing.assert_allclose(bounds[k], weights @ segments[others] / weights.sum(), atol=1e-4)
    np.testing.assert_allclose(classes[k], probabilities[others].mean(0), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_properties(seed):
  segments, z, mask, _ = video(seed)
  vote = lambda shift, strength: _vote(  # noqa: E731
      segments + shift, z, segments + shift, mask, strength=strength, threshold=0.5, deviation=1.0)
  np.testing.assert_allclose(vote(0.0, 3.0) + 64.0, vote(64.0, 3.0), atol=1e-3)  # moves along
  assert np.isfinite(vote(0.0, 1e4)).all()  # the best neighbour alone
  np.testing.assert_allclose(  # a constant has nothing to stand out
      _sharpen(np.ones(P, np.float32), segments, mask, amount=2.0, threshold=0.3), mask, atol=1e-6)


def test_padding_changes_nothing():
  segments, z, mask, probabilities = video(3)
  more = lambda a: np.concatenate([a, np.full((4, *a.shape[1:]), 3, a.dtype)])  # noqa: E731
  fewer = np.concatenate([mask, np.zeros(4, bool)])
  np.testing.assert_allclose(
      _sharpen(more(z), more(segments), fewer, amount=0.5, threshold=0.5)[:P],
      _sharpen(z, segments, mask, amount=0.5, threshold=0.5), atol=1e-6)
  np.testing.assert_allclose(
      _vote(segments[:K], more(z), more(segments), fewer, strength=3.0, threshold=0.5,
            deviation=1.0),
      _vote(segments[:K], z, segments, mask, strength=3.0, threshold=0.5, deviation=1.0), atol=1e-6)
  np.testing.assert_allclose(
      _average(segments[:K], more(probabilities), probabilities[:K], more(segments), fewer,
               threshold=0.5),
      _average(segments[:K], probabilities, probabilities[:K], segments, mask, threshold=0.5),
      atol=1e-6)
