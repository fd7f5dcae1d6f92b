"""The server's API from end to end, over real HTTP."""

import sys

import httpx
import pytest

from tal_jax.annotation import campaign
from tal_jax.annotation.rules import standing
from tal_jax.annotation.web import server
from tal_jax.annotation.web.server import Program
from tal_jax.errors import DataError
from tests.annotation import campaigns, serving, sites


@pytest.fixture
def site(tmp_path):
  with sites.running(tmp_path, examples={"jump": {"text": "Like this.", "segments": [[1, 2]],
                                                  "duration": 4.0}}) as made:
    yield made
    campaigns.check(made.made)


def good(response):
  assert response.status_code == 200, response.text
  return response.json()


def refused(response, status):
  assert response.status_code == status, response.text
  assert list(response.json()) == ["error"] and response.json()["error"]


def answer(client, task, segments=((10.0, 20.0),), comment="", name=None):
  return client.post(f"/api/tasks/{task}/answer", json={
      "submission_id": name or f"answer to {task}", "segments": segments, "comment": comment})


def test_an_annotators_day(site):
  ann = site.annotator
  assert good(ann.get("/api/me")) == {
      "name": "ann", "role": "annotator", "title": "A campaign",
      "standing": {"state": "working", "reason": ""}, "progress": {"answered": 0, "left": 6},
      "lease_seconds": 60.0, "suggestions": False}
  given = good(ann.post("/api/next"))
  task, url = given["task"], given["task"]["video"].pop("url")
  lane, = task.pop("lanes")  # of one class: the task itself
  assert lane == {k: task[k] for k in ("id", "label", "instructions", "example", "hint",
                                       "suggestions")}
  assert given == {"reason": "", "retry_seconds": 5.0, "waiting": "", "task": {
      "id": 1, "label": "jump", "instructions": "How to see jump.",
      "example": {"text": "Like this.", "segments": [[1.0, 2.0]], "duration": 4.0}, "hint": None,
      "video": {"name": "v0", "duration": 100.0, "fps": 25.0, "num_frames": 2500, "width": 640,
                "height": 360, "sound": False}, "max_segments": 500,
      "draft": None, "suggestions": [], "expires_at": 1060.0, "seconds_left": 60.0}}
  assert site.nobody.get(url).content == sites.MEDIA
  draft = f"/api/tasks/{task['id']}/draft"
  assert good(ann.put(draft, json={"revision": 2, "body": "half done"})) == {"kept": True}
  assert good(ann.put(draft, json={"revision": 1, "body": "late"})) == {"kept": False}
  site.made.clock.now += 50
  assert good(ann.post("/api/tasks/1/renew")) == {"expires_at": 1110.0, "seconds_left": 60.0}
  again = good(ann.post("/api/next"))["task"]  # a reload
  assert again["id"] == 1 and again["draft"] == {"revision": 2, "body": "half done"}
  assert good(answer(ann, 1, comment="hard to see")) == {"assignment_id": 1, "replayed": False}
  assert good(ann.post("/api/next"))["task"]["id"] == 2
  assert good(ann.post("/api/tasks/2/release")) == {}
  assert good(ann.post("/api/next"))["task"]["id"] == 3  # not the released one
  assert good(ann.get("/api/me"))["progress"] == {"answered": 1, "left": 3}
  assert campaigns.select(site.made, "SELECT comment FROM assignments") == [
      {"comment": "hard to see"}]


def test_a_replayed_submission_is_stored_once(site):
  good(site.annotator.post("/api/next"))
  first = good(answer(site.annotator, 1))
  before = site.rows()
  assert good(answer(site.annotator, 1)) == first | {"replayed": True}
  assert site.rows() == before
  refused(answer(site.annotator, 1, segments=[]), 409)  # the same id, something else
  refused(answer(site.annotator, 1, name="another id"), 409)
  other = site.client(serving.enrol(site.made, "bob"))
  before = site.rows()
  refused(answer(other, 1), 409)  # someone else's id
  assert site.rows() == before


