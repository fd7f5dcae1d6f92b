"""`Point`: the point detector as a localisation model of the learner.

A few networks are trained from the labelled videos alone, in a few hundred steps each; a round that
follows another starts from their weights and takes fewer. Their parameters have the same shapes
whatever levels are in use.

How many steps is a rule that needs no held-out labels, which five labelled videos could not spare:

    from nothing    `steps`, whatever the number of labels
    a later round   `warm_steps` from the last weights, while `goes_on`; then from nothing again

`steps` = 400 was chosen on people held out of the training subsets, at a tenth of the labels, one
draw: 100 and 400 steps have an average mAP of .553 and .789 on HAPT, .421 and .577 on bedsensor.
800 were tried on HAPT with five clips: +.014 for twice the seconds. `warm_steps` = 100 was checked
on people held out of HAPT's training subset: .747, and .734 from nothing. That a training begins
again when the labelled videos have doubled was not measured.

Source: see the package; the sizes were chosen on HAPT, bedsensor and jaad with labels that a user
with few of them does not have (docs/results.md says what was looked at).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices
from tal_jax.models.localizer import Confidences, Detections, Picks
from tal_jax.models.networks import labeled_rows, training as row_training
from tal_jax.models.networks.labeled_rows import LabeledRows
from tal_jax.models.point import decoding as decoding_lib, levels as levels_lib, scoring
from tal_jax.models.point.levels import Levels
from tal_jax.models.point.network import Network
from tal_jax.models.point.training import Loss
from tal_jax.pool import ROWS, VideoPool

_FEW_OUTSIDE = 0.1  # share of the instances that the levels may miss without a word


class Settings(NamedTuple):
  """Hyper-parameters; hashable."""

  context: str = "conv"  # or "maxpool", "transformer"
  width: int = 64
  members: int = 3  # networks, trained from different keys, whose outputs are averaged
  steps: int = 400  # of a training from nothing, a multiple of row_training.CHUNK
  # Of a round that starts from the last one's weights, while it has less than twice the videos of
  # the last training from nothing; 0: always from nothing.
  warm_steps: int = 100
  longest_crop: int = 1024  # rows
  top_k: int = 10  # picks per video, for selection functions
  schedule: row_training.Schedule = row_training.Schedule()
  decoding: decoding_lib.Settings = decoding_lib.Settings()


class PointParams(NamedTuple):
  network: Any  # the average of the weights of each member: a leading axis
  levels: chex.Array  # [2] int32, of `Levels`
  begun_with: chex.Array  # [] int32, videos of the last training from nothing; 0 before any label


class PointInfo(NamedTuple):
  loss: float  # mean of the last steps, over the members
  num_steps: int
  levels: Levels
  outside: tuple[int, int] = (0, 0)  # labelled instances too short and too long for the levels
  num_instances: int = 0

  @property
  def metrics(self) -> dict[str, float | bool | str]:
    return {"loss": self.loss, "num_steps": self.num_steps, "finest_stride": self.levels.first,
            "coarsest_stride": self.levels.strides[-1]}

  @property
  def statement(self) -> str:
    """What to know of the instances' lengths, once more than a few do not fit the levels."""
    strides = self.levels.strides
    if sum(self.outside) <= _FEW_OUTSIDE * self.num_instances:
      return ""
    return (f"point: the levels are for instances of {4 * strides[0]} to {8 * strides[-1]} rows; "
            f"of {self.num_instances} labelled instances {self.outside[0]} are shorter and "
            f"{self.outside[1]} are longer: their bounds will be rough (features at another "
            "frame rate may help)")


@dataclasses.dataclass(frozen=True)
class Point:
  """The detector; `memory` is None."""

  settings: Settings = Settings()
  reads = (ROWS,)

  def init(self, pool: VideoPool, num_classes: int) -> PointParams:
    return _initial(jax.random.key(0), pool.rows.dim, num_classes, levels_lib.DEFAULT,
                    self.settings)

  def empty_memory(self, pool: VideoPool) -> None:
    del pool

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: PointParams,
          memory: None) -> tuple[PointParams, PointInfo, None]:
    """Trains on the labelled videos; without any row among them the model stays as it is."""
    del memory
    data = labeled_rows.of_pool(pool, np.asarray(labeled))
    params, info = fit(key, data, start=start, settings=self.settings)
    return params, info, None

  def detect(self, params: PointParams, pool: VideoPool) -> Detections:
    found = scoring.detect(params.network, pool.rows, devices.to_host(pool.durations),
                           network=_network(params, self.settings),
                           settings=self.settings.decoding)
    return Detections(found.segments, found.scores, found.scores, found.mask, found.scores,
                      found.labels)

  def confidences(self, params: PointParams, pool: VideoPool, memory: None) -> Confidences:
    """The surest class at each place of the first level's grid, whatever level says so."""
    seen = self._look(params, pool)
    return Confidences(seen.confidence, seen.confidence_mask)

  def picks(self, params: PointParams, pool: VideoPool, memory: None) -> Picks:
    """The segments of the surest points that do not overlap; their class head's features."""
    seen = self._look(params, pool)
    return Picks(seen.segments, seen.pick_confidence, seen.pick_classes, seen.pick_features,
                 seen.pick_mask)

  def embed(self, params: PointParams, pool: VideoPool) -> chex.Array:
    """The mean of the class heads' features over all points: [v, members * width]."""
    return self._look(params, pool).features

  def _look(self, params: PointParams, pool: VideoPool) -> scoring.Seen:
    return scoring.look(params.network, pool.rows, devices.to_host(pool.durations),
                        network=_network(params, self.settings), num_picks=self.settings.top_k)


