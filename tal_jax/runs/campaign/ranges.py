"""What each setting of a campaign may be: looked at before any work is done."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ml_collections import ConfigDict

from tal_jax.annotation import oracles
from tal_jax.annotation.web import address
from tal_jax.errors import DataError
from tal_jax.runs import value_ranges
from tal_jax.selection import SELECTION

ASKS = ("labels", "all")
WHILE_TRAINING = ("next", "wait")
LONGEST_NAME = 200  # characters of a class, an annotator, a title: what a page can filter by
_MONTH = 30 * 86_400.0  # seconds


class Bounds(NamedTuple):
  """A finite number from `least` to `most`; a bound that is `excluded` is none of them."""

  least: float
  most: float = math.inf
  note: str = ""
  excluded: bool = False  # `least`

  def hold(self, value: float) -> bool:
    above = value > self.least if self.excluded else value >= self.least
    return above and value <= self.most and math.isfinite(value)

  def __str__(self) -> str:
    if math.isinf(self.most):
      text = f"above {self.least:g}" if self.excluded else f"at least {self.least:g}"
    elif self.excluded:
      text = f"above {self.least:g}, and at most {self.most:g}"
    else:
      text = f"from {self.least:g} to {self.most:g}"
    return text + (f" ({self.note})" if self.note else "")


_SHARE = Bounds(0, 1)
NUMBERS: Mapping[str, Bounds] = {
    "campaign.num_classes": Bounds(0, note="0: all"),
    "campaign.num_initial": Bounds(0, note="0: by initial_ratio"),
    "campaign.max_videos": Bounds(0, note="0: by budget_ratio"),
    "campaign.num_rounds": Bounds(0, note="0: as many as there are"),
    "campaign.round_quorum": Bounds(0, 1, excluded=True),
    "campaign.slots_per_label": Bounds(1, 10_000),
    "campaign.port": Bounds(0, 65_535, "0: any that is free"),
    "campaign.poll_seconds": Bounds(0, 3600, excluded=True),
    "campaign.proxy_height": Bounds(64, 4320, "pixels"),
    "campaign.policy.annotators": Bounds(1, 100),
    "campaign.policy.max_annotators": Bounds(1, 100),
    "campaign.policy.min_agreement": _SHARE,
    "campaign.policy.cluster_tiou": Bounds(0, 1, excluded=True),
    "campaign.policy.match_tiou": Bounds(0, 1, excluded=True),
    "campaign.policy.lease_seconds": Bounds(0, _MONTH, "30 days", excluded=True),
    "campaign.policy.max_segments": Bounds(1, 5000),
    "campaign.policy.max_comment": Bounds(0, 100_000, "characters"),
    "campaign.policy.max_draft": Bounds(1000, 200_000, "characters"),
    "campaign.policy.gold_before": Bounds(0),
    "campaign.policy.gold_every": Bounds(0, note="0: none"),
    "campaign.policy.min_gold_f1": _SHARE,
    "campaign.policy.min_worker_f1": _SHARE,
    "campaign.policy.min_compared": Bounds(1),
    "campaign.local.days": Bounds(0, 3650, excluded=True),
    "campaign.simulated.days": Bounds(0, 3650, excluded=True),
    "campaign.simulated.workers": Bounds(1, 1000),
    "campaign.simulated.noise": Bounds(0, 0.99),
    "campaign.simulated.noise_sigma": _SHARE,
    "campaign.simulated.miss": _SHARE,
    "campaign.simulated.false_alarms": Bounds(0, 100),
    "campaign.simulated.lazy": _SHARE,
    "campaign.simulated.abandon": _SHARE,
    "campaign.simulated.seed": Bounds(0),
    "campaign.mturk.days": Bounds(0, 3650, excluded=True),
    "campaign.mturk.budget_cents": Bounds(0),
    "campaign.mturk.reward_cents": Bounds(1),
    "campaign.mturk.assignment_seconds": Bounds(30, 31_536_000),
    "campaign.mturk.hit_days": Bounds(0, 360, excluded=True),
    "campaign.mturk.auto_approval_days": Bounds(0, 30, excluded=True),
    "campaign.mturk.every_seconds": Bounds(0, 86_400),
    "campaign.mturk.min_approved": Bounds(0),
    "campaign.mturk.min_approval_percent": Bounds(0, 100),
    "campaign.label_studio.days": Bounds(0, 3650, excluded=True),
    "data.fps": Bounds(0, 10_000, "0: as stored with the features"),
    "data.stride": Bounds(0, 1_000_000, "0: as stored with the features"),
    "data.window": Bounds(0, 1_000_000, "0: as stored with the features"),
    "data.num_proposals": Bounds(0, note="0: all"),
    "data.windows.shortest": Bounds(0, excluded=True),
    "data.windows.longest": Bounds(0, note="0: the video's length"),
    "data.windows.ratio": Bounds(1, 100, excluded=True),
    "data.windows.overlap": Bounds(0, 0.99),
}


def check(config: ConfigDict) -> None:
  """Raises DataError for the first setting that no campaign could use, by its name and value."""
  options = config.campaign
  flat = dict(_numbers(config.campaign, "campaign.")) | dict(_numbers(config.data, "data."))
  value_ranges.check(config, [(name, bounds.hold(flat[name]), str(bounds))
                              for name, bounds in NUMBERS.items() if name in flat])
  policy = options.policy
  value_ranges.check(options, (
      ("policy.annotators", policy.annotators <= policy.max_annotators,
       f"from 1 to policy.max_annotators, which is {policy.max_annotators}"),
      ("ask", options.ask in ASKS, f"one of {', '.join(ASKS)}"),
      ("while_training", options.while_training in WHILE_TRAINING,
       f"one of {', '.join(WHILE_TRAINING)}"),
      ("ids", options.get("ids", "name") in ("name", "path"), "one of name, path"),
      ("strategy", options.strategy in SELECTION,
       f"one of {', '.join(SELECTION)}; there is no {options.strategy}"),
      ("oracle", options.oracle in oracles.ORACLES,
       f"one of {', '.join(sorted(oracles.ORACLES))}; there is no oracle {options.oracle!r}"),
      ("title", _is_line(options.title),
       f"a line of 1 to {LONGEST_NAME} characters, which the pages show"),
      ("host", _is_host(options.host),
       "a name or an address of this machine, without http:// and port, such as 127.0.0.1")),
                     section="campaign")
  if options.host in ("0.0.0.0", "::") and not options.address:
    raise DataError(f"campaign.host = {options.host!r}: links need a name under which people reach "
                    "this machine: add --config.campaign.address="
                    f"http://{socket.gethostname()}:{options.port}, or with another name")
  if options.address:
    try:
      address.parse(options.address)
    except DataError as error:
      raise DataError(f"campaign.address = {options.address!r}: {error}") from error
  if options.strategy == "mcle" and config.mcle.prior != "knowledge_source":
    raise DataError("mcle.prior = 'search' is simulated from annotated videos, which a campaign "
                    "does not have: set --config.mcle.prior=knowledge_source")
  if options.strategy == "greedy_oracle":
    raise DataError("campaign.strategy = 'greedy_oracle' looks at truths that are not known")


def _numbers(section: ConfigDict, before: str) -> Iterator[tuple[str, float]]:
  """The numbers of a section and of those in it, by their full names."""
  for name, value in section.items():
    if isinstance(value, ConfigDict):
      yield from _numbers(value, f"{before}{name}.")
    elif isinstance(value, int | float) and not isinstance(value, bool):
      yield before + name, value


def _is_line(text: str) -> bool:
  return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_NAME


def _is_host(text: str) -> bool:
  is_number = text.count(":") > 1  # IPv6
  return bool(text) and text.isprintable() and not set(text) & set(" /@[]") and (
      is_number or ":" not in text)
