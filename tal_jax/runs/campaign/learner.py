"""The learner of a campaign: rounds of selection, people's answers and training, until the budget.

`tal_jax.annotation.active.loop` says what is written in which order, and why a kill between any two
writes loses nothing.
"""

from __future__ import annotations

import functools
import pathlib
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from tal_jax import learner
from tal_jax.annotation import exports
from tal_jax.annotation.active import campaign_data, loop
from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.housekeeping import in_a_line
from tal_jax.annotation.patience import Patience
from tal_jax.annotation.rules import ahead, pace, rounds
from tal_jax.checkpoints import Checkpoints
from tal_jax.data.dataset import Dataset
from tal_jax.data.file_options import NAMES, FileOptions
from tal_jax.data.ground_truth import ground_truth
from tal_jax.errors import DataError
from tal_jax.pool import take
from tal_jax.runs import (
  context,
  learner_checks,
  localizers,
  pool_storage,
  row_memory,
)
from tal_jax.runs.campaign import asked_before, growth as annotate_growth
from tal_jax.runs.campaign.plan import Plan, asked_videos, make_plan
from tal_jax.runs.campaign.setup import Setup
from tal_jax.runs.reporter import Reporter
from tal_jax.runs.workdir import Workdir
from tal_jax.selection import SELECTION, lal_artifact
from tal_jax.selection.strategy import Shared

EXPORT = "annotations.json"
CHECKPOINTS, LAL = "checkpoints", lal_artifact.FILE  # in the work directory
_STREAMS = {"learner": 0, "lal": 1}  # random streams; other strategies take one by their name


def run(config: ConfigDict, campaign: Campaign, setup: Setup, folder: pathlib.Path,
        report: Reporter, advance: Callable[[], None]) -> None:
  """Goes on from wherever the campaign is, until its budget is spent.

  Args:
    config: from `setup.checked`.
    campaign: open.
    setup: what it works on.
    folder: the work directory.
    report: to whoever runs the campaign.
    advance: one step of the oracle.

  Raises:
    DataError: data that cannot be used, or of another campaign.
    RequestError: the learner's rounds are not those of the database.
  """
  setup, _ = asked_before.settled(campaign, setup)
  contents: dict[str, str] = {}
  data = load(config, setup, report, folder, contents)
  _check_asked(campaign, data)
  before = annotate_growth.last(folder)
  now = annotate_growth.record(config, data, contents, campaign, before)
  _make_way(folder, before, now, report)
  directory = Workdir(folder, now, may_change=True)
  shared = _context(config, data, folder, report)
  checkpoints = Checkpoints(folder / CHECKPOINTS)
  patience = Patience(folder, report.say)
  state = checkpoints.restore(shared.first)
  rows = directory.all_rows()
  if state is not None and int(state.step) >= len(rows):
    state = None  # its rows are gone: the answers are read again
  done = -1 if state is None else int(state.step)
  if any(folder.glob("*.jsonl")):
    directory.keep(None, 0, done)
  if state is not None:  # killed after the checkpoint
    loop.record(campaign, done, _result(rows[done]))
  number, plan = done + 1, make_plan(config, len(data.ids.selection))
  pace.plan(campaign, plan.budget)
  known = max(rounds.num_rounds(campaign) - number, 0)
  report.expect_more(known + plan.rounds_left(number + known, *asked_videos(campaign, data)))
  # A round that is open is done, though the plan may have become smaller.
  while (plan.rounds_left(number, *asked_videos(campaign, data))
         or rounds.is_there(campaign, number)):
    state, row, names = _round(config, campaign, setup, shared, state, number, plan, patience,
                               report, advance)
    row["strategy"] = annotate_growth.chosen_by(now, number)
    patience.again(functools.partial(_append, directory, row, names,
                                     ahead.early(campaign, number)))
    patience.again(functools.partial(checkpoints.save, state))
    patience.again(functools.partial(loop.record, campaign, number, _result(row)))
    _export(campaign, folder / EXPORT, patience, report)
    report.step(_text(row))
    number += 1
  checkpoints.close()
  patience.again(functools.partial(loop.finish, campaign))
  _export(campaign, folder / EXPORT, patience, report)


