"""The local oracle and its links, and what all oracles check before they start."""

import stat

import pytest

from tal_jax.annotation import oracles, workers
from tal_jax.annotation.errors import Unauthorized
from tal_jax.annotation.rules.leases import next_task
from tal_jax.errors import DataError
from tests.annotation import campaigns
from tests.annotation.campaigns import ask, check, enrol, select, state

ADDRESS = "http://host:8000"


@pytest.fixture
def made(tmp_path):
  made = campaigns.make(tmp_path / "c.db", annotators=2)
  yield made
  check(made)
  made.store.close()


def local(made, folder, **settings):
  return oracles.make("local", made, {"address": ADDRESS, "annotators": ["ann", "bob"]} | settings,
                      folder)


def tokens(folder):
  """Name -> (role, page, token) in the file."""
  lines = (folder / "links.txt").read_text().splitlines()
  return {name: (role, *url.split("#")) for role, name, url in (x.split("\t") for x in lines)}


def who(made, token):
  with made.store.read() as db:
    return workers.authenticate(db, token, now=made.clock())


def test_links(made, tmp_path):
  lines = local(made, tmp_path, operators=["olga"]).start()
  assert stat.S_IMODE((tmp_path / "links.txt").stat().st_mode) == 0o600
  found = tokens(tmp_path)
  assert {name: value[:2] for name, value in found.items()} == {
      "ann": ("annotator", ADDRESS + "/"), "bob": ("annotator", ADDRESS + "/"),
      "olga": ("operator", ADDRESS + "/campaign")}
  for name, (role, _, token) in found.items():
    assert who(made, token)[1:] == (name, role)
    assert any(token in line for line in lines)
  assert not (tmp_path / "links.txt.part").exists()


def test_a_restart_keeps_the_links(made, tmp_path):
  local(made, tmp_path).start()
  before = tokens(tmp_path)
  made.clock.now += 5 * 86_400
  local(made, tmp_path, annotators=["bob", "cleo"], address="https://name/").start()
  after = tokens(tmp_path)
  assert set(after) == {"bob", "cleo", "operator"}
  assert after["bob"] == ("annotator", "https://name/", before["bob"][2])
  assert after["operator"][2] == before["operator"][2]
  assert who(made, before["ann"][2]).name == "ann"  # left out, not shut out


def test_expired_and_lost_links_are_made_anew(made, tmp_path):
  local(made, tmp_path, days=1).start()
  before = tokens(tmp_path)
  made.clock.now += 86_400
  local(made, tmp_path).start()
  for name, (_, _, token) in tokens(tmp_path).items():
    assert token != before[name][2] and who(made, token).name == name
  (tmp_path / "links.txt").unlink()
  local(made, tmp_path).start()
  assert who(made, tokens(tmp_path)["ann"][2]).name == "ann"


def test_a_revoked_worker_stays_out(made, tmp_path):
  local(made, tmp_path).start()
  ann = select(made, "SELECT id FROM workers WHERE name = 'ann'")[0]["id"]
  old = tokens(tmp_path)["ann"][2]
  with made.store.write() as db:
    workers.revoke(db, ann, now=made.clock())
  local(made, tmp_path).start()
  assert "annotator\tann\trevoked" in (tmp_path / "links.txt").read_text().splitlines()
  with pytest.raises(Unauthorized):
    who(made, old)


def test_a_link_that_an_operator_gave_stays_valid(made, tmp_path):
  """Also to somebody whom the command names, and also after they were revoked."""
  local(made, tmp_path).start()
  before = (tmp_path / "links.txt").read_text().splitlines()
  for revoke in (False, True):
    if revoke:
      with made.store.write() as db:
        workers.revoke(db, 1, now=made.clock())
      local(made, tmp_path).start()
    with made.store.write() as db:
      token = workers.enrol(db, "ann", seconds=100.0, now=made.clock())[1]
    for _ in range(2):
      local(made, tmp_path).start()
      assert who(made, token).name == "ann"
      now = (tmp_path / "links.txt").read_text().splitlines()
      assert now[1:] == before[1:] and "given on the campaign page" in now[0] and "#" not in now[0]
  made.clock.now += 100.0
  local(made, tmp_path).start()
  assert who(made, tokens(tmp_path)["ann"][2]).name == "ann"


