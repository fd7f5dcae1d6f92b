"""Fixtures for the tests of campaigns."""

import pytest

from tests.annotation import campaigns


@pytest.fixture
def make(tmp_path):
  """Opens small campaigns (`campaigns.make`); at the end their invariants must hold."""
  opened = []

  def open_one(**more):
    opened.append(campaigns.make(tmp_path / f"{len(opened)}.db", **more))
    return opened[-1]

  yield open_one
  for made in opened:
    campaigns.check(made)
    made.store.close()
