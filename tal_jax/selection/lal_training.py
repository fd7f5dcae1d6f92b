"""The Monte-Carlo procedure that makes LAL's training set from Knowledge-Source.

    for tau in the grid of labelled-set sizes:
      for q in 1..Q:                                  # a new random initialisation each time
        L = tau random videos; h = train(L); e = AP(h) on held-out videos
        for x in M random videos of the rest:         # batched: svm.retrain_with_one_extra
          emit (state(h), histogram of h over x) -> AP(train(L + x)) - e

Source: the paper, Sec. 3.2, "we follow the Monte-Carlo procedure used in [40]" (Konyushkova et al.,
NIPS 2017, LALindependent). The paper does not give the grid, Q, M, the number of bins, nor how
Knowledge-Source is cut into training and held-out videos: all are arguments here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tal_jax.models import stage_wise, svm
from tal_jax.pool import VideoPool, take
from tal_jax.selection import gain, lal


class Episodes(NamedTuple):
  """LAL's rows, grouped by episode: e episodes (initialisations) of m extra videos each."""

  num_labeled: chex.Array  # [e] tau
  states: chex.Array  # [e, d + 1]
  samples: chex.Array  # [e, m, bins]
  gains: chex.Array  # [e, m] AP, the targets
  base_ap: chex.Array  # [e]
  converged: chex.Array  # [e] all m retrained SVMs met their tolerance


def episode(key: chex.PRNGKey, num_labeled: chex.Array, videos: VideoPool, held_out: VideoPool,
            settings: stage_wise.Settings, *, max_labeled: int, num_extra: int,
            num_bins: int) -> Episodes:
  """One initialisation and all its extra videos; vmap over `key` and `num_labeled` for many.

  The labelled set is padded to `max_labeled`, so that one program serves the whole grid of tau.

  Args:
    key: of the draw of videos.
    num_labeled: [] tau.
    videos: where labelled and extra videos are drawn from, without replacement.
    held_out: where AP is measured.
    settings: hyper-parameters of the attention module.
    max_labeled: the largest tau.
    num_extra: M; max_labeled + num_extra videos are needed.
    num_bins: of the histogram.
  """
  order = jax.random.permutation(key, videos.num_videos)
  labeled = take(videos, order[:max_labeled])
  real = jnp.arange(max_labeled) < num_labeled
  labeled = labeled._replace(proposal_mask=labeled.proposal_mask & real[:, None],
                             truth_mask=labeled.truth_mask & real[:, None])
  extra = take(videos, order[max_labeled:max_labeled + num_extra])
  start = svm.SvmParams(jnp.zeros(videos.dim), jnp.zeros(()))
  base, calibration, _, _ = stage_wise.fit_attention(labeled, settings, start)
  gains, base_ap, info = gain.one_step_gains(labeled, extra, held_out, settings, base)
  return Episodes(
      num_labeled=num_labeled, states=lal.describe_state(base),
      samples=lal.describe_samples(base, calibration, extra, num_bins=num_bins), gains=gains,
      base_ap=base_ap, converged=info.converged.all())


@functools.partial(jax.jit, static_argnames=(
    "settings", "max_labeled", "num_extra", "num_bins"))
def _episodes(keys, num_labeled, videos, held_out, settings, max_labeled, num_extra, num_bins):
  return jax.vmap(lambda key, tau: episode(
      key, tau, videos, held_out, settings, max_labeled=max_labeled, num_extra=num_extra,
      num_bins=num_bins))(keys, num_labeled)


def cut(key: chex.PRNGKey, knowledge_source: VideoPool,
        held_out_ratio: float) -> tuple[VideoPool, VideoPool]:
  """Knowledge-Source cut at random into videos to train on and held-out ones."""
  order = jax.random.permutation(key, knowledge_source.num_videos)
  num_held_out = round(held_out_ratio * knowledge_source.num_videos)
  return (take(knowledge_source, order[num_held_out:]),
          take(knowledge_source, order[:num_held_out]))


def generate(key: chex.PRNGKey, knowledge_source: VideoPool, settings: stage_wise.Settings, *,
             labeled_sizes: Sequence[int], episodes_per_size: int, extras_per_episode: int,
             num_bins: int, held_out_ratio: float = 0.5, vmap_size: int = 1,
             progress: Callable[[int, int], None] | None = None) -> Episodes:
  """Runs the whole procedure.

  Args:
    key: of all draws.
    knowledge_source: labelled videos.
    settings: of the attention module.
    labeled_sizes: the grid of tau.
    episodes_per_size: Q.
    extras_per_episode: M.
    num_bins: of the histogram.
    held_out_ratio: share of the videos on which AP is measured.
    vmap_size: episodes computed at once.
    progress: called with (episodes done, episodes in all).

  Raises:
    ValueError: too few videos for the grid.
  """
  k_cut, key = jax.random.split(key)
  videos, held_out = cut(k_cut, knowledge_source, held_out_ratio)
  needed = max(labeled_sizes) + extras_per_episode
  if needed > videos.num_videos or not held_out.num_videos:
    raise ValueError(
        f"LAL needs {max(labeled_sizes)} + {extras_per_episode} videos to draw from and some to "
        f"measure on; Knowledge-Source gives {videos.num_videos} and {held_out.num_videos}. Lower "
        "lal.labeled_sizes or lal.extras_per_episode, or change lal.held_out_ratio.")
  total = len(labeled_sizes) * episodes_per_size
  keys = jax.random.split(key, total)
  sizes = np.repeat(np.asarray(labeled_sizes, np.int32), episodes_per_size)
  parts = []
  for low in range(0, total, vmap_size):
    chunk = np.minimum(np.arange(low, low + vmap_size), total - 1)  # repeats fill the last one
    rows = _episodes(keys[chunk], sizes[chunk], videos, held_out, settings,
                     max(labeled_sizes), extras_per_episode, num_bins)
    real = min(vmap_size, total - low)
    parts.append(jax.tree.map(lambda leaf, real=real: np.asarray(leaf)[:real], rows))
    if progress:
      progress(low + real, total)
  return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
