"""The learner of a campaign: rounds of selection, people's answers and training, until the budget.

`tal_jax.annotation.loop` says what is written in which order, and why a kill between any two
writes loses nothing.
"""

from __future__ import annotations

import functools
import hashlib
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments import annotate_setup, context, localizers
from experiments.annotate_setup import Setup
from experiments.reporter import Reporter
from experiments.workdir import Workdir
from tal_jax import learner
from tal_jax.annotation import campaign_data, exports, loop
from tal_jax.annotation.campaign import Campaign
from tal_jax.checkpoints import Checkpoints
from tal_jax.data.ground_truth import ground_truth
from tal_jax.data.types import DataError, Dataset
from tal_jax.models import localizer as localizer_lib
from tal_jax.models import stage_wise
from tal_jax.pool import take
from tal_jax.selection import NEEDS, SELECTION, prior

EXPORT = "annotations.json"
# What may change between two starts of a campaign; all else makes the learner.
_FREE = ("campaign", "name", "batch_size", "budget_ratio", "tensorboard", "oracle")
_LEARNER, _LAL = range(2)  # random streams


class _Plan(NamedTuple):
  """How much is to be labelled."""

  initial: int  # videos of round 0, at random [paper, Sec. 4.1]
  batch: int  # videos of each other round
  budget: int  # videos in all
  limit: int  # rounds; 0: no limit

  def rounds_left(self, number: int, labeled: int) -> int:
    """How many rounds there are from `number` on, with `labeled` videos before it."""
    more = (math.ceil((self.budget - labeled) / self.batch) if number
            else 1 + math.ceil((self.budget - self.initial) / self.batch))
    return max(min(more, self.limit - number) if self.limit else more, 0)


def run(config: ConfigDict, campaign: Campaign, setup: Setup, folder: pathlib.Path,
        report: Reporter, advance: Callable[[], None]) -> None:
  """Goes on from wherever the campaign is, until its budget is spent.

  Args:
    config: from `annotate_setup.checked`.
    campaign: open.
    setup: what it works on.
    folder: the work directory.
    report: to whoever runs the campaign.
    advance: one step of the oracle.

  Raises:
    DataError: data that cannot be used, or of another campaign.
    RequestError: the learner's rounds are not those of the database.
  """
  data = load(config, setup, report)
  _check_asked(campaign, data)
  directory = Workdir(folder, _identity(config, data))
  shared = _context(config, data, folder, report)
  checkpoints = Checkpoints(folder / "checkpoints")
  state = checkpoints.restore(shared.first)
  rows = directory.rows(config.campaign.strategy, 0)
  if state is not None and int(state.step) >= len(rows):
    state = None  # its rows are gone: the answers are read again
  done = -1 if state is None else int(state.step)
  if any(folder.glob("*.jsonl")):  # without results the configuration may still be changed
    directory.keep(config.campaign.strategy, 0, done)
  if state is not None:  # killed after the checkpoint
    loop.record(campaign, done, _result(rows[done]))
  number, plan = done + 1, _plan(config, len(data.ids.selection))
  labeled = rows[done]["num_labeled"] if state is not None else 0
  report.expect_more(plan.rounds_left(number, labeled))
  # A round that is open is done, though the plan may have become smaller.
  while plan.rounds_left(number, labeled) or loop.known_round(campaign, number) is not None:
    state, row, names = _round(config, campaign, setup, shared, state, number, plan, folder,
                               report, advance)
    directory.append(row, {"strategy": row["strategy"], "seed": 0, "step": number,
                           "video_ids": names})
    checkpoints.save(state)
    loop.record(campaign, number, _result(row))
    exports.write(campaign, folder / EXPORT, "activitynet")
    report.step(_text(row))
    number, labeled = number + 1, row["num_labeled"]
  checkpoints.close()
  loop.finish(campaign)
  exports.write(campaign, folder / EXPORT, "activitynet")


def load(config: ConfigDict, setup: Setup, report: Reporter) -> Dataset:
  """The pools, on the devices unless they are memory-mapped files."""
  options = config.data.to_dict()
  for name in ("seed", "annotations", "annotations_format"):  # read already
    options.pop(name)
  reads = localizers.make(config).reads
  data = campaign_data.load(
      {video_id: setup.probes[video_id] for video_id in setup.pool}, setup.intended,
      setup.annotated, slots=config.campaign.slots_per_label, encoder=config.encoder, reads=reads,
      progress=functools.partial(report.working, "loading videos"), **options)
  report.say(f"{len(data.ids.selection)} Selection, {len(data.ids.testing)} Testing, "
             f"{len(data.ids.knowledge_source)} Knowledge-Source videos, {len(data.classes)} "
             f"classes, {context.describe(data.selection, reads)}.")
  return context.place(data)


