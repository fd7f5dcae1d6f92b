"""A campaign, a fake Mechanical Turk, and workers who find their HITs there."""

from collections import Counter

from tal_jax.annotation import workers
from tal_jax.annotation.oracles import mturk, mturk_entry, mturk_seats
from tal_jax.annotation.rules import payments
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.leases import next_task
from tests.annotation import campaigns, fake_mturk

SEAT = 30  # cents: 25 and the fee


class World:
  """`budget`: seats that it holds; `settings`: of the oracle; `policy`: of the campaign."""

  def __init__(self, folder, *, videos=2, annotators=2, budget=20, settings=None, fake=None,
               **policy):
    self.folder = folder
    folder.mkdir(exist_ok=True)
    self.made = campaigns.make(folder / "c.db", videos=videos, annotators=annotators, **policy)
    self.fake = fake_mturk.FakeMTurk(self.made.clock, **(fake or {}))
    self.money = self.fake.balance_cents
    self.settings = mturk.check(mturk.TurkSettings(**{
        "address": "https://host", "budget_cents": budget * SEAT, "every_seconds": 0.0,
        "assignment_seconds": 600} | (settings or {})))
    self.turk = None
    self.deaths = 0

  def start(self):
    self.turk = mturk.Turk(self.made, self.settings, self.folder, self.fake)
    return self.turk.start()

  def advance(self):
    """A step of the program; one that dies is started again, and takes its step."""
    while True:
      try:
        if self.turk is None:
          self.turk = mturk.Turk(self.made, self.settings, self.folder, self.fake)
          with self.made.store.write() as db:
            payments.set_budget(db, self.settings.budget_cents, now=self.made.clock())
        self.turk.advance()
        return self.check()
      except fake_mturk.Kill:
        self.turk = None
        self.deaths += 1
        self.check()

  def accept(self, worker):
    """(assignment, token) of the first HIT that the worker can have; None without one."""
    for hit in sorted(self.fake.hits):
      assignment = self.fake.accept(hit, worker)
      if assignment:
        return assignment, mturk_entry.enter(self.made, self.fake.query(assignment)).token
    return None

  def id_of(self, token):
    with self.made.store.read() as db:
      return workers.authenticate(db, token, now=self.made.clock()).id

  def answer(self, token, segments=None):
    """Answers the next task of the worker; the task, or None if there is none."""
    worker = self.id_of(token)
    lease = next_task(self.made, worker)
    if lease is None:
      return None
    given = [(lease.task_id, lease.task_id + 10.0)] if segments is None else segments
    submit(self.made, worker, lease.task_id, f"{worker} {lease.task_id}", given)
    return lease.task_id

  def work(self, *names):
    """Everybody takes one HIT, answers, and submits it; how many did."""
    done = 0
    for name in names:
      taken = self.accept(name)
      if taken is None:
        continue
      if self.answer(taken[1]) is None:
        self.fake.give_back(taken[0])
      else:
        self.fake.submit(taken[0])
        done += 1
    return done

  def run(self, *names, most=60, minutes=5):
    """Steps and work in turn until everything is closed; `minutes` pass each time."""
    for _ in range(most):
      self.advance()
      if self.is_over():
        return
      self.work(*names)
      self.made.clock.now += 60 * minutes
    raise AssertionError(f"not over after {most} steps: {self.select('SELECT * FROM hits')}")

  def is_over(self):
    rounds = {row["state"] for row in self.select("SELECT state FROM rounds")}
    hits = {row["state"] for row in self.select("SELECT state FROM hits")}
    return rounds == {"complete"} and hits <= {"closed"}

  def select(self, query, *values):
    return campaigns.select(self.made, query, *values)

  def spend(self):
    with self.made.store.read() as db:
      return payments.spend(db)

  def shortage(self):
    with self.made.store.read() as db:
      return mturk_seats.shortage(db)

  def check(self):
    """What must hold at any time, whatever happened."""
    campaigns.check(self.made)
    notes = Counter(hit["note"] for hit in self.fake.hits.values())
    assert max(notes.values(), default=1) == 1, "a HIT was made twice"
    assert set(notes) <= {row["request_token"] for row in self.select("SELECT * FROM hits")}
    spend = self.spend()
    gone = self.money - self.fake.balance_cents
    promised = sum(  # what the market may still cost: free seats, taken and submitted ones
        SEAT * (hit["max"] - sum(a["hit"] == key and a["status"] in ("Approved", "Rejected")
                                 for a in self.fake.assignments.values()))
        for key, hit in self.fake.hits.items() if self.fake._status(key) != "Reviewable")
    assert spend.reserved + spend.paid <= spend.budget_cents
    assert gone + promised <= spend.budget_cents
    assert spend.paid <= gone <= spend.paid + spend.reserved
    assert all(a["payments"] <= 1 for a in self.fake.assignments.values())
    approved = Counter(a["worker"] for a in self.fake.assignments.values() if a["payments"])
    given = Counter(row["name"].removeprefix("mturk:") for row in self.select(
        "SELECT w.name FROM assignments a JOIN workers w ON w.id = a.worker_id"))
    assert approved <= given, "paid without an answer"

  def check_end(self):
    """What must hold when everything is closed: all submitted is paid once, nothing is held."""
    self.check()
    spend = self.spend()
    assert spend.reserved == 0 and spend.paid == self.money - self.fake.balance_cents
    submitted = [a for a in self.fake.assignments.values() if a["status"] != "Returned"]
    assert all(a["status"] == "Approved" and a["payments"] == 1 for a in submitted)
    assert spend.paid == SEAT * len(submitted)

  def close(self):
    self.made.store.close()
