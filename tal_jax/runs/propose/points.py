"""Points for experiments.propose: the point detector with one class, "action"."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from tal_jax.data import annotations as annotations_lib, assemble
from tal_jax.data.records import RawData, ScoredProposals, Split
from tal_jax.errors import DataError
from tal_jax.models.localizer import statement
from tal_jax.models.point import decoding, detector
from tal_jax.pool import ROWS
from tal_jax.runs import learner_checks, localizers, value_ranges
from tal_jax.runs.propose import data as propose_data
from tal_jax.runs.propose.data import ProposalData
from tal_jax.runs.reporter import Reporter

_TRAINING = 4  # random stream


def proposer(config: ConfigDict, data: ProposalData,
             report: Reporter) -> Callable[[str], ScoredProposals]:
  """Trains the detector on the training videos, whatever their classes, and scores all videos."""
  localizers.check_rows("points", config.points, localizers.CONTEXTS)
  value_ranges.check(config.points, (("members", config.points.members >= 1, "at least 1"),),
                     section="points")
  if not data.training:
    raise DataError("points learn from videos with truths, and this source has no training set: "
                    "take a source with a split, e.g. configs/propose.py:files")
  propose_data.check_truths(data)
  one_class = annotations_lib.from_videos(
      video._replace(labels=("action",) * len(video.labels))
      for video in data.annotations.videos.values())
  pools = assemble.assemble(
      RawData(one_class, data.features, None, Split((), data.training, data.ids), None,
              data.caption), name="propose", encoder="mean", reads=(ROWS,),
      progress=lambda done, total: report.working("rows of video", done, total))
  num = config.num_proposals
  model = detector.Point(detector.Settings(
      context=config.points.context, width=config.points.width,
      members=config.points.members, steps=config.points.steps,
      longest_crop=config.points.longest_crop, schedule=localizers.schedule(config.points),
      decoding=decoding.Settings(candidates=3 * num, kept=num, most=num,
                                 sigma=config.points.soft_nms_sigma)))
  key = jax.random.fold_in(jax.random.key(config.seed), _TRAINING)
  params, fit, _ = model.fit(key, pools.selection, np.ones(len(data.training), bool),
                             start=model.init(pools.selection, 1), memory=None)
  learner_checks.check_training(config, "points", params, fit, pools,
                                when=f"{len(data.training)} training videos")
  if line := statement(fit):
    report.say(line)
  found = model.detect(params, pools.testing)
  index = {video_id: i for i, video_id in enumerate(data.ids)}

  def propose(video_id: str) -> ScoredProposals:
    i = index[video_id]
    return ScoredProposals(found.segments[i][found.mask[i]].astype(np.float64),
                           found.scores[i][found.mask[i]].astype(np.float64))

  return propose
