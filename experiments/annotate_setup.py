"""From a campaign's config to its database and its pool of videos; the same at every start."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from absl import logging
from ml_collections import ConfigDict

from experiments import context
from experiments.reporter import Reporter
from tal_jax.annotation import campaign_data, gold, intended, media, proxies
from tal_jax.annotation.campaign import Campaign, Policy, Video, add_classes, add_videos
from tal_jax.annotation.intended import ClassText, Intended
from tal_jax.annotation.media import Probe
from tal_jax.data import option_names
from tal_jax.data.annotations import find_id, read_annotations, several
from tal_jax.data.types import Annotations, DataError
from tal_jax.encoders.video import VideoFault
from tal_jax.encoders.video_files import find_videos

ASKS = ("labels", "all")
MEDIA = "media"  # folder of proxies, in the work directory


class Setup(NamedTuple):
  """What a campaign works on."""

  paths: dict[str, pathlib.Path]  # of all videos in the folders, by id
  probes: dict[str, Probe]  # of those that can be used
  pool: tuple[str, ...]  # ids of Selection, sorted
  intended: Intended  # what is asked for, of each video of the pool
  texts: dict[str, ClassText]  # what annotators are told, by class
  annotated: Annotations  # has Testing and Knowledge-Source
  gold: tuple[gold.Gold, ...]


def checked(config: ConfigDict) -> ConfigDict:
  """A copy of the config that a campaign can use.

  Raises:
    DataError: a setting that no campaign could use, before any work is done.
  """
  config = config.copy_and_resolve_references()
  options = config.campaign
  with config.unlocked():
    config.strategies, config.seeds = (options.strategy,), 1
  config = context.checked(config)
  options = config.campaign
  ranges = (("ask", options.ask in ASKS, f"one of {ASKS}"),
            ("slots_per_label", options.slots_per_label >= 1, "at least 1"),
            ("num_initial", options.num_initial >= 0, "not negative (0: by initial_ratio)"),
            ("max_videos", options.max_videos >= 0, "not negative (0: by budget_ratio)"),
            ("num_rounds", options.num_rounds >= 0, "not negative (0: as many as there are)"),
            ("poll_seconds", options.poll_seconds > 0, "positive"),
            ("proxy_height", options.proxy_height >= 64, "at least 64"),
            ("policy.annotators", 1 <= options.policy.annotators <= options.policy.max_annotators,
             "from 1 to policy.max_annotators"),
            ("policy.lease_seconds", options.policy.lease_seconds > 0, "positive"))
  for name, good, wanted in ranges:
    if not good:
      value = functools.reduce(getattr, name.split("."), options)
      raise DataError(f"campaign.{name} = {value!r}: it must be {wanted}")
  if options.strategy == "mcle" and config.mcle.prior != "knowledge_source":
    raise DataError("mcle.prior = 'search' is simulated from annotated videos, which a campaign "
                    "does not have: set --config.mcle.prior=knowledge_source")
  if options.strategy == "greedy_oracle":
    raise DataError("campaign.strategy = 'greedy_oracle' looks at truths that are not known")
  for name in ("videos", "labels" if options.ask == "labels" else "classes"):
    if not options[name]:
      raise DataError(f"campaign.{name} is not set: add --config.campaign.{name}=PATH")
  if not config.data.features:
    raise DataError("data.features is not set: add --config.data.features=PATH, the folder that "
                    "experiments.extract_features wrote, for instance")
  return config


def policy(config: ConfigDict) -> Policy:
  return Policy(**config.campaign.policy.to_dict())


def look(config: ConfigDict, folder: pathlib.Path, report: Reporter) -> Setup:
  """Reads the labels and looks at every video; `folder` remembers what was seen.

  Raises:
    DataError: no video that can be asked for.
  """
  options = config.campaign
  paths = find_videos(several(options.videos), ids=options.get("ids", "name"),
                      option="--config.campaign.ids=path").paths
  folder.mkdir(parents=True, exist_ok=True)
  probes, faults = media.probe_all(paths, folder, progress=functools.partial(
      report.working, "looking at videos"))
  for video_id, fault in faults.items():
    report.say(f"left out: {video_id}: {fault}")
  with option_names.spelled({name: f"data.{name}" for name in config.data}):
    annotated = campaign_data.read_annotated(config.data.annotations,
                                             format=config.data.annotations_format)
  annotated = _used(annotated, config)
  texts = intended.read_classes(options.classes) if options.classes else {}
  if options.ask == "all":
    labels = intended.every_class(list(probes), tuple(sorted(texts)))
  else:
    labels = intended.draw_classes(intended.read_labels(options.labels), options.num_classes,
                                   seed=config.data.seed)
  asked = {video_id: labels[name] for video_id in probes
           if (name := find_id(video_id, labels)) is not None}
  golds = _gold(options.gold, probes, asked)
  elsewhere = {video_id for video_id in asked if find_id(video_id, annotated.videos)}
  elsewhere |= {item.video for item in golds}
  pool = tuple(sorted(asked.keys() - elsewhere))
  report.say(f"{len(paths)} videos: {len(pool)} to be asked for, {len(elsewhere)} in Testing, "
             f"Knowledge-Source or gold, {len(probes) - len(asked)} without a label of the "
             f"campaign, {len(faults)} that cannot be used; "
             f"{sum(looked_at.obstacle != '' for looked_at in probes.values())} need a proxy")
  if not pool:
    raise DataError(
        f"no video of campaign.videos = {options.videos} can be asked for: are the videos' files "
        "named after the ids of campaign.labels?")
  return Setup(paths, probes, pool, {video_id: asked[video_id] for video_id in pool}, texts,
               annotated, golds)


def fill(campaign: Campaign, setup: Setup, folder: pathlib.Path, *, instructions: str) -> None:
  """Brings the database up to date: classes, videos, gold.

  Args:
    campaign: open.
    setup: what it works on.
    folder: of the proxies.
    instructions: for a class that has none of its own.

  Raises:
    RequestError: what the database has does not fit.
    DataError: a proxy cannot be made.
  """
  golds = {item.video: item for item in setup.gold}
  labels = {label for asked in setup.intended.values() for label in asked}
  labels |= {item.label for item in setup.gold}
  add_classes(campaign, [
      (label, setup.texts.get(label, ClassText()).instructions or instructions)
      for label in sorted(labels)])
  add_videos(campaign, [_video(setup, video_id, proxies.proxy_path(
      video_id, setup.paths[video_id], folder)) for video_id in (*setup.pool, *golds)])
  if golds:
    show(campaign, setup, list(golds), folder)
    gold.add_gold(campaign, setup.gold)


def show(campaign: Campaign, setup: Setup, names: list[str], folder: pathlib.Path, *,
         height: int = 480, progress: Callable[[int, int], None] = lambda done, total: None
         ) -> None:
  """Makes what browsers play of the videos, where the videos themselves will not do.

  One that cannot be made is reported; the page then gets the video as it is.
  """
  ready = []
  for done, name in enumerate(names):
    progress(done, len(names))
    try:
      path = proxies.playable(name, setup.paths[name], setup.probes[name], folder, height=height)
    except VideoFault as error:
      logging.warning("%s", error)
      path = setup.paths[name]
    ready.append(_video(setup, name, path))
  add_videos(campaign, ready)


def _video(setup: Setup, name: str, plays: pathlib.Path) -> Video:
  looked_at = setup.probes[name]
  source = setup.paths[name]
  return Video(name, str(source.resolve()), looked_at.duration, looked_at.fps,
               str((plays if plays.exists() else source).resolve()), looked_at.width,
               looked_at.height, looked_at.num_frames)


def _used(annotated: Annotations, config: ConfigDict) -> Annotations:
  """The videos of Testing and Knowledge-Source."""
  subsets = {config.data.testing_subset, config.data.knowledge_subset} - {""}
  return annotated._replace(videos={
      key: video for key, video in annotated.videos.items() if video.subset in subsets})


def _gold(path: str, probes: dict[str, Probe], asked: Intended) -> tuple[gold.Gold, ...]:
  """The gold tasks of an annotation file: each class of each of its videos."""
  if not path:
    return ()
  found = []
  for key, video in read_annotations(path).videos.items():
    name = find_id(key, probes)
    if name is None:
      raise DataError(f"campaign.gold = {path}: {key} is not among campaign.videos")
    for label in dict.fromkeys([*video.labels, *asked.get(name, {})]):
      segments = [tuple(map(float, segment)) for segment, other in
                  zip(video.segments, video.labels, strict=True) if other == label]
      hint = intended.inside(asked.get(name, {}).get(label), probes[name].duration)
      found.append(gold.Gold(name, label, segments, hint))
  return tuple(found)
