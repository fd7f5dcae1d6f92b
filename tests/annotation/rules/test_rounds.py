"""A round closes at its quorum; what is decided later is learnt by the round after."""

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.rules import decisions, exclusions, rounds, second_thoughts
from tests.annotation import campaigns

FIVE = [f"v{i}" for i in range(5)]


@pytest.fixture
def asked(make):
  """Ten videos, of which round 0 asks for v0 to v4, and an operator."""
  made = make(videos=10)
  campaigns.ask(made, videos=FIVE)
  return made, campaigns.enrol(made, "op", "operator")


def decide(made, operator, *names):
  for name in names:
    for task in campaigns.select(
        made, "SELECT t.id FROM tasks t JOIN videos v ON v.id = video_id WHERE v.name = ?", name):
      decisions.dispute(made, operator, task["id"])
      decisions.adjudicate(made, operator, task["id"], [(1.0, 2.0)])


def learnt(made, number):
  return [row["name"] for row in campaigns.select(
      made, "SELECT name FROM learnt JOIN videos ON id = video_id WHERE round_id = ? ORDER BY id",
      number)]


@pytest.mark.parametrize(("quorum", "needed"), [
    (1.0, 5), (0.9, 4), (0.8, 4), (0.7, 3), (0.6, 3), (0.2, 1), (0.01, 1)])
def test_how_many_videos_are_enough(asked, quorum, needed):
  made, operator = asked
  for count in range(5):
    assert rounds.has_enough(made, 0, quorum) == (count >= needed)
    decide(made, operator, f"v{count}")
  assert rounds.has_enough(made, 0, quorum)


@pytest.mark.parametrize(("videos", "by_default", "all_but_none"), [
    (0, 0, 0), (1, 1, 1), (2, 1, 2), (3, 2, 3), (5, 4, 5), (10, 9, 10), (64, 57, 64),
    (100, 90, 100)])
def test_one_straggler_holds_up_no_small_batch(videos, by_default, all_but_none):
  assert rounds.enough_of(videos, 0.9) == by_default
  assert rounds.enough_of(videos, 1.0) == all_but_none


@pytest.mark.parametrize("videos", [1, 2, 3, 5, 10])
def test_a_round_closes_without_its_straggler(make, videos):
  """All but the last video, of which somebody is at work."""
  made = make(videos=videos)
  names = [f"v{i}" for i in range(videos)]
  campaigns.ask(made, videos=names)
  operator = campaigns.enrol(made, "op", "operator")
  decide(made, operator, *names[:-1])
  assert rounds.has_enough(made, 0, 0.9) == (videos > 1)
  assert not rounds.has_enough(made, 0, 1.0)
  decide(made, operator, names[-1])
  assert rounds.has_enough(made, 0, 1.0)


def test_a_video_counts_when_all_its_classes_are_decided(make):
  made = make(videos=2)
  campaign.open_round(made, 0, [campaign.Ask("v0", "jump"), campaign.Ask("v0", "run")])
  operator = campaigns.enrol(made, "op", "operator")
  decisions.dispute(made, operator, 1)
  decisions.adjudicate(made, operator, 1, [])
  assert not rounds.has_enough(made, 0, 0.1)


def test_what_is_left_out_counts_nowhere(asked):
  made, operator = asked
  exclusions.exclude(made, "v4", "cannot be played")
  decide(made, operator, "v0", "v1")
  assert rounds.has_enough(made, 0, 0.6) and not rounds.has_enough(made, 0, 0.75)
  assert rounds.num_asked(made) == 4 and rounds.unavailable(made) == set(FIVE)
  for name in ("v2", "v3"):
    exclusions.exclude(made, name, "cannot be played")
  assert rounds.has_enough(made, 0, 1.0) and rounds.all_decided(made)
  assert rounds.close(made, 0)[0] == ["v0", "v1"]


def test_a_round_of_nothing_but_videos_left_out(asked):
  made, _ = asked
  for name in FIVE:
    exclusions.exclude(made, name, "cannot be played")
  assert rounds.has_enough(made, 0, 1.0) and rounds.close(made, 0) == ([], [])
  campaign.mark_trained(made, 0)
  campaigns.ask(made, 1, videos=("v5",))


