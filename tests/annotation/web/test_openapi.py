"""The description tells the truth: the routes that exist, and what they take and answer."""

import re
import typing

import jsonschema
import pytest
from starlette.routing import Route

from tal_jax.annotation import exports
from tal_jax.annotation.web import server, tickets
from tal_jax.annotation.web.requests import ByFormat
from tests.annotation import campaigns, serving, sites

CROWD = ("https://workersandbox.mturk.com",)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  with sites.running(tmp_path_factory.mktemp("site"), suggestions=True, policy={
      "annotators": 2, "max_annotators": 2, "min_worker_f1": 0.5, "min_compared": 1}, examples={
      "jump": {"text": "Like this.", "segments": [[1, 2]]}}) as made:
    yield made


@pytest.fixture(scope="module")
def described(site):
  return site.nobody.get("/openapi.json").json()


def routes(app):
  """(path, method), without the HEAD that each GET brings."""
  assert all(isinstance(route, Route) for route in app.routes)
  return sorted((route.path, method.lower()) for route in app.routes
                for method in route.methods - {"HEAD"})


def operations(described):
  return sorted((path, method) for path, item in described["paths"].items() for method in item)


@pytest.mark.parametrize("crowd", [(), CROWD])
def test_every_route_is_described_and_nothing_else(tmp_path, crowd):
  made = campaigns.make(tmp_path / "c.db")
  with made.store:
    app = server.build_app(made, title="T", crowd_origins=crowd)
    by_path = {route.path: route for route in app.routes}
    with serving.running(app) as url, sites.client_of(url) as client:
      described = client.get("/openapi.json").json()
  assert routes(app) == operations(described)
  assert len(by_path) == len(app.routes), "two routes of one path: a wrong method would find one"
  assert ("/mturk" in by_path) == bool(crowd)


def test_the_description_is_openapi(described):
  assert described["openapi"] == "3.1.0" and set(described) == {
      "openapi", "info", "paths", "components"}
  for schema in described["components"]["schemas"].values():
    jsonschema.Draft202012Validator.check_schema(schema)
  names = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
  assert names == set(described["components"]["schemas"])  # no dangling one, no unused one
  for path, method in operations(described):
    operation = described["paths"][path][method]
    inside = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
    assert inside == set(re.findall(r"{(\w+)}", path)), path
    assert operation["summary"] and "200" in operation["responses"]
    assert ("security" in operation) == path.startswith("/api/")
    assert ("requestBody" in operation) <= (method in ("post", "put"))


def test_the_formats_are_those_of_the_exports(described):
  declared = typing.get_type_hints(ByFormat)["format"]
  assert sorted(typing.get_args(declared)) == sorted(exports.FORMATS)
  parameter, = described["paths"]["/api/export/{format}"]["get"]["parameters"]
  assert sorted(parameter["schema"]["enum"]) == sorted(exports.FORMATS)