def test_why_there_is_no_task(tmp_path, monkeypatch):
  over = []
  with sites.running(tmp_path, program=Program(finished=lambda: bool(over))) as site:
    for _ in range(6):
      answer(site.annotator, good(site.annotator.post("/api/next"))["task"]["id"])
    assert good(site.annotator.post("/api/next")) == {
        "task": None, "reason": "nothing", "retry_seconds": 5.0, "waiting": "learner"}
    over.append(True)
    assert good(site.annotator.post("/api/next"))["reason"] == "finished"
    stopped = standing.Standing("stopped", "too often wrong", 0, None, 6, 6, 0.1)
    monkeypatch.setattr(standing, "standing", lambda *_: stopped)
    assert good(site.annotator.post("/api/next"))["reason"] == "stopped"
    me = good(site.annotator.get("/api/me"))
    assert me["standing"] == {"state": "stopped", "reason": "too often wrong"}
    assert me["progress"]["left"] == 0


def test_finished_waits_for_the_open_round(tmp_path):
  with sites.running(tmp_path, program=Program(finished=lambda: True),
                     policy={"annotators": 2}) as site:
    for _ in range(6):
      answer(site.annotator, good(site.annotator.post("/api/next"))["task"]["id"])
    assert good(site.annotator.post("/api/next"))["reason"] == "nothing"  # others may disagree


def test_suggestions_only_where_they_are_wanted(tmp_path):
  for wanted, expected in ((False, []), (True, [[1.0, 2.0, 0.5]])):
    folder = tmp_path / str(wanted)
    folder.mkdir()
    with sites.running(folder, suggestions=wanted) as site:
      with site.made.store.write() as db:
        db.execute("INSERT INTO suggestions (video_id, class_id, body, round_id) VALUES "
                   "(1, 1, '[[1.0, 2.0, 0.5]]', 0)")
      assert good(site.annotator.post("/api/next"))["task"]["suggestions"] == expected
      assert good(site.annotator.get("/api/me"))["suggestions"] is wanted
      answer(site.annotator, 1)
      assert good(site.annotator.post("/api/next"))["task"]["suggestions"] == []


def test_the_operators_pages(tmp_path):
  with sites.running(tmp_path, policy={"annotators": 2, "max_annotators": 2}) as site:
    op = site.operator
    bob = site.client(serving.enrol(site.made, "bob"))
    good(site.annotator.post("/api/next"))
    good(bob.post("/api/next"))
    site.made.clock.now += 30
    answer(site.annotator, 1, [(10, 20)], "sure")
    site.made.clock.now += 20
    answer(bob, 1, [(50, 60)], name="bob's")
    with site.made.store.write() as db:
      db.execute("INSERT INTO results VALUES (0, 6, 9, 0.5, NULL, 1.5, 1000)")
    seen = good(op.get("/api/campaign"))
    assert seen["rounds"] == [{"number": 0, "state": "open", "tasks": 6, "decided": 0,
                               "agreement": 0.0, "opened_at": 1000.0}]
    assert seen["queue"] == {"open": 5, "leased": 0, "disputed": 1, "agreed": 0, "adjudicated": 0}
    assert seen["classes"] == ["jump", "run"] and seen["stalled"] == []
    assert seen["spend"] == {"budget_cents": 0, "reserved_cents": 0, "paid_cents": 0}
    assert seen["curve"] == [{"round": 0, "num_labeled": 6, "num_instances": 9, "map": 0.5,
                              "attention_ap": None}]
    assert seen["workers"][0] == {
        "id": 1, "name": "ann", "role": "annotator", "state": "working", "left_out": False,
        "answers": 1, "compared": 0, "f1": None, "tiou": None, "gold_done": 0, "gold_f1": None,
        "seconds_median": 30.0}
    assert seen["pace"] == {"labelled": 0, "planned": None, "excluded": 0, "seconds_left": None,
                            "finished": False}
    assert seen["excluded"] == []
    assert [w["seconds_median"] for w in seen["workers"]] == [30.0, 50.0, None]
    task = good(op.get("/api/tasks/1"))
    assert task["state"] == "disputed" and task["agreement"] == 0.0 and task["final"] == []
    more = {"submitted_at": None, "unusable": "", "version": 1, "counts": True, "agrees": False}
    assert [a | {"submitted_at": None} for a in task["answers"]] == [
        {"worker": "ann", "segments": [[10.0, 20.0]], "comment": "sure", **more},
        {"worker": "bob", "segments": [[50.0, 60.0]], "comment": "", **more}]
    assert (task["wanted"], task["agreed"], task["excluded"], task["video_id"]) == (2, [], "", 1)
    assert [e["kind"] for e in task["events"]] == [
        "leases.held", "leases.held", "tasks.leased", "leases.submitted", "leases.submitted",
        "tasks.submitted", "tasks.disputed"]
    assert good(op.post("/api/tasks/1/adjudicate", json={"segments": [[12, 20]]})) == {}
    assert good(op.get("/api/tasks/1"))["final"] == [
        {"start": 12.0, "end": 20.0, "source": "adjudication", "agreement": None, "support": None}]
    workers = good(op.get("/api/campaign"))["workers"]
    assert [(w["compared"], w["f1"]) for w in workers] == [(1, 1.0), (1, 0.0), (0, None)]
    assert good(op.post("/api/tasks/2/dispute")) == {}
    assert good(op.get("/api/videos", params={"state": "disputed"})) == {"total": 1, "videos": [
        {"task_id": 2, "video_id": 2, "video": "v1", "label": "jump", "round": 0,
         "state": "disputed", "agreement": None, "num_segments": 0, "answers": 0}]}


