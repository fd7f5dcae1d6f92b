"""Made-up frame features in the style of pooled CNN activations.

Notation: f frames, d dimensions of a frame's feature, q of its latent cause h. A frame is

  x = relu(W h + offset) / sqrt(q),  W: [d, q] fixed  (non-negative, correlated, half zeros)
  h = scene + appearance + noise_t + bursts_t + sum over instances of gain * signal_t

- scene: shared by the classes of one context; it comes and goes slowly, and rises near an action;
- appearance: one draw a video, the same in near-duplicates;
- noise_t: an AR(1) process over the frames;
- signal_t: actionness of the whole course, of a short start, peak and end, and the class's
  identity. Each direction of actionness is a mix of one that all classes share (`transfer`), of
  the context's and of the class's own: a class-agnostic linear model moves partly to other
  classes, and improves with the classes it sees. Start, peak and end make the mean over an instance
  differ from the mean over a part of it;
- leak: outside an instance, identity decays with the distance;
- bursts: background moments with the shared actionness of a course, so that it is no proof.

Videos differ in worth: gain is the class's ease times the video's own; a `useless_ratio` of the
videos has next to none, and the scene of any context; a `duplicate_ratio` repeats an earlier video.
Nothing here is fitted to ActivityNet: these are assumptions, made for a learning curve to exist.

What linear models can reach [D]: the mean over an instance is the average of the means over its
parts, so a linear score of mean-pooled frames cannot put an instance above all of its parts,
however good the frames. In a trial with seven noise-free scores of frames (1 inside, 0 outside;
peaks at the middle or the edges; ...) and these proposals, the best class-agnostic average
precision was 0.27 (0.14 of the proposals are positive); inside less before and after had 0.78.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tal_jax.data.records import FrameFeatures, TimeGrid

_MOMENT = 0.06  # share of an instance that its start, its peak and its end each take


class Difficulty(NamedTuple):
  """How hard the made-up features are. The paper has real ones: every number is our choice."""

  latent_dim: int = 64  # q
  classes_per_context: int = 5  # classes that share a scene
  transfer: float = 0.35  # share of actionness' squared norm that is common to all
  context_share: float = 0.25  # the same, for the classes of one context
  actionness: float = 2.0  # norm of the course's direction
  edges: float = 2.0  # norm of the start's and the end's direction
  peak: float = 8.0  # norm of the peak's direction
  identity: float = 1.6  # norm of what tells classes of one context apart
  scene: float = 1.5  # norm of a context's direction
  ease_spread: float = 0.5  # deviation of log gain over classes; over videos, half of it
  appearance: float = 3.0  # norm of a video's offset
  noise: float = 3.0  # norm of a frame's noise
  noise_memory: float = 0.8  # AR(1) coefficient from frame to frame
  leak: float = 0.5  # strength of identity and scene just outside an instance
  leak_reach: float = 0.3  # decay length of the leak, in instance lengths
  bursts: float = 1.5  # mean number of misleading moments in a video
  useless_ratio: float = 0.1  # share of videos whose action can barely be seen
  duplicate_ratio: float = 0.15  # share of videos that repeat an earlier one of their class


class World(NamedTuple):
  """What all videos of one seed share, float32; c classes."""

  mixing: np.ndarray  # [q, d] W transposed
  offset: np.ndarray  # [d]
  shared: np.ndarray  # [4, q] course, start, peak, end of all classes
  phases: np.ndarray  # [c, 4, q] course, start, peak, end
  identity: np.ndarray  # [c, q]
  scenes: np.ndarray  # [contexts, q]
  context: np.ndarray  # [c] index into scenes
  ease: np.ndarray  # [c]


class Look(NamedTuple):
  """What one video draws apart from its frames' noise, the same for near-duplicates."""

  appearance: np.ndarray  # [q]
  scene: np.ndarray  # [q]
  gain: float


