"""One pool and one trained learner for all tests of selection functions."""

import pytest

from tests import pools


@pytest.fixture(scope="session")
def testing():
  return pools.videos(seed=1)


@pytest.fixture(scope="session")
def pool():
  return pools.videos(seed=0)


@pytest.fixture(scope="session")
def state(pool):
  """A learner with 4 of 16 labels and a trained model."""
  return pools.started(pool)


@pytest.fixture(scope="session")
def selects(pool, testing):
  """Every selection function for that pool, by its name."""
  return pools.prepared(pool, testing)
