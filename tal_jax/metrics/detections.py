"""A model's detections against the truths: the metric, whatever form the detections have."""

from __future__ import annotations

import numpy as np

from tal_jax import devices
from tal_jax.data.records import GroundTruth, Predictions
from tal_jax.metrics.average_precision import MeanAP, detection_map
from tal_jax.metrics.dense_map import dense_detection_map
from tal_jax.models.localizer import Detections
from tal_jax.pool import VideoPool


def mean_ap(truth: GroundTruth, detections: Detections) -> MeanAP:
  """ActivityNet's detection metric (the paper, Sec. 4.1)."""
  detections = devices.to_host(detections)
  if detections.labels is None:
    return dense_detection_map(truth, detections.segments, detections.scores, detections.mask)
  return detection_map(truth, to_predictions(detections))


def to_predictions(detections: Detections) -> Predictions:
  """Every kept segment with each of its classes, as the official format lists them."""
  detections = devices.to_host(detections)
  scores, kept = detections.scores, detections.mask
  video, rank = np.nonzero(kept)
  segments = np.asarray(detections.segments, np.float64)[video, rank]
  if detections.labels is not None:
    return Predictions(video, detections.labels[video, rank], segments,
                       scores[video, rank].astype(np.float64))
  num_classes = scores.shape[-1]
  return Predictions(
      video=np.repeat(video, num_classes), label=np.tile(np.arange(num_classes), len(video)),
      segments=np.repeat(segments, num_classes, axis=0),
      scores=scores[video, rank].astype(np.float64).ravel())


def truth_of(pool: VideoPool, *, num_classes: int) -> GroundTruth:
  """The truths of a pool, whose times are float32; `GroundTruth.video` indexes its videos."""
  mask = np.asarray(pool.truth_mask)
  video, slot = np.nonzero(mask)
  return GroundTruth(video, np.asarray(pool.truth_labels)[video, slot],
                     np.asarray(pool.truths, np.float64)[video, slot], num_classes)