def test_browsing(site):
  def found(**query):
    videos = good(site.operator.get("/api/videos", params=query))
    return videos["total"], [v["video"] for v in videos["videos"]]

  assert found() == (6, [f"v{i}" for i in range(6)])
  assert found(offset=4, limit=3) == (6, ["v4", "v5"])
  assert found(query="V3") == (1, ["v3"])
  assert found(query="%") == found(query="_") == found(label="run") == (0, [])
  assert found(label="jump", state="open", limit=1) == (6, ["v0"])
  assert found(worker=1) == (0, [])
  answer(site.annotator, good(site.annotator.post("/api/next"))["task"]["id"])
  assert found(worker=1) == (1, ["v0"]) and found(worker=2) == (0, [])


def test_stalled_tasks_are_those_that_too_few_may_take(tmp_path):
  def stalled(site):
    return [(t["video"], t["missing"])
            for t in good(site.operator.get("/api/campaign"))["stalled"]]

  with sites.running(tmp_path, policy={"annotators": 2, "max_annotators": 2}) as site:
    everything = [(f"v{i}", 1) for i in range(6)]  # ann is one of two
    good(site.annotator.post("/api/next"))
    assert stalled(site) == everything
    answer(site.annotator, 1)
    assert stalled(site) == everything  # the operator could, but it is they who read this
    good(site.operator.post("/api/workers", json={"name": "cleo", "days": 0.5}))
    assert stalled(site) == []
    site.made.clock.now += 0.5 * 86400
    assert stalled(site) == everything  # cleo's link has expired
    assert {w["name"]: w["state"] for w in good(site.operator.get("/api/campaign"))["workers"]
            } == {"ann": "working", "cleo": "expired", "op": "working"}
  (tmp_path / "crowd").mkdir()
  with sites.running(tmp_path / "crowd", by_link_only=False) as site:
    good(site.operator.post("/api/workers/1/revoke"))
    assert stalled(site) == []  # whoever answers will come by another way


