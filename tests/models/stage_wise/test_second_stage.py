"""The numbers of a proposal against a slow loop, and their regression against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.linear_model import LogisticRegression

from tal_jax.models.stage_wise import second_stage as lib
from tests.test_segments import slow_tiou

P, Q = 26, np.linspace(-0.5, 1.5, 6).astype(np.float32)
USE = np.ones(lib.NUM_NUMBERS, bool)

_numbers = jax.jit(lib.numbers)
_fit = jax.jit(lib.fit, static_argnames="num_iters")


def video(seed, p=P):
  rng = np.random.default_rng(seed)
  start = rng.uniform(0, 8, p)
  segments = np.stack([start, start + rng.uniform(0.5, 6, p)], 1).astype(np.float32)
  mask = np.arange(p) < p - 3
  return (*rng.normal(size=(3, p)).astype(np.float32), segments, mask)


def slow_numbers(d, top, entropy, segments, mask, quantiles=Q):
  """[p, K], one proposal after the other."""
  d, segments = np.float64(d), np.float64(segments)
  real = np.flatnonzero(mask)
  length = segments[:, 1] - segments[:, 0]
  best = np.sort(d[real])[::-1][:20]
  rows = []
  for i in real:
    overlap = {j: slow_tiou(segments[i], segments[j]) for j in real}

    def inside(a, b):  # of a in b
      shared = min(segments[a, 1], segments[b, 1]) - max(segments[a, 0], segments[b, 0])
      return shared >= 0.9 * length[a] and 1.15 <= length[b] / length[a] <= 3

    row = [d[i]]
    for threshold in (0.3, 0.5, 0.7):
      weights = {j: o for j, o in overlap.items() if o > threshold}
      row.append(d[i] - sum(o * d[j] for j, o in weights.items()) / sum(weights.values()))
    for group in ([j for j in real if inside(i, j)], [j for j in real if inside(j, i)]):
      row.append(d[i] - d[group].max() if group else 0.0)
      row.append(d[i] - d[group].mean() if group else 0.0)
    row.append(d[i] - max(d[j] for j, o in overlap.items() if o > 0.3))
    l = np.log(length[i])
    row += [d[real].mean(), best.mean(), l, l**2, *np.maximum(0, l - quantiles), top[i], entropy[i]]
    rows.append(row)
  return np.asarray(rows)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_numbers_equal_the_slow_loop(seed):
  d, top, entropy, segments, mask = video(seed)
  found = _numbers(d, top, entropy, segments, mask, Q)
  assert found.shape == (P, lib.NUM_NUMBERS) == (P, 21)
  np.testing.assert_allclose(found[:P - 3], slow_numbers(d, top, entropy, segments, mask),
                             atol=1e-4)
  assert not found[P - 3:].any()


def test_numbers_by_hand():
  # [0, 5] lies in [0, 10]; [0, 9] is neither long nor short enough for the whole.
  segments = jnp.asarray([[0.0, 10.0], [0.0, 5.0], [0.0, 9.0], [50.0, 60.0]])
  d = jnp.asarray([3.0, 1.0, 2.0, -1.0])
  q = np.asarray(_numbers(d, 0 * d, 0 * d, segments, jnp.ones(4, bool), jnp.zeros(6)))
  names = ["d", "mean .3", "mean .5", "mean .7", "max container", "mean container", "max content",
           "mean content", "max .3", "mean", "top"]
  whole = dict(zip(names, q[0], strict=False))
  np.testing.assert_allclose(whole["mean .7"], 3 - (3 + 0.9 * 2) / 1.9, rtol=1e-6)
  assert whole["max container"] == 0 and whole["max content"] == 2 and whole["max .3"] == 0
  part = dict(zip(names, q[1], strict=False))
  assert part["max container"] == -2 and part["mean container"] == -1.5  # both contain it
  assert part["max .3"] == -2 and part["mean"] == part["top"] == 1.25
  assert not q[3, 1:9].any()  # alone


def test_padding_changes_nothing():
  *values, mask = video(5)
  padded = [np.concatenate([v, np.full((6, *v.shape[1:]), np.nan, v.dtype)]) for v in values[:3]]
  padded.append(np.concatenate([values[3], np.zeros((6, 2), np.float32)]))
  found = _numbers(*padded, np.concatenate([mask, np.zeros(6, bool)]), Q)
  np.testing.assert_allclose(found[:P], _numbers(*values, mask, Q), atol=1e-5)
  assert not found[P:].any()


def test_quantiles_and_class_numbers():
  _, _, _, segments, mask = video(1)
  found = lib.duration_quantiles(jnp.asarray(segments)[None], jnp.asarray(mask)[None])
  l = np.log(segments[mask, 1] - segments[mask, 0])
  np.testing.assert_allclose(found, np.quantile(l, [0.05, 0.23, 0.41, 0.59, 0.77, 0.95]),
                             rtol=1e-4, atol=1e-5)
  assert not lib.duration_quantiles(jnp.zeros((1, 2, 2)), jnp.zeros((1, 2), bool)).any()
  top, entropy = lib.class_numbers(jnp.asarray([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
  np.testing.assert_allclose(top, [np.log(0.5), 0], atol=1e-6)
  np.testing.assert_allclose(entropy, [np.log(2), 0], atol=1e-6)
  np.testing.assert_allclose(lib.targets(jnp.asarray([0.0, 0.6, 0.75, 0.9, 1.0])),
                             [0, 0, 0.5, 1, 1], atol=1e-6)


def rows(seed, n=300):
  rng = np.random.default_rng(seed)
  q = rng.normal(size=(n, lib.NUM_NUMBERS)) * rng.uniform(0.1, 5, lib.NUM_NUMBERS) + 2
  first = (q[:, 0] - q[:, 0].mean()) / q[:, 0].std()
  target = np.clip(first - 0.5 + rng.normal(size=n), 0, 1)
  return q.astype(np.float32), target.astype(np.float32)


def test_fit_equals_scikit_learn():
  """Soft targets are two rows each, of weights t and 1 - t."""
  q, target = rows(0)
  found, loss = _fit(q, target, np.ones(len(q), bool), Q, USE, decay=0.01)
  x = (q - q.mean(0)) / q.std(0)
  oracle = LogisticRegression(C=1 / (2 * 0.01 * len(q)), tol=1e-9, max_iter=1000).fit(
      np.concatenate([x, x]), np.repeat([1, 0], len(q)),
      sample_weight=np.concatenate([target, 1 - target]))
  np.testing.assert_allclose(found.w, oracle.coef_[0], atol=2e-4)
  np.testing.assert_allclose(found.b, oracle.intercept_[0], atol=1e-3)
  z = np.asarray(lib.logits(found, jnp.asarray(q)))
  np.testing.assert_allclose(z, x @ oracle.coef_[0] + oracle.intercept_[0], atol=2e-3)
  entropy = np.logaddexp(0, z) - target * z
  np.testing.assert_allclose(loss, entropy.mean() + 0.01 * (oracle.coef_**2).sum(), rtol=1e-4)


def test_numbers_not_to_be_used_and_constant_ones_have_no_weight():
  q, target = rows(1)
  q[:, 3] = 7.0
  use = lib.wanted(("attention", "neighbours"))
  assert use.sum() == 9 and use[:9].all()
  found, _ = _fit(q, target, np.ones(len(q), bool), Q, use)
  assert not found.w[9:].any() and found.w[3] == 0 and found.w[0] != 0
  with pytest.raises(ValueError, match="no numbers colour"):
    lib.wanted(("attention", "colour"))


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_one_kind_of_target_ends(target):
  q, _ = rows(2)
  found, loss = _fit(q, np.full(len(q), target, np.float32), np.ones(len(q), bool), Q, USE)
  assert np.isfinite(loss) and np.isfinite(found.b) and (found.b > 0) == (target > 0)
  assert np.abs(found.w).max() < 0.1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 200))
def test_rows_masked_out_change_nothing(seed, real):
  q, target = rows(seed)
  mask = np.arange(len(q)) < real
  found, loss = _fit(q, target, mask, Q, USE)
  dirty = np.where(mask[:, None], q, np.nan)
  again, _ = _fit(dirty, np.where(mask, target, 9.0), mask, Q, USE)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, again)
  if not real:
    assert not found.w.any() and found.b == 0 and loss == pytest.approx(0)
