"""At least 200 kinds of bad requests: all refused as described, and none leaves a row."""

import collections
import json

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.annotation import bad_requests, campaigns, serving, sites
from tests.annotation.web.test_openapi import check

pytestmark = pytest.mark.slow

GOOD = {
    "/api/tasks/{id}/draft": {"revision": 1, "body": "half"},
    "/api/tasks/{id}/answer": {"submission_id": "s", "segments": [[1.0, 2.0]], "comment": "c"},
    "/api/tasks/{id}/adjudicate": {"segments": [[1.0, 2.0]]},
    "/api/tasks/{id}/correct": {"submission_id": "s", "segments": [[1.0, 2.0]], "comment": "c"},
    "/api/tasks/{id}/skip": {"reason": "it takes too long", "comment": "c"},
    "/api/tasks/{id}/ask_again": {"answers": 1},
    "/api/videos/{id}/exclude": {"reason": "dark"},
    "/api/undo": {"submission_id": "s"},
    "/api/workers": {"name": "new", "role": "annotator", "days": 1.0},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  """The operator is at task 1; ann is at task 2 (their token: annotator); bob let task 3 go."""
  with sites.running(tmp_path_factory.mktemp("site"), policy={
      "annotators": 2, "max_annotators": 2}) as made:
    made.operator.post("/api/next")
    made.annotator.post("/api/next")
    made.annotator.post("/api/tasks/1/release")
    made.annotator.post("/api/next")
    yield made


@pytest.fixture(scope="module")
def described(site):
  return site.nobody.get("/openapi.json").json()


@pytest.fixture(scope="module")
def clients(site, tmp_path_factory):
  """Name -> client; those but annotator and operator have no valid token."""
  expired = site.client(serving.enrol(site.made, "expired", "operator", seconds=1.0))
  site.made.clock.now += 1.0
  revoked = site.client(serving.enrol(site.made, "revoked", "operator"))
  worker, = campaigns.select(site.made, "SELECT id FROM workers WHERE name = 'revoked'")
  site.operator.post(f"/api/workers/{worker['id']}/revoke")
  replaced = site.client(serving.enrol(site.made, "replaced", "operator"))
  serving.enrol(site.made, "replaced", "operator")
  other = campaigns.make(tmp_path_factory.mktemp("other") / "campaign.sqlite")
  foreign = site.client(serving.enrol(other, "op", "operator"))
  other.store.close()
  return {"annotator": site.annotator, "operator": site.operator, "nobody": site.nobody,
          "guessing": site.client("x" * 43), "expired": expired, "revoked": revoked,
          "replaced": replaced, "foreign": foreign}


def refuse(site, described, clients, bad):
  """Sends the request; asserts that it is refused as it must, and changes nothing."""
  before = site.rows()
  path = bad.path + (f"?{bad.query}" if bad.query else "")
  body = {} if bad.content is None and bad.json is None else (
      {"json": bad.json} if bad.content is None else {"content": bad.content})
  response = clients[bad.client].request(bad.method, path, headers=dict(bad.headers), **body)
  assert response.status_code == bad.status, (bad, response.text)
  assert list(response.json()) == ["error"] and response.json()["error"]
  if bad.path.count("/") == bad.template.count("/") and not bad.path.endswith("/"):
    check(described, bad.template, bad.method, response)
  assert site.rows() == before, bad


def test_what_the_description_forbids(site, described, clients):
  """The number of kinds is a promise of the project: at least 200."""
  invalid = set(clients) - {"annotator", "operator"}
  bads = list(bad_requests.of(described, GOOD, sorted(invalid)))
  kinds = collections.Counter(bad.kind for bad in bads)
  assert max(kinds.values()) == 1, kinds.most_common(3)
  assert len(kinds) >= 200
  assert {bad.template for bad in bads} == {p for p in described["paths"] if p.startswith("/api/")}
  assert {bad.status for bad in bads} == {400, 401, 403, 404, 415, 422}
  for bad in bads:
    refuse(site, described, clients, bad)


def _segments(*segments):
  return "POST", "/api/tasks/1/answer", {"submission_id": "h", "segments": segments}


# What no description can say: (method, path, body, status), sent by the operator, who is at task 1.
BY_HAND = {
    "after the end of the video": (*_segments((99, 100.001)), 422),
    "far after the end": (*_segments((0, 1e308)), 422),
    "before its start": (*_segments((-0.001, 1)), 422),
    "backwards": (*_segments((2, 1)), 422),
    "without length": (*_segments((1, 1)), 422),
    "shorter than a millisecond": (*_segments((1, 1.0009)), 422),
    "one bad of many": (*_segments((1, 2), (3, 4), (5, 4)), 422),
    "too many": (*_segments(*[(1, 2)] * 501), 422),
    "a comment too long": ("POST", "/api/tasks/1/answer", {
        "submission_id": "h", "segments": [], "comment": "x" * 2001}, 422),
    "a draft too long": ("PUT", "/api/tasks/1/draft", {"revision": 1, "body": "x" * 100_001}, 422),
    "an answer to an unknown task": (
        "POST", "/api/tasks/99/answer", {"submission_id": "h", "segments": []}, 404),
    "an answer to a task that was not given": (
        "POST", "/api/tasks/4/answer", {"submission_id": "h", "segments": []}, 409),
    "an answer to another's task": (
        "POST", "/api/tasks/2/answer", {"submission_id": "h", "segments": []}, 409),
    "a draft of another's task": ("PUT", "/api/tasks/2/draft", {"revision": 1, "body": ""}, 409),
    "a draft of an unknown task": ("PUT", "/api/tasks/99/draft", {"revision": 1, "body": ""}, 409),
    "another's lease renewed": ("POST", "/api/tasks/2/renew", None, 409),
    "another's lease released": ("POST", "/api/tasks/2/release", None, 409),
    "no lease renewed": ("POST", "/api/tasks/4/renew", None, 409),
    "an unknown task renewed": ("POST", "/api/tasks/99/renew", None, 409),
    "an unknown task released": ("POST", "/api/tasks/99/release", None, 409),
    "an unknown task": ("GET", "/api/tasks/99", None, 404),
    "the last id there can be": ("GET", "/api/tasks/9007199254740991", None, 404),
    "an open task adjudicated": ("POST", "/api/tasks/4/adjudicate", {"segments": []}, 409),
    "an unknown task adjudicated": ("POST", "/api/tasks/99/adjudicate", {"segments": []}, 404),
    "adjudicated beyond the end": ("POST", "/api/tasks/4/adjudicate", {"segments": [[1, 101]]},
                                   422),
    "a task disputed that someone is at": ("POST", "/api/tasks/1/dispute", None, 409),
    "an unknown task disputed": ("POST", "/api/tasks/99/dispute", None, 404),
    "a video that is unusable, with segments": ("POST", "/api/tasks/1/answer", {
        "submission_id": "h", "segments": [[1, 2]], "unusable": "it is damaged"}, 422),
    "a correction of what was not answered": (
        "POST", "/api/tasks/1/correct", {"submission_id": "h", "segments": []}, 404),
    "a correction of one task twice": ("POST", "/api/tasks/1/correct", {
        "submission_id": "h", "segments": [], "others": [{"task_id": 1, "segments": []}]}, 422),
    "an own answer that there is none of": ("GET", "/api/mine/1", None, 404),
    "an unknown submission undone": ("POST", "/api/undo", {"submission_id": "h"}, 404),
    "another's task skipped": ("POST", "/api/tasks/2/skip", {}, 409),
    "another's task put off": ("POST", "/api/tasks/2/later", None, 409),
    "a comment of a skip too long": (
        "POST", "/api/tasks/1/skip", {"comment": "x" * 2001}, 422),
    "an open task asked again": ("POST", "/api/tasks/4/ask_again", {"answers": 1}, 409),
    "an unknown task asked again": ("POST", "/api/tasks/99/ask_again", {}, 404),
    "an unknown video excluded": ("POST", "/api/videos/99/exclude", {"reason": "x"}, 404),
    "a video excluded for no reason": ("POST", "/api/videos/1/exclude", {"reason": " "}, 422),
    "a video included that is": ("POST", "/api/videos/1/include", None, 404),
    "an unknown worker left out": ("POST", "/api/workers/99/leave_out", None, 404),
    "oneself left out": ("POST", "/api/workers/2/leave_out", None, 409),
    "an unknown worker revoked": ("POST", "/api/workers/99/revoke", None, 404),
    "oneself revoked": ("POST", "/api/workers/2/revoke", None, 409),
    "a worker with two roles": ("POST", "/api/workers", {"name": "ann", "role": "operator"}, 422),
    "an operator made annotator": ("POST", "/api/workers", {"name": "op"}, 422),
    "a name that ends a line": ("POST", "/api/workers", {"name": "a\n"}, 422),
    "an unknown route": ("POST", "/api/answers", {"segments": []}, 404),
    "a route with a slash more": ("GET", "/api/me/", None, 404),
    "a route with a slash more inside": ("GET", "/api//me", None, 404),
    "a route in capitals": ("GET", "/API/ME", None, 404),
    "another version": ("GET", "/api/v1/me", None, 404),
    "the database": ("GET", "/campaign.sqlite", None, 404),
    "GET of a POST": ("GET", "/api/next", None, 405),
    "PUT of a POST": ("PUT", "/api/next", None, 405),
    "POST of a GET": ("POST", "/api/me", None, 405),
    "POST of a page": ("POST", "/", None, 405),
    "POST of a video": ("POST", "/media/x", None, 405),
    "DELETE of a task": ("DELETE", "/api/tasks/1", None, 405),
    "PATCH of a worker": ("PATCH", "/api/workers", {"name": "x"}, 405),
    "an unknown method": ("STEAL", "/api/tasks/1", None, 405),
    "a ticket that is none": ("GET", "/media/x", None, 403),
    "a ticket with a path": ("GET", "/media/..%2f..%2fetc%2fpasswd", None, 404),
    "a page out of the folder": ("GET", "/page/..%2fserver.py", None, 404),
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_what_no_description_can_say(site, clients, kind):
  method, path, body, status = BY_HAND[kind]
  before = site.rows()
  response = clients["operator"].request(method, path, **({} if body is None else {"json": body}))
  assert response.status_code == status, response.text
  assert list(response.json()) == ["error"] and response.json()["error"]
  assert site.rows() == before


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3), max_leaves=8)