def build_world(rng: np.random.Generator, num_classes: int, frame_dim: int,
                difficulty: Difficulty) -> World:
  """Draws the directions of all classes; contexts get their classes at random."""
  q, m = difficulty.latent_dim, difficulty
  num_contexts = -(-num_classes // m.classes_per_context)
  context = rng.permutation(np.arange(num_classes) % num_contexts)

  def directions(*shape):
    return rng.standard_normal((*shape, q)) / np.sqrt(q)

  shared = directions(4)
  phases = (np.sqrt(m.transfer) * shared + np.sqrt(m.context_share) * directions(num_contexts, 4)[
      context] + np.sqrt(1 - m.transfer - m.context_share) * directions(num_classes, 4))
  ease = np.exp(m.ease_spread * rng.standard_normal(num_classes) - m.ease_spread ** 2 / 2)
  f32 = np.float32
  norms = np.array([m.actionness, m.edges, m.peak, m.edges])[:, None]
  return World(
      mixing=rng.standard_normal((q, frame_dim)).astype(f32),
      offset=(0.2 * rng.standard_normal(frame_dim) * m.appearance).astype(f32),
      shared=(norms * shared).astype(f32), phases=(norms * phases).astype(f32),
      identity=(m.identity * directions(num_classes)).astype(f32),
      scenes=(m.scene * directions(num_contexts)).astype(f32), context=context,
      ease=ease.astype(f32))


def draw_look(rng: np.random.Generator, world: World, label: int,
              difficulty: Difficulty) -> Look:
  """Draws a video's appearance, scene and gain; label is the class whose scene it has."""
  m, q = difficulty, difficulty.latent_dim
  useless = rng.random() < m.useless_ratio
  elsewhere = rng.integers(len(world.scenes))
  gain = world.ease[label] * np.exp(0.5 * m.ease_spread * rng.standard_normal())
  appearance = m.appearance * rng.standard_normal(q) / np.sqrt(q)
  scene = world.scenes[elsewhere if useless else world.context[label]]
  return Look(appearance.astype(np.float32), scene, float(gain * (0.1 if useless else 1.0)))


def draw_frames(rng: np.random.Generator, world: World, look: Look, segments: np.ndarray,
                labels: np.ndarray, duration: float, seconds_per_frame: float,
                difficulty: Difficulty) -> FrameFeatures:
  """Draws the frames of one video.

  Args:
    rng: consumed; of a near-duplicate, a copy of the original's, so that the noise is the same.
    world: what all videos share.
    look: from `draw_look`.
    segments: [t, 2] seconds.
    labels: [t] class indices.
    duration: seconds; the last frame may reach beyond it.
    seconds_per_frame: length of a frame.
    difficulty: the knobs.

  Returns:
    [f, d] float32 features with f = ceil(duration / seconds_per_frame), at least 1.
  """
  m, q = difficulty, difficulty.latent_dim
  num_frames = max(1, int(np.ceil(duration / seconds_per_frame - 1e-9)))
  edges = np.arange(num_frames + 1) * seconds_per_frame
  # A stream of its own: near-duplicates of other lengths keep the rest.
  h = _noise(rng.spawn(1)[0], num_frames, m) + look.appearance
  num_bursts = rng.poisson(m.bursts)
  phase = rng.uniform(0, 2 * np.pi)
  fade = 1 + 0.5 * np.sin(phase + 2 * np.pi * edges[:-1] / 60.0)  # the scene comes and goes
  presence = np.zeros(num_frames)
  for _ in range(num_bursts):
    start, length, strength = rng.uniform(size=3)
    length = 0.02 + 0.15 * length
    on = _coverage(edges, duration * start, duration * (start + length))
    other = m.actionness * rng.standard_normal(q) / np.sqrt(q)
    h += (strength * on[:, None] * (world.shared[0] + other)).astype(np.float32)
  for (start, end), label in zip(segments, labels, strict=True):
    length = max(end - start, 1e-3)
    width = _MOMENT * length
    peak = start + rng.uniform(0.4, 0.6) * length
    weights = np.stack([_coverage(edges, start, end), _coverage(edges, start, start + width),
                        _coverage(edges, peak - width / 2, peak + width / 2),
                        _coverage(edges, end - width, end)], axis=1)
    h += look.gain * weights.astype(np.float32) @ world.phases[label]
    centres = (edges[:-1] + edges[1:]) / 2
    distance = np.maximum(np.maximum(start - centres, centres - end), 0.0)
    leaked = m.leak * np.exp(-distance / (m.leak_reach * length))
    inside = np.maximum(weights[:, 0], leaked)
    presence = np.maximum(presence, inside)
    h += look.gain * inside.astype(np.float32)[:, None] * world.identity[label]
  h += (fade * (0.5 + 0.5 * presence)).astype(np.float32)[:, None] * look.scene
  values = h @ world.mixing
  values += world.offset
  np.maximum(values, 0.0, out=values)
  values /= np.float32(np.sqrt(q))
  return FrameFeatures(values, TimeGrid(fps=1.0 / seconds_per_frame))


def _noise(rng: np.random.Generator, num_frames: int, m: Difficulty) -> np.ndarray:
  """Stationary AR(1) noise [f, q] of norm about m.noise."""
  drawn = rng.standard_normal((num_frames, m.latent_dim), dtype=np.float32)
  rho = m.noise_memory
  drawn[1:] *= np.float32(np.sqrt(1 - rho ** 2))
  drawn *= np.float32(m.noise / np.sqrt(m.latent_dim))
  for before, frame in zip(drawn[:-1], drawn[1:], strict=True):
    frame += np.float32(rho) * before
  return drawn


def _coverage(edges: np.ndarray, start: float, end: float) -> np.ndarray:
  """Share of each frame [edges[i], edges[i + 1]] that lies in [start, end]: [f]."""
  inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
  return np.maximum(inside, 0.0) / (edges[1] - edges[0])