def test_a_link_of_another_campaign_is_not_taken_over(made, tmp_path):
  (tmp_path / "links.txt").write_text(f"annotator\tann\t{ADDRESS}/#{'x' * 43}\nrubbish\n")
  local(made, tmp_path).start()
  assert who(made, tokens(tmp_path)["ann"][2]).name == "ann"


def test_nothing_is_enrolled_when_the_file_cannot_be_written(made, tmp_path):
  with pytest.raises(DataError, match="cannot write"):
    local(made, tmp_path / "no such folder").start()
  assert not select(made, "SELECT * FROM workers")


def test_leases_end(made, tmp_path):
  oracle = local(made, tmp_path)
  task, = ask(made)
  next_task(made, enrol(made, "cleo"))
  next_task(made, enrol(made, "dora"))
  oracle.advance()
  assert state(made, "tasks", task) == "leased"
  made.clock.now += 60
  oracle.advance()
  oracle.advance()
  assert state(made, "tasks", task) == "open"
  oracle.stop()


@pytest.mark.parametrize(("name", "settings", "message"), [
    ("amt", {}, "no oracle 'amt': there are label_studio, local, mturk, simulated"),
    ("local", {"annotators": ["ann"]}, "1 annotators are named"),
    ("local", {}, "annotators"),
    ("local", {"annotators": "ann"}, "annotators"),
    ("local", {"annotators": ["ann", 1]}, "annotators"),
    ("local", {"annotators": ["ann", "bob"], "workers": 3}, "unknown field `workers`"),
    ("local", {"annotators": ["ann", "bob"], "days": 0}, "days"),
    ("local", {"annotators": ["ann", "bob"], "address": "host"}, "address"),
    ("simulated", {"annotations": "none.json", "workers": 1}, "1 workers"),
    ("simulated", {"annotations": "none.json"}, "none.json"),
    ("label_studio", {"video_url": "{other}"}, "video_url"),
    ("mturk", {"budget_cents": 1000}, "HTTPS"),
    ("mturk", {"budget_cents": 29, "address": "https://x"}, "does not hold a single answer"),
    ("mturk", {"address": "https://x"}, "budget_cents"),
    ("mturk", {"budget_cents": 99, "address": "https://x", "real_money": 1}, "real_money")])
def test_bad_settings(made, tmp_path, name, settings, message):
  with pytest.raises(DataError, match=message):
    oracles.make(name, made, settings, tmp_path)


@pytest.mark.parametrize("names", [["ann", "ann"], ["ann", "operator"], ["ann", "b\tob"],
                                   ["ann", "bob\n"], ["ann", ""], ["ann", "x" * 201],
                                   ["jos\u00e9", "jose\u0301"]])
def test_bad_names(made, tmp_path, names):
  with pytest.raises(DataError):
    local(made, tmp_path, annotators=names).start()
  assert not select(made, "SELECT * FROM workers")
  assert not (tmp_path / "links.txt").exists()


def test_a_person_is_the_same_in_both_forms_of_unicode(made, tmp_path):
  with made.store.write() as db:  # as it was once written
    workers.enrol(db, "jose\u0301", seconds=1e6, now=made.clock())
  local(made, tmp_path, annotators=["jos\u00e9", "bob"]).start()
  token = tokens(tmp_path)["jose\u0301"][2]
  local(made, tmp_path, annotators=["jose\u0301", "bob"]).start()
  assert tokens(tmp_path)["jose\u0301"][2] == token
  assert len(select(made, "SELECT * FROM workers")) == 3


def test_people_whose_names_are_alike_are_told(made, tmp_path):
  lines = local(made, tmp_path, annotators=["ann b", "Ann B", "cleo"]).start()
  assert any("nearly the same: Ann B, ann b" in line for line in lines)


def test_a_role_does_not_change(made, tmp_path):
  local(made, tmp_path).start()
  with pytest.raises(DataError, match="ann is annotator already"):
    local(made, tmp_path, annotators=["bob", "cleo"], operators=["ann"]).start()
