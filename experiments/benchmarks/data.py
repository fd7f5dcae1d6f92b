"""The benchmark's inputs, all from a seed: LAL's retraining problems and their videos.

Most rows are mean-pooled features of the embedded simulation (tal_jax/data/simulation), 50
proposals a video, one in seven of them positive (tIoU > 0.7, the paper, Sec. 3.1). How hard the SVM
is depends on their length: standardised rows have |x|^2 of about d, rows of unit length 1, and what
counts is C |x|^2. The data set's default is to standardise.

With 20,000 such rows of 64 dimensions the best hinge says "no action" to all: w = 0, b = -1, which
LinearSVC finds in eight passes over the rows. `two_classes` is as large and has a w to be found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import make_classification

from tal_jax.data import assemble
from tal_jax.data.simulation import data_set as simulated
from tal_jax.models import stage_wise
from tal_jax.pool import VideoPool, take

PROPOSALS = 50  # m: proposals a video
SETTINGS = stage_wise.Settings(nms_threshold=1.0, svm_c=1.0, classifier_max_iters=100)


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


def two_classes(*, num_rows: int, dim: int, num_candidates: int, seed: int = 0) -> Problem:
  """Rows of unit length of two overlapping classes, equally many of each.

  Args:
    num_rows: n.
    dim: d; a quarter of the dimensions tell of the class, as many repeat them.
    num_candidates: b, of `PROPOSALS` rows each.
    seed: of everything.
  """
  shape = (num_candidates, PROPOSALS)
  x, y = make_classification(
      num_rows + num_candidates * PROPOSALS, dim, n_informative=dim // 4, n_redundant=dim // 4,
      class_sep=0.7, flip_y=0.02, random_state=seed)
  x = (x - x.mean(0)) / x.std(0)
  x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
  y = np.where(y, 1.0, -1.0).astype(np.float32)
  return Problem(x[:num_rows], y[:num_rows], x[num_rows:].reshape(*shape, dim),
                 y[num_rows:].reshape(shape))
