"""Made-up temporal proposals with the recall of a real proposal method.

Notation: times are shares of the video's duration. The ceiling b of a truth is the best tIoU that
any proposal of its video reaches with it; recall at tIoU t is P(b >= t).

Fitted on the TAG proposals of ActivityNet 1.2's validation set (Zhao et al., ICCV 2017: 2,383
videos, 3,582 truths, on average 50.4 proposals a video, unranked), which stand in for the DAPs
proposals of the paper: the quantiles of b given the truth's length (short truths are found less
often), the lengths of proposals that miss, and, given the longest truth, the shares of a video's
proposals that overlap a truth by more than 0.7 and by 0.3 to 0.7.

The model, per video: draw b for every truth; place one proposal at exactly that overlap; scatter
others around the truths, and the rest anywhere; reject what would exceed a ceiling. So 32
proposals here have the recall that TAG has with its 50 (a random 32 of TAG's own would have less);
fewer are a random subset of 32, with less recall; more add misses, not recall.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tal_jax.host_segments import tiou_float64

LENGTH_EDGES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)  # of truths, as shares of the duration
LEVELS = tuple(np.linspace(0.0, 1.0, 11).tolist())
_FULL_RECALL_COUNT = 32
_MIN_LENGTH = 0.002


def draw_proposals(rng: np.random.Generator, truths: np.ndarray, duration: float, *,
                   num_proposals: int) -> np.ndarray:
  """Draws the proposals of one video, in random order.

  Args:
    rng: consumed.
    truths: [t, 2] seconds, t may be 0.
    duration: seconds.
    num_proposals: how many to return.

  Returns:
    [num_proposals, 2] float64 seconds, inside the video, longer than 0.
  """
  truths = np.clip(np.reshape(truths, (-1, 2)) / duration, 0.0, 1.0)
  truths = truths[truths[:, 1] > truths[:, 0]]
  total = max(num_proposals, _FULL_RECALL_COUNT)
  ceilings = _draw_ceilings(rng, truths)
  hits = np.concatenate([_at_overlap(rng, truths, ceilings), _near(rng, truths, ceilings, total)])
  hits = hits[hits[:, 1] - hits[:, 0] >= _MIN_LENGTH]
  order = np.concatenate([np.arange(min(len(truths), len(hits))),
                          rng.permutation(np.arange(len(truths), len(hits)))]).astype(int)
  hits = hits[order]
  if len(truths):
    over = tiou_float64(hits, truths)
    # A truth's own proposal may break the ceiling of a truth that overlaps it: keep it then.
    keep = (over <= ceilings + 1e-6).all(1) | (np.arange(len(hits)) < len(truths))
    hits = hits[keep][:total]
  misses = _misses(rng, truths, ceilings, total - len(hits))
  everything = rng.permutation(np.concatenate([hits, misses])[:total])
  return everything[:num_proposals] * duration


def _draw_ceilings(rng: np.random.Generator, truths: np.ndarray) -> np.ndarray:
  bins = np.searchsorted(LENGTH_EDGES, truths[:, 1] - truths[:, 0], side="right")
  u = rng.random(len(truths))
  return np.array([np.interp(x, LEVELS, CEILINGS[i]) for x, i in zip(u, bins, strict=True)])


def _at_overlap(rng: np.random.Generator, truths: np.ndarray, overlap: np.ndarray) -> np.ndarray:
  """[n, 2] segments, each of the given tIoU [n] with its truth [n, 2].

  Each moves its two ends by random shares, inwards, outwards or one each way; the step that
  gives the tIoU has a closed form. With x, y the relative moves of start and end (outwards
  positive), tIoU = (1 - inward moves) / (1 + outward moves). Where the video ends, the outward
  move is cut, and the tIoU comes out higher; the caller's ceiling test then refuses it, save for
  a truth's own proposal, which turns to inward moves instead.
  """
  length = (truths[:, 1] - truths[:, 0])[:, None]
  signs = rng.choice([-1.0, 1.0], size=(len(truths), 2))
  split = rng.random(len(truths))
  shares = np.stack([split, 1 - split], axis=1) * signs

  def move(shares):
    inward, outward = -np.minimum(shares, 0).sum(1), np.maximum(shares, 0).sum(1)
    step = (1 - overlap) / np.maximum(inward + overlap * outward, 1e-9)
    return truths + step[:, None] * shares * length * np.array([-1.0, 1.0])

  moved = move(shares)
  outside = (moved[:, 0] < 0) | (moved[:, 1] > 1)
  return np.where(outside[:, None], move(-np.abs(shares)), moved)


def _near(rng: np.random.Generator, truths: np.ndarray, ceilings: np.ndarray,
          total: int) -> np.ndarray:
  """Further proposals around the truths: some above tIoU 0.7, some in 0.3-0.7."""
  if not len(truths):
    return np.zeros((0, 2))
  longest = np.searchsorted(LENGTH_EDGES, np.max(truths[:, 1] - truths[:, 0]), side="right")
  good, partial = rng.binomial(total, (GOOD_SHARES[longest], PARTIAL_SHARES[longest]))
  # A truth that was not found at 0.7 has no good neighbours; those draws become partial.
  which = rng.integers(len(truths), size=good + partial)
  low = np.where(np.arange(good + partial) < good, 0.7, 0.3)
  high = np.where(np.arange(good + partial) < good, 1.0, 0.7)
  high = np.minimum(high, ceilings[which])
  low = np.where(high > low, low, np.minimum(0.3, high))
  return _at_overlap(rng, truths[which], np.maximum(rng.uniform(low, high), 0.02))


def _misses(rng: np.random.Generator, truths: np.ndarray, ceilings: np.ndarray,
            count: int) -> np.ndarray:
  """Proposals anywhere, tIoU at most 0.3 with any truth, or its ceiling if that is lower."""
  found = np.zeros((0, 2))
  shrink = 1.0
  while len(found) < count:
    u = rng.random((4 * count, 2))
    length = np.maximum(np.interp(u[:, 0], LEVELS, MISS_LENGTHS) * shrink, _MIN_LENGTH)
    start = u[:, 1] * (1 - length)
    drawn = np.stack([start, start + length], axis=1)
    if len(truths):
      drawn = drawn[(tiou_float64(drawn, truths) <= np.minimum(ceilings, 0.3)).all(1)]
    found = np.concatenate([found, drawn])
    shrink *= 0.5  # a ceiling near zero leaves room for short misses only
    if shrink < 1e-3:  # not even those: overlapping a truth this little is no hit
      return np.concatenate([found, np.stack([start, start + length], axis=1)])[:count]
  return found[:count]


def fit_proposals(videos: Iterable[tuple[np.ndarray, np.ndarray]]
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """Fits the committed numbers below.

  Args:
    videos: pairs of truths [t, 2] and proposals [p, 2], as shares of the duration; videos without
      either are skipped.

  Returns:
    CEILINGS [7, 11], MISS_LENGTHS [11], GOOD_SHARES [7], PARTIAL_SHARES [7]. The last three weigh
    every video the same.
  """
  lengths, best, longest, shares, missed, weights = [], [], [], [], [], []
  for truths, proposals in videos:
    if not len(truths) or not len(proposals):
      continue
    over = tiou_float64(proposals, truths)
    nearest = over.max(1)
    lengths += list(truths[:, 1] - truths[:, 0])
    best += list(over.max(0))
    longest.append(np.max(truths[:, 1] - truths[:, 0]))
    shares.append((np.mean(nearest > 0.7), np.mean((nearest > 0.3) & (nearest <= 0.7))))
    miss = proposals[nearest <= 0.3]
    missed += list(miss[:, 1] - miss[:, 0])
    weights += [1 / len(proposals)] * len(miss)
  bins = np.searchsorted(LENGTH_EDGES, lengths, side="right")
  ceilings = np.stack([np.quantile(np.asarray(best)[bins == i], LEVELS)
                       for i in range(len(LENGTH_EDGES) + 1)])
  order = np.argsort(missed)
  cumulative = np.cumsum(np.asarray(weights)[order]) / np.sum(weights)
  miss_lengths = np.interp(LEVELS, cumulative, np.asarray(missed)[order])
  bins = np.searchsorted(LENGTH_EDGES, longest, side="right")
  good, partial = np.stack([np.mean(np.asarray(shares)[bins == i], axis=0)
                            for i in range(len(LENGTH_EDGES) + 1)], axis=1)
  return ceilings, miss_lengths, good, partial


# fit_proposals on those TAG proposals, rounded; tests/data/simulation/test_proposals.py refits it.
CEILINGS = (  # [length bin, LEVELS] best tIoU
    (0, 0.013, 0.068, 0.167, 0.268, 0.345, 0.408, 0.477, 0.579, 0.701, 0.962),
    (0.045, 0.255, 0.371, 0.499, 0.56, 0.632, 0.692, 0.742, 0.8, 0.876, 0.969),
    (0, 0.384, 0.522, 0.62, 0.688, 0.741, 0.8, 0.842, 0.877, 0.923, 0.994),
    (0.162, 0.419, 0.555, 0.657, 0.734, 0.791, 0.834, 0.871, 0.905, 0.951, 1),
    (0.215, 0.469, 0.575, 0.632, 0.725, 0.781, 0.831, 0.88, 0.908, 0.943, 0.994),
    (0.423, 0.625, 0.699, 0.757, 0.814, 0.855, 0.886, 0.917, 0.943, 0.964, 0.998),
    (0.673, 0.875, 0.913, 0.933, 0.947, 0.959, 0.967, 0.974, 0.983, 0.992, 1),
)
MISS_LENGTHS = (0.001, 0.008, 0.013, 0.019, 0.027, 0.038, 0.053, 0.076, 0.114, 0.192, 1)
GOOD_SHARES = (0.002, 0.018, 0.063, 0.077, 0.073, 0.112, 0.164)  # [bin of the longest truth]
PARTIAL_SHARES = (0.017, 0.103, 0.195, 0.188, 0.247, 0.207, 0.116)