def test_what_is_late_is_learnt_by_the_next_round(asked):
  made, operator = asked
  decide(made, operator, "v3", "v0", "v4")
  names, finals = rounds.close(made, 0)
  assert names == learnt(made, 0) == ["v0", "v3", "v4"]  # as they were asked for
  assert [(f.video, f.label, [s[:2] for s in f.segments]) for f in finals] == [
      (name, "jump", [(1.0, 2.0)]) for name in names]
  decide(made, operator, "v1")  # after the closing: round 0 is what it was
  assert rounds.close(made, 0)[0] == names and rounds.is_closed(made, 0)
  campaign.mark_trained(made, 0)
  campaigns.ask(made, 1, videos=("v5", "v6"))
  assert rounds.num_late(made, 1) == 1 and rounds.num_asked(made) == 7
  decide(made, operator, "v6")
  assert rounds.has_enough(made, 1, 0.5) and not rounds.has_enough(made, 1, 1.0)
  assert rounds.close(made, 1)[0] == learnt(made, 1) == ["v1", "v6"]
  decide(made, operator, "v2", "v5")
  assert rounds.all_decided(made)
  assert campaigns.state(made, "rounds", 0) == "trained"


def test_a_replay_learns_the_same_videos_with_their_answers_of_now(asked):
  made, operator = asked
  decide(made, operator, *FIVE)
  rounds.close(made, 0)
  decisions.adjudicate(made, operator, 1, [(5.0, 6.0)])
  exclusions.exclude_by_operator(made, operator, 5, "it shows something else")
  names, finals = rounds.close(made, 0)
  assert names == FIVE[:4] and finals[0].segments[0][:2] == (5.0, 6.0)


def test_a_replay_learns_no_video_by_half(make):
  """One class of v0 is asked again: until it is decided, "not here" must not be learnt of it."""
  made = make(videos=2)
  campaign.open_round(made, 0, [campaign.Ask("v0", "jump"), campaign.Ask("v0", "run"),
                                campaign.Ask("v1", "run")])
  operator = campaigns.enrol(made, "op", "operator")
  decide(made, operator, "v0", "v1")
  assert rounds.close(made, 0)[0] == ["v0", "v1"]
  second_thoughts.ask_again(made, operator, 2)
  assert not rounds.has_enough(made, 0, 0.5)
  names, finals = rounds.close(made, 0)
  assert names == ["v1"] and {f.video for f in finals} == {"v1"}
  decisions.dispute(made, operator, 2)
  decisions.adjudicate(made, operator, 2, [])
  assert rounds.has_enough(made, 0, 0.5) and rounds.close(made, 0)[0] == ["v0", "v1"]


def test_rounds_of_an_older_campaign_were_learnt_as_a_whole(tmp_path):
  from tal_jax.annotation import schema, store

  before = schema.MIGRATIONS[:schema.MIGRATIONS.index(schema._ROUNDS)]
  with store.Store(tmp_path / "c.db", before) as old, old.write() as db:
    db.execute("INSERT INTO classes VALUES (1, 'jump', '')")
    for video, (number, state) in enumerate([(0, "trained"), (1, "complete")], 1):
      db.execute("INSERT INTO videos (id, name, path, media_path, duration, fps, state) "
                 "VALUES (?, ?, '', '', 9, 9, 'labelled')", (video, f"v{video}"))
      db.execute("INSERT INTO rounds VALUES (?, ?, 5.0)", (number, state))
      db.execute("INSERT INTO tasks (round_id, video_id, class_id, state, wanted) "
                 "VALUES (?, ?, 1, 'agreed', 1)", (number, video))
  made = campaign.Campaign(store.Store(tmp_path / "c.db"), campaign.Policy(), lambda: 7.0)
  assert rounds.is_closed(made, 0) and not rounds.is_closed(made, 1)
  assert rounds.close(made, 0)[0] == ["v1"] and rounds.close(made, 1)[0] == ["v2"]
  made.store.close()
