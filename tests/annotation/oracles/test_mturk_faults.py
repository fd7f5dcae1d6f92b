"""Whatever fails, and wherever the process is killed: no HIT twice, never above the budget, every
answer that was submitted paid once, and the same end (`World.check`, `check_end`)."""

import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import final_answers
from tal_jax.annotation.rules.leases import next_task
from tests.annotation import campaigns
from tests.annotation.crowd_world import SEAT, World
from tests.annotation.fake_mturk import FORGET, Kill

pytestmark = pytest.mark.slow

WORKERS = ("W1", "W2", "W3")
KINDS = ("kill", "throttle", "lose")


class Faults:
  """`planned`: number of the call (before and after count apart) -> kind."""

  def __init__(self, planned):
    self.planned = planned
    self.count = 0

  def __call__(self, operation, when):
    kind = self.planned.get(self.count)
    self.count += 1
    if kind == "kill":
      raise Kill
    return kind


class DyingStore:
  """A store whose process dies before or after a given writing transaction of the oracle."""

  def __init__(self, store, at):
    self._store, self._at, self.count = store, at, 0

  def __getattr__(self, name):
    return getattr(self._store, name)

  @contextlib.contextmanager
  def write(self):
    with self._store.write() as db:
      yield db
      if self._hit():
        raise Kill  # before the commit: undone
    if self._hit():
      raise Kill

  def _hit(self):
    self.count += 1
    return self.count - 1 == self._at


class Mixed(World):
  """Two videos, two answers each; a colleague gives one, so that a seat is left over."""

  def work(self, *names):
    if not self.select("SELECT 1 FROM workers WHERE name = 'ann'"):
      ann = campaigns.enrol(self.made, "ann")
      submit(self.made, ann, next_task(self.made, ann).task_id, "ann's", [(1.0, 11.0)])
    return super().work(*names)


def world(folder, planned, **options):
  faults = Faults(planned)
  made = Mixed(folder, fake={"faults": faults, **options})
  campaigns.ask(made.made, videos=("v0", "v1"))
  return made, faults


def end(made):
  """What every run must come to."""
  made.check_end()
  spend = made.spend()
  final = final_answers(made.made, 0)
  made.close()
  return final, spend


def undisturbed(folder):
  made, faults = world(folder, {})
  made.run(*WORKERS)
  assert "UpdateExpirationForHIT" in {name for name, _ in made.fake.calls}
  return end(made), faults.count


def test_killed_at_every_call(tmp_path):
  expected, count = undisturbed(tmp_path / "whole")
  assert expected[1].paid == 3 * SEAT and count > 25
  for at in range(count):
    made, _ = world(tmp_path / str(at), {at: "kill"})
    made.run(*WORKERS)
    assert made.deaths == 1
    assert end(made) == expected, at


def test_killed_at_every_transaction(tmp_path):
  expected, _ = undisturbed(tmp_path / "whole")
  for at in itertools.count():
    made, _ = world(tmp_path / str(at), {})
    real = made.made
    dying = DyingStore(real.store, at)
    for _ in range(60):
      made.made = real._replace(store=dying)  # workers and checks have the real one
      try:
        advance(made, real)
      finally:
        made.made = real
      if made.is_over():
        break
      made.work(*WORKERS)
      made.made.clock.now += 300
    assert end(made) == expected, at
    if not made.deaths:
      break
  assert at > 20


def advance(made, real):
  """`World.advance`, where the oracle alone has the store that dies."""
  dying = made.made
  made.made = real
  try:
    while True:
      try:
        made.made = dying
        if made.turk is None:
          made.start()
        made.turk.advance()
        return
      except Kill:
        made.turk = None
        made.deaths += 1
      finally:
        made.made = real
        made.check()
  finally:
    made.made = dying


@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=st.dictionaries(st.integers(0, 60), st.sampled_from(KINDS), min_size=1, max_size=8),
       seed=st.integers(0, 3), page=st.sampled_from([1, 2, 100]),
       repeats=st.sampled_from(["error", "same"]), wait=st.sampled_from([1, 5, 3 * 60, 25 * 60]))
def test_any_faults(tmp_path_factory, planned, seed, page, repeats, wait):
  """Faults of all kinds in one run, with minutes to a day (request tokens forgotten) between."""
  folder = tmp_path_factory.mktemp("faults")
  made, _ = world(folder / "w", planned, seed=seed, page=page, repeats=repeats)
  made.run(*WORKERS, minutes=wait)
  final, spend = end(made)
  assert [s[:2] for a in final for s in a.segments] == [(1.0, 11.0), (2.0, 12.0)]
  assert spend.paid == 3 * SEAT


def test_the_fake_forgets_tokens():
  """Else the tests above could not tell."""
  assert 25 * 3600 > FORGET
