"""DAPs, slowly: one window and one step at a time, from the published arrays, in float64."""

import numpy as np


def sigmoid(x):
  return 1.0 / (1.0 + np.exp(-x))


def forward(arrays, chunks):
  """[n, C, d] -> locations [n, K, 2] before clipping, confidences [n, K]."""
  arrays = [np.asarray(array, np.float64) for array in arrays]
  gates = [arrays[3 * g:3 * g + 3] for g in range(4)]  # input, forget, cell, output
  peep_in, peep_forget, peep_out = arrays[12:15]
  locations, confidences = [], []
  for window in np.asarray(chunks, np.float64):
    cell, hidden = arrays[15][0], arrays[16][0]
    for x in window:
      i, f, c, o = (x @ w + hidden @ v + b for w, v, b in gates)
      new = sigmoid(f + peep_forget * cell) * cell + sigmoid(i + peep_in * cell) * np.tanh(c)
      hidden = sigmoid(o + peep_out * new) * np.tanh(new)
      cell = new
    locations.append(np.maximum(hidden @ arrays[17] + arrays[18], 0.0).reshape(-1, 2))
    confidences.append(sigmoid(hidden @ arrays[19] + arrays[20]))
  return np.stack(locations), np.stack(confidences)


def random_arrays(rng, *, dim, width, num_anchors, scale=0.5):
  """21 arrays of the published shapes."""
  d, h, k = dim, width, num_anchors
  shapes = [*([(d, h), (h, h), (h,)] * 4), (h,), (h,), (h,), (1, h), (1, h), (h, 2 * k), (2 * k,),
            (h, k), (k,)]
  return [(scale * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]


def published_proposals(arrays, features, *, length=512, stride=64, threshold=0.7):
  """What the published recipe gives: whole frames, both ends inclusive, no window at the end.

  Args:
    arrays: the 21 of the weights.
    features: [frames, d], one row a frame, each of a clip of 16 frames; every 8th is used.

  Returns:
    [p, 2] frames (first, last), best first.
  """
  frames = len(features) + 16
  segments, scores = [], []
  for begin in range(0, frames - length + 1, stride):
    rows = features[begin:begin + length - 16 + 1:8]
    edges = np.round(np.cumsum([0.0] + [1 / 32] * 32) * len(rows)).astype(int)
    chunks = [rows[a:b].mean(axis=0) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    chunks = [chunk / np.linalg.norm(chunk) for chunk in chunks]
    location, confidence = forward(arrays, np.stack(chunks)[None])
    for (centre, duration), score in zip(np.clip(location[0], 0, 1) * length, confidence[0],
                                         strict=True):
      first = np.ceil(centre + begin - 0.5 * duration)
      if int(first + duration - 1.0) >= first:  # the ReLU leaves many without a frame
        segments.append((int(first), int(first + duration - 1.0)))
        scores.append(score)
  kept = []
  for i in np.argsort(scores)[::-1]:
    first, last = segments[i]
    for j in kept:
      a, b = segments[j]
      overlap = max(0, min(last, b) - max(first, a) + 1)
      if overlap / ((last - first + 1) + (b - a + 1) - overlap) > threshold:
        break
    else:
      kept.append(i)
  return np.array([segments[i] for i in kept])
