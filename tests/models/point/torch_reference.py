"""What a point detector learns and finds, in PyTorch and slowly: what ours is compared with.

Notation: T rows, T_l points of level l, P points of all levels, C classes, n truths, s a level's
stride in rows. Row r stands at position r; truths and segments are in rows. Every function keeps
the dtype of what it is given. The network is in `torch_network.py`.

Source: ActionFormer (Zhang et al., ECCV 2022) for assignment, losses and soft-NMS.
"""

import math

import torch
from torch.nn import functional


def points(num_rows, strides):
  """Positions of the points of each level: ceil(T / s) of them, i s the i-th."""
  return [[i * stride for i in range(-(-num_rows // stride))] for stride in strides]


def ranges(strides):
  """(low, high) of each level, rows: [2 s, 4 s), from 0 at the first, without end at the last."""
  last = len(strides) - 1
  return [(0.0 if level == 0 else 2.0 * s, math.inf if level == last else 4.0 * s)
          for level, s in enumerate(strides)]


def assign(positions, level_stride, level_low, level_high, truths, labels, num_classes,
           dtype=torch.float32):
  """What each point should say.

  Of the truths that a point is positive for, the shortest wins (the first of equal ones); those
  that are longer by 1e-3 at most give it their class, too.

  Args:
    positions, level_stride, level_low, level_high: [P], rows.
    truths: [n, 2] rows.
    labels: [n].

  Returns:
    class targets [P, C] of 0 and 1, offset targets [P, 2] in strides, positive [P] bool.
  """
  classes = torch.zeros(len(positions), num_classes, dtype=dtype)
  offsets = torch.zeros(len(positions), 2, dtype=dtype)
  positive = torch.zeros(len(positions), dtype=torch.bool)
  per_point = zip(positions, level_stride, level_low, level_high, strict=True)
  for p, row in enumerate(per_point):
    position, stride, low, high = (float(value) for value in row)
    found = []  # (length, index, left, right)
    for t, (start, end) in enumerate(truths):
      start, end = float(start), float(end)
      left, right = position - start, end - position
      inside = left > 0 and right > 0
      central = abs(position - (start + end) / 2) < 1.5 * stride
      if inside and central and low <= max(left, right) < high:
        found.append((end - start, t, left, right))
    if found:
      shortest, _, left, right = min(found)
      offsets[p, 0], offsets[p, 1] = left / stride, right / stride
      positive[p] = True
      for length, t, _, _ in found:
        if length <= shortest + 1e-3:
          classes[p, int(labels[t])] = 1.0
  return classes, offsets, positive


def focal_loss(logits, targets, alpha=0.25, gamma=2.0):
  """Sum of -alpha_t (1 - p_t)^gamma log p_t, p_t the probability of what is true."""
  p = torch.sigmoid(logits)
  p_true = p * targets + (1 - p) * (1 - targets)
  weight = alpha * targets + (1 - alpha) * (1 - targets)
  cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
  return (weight * (1 - p_true) ** gamma * cross_entropy).sum()


def diou_loss(predicted, target, eps=1e-8):
  """Sum of 1 - IoU + (distance of centres / length of the hull)^2 over offsets [m, 2] of points."""
  (left, right), (true_left, true_right) = predicted.unbind(1), target.unbind(1)
  intersection = torch.minimum(left, true_left) + torch.minimum(right, true_right)
  union = left + right + true_left + true_right - intersection
  hull = torch.maximum(left, true_left) + torch.maximum(right, true_right)
  distance = 0.5 * (right - left - true_right + true_left)
  return (1 - intersection / union.clamp(min=eps) + (distance / hull.clamp(min=eps)) ** 2).sum()


def tiou(a, b):
  """Overlap of two segments; 0 where both are empty."""
  intersection = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
  union = (a[1] - a[0]) + (b[1] - b[0]) - intersection
  return intersection / union if union > 0 else 0.0


def soft_nms(segments, scores, k, sigma):
  """(indices, scores) of at most k, in the order taken; the score is what it was then.

  Ties go to the lower index.
  """
  segments, left = [tuple(map(float, s)) for s in segments], {
      i: float(score) for i, score in enumerate(scores)}
  indices, kept = [], []
  while left and len(indices) < k:
    best = max(left, key=left.get)  # of equal ones the first put in
    indices.append(best)
    kept.append(left.pop(best))
    for i in left:
      left[i] *= math.exp(-tiou(segments[i], segments[best]) ** 2 / sigma)
  return indices, kept


def decode(levels, strides, low, high, candidates=100, sigma=0.5, k=20):
  """Detections of one video, class by class and best first.

  Args:
    levels: per level logits [T_l, C], offsets [T_l, 2], mask [T_l], as of one clip of a batch.
    low, high: bounds of the video in rows, to which segments are clipped.

  Returns:
    A list of (class, score, start, end), rows.
  """
  segments, scores = [], []
  for (logits, offsets, mask), stride in zip(levels, strides, strict=True):
    for i in torch.nonzero(mask)[:, 0].tolist():
      bounds = (i * stride - offsets[i, 0] * stride, i * stride + offsets[i, 1] * stride)
      segments.append([min(max(float(bound), low), high) for bound in bounds])
      scores.append(torch.sigmoid(logits[i]).tolist())
  detections = []
  for c in range(levels[0][0].shape[1]):
    best = sorted(range(len(scores)), key=lambda i: -scores[i][c])[:candidates]
    indices, kept = soft_nms([segments[i] for i in best], [scores[i][c] for i in best], k, sigma)
    detections += [(c, score, *segments[best[i]]) for i, score in zip(indices, kept, strict=True)]
  return detections