def test_good_requests_get_what_is_described(site, described):
  """Every operation once with each role that may, in an order in which all succeed."""
  ann, op = site.annotator, site.operator
  with site.made.store.write() as db:
    db.execute("INSERT INTO suggestions VALUES (1, 1, '[[1.0, 2.0, 0.5]]', 0)")
    db.execute("INSERT INTO results VALUES (0, 6, 9, NULL, NULL, 1.5, 1000)")
  done = set()

  def good(client, method, path, template=None, **more):
    response = client.request(method, path, **more)
    template = template or path
    check(described, template, method, response)
    assert response.status_code == 200, response.text
    done.add((template, method.lower()))
    return response

  def answer(client, name, segments):
    good(client, "POST", "/api/tasks/1/answer", "/api/tasks/{id}/answer", json={
        "submission_id": name, "segments": segments, "comment": "c"})

  for client in (ann, op):
    good(client, "GET", "/api/me")
    url = good(client, "POST", "/api/next").json()["task"]["video"]["url"]
    good(client, "POST", "/api/tasks/1/renew", "/api/tasks/{id}/renew")
    good(client, "PUT", "/api/tasks/1/draft", "/api/tasks/{id}/draft",
         json={"revision": 1, "body": "half"})
    good(client, "POST", "/api/next")  # with the draft
    good(client, "GET", url, "/media/{ticket}")
  answer(ann, "a", [[1, 2]])
  good(ann, "POST", "/api/undo", json={"submission_id": "a"})
  answer(ann, "a2", [[1, 2]])
  good(ann, "GET", "/api/mine")
  good(ann, "GET", "/api/mine/1", "/api/mine/{id}")
  good(ann, "POST", "/api/tasks/1/correct", "/api/tasks/{id}/correct", json={
      "submission_id": "a3", "segments": [[1, 3]], "comment": "better"})
  answer(op, "b", [[50, 60.5]])
  good(op, "POST", "/api/tasks/1/ask_again", "/api/tasks/{id}/ask_again", json={"answers": 2})
  good(op, "POST", "/api/tasks/1/dispute", "/api/tasks/{id}/dispute")
  good(op, "POST", "/api/tasks/1/adjudicate", "/api/tasks/{id}/adjudicate",
       json={"segments": [[50, 60]]})
  stopped = next(w["id"] for w in op.get("/api/campaign").json()["workers"] if w["name"] == "ann")
  good(op, "POST", f"/api/workers/{stopped}/reinstate", "/api/workers/{id}/reinstate")
  for task, what, body in ((2, "later", {}), (3, "skip", {
      "reason": "it takes too long", "comment": "two hours"})):
    assert good(ann, "POST", "/api/next").json()["task"]["id"] == task
    good(ann, "POST", f"/api/tasks/{task}/{what}", f"/api/tasks/{{id}}/{what}", json=body)
  left = good(ann, "POST", "/api/next").json()["task"]["id"]
  good(ann, "POST", f"/api/tasks/{left}/release", "/api/tasks/{id}/release")
  assert good(op, "GET", f"/api/remarks?worker={stopped}&limit=10", "/api/remarks"
              ).json()["total"] == 5  # three versions of an answer, a skip and a release
  good(op, "POST", "/api/videos/3/exclude", "/api/videos/{id}/exclude", json={"reason": "dark"})
  good(op, "GET", "/api/campaign")
  good(op, "GET", "/api/tasks/3", "/api/tasks/{id}")
  good(op, "POST", "/api/videos/3/include", "/api/videos/{id}/include")
  good(op, "GET", "/api/tasks/1", "/api/tasks/{id}")
  good(op, "GET", "/api/campaign")
  good(op, "GET", "/api/videos?state=open&label=jump&query=v&offset=1&limit=2", "/api/videos")
  worker = good(op, "POST", "/api/workers", json={"name": "n", "role": "annotator", "days": 1})
  for what in ("leave_out", "revoke"):
    good(op, "POST", f"/api/workers/{worker.json()['id']}/{what}", f"/api/workers/{{id}}/{what}")
  for kind in exports.FORMATS:
    good(op, "GET", f"/api/export/{kind}", "/api/export/{format}")
  for path in ("/healthz", "/openapi.json", "/", "/campaign"):
    good(site.nobody, "GET", path)
  good(site.nobody, "GET", "/page/api.js", "/page/{file}")
  assert sorted(done) == operations(described)


def test_videos_and_pages_answer_as_described(site, described):
  url = site.annotator.post("/api/next").json()["task"]["video"]["url"]
  gone = "/media/" + tickets.issue(
      tickets.signing_key(site.made.store), 1, 99, site.made.clock())
  for template, path, asked, status in (
      ("/media/{ticket}", url, "bytes=0-9", 206), ("/media/{ticket}", url, "bytes=0-1,5-6", 206),
      ("/media/{ticket}", url, "bytes=9999999-", 416), ("/media/{ticket}", url, "seconds=1", 400),
      ("/media/{ticket}", "/media/x", "", 403), ("/media/{ticket}", gone, "", 404),
      ("/page/{file}", "/page/x.js", "", 404)):
    response = site.nobody.get(path, headers={"Range": asked} if asked else {})
    assert response.status_code == status, path
    check(described, template, "GET", response)
  for path in operations(described):
    if not path[0].startswith("/api/") and "{" not in path[0]:
      response = site.nobody.request("GET", path[0], content=b"x" * 300_000)
      assert response.status_code == 413
      check(described, path[0], "GET", response)


def check(described, template, method, response):
  """Asserts that status, type and body of the response are among those described."""
  operation = described["paths"][template][method.lower()]
  where = f"{method} {template}: {response.status_code} {response.text[:200]}"
  assert str(response.status_code) in operation["responses"], where
  content = operation["responses"][str(response.status_code)]["content"]
  media_type = response.headers["content-type"].split(";")[0]
  kind = media_type if media_type in content else media_type.split("/")[0] + "/*"
  assert kind in content, where
  if "schema" in content[kind] and media_type == "application/json":
    schema = content[kind]["schema"] | {"components": described["components"]}
    jsonschema.Draft202012Validator(schema).validate(response.json())


def test_the_check_can_fail(site, described):
  response = site.nobody.get("/api/me")
  check(described, "/api/me", "GET", response)
  with pytest.raises(AssertionError):
    check(described, "/healthz", "GET", response)  # no 401 there
  response = site.nobody.get("/healthz")
  with pytest.raises(jsonschema.ValidationError):
    check(described, "/api/me", "GET", response)  # another body
