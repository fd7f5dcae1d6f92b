"""The data set that a run works on: three pools of videos, and what goes with them."""

from __future__ import annotations

from typing import NamedTuple

from tal_jax.data.records import Annotations, SearchResults, Split
from tal_jax.pool import VideoPool


class Dataset(NamedTuple):
  """The three pools of the paper's protocol (Sec. 4.1) and what goes with them."""

  name: str
  caption: str
  classes: tuple[str, ...]  # of Selection and Testing; `truth_labels` index it
  knowledge_classes: tuple[str, ...]  # of Knowledge-Source
  knowledge_source: VideoPool
  selection: VideoPool
  testing: VideoPool
  ids: Split  # in the pools' order
  testing_annotations: Annotations  # float64, what the metrics compare with
  search: SearchResults | None
