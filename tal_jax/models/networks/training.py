"""Training a network on random crops of the labelled rows: AdamW, and an average of the weights.

Notation: s steps, b crops a batch.

A training run is one compiled program of a fixed number of steps, called a few times over: cold and
warm runs of any length share it. `run` is one run, `run_many` several from different keys over the
same data.

Source: AdamW, Loshchilov and Hutter (ICLR 2019). The schedule (a tenth of warm-up, then half a
cosine) and the average of the weights are ActionFormer's kind; the numbers are ours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from tal_jax.models.networks import labeled_rows
from tal_jax.models.networks.labeled_rows import Augmentation, Batch, LabeledRows

CHUNK = 50  # steps of the compiled program

# (params, key of the dropout, batch, state) -> (loss, state); state is of the loss' own, or ().
LossFn = Callable[[Any, chex.PRNGKey, Batch, Any], tuple[chex.Array, Any]]


class Schedule(NamedTuple):
  """Hashable."""

  learning_rate: float = 2e-3
  weight_decay: float = 0.05  # of kernels
  warm_up: float = 0.1  # share of the steps
  clip_norm: float = 1.0
  average: float = 0.99  # of the weights, per step
  batch_size: int = 8
  augmentation: Augmentation = Augmentation()


class Progress(NamedTuple):
  """What goes from step to step."""

  params: Any
  average: Any  # of the parameters
  moments: optax.OptState
  loss_state: Any


class Steps(NamedTuple):
  """What is fixed before a run, per step."""

  keys: chex.Array  # [s] PRNG keys
  videos: chex.Array  # [s, b] int32
  rates: chex.Array  # [s] learning rates


def learning_rates(num: int, schedule: Schedule) -> np.ndarray:
  """[num] float32: linear warm-up, then half a cosine to 0."""
  step = np.arange(num) + 1.0
  warm = max(1.0, schedule.warm_up * num)
  fall = 0.5 * (1.0 + np.cos(np.pi * np.clip((step - warm) / max(num - warm, 1.0), 0.0, 1.0)))
  return (schedule.learning_rate * np.where(step < warm, step / warm, fall)).astype(np.float32)


def plan(key: chex.PRNGKey, counts: np.ndarray, num: int, schedule: Schedule, *,
         length: int) -> Steps:
  """A run of `num` steps, a multiple of CHUNK, over videos of these numbers of rows (host)."""
  k_order, k_steps = jax.random.split(key)
  rng = np.random.default_rng(np.asarray(jax.random.key_data(k_order)))
  order = labeled_rows.draw_order(rng, counts, num * schedule.batch_size, length=length)
  return Steps(jax.random.split(k_steps, num), jnp.asarray(order.reshape(num, -1)),
               jnp.asarray(learning_rates(num, schedule)))


def begin(params: Any, loss_state: Any) -> Progress:
  """Before the first step. Copies: a run gives its buffers away."""
  params, average = (jax.tree.map(jnp.array, params) for _ in range(2))
  return Progress(params, average, optax.scale_by_adam().init(params),
                  jax.tree.map(jnp.array, loss_state))


def run(progress: Progress, data: LabeledRows, steps: Steps, *, loss_fn: LossFn, length: int,
        schedule: Schedule) -> tuple[Progress, chex.Array]:
  """All steps of one run; returns the progress and the mean loss of its last chunk."""
  loss = None
  for i in range(0, steps.rates.shape[0], CHUNK):
    part = jax.tree.map(lambda leaf, i=i: leaf[i:i + CHUNK], steps)
    progress, loss = _chunk(progress, data, part, loss_fn=loss_fn, length=length,
                            schedule=schedule)
  return progress, loss


def run_many(progress: Progress, data: LabeledRows, steps: Steps, *, loss_fn: LossFn, length: int,
             schedule: Schedule, side_by_side: bool | None = None) -> tuple[Progress, chex.Array]:
  """`run` of r runs over the same data: all but `data` has a leading axis r, and so has the loss.

  Args:
    side_by_side: whether one program takes the steps of all runs. Default: on an accelerator. One
      run keeps a CPU busy, and runs that follow each other need no program of their own.
    progress, data, steps, loss_fn, length, schedule: as in `run`.
  """
  if side_by_side is None:
    side_by_side = jax.default_backend() != "cpu"
  if not side_by_side:
    runs = []
    for i in range(steps.rates.shape[0]):
      one, order = jax.tree.map(lambda leaf, i=i: leaf[i], (progress, steps))
      runs.append(run(one, data, order, loss_fn=loss_fn, length=length, schedule=schedule))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
  loss = None
  for i in range(0, steps.rates.shape[1], CHUNK):
    part = jax.tree.map(lambda leaf, i=i: leaf[:, i:i + CHUNK], steps)
    progress, loss = _chunk_many(progress, data, part, loss_fn=loss_fn, length=length,
                                 schedule=schedule)
  return progress, loss


def scan(progress: Progress, data: LabeledRows, steps: Steps, *, loss_fn: LossFn, length: int,
         schedule: Schedule) -> tuple[Progress, chex.Array]:
  """The steps one after the other; the mean of their losses. Not jitted."""
  adam = optax.scale_by_adam()
  # One long vector instead of many small arrays: a step of the optimiser is one pass.
  _, unflatten = jax.flatten_util.ravel_pytree(progress.params)
  decays = jax.tree_util.tree_map_with_path(
      lambda path, leaf: jnp.full(leaf.shape, path[-1].key == "kernel", leaf.dtype),
      progress.params)
  decay = schedule.weight_decay * jax.flatten_util.ravel_pytree(decays)[0]
  noise = labeled_rows.draw_noise(steps.keys[0], length, data.values.shape[1])
  k_crops, k_loss = jnp.moveaxis(jax.vmap(jax.random.split)(steps.keys), 1, 0)

  def draw(key, videos) -> Batch:
    return labeled_rows.crops(key, data, videos, noise, length=length,
                              augmentation=schedule.augmentation)

  def step(carry: tuple[Progress, Batch], this):
    (progress, batch), (k_loss, rate, *following) = carry, this
    (loss, loss_state), grad = jax.value_and_grad(
        lambda flat: loss_fn(unflatten(flat), k_loss, batch, progress.loss_state), has_aux=True)(
            progress.params)
    norm = jnp.sqrt((grad**2).sum())
    grad *= jnp.minimum(1.0, schedule.clip_norm / (norm + 1e-6))
    update, moments = adam.update(grad, progress.moments)
    params = progress.params - rate * (update + decay * progress.params)
    average = progress.average + (1.0 - schedule.average) * (params - progress.average)
    return (Progress(params, average, moments, loss_state), draw(*following)), loss

  def flattened(progress: Progress, through) -> Progress:
    moments = progress.moments._replace(mu=through(progress.moments.mu),
                                        nu=through(progress.moments.nu))
    return progress._replace(params=through(progress.params), average=through(progress.average),
                             moments=moments)

  progress = flattened(progress, lambda tree: jax.flatten_util.ravel_pytree(tree)[0])
  # A step draws the crops of the next one: what goes from step to step is an array. Inside a step
  # XLA's CPU backend would compute them again, value by value, wherever they are used.
  following = (jnp.roll(k_crops, -1, axis=0), jnp.roll(steps.videos, -1, axis=0))
  (progress, _), losses = jax.lax.scan(
      step, (progress, draw(k_crops[0], steps.videos[0])), (k_loss, steps.rates, *following))
  return flattened(progress, unflatten), losses.mean()


_STATIC = ("loss_fn", "length", "schedule")
_chunk = functools.partial(jax.jit, static_argnames=_STATIC, donate_argnums=0)(scan)


@functools.partial(jax.jit, static_argnames=_STATIC, donate_argnums=0)
def _chunk_many(progress, data, steps, *, loss_fn, length, schedule):
  return jax.vmap(functools.partial(scan, loss_fn=loss_fn, length=length, schedule=schedule),
                  in_axes=(0, None, 0))(progress, data, steps)