def test_links(site):
  made = good(site.operator.post("/api/workers", json={"name": "new one", "role": "annotator"}))
  start, token = made["link"].split("#")
  assert start == site.url + "/"
  new = site.client(token)
  assert good(new.get("/api/me"))["name"] == "new one"
  again = good(site.operator.post("/api/workers", json={"name": "new one"}))
  assert again["id"] == made["id"]
  refused(new.get("/api/me"), 401)  # replaced
  new = site.client(again["link"].split("#")[1])
  assert good(new.get("/api/me"))
  assert good(site.operator.post(f"/api/workers/{made['id']}/revoke")) == {}
  refused(new.get("/api/me"), 401)
  link = good(site.operator.post("/api/workers", json={"name": "o", "role": "operator"}))["link"]
  assert link.startswith(site.url + "/campaign#")


def test_links_name_the_public_origin(tmp_path):
  with sites.running(tmp_path, origin="https://annotate.example.org") as site:
    link = good(site.operator.post("/api/workers", json={"name": "n"}))["link"]
    assert link.startswith("https://annotate.example.org/#")


def test_tokens(site):
  for token in ("", "x", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "x" * 43,
                "Bearer \u00e9", "Bearer " + "x" * 10_000):
    response = httpx.get(site.url + "/api/me", headers={"Authorization": token.encode("latin-1")})
    refused(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
  good(site.annotator.get("/api/me"))
  site.made.clock.now += 1e6  # longer than any token of this campaign
  refused(site.annotator.get("/api/me"), 401)
  before = site.rows()
  refused(site.annotator.post("/api/next"), 401)
  assert site.rows() == before


def test_a_token_of_another_campaign(site, tmp_path):
  folder = tmp_path / "other"
  folder.mkdir()
  with sites.running(folder) as other:
    token = serving.enrol(other.made, "ann")
    assert good(other.client(token).get("/api/me"))
    refused(site.client(token).get("/api/me"), 401)


def test_another_annotators_task(site):
  good(site.annotator.post("/api/next"))
  bob = site.client(serving.enrol(site.made, "bob"))
  before = site.rows()
  for response in (
      answer(bob, 1), bob.post("/api/tasks/1/renew"), bob.post("/api/tasks/1/release"),
      bob.put("/api/tasks/1/draft", json={"revision": 9, "body": "mine now"})):
    refused(response, 409)
  assert site.rows() == before


def test_exports(site):
  good(site.annotator.post("/api/next"))
  answer(site.annotator, 1)
  for kind, media_type in (("activitynet", "application/json"), ("label_studio",
                           "application/json"), ("csv", "text/csv; charset=utf-8")):
    response = site.operator.get(f"/api/export/{kind}")
    assert response.status_code == 200 and response.headers["content-type"] == media_type
    suffix = "csv" if kind == "csv" else "json"
    assert response.headers["content-disposition"] == f'attachment; filename="{kind}.{suffix}"'
    assert "v0" in response.text
    if kind == "activitynet":
      instance, = response.json()["database"]["v0"]["annotations"]
      assert instance["segment"] == [10.0, 20.0] and instance["label"] == "jump"


def test_gold_tasks_look_like_others_and_are_in_no_list(tmp_path):
  from tal_jax.annotation.rules import gold

  made = campaigns.make(tmp_path / "g.sqlite", videos=2, gold_before=1)
  gold.add_gold(made, [("v0", "jump", [(1.0, 2.0)])])
  campaign.open_round(made, 0, [campaign.Ask("v1", "jump")])
  app = server.build_app(made, title="G")
  with made.store, serving.running(app) as url:
    with httpx.Client(base_url=url, headers={
        "Authorization": f"Bearer {serving.enrol(made, 'ann')}"}) as ann:
      first = good(ann.post("/api/next"))["task"]
      assert first["video"]["name"] == "v0"
      assert "1.0" not in str(first | {"video": None, "expires_at": None})
      assert good(answer(ann, first["id"], [(1, 2)])) == {"assignment_id": 1, "replayed": False}
      second = good(ann.post("/api/next"))["task"]
      assert second["video"]["name"] == "v1" and set(first) == set(second)
      assert good(ann.get("/api/me"))["progress"]["answered"] == 1
    with httpx.Client(base_url=url, headers={
        "Authorization": f"Bearer {serving.enrol(made, 'op', 'operator')}"}) as op:
      assert [v["video"] for v in good(op.get("/api/videos"))["videos"]] == ["v1"]
      seen = good(op.get("/api/campaign"))
      assert seen["queue"]["leased"] == 1 and seen["queue"]["open"] == 0
      assert [(w["gold_done"], w["gold_f1"]) for w in seen["workers"]] == [(1, 1.0), (0, None)]
      good(answer(op, good(op.post("/api/next"))["task"]["id"], [(5, 6)], name="op's"))
      seen = good(op.get("/api/campaign"))
      assert [(w["gold_done"], w["gold_f1"]) for w in seen["workers"]] == [(1, 1.0), (1, 0.0)]
      assert seen["stalled"] == []  # although nobody may take the gold task again
      refused(op.post(f"/api/tasks/{first['id']}/dispute"), 409)
      refused(op.post(f"/api/tasks/{first['id']}/adjudicate", json={"segments": []}), 409)


def test_an_address_that_cannot_be_had(site):
  port = int(site.url.rsplit(":", 1)[1])
  for host, number in (("127.0.0.1", port), ("127.0.0.1", 70_000), ("127.0.0.1", -1),
                       ("192.0.2.1", 0)):
    with (pytest.raises(DataError, match=f"cannot serve at {host}:{number}"),
          server.running(site.app, host, number)):
      pass


def test_the_address_is_free_again(tmp_path):
  with sites.running(tmp_path) as site:
    port = int(site.url.rsplit(":", 1)[1])
    assert site.nobody.get("/healthz").status_code == 200
    app = site.app
  with server.running(app, "127.0.0.1", port) as url:
    assert url == f"http://127.0.0.1:{port}" and httpx.get(url + "/healthz").status_code == 200
  with pytest.raises(httpx.ConnectError):
    httpx.get(url + "/healthz")


@pytest.mark.parametrize(("package", "use"), [
    ("starlette.applications", lambda made, app: server.build_app(made, title="T")),
    ("uvicorn", lambda made, app: server.running(app).__enter__())])
def test_a_package_that_is_missing(site, monkeypatch, package, use):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(DataError, match=r"pip install 'tal_jax\[annotate\]'"):
    use(site.made, site.app)


def test_an_example_of_another_form(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  with made.store, pytest.raises(DataError, match="example"):
    server.build_app(made, title="T", examples={"jump": {"segments": [[1, 2]]}})


@pytest.mark.parametrize(("given", "expected"), [
    ("https://a.example", "https://a.example"), ("https://A.example:443/", "https://a.example"),
    ("http://a.example:8000", "http://a.example:8000"), ("http://[::1]:80", "http://[::1]"),
    ("https://a.example/annotate/", "https://a.example/annotate"),
    ("HTTPS://a.example/a/b-c", "https://a.example/a/b-c")])
def test_a_public_address(tmp_path, given, expected):
  with sites.running(tmp_path, origin=given) as site:
    invited = good(site.operator.post("/api/workers", json={"name": "n"},
                                      headers={"Origin": "/".join(expected.split("/")[:3])}))
    assert invited["link"].startswith(expected + "/#")


@pytest.mark.parametrize("given", [
    "a.example", "a.example:80", "//a.example", "ftp://a.example", "https://", "https://a//b",
    "https://a/b c", "https://a:x", "https://a/../b?c",
    "https://u@a.example", "https://a.example?x", "https://a.example#x", "https://[a"])
def test_a_public_address_that_is_none(tmp_path, given):
  made = campaigns.make(tmp_path / "c.db")
  with made.store, pytest.raises(DataError, match="the public address"):
    server.build_app(made, title="T", origin=given)


def test_the_same_key_after_a_restart(tmp_path):
  made = campaigns.make(tmp_path / "c.db")
  with made.store:
    keys = [server.tickets.signing_key(made.store) for _ in range(2)]
  assert keys[0] == keys[1] and len(keys[0]) == 32