def _round(config: ConfigDict, campaign: Campaign, setup: Setup, shared: context.Context,
           state: learner.LearnerState | None, number: int, plan: _Plan, folder: pathlib.Path,
           report: Reporter, advance: Callable[[], None]
           ) -> tuple[learner.LearnerState, dict[str, Any], list[str]]:
  """One round: the state after it, its row of metrics, and its videos."""
  options, data = config.campaign, shared.data
  ids, pool = data.ids.selection, data.selection
  begun = 0.0

  def show(names: list[str]) -> None:
    annotate_setup.show(campaign, setup, names, folder / annotate_setup.MEDIA,
                        height=options.proxy_height, progress=functools.partial(
                            report.working, f"round {number}: videos for browsers"))

  def wait() -> None:
    nonlocal begun
    if options.suggestions and state is not None:
      names = loop.known_round(campaign, number)
      asked = take(pool, np.array([ids.index(name) for name in names]))
      loop.suggest(campaign, number, names, setup.intended, data.classes,
                   shared.localizer.detect(state.model, asked))
    loop.wait(campaign, number, advance=advance, poll_seconds=options.poll_seconds,
              report=functools.partial(_tell, report, number))
    begun = time.perf_counter()

  people = loop.human_oracle(campaign, number, ids, setup.intended, data.classes, opened=show,
                             wait=wait)
  if state is None:
    state, info = learner.start(shared.first, pool, annotate=people, num_initial=plan.initial)
  else:
    left = max(plan.budget - int(state.labeled.sum()), 1)
    state, info = learner.step(
        state, pool, annotate=people, batch_size=min(plan.batch, left),
        select=loop.selector(campaign, number, ids, SELECTION[options.strategy]))
  if said := localizer_lib.statement(info.fit):
    report.say(f"round {number}: {said}")
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
  return state, row, [ids[i] for i in info.indices]


def _context(config: ConfigDict, data: Dataset, folder: pathlib.Path,
             report: Reporter) -> context.Context:
  localizer = localizers.make(config)
  settings = localizers.stage_wise_settings(config)
  keys = jax.random.split(jax.random.key(config.data.seed), 2)
  need = NEEDS.get(config.campaign.strategy)
  has_own = need == "lal" and config.lal.artifact
  if need and not has_own and not data.ids.knowledge_source:
    raise DataError(f"campaign.strategy = {config.campaign.strategy!r} learns from "
                    "Knowledge-Source: set data.annotations and data.knowledge_subset")
  knowledge = learner.Knowledge()
  if need == "prior":
    w0 = prior.from_knowledge_source(data.knowledge_source, settings)
    knowledge = learner.Knowledge(
        prior=w0, prior_decisions=stage_wise.decision(w0, data.selection))
  elif need == "lal":
    knowledge = learner.Knowledge(lal=context.lal_selector(
        config, data, settings, keys[_LAL], folder / "lal.npz", report))
  return context.Context(
      config=config, seed=0, data=data, localizer=localizer, knowledge=knowledge,
      truth=ground_truth(data.testing_annotations, data.ids.testing, data.classes),
      annotate=None, first=learner.init(
          keys[_LEARNER], data.selection, num_classes=len(data.classes),
          num_videos=len(data.ids.selection), localizer=localizer, knowledge=knowledge))


def _identity(config: ConfigDict, data: Dataset) -> dict[str, Any]:
  """What must be the same at every start: the learner's settings, and the pool with its labels."""
  labels = np.asarray(data.selection.truth_labels)
  digest = hashlib.sha256(repr((data.ids, data.classes, labels.shape)).encode())
  digest.update(labels.tobytes())
  settings = {name: value for name, value in config.to_dict().items() if name not in _FREE}
  return settings | {
      "pool": {"videos": len(data.ids.selection), "classes": list(data.classes),
               "videos_and_labels": digest.hexdigest()[:16]},
      "campaign": {"num_initial": config.campaign.num_initial}}


def _check_asked(campaign: Campaign, data: Dataset) -> None:
  """What was asked for must still be in the pool."""
  with campaign.store.read() as db:
    asked = {row["name"] for row in db.execute(
        "SELECT v.name FROM tasks t JOIN videos v ON v.id = t.video_id WHERE NOT t.is_gold")}
  missing = sorted(asked - set(data.ids.selection))
  if missing:
    raise DataError(f"{len(missing)} videos that were asked for are not in the pool any more, e.g. "
                    f"{', '.join(missing[:5])}: put their files, features and labels back")


def _plan(config: ConfigDict, total: int) -> _Plan:
  initial = min(total, config.campaign.num_initial or max(1, round(config.initial_ratio * total)))
  budget = max(initial, round(config.budget_ratio * total))
  return _Plan(initial, config.batch_size, max(initial, min(
      budget, config.campaign.max_videos or budget)), config.campaign.num_rounds)


def _result(row: dict[str, Any]) -> loop.Result:
  return loop.Result(*(row[name] for name in loop.Result._fields))


def _tell(report: Reporter, number: int, now: loop.Progress) -> None:
  disputed = f" ({now.disputed} wait for an operator)" if now.disputed else ""
  report.working(f"round {number}{disputed}: tasks decided", now.decided, now.tasks)


def _text(row: dict[str, Any]) -> str:
  measured = "" if row["map"] is None else f", mAP {row['map']:.3f}"
  return (f"round {row['step']}: {row['num_labeled']} videos, {row['num_instances']} instances"
          f"{measured}")
