"""How many videos a campaign labels, in which rounds."""

from __future__ import annotations

import math
from typing import NamedTuple

from ml_collections import ConfigDict

from tal_jax.annotation.campaign import Campaign
from tal_jax.annotation.rules import rounds
from tal_jax.data.dataset import Dataset


class Plan(NamedTuple):
  """How much is to be labelled."""

  initial: int  # videos of round 0, at random [paper, Sec. 4.1]
  batch: int  # videos of each other round
  budget: int  # videos in all
  limit: int  # rounds; 0: no limit

  def rounds_left(self, number: int, asked: int, free: int) -> int:
    """How many rounds there are from `number` on.

    Args:
      number: of the next round.
      asked: videos that were asked for before it, without those that were left out.
      free: videos that can be asked for.
    """
    more = (math.ceil(self.videos_left(asked, free) / self.batch) if number
            else 1 + math.ceil((self.budget - self.initial) / self.batch))
    return max(min(more, self.limit - number) if self.limit else more, 0)

  def videos_left(self, asked: int, free: int) -> int:
    """How many videos are still to be asked for; arguments as above."""
    return max(min(self.budget - asked, free), 0)


def asked_videos(campaign: Campaign, data: Dataset) -> tuple[int, int]:
  """How many videos were asked for, and how many can be asked for."""
  free = set(data.ids.selection) - rounds.unavailable(campaign)
  return rounds.num_asked(campaign), len(free)


def make_plan(config: ConfigDict, total: int) -> Plan:
  initial = min(total, config.campaign.num_initial or max(1, round(config.initial_ratio * total)))
  budget = max(initial, round(config.budget_ratio * total))
  return Plan(initial, config.batch_size, max(initial, min(
      budget, config.campaign.max_videos or budget)), config.campaign.num_rounds)
