"""From a video's features to DAPs proposals: windows, network, NMS.

Shapes are fixed so that few programs are compiled: windows go through the network in blocks of
one size, and the segments of a video are padded to a power of two for the suppression.

Soft NMS: instead of dropping what overlaps the best segment left, its score is multiplied by
exp(-tIoU^2 / sigma), again for every segment that is taken. Where proposals are counted, that puts
second thoughts about one action behind other actions without losing them.

Source: escorciav/daps (stride of 64 frames, NMS 0.7); Bodla et al., ICCV 2017 for soft NMS. Two
choices are ours: a segment is clipped to the video (there, to nothing), and times stay real numbers
(there, they are rounded to frames).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tal_jax import segments as segments_lib
from tal_jax.data.records import FrameFeatures, ScoredProposals
from tal_jax.errors import DataError
from tal_jax.proposals.daps import network as daps, windows as daps_windows
from tal_jax.proposals.daps.weights import DapsModel

_BLOCK = 32  # windows that go through the network together


@jax.jit
def forward(params: daps.Params, chunks: jax.Array, windows: jax.Array
            ) -> tuple[jax.Array, jax.Array]:
  """[n, C, d], [n, 2] seconds -> segments [n, K, 2] seconds, confidences [n, K] in (0, 1)."""
  locations, logits = daps.apply(params, chunks)
  return daps.segments_of(locations, windows), jax.nn.sigmoid(logits)


def propose(model: DapsModel, features: FrameFeatures, duration: float, *, video_id: str = "",
            stride: float = 0.125, row_step: int = 1, cover_end: bool = True,
            nms_threshold: float = 0.7, soft_nms_sigma: float = 0.0, num_proposals: int = 200
            ) -> ScoredProposals:
  """Proposals of one video, best first.

  Args:
    model: the network and its receptive fields.
    features: of the video; rows with NaN are left out.
    duration: seconds.
    video_id: for messages.
    stride, cover_end: of the windows, see `windows.windows`.
    row_step: takes every `row_step`-th row only.
    nms_threshold: tIoU.
    soft_nms_sigma: above 0, soft NMS is done in place of NMS.
    num_proposals: keeps at most so many.

  Returns:
    Segments in the video; the scores are the confidences, with soft NMS the lowered ones.

  Raises:
    DataError: features of another width than the network's, or without a usable row.
  """
  if features.values.ndim != 2 or features.values.shape[1] != model.dim:
    raise DataError(f"{video_id}: features of shape {features.values.shape}, but the network was "
                    f"trained on features of width {model.dim}")
  rows, index = daps_windows.usable_rows(features, video_id, row_step=row_step)
  rows = daps_windows.standardise(rows, model.mean, model.scale)
  spans = daps_windows.windows(duration, model.receptive_fields, stride=stride,
                               cover_end=cover_end)
  found, scores = [], []
  for begin in range(0, len(spans), _BLOCK):
    block = spans[begin:begin + _BLOCK]
    pad = [(0, _BLOCK - len(block)), (0, 0)]
    pooled = daps_windows.chunks(rows, index, features.grid, block, num_chunks=model.num_chunks)
    some, sure = forward(model.params, np.pad(pooled, [*pad, (0, 0)]),
                         np.pad(block, pad).astype(np.float32))
    found.append(np.asarray(some)[:len(block)].reshape(-1, 2))
    scores.append(np.asarray(sure)[:len(block)].reshape(-1))
  return suppress(np.concatenate(found), np.concatenate(scores), duration,
                  threshold=nms_threshold, sigma=soft_nms_sigma, limit=num_proposals)


def suppress(found: np.ndarray, scores: np.ndarray, duration: float, *, threshold: float,
             limit: int, sigma: float = 0.0) -> ScoredProposals:
  """Clips segments [n, 2] to the video and keeps at most `limit`, best first.

  By greedy NMS at the threshold, or where sigma > 0 by soft NMS. Scores are positive. Segments of
  which less than a microsecond is left inside the video are dropped.
  """
  clipped = np.clip(np.asarray(found, np.float64), 0.0, duration)
  real = clipped[:, 1] - clipped[:, 0] > 1e-6
  size = max(16, 1 << (len(scores) - 1).bit_length())
  pad = size - len(scores)
  clipped_padded = np.pad(clipped, [(0, pad), (0, 0)]).astype(np.float32)
  scores = np.pad(np.asarray(scores, np.float32), (0, pad))
  mask, k = np.pad(real, (0, pad)), min(limit, size)
  if sigma > 0:
    chosen, kept, final = soft_nms(clipped_padded, scores, mask, sigma, k=k)
  else:
    chosen, kept = _nms(clipped_padded, scores, mask, threshold, k=k)
    final = scores[np.asarray(chosen)]
  kept = np.asarray(kept)
  return ScoredProposals(clipped[np.asarray(chosen)[kept]],
                         np.asarray(final, np.float64)[kept])


@functools.partial(jax.jit, static_argnames="k")
def soft_nms(segments: jax.Array, scores: jax.Array, mask: jax.Array, sigma: float, *,
             k: int) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Soft NMS that stops after k segments; ties go to the lower index.

  Args:
    segments: [n, 2] seconds.
    scores: [n] positive.
    mask: [n] True where real.
    sigma: of the penalty exp(-tIoU^2 / sigma).
    k: how many to keep at most.

  Returns:
    indices [k] best first, kept [k] False where nothing was left, scores [k] when taken.
  """
  def pick(scores, _):
    i = jnp.argmax(scores)
    score = scores[i]
    overlap = segments_lib.paired_tiou(segments, segments[i])
    lowered = jnp.where(scores > -jnp.inf, scores * jnp.exp(-overlap**2 / sigma), -jnp.inf)
    return lowered.at[i].set(-jnp.inf), (i.astype(jnp.int32), score > -jnp.inf, score)

  _, taken = jax.lax.scan(pick, jnp.where(mask, scores, -jnp.inf), None, length=k)
  return taken


@functools.partial(jax.jit, static_argnames="k")
def _nms(segments, scores, mask, threshold, *, k):
  return segments_lib.nms(jnp.asarray(segments), jnp.asarray(scores), mask, k=k,
                          threshold=threshold)
