"""`Auto`: chooses among localisation models by a held-out cut of the labels.

A quarter of the labelled videos is held out, a trial of each candidate is trained on the others and
measured by its mAP on the cut, and the best candidate is then trained on all labels. A trial may be
less than the candidate: one network instead of three, say. With fewer than `fewest` labelled
videos such a cut says next to nothing: then it is the first candidate. The choice is made again
whenever the labels have doubled, and kept in between.

Testing is never looked at. Source: none of this is in the paper.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices
from tal_jax.metrics.detections import mean_ap, truth_of
from tal_jax.models.localizer import (
    Confidences,
    Detections,
    FitInfo,
    Localizer,
    Picks,
    statement,
)
from tal_jax.pool import VideoPool, take

_HELD_OUT = 0.25  # of the labelled videos


class AutoParams(NamedTuple):
  choice: chex.Array  # [] int32, index into the candidates
  chosen_with: chex.Array  # [] int32, labelled videos at the choice; 0 before any
  num_classes: chex.Array  # [] int32
  models: tuple[Any, ...]  # parameters of every candidate; those not chosen stay as they were


class AutoInfo(NamedTuple):
  name: str  # of the candidate in use
  held_out: dict[str, float]  # mAP on the cut, by candidate; empty where no choice was made
  fit: FitInfo
  reason: str = ""  # why no choice could be made, where it was time to

  @property
  def metrics(self) -> dict[str, float | bool | str]:
    return self.fit.metrics | {"model": self.name}

  @property
  def statement(self) -> str:
    own = f"auto: {self.name}, since {self.reason}" if self.reason else ""
    if self.held_out:
      scores = ", ".join(f"{name} {value:.3f}" for name, value in self.held_out.items())
      own = f"auto: mAP on held-out labels: {scores}: {self.name}"
    return "; ".join(filter(None, (own, statement(self.fit))))


@dataclasses.dataclass(frozen=True)
class Auto:
  """One of several models; `memory` is the tuple of theirs."""

  names: tuple[str, ...]
  candidates: tuple[Localizer, ...]
  fewest: int = 8  # labelled videos from which the cut decides
  trials: tuple[Localizer, ...] = ()  # what is trained to choose by; default: the candidates

  @property
  def reads(self) -> tuple[str, ...]:
    return tuple(dict.fromkeys(what for model in self.candidates for what in model.reads))

  def init(self, pool: VideoPool, num_classes: int) -> AutoParams:
    zero = jnp.zeros((), jnp.int32)
    return AutoParams(zero, zero, jnp.asarray(num_classes, jnp.int32),
                      tuple(model.init(pool, num_classes) for model in self.candidates))

  def empty_memory(self, pool: VideoPool) -> tuple[Any, ...]:
    return tuple(model.empty_memory(pool) for model in self.candidates)

  def fit(self, key: chex.PRNGKey, pool: VideoPool, labeled: chex.Array, *, start: AutoParams,
          memory: tuple[Any, ...]) -> tuple[AutoParams, AutoInfo, tuple[Any, ...]]:
    """Chooses where it is time to, and trains the chosen model on all labels."""
    k_cut, k_fit = jax.random.split(key)
    count = int(np.asarray(labeled).sum())
    choice, chosen_with, scores, reason = int(start.choice), int(start.chosen_with), {}, ""
    if count < self.fewest:
      reason = f"it takes {self.fewest} labelled videos to choose (now {count})"
    elif count >= 2 * chosen_with:
      scores = self._scores(k_cut, pool, np.asarray(labeled), int(start.num_classes))
      if scores:
        choice, chosen_with = self.names.index(max(scores, key=scores.get)), count
      else:
        reason = "no held-out label has an instance to choose by"
    params, info, kept = self.candidates[choice].fit(
        k_fit, pool, labeled, start=start.models[choice], memory=memory[choice])
    models, memory = list(start.models), list(memory)
    models[choice], memory[choice] = params, kept
    return (AutoParams(jnp.asarray(choice, jnp.int32), jnp.asarray(chosen_with, jnp.int32),
                       start.num_classes, tuple(models)),
            AutoInfo(self.names[choice], scores, info, reason), tuple(memory))

  def _scores(self, key: chex.PRNGKey, pool: VideoPool, labeled: np.ndarray,
              num_classes: int) -> dict[str, float]:
    """mAP of every candidate's trial on the held-out cut; empty where the cut has no truth."""
    videos = np.flatnonzero(labeled)
    order = videos[np.asarray(jax.random.permutation(key, len(videos)))]
    # The longest video gives the length of the crops, and with it the program that is compiled:
    # all labels shall need no other than a trial.
    longest = videos[np.argmax(devices.to_host(pool.durations)[videos])]
    cut = np.sort(order[order != longest][:max(1, round(_HELD_OUT * len(videos)))])
    held_out = take(pool, cut)
    truth = truth_of(held_out, num_classes=num_classes)
    if not len(truth.video):
      return {}
    rest = labeled.copy()
    rest[cut] = False
    found = {}
    trials = self.trials or self.candidates
    for i, (name, model) in enumerate(zip(self.names, trials, strict=True)):
      params, _, _ = model.fit(jax.random.fold_in(key, i), pool, rest,
                               start=model.init(pool, num_classes),
                               memory=model.empty_memory(pool))
      value = mean_ap(truth, model.detect(params, held_out)).average_map
      found[name] = value if np.isfinite(value) else 0.0  # of a training that went astray
    return found

  def detect(self, params: AutoParams, pool: VideoPool) -> Detections:
    return self._chosen(params).detect(params.models[int(params.choice)], pool)

  def confidences(self, params: AutoParams, pool: VideoPool, memory: Any) -> Confidences:
    i = int(params.choice)
    return self._chosen(params).confidences(params.models[i], pool, memory and memory[i])

  def picks(self, params: AutoParams, pool: VideoPool, memory: Any) -> Picks:
    i = int(params.choice)
    return self._chosen(params).picks(params.models[i], pool, memory and memory[i])

  def embed(self, params: AutoParams, pool: VideoPool) -> chex.Array:
    return self._chosen(params).embed(params.models[int(params.choice)], pool)

  def _chosen(self, params: AutoParams) -> Localizer:
    return self.candidates[int(params.choice)]
