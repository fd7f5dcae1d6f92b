"""The benchmark's inputs, all from a seed: LAL's retraining problems and their videos.

Rows are mean-pooled features of the embedded simulation (tal_jax/data/simulated.py), 50 proposals a
video, one in seven of them positive (tIoU > 0.7, the paper, Sec. 3.1). How hard the SVM is depends
on their length: standardised rows have |x|^2 of about d, rows of unit length 1, and what counts is
C |x|^2. The data set's default is to standardise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tal_jax.data import assemble, simulated
from tal_jax.models import stage_wise
from tal_jax.pool import VideoPool, take

PROPOSALS = 50  # m: proposals a video
SETTINGS = stage_wise.Settings()


class Problem(NamedTuple):
  """A labelled set of n rows, and the rows of b candidates; float32, labels in {-1, +1}."""

  x: np.ndarray  # [n, d]
  y: np.ndarray  # [n]
  extra_x: np.ndarray  # [b, m, d]
  extra_y: np.ndarray  # [b, m]


class Pools(NamedTuple):
  """The same as videos, with others to measure on."""

  labeled: VideoPool  # n / m videos
  candidates: VideoPool  # b videos
  held_out: VideoPool


def pools(*, num_rows: int, dim: int, num_candidates: int, num_held_out: int = 1,
          normalize: str = "standardize", seed: int = 0) -> Pools:
  """Draws videos: n / 50 labelled, b candidates, and those held out.

  Args:
    num_rows: n, a multiple of 50.
    dim: d.
    num_candidates: b.
    num_held_out: videos to measure on.
    normalize: "standardize" or "l2", as in the configs' `data.normalize`.
    seed: of everything.
  """
  if num_rows % PROPOSALS:
    raise ValueError(f"num_rows = {num_rows} is no multiple of {PROPOSALS}, a video's rows")
  num_labeled = num_rows // PROPOSALS
  raw = simulated.load(
      seed=seed, num_knowledge_videos=1, num_selection_videos=num_labeled + num_candidates,
      num_testing_videos=num_held_out, frame_dim=dim, num_proposals=PROPOSALS)
  data = assemble.assemble(raw, name="benchmark", encoder="mean", normalize=normalize)
  order = np.random.default_rng(seed).permutation(num_labeled + num_candidates)
  return Pools(take(data.selection, order[:num_labeled]),
               take(data.selection, order[num_labeled:]), data.testing)


def problem(videos: Pools) -> Problem:
  """The attention module's training rows of the labelled videos and of the candidates."""
  y, _ = stage_wise.attention_labels(videos.labeled, SETTINGS)
  extra_y, _ = stage_wise.attention_labels(videos.candidates, SETTINGS)
  return Problem(videos.labeled.features.reshape(-1, videos.labeled.dim), np.asarray(y).ravel(),
                 videos.candidates.features, np.asarray(extra_y))
