"""The interface of localisation models: what the learner, the metrics and selection know of one.

Notation: v videos, c classes; k segments per video that a model picks, n places in time at which it
gives a confidence (proposals, rows or points), e dimensions of an embedding.

    fit(key, pool, labeled, start=, memory=)  ->  (params, info, memory)
    detect(params, pool)                      ->  Detections
    confidences, picks, embed                 ->  what selection functions read

A model is a frozen dataclass of hyper-parameters: hashable, so that it can be static under jit. It
has no state. What a fit learned are its `params`, any pytree of arrays whose shapes depend on the
pool and the classes alone, so that a checkpoint can be restored; `memory` is what the next fit on
the same pool can save work with, or None. Where it, or a part of it, has arrays with an entry per
video, it is `PerVideo`: the padding of a pool differs between numbers of devices, and a checkpoint
holds none.

The stage-wise models are `attending.Attending` besides.

Source: the paper, Sec. 3.1 has one such model, the stage-wise one. The interface is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import chex

from tal_jax.pool import VideoPool

Params = Any  # a pytree of arrays


class Detections(NamedTuple):
  """Segments of each video, in one of two forms.

  Where `labels` is None every segment is scored for every class, and `scores` is [v, k, c];
  otherwise each segment is of one class, and `scores` is [v, k].
  """

  segments: chex.Array  # [v, k, 2] seconds
  scores: chex.Array  # [v, k, c] or [v, k], higher is surer, comparable within a class
  attention: chex.Array  # [v, k] confidence that there is an action, in [0, 1]
  mask: chex.Array  # [v, k] True where there is a segment
  # [v, k] ranks the segments over all videos, classes apart: the paper's decision values, or a
  # confidence after the decay of soft-NMS.
  decisions: chex.Array
  labels: chex.Array | None = None  # [v, k] int32 class index


class Confidences(NamedTuple):
  """How sure the model is of an action, at each of n places of a video."""

  values: chex.Array  # [v, n] in [0, 1]; 0 where padded
  mask: chex.Array  # [v, n]


class Picks(NamedTuple):
  """The segments that the model looks at most closely."""

  segments: chex.Array  # [v, k, 2] seconds
  confidence: chex.Array  # [v, k] in [0, 1]
  classes: chex.Array  # [v, k, c] probabilities, sum to 1
  embedding: chex.Array  # [v, k, e]
  mask: chex.Array  # [v, k]


class FitInfo(Protocol):
  """How a fit went."""

  @property
  def metrics(self) -> dict[str, float | bool | str]:
    """Numbers, no NaN, and names for the row of a learning curve."""


def statement(info: FitInfo) -> str:
  """What whoever runs the learner should be told of a fit; "" where there is nothing to tell."""
  return getattr(info, "statement", "")


class Localizer(Protocol):
  """A localisation model."""

  reads: tuple[str, ...]  # of `pool.PROPOSALS`, `pool.ROWS`: what its pools must have

  def init(self, pool: VideoPool, num_classes: int) -> Params:
    """The model before any label; gives the shapes of its parameters."""

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: Params,
          memory: Any) -> tuple[Params, FitInfo, Any]:
    """Trains on the labelled videos of a pool, whose truths are the oracle's answers.

    Args:
      key: of whatever is random in the training.
      pool: videos; the truths of those not labelled are not read.
      labeled: [v] bool.
      start: of `init` or of the last fit.
      memory: of `empty_memory` or of the last fit.
    """

  def empty_memory(self, pool: VideoPool) -> Any:
    """The memory before the first fit; None for a model that has none."""

  def detect(self, params: Params, pool: VideoPool) -> Detections:
    """Localises actions in every video of the pool."""

  def confidences(self, params: Params, pool: VideoPool, memory: Any) -> Confidences:
    """Of every video; `memory` is of the fit that gave the parameters, on this pool, or None."""

  def picks(self, params: Params, pool: VideoPool, memory: Any) -> Picks:
    """Of every video."""

  def embed(self, params: Params, pool: VideoPool) -> chex.Array:
    """A vector for each video: [v, e]."""


@runtime_checkable
class PerVideo(Protocol):
  """A memory, or a part of one, whose arrays have an entry per video of the pool."""

  def map_videos(self, fn: Callable[[chex.Array], chex.Array]) -> Any:
    """The same with `fn` applied to each such array; `fn` changes the number of entries."""
