"""Which class is asked for in which video of a campaign, and what its labels say of no video."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from tal_jax.annotation import names
from tal_jax.annotation.names import Videos
from tal_jax.annotation.rules import gold, intended
from tal_jax.annotation.rules.intended import ClassText, Intended
from tal_jax.annotation.videos.media import Probe
from tal_jax.data.annotations import read_annotations
from tal_jax.errors import DataError


class Files(NamedTuple):
  """What is known before any video is looked at."""

  labels: Intended | None  # as the file has them; None where every class is asked for
  texts: dict[str, ClassText]  # what annotators are told, by class


class Asked(NamedTuple):
  intended: Intended  # of each video that has a label, by id
  gold: tuple[gold.Gold, ...]
  remarks: list[str]  # to whoever runs the campaign


def read_files(options: ConfigDict) -> Files:
  """Reads `campaign.labels` and `campaign.classes`.

  Raises:
    DataError: a file that is none, or a name that cannot be used.
  """
  return Files(None if options.ask == "all" else intended.read_labels(options.labels),
               intended.read_classes(options.classes) if options.classes else {})


def match(config: ConfigDict, files: Files, videos: Videos, probes: Mapping[str, Probe],
          elsewhere: Collection[str]) -> Asked:
  """Finds the videos of the labels and of the gold answers.

  Args:
    config: from `setup.checked`.
    files: of its labels and classes.
    videos: all of the campaign's folders.
    probes: of those that can be used.
    elsewhere: videos in Testing or Knowledge-Source.

  Raises:
    DataError: no label of any video, two ids of one, or gold answers that cannot be used.
  """
  options = config.campaign
  remarks: list[str] = []
  if files.labels is None:
    every = labels = intended.every_class(list(probes), tuple(sorted(files.texts)))
  else:
    every = files.labels
    drawn = intended.draw_classes(every, options.num_classes, seed=config.data.seed)
    where = f"campaign.labels = {options.labels}"
    of, unknown = videos.of(every, where)
    if not of:
      raise DataError(
          f"no video of campaign.videos = {options.videos} can be asked for: are the videos' files "
          f"named after the ids of campaign.labels? {videos.unknown(unknown, where)}")
    if unknown:
      remarks.append(videos.unknown(unknown, where))
    labels = {video_id: drawn[name] for video_id, name in of.items() if name in drawn}
  asked = {video_id: labels[video_id] for video_id in probes if video_id in labels}
  golds = _gold(options.gold, videos, probes, asked)
  left = [video_id for video_id in probes if video_id not in asked
          and video_id not in elsewhere and video_id not in {item.video for item in golds}]
  if left:
    remarks.append(f"{len(left)} of {len(probes)} videos have no label of the campaign and are "
                   f"left out: {names.listed(left)}")
  classes = {label for found in every.values() for label in found}
  return Asked(asked, golds, remarks + _of_classes(options, classes, files.texts, golds))


def _of_classes(options: ConfigDict, classes: set[str], texts: Mapping[str, ClassText],
                golds: tuple[gold.Gold, ...]) -> list[str]:
  found = [f"these are different classes, though their names differ in capitals, blanks or signs "
           f"alone: {', '.join(map(repr, group))}; if one is meant, write it one way"
           for group in names.alike(classes | {item.label for item in golds})]
  for field, others in (("classes", texts), ("gold", {item.label: None for item in golds})):
    strange = [label for label in others if label not in classes]
    if strange:
      found.append(f"campaign.{field} = {options[field]}: nobody is asked for " + ", ".join(
          f"{label!r}{names.nearest(label, sorted(classes))}" for label in strange[:5])
                   + (", ..." if len(strange) > 5 else ""))
  bare = sorted(classes - texts.keys())
  if texts and bare:
    found.append(f"campaign.classes has no instructions for {names.listed(bare)}: annotators read "
                 "campaign.instructions")
  return found


def _gold(path: str, videos: Videos, probes: Mapping[str, Probe],
          asked: Intended) -> tuple[gold.Gold, ...]:
  """The gold tasks of an annotation file: each class of each of its videos."""
  if not path:
    return ()
  known = read_annotations(path).videos
  where = f"campaign.gold = {path}"
  of, unknown = videos.of(known, where)
  unknown += [name for video_id, name in of.items() if video_id not in probes]
  if unknown:
    raise DataError(f"{videos.unknown(unknown, where)}. {names.listed(unknown)} "
                    f"{'is' if len(unknown) == 1 else 'are'} not among campaign.videos")
  found = []
  for name, key in of.items():
    video = known[key]
    labels = [names.checked(label, f"a label of {key!r}", where) for label in video.labels]
    for label in dict.fromkeys([*labels, *asked.get(name, {})]):
      segments = [tuple(map(float, segment)) for segment, other in
                  zip(video.segments, labels, strict=True) if other == label]
      hint = intended.inside(asked.get(name, {}).get(label), probes[name].duration)
      found.append(gold.Gold(name, label, segments, hint))
  return tuple(found)
