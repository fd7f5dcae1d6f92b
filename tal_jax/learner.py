"""The active learner: the loop of the paper's Fig. 2 as a pure step over an immutable state.

    train f_t on L_t -> select from U_t -> ask the oracle -> L_{t+1}

Source: the paper, Sec. 3 and the protocol of Sec. 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices, oracles
from tal_jax.models import stage_wise
from tal_jax.models.attending import Attending
from tal_jax.models.localizer import Confidences, FitInfo, Localizer, Params, Picks
from tal_jax.models.stage_wise.localizer import StageWise
from tal_jax.pool import VideoPool, take, without_features
from tal_jax.sizes import bucket


@flax.struct.dataclass
class LearnerState:
  """All that is needed to go on. v videos in the pool, t truths per video.

  Where the pool is padded (`devices.place`), `labeled` is of the real videos, which come first.

  `annotations` is what the oracle answered, which need not be the pool's truths; it is zero where
  nothing was asked. `memory` could be made again from the rest, but not to the bit: with it a run
  that goes on from a checkpoint ends with the same numbers.
  """

  step: chex.Array  # [] int32
  key: chex.PRNGKey  # of the next step
  labeled: chex.Array  # [v] bool
  annotations: chex.Array  # [v, t, 2] float32 seconds
  annotation_mask: chex.Array  # [v, t] bool
  model: Params  # of the localisation model
  memory: Any  # of its last training; None for a model that has none
  localizer: Localizer = flax.struct.field(pytree_node=False, default=StageWise())


class StepInfo(NamedTuple):
  indices: np.ndarray  # [b] videos that were labelled in this step
  reached_tiou: float | None  # mean tIoU of the oracle's answers, None if it marked nothing
  fit: FitInfo


_TRAINING = 1  # random stream of a state's key

Annotate = Callable[[chex.Array, VideoPool], oracles.Answer]
# select(key, state, pool, *, batch_size) -> indices of unlabelled videos, best first.
SelectFn = Callable[..., chex.Array]


def simulated_oracle(key: chex.PRNGKey, *, noise: float = 0.0,
                     noise_sigma: float = 0.0) -> Annotate:
  """An oracle that answers from the pool's own truths: (indices, pool) -> Answer."""

  def annotate(indices: chex.Array, pool: VideoPool) -> oracles.Answer:
    asked = take(without_features(pool), indices)
    return oracles.answer(key, indices, asked.truths, asked.truth_mask, asked.durations,
                          noise=noise, noise_sigma=noise_sigma)

  return annotate


def init(key: chex.PRNGKey, pool: VideoPool, *, num_classes: int, num_videos: int | None = None,
         localizer: Localizer | None = None) -> LearnerState:
  """The learner before its first label.

  Args:
    num_videos: how many of the pool's videos are real; those after them are padding
      (`devices.place`), of which the learner knows nothing. Default: all.
    localizer: the localisation model; default: the paper's.
  """
  localizer = localizer or StageWise()
  return LearnerState(
      step=jnp.zeros((), jnp.int32), key=key,
      labeled=jnp.zeros(num_videos or pool.num_videos, bool),
      annotations=jnp.zeros_like(jnp.asarray(pool.truths)),
      annotation_mask=jnp.zeros_like(jnp.asarray(pool.truth_mask)),
      model=localizer.init(pool, num_classes), memory=localizer.empty_memory(pool),
      localizer=localizer)


def annotated_pool(state: LearnerState, pool: VideoPool, *,
                   num_videos: int | None = None) -> VideoPool:
  """The labelled videos with the oracle's answers as truths, padded to a size of a short series.

  Args:
    num_videos: the padded number; default: `sizes.bucket` of the number of labels.
  """
  count = int(state.labeled.sum())
  size = num_videos or bucket(count, most=state.labeled.shape[0])
  indices = jnp.nonzero(state.labeled, size=size, fill_value=0)[0]
  real = jnp.arange(size) < count
  chosen = take(pool, indices)
  return chosen._replace(
      truths=state.annotations[indices],
      truth_mask=state.annotation_mask[indices] & real[:, None],
      proposal_mask=chosen.proposal_mask & real[:, None])


