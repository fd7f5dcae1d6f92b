"""TAG for experiments.propose: actionness by a linear SVM on single rows, then grouping."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from tal_jax.data.records import ScoredProposals
from tal_jax.errors import DataError
from tal_jax.proposals import actionness, tag
from tal_jax.proposals.daps.windows import usable_rows
from tal_jax.runs.propose.data import ProposalData
from tal_jax.runs.reporter import Reporter

_ROWS = 3  # random stream


def proposer(config: ConfigDict, data: ProposalData,
             report: Reporter) -> Callable[[str], ScoredProposals]:
  """Fits actionness on at most `tag.max_rows` rows of the training videos, drawn by the seed."""
  options = config.tag
  if not data.training:
    raise DataError("tag learns actionness from videos with truths, and this source has no "
                    "training set: take a source with a split, e.g. configs/propose.py:files")
  rows, labels = [], []
  for i, video_id in enumerate(data.training):
    features = data.features(video_id)
    some, index = usable_rows(features, video_id)
    rows.append(some)
    labels.append(actionness.row_labels(len(features.values), features.grid,
                                        data.annotations.videos[video_id].segments)[index])
    report.working("rows of video", i + 1, len(data.training))
  rows, labels = np.concatenate(rows), np.concatenate(labels)
  chosen = np.random.default_rng([config.seed, _ROWS]).permutation(len(rows))[:options.max_rows]
  params = actionness.fit(rows[chosen], labels[chosen], c=options.svm_c)

  def propose(video_id: str) -> ScoredProposals:
    features = data.features(video_id)
    some, index = usable_rows(features, video_id)
    # Rows without values take the line between their neighbours.
    signal = np.interp(np.arange(len(features.values)), index,
                       actionness.actionness(params, some))
    return tag.propose(signal, features.grid, data.annotations.videos[video_id].duration,
                       smoothing=options.smoothing, score=options.score,
                       nms_threshold=options.nms_threshold, num_proposals=config.num_proposals)

  return propose
