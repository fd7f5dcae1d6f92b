"""The routes of a visit: several classes of a video at once, over real HTTP."""

import pytest

from tal_jax.annotation import campaign
from tests.annotation import campaigns, serving, sites


@pytest.fixture
def site(tmp_path):
  """Round 0 is done; round 1 asks for three classes in each of w0 and w1."""
  with sites.running(tmp_path, labels=("jump", "run", "walk"), policy={"annotators": 2},
                     suggestions=True) as made:
    opened = made.made
    with opened.store.write() as db:
      db.execute("UPDATE tasks SET state = 'agreed'")
      db.execute("UPDATE rounds SET state = 'trained'")
      row = db.execute("SELECT * FROM videos").fetchone()
    campaign.add_videos(opened, [campaign.Video(
        name, row["path"], 100.0, 25.0, media_path=row["media_path"]) for name in ("w0", "w1")])
    campaign.open_round(opened, 1, [
        campaign.Ask(video, label, (1.0, 2.0) if label == "run" else None)
        for video in ("w0", "w1") for label in ("jump", "run", "walk")])
    with opened.store.write() as db:
      db.execute("INSERT INTO suggestions SELECT t.video_id, t.class_id, '[[1.0, 2.0, 0.5]]', 1 "
                 "FROM tasks t JOIN classes c ON c.id = t.class_id WHERE c.name = 'walk' "
                 "AND t.round_id = 1")
    yield made


def good(response):
  assert response.status_code == 200, response.text
  return response.json()


def test_a_visit_over_http(site):
  ann, bob = site.annotator, site.client(serving.enrol(site.made, "bob"))
  assert good(ann.get("/api/me"))["progress"] == {"answered": 0, "left": 2}
  task = good(ann.post("/api/next"))["task"]
  assert [(lane["label"], lane["hint"], lane["suggestions"]) for lane in task["lanes"]] == [
      ("jump", None, []), ("run", [1.0, 2.0], []), ("walk", None, [[1.0, 2.0, 0.5]])]
  assert task["lanes"][1]["instructions"] == "How to see run."
  first, second, third = (lane["id"] for lane in task["lanes"])
  assert (task["id"], task["label"]) == (first, "jump")
  assert good(ann.get("/api/me"))["progress"] == {"answered": 0, "left": 1}
  assert good(ann.put(f"/api/tasks/{second}/draft", json={"revision": 1, "body": "half"})) == {
      "kept": True}
  assert good(ann.post("/api/next"))["task"]["draft"] == {"revision": 1, "body": "half"}
  assert good(ann.post(f"/api/tasks/{third}/renew"))["seconds_left"] == 60.0
  body = {"submission_id": "s", "segments": [[1, 2]], "comment": "c", "others": [
      {"task_id": second, "segments": []}, {"task_id": third, "segments": [[3, 4], [5, 6]]}]}
  before = site.rows()
  for change, status in (
      ({"others": [{"task_id": second, "segments": [[0, 101]]}]}, 422),
      ({"others": [{"task_id": first, "segments": []}]}, 422),
      ({"others": [{"task_id": second, "segments": []}] * 2}, 422),
      ({"others": [{"task_id": 0, "segments": []}]}, 422),
      ({"others": [{"task_id": second}]}, 422),
      ({"others": [{"task_id": second, "segments": [], "more": 1}]}, 422),
      ({"others": {"task_id": second, "segments": []}}, 422),
      ({"others": None}, 422),
      ({"others": [{"task_id": 999, "segments": []}]}, 404),
      ({"others": [{"task_id": first + 3, "segments": []}]}, 409)):  # of the other video
    assert ann.post(f"/api/tasks/{first}/answer", json=body | change).status_code == status, change
    assert site.rows() == before
  receipt = good(ann.post(f"/api/tasks/{first}/answer", json=body))
  assert receipt["replayed"] is False
  before = site.rows()
  assert good(ann.post(f"/api/tasks/{first}/answer", json=body)) == receipt | {"replayed": True}
  assert site.rows() == before
  assert ann.post(f"/api/tasks/{first}/answer",
                  json=body | {"others": body["others"][:1]}).status_code == 409
  assert good(ann.get("/api/me"))["progress"] == {"answered": 1, "left": 1}
  assert [row["n"] for row in campaigns.select(
      site.made, "SELECT COUNT(*) AS n FROM segments GROUP BY task_id")] == [1, 2]

  held = good(bob.post("/api/next"))["task"]
  assert [lane["id"] for lane in held["lanes"]] == [first, second, third]
  assert good(bob.post(f"/api/tasks/{second}/release", json={})) == {}
  assert [lane["id"] for lane in good(bob.post("/api/next"))["task"]["lanes"]] == [
      first + 3, second + 3, third + 3]


def test_who_answers_class_by_class_gets_the_rest(site):
  """As a client does that knows of one class a task."""
  seen = []
  for _ in range(6):
    task = good(site.annotator.post("/api/next"))["task"]
    seen.append((task["video"]["name"], task["label"], len(task["lanes"])))
    good(site.annotator.post(f"/api/tasks/{task['id']}/answer", json={
        "submission_id": f"{task['id']}", "segments": []}))
  assert seen == [(video, label, left) for video in ("w0", "w1")
                  for left, label in ((3, "jump"), (2, "run"), (1, "walk"))]
  assert good(site.annotator.post("/api/next"))["task"] is None


def test_an_answer_that_was_taken_back_is_not_counted(site):
  ann, op = site.annotator, site.operator
  task = good(ann.post("/api/next"))["task"]
  others = [{"task_id": lane["id"], "segments": []} for lane in task["lanes"][1:]]
  answer = {"submission_id": "s", "segments": [], "comment": "too dark", "others": others}

  def counts():
    rows = good(op.get("/api/videos", params={"query": "w0"}))["videos"]
    made_of = good(op.get("/api/export/activitynet"))["provenance"]
    by_ann = good(op.get("/api/videos", params={"worker": 1}))["total"]
    return (good(ann.get("/api/me"))["progress"]["answered"], [row["answers"] for row in rows],
            by_ann, good(op.get("/api/remarks"))["total"], made_of["answers"],
            made_of["annotators"])

  good(ann.post(f"/api/tasks/{task['id']}/answer", json=answer))
  before = counts()
  assert before == (1, [1, 1, 1], 3, before[3], 3, 1) and before[3] > 0
  good(ann.post("/api/undo", json={"submission_id": "s"}))
  assert counts() == (0, [0, 0, 0], 0, 0, 0, 0)
  good(ann.post(f"/api/tasks/{task['id']}/answer", json=answer | {"submission_id": "t"}))
  after = counts()
  assert (*after[:3], *after[4:]) == (1, [1, 1, 1], 3, 3, 1) and after[3] > 0