def label(state: LearnerState, pool: VideoPool, indices: chex.Array,
          annotate: Annotate) -> tuple[LearnerState, oracles.Answer]:
  """Asks the oracle for `indices` and files its answers."""
  answer = annotate(indices, pool)
  return state.replace(
      labeled=state.labeled.at[indices].set(True),
      annotations=state.annotations.at[indices].set(answer.segments),
      annotation_mask=state.annotation_mask.at[indices].set(answer.mask)), answer


def train(state: LearnerState,
          pool: VideoPool) -> tuple[LearnerState, FitInfo]:
  """Retrains the model on all labels, from the last parameters."""
  labeled = jnp.pad(state.labeled, (0, pool.num_videos - state.labeled.shape[0]))
  annotated = pool._replace(truths=state.annotations, truth_mask=state.annotation_mask)
  # Folded in, not split off: what the selection functions draw does not depend on the model.
  model, info, memory = state.localizer.fit(
      jax.random.fold_in(state.key, _TRAINING), annotated, labeled, start=state.model,
      memory=state.memory)
  return state.replace(model=model, memory=memory), info


def confidences(state: LearnerState, pool: VideoPool) -> Confidences:
  """The model's confidence in an action at each place of every video."""
  return state.localizer.confidences(state.model, pool, state.memory)


def picks(state: LearnerState, pool: VideoPool) -> Picks:
  """The segments of every video that the model looks at most closely."""
  return state.localizer.picks(state.model, pool, state.memory)


def attention(state: LearnerState) -> stage_wise.Attention:
  """The attention of a stage-wise model; TypeError where the learner has another model."""
  return _attending(state).attention(state.model)


def attention_settings(state: LearnerState) -> stage_wise.Settings:
  """How that attention is trained, and picks; TypeError where the learner has another model."""
  return _attending(state).attention_settings


def decisions(state: LearnerState, pool: VideoPool) -> chex.Array:
  """That attention's value of every proposal: [v, p]; -inf where padded; TypeError as above."""
  return _attending(state).decisions(state.model, pool, state.memory)


def _attending(state: LearnerState) -> Attending:
  if not isinstance(state.localizer, Attending):
    raise TypeError(f"{type(state.localizer).__name__} has no attention, which this selection "
                    "function reads: the stage-wise models have one (StageWise, TwoStage)")
  return state.localizer


def at_random(key: chex.PRNGKey, state: LearnerState, pool: VideoPool, *,
              batch_size: int) -> chex.Array:
  """The first videos, as `start` takes them: any, in ascending order."""
  del pool
  return jnp.sort(jax.random.permutation(key, state.labeled.shape[0])[:batch_size])


def start(state: LearnerState, pool: VideoPool, *, num_initial: int, annotate: Annotate,
          select: SelectFn = at_random) -> tuple[LearnerState, StepInfo]:
  """The first training set: `num_initial` videos at random (Sec. 4.1: 10 %)."""
  key, k_initial = jax.random.split(state.key)
  indices = jnp.asarray(select(k_initial, state, pool, batch_size=num_initial))
  return _label_and_train(state.replace(key=key), pool, indices, annotate)


def step(state: LearnerState, pool: VideoPool, *, select: SelectFn, annotate: Annotate,
         batch_size: int) -> tuple[LearnerState, StepInfo]:
  """One round: select, annotate, retrain. Pure: the same state gives the same result.

  Args:
    select: a selection function, `selection.SELECTION[name](shared)`.
    annotate: the oracle.
    batch_size: videos per round; the last round takes what is left.
  """
  left = int((~state.labeled).sum())
  if left == 0:
    raise ValueError("every video of the pool is labelled: there is nothing to select")
  key, k_select = jax.random.split(state.key)
  indices = select(k_select, state, pool, batch_size=min(batch_size, left))
  return _label_and_train(state.replace(key=key, step=state.step + 1), pool,
                          jnp.asarray(indices), annotate)


def _label_and_train(state, pool, indices, annotate):
  state, answer = label(state, pool, indices, annotate)
  state, info = train(state, pool)
  marked = float(answer.mask.sum())
  reached = float(answer.reached.sum()) / marked if marked else None
  return state, StepInfo(devices.to_host(indices), reached, info)
