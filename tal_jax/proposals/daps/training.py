"""Training of DAPs.

Notation: n windows of C chunks; K anchors a_j; truths t of a window; locations l_ij and confidence
logits z_ij of window i and anchor j, all locations as [centre, duration] / T.

    y_ij = 1 where some truth of window i has IoU > u with a_j
    L = alpha mean_ij,2 (y_ij (l_ij - g_ij)^2)
        + mean_ij (w y_ij softplus(-z_ij) + (1 - y_ij) softplus(z_ij))

minimised by Adagrad over batches, gradients cut to a global norm. DAPs' values are alpha = 0.01, a
learning rate of 1e-4, batches of 4,096 windows, 50 epochs, a norm of 25 and u = 0.5.

Gaps and departures, ours:
- the public code tiles y over [centre, duration] where it should repeat it, so that the loss of an
  anchor is switched by another anchor's label; here y_ij multiplies both numbers of anchor j;
- g_ij is the best overlapping truth (`regress_to="truth"`); "anchor" is the public code's, where
  locations stay at the anchors;
- w, the weight of a positive, is one number for all anchors: with one of its own per anchor,
  confidences of different anchors could not be compared, and their order ranks the proposals;
- parameters are those of the epoch with the lowest loss on the validation windows;
- against learning the training videos by heart, `dropout` blinds the network to a share of the
  dimensions of a window, the same in all its chunks; 0, the default, is DAPs';
- `input_gain` multiplies the chunks: Adagrad moves every weight by the same step, and the inputs
  of a unit vector are small. `final_params` puts it into the weights; 1, the default, is DAPs'.

Source: Escorcia et al., ECCV 2016, Sec. 3; the paper's Sec. 3.1 takes its proposals from there.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from tal_jax import segments as segments_lib
from tal_jax.proposals.daps import network as daps

REGRESS_TO = ("truth", "anchor")


class Windows(NamedTuple):
  """Training windows, in host memory."""

  chunks: np.ndarray  # [n, C, d] float32
  truths: np.ndarray  # [n, m, 2] float32 [centre, duration] / T, padded
  mask: np.ndarray  # [n, m] True where real


class Settings(NamedTuple):
  """Hyper-parameters."""

  alpha: float = 0.01
  learning_rate: float = 1e-4
  clip_norm: float = 25.0
  positive_weight: float = 1.0
  positive_tiou: float = 0.5
  regress_to: str = "truth"
  dropout: float = 0.0
  input_gain: float = 1.0


class TrainState(NamedTuple):
  """What changes from epoch to epoch."""

  params: daps.Params
  opt_state: optax.OptState
  epoch: int  # epochs done
  best_params: daps.Params
  best_loss: float  # on the validation windows
  history: np.ndarray  # [epoch, 2] float64: training and validation loss


def pad_truths(locations: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
  """Ragged locations, [m_i, 2] each, to (truths [n, m, 2] float32, mask [n, m]), m >= 1."""
  m = max(1, max(map(len, locations), default=1))
  truths, mask = np.zeros((len(locations), m, 2), np.float32), np.zeros((len(locations), m), bool)
  for i, some in enumerate(locations):
    truths[i, :len(some)], mask[i, :len(some)] = some, True
  return truths, mask


def targets(anchors: chex.Array, truths: chex.Array, mask: chex.Array, *,
            regress_to: str = "truth", positive_tiou: float = 0.5
            ) -> tuple[chex.Array, chex.Array]:
  """What the network should say in n windows.

  Args:
    anchors: [K, 2] [centre, duration] / T.
    truths: [n, m, 2], the same, m >= 1.
    mask: [n, m] True where real.
    regress_to: "truth" or "anchor".
    positive_tiou: u.

  Returns:
    positive [n, K] bool, goal [n, K, 2] (finite everywhere, meant where positive).
  """
  overlap = segments_lib.paired_tiou(_bounds(anchors)[None, :, None], _bounds(truths)[:, None])
  overlap = jnp.where(mask[:, None], overlap, -1.0)  # [n, K, m]
  positive = overlap.max(axis=-1) > positive_tiou
  if regress_to == "anchor":
    return positive, jnp.broadcast_to(anchors, (*positive.shape, 2))
  best = overlap.argmax(axis=-1)
  return positive, jnp.take_along_axis(truths, best[..., None], axis=1)


def losses(params: daps.Params, anchors: chex.Array, chunks: chex.Array, truths: chex.Array,
           mask: chex.Array, settings: Settings, key: chex.PRNGKey | None = None) -> chex.Array:
  """L of each window: [n]; with a key dropout is on."""
  positive, goal = targets(anchors, truths, mask, regress_to=settings.regress_to,
                           positive_tiou=settings.positive_tiou)
  gain = settings.input_gain
  if key is not None and settings.dropout > 0:
    kept = 1.0 - settings.dropout
    shape = (chunks.shape[0], 1, chunks.shape[2])
    gain = gain / kept * jax.random.bernoulli(key, kept, shape)
  locations, logits = daps.apply(params, chunks * gain)
  y = positive.astype(jnp.float32)
  match = ((locations - goal) ** 2 * y[..., None]).mean(axis=(1, 2))
  entropy = (settings.positive_weight * y * jax.nn.softplus(-logits)
             + (1 - y) * jax.nn.softplus(logits)).mean(axis=1)
  return settings.alpha * match + entropy


def optimizer(settings: Settings) -> optax.GradientTransformation:
  """Adagrad as the public code has it: accumulators from 0, 1e-6 under the root."""
  return optax.chain(optax.clip_by_global_norm(settings.clip_norm),
                     optax.adagrad(settings.learning_rate, initial_accumulator_value=0.0,
                                   eps=1e-6))


def start(key: chex.PRNGKey, anchors: np.ndarray, *, dim: int, width: int,
          settings: Settings) -> TrainState:
  """The state before the first epoch."""
  params = jax.tree.map(np.asarray, daps.initialize(key, dim=dim, width=width, anchors=anchors))
  return TrainState(params, jax.tree.map(np.asarray, optimizer(settings).init(params)), 0, params,
                    float("inf"), np.zeros((0, 2)))


@functools.partial(jax.jit, static_argnames="settings")
def train_step(key, params, opt_state, anchors, chunks, truths, mask, *, settings: Settings):
  """One step on one batch; returns (params, opt_state, mean loss before it)."""
  loss, grad = jax.value_and_grad(
      lambda p: losses(p, anchors, chunks, truths, mask, settings, key).mean())(params)
  updates, opt_state = optimizer(settings).update(grad, opt_state, params)
  return optax.apply_updates(params, updates), opt_state, loss


def run_epoch(key: chex.PRNGKey, state: TrainState, anchors: np.ndarray, training: Windows,
              validation: Windows, *, batch_size: int, settings: Settings) -> TrainState:
  """One pass over the training windows; fold_in(key, epoch) draws their order and the dropout.

  Batches have one size, so that one program is compiled; what is left over of the last one is
  skipped, other windows in each epoch. Fewer windows than `batch_size` make one batch.
  """
  n = len(training.chunks)
  size = min(batch_size, n)
  order_key, step_key = jax.random.split(jax.random.fold_in(key, state.epoch))
  order = np.asarray(jax.random.permutation(order_key, n))
  params, opt_state = jax.tree.map(jnp.asarray, (state.params, state.opt_state))
  seen = []
  for i in range(n // size):
    rows = np.sort(order[i * size:(i + 1) * size])
    params, opt_state, loss = train_step(
        jax.random.fold_in(step_key, i), params, opt_state, anchors,
        *(leaf[rows] for leaf in training), settings=settings)
    seen.append(loss)
  loss = mean_loss(params, anchors, validation, batch_size=size, settings=settings)
  params, opt_state = jax.tree.map(np.asarray, (params, opt_state))
  is_best = loss < state.best_loss
  return TrainState(
      params, opt_state, state.epoch + 1, params if is_best else state.best_params,
      loss if is_best else state.best_loss,
      np.append(state.history, [[float(np.mean(seen)), loss]], axis=0))


def mean_loss(params: daps.Params, anchors: np.ndarray, windows: Windows, *, batch_size: int,
              settings: Settings) -> float:
  """L over all windows, in padded batches of one size."""
  total, n = 0.0, len(windows.chunks)
  for begin in range(0, n, batch_size):
    block = [leaf[begin:begin + batch_size] for leaf in windows]
    size = len(block[0])
    block = [np.pad(x, [(0, batch_size - size)] + [(0, 0)] * (x.ndim - 1)) for x in block]
    total += float(np.asarray(_losses(params, anchors, *block, settings=settings))[:size].sum())
  return total / n


def final_params(state: TrainState, settings: Settings) -> daps.Params:
  """The best epoch's parameters, for chunks as they are: the gain is in the input weights."""
  params = dict(state.best_params)
  return params | {"w_in": np.asarray(params["w_in"]) * np.float32(settings.input_gain)}


_losses = functools.partial(jax.jit, static_argnames="settings")(losses)


def _bounds(location: chex.Array) -> chex.Array:
  half = 0.5 * location[..., 1]
  return jnp.stack([location[..., 0] - half, location[..., 0] + half], axis=-1)
