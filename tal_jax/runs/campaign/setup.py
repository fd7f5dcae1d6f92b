"""From a campaign's config to its database and its pool of videos; the same at every start."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from tal_jax.annotation import names
from tal_jax.annotation.active import campaign_data
from tal_jax.annotation.campaign import Campaign, Policy, Video, add_classes, add_videos
from tal_jax.annotation.rules import gold
from tal_jax.annotation.rules.intended import ClassText, Intended
from tal_jax.annotation.videos import media, proxies, proxy_process
from tal_jax.annotation.videos.media import Probe
from tal_jax.annotation.videos.proxy_process import Outcome
from tal_jax.data import option_names
from tal_jax.data.annotations import several
from tal_jax.data.records import Annotations
from tal_jax.errors import DataError
from tal_jax.runs import context
from tal_jax.runs.campaign import labels as annotate_labels, ranges as campaign_ranges
from tal_jax.runs.reporter import Reporter
from tal_jax.video.video_files import find_videos

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
  campaign_ranges.check(config)
  with config.unlocked():
    config.strategies, config.seeds = (options.strategy,), 1
  config = context.checked(config)
  options = config.campaign
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
  files = annotate_labels.read_files(options)
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
  videos = names.Videos({video_id: path.name for video_id, path in paths.items()})
  measured = videos.of(annotated.videos, "data.annotations")[0].keys()
  asked, golds, remarks = annotate_labels.match(config, files, videos, probes, measured)
  elsewhere = (measured & asked.keys()) | {item.video for item in golds}
  pool = tuple(sorted(asked.keys() - elsewhere))
  report.say(f"{len(paths)} videos: {len(pool)} to be asked for, {len(elsewhere)} in Testing, "
             f"Knowledge-Source or gold, {len(probes) - len(asked)} without a label of the "
             f"campaign, {len(faults)} that cannot be used; "
             f"{sum(looked_at.obstacle != '' for looked_at in probes.values())} need a proxy")
  for line in remarks:
    report.say(line)
  if not pool:
    raise DataError(f"no video of campaign.videos = {options.videos} can be asked for: those with "
                    "labels are all in Testing, Knowledge-Source or gold, or cannot be used")
  return Setup(paths, probes, pool, {video_id: asked[video_id] for video_id in pool},
               files.texts, annotated, golds)


def fill(campaign: Campaign, setup: Setup, folder: pathlib.Path, *, instructions: str) -> None:
  """Brings the database up to date: classes, videos, gold.

  Args:
    campaign: open.
    setup: what it works on.
    folder: of the proxies.
    instructions: for a class that has none of its own.

  Raises:
    RequestError: what the database has does not fit.
    DataError: proxies are wanted, and cannot be made on this machine.
  """
  if any(setup.probes[name].obstacle for name in (*setup.pool, *(g.video for g in setup.gold))):
    proxies.require_encoder()
  golds = {item.video: item for item in setup.gold}
  labels = {label for asked in setup.intended.values() for label in asked}
  labels |= {item.label for item in setup.gold}
  add_classes(campaign, [
      (label, setup.texts.get(label, ClassText()).instructions or instructions)
      for label in sorted(labels)])
  add_videos(campaign, [known_video(setup, name, folder) for name in (*setup.pool, *golds)],
             correct=True)
  if golds:
    gold.add_gold(campaign, setup.gold)


def make_ready(setup: Setup, folder: pathlib.Path, name: str, stopped: Callable[[], bool], *,
               height: int) -> tuple[Outcome, Video | None]:
  """Makes what browsers play of a video; see `proxy_maker.Make`."""
  if name not in setup.probes:
    return Outcome(problem="its file is not in campaign.videos any more, or cannot be used"), None
  outcome = proxy_process.make(proxy_process.Request(
      name, str(setup.paths[name]), setup.probes[name], str(folder), height), stopped=stopped)
  return outcome, known_video(setup, name, folder)


def known_video(setup: Setup, name: str, folder: pathlib.Path) -> Video:
  """A video as the campaign knows it; ready if a browser can play what is there."""
  looked_at, source = setup.probes[name], setup.paths[name]
  plays = source
  if looked_at.obstacle and source.exists():
    proxy = proxies.proxy_path(name, source, folder)
    plays = proxy if proxy.exists() else source
  return Video(name, str(source.resolve()), looked_at.duration, looked_at.fps,
               str(plays.resolve()), looked_at.width, looked_at.height, looked_at.num_frames,
               ready=not looked_at.obstacle or plays != source)


def _used(annotated: Annotations, config: ConfigDict) -> Annotations:
  """The videos of Testing and Knowledge-Source."""
  subsets = {config.data.testing_subset, config.data.knowledge_subset} - {""}
  return annotated._replace(videos={
      key: video for key, video in annotated.videos.items() if video.subset in subsets})
