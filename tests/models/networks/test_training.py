"""Training on crops: the schedule by hand, AdamW against optax, runs side by side as alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tal_jax.models.networks import labeled_rows, training as lib
from tal_jax.models.networks.labeled_rows import NONE
from tal_jax.models.networks.training import CHUNK, Schedule
from tests import row_pools

LENGTH = 64
SCHEDULE = Schedule(batch_size=2)


def mean_square(params, key, batch, state):
  """A toy: tell dimension 0 from the others, with some noise instead of a dropout."""
  y = jnp.tanh(batch.x[..., 1:] @ params["kernel"]) @ params["out"] + params["bias"]
  y += 0.01 * jax.random.normal(key, y.shape)
  loss = jnp.sum(batch.mask * (y - batch.x[..., 0])**2) / batch.mask.sum()
  return loss, state + batch.mask.sum()


def initial(seed=0):
  rng = np.random.default_rng(seed)
  return {"kernel": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
          "out": jnp.asarray(rng.normal(size=4), jnp.float32), "bias": jnp.zeros(())}


@functools.cache
def data():
  pool = row_pools.make([(row_pools.noise(n), [[1, 5]], [0]) for n in (50, 20, 150)])
  return labeled_rows.of_pool(pool, np.ones(3, bool))


def steps_of(seed, num=2 * CHUNK, schedule=SCHEDULE):
  return lib.plan(jax.random.key(seed), np.asarray(data().count), num, schedule, length=LENGTH)


def run(seed, schedule=SCHEDULE, **options):
  return lib.run(lib.begin(initial(), jnp.zeros(())), data(), steps_of(seed, schedule=schedule),
                 loss_fn=mean_square, length=LENGTH, schedule=schedule, **options)


def test_learning_rates_by_hand():
  rates = lib.learning_rates(20, Schedule(learning_rate=2.0, warm_up=0.1))
  np.testing.assert_allclose(rates[:2], [1.0, 2.0])
  np.testing.assert_allclose(rates[10], 1 + np.cos(np.pi / 2), atol=1e-6)  # half the way
  assert abs(rates[-1]) < 1e-6 and (np.diff(rates[1:]) < 0).all()
  np.testing.assert_allclose(lib.learning_rates(2, Schedule(learning_rate=1.0)), [1, 0], atol=1e-6)


def test_a_plan():
  steps = steps_of(0)
  assert steps.videos.shape == (2 * CHUNK, 2) and steps.videos.dtype == np.int32
  assert len({tuple(row) for row in np.asarray(jax.random.key_data(steps.keys))}) == 2 * CHUNK
  found = np.bincount(np.asarray(steps.videos).ravel(), minlength=3)
  np.testing.assert_array_equal(found, [40, 40, 120])  # the third has three crops
  again, other = steps_of(0), steps_of(1)
  np.testing.assert_array_equal(steps.videos, again.videos)
  assert (np.asarray(steps.videos) != np.asarray(other.videos)).any()


def test_equals_a_loop_with_optax():
  """Kernels alone decay; the gradient is clipped; the average follows the parameters."""
  schedule = Schedule(batch_size=2, augmentation=NONE, clip_norm=0.5)
  progress, loss = run(0, schedule)
  steps = steps_of(0, schedule=schedule)
  chain = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(),
                      optax.add_decayed_weights(0.05, mask={"kernel": True, "out": False,
                                                            "bias": False}))

  @jax.jit
  def step(params, average, state, key, videos, rate):
    k_crops, k_loss = jax.random.split(key)
    batch = labeled_rows.crops(k_crops, data(), videos, jnp.zeros((LENGTH, data().values.shape[1])),
                               length=LENGTH, augmentation=NONE)
    loss, grad = jax.value_and_grad(lambda p: mean_square(p, k_loss, batch, 0.0)[0])(params)
    updates, state = chain.update(grad, state, params)
    params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
    average = jax.tree.map(lambda a, p: 0.99 * a + 0.01 * p, average, params)
    return params, average, state, loss

  params, average = initial(), initial()
  state, losses = chain.init(params), []
  for key, videos, rate in zip(steps.keys, steps.videos, steps.rates, strict=True):
    params, average, state, value = step(params, average, state, key, videos, rate)
    losses.append(value)
  for name in params:
    np.testing.assert_allclose(progress.params[name], params[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(progress.average[name], average[name], rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(loss, np.mean(losses[-CHUNK:]), rtol=1e-4)
  assert losses[-1] < losses[0]
  assert progress.loss_state == sum(
      np.minimum(np.asarray(data().count), LENGTH)[np.asarray(steps.videos)].ravel())


def test_the_same_key_gives_the_same_bytes():
  start = initial()
  first, second, other = run(0), run(0), run(1)
  for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
    np.testing.assert_array_equal(a, b)
  assert (np.asarray(first[0].params["kernel"]) != np.asarray(other[0].params["kernel"])).any()
  np.testing.assert_array_equal(start["kernel"], initial()["kernel"])  # nothing was given away


def test_runs_side_by_side_are_runs_alone():
  seeds = (0, 1, 2)
  alone = [run(seed) for seed in seeds]

  def stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

  begun = stacked([lib.begin(initial(), jnp.zeros(())) for _ in seeds])
  together = lib.run_many(begun, data(), stacked([steps_of(s) for s in seeds]),
                          loss_fn=mean_square, length=LENGTH, schedule=SCHEDULE)
  for a, b in zip(jax.tree.leaves(stacked(alone)), jax.tree.leaves(together), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_runs_of_any_length_share_a_program():
  run(0)
  before = lib._chunk._cache_size()
  for num in (CHUNK, 4 * CHUNK):
    lib.run(lib.begin(initial(1), jnp.zeros(())), data(), steps_of(5, num), loss_fn=mean_square,
            length=LENGTH, schedule=SCHEDULE)
  assert lib._chunk._cache_size() == before
