"""What the settings of a campaign may be; a fault names setting, value and bounds."""

import math
import re

import pytest
from ml_collections import ConfigDict

from configs import campaign as campaign_config
from tal_jax.errors import DataError
from tal_jax.runs.campaign import ranges as campaign_ranges, setup as annotate_setup


def config(**changes):
  made = campaign_config.get_config()
  made.update_from_flattened_dict({"campaign.videos": "v", "campaign.labels": "l",
                                   "data.features": "f"} | changes)
  return made


def numbers(section, before):
  for name, value in section.items():
    if isinstance(value, ConfigDict):
      yield from numbers(value, f"{before}{name}.")
    elif type(value) in (int, float):
      yield before + name


def test_every_number_has_bounds_and_every_default_is_within_them():
  made = config()
  found = {*numbers(made.campaign, "campaign."), *numbers(made.data, "data.")}
  assert found - set(campaign_ranges.NUMBERS) == {"data.seed"}
  campaign_ranges.check(made)


@pytest.mark.parametrize("name", sorted(campaign_ranges.NUMBERS))
def test_numbers_out_of_bounds(name):
  bounds = campaign_ranges.NUMBERS[name]
  kind = type(_at(config(), name))
  bad = [kind(bounds.least - 1)] + [kind(bounds.least)] * bounds.excluded
  if math.isfinite(bounds.most):
    bad.append(kind(bounds.most + 1))
  if kind is float:
    bad += [math.nan, math.inf]
  for value in bad:
    with pytest.raises(DataError, match="^" + re.escape(f"{name} = {value!r}: it must be ")):
      campaign_ranges.check(config(**{name: value}))


def _at(section, name):
  for part in name.split("."):
    section = section[part]
  return section


@pytest.mark.parametrize(("changes", "message"), [
    ({"campaign.policy.min_agreement": 80.0},
     "campaign.policy.min_agreement = 80.0: it must be from 0 to 1"),
    ({"campaign.policy.gold_every": -1},
     "campaign.policy.gold_every = -1: it must be at least 0 (0: none)"),
    ({"campaign.policy.annotators": 6},
     "campaign.policy.annotators = 6: it must be from 1 to policy.max_annotators, which is 5"),
    ({"campaign.strategy": "entropy"}, "campaign.strategy = 'entropy': it must be one of random,"),
    ({"campaign.ask": "every"}, "campaign.ask = 'every': it must be one of labels, all"),
    ({"campaign.ids": "names"}, "campaign.ids = 'names': it must be one of name, path"),
    ({"campaign.oracle": "nobody"}, "campaign.oracle = 'nobody': it must be one of label_studio,"),
    ({"campaign.title": " "}, "campaign.title = ' ': it must be a line of 1 to 200 characters"),
    ({"campaign.title": "x" * 201}, "it must be a line of 1 to 200 characters"),
    ({"campaign.host": ""}, "campaign.host = '': it must be a name or an address"),
    ({"campaign.host": "http://0.0.0.0"}, "it must be a name or an address of this machine"),
    ({"campaign.host": "0.0.0.0"}, "add --config.campaign.address=http://"),
    ({"campaign.host": "127.0.0.1:80"}, "without http:// and port"),
    ({"campaign.address": "lab.example.org"},
     "campaign.address = 'lab.example.org': the public address"),
    ({"campaign.address": "http://lab:eight"}, "campaign.address = 'http://lab:eight'"),
    ({"data.windows.ratio": 1.0},
     "data.windows.ratio = 1.0: it must be above 1, and at most 100")])
def test_faults(changes, message):
  with pytest.raises(DataError, match=re.escape(message)):
    annotate_setup.checked(config(**changes))


@pytest.mark.parametrize("changes", [
    {"campaign.host": "::1"}, {"campaign.host": "0.0.0.0", "campaign.address": "http://lab7:8000"},
    {"campaign.host": "lab.example.org"},
    {"campaign.address": "https://lab.example.org/annotate/"}, {"campaign.port": 0},
    {"campaign.policy.min_agreement": 1.0}, {"campaign.policy.max_annotators": 3}])
def test_what_may_be(changes):
  annotate_setup.checked(config(**changes))