def load(config: ConfigDict, setup: Setup, report: Reporter, folder: pathlib.Path | None = None,
         contents: dict[str, str] | None = None) -> Dataset:
  """The pools, on the devices unless they are memory-mapped files.

  `folder`: of such files where the memory has no room; `contents`: as in `campaign_data.load`.
  """
  fields = config.data.to_dict()
  for name in ("seed", "annotations", "annotations_format"):  # read already
    fields.pop(name)
  videos = campaign_data.Videos(
      {video_id: setup.probes[video_id] for video_id in setup.pool}, setup.intended,
      setup.annotated, config.campaign.slots_per_label, fields.pop("testing_subset"),
      fields.pop("knowledge_subset"))
  options = FileOptions.of({name: fields.pop(name) for name in NAMES if name in fields})
  reads = localizers.make(config).reads
  data = pool_storage.load(
      lambda fields: campaign_data.load(
          videos, options, contents=contents, encoder=config.encoder, reads=reads,
          progress=functools.partial(report.working, "loading videos"), **fields),
      fields, folder and folder / pool_storage.FOLDER, report)
  pool_storage.check_pairs(config.model, data)
  row_memory.check(config, data, make_plan(config, len(data.ids.selection)).budget)
  report.say(f"{len(data.ids.selection)} Selection, {len(data.ids.testing)} Testing, "
             f"{len(data.ids.knowledge_source)} Knowledge-Source videos, {len(data.classes)} "
             f"classes, {context.describe(data.selection, reads)}.")
  return context.place(data)


def _round(config: ConfigDict, campaign: Campaign, setup: Setup, shared: context.Context,
           state: learner.LearnerState | None, number: int, plan: Plan, patience: Patience,
           report: Reporter, advance: Callable[[], None]
           ) -> tuple[learner.LearnerState, dict[str, Any], list[str]]:
  """One round: the state after it, its row of metrics, and its videos."""
  options, data = config.campaign, shared.data
  ids, pool = data.ids.selection, data.selection
  begun = 0.0

  def wait() -> None:
    nonlocal begun
    if options.suggestions and state is not None:
      names = loop.known_round(campaign, number)
      asked = take(pool, np.array([ids.index(name) for name in names]))
      patience.again(functools.partial(
          loop.suggest, campaign, number, names, setup.intended, data.classes,
          shared.localizer.detect(state.model, asked)))
    patience.again(functools.partial(
        loop.wait, campaign, number, advance=advance, poll_seconds=options.poll_seconds,
        enough=enough, report=functools.partial(_tell, report, number)))
    begun = time.perf_counter()

  def enough() -> bool:
    if rounds.is_closed(campaign, number) or rounds.is_there(
        campaign, number + 1) or plan.rounds_left(number + 1, *asked_videos(campaign, data)):
      return rounds.has_enough(campaign, number, options.round_quorum)
    return rounds.all_decided(campaign)  # nothing would train with what comes later

  asked, free = asked_videos(campaign, data)
  early = ahead.num_early(campaign, number)
  size = max(min(plan.initial if state is None else plan.batch,
                 early + plan.videos_left(asked, free)), 1)
  new = 0 if loop.known_round(campaign, number) else max(size - early, 0)
  after = number + 1, asked + new, free - new
  more = min(plan.batch, plan.videos_left(*after[1:])) if plan.rounds_left(*after) else 0
  patience.again(functools.partial(ahead.keep, campaign, more))
  goes_on = {"more": more, "intended": setup.intended if opens_early(config) else None}
  select = (loop.as_it_was(campaign, number, ids, learner.at_random, **goes_on) if state is None
            else loop.selector(campaign, number, ids, shared.selection[options.strategy],
                               **goes_on))
  people = loop.Asking(campaign, number, ids, setup.intended, data.classes, select, wait=wait,
                       again=patience.again)
  if state is None:
    state, info = learner.start(shared.first, pool, annotate=people.annotate,
                                select=people.choose, num_initial=plan.initial)
  else:
    state, info = learner.step(state, pool, annotate=people.annotate, select=people.choose,
                               batch_size=size)
  shared.check_training(
      state, info, when=f"round {number}",
      after="The answers are kept: the same command goes on from them")
  for line in learner_checks.remarks(state, info.fit):
    report.say(f"round {number}: {line}")
  result = ap = None
  if data.ids.testing:
    result, ap, _ = shared.evaluate(state.model)
  count = int(state.labeled.sum())
  row = {"strategy": options.strategy, "seed": 0, "step": int(state.step), "num_labeled": count,
         "labeled_ratio": count / len(ids), "num_instances": int(state.annotation_mask.sum()),
         "map": None if result is None else result.average_map,
         "map_at_50": None if result is None else float(result.mean_ap[0]), "attention_ap": ap,
         "seconds": round(time.perf_counter() - begun, 3),
         **info.fit.metrics}
  return state, row, loop.known_round(campaign, number)


