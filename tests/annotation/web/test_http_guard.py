"""What holds for every request: headers, origins, sizes, faults of ours, scripts in texts."""

import http.client
import json
import socket
import sqlite3
import urllib.parse

import httpx
import pytest

from tal_jax.annotation.rules import leases
from tal_jax.annotation.web import guard
from tests.annotation import serving, sites

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\u2028</title>"
PUBLIC = "https://public.example"
POLICY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
          "img-src": "'self' data:", "media-src": "'self'", "connect-src": "'self'",
          "base-uri": "'none'", "form-action": "'self'", "frame-ancestors": "'none'"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  with sites.running(tmp_path_factory.mktemp("site"), origin=PUBLIC) as made:
    yield made


@pytest.fixture
def unchanged(site):
  before = site.rows()
  yield
  assert site.rows() == before


def guarded(response):
  parts = response.headers["content-security-policy"].split(";")
  assert dict(part.strip().split(" ", 1) for part in parts) == POLICY
  assert response.headers["x-content-type-options"] == "nosniff"
  assert response.headers["referrer-policy"] == "no-referrer"
  assert response.headers["cross-origin-resource-policy"] == "same-origin"
  for name in ("server", "set-cookie", "access-control-allow-origin"):
    assert name not in response.headers
  return response


def test_headers_of_every_kind_of_answer(site):
  url = site.annotator.post("/api/next").json()["task"]["video"]["url"]
  for status, get in ((200, "/"), (200, "/page/api.js"), (404, "/page/x"), (404, "/nowhere"),
                      (200, "/healthz"), (200, url), (403, "/media/x"), (401, "/api/me"),
                      (405, "/api/next")):
    assert guarded(site.nobody.get(get)).status_code == status, get
  assert guarded(site.nobody.get(url, headers={"Range": "bytes=0-1"})).status_code == 206
  assert guarded(site.nobody.get(url, headers={"Range": "bytes=999999-"})).status_code == 416
  for response in (site.annotator.get("/api/me"), site.nobody.get("/api/me"),
                   site.operator.get("/api/export/csv"), site.annotator.post("/api/next")):
    assert guarded(response).headers["cache-control"] == "no-store"
  assert site.nobody.get("/api/next").headers["allow"] == "POST"
  for method in ("TRACE", "OPTIONS", "DELETE", "PATCH", "PROPFIND", "XYZ"):
    assert guarded(site.annotator.request(method, "/api/me")).status_code == 405, method


@pytest.mark.parametrize(("origin", "status"), [
    (None, 200), ("own", 200), ("https://public.example", 200), ("null", 403), ("", 403),
    ("http://evil.example", 403), ("http://127.0.0.1", 403), ("https://127.0.0.1:{port}", 403),
    ("http://localhost:{port}", 403), ("http://127.0.0.1:{port}.evil.example", 403),
    ("own, http://evil.example", 403), ("https://public.example.evil.example", 403)])
def test_other_origins_may_not_write(site, origin, status):
  port = site.url.rsplit(":", 1)[1]
  headers = {} if origin is None else {
      "Origin": origin.replace("own", site.url).replace("{port}", port)}
  assert site.annotator.get("/api/me", headers=headers).status_code == 200  # they cannot read it
  before = site.rows()
  for path in ("/api/next", "/api/tasks/1/release", "/nowhere"):
    response = guarded(site.annotator.post(path, headers=headers))
    assert (response.status_code == 403) == (status == 403), path
    assert status == 200 or site.rows() == before


def test_two_origins(site, unchanged):
  headers = [("Authorization", site.annotator.headers["authorization"]), ("Origin", site.url),
             ("Origin", "http://evil.example")]
  assert httpx.post(site.url + "/api/next", headers=headers).status_code == 403
  assert httpx.post(site.url + "/api/next", headers=[*headers[:1], *headers[:0:-1]]
                    ).status_code == 403


def body(size):
  """JSON of `size` bytes, good but for its length."""
  frame = json.dumps({"revision": 1, "body": ""})
  return frame.replace('""', '"' + "x" * (size - len(frame)) + '"').encode()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("client", ["nobody", "annotator"])
def test_a_body_above_the_limit(site, unchanged, chunked, client):
  def put(size):
    content = body(size)
    chunks = (content[i:i + 1000] for i in range(0, size, 1000)) if chunked else content
    return getattr(site, client).put("/api/tasks/1/draft", content=chunks,
                                     headers={"Content-Type": "application/json"})

  response = guarded(put(guard.MAX_BODY + 1))
  assert response.status_code == 413 and "262144" in response.json()["error"]
  assert response.headers["connection"] == "close"
  assert put(guard.MAX_BODY).status_code == (401 if client == "nobody" else 422)  # too long


