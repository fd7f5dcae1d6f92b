"""Anchors of DAPs: where truths typically lie in a window.

Notation: a location is [centre, duration] / T of a truth in a window of T seconds; K anchors are
the centres of a k-means over the locations of all training windows.

A truth counts in a window if it lies in it whole: a cut one would teach anchors that no action
has. That rule is ours; the paper (Sec. 3.1, DAPs) does not say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tal_jax.errors import DataError

_INSIDE = 1e-6  # of T; rounding must not put a truth outside


def locations(truths: np.ndarray, windows: np.ndarray) -> list[np.ndarray]:
  """Locations of one video's truths in its windows.

  Args:
    truths: [t, 2] seconds; those with end <= start are left out.
    windows: [w, 2] seconds.

  Returns:
    Per window [m, 2] float64, the truths that lie in it whole.
  """
  truths = np.asarray(truths, np.float64).reshape(-1, 2)
  truths = truths[truths[:, 1] > truths[:, 0]]
  found = []
  for start, end in np.asarray(windows, np.float64):
    scaled = (truths - start) / (end - start)
    whole = (scaled[:, 0] >= -_INSIDE) & (scaled[:, 1] <= 1 + _INSIDE)
    scaled = np.clip(scaled[whole], 0.0, 1.0)
    found.append(np.stack([scaled.mean(axis=1), scaled[:, 1] - scaled[:, 0]], axis=1))
  return found


def fit(seen: Sequence[np.ndarray], *, num_anchors: int, seed: int) -> np.ndarray:
  """K-means of locations.

  Args:
    seen: per window [m, 2], see `locations`.
    num_anchors: K.
    seed: of the starts; the same seed gives the same anchors.

  Returns:
    [K, 2] float32, by duration, then by centre.

  Raises:
    DataError: fewer than K different locations.
  """
  from sklearn.cluster import KMeans

  points = np.concatenate([np.zeros((0, 2)), *seen])
  distinct = len(np.unique(points, axis=0))
  if not 1 <= num_anchors <= distinct:
    raise DataError(f"{num_anchors} anchors from {distinct} different truths in the training "
                    "windows: lower num_anchors, or train on more videos or longer windows")
  centres = KMeans(num_anchors, n_init=4, random_state=seed).fit(points).cluster_centers_
  return centres[np.lexsort(centres.T)].astype(np.float32)