@dataclasses.dataclass(frozen=True)
class Trial(Point):
  """The detector as `Auto` tries it: one network is trained, and stands for every member.

  Its parameters have `Point`'s shapes: both run in the same programs.
  """

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: PointParams,
          memory: None) -> tuple[PointParams, PointInfo, None]:
    del memory
    data = labeled_rows.of_pool(pool, np.asarray(labeled))
    params, info = fit(key, data, start=start, settings=self.settings, trained=1)
    return params, info, None


def fit(key: chex.PRNGKey, data: LabeledRows, *, start: PointParams, settings: Settings,
        trained: int | None = None) -> tuple[PointParams, PointInfo]:
  """Trains on the labelled rows, from `start` where its levels will do.

  Args:
    key: of the initial weights and of the crops.
    data: the labelled videos.
    start: the last round's parameters, or initial ones.
    settings: hyper-parameters.
    trained: how many of the members; the others become copies of these. Default: all.
  """
  trained = trained or settings.members
  counts, mask = np.asarray(data.count), np.asarray(data.mask)
  levels = Levels(*map(int, start.levels))
  if not counts.any():
    return start, PointInfo(0.0, 0, levels)
  truths = np.asarray(data.truths)[mask]
  lengths = truths[:, 1] - truths[:, 0]
  wanted = levels_lib.choose(lengths, longest_crop=settings.longest_crop)
  num_videos = int((counts > 0).sum())
  is_warm = goes_on(levels, int(start.begun_with), num_videos, wanted, settings)
  k_init, k_run = jax.random.split(key)
  if not is_warm:
    levels = wanted
    start = _initial(k_init, data.values.shape[1], num_classes(start), levels, settings)
  num = settings.warm_steps if is_warm else settings.steps
  network = _network(start, settings)
  length = labeled_rows.crop_length(counts, most=settings.longest_crop,
                                    multiple=scoring.multiple(network))
  runs = [row_training.plan(one, counts, num, settings.schedule, length=length)
          for one in jax.random.split(k_run, settings.members)[:trained]]
  begun = jax.tree.map(lambda leaf: leaf[:trained], start.network)
  progress, loss = row_training.run_many(
      jax.vmap(row_training.begin)(begun, jnp.zeros(trained)), data,
      jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs), loss_fn=Loss(network),
      length=length, schedule=settings.schedule)
  average = progress.average
  if trained < settings.members:
    copies = np.arange(settings.members) % trained
    average = jax.tree.map(lambda leaf: leaf[copies], average)
  begun_with = start.begun_with if is_warm else jnp.asarray(num_videos, jnp.int32)
  return (PointParams(average, start.levels, begun_with),
          PointInfo(float(loss.mean()), num, levels, levels_lib.outside(lengths, levels),
                    len(lengths)))


def goes_on(levels: Levels, begun_with: int, num_videos: int, wanted: Levels,
            settings: Settings) -> bool:
  """Whether a round takes `warm_steps` from the last weights; if not, `steps` from nothing.

  Args:
    levels: of the last weights.
    begun_with: labelled videos of the last training from nothing; 0 before the first.
    num_videos: labelled videos with rows now.
    wanted: the levels for the instances labelled now.
    settings: `warm_steps` = 0 never goes on.

  Returns:
    True while there are less than twice the videos of the last training from nothing, and the
    levels are as fine and as coarse as wanted.
  """
  return (settings.warm_steps > 0 and num_videos < 2 * begun_with
          and levels_lib.covers(levels, wanted))


def num_classes(params: PointParams) -> int:
  return params.network["classes"]["out"]["bias"].shape[-1]


def _network(params: PointParams, settings: Settings) -> Network:
  return Network(num_classes(params), Levels(*map(int, params.levels)), settings.width,
                 settings.context)


def _initial(key: chex.PRNGKey, dim: int, num_classes: int, levels: Levels,
             settings: Settings) -> PointParams:
  network = Network(num_classes, levels, settings.width, settings.context)
  return PointParams(_weights(jax.random.split(key, settings.members), dim, network),
                     jnp.array(levels, jnp.int32), jnp.zeros((), jnp.int32))


@functools.partial(jax.jit, static_argnames=("dim", "network"))
def _weights(keys, dim: int, network: Network):
  length = network.levels.strides[-1]
  x, mask = jnp.zeros((1, length, dim)), jnp.ones((1, length), bool)
  return jax.vmap(lambda key: network.init({"params": key}, x, mask)["params"])(keys)
