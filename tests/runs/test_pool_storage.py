"""Pools without room in memory are read a second time, into files."""

import types

import numpy as np
import pytest

from tal_jax.data import pool_size
from tal_jax.data.pool_size import TooLarge
from tal_jax.errors import DataError
from tal_jax.runs import pool_storage
from tal_jax.runs.reporter import Reporter


def reads(*outcomes):
  """A reader that does one of the outcomes a call, and keeps the options."""
  given, left = [], list(outcomes)

  def read(options):
    given.append(options)
    outcome = left.pop(0)
    if isinstance(outcome, Exception):
      raise outcome
    return outcome

  return read, given


def test_where_a_pool_goes(tmp_path, monkeypatch):
  said = []
  with Reporter("test") as report:
    monkeypatch.setattr(report, "say", said.append)
    read, given = reads("data")
    assert pool_storage.load(read, {"storage": ""}, tmp_path, report) == "data"
    assert given == [{"storage": ""}] and said == []
    read, given = reads(TooLarge("it needs 9 GB", "do something"), "data")
    assert pool_storage.load(read, {"storage": "", "x": 1}, tmp_path, report) == "data"
    assert given[1] == {"storage": str(tmp_path), "x": 1}
    assert len(said) == 1 and said[0].startswith(f"it needs 9 GB. So it goes to memory-mapped "
                                                 f"files in {tmp_path},")
    for options, folder in (({"storage": "mine"}, tmp_path), ({"storage": ""}, None)):
      with pytest.raises(TooLarge, match="it needs 9 GB: do something"):
        pool_storage.load(reads(TooLarge("it needs 9 GB", "do something"))[0], options, folder,
                          report)
    with pytest.raises(DataError, match="no room there"):
      pool_storage.load(reads(TooLarge("a", "b"), DataError("no room there"))[0],
                        {"storage": ""}, tmp_path, report)


def test_the_pairs_of_the_longest_video(monkeypatch):
  """24 bytes for each of 1,000 * 1,000 pairs are 24 MB, 40 % of 60 MB."""
  def pool(*counts):
    return types.SimpleNamespace(proposal_mask=np.arange(1000) < np.array(counts)[:, None])

  data = types.SimpleNamespace(
      selection=pool(10, 1000, 20), testing=pool(*[5] * 2), ids=types.SimpleNamespace(
          selection=("a", "long", "b"), testing=("t", "u")))
  monkeypatch.setattr(pool_size, "memory", lambda: 60_000_000)
  for model in ("auto", "stage_wise", "paper"):
    pool_storage.check_pairs(model, data)
  monkeypatch.setattr(pool_size, "memory", lambda: 59_000_000)
  pool_storage.check_pairs("paper", data)
  pool_storage.check_pairs("point", data)
  with pytest.raises(DataError, match="'long' alone has 1,000 proposals.*need 24 MB.*"
                                      "num_proposals=900 or less"):
    pool_storage.check_pairs("auto", data)
