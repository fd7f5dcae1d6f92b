"""Videos that are left out: by the program, by most annotators, by an operator; and back in."""

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.campaign import Ask
from tal_jax.annotation.errors import (
  Conflict,
  Forbidden,
  IllegalTransition,
  InvalidAnswer,
  LeaseLost,
  NotFound,
)
from tal_jax.annotation.exports import FORMATS, activitynet, csv_rows, label_studio, write
from tal_jax.annotation.rules import exclusions, people, second_thoughts
from tal_jax.annotation.rules.answers import submit, submit_all
from tal_jax.annotation.rules.decisions import adjudicate, dispute, final_answers
from tal_jax.annotation.rules.gold import add_gold
from tal_jax.annotation.rules.leases import next_task, release
from tal_jax.data.annotations import read_annotations
from tests.annotation.campaigns import ask, askable, check, enrol, select, state


def answer(made, worker, segments=(), unusable="", comment=""):
  task = next_task(made, worker).task_id
  submit(made, worker, task, f"{worker} {task}", list(segments), comment, unusable)
  return task


@pytest.mark.parametrize(("wanted", "needed"), [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_most_of_those_who_are_wanted_exclude_a_video(make, wanted, needed):
  made = make(annotators=wanted, max_annotators=wanted)
  task, = ask(made)
  for i in range(needed):
    assert state(made, "tasks", task) == "open"
    answer(made, enrol(made, f"w{i}"), unusable="it is damaged" if i else "it does not play")
  assert (state(made, "tasks", task), state(made, "videos", 1)) == ("excluded", "excluded")
  assert state(made, "rounds", 0) == "complete"
  reason = "it does not play" if needed < 3 else "it is damaged"  # that of most; else the first
  assert exclusions.excluded(made) == {"v0": reason}
  assert final_answers(made, 0) == [] and askable(made) == ["v1", "v2"]
  assert next_task(made, enrol(made, "late")) is None


def test_unusable_is_an_answer_of_its_own(make):
  """Beside two who saw the action it is outvoted; it is no "not here"; nobody is judged by it."""
  made = make(annotators=3, max_annotators=3)
  ask(made)
  ann, bob, cleo = (enrol(made, name) for name in ("ann", "bob", "cleo"))
  answer(made, ann, unusable="it does not play", comment="black after 9 s")
  for worker in (bob, cleo):
    answer(made, worker, [(0, 10)])
  found, = final_answers(made, 0)
  assert found.state == "agreed" and [s[:2] for s in found.segments] == [(0.0, 10.0)]
  assert found.segments[0].support == 2 / 3
  scores = select(made, "SELECT f1 FROM scores ORDER BY assignment_id")
  assert [s["f1"] for s in scores] == [None, 1.0, 1.0]
  assert select(made, "SELECT comment FROM assignments")[0]["comment"] == "black after 9 s"


def test_unusable_against_not_here_is_a_dispute(make):
  made = make(annotators=2, max_annotators=2)
  task, = ask(made)
  answer(made, enrol(made, "a"), unusable="it is damaged")
  answer(made, enrol(made, "b"))
  assert state(made, "tasks", task) == "disputed"


def test_an_unusable_video_has_no_segments_and_is_stored_once(make):
  made = make(annotators=2)
  task, = ask(made)
  ann = enrol(made, "ann")
  next_task(made, ann)
  with pytest.raises(InvalidAnswer, match="no segments"):
    submit(made, ann, task, "s", [(0, 1)], "", "it is damaged")
  submit(made, ann, task, "s", [], "", "it is damaged")
  assert submit(made, ann, task, "s", [], "", "it is damaged").replayed
  for other in ("", "it does not play"):
    with pytest.raises(Conflict, match="another answer"):
      submit(made, ann, task, "s", [], "", other)


def test_all_classes_of_an_unusable_video_are_closed(make):
  made = make(annotators=1)
  campaign.open_round(made, 0, [Ask("v0", "jump"), Ask("v0", "run"), Ask("v1", "jump")])
  ann = enrol(made, "ann")
  next_task(made, ann)
  submit_all(made, ann, {1: [], 2: []}, "s", "", "it is damaged")
  assert [state(made, "tasks", i) for i in (1, 2, 3)] == ["excluded", "excluded", "open"]
  answer(made, enrol(made, "bob"))
  assert state(made, "rounds", 0) == "complete"
  assert [f.video for f in final_answers(made, 0)] == ["v1"]


def test_the_program_leaves_a_video_out(make):
  made = make(annotators=1)
  task, other = ask(made, videos=("v0", "v1"))
  ann = enrol(made, "ann")
  next_task(made, ann)
  assert exclusions.exclude(made, "v0", "damaged after 9.7 s")
  assert not exclusions.exclude(made, "v0", "again")
  assert exclusions.exclude(made, "v2", "cannot be read")  # never asked for
  assert exclusions.excluded(made) == {"v2": "cannot be read", "v0": "damaged after 9.7 s"}
  assert askable(made) == []
  with pytest.raises(LeaseLost):  # who was at it
    submit(made, ann, task, "s", [])
  answer(made, ann)
  assert state(made, "rounds", 0) == "complete" and state(made, "tasks", other) == "agreed"
  with pytest.raises(NotFound):
    exclusions.exclude(made, "nobody", "x")
  with pytest.raises(IllegalTransition, match="excluded"):
    campaign.mark_trained(made, 0)
    ask(made, 1, ("v2",))


def test_a_round_of_excluded_videos_is_complete(make):
  made = make()
  ask(made, videos=("v0", "v1"))
  for video in ("v0", "v1"):
    assert state(made, "rounds", 0) == "open"
    exclusions.exclude(made, video, "damaged")
  assert state(made, "rounds", 0) == "complete"
  assert final_answers(made, 0) == []


def test_an_operator_excludes_and_includes(make):
  made = make(annotators=1)
  decided, open_task = ask(made, videos=("v0", "v1"))
  ann, operator = enrol(made, "ann"), enrol(made, "op", "operator")
  answer(made, ann, [(0, 10)])
  with pytest.raises(Forbidden):
    exclusions.exclude_by_operator(made, ann, 1, "no")
  with pytest.raises(InvalidAnswer):
    exclusions.exclude_by_operator(made, operator, 1, "  ")
  exclusions.exclude_by_operator(made, operator, 1, "of another person")
  exclusions.exclude_by_operator(made, operator, 2, "damaged")
  assert state(made, "rounds", 0) == "complete" and final_answers(made, 0) == []
  for refused in (lambda: adjudicate(made, operator, decided, []),
                  lambda: second_thoughts.ask_again(made, operator, decided)):
    with pytest.raises(IllegalTransition):
      refused()
  check(made)
  exclusions.include(made, operator, 2)
  assert state(made, "tasks", open_task) == "open" and state(made, "videos", 2) == "asked"
  answer(made, ann, [])
  assert [f.video for f in final_answers(made, 0)] == ["v1"]
  exclusions.include(made, operator, 1)
  # What ann had answered settled it: nobody is asked again.
  assert select(made, "SELECT state, wanted FROM tasks WHERE id = ?", decided) == [
      {"state": "agreed", "wanted": 1}]
  check(made)
  assert [(f.video, [s[:2] for s in f.segments]) for f in final_answers(made, 0)] == [
      ("v0", [(0.0, 10.0)]), ("v1", [])]
  with pytest.raises(NotFound):
    exclusions.include(made, operator, 1)
  exclusions.exclude_by_operator(made, operator, 3, "not fit")
  exclusions.include(made, operator, 3)
  assert askable(made) == ["v2"]


def test_to_exclude_and_include_costs_no_answer(make):
  """Whatever had come of a task, comes of it again."""
  made = make(annotators=3, max_annotators=5)
  with made.store.write() as db:
    people.set_named_only(db, True)
  agreed, disputed, adjudicated = ask(made, videos=("v0", "v1", "v2"))
  operator, who = enrol(made, "op", "operator"), [enrol(made, name) for name in "abcde"]
  for number, person in enumerate(who):
    if number < 3:
      answer(made, person, [(0, 10)] if number < 2 else [(50, 60)])
    answer(made, person, [(10 * number, 10 * number + 5)])
    if number < 3:
      answer(made, person, [(10 * number, 10 * number + 5)])
  dispute(made, operator, adjudicated)
  adjudicate(made, operator, adjudicated, [(1, 2), (3, 4)])

  def everything():
    check(made)
    return (select(made, "SELECT id, state, agreement FROM tasks ORDER BY id"),
            select(made, "SELECT state FROM videos ORDER BY id"),
            select(made, "SELECT task_id, start, end, source, agreement, support FROM segments "
                   "WHERE assignment_id IS NULL ORDER BY task_id, start"),
            activitynet(made)["database"])

  before = everything()
  assert [row["state"] for row in before[0]] == ["agreed", "disputed", "adjudicated"]
  assert [row["task_id"] for row in before[2]] == [agreed, adjudicated, adjudicated]
  assert state(made, "tasks", disputed) == "disputed"
  for video in (1, 2, 3):
    exclusions.exclude_by_operator(made, operator, video, "by mistake")
  check(made)
  for video in (3, 1, 2):
    exclusions.include(made, operator, video)
  assert everything() == before


def test_who_differed_from_what_was_excluded_works_again(make):
  made = make(annotators=3, min_worker_f1=0.5, min_compared=1)
  ask(made)
  people = [enrol(made, name) for name in ("ann", "bob", "cleo")]
  for person, segments in zip(people, ([(0, 10)], [(0, 10)], [(50, 60)]), strict=True):
    answer(made, person, segments)
  assert select(made, "SELECT worker_id FROM stopped") == [{"worker_id": people[2]}]
  exclusions.exclude(made, "v0", "damaged")
  assert select(made, "SELECT worker_id FROM stopped") == []
  assert {row["f1"] for row in select(made, "SELECT f1 FROM scores")} == {None}


def test_the_operators_word_that_a_video_can_be_judged_stands(make):
  made = make(annotators=3, max_annotators=5)
  task, = ask(made)
  people = [enrol(made, name) for name in "abcde"]
  operator = enrol(made, "op", "operator")
  for person in people[:2]:
    answer(made, person, unusable="it is damaged")
  exclusions.include(made, operator, 1)
  for person in people[2:4]:
    answer(made, person, [(0, 10)])
    check(made)
    assert state(made, "videos", 1) == "asked"  # two of three would be most
  answer(made, people[4], [(0, 10)])
  assert state(made, "tasks", task) == "agreed"
  assert [f.segments[0][:2] for f in final_answers(made, 0)] == [(0.0, 10.0)]


def test_one_more_who_says_so_excludes_it_again(make):
  made = make(annotators=1)
  ask(made)
  answer(made, enrol(made, "a"), unusable="it is damaged")
  exclusions.include(made, enrol(made, "op", "operator"), 1)
  answer(made, enrol(made, "b"), unusable="it is damaged")
  assert state(made, "videos", 1) == "excluded"


def test_a_gold_video_is_not_for_the_operator_to_exclude(make):
  made = make()
  add_gold(made, [("v0", "jump", [])])
  with pytest.raises(Conflict, match="answer is known"):
    exclusions.exclude_by_operator(made, enrol(made, "op", "operator"), 1, "x")


def test_a_gold_video_that_cannot_be_shown_is_not_given_to_anybody(make):
  made = make(gold_before=1)
  add_gold(made, [("v0", "jump", []), ("v1", "jump", [])])
  exclusions.exclude(made, "v0", "damaged")
  ask(made, videos=("v2",))
  for name in "abcdef":
    assert next_task(made, enrol(made, name)).task_id == 2


def test_the_reason_of_a_skip_is_kept(make):
  made = make(annotators=2)
  task, = ask(made)
  ann, bob = enrol(made, "ann"), enrol(made, "bob")
  next_task(made, ann)
  release(made, ann, task, "does not play here", "black")
  next_task(made, bob)
  release(made, bob, task)
  assert select(made, "SELECT s.reason, s.comment, l.worker_id FROM skips s "
                "JOIN leases l ON l.id = s.lease_id") == [
      {"reason": "does not play here", "comment": "black", "worker_id": ann}]
  with pytest.raises(InvalidAnswer):
    next_task(made, enrol(made, "c"))
    release(made, 3, task, "", "x" * 2001)


def test_an_excluded_video_is_no_negative_example(make, tmp_path):
  """In each export it is listed as excluded or not at all, never as "the action is not here"."""
  made = make(annotators=1)
  ask(made, videos=("v0", "v1", "v2"))
  ann = enrol(made, "ann")
  answer(made, ann, unusable="it is damaged")
  answer(made, ann)
  exclusions.exclude(made, "v2", "cannot be decoded")
  found = activitynet(made)
  assert list(found["database"]) == ["v1"]
  assert found["excluded"] == {
      "v0": {"reason": "it is damaged", "source": "annotators"},
      "v2": {"reason": "cannot be decoded", "source": "program"}}
  assert [(row[0], row[2], row[7], row[10]) for row in csv_rows(made)[1:]] == [
      ("v1", "jump", None, "agreed"), ("v0", None, "annotators: it is damaged", "excluded"),
      ("v2", None, "program: cannot be decoded", "excluded")]
  assert [(task["data"]["tal_jax_video"], task["data"].get("reason"),
           task["annotations"][0]["was_cancelled"]) for task in label_studio(made)] == [
      ("v1", None, False), ("v0", "it is damaged", True), ("v2", "cannot be decoded", True)]
  for kind in FORMATS:
    write(made, tmp_path / f"train.{kind}", kind)
    read = read_annotations(tmp_path / f"train.{kind}")
    assert {name: len(video.labels) for name, video in read.videos.items()} == {"v1": 0}
