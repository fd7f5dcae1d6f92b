"""The Monte-Carlo procedure that makes LAL's training set from Knowledge-Source.

    for tau in the grid of labelled-set sizes:
      for q in 1..Q:                                  # a new random initialisation each time
        L = tau random videos; h = train(L); e = AP(h) on held-out videos
        for x in M random videos of the rest:         # batched: svm.retrain_with_one_extra
          emit (state(h), histogram of h over x) -> AP(train(L + x)) - e

Episodes run one after the other: the M retrained models of one are the batch that fills the
machine. An episode depends on nothing but its own key, so a generation that was killed goes on from
its file to the very same rows. (To start the solver from the episode before would tie them
together, and saves no Newton step: it has other videos.)

Source: the paper, Sec. 3.2, "we follow the Monte-Carlo procedure used in [40]" (Konyushkova et al.,
NIPS 2017, LALindependent). The paper does not give the grid, Q, M, the number of bins, nor how
Knowledge-Source is cut into training and held-out videos: all are arguments here.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import devices
from tal_jax.models import platt, stage_wise, svm
from tal_jax.pool import VideoPool, take
from tal_jax.selection import episode_file, gain, held_out as held_out_lib, lal_selector
from tal_jax.selection.held_out import HeldOut


class Episodes(NamedTuple):
  """LAL's rows, grouped by episode: e episodes (initialisations) of m extra videos each."""

  num_labeled: chex.Array  # [e] tau
  states: chex.Array  # [e, d + 1]
  samples: chex.Array  # [e, m, bins]
  gains: chex.Array  # [e, m] AP, the targets
  base_ap: chex.Array  # [e]
  converged: chex.Array  # [e] all m retrained SVMs met their tolerance


_DTYPES = Episodes(np.int32, np.float32, np.float32, np.float32, np.float32, np.bool_)


def episode(key: chex.PRNGKey, pool: VideoPool, train: np.ndarray, held_out: HeldOut,
            settings: stage_wise.Settings, *, num_labeled: int, num_extra: int,
            num_bins: int) -> Episodes:
  """One initialisation and all its extra videos; called from the host, as `one_step_gains` is.

  What is compiled depends on the sizes: each tau of the grid has its programs. Padding them all
  to the largest would compile once, but the cost is linear in tau.

  Args:
    key: of the draw of videos.
    pool: Knowledge-Source; its features may be a file.
    train: indices of the videos that labelled and extra ones are drawn from, without replacement.
    held_out: where AP is measured, of `held_out.prepare`.
    settings: hyper-parameters of the attention module.
    num_labeled: tau.
    num_extra: M; num_labeled + num_extra videos are needed.
    num_bins: of the histogram.

  Returns:
    `Episodes` without their leading axis.
  """
  order = train[np.asarray(jax.random.permutation(key, len(train)))]
  labeled, extra = (_on_device(take(pool, indices)) for indices in (
      order[:num_labeled], order[num_labeled:num_labeled + num_extra]))
  start = svm.SvmParams(jnp.zeros(pool.dim), jnp.zeros(()))
  step = gain.one_step_gains(labeled, extra, held_out, settings, start)
  return Episodes(
      num_labeled=num_labeled, states=lal_selector.describe_state(step.base),
      samples=_histograms(step.base, labeled, extra, settings, num_bins), gains=step.gains,
      base_ap=step.base_ap, converged=step.info.converged.all())


def _on_device(pool: VideoPool) -> VideoPool:
  return jax.tree.map(jnp.asarray, pool)


@functools.partial(jax.jit, static_argnames=("settings", "num_bins"))
def _histograms(params, labeled, extra, settings, num_bins):
  y, _ = stage_wise.attention_labels(labeled, settings)
  calibration = platt.fit(svm.decision(params, labeled.features).ravel(), y.ravel(),
                          labeled.proposal_mask.ravel())
  return lal_selector.describe_samples(params, calibration, extra, num_bins=num_bins)


def cut(key: chex.PRNGKey, num_videos: int,
        held_out_ratio: float) -> tuple[np.ndarray, np.ndarray]:
  """The indices of the videos to train on and of the held-out ones, at random."""
  order = np.asarray(jax.random.permutation(key, num_videos))
  num_held_out = round(held_out_ratio * num_videos)
  return order[num_held_out:], order[:num_held_out]


def generate(key: chex.PRNGKey, knowledge_source: VideoPool, settings: stage_wise.Settings, *,
             labeled_sizes: Sequence[int], episodes_per_size: int, extras_per_episode: int,
             num_bins: int, held_out_ratio: float = 0.5, file: pathlib.Path | None = None,
             progress: Callable[[int, int], None] | None = None) -> Episodes:
  """Runs the whole procedure, or what is left of it.

  Args:
    key: of all draws.
    knowledge_source: labelled videos.
    settings: of the attention module.
    labeled_sizes: the grid of tau.
    episodes_per_size: Q.
    extras_per_episode: M.
    num_bins: of the histogram.
    held_out_ratio: share of the videos on which AP is measured.
    file: where episodes are written as they come, and read if they are there (`episode_file`).
    progress: called with (episodes done, episodes in all).

  Raises:
    ValueError: too few videos for the grid.
    DataError: the file holds episodes of something else.
  """
  num_videos = knowledge_source.num_videos
  num_held_out = round(held_out_ratio * num_videos)
  needed = max(labeled_sizes) + extras_per_episode
  if needed > num_videos - num_held_out or not num_held_out:
    raise ValueError(
        f"LAL needs {max(labeled_sizes)} + {extras_per_episode} videos to draw from and some to "
        f"measure on; Knowledge-Source gives {num_videos - num_held_out} and {num_held_out}. Lower "
        "lal.labeled_sizes or lal.extras_per_episode, or change lal.held_out_ratio.")
  rows = [] if file is None else [_decode(row) for row in devices.from_writer(
      lambda: episode_file.open_rows(file, episode_file.describe(
          key, knowledge_source, settings, labeled_sizes=tuple(labeled_sizes),
          episodes_per_size=episodes_per_size, extras_per_episode=extras_per_episode,
          num_bins=num_bins, held_out_ratio=held_out_ratio)))]
  sizes = np.repeat(np.asarray(labeled_sizes, np.int32), episodes_per_size).tolist()
  if len(rows) < len(sizes):
    k_cut, key = jax.random.split(key)
    keys = jax.random.split(key, len(sizes))
    train, measure = cut(k_cut, num_videos, held_out_ratio)
    held_out = devices.replicate(
        held_out_lib.prepare(_on_device(take(knowledge_source, measure)), settings))
  for i in range(len(rows), len(sizes)):
    row = devices.to_host(episode(
        keys[i], knowledge_source, train, held_out, settings, num_labeled=sizes[i],
        num_extra=extras_per_episode, num_bins=num_bins))
    if file is not None and devices.is_writer():
      episode_file.append(file, _encode(row))
    rows.append(row)
    if progress:
      progress(i + 1, len(sizes))
  return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def _encode(row: Episodes) -> dict[str, Any]:
  return {name: leaf.tolist() for name, leaf in row._asdict().items()}


def _decode(row: dict[str, Any]) -> Episodes:
  return Episodes(*(np.asarray(row[name], dtype)
                    for name, dtype in _DTYPES._asdict().items()))
