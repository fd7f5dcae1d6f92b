"""The campaign: rounds, the whole way of a task, and every refusal."""

import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.campaign import Ask, Video
from tal_jax.annotation.errors import (
  Conflict,
  Forbidden,
  IllegalTransition,
  InvalidAnswer,
  NotFound,
  RequestError,
)
from tal_jax.annotation.rules.answers import submit
from tal_jax.annotation.rules.decisions import FinalAnswer, adjudicate, dispute, final_answers
from tal_jax.annotation.rules.leases import next_task
from tests.annotation.campaigns import ask, check, enrol, select, state


def answer(made, worker, segments, task=None):
  lease = next_task(made, worker)
  assert task in (None, lease.task_id)
  return submit(made, worker, lease.task_id, f"{worker}-{lease.task_id}", segments)


def test_a_round_from_end_to_end(make):
  made = make(annotators=3)
  tasks = ask(made, videos=("v1", "v0"))
  assert [state(made, "videos", i) for i in (1, 2, 3)] == ["asked", "asked", "unlabelled"]
  workers = [enrol(made, name) for name in "abc"]
  for worker, start in zip(workers, (1.0, 1.5, 2.0), strict=True):
    check(made)
    answer(made, worker, [(start, 11.0)], task=tasks[0])  # the learner's first choice comes first
    answer(made, worker, [], task=tasks[1])
    assert next_task(made, worker) is None
  assert [state(made, "tasks", t) for t in tasks] == ["agreed", "agreed"]
  assert [state(made, "videos", i) for i in (1, 2, 3)] == ["labelled", "labelled", "unlabelled"]
  assert state(made, "rounds", 0) == "complete"
  present, absent = final_answers(made, 0)
  assert absent == FinalAnswer("v0", "jump", "agreed", 1.0, ())
  assert present[:4] == ("v1", "jump", "agreed", 1.0)
  segment, = present.segments
  assert segment[:3] == (1.5, 11.0, "consensus") and segment.support == 1.0
  assert segment.agreement == pytest.approx((9.5 / 10 + 9 / 10 + 9 / 9.5) / 3)
  campaign.mark_trained(made, 0)
  assert state(made, "rounds", 0) == "trained"
  ask(made, 1, ("v2",))
  kinds = [row["kind"] for row in select(made, "SELECT kind FROM events ORDER BY id")]
  assert kinds.count("leases.submitted") == 6 and kinds.count("tasks.agreed") == 2


def test_disagreement_asks_for_more_then_for_an_operator(make):
  made = make(annotators=2, max_annotators=3)
  task, = ask(made)
  workers = [enrol(made, name) for name in "abc"]
  operator = enrol(made, "op", "operator")
  answer(made, workers[0], [(0, 10)])
  answer(made, workers[1], [(50, 60)])
  assert state(made, "tasks", task) == "open"
  assert select(made, "SELECT wanted, agreement FROM tasks")[0] == {"wanted": 3, "agreement": 0.0}
  assert next_task(made, workers[0]) is None
  with pytest.raises(IllegalTransition):  # only what is disputed or decided
    adjudicate(made, operator, task, [(0, 10)])
  answer(made, workers[2], [(80, 90)])
  assert state(made, "tasks", task) == "disputed"
  assert final_answers(made, 0) == []
  with pytest.raises(Forbidden):
    adjudicate(made, workers[0], task, [(0, 10)])
  adjudicate(made, operator, task, [(1, 9)])
  assert state(made, "rounds", 0) == "complete"
  found, = final_answers(made, 0)
  assert found.state == "adjudicated"
  assert found.segments == ((1.0, 9.0, "adjudication", None, None),)
  adjudicate(made, operator, task, [])  # a correction
  assert final_answers(made, 0)[0].segments == ()
  assert len(select(made, "SELECT * FROM segments WHERE source = 'worker'")) == 3
  log = select(made, "SELECT detail FROM events WHERE kind = 'tasks.adjudicated' ORDER BY id")
  assert '"replaced": [[1.0, 9.0, "adjudication"]]' in log[1]["detail"]


def test_one_more_answer_can_settle_it(make):
  made = make(annotators=2, max_annotators=3)
  ask(made)
  for name, segments in (("a", [(0, 10)]), ("b", []), ("c", [(0, 9)])):
    answer(made, enrol(made, name), segments)
  found, = final_answers(made, 0)
  assert (found.state, found.agreement) == ("agreed", 1.0)  # of the two who agree
  assert [s[:2] for s in found.segments] == [(0.0, 9.5)]


def test_the_bound_itself_is_agreement(make):
  made = make(annotators=2, min_agreement=0.5)
  task, = ask(made)
  answer(made, enrol(made, "a"), [(0, 10)])
  answer(made, enrol(made, "b"), [(0, 10), (20, 30), (40, 50)])  # F1 = 2 / 4
  assert state(made, "tasks", task) == "agreed"


def test_an_operator_corrects_an_agreed_task(make):
  made = make()
  task, = ask(made)
  answer(made, enrol(made, "a"), [(0, 10)])
  campaign.mark_trained(made, 0)
  adjudicate(made, enrol(made, "op", "operator"), task, [(0, 8)])
  assert [s[:3] for s in final_answers(made, 0)[0].segments] == [(0.0, 8.0, "adjudication")]
  assert state(made, "rounds", 0) == "trained"


