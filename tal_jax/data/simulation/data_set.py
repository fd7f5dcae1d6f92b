"""The embedded data set: an ActivityNet-like simulation, all from one seed.

Timelines follow ActivityNet 1.3 (timelines.py) or are a user's real annotations; features
(simulated_features.py) and proposals (simulated_proposals.py) are made up. Nothing is stored:
features(video_id) draws one video from (seed, the video's index), so that the order of access
does not matter and sets of any size can be streamed.

Near-duplicates and everything else about a video depend on its index in the annotations (search
videos are counted on from the last one), never on its name.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tal_jax.data.records import Annotations, FrameFeatures, RawData, Split, VideoAnnotation
from tal_jax.data.simulation import (
  features as simulated_features,
  proposals as simulated_proposals,
  timelines,
)
from tal_jax.data.simulation.features import Difficulty
from tal_jax.errors import DataError

CAPTION = ("Simulated data, made up from a random seed: a result on them is no evidence about "
           "ActivityNet.")
CAPTION_REAL_TIMELINE = ("Real timelines, but simulated features and proposals, made up from a "
                         "random seed: a result on them is no evidence about ActivityNet.")

# Independent random streams of one seed.
_WORLD, _LABELS, _TIMELINE, _LOOK, _FRAMES, _PROPOSALS, _DUPLICATE, _BLUR, _SEARCH = range(9)


class Counts(NamedTuple):
  """How many classes and videos the three sets have."""

  num_knowledge_classes: int = 50  # of Knowledge-Source
  num_selection_classes: int = 150  # of Selection and Testing
  num_knowledge_videos: int = 500
  num_selection_videos: int = 1000
  num_testing_videos: int = 500


class _Drawn(NamedTuple):
  """What is made up of each video beside its timeline."""

  num_search_per_class: int
  frame_dim: int
  num_proposals: int
  seconds_per_frame: float


def load(*, seed: int, num_search_per_class: int = 0, frame_dim: int = 128,
         num_proposals: int = 32, seconds_per_frame: float = 1.0, **options: Any) -> RawData:
  """Draws a simulated data set.

  Classes are shared out at random between Knowledge-Source and Selection (the paper, Sec. 4.1:
  50 and 150 classes); Testing has Selection's. Videos are shared out evenly over the
  classes, with one class a video.

  Args:
    seed: non-negative; the same seed gives the same bytes on one machine and stack.
    num_search_per_class: videos a search for each Selection class finds, with as many distractors.
    frame_dim: width of a frame's feature.
    num_proposals: proposals a video.
    seconds_per_frame: length of a frame.
    **options: fields of `Counts` and of `features.Difficulty`.

  Raises:
    DataError: a count or a knob out of its range, or an unknown knob.
  """
  counts = Counts(**{name: options.pop(name) for name in Counts._fields if name in options})
  _require_positive(**counts._asdict())
  _require_not_negative(seed=seed, num_search_per_class=num_search_per_class)
  knobs = _difficulty(options)
  num_knowledge_classes = counts.num_knowledge_classes
  num_classes = num_knowledge_classes + counts.num_selection_classes
  width = max(3, len(str(num_classes - 1)))
  classes = tuple(f"action_{i:0{width}d}" for i in range(num_classes))
  rng = np.random.default_rng([seed, _LABELS])
  order = rng.permutation(num_classes)
  sets = [("knowledge_source", "k", counts.num_knowledge_videos, order[:num_knowledge_classes]),
          ("selection", "s", counts.num_selection_videos, order[num_knowledge_classes:]),
          ("testing", "t", counts.num_testing_videos, order[num_knowledge_classes:])]
  videos, ids = {}, {}
  for subset, letter, count, chosen in sets:
    labels = [classes[i] for i in rng.permutation(chosen[np.arange(count) % len(chosen)])]
    ids[subset] = tuple(f"sim_{letter}{i:04d}" for i in range(count))
    videos |= _draw_videos(seed, ids[subset], subset, labels, len(videos), knobs)
  drawn = _Drawn(num_search_per_class, frame_dim, num_proposals, seconds_per_frame)
  return _raw_data(Annotations(videos, classes), Split(**ids), CAPTION, seed, drawn, knobs)


def load_with_annotations(annotations: Annotations, split: Split, *, seed: int,
                          num_search_per_class: int = 0, frame_dim: int = 128,
                          num_proposals: int = 32, seconds_per_frame: float = 1.0,
                          **difficulty: Any) -> RawData:
  """Simulated features and proposals on real timelines (the source `activitynet_annotations`).

  Search videos, if asked for, have simulated timelines. Near-duplicates share a real video's
  appearance and noise, but keep their own timeline.

  Args:
    annotations: real ones, for instance read from an ActivityNet-format JSON file.
    split: ids of `annotations.videos`; the others are left alone.
    seed, num_search_per_class, frame_dim, num_proposals, seconds_per_frame, **difficulty: as for
      `load`.

  Raises:
    DataError: as `load`; a video of the split that is not annotated, or of no positive duration.
  """
  _require_not_negative(seed=seed, num_search_per_class=num_search_per_class)
  for video_id in (*split.knowledge_source, *split.selection, *split.testing):
    video = annotations.videos.get(video_id)
    if video is None:
      raise DataError(f"video {video_id!r} is in the split but has no annotation: "
                      "add it to the annotations or take it out of the split")
    if not 0 < video.duration < np.inf:
      raise DataError(f"video {video_id!r} has duration {video.duration}: simulated features "
                      "need a positive one in seconds")
  drawn = _Drawn(num_search_per_class, frame_dim, num_proposals, seconds_per_frame)
  return _raw_data(annotations, split, CAPTION_REAL_TIMELINE, seed, drawn,
                   _difficulty(difficulty))


def _raw_data(annotations: Annotations, split: Split, caption: str, seed: int, drawn: _Drawn,
              knobs: Difficulty) -> RawData:
  num_search_per_class, frame_dim, num_proposals, seconds_per_frame = drawn
  _require_positive(frame_dim=frame_dim, num_proposals=num_proposals,
                    seconds_per_frame=seconds_per_frame)
  class_index = {name: i for i, name in enumerate(annotations.classes)}
  search = _draw_search(seed, annotations, split, num_search_per_class)
  videos = dict(annotations.videos) | (dict(search.videos) if search else {})
  index = {video_id: i for i, video_id in enumerate(videos)}
  source = _sources(seed, annotations, split, knobs)
  world = simulated_features.build_world(np.random.default_rng([seed, _WORLD]),
                                         len(annotations.classes), frame_dim, knobs)

  def features(video_id: str) -> FrameFeatures:
    video, i = videos[video_id], index[video_id]
    labels = np.array([class_index[label] for label in video.labels], int)
    if "query" in video.extra:
      scene_of = class_index[video.extra["query"]]
    else:  # a video without an action gets a scene at random
      scene_of = labels[0] if len(labels) else int(
          np.random.default_rng([seed, _LABELS, i]).integers(len(class_index)))
    original = source.get(i, i)
    look = simulated_features.draw_look(np.random.default_rng([seed, _LOOK, original]), world,
                                        scene_of, knobs)
    frames = simulated_features.draw_frames(
        np.random.default_rng([seed, _FRAMES, original]), world, look, video.segments, labels,
        video.duration, seconds_per_frame, knobs)
    if original != i:  # as another encoding of the same video would: a little off, everywhere
      blur = np.random.default_rng([seed, _BLUR, i]).standard_normal(frame_dim, dtype=np.float32)
      frames = frames._replace(values=frames.values * np.exp(np.float32(0.05) * blur))
    return frames

  def proposals(video_id: str) -> np.ndarray:
    video = videos[video_id]
    rng = np.random.default_rng([seed, _PROPOSALS, index[video_id]])
    return simulated_proposals.draw_proposals(rng, video.segments, video.duration,
                                              num_proposals=num_proposals)

  return RawData(annotations, features, proposals, split, search, caption)


def _draw_videos(seed: int, ids: tuple[str, ...], subset: str, labels: list[str], offset: int,
                 knobs: Difficulty) -> dict[str, VideoAnnotation]:
  """Videos of the given labels; a near-duplicate's timeline is its original's, within 2 %."""
  source = _match(seed, {offset + i: label for i, label in enumerate(labels)}, knobs)
  videos = {}
  for i, (video_id, label) in enumerate(zip(ids, labels, strict=True)):
    original = source.get(offset + i, offset + i)
    rng = np.random.default_rng([seed, _TIMELINE, original])
    duration, segments = timelines.draw_timeline(rng, timelines.ACTIVITYNET)
    if original != offset + i:
      scale = np.random.default_rng([seed, _TIMELINE, offset + i]).uniform(0.98, 1.02)
      duration, segments = duration * scale, segments * scale
    videos[video_id] = VideoAnnotation(video_id, subset, duration, segments,
                                       (label,) * len(segments))
  return videos


def _sources(seed: int, annotations: Annotations, split: Split,
             knobs: Difficulty) -> dict[int, int]:
  """Index of each near-duplicate of the split -> index of its original, in the same set."""
  index = {video_id: i for i, video_id in enumerate(annotations.videos)}
  sources = {}
  for ids in split:
    labels = {index[v]: annotations.videos[v].labels for v in ids}
    sources |= _match(seed, {i: names[0] for i, names in labels.items() if names}, knobs)
  return sources


def _match(seed: int, label_of: dict[int, str], knobs: Difficulty) -> dict[int, int]:
  """Near-duplicates among videos {index: class}: {index: an earlier one of its class}."""
  originals: dict[str, list[int]] = {}
  sources = {}
  for i in sorted(label_of):
    known = originals.setdefault(label_of[i], [])
    rng = np.random.default_rng([seed, _DUPLICATE, i])
    if known and rng.random() < knobs.duplicate_ratio:
      sources[i] = known[rng.integers(len(known))]
    else:
      known.append(i)
  return sources


def _draw_search(seed: int, annotations: Annotations, split: Split,
                 per_class: int) -> Annotations | None:
  """Search videos: per Selection class `per_class` that show it, and as many that do not.

  A distractor has the scene of the class it was found for (`extra["query"]`), and no instance.
  """
  if not per_class:
    return None
  classes = sorted({label for video_id in split.selection
                    for label in annotations.videos[video_id].labels})
  videos = {}
  for query in classes:
    for k in range(2 * per_class):
      i = len(videos)
      rng = np.random.default_rng([seed, _SEARCH, i])
      duration, segments = timelines.draw_timeline(rng, timelines.ACTIVITYNET)
      shows = k < per_class
      segments = segments if shows else np.zeros((0, 2))
      video_id = f"sim_q{i:04d}"
      videos[video_id] = VideoAnnotation(video_id, "search", duration, segments,
                                         (query,) * len(segments), {"query": query})
  return Annotations(videos, tuple(classes))


def _difficulty(knobs: dict[str, Any]) -> Difficulty:
  unknown = sorted(set(knobs) - set(Difficulty._fields))
  if unknown:
    raise DataError(f"simulated data have no setting {', '.join(unknown)}: "
                    f"known are {', '.join(Difficulty._fields)}")
  made = Difficulty(**knobs)
  _require_positive(latent_dim=made.latent_dim, classes_per_context=made.classes_per_context)
  for name in ("transfer", "context_share", "noise_memory", "useless_ratio", "duplicate_ratio"):
    if not 0 <= getattr(made, name) < 1:
      raise DataError(f"{name} of simulated data is {getattr(made, name)}: it must be in [0, 1)")
  if made.transfer + made.context_share > 1:
    raise DataError("transfer + context_share of simulated data exceed 1: lower one of them")
  return made


def _require_positive(**values: float) -> None:
  for name, value in values.items():
    if not value > 0:
      raise DataError(f"{name} of simulated data is {value}: it must be positive")


def _require_not_negative(**values: int) -> None:
  for name, value in values.items():
    if value < 0:
      raise DataError(f"{name} of simulated data is {value}: it must not be negative")
