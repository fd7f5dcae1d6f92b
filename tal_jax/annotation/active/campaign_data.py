"""From a folder of videos that nobody has annotated to what the learner works on.

Selection is the campaign's videos. Of each the duration is known, and which classes are intended,
but no bounds: the pool has `slots` places for instances of each intended class, whose labels are
set and whose masks are False, for the answers to fill. Testing and Knowledge-Source, each of them
optional, are subsets of an annotation file. Classes are those that are asked for; instances of
others in Testing do not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from tal_jax.annotation import names
from tal_jax.annotation.rules.intended import Intended
from tal_jax.annotation.videos.media import Probe
from tal_jax.data import annotations as annotations_lib, assemble
from tal_jax.data.annotation_fields import ANNOTATION_FIELDS
from tal_jax.data.checks.problems import Report
from tal_jax.data.checks.validation import Read, validate
from tal_jax.data.dataset import Dataset
from tal_jax.data.file_options import AUTO, FileOptions
from tal_jax.data.parts import parts_of, proposals_by_video
from tal_jax.data.proposals import sliding_windows
from tal_jax.data.records import Annotations, FrameFeatures, RawData, Split, VideoAnnotation
from tal_jax.errors import DataError
from tal_jax.pool import PROPOSALS, take

SELECTION_SUBSET = "campaign"


def read_annotated(path: annotations_lib.Paths, *, format: str = AUTO) -> Annotations:
  """The annotation file with Testing and Knowledge-Source; "" has none of them."""
  return annotations_lib.read_annotations(path, format=format) if path else Annotations({}, ())


class Videos(NamedTuple):
  """What a campaign knows of the videos that its learner works on."""

  probes: Mapping[str, Probe]  # of the videos of Selection, by id
  intended: Intended  # the labels asked for, of each of them
  annotated: Annotations  # where the subsets are; its videos may not be in `probes`
  slots: int  # places for instances of each label of a video
  testing_subset: str = ""  # "": there is none
  knowledge_subset: str = ""


def load(campaign: Videos, options: FileOptions, *,
         contents: dict[str, str] | None = None, **pooling: Any) -> Dataset:
  """Loads, validates, encodes and normalises.

  Args:
    campaign: the videos.
    options: where their features and proposals are.
    contents: gets a digest of each video's features, by id: the same wherever they are kept.
    **pooling: `encoder`, `normalize`, `dtype`, `storage`, `reads` and `progress` of
      `assemble.assemble`.

  Returns:
    The data set; `ids` of a set that there is none of is empty, as is its pool.

  Raises:
    DataError: whatever is wrong with the data or the settings.
  """
  probes, intended, annotated = campaign.probes, campaign.intended, campaign.annotated
  if not options.features:
    raise DataError("data.features is not set: add --config.data.features=PATH (made by "
                    "experiments.extract_features, for instance)")
  selection = {video_id: VideoAnnotation(video_id, SELECTION_SUBSET, looked_at.duration,
                                         np.zeros((0, 2)), (), {"fps": looked_at.fps})
               for video_id, looked_at in probes.items()}
  classes = sorted({label for video_id in selection for label in intended[video_id]})
  testing = _of_classes(_subset(annotated, campaign.testing_subset, "testing_subset"), classes)
  knowledge = _subset(annotated, campaign.knowledge_subset, "knowledge_subset")
  videos = annotations_lib.from_videos([*selection.values(), *testing.values(),
                                        *knowledge.values()])
  split = Split(tuple(knowledge), tuple(selection), tuple(testing))
  parts = parts_of(videos, options)
  report = validate(
      videos, parts.store, split=split, unlabelled=("selection",),
      allow_missing=options.allow_missing,
      read=Read("the campaign", (), parts.proposals, os.fspath(options.proposals or ""),
                parts.proposal_faults))
  _judge(report)
  split = Split(*(tuple(i for i in ids if i not in report.unusable) for ids in split))
  if not split.selection:
    raise DataError("no video of the campaign can be used")
  drawn = {**(options.windows or {}), "most": options.num_proposals}
  draw = proposals_by_video(videos, parts.proposals, {} if options.proposals else drawn,
                            "data.windows")
  if parts.proposals is None and drawn["most"] and PROPOSALS in pooling.get("reads", (PROPOSALS,)):
    _tell_of_bounded(videos, split.selection, drawn)
  store = parts.store if contents is None else _noting(parts.store, contents)
  data = _assembled(videos, intended, split, store, draw, **pooling)
  labels = slot_labels([list(intended[i]) for i in split.selection], data.classes, campaign.slots)
  return data._replace(selection=data.selection._replace(
      truths=np.zeros((*labels.shape, 2), np.float32), truth_labels=labels,
      truth_mask=np.zeros(labels.shape, bool)))


def _tell_of_bounded(videos: Annotations, ids: Sequence[str], windows: Mapping[str, Any]) -> None:
  """Logs the videos that have fewer windows than they would without the bound."""
  bounded = [video_id for video_id in ids if len(sliding_windows(
      videos.videos[video_id].duration, **{**windows, "most": None})) > windows["most"]]
  if bounded:
    longest = max(bounded, key=lambda video_id: videos.videos[video_id].duration)
    found = sliding_windows(videos.videos[longest].duration, **windows)
    logging.warning(
        "%d videos have more windows than data.num_proposals = %d, and are without the shortest "
        "ones: %s; those of %s last %.1f s at least", len(bounded), windows["most"],
        names.listed(bounded), longest, found[0, 1] - found[0, 0])


def _noting(store: Callable[[str], FrameFeatures], contents: dict[str, str]
            ) -> Callable[[str], FrameFeatures]:
  """The store, which notes a digest of what it gives."""
  def load(video_id: str) -> FrameFeatures:
    features = store(video_id)
    if video_id not in contents:
      values = np.ascontiguousarray(features.values)
      digest = hashlib.sha256(repr((values.shape, values.dtype.str, features.grid)).encode())
      digest.update(values)
      contents[video_id] = digest.hexdigest()[:16]
    return features

  return load


def slot_labels(labels: list[list[str]], classes: tuple[str, ...], slots: int) -> np.ndarray:
  """The class of each place for an instance: each label of a video `slots` times.

  Returns:
    [v, t] int32, t the most that a video needs, -1 where it needs fewer.
  """
  index = {name: i for i, name in enumerate(classes)}
  found = np.full((len(labels), slots * max(map(len, labels))), -1, np.int32)
  for row, own in zip(found, labels, strict=True):
    row[:slots * len(own)] = np.repeat([index[name] for name in own], slots)
  return found


def _subset(annotated: Annotations, name: str, field: str) -> dict[str, VideoAnnotation]:
  found = {key: video for key, video in annotated.videos.items() if video.subset == name}
  if name and not found:
    there = ", ".join(sorted({repr(video.subset) for video in annotated.videos.values()}))
    raise DataError(f"data.{field} = {name!r}: data.annotations has no video of this subset; "
                    f"there are {there or 'none'}")
  return found if name else {}


def _of_classes(videos: dict[str, VideoAnnotation], classes: list[str]
                ) -> dict[str, VideoAnnotation]:
  """The instances of the classes; a video that has others only is left out."""
  found = {}
  for key, video in videos.items():
    video = video._replace(labels=tuple(map(names.normal, video.labels)))
    keep = [i for i, label in enumerate(video.labels) if label in classes]
    if keep or not video.labels:
      # Fields of single truths would be out of step.
      extra = {name: value for name, value in video.extra.items()
               if name != ANNOTATION_FIELDS}
      found[key] = video._replace(segments=video.segments[keep], extra=extra,
                                  labels=tuple(video.labels[i] for i in keep))
  if videos and not any(video.labels for video in found.values()):
    raise DataError(f"Testing has no instance of the classes that are asked for, such as "
                    f"{', '.join(classes[:5])}: are they spelled alike?")
  return found


def _judge(report: Report) -> None:
  report.raise_if_fatal()
  (logging.warning if report.problems else logging.info)("%s", report.text())


def _assembled(videos: Annotations, intended: Intended, split: Split, store, draw,
               **pooling: Any) -> Dataset:
  """The pools. Intended labels stand as truths without length, which a pool leaves out."""
  selection = set(split.selection)
  labelled = annotations_lib.from_videos(
      video._replace(segments=np.zeros((len(intended[key]), 2)), labels=tuple(intended[key]))
      if key in selection else video for key, video in videos.videos.items())
  # `assemble` wants a video in every set: where there is none it gets one, which is taken out.
  stand_in = split.selection[:1]
  data = assemble.assemble(
      RawData(labelled, store, draw, split._replace(
          testing=split.testing or stand_in, knowledge_source=split.knowledge_source or stand_in),
              None, "a campaign"), name="campaign", **pooling)
  none = {name: take(getattr(data, name), np.arange(0))
          for name in ("testing", "knowledge_source") if not getattr(split, name)}
  return data._replace(ids=split, testing_annotations=annotations_lib.select(
      labelled, split.testing), **none)