def test_a_body_that_never_comes_is_refused_by_its_length(site, unchanged):
  for path in ("/api/next", "/", "/nowhere", "/media/x"):
    answer = talk(site, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 "), path


def test_an_endless_chunked_body(site, unchanged):
  start = (f"PUT /api/tasks/1/draft HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
           f"Authorization: {site.annotator.headers['authorization']}\r\n\r\n")
  chunk = "1000\r\n" + "x" * 0x1000 + "\r\n"
  assert talk(site, start + chunk * 65).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("head", [
    "POST /api/next HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST /api/next HTTP/1.1\r\nHost: x\r\nContent-Length: 1e9\r\n\r\n",
    "POST /api/next HTTP/1.1\r\nHost: x\r\nContent-Length: " + "9" * 5000 + "\r\n\r\n",
    "POST /api/next HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "POST /api/next HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /api/next HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "GET /api/me HTTP/1.1\r\n\r\n", "GET /api/me HTTP/9.9\r\nHost: x\r\n\r\n",
    "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET /api/me HTTP/1.1\r\nHost: x\r\n"
    + "X: " + "y" * 100_000 + "\r\n\r\n", "GET /\u00e9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://evil.example/etc HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_what_is_no_http(site, unchanged, head):
  answer = talk(site, head)
  assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
  assert site.nobody.get("/healthz").json() == {"status": "ok"}


def test_a_client_that_goes_away(site, unchanged):
  for sent in ("", "PUT /api/ta", "PUT /api/tasks/1/draft HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {site.annotator.headers['authorization']}\r\n"
               'Content-Length: 30\r\n\r\n{"revision": 1, '):
    with socket.create_connection(address(site)) as connection:
      connection.sendall(sent.encode())
  assert site.nobody.get("/healthz").json() == {"status": "ok"}


def address(site):
  parts = urllib.parse.urlsplit(site.url)
  return parts.hostname, parts.port


def talk(site, sent):
  """The first bytes of the answer to raw bytes."""
  with socket.create_connection(address(site), timeout=20) as connection:
    connection.sendall(sent.encode("latin-1"))
    return connection.recv(65536)


def test_http_1_0_without_a_host(site):
  answer = talk(site, "POST /api/next HTTP/1.0\r\nOrigin: http://x\r\n\r\n")
  assert answer.startswith(b"HTTP/1.1 403 ")
  answer = talk(site, f"POST /api/next HTTP/1.0\r\nOrigin: {site.url}\r\n\r\n")
  assert answer.startswith(b"HTTP/1.1 401 ")


def full_disk():
  error = sqlite3.OperationalError("a secret")
  error.sqlite_errorcode = sqlite3.SQLITE_FULL
  return error


@pytest.mark.parametrize(("fault", "status"), [
    (KeyError("a secret"), 500), (sqlite3.OperationalError("a secret: no such column"), 500),
    (full_disk(), 503)])
def test_a_fault_of_ours(site, monkeypatch, caplog, fault, status):
  def fail(*_):
    raise fault

  monkeypatch.setattr(leases, "next_visit", fail)
  response = guarded(site.annotator.post("/api/next"))
  assert response.status_code == status
  assert list(response.json()) == ["error"] and "secret" not in response.text
  token = site.annotator.headers["authorization"].split()[1]
  assert "a secret" in caplog.text and token not in caplog.text
  monkeypatch.undo()
  assert site.annotator.post("/api/next").status_code == 200  # the server goes on


def test_a_script_comes_back_as_json_only(tmp_path):
  with sites.running(tmp_path, labels=(SCRIPT,), title=SCRIPT, policy={
      "annotators": 2, "max_annotators": 2}) as site:
    op = site.operator
    made = op.post("/api/workers", json={"name": "<script>alert(1)</script>"}).json()
    worker = site.client(made["link"].split("#")[1])
    for client, name in ((worker, SCRIPT[:64]), (site.annotator, "b")):
      task = client.post("/api/next").json()["task"]
      assert task["label"] == SCRIPT and task["instructions"] == f"How to see {SCRIPT}."
      stored = client.post(f"/api/tasks/{task['id']}/answer", json={
          "submission_id": name, "segments": [[1, 2]], "comment": SCRIPT})
      assert stored.status_code == 200
    worker.post("/api/next")
    worker.put("/api/tasks/2/draft", json={"revision": 1, "body": SCRIPT})
    seen = [worker.post("/api/next"), worker.get("/api/me"), op.get("/api/tasks/1"),
            op.get("/api/campaign"), op.get("/api/videos"),
            op.get("/api/videos", params={"label": SCRIPT}), op.get("/openapi.json"),
            op.get("/api/videos", params={"state": SCRIPT}), op.get(f"/api/tasks/{SCRIPT}"),
            op.post("/api/workers", json={"name": "x", "role": SCRIPT}),
            op.post("/api/workers", json={SCRIPT: SCRIPT})]
    assert sum("alert(1)" in response.text for response in seen) >= 7
    for response in seen:
      assert guarded(response).headers["content-type"] == "application/json"
      response.json()
    assert {a["comment"] for a in seen[2].json()["answers"]} == {SCRIPT}
    for kind in ("activitynet", "csv", "label_studio"):
      response = guarded(op.get(f"/api/export/{kind}"))
      assert "alert(1)" in response.text and "html" not in response.headers["content-type"]
      assert response.headers["content-disposition"].startswith("attachment")
    for page in ("/", "/campaign", "/page/annotate.html"):
      assert "alert" not in site.nobody.get(page).text


def test_pages_need_no_inline_script(site):
  """What the policy would block is not there."""
  for page in ("/", "/campaign"):
    text = site.nobody.get(page).text.lower()
    assert "<script>" not in text and "style=" not in text and "<style" not in text
    assert " onclick" not in text and "http:" not in text.replace("http://www.w3.org", "")


def test_nothing_about_a_token_is_kept(tmp_path):
  with sites.running(tmp_path) as site:
    token = serving.enrol(site.made, "someone")
    assert site.client(token).post("/api/next").status_code == 200
    assert token not in "".join(site.rows())
    for file in tmp_path.glob("campaign.sqlite*"):
      assert token.encode() not in file.read_bytes()


def test_connections_are_kept(site):
  """A page asks often: it does not have to connect each time."""
  connection = http.client.HTTPConnection(*address(site))
  for _ in range(3):
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert response.read() == b'{"status":"ok"}' and not response.will_close
  connection.close()