def _export(campaign: Campaign, path: pathlib.Path, patience: Patience, report: Reporter) -> None:
  """Writes the data set. No error in it ends the training: the server writes the file, too."""
  try:
    patience.again(functools.partial(exports.write, campaign, path, "activitynet"))
  except Exception as error:
    logging.exception("writing %s", path)
    report.say(f"{path} was not written ({in_a_line(error)}); it is tried again after the next "
               "round, and the answers are in the database")


def _context(config: ConfigDict, data: Dataset, folder: pathlib.Path,
             report: Reporter) -> context.Context:
  localizer, name = localizers.make(config), config.campaign.strategy
  keys = jax.random.split(jax.random.key(config.data.seed), len(_STREAMS))
  options = config.to_dict()
  options["mcle"]["prior"] = "knowledge_source"  # a campaign has no videos to search in
  strategy = SELECTION[name]
  if strategy.learns_from_knowledge_source(options) and not data.ids.knowledge_source:
    raise DataError(f"campaign.strategy = {name!r} learns from Knowledge-Source: set "
                    "data.annotations and data.knowledge_subset")
  shared = Shared(
      data=data, options=options, attention=localizers.stage_wise_settings(config),
      key=lambda name: keys[_STREAMS[name]] if name in _STREAMS else context.strategy_key(
          config, 0, name),
      path=lambda file: folder / file, report=report)
  return context.Context(
      config=config, seed=0, data=data, localizer=localizer, selection={name: strategy(shared)},
      truth=ground_truth(data.testing_annotations, data.ids.testing, data.classes),
      annotate=None, first=learner.init(
          keys[_STREAMS["learner"]], data.selection, num_classes=len(data.classes),
          num_videos=len(data.ids.selection), localizer=localizer))


def _make_way(folder: pathlib.Path, before: Mapping[str, Any] | None, now: Mapping[str, Any],
              report: Reporter) -> None:
  """Tells what changed since the last start; what the learner was goes, if it does not fit."""
  for line in annotate_growth.changes(before, now) if before else ():
    report.say(f"changed since the last start: {line}")
  if before is None or annotate_growth.is_another_lal(before, now):
    for path in (folder / LAL, lal_artifact.episodes_file(folder / LAL)):
      path.unlink(missing_ok=True)
  if before is None or annotate_growth.is_another_learner(before, now):
    if (folder / CHECKPOINTS).exists():
      report.say("the learner is trained again, from the answers of all rounds")
      shutil.rmtree(folder / CHECKPOINTS)


def _check_asked(campaign: Campaign, data: Dataset) -> None:
  """What was asked for must still be in the pool."""
  with campaign.store.read() as db:
    asked = {row["name"] for row in db.execute(
        "SELECT v.name FROM tasks t JOIN videos v ON v.id = t.video_id WHERE NOT t.is_gold")}
  missing = sorted(asked - set(data.ids.selection))
  if missing:
    raise DataError(f"{len(missing)} videos that were asked for are not in the pool any more, e.g. "
                    f"{', '.join(missing[:5])}: put their files, features and labels back")


def opens_early(config: ConfigDict) -> bool:
  """Whether people may be asked for more while the learner trains; nobody simulated is idle."""
  return config.campaign.while_training == "next" and config.campaign.oracle != "simulated"


def _append(directory: Workdir, row: dict[str, Any], names: list[str], early: list[str]) -> None:
  """Adds the row of a round, and its videos; again: in place of what an earlier try has left.

  `early`: those of them that were asked for while the learner trained the round before.
  """
  directory.keep(row["strategy"], row["seed"], row["step"] - 1)
  directory.append(row, {"strategy": row["strategy"], "seed": row["seed"], "step": row["step"],
                         "video_ids": names} | ({"while_training": early} if early else {}))


def _result(row: dict[str, Any]) -> loop.Result:
  return loop.Result(*(row[name] for name in loop.Result._fields))


def _tell(report: Reporter, number: int, now: loop.Progress) -> None:
  disputed = f" ({now.disputed} wait for an operator)" if now.disputed else ""
  late = f" ({now.late} of the rounds before are open)" if now.late else ""
  report.working(f"round {number}{disputed}{late}: tasks decided", now.decided, now.tasks)


def _text(row: dict[str, Any]) -> str:
  measured = "" if row["map"] is None else f", mAP {row['map']:.3f}"
  return (f"round {row['step']}: {row['num_labeled']} videos, {row['num_instances']} instances"
          f"{measured}")