def test_an_operator_takes_a_task_that_nobody_is_at(make):
  made = make(annotators=2)
  task, = ask(made)
  worker, operator = enrol(made, "a"), enrol(made, "op", "operator")
  next_task(made, worker)
  with pytest.raises(Conflict, match="is at task"):
    dispute(made, operator, task)
  submit(made, worker, task, "s", [])
  with pytest.raises(Forbidden):
    dispute(made, worker, task)
  dispute(made, operator, task)
  assert next_task(made, enrol(made, "b")) is None
  with pytest.raises(IllegalTransition):
    dispute(made, operator, task)
  adjudicate(made, operator, task, [])
  with pytest.raises(NotFound):
    dispute(made, operator, 99)


def test_two_classes_of_a_video_make_one_labelled_video(make):
  made = make()
  campaign.open_round(made, 0, [Ask("v0", "jump"), Ask("v0", "run", (10.0, 20.0))])
  hints = select(made, "SELECT hint_start, hint_end FROM tasks ORDER BY id")
  assert [tuple(h.values()) for h in hints] == [(None, None), (10.0, 20.0)]
  one = enrol(made, "a")
  answer(made, one, [])
  assert state(made, "videos", 1) == "asked"
  answer(made, one, [(1, 2)])  # the other class, of the same visit
  assert next_task(made, one) is None
  assert state(made, "videos", 1) == "labelled"


def test_rounds_are_replayed_but_not_changed(make):
  made = make()
  with pytest.raises(Conflict, match="none"):
    ask(made, 1)
  ask(made, 0, ("v0", "v1"))
  before = select(made, "SELECT * FROM events")
  ask(made, 0, ("v0", "v1"))
  assert select(made, "SELECT * FROM events") == before
  with pytest.raises(Conflict, match="other tasks"):
    ask(made, 0, ("v1", "v0"))
  with pytest.raises(Conflict, match="0, open"):
    ask(made, 1, ("v2",))
  with pytest.raises(IllegalTransition):
    campaign.mark_trained(made, 0)
  worker = enrol(made, "a")
  answer(made, worker, [])
  answer(made, worker, [])
  with pytest.raises(Conflict, match="0, complete"):
    ask(made, 1, ("v2",))
  campaign.mark_trained(made, 0)
  campaign.mark_trained(made, 0)
  ask(made, 0, ("v0", "v1"))  # a learner that restarts from an older state
  with pytest.raises(IllegalTransition, match="labelled"):
    ask(made, 1, ("v0",))
  ask(made, 1, ("v2",))
  with pytest.raises(NotFound):
    campaign.mark_trained(made, 7)
  with pytest.raises(NotFound):
    final_answers(made, 7)


@pytest.mark.parametrize("asks", [
    [], [Ask("v0", "jump")] * 2, [Ask("nobody", "jump")], [Ask("v0", "fly")],
    [Ask("v0", "jump", (5.0, 101.0))], [Ask("v0", "jump", (5.0, 5.0))],
    [Ask("v0", "jump"), Ask("v1", "jump", (-1.0, 5.0))]])
def test_bad_rounds_leave_nothing(make, asks):
  made = make()
  with pytest.raises((InvalidAnswer, NotFound)):
    campaign.open_round(made, 0, asks)
  for table in ("rounds", "tasks", "events"):
    assert not select(made, f"SELECT * FROM {table}")
  assert state(made, "videos", 1) == "unlabelled"


def test_videos_and_classes_can_be_added_again(make):
  made = make(videos=1)
  campaign.add_videos(made, [Video("v0", "/moved/0.mp4", 100.0, 25.0)])
  columns = "SELECT path, media_path, width, height, num_frames FROM videos"
  assert [tuple(v.values()) for v in select(made, columns)] == [
      ("/moved/0.mp4", "/moved/0.mp4", 0, 0, 0)]
  campaign.add_videos(made, [Video("v0", "/a.avi", 100.0, 25.0, "/proxy.mp4", 640, 480, 2500)])
  assert [tuple(v.values()) for v in select(made, columns)] == [
      ("/a.avi", "/proxy.mp4", 640, 480, 2500)]
  with pytest.raises(Conflict, match="another duration"):
    campaign.add_videos(made, [Video("v9", "p", 1.0, 1.0), Video("v0", "p", 90.0, 25.0)])
  for duration, fps in ((0.0, 25.0), (float("nan"), 25.0), (float("inf"), 25.0), (1.0, -1.0)):
    with pytest.raises(InvalidAnswer):
      campaign.add_videos(made, [Video("v9", "p", duration, fps)])
  for sizes in ((-1, 0, 0), (0, -1, 0), (0, 0, -1)):
    with pytest.raises(InvalidAnswer):
      campaign.add_videos(made, [Video("v9", "p", 1.0, 25.0, "", *sizes)])
  assert len(select(made, "SELECT * FROM videos")) == 1
  campaign.add_classes(made, [("jump", "New words.")])
  assert select(made, "SELECT instructions FROM classes WHERE name = 'jump'") == [
      {"instructions": "New words."}]


def test_every_refusal_has_a_status_of_a_client_fault():
  def below(kind):
    return [kind, *(c for child in kind.__subclasses__() for c in below(child))]
  statuses = {kind.status for kind in below(RequestError)}
  assert {400, 401, 403, 404, 409, 422} <= statuses <= set(range(400, 500))
