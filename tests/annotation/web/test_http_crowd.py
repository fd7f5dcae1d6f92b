"""The crowd's door: where it leads, who may frame it, and where its form may go."""

import urllib.parse

import pytest

from tal_jax.annotation.errors import Forbidden
from tal_jax.annotation.oracles import mturk_entry
from tests.annotation import sites

AMAZON = "https://workersandbox.mturk.com"


@pytest.fixture
def site(tmp_path):
  with sites.running(tmp_path, crowd_origins=(AMAZON, "https://www.mturk.com")) as made:
    yield made


def directives(response):
  policy = response.headers["content-security-policy"]
  return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def enter_as(monkeypatch, entry):
  asked = []
  monkeypatch.setattr(mturk_entry, "enter", lambda _, query: asked.append(query) or entry)
  return asked


@pytest.mark.parametrize("answered", [False, True])
def test_an_accepted_task(site, monkeypatch, answered):
  asked = enter_as(monkeypatch, mturk_entry.Entry("a+b&c", False, AMAZON, answered))
  query = {"assignmentId": "A1", "hitId": "H1", "workerId": "W1", "turkSubmitTo": AMAZON}
  response = site.nobody.get("/mturk", params=query)
  assert asked == [query] and response.status_code == 303
  assert response.headers["cache-control"] == "no-store"
  page, behind = response.headers["location"].split("#")
  assert page == "/crowd" and dict(urllib.parse.parse_qsl(behind)) == {
      "token": "a+b&c", "submit_to": AMAZON, "assignment": "A1"} | (
      {"answered": "1"} if answered else {})
  for framed in (response, site.nobody.get("/crowd")):
    assert directives(framed)["frame-ancestors"] == directives(framed)["form-action"] == (
        f"{AMAZON} https://www.mturk.com https://worker.mturk.com")
    assert directives(framed)["script-src"] == "'self'"
  assert site.nobody.get("/crowd").content == site.nobody.get("/").content
  assert directives(site.nobody.get("/"))["frame-ancestors"] == "'none'"


def test_a_preview_gets_no_token(site, monkeypatch):
  enter_as(monkeypatch, mturk_entry.Entry("", True, ""))
  assert site.nobody.get("/mturk").headers["location"] == "/crowd#preview=1"


@pytest.mark.parametrize("submit_to", [
    "https://evil.example", "http://workersandbox.mturk.com", AMAZON + ".evil.example",
    "https://user@evil.example", "javascript:alert(1)", ""])
def test_answers_go_to_the_crowd_only(site, monkeypatch, submit_to):
  enter_as(monkeypatch, mturk_entry.Entry("token", False, submit_to))
  response = site.nobody.get("/mturk")
  assert response.status_code == 403 and "token" not in str(response.headers)


def test_strangers(site, monkeypatch):
  before = site.rows()
  for query in ({}, {"assignmentId": "A1", "hitId": "H1", "workerId": "W1"},
                {"assignmentId": "A1", "hitId": "H1", "workerId": "ann", "turkSubmitTo": AMAZON,
                 "hit": "x", "key": "y" * 64}, {"hit": "\u00e9", "key": "\x00"}):
    response = site.nobody.get("/mturk", params=query)
    assert response.status_code == 403 and response.json()["error"]

  def forbid(*_):
    raise Forbidden("not yours")

  monkeypatch.setattr(mturk_entry, "enter", forbid)
  assert site.nobody.get("/mturk").json() == {"error": "not yours"}
  assert [row for row in site.rows() if "ann" in row] == [row for row in before if "ann" in row]
  assert not [row for row in site.rows() if row.startswith('INSERT INTO "crowd"')]


def test_without_a_crowd_there_is_no_door(tmp_path):
  with sites.running(tmp_path) as site:
    assert [site.nobody.get(path).status_code for path in ("/mturk", "/crowd")] == [404, 404]