@st.composite
def _requests(draw):
  """An operation with a body, and a body that is near a good one or none at all."""
  path = draw(st.sampled_from(sorted(GOOD)))
  if draw(st.integers(0, 3)) == 0:
    return path, draw(st.binary(max_size=50))
  body = dict(GOOD[path])
  for name in draw(st.lists(st.sampled_from(sorted(body)), min_size=1, unique=True)):
    body[name] = draw(_VALUES)
  return path, json.dumps(body, allow_nan=True).encode("utf-8", "surrogatepass")


@hypothesis.given(request=_requests())
@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_nonsense(site, clients, request):
  """Whatever the body: stored or refused, never a fault, and a refusal changes nothing."""
  path, body = request
  before = site.rows()
  response = clients["operator"].request(
      "PUT" if path.endswith("draft") else "POST", path.replace("{id}", "3"), content=body,
      headers={"Content-Type": "application/json"})
  assert response.status_code in (200, 400, 404, 409, 422), (body, response.text)
  if response.status_code != 200:
    assert list(response.json()) == ["error"] and site.rows() == before


def test_the_good_bodies_are_good(tmp_path):
  """Else the requests above would be refused whatever was broken in them."""
  with sites.running(tmp_path) as site:
    site.operator.post("/api/next")
    # In an order in which all succeed: one answer is wanted, which decides the task.
    last = ("/api/tasks/{id}/adjudicate", "/api/tasks/{id}/ask_again", "/api/undo",
            "/api/tasks/{id}/skip")
    first = [path for path in GOOD if path not in last]
    for path in (*first, "/api/undo", "/api/tasks/{id}/skip"):
      method = "PUT" if path.endswith("draft") else "POST"
      response = site.operator.request(method, path.replace("{id}", "1"), json=GOOD[path])
      if path.endswith("exclude"):
        site.operator.post("/api/videos/1/include")
      assert response.status_code == 200, (path, response.text)
    site.operator.post("/api/tasks/1/dispute")
    for path in last[:2]:
      response = site.operator.post(path.replace("{id}", "1"), json=GOOD[path])
      assert response.status_code == 200, (path, response.text)
