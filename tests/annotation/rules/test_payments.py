"""The ledger: the budget holds whatever is asked of it, and a repeated call changes nothing."""

import sqlite3

import hypothesis
import pytest
from hypothesis import strategies as st

from tal_jax.annotation import schema, store
from tal_jax.annotation.errors import Conflict, InvalidAnswer, NotFound
from tal_jax.annotation.rules import payments
from tal_jax.annotation.rules.payments import (
  BudgetExceeded,
  Spend,
  paid,
  reserve,
  returned,
  set_budget,
)
from tests.annotation import campaigns


@pytest.fixture
def made(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  with made.store.write() as db:
    set_budget(db, 1000, now=0.0)
  yield made
  made.store.close()


def call(made, function, *args, **more):
  with made.store.write() as db:
    return function(db, *args, now=1.0, **more)


def spend(made):
  with made.store.read() as db:
    return payments.spend(db)


def test_without_a_budget_nothing_can_be_reserved(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  assert spend(made) == Spend(0, 0, 0)
  with pytest.raises(BudgetExceeded):
    call(made, reserve, "a", 1)
  made.store.close()


def test_a_request_from_end_to_end(made):
  assert call(made, reserve, "hit 1", 600) is True
  assert spend(made) == Spend(1000, 600, 0)
  assert call(made, paid, "hit 1", 200, part="mturk:A") is True
  assert call(made, paid, "hit 1", 150, part="mturk:B") is True
  assert spend(made) == Spend(1000, 250, 350)
  assert call(made, returned, "hit 1") == 250
  assert spend(made) == Spend(1000, 0, 350)
  assert call(made, reserve, "hit 2", 650) is True  # all that is left, to the cent
  assert call(made, paid, "hit 2", 650) is True
  assert call(made, returned, "hit 2") == 0
  assert spend(made) == Spend(1000, 0, 1000)
  assert [e["kind"] for e in campaigns.select(made, "SELECT kind FROM events ORDER BY id")] == [
      "budget.set", "payments.reserved", "payments.paid", "payments.paid", "payments.returned",
      "payments.reserved", "payments.paid"]


def test_the_budget_is_hard(made):
  call(made, reserve, "a", 700)
  for cents in (301, 10**12):
    with pytest.raises(BudgetExceeded, match="700 reserved"):
      call(made, reserve, "b", cents)
  call(made, paid, "a", 700)
  with pytest.raises(BudgetExceeded, match="700 are\\s+paid"):
    call(made, reserve, "b", 301)
  assert call(made, reserve, "b", 300) is True
  with pytest.raises(BudgetExceeded):
    call(made, paid, "b", 301)
  with pytest.raises(BudgetExceeded):
    call(made, set_budget, 999)
  assert spend(made) == Spend(1000, 300, 700)


def test_a_reservation_is_hard(made):
  """Whatever the budget still holds."""
  call(made, reserve, "a", 600)
  call(made, paid, "a", 200, part="A")
  with pytest.raises(BudgetExceeded, match="holds 400"):
    call(made, paid, "a", 401, part="B")
  assert call(made, paid, "a", 400, part="B") is True


def test_again_changes_nothing(made):
  assert [call(made, reserve, "a", 600) for _ in range(3)] == [True, False, False]
  assert [call(made, paid, "a", 200, part="A") for _ in range(3)] == [True, False, False]
  assert [call(made, returned, "a") for _ in range(3)] == [400, 0, 0]
  assert call(made, paid, "a", 200, part="A") is False  # known, though the rest is returned
  assert call(made, reserve, "a", 600) is False
  call(made, set_budget, 1000)
  assert spend(made) == Spend(1000, 0, 200)
  assert len(campaigns.select(made, "SELECT * FROM events")) == 4
  for contradiction in ((reserve, "a", 601), (paid, "a", 201, "A"), (paid, "a", 1, "B")):
    function, token, cents, *part = contradiction
    with pytest.raises(Conflict):
      call(made, function, token, cents, **({"part": part[0]} if part else {}))
  assert spend(made) == Spend(1000, 0, 200)


@pytest.mark.parametrize("cents", [0, -1, 1.5, True, "5", None])
def test_bad_amounts(made, cents):
  call(made, reserve, "known", 10)
  for function, token in ((reserve, "a"), (paid, "known")):
    with pytest.raises(InvalidAnswer):
      call(made, function, token, cents)
  if cents != 0:
    with pytest.raises(InvalidAnswer):
      call(made, set_budget, cents)


def test_bad_tokens(made):
  for token in ("", "x" * 65, None, 7):
    with pytest.raises(InvalidAnswer):
      call(made, reserve, token, 1)
  call(made, reserve, "x" * 64, 1)
  for function, args in ((paid, (1,)), (returned, ())):
    with pytest.raises(NotFound):
      call(made, function, "unknown", *args)


_STEP = st.tuples(st.sampled_from(["reserve", "paid", "returned", "budget"]),
                  st.sampled_from(["a", "b", "c"]), st.integers(1, 60), st.sampled_from(["A", "B"]))


@hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
@hypothesis.given(st.lists(_STEP, max_size=30))
def test_against_a_plain_ledger(steps):
  """A dictionary kept beside it says the same, step by step."""
  db = sqlite3.connect(":memory:", isolation_level=None)
  db.row_factory = sqlite3.Row
  schema.migrate(db)
  budget, held, gone, is_open = 0, {}, {}, {}
  for name, token, cents, part in steps:
    reserved = sum(held[t] - sum(gone[t].values()) for t in held if is_open[t])
    total = reserved + sum(sum(g.values()) for g in gone.values())
    db.execute("BEGIN")
    try:
      if name == "budget":
        fine = total <= cents * 3
        set_budget(db, cents * 3, now=0.0)
        budget = cents * 3
      elif name == "reserve":
        fine = held.get(token) == cents if token in held else total + cents <= budget
        reserve(db, token, cents, now=0.0)
        if token not in held:
          held[token], gone[token], is_open[token] = cents, {}, True
      elif name == "paid":
        left = held.get(token, 0) - sum(gone.get(token, {}).values())
        fine = token in held and (gone[token][part] == cents if part in gone[token]
                                  else is_open[token] and cents <= left)
        paid(db, token, cents, part=part, now=0.0)
        gone[token][part] = cents
      else:
        fine = token in held
        returned(db, token, now=0.0)
        is_open[token] = False
      assert fine
    except (Conflict, NotFound):
      assert not fine
    db.execute("COMMIT")
    found = payments.spend(db)
    assert found.budget_cents == budget and found.reserved + found.paid <= budget
    assert found.paid == sum(sum(g.values()) for g in gone.values())
    assert found.reserved == sum(held[t] - sum(gone[t].values()) for t in held if is_open[t])
  db.close()


def test_two_processes_cannot_reserve_the_same_money(tmp_path):
  """The check and the reservation are one transaction: a second writer sees the first's."""
  made = campaigns.make(tmp_path / "c.db")
  call(made, set_budget, 100)
  with store.Store(tmp_path / "c.db") as other, other.write() as db:
    reserve(db, "theirs", 60, now=0.0)
  with pytest.raises(BudgetExceeded):
    call(made, reserve, "ours", 60)
  made.store.close()
