"""What the machine cannot give: a locked database, connections without end, clients that wait.

Everything comes back by itself: each test ends with a request that is answered.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

import httpx
import pytest

from tal_jax.annotation import store
from tal_jax.annotation.rules import leases
from tal_jax.annotation.web import connections, server
from tests.annotation import campaigns, serving, sites

pytestmark = pytest.mark.slow

SECONDS = 0.3  # the limits of these tests
LIMITS = connections.Limits(8, head=SECONDS, body=SECONDS, taking=SECONDS)


@contextlib.contextmanager
def strict(folder, limits=LIMITS):
  """A server with these limits: its address, its application and an annotator's token."""
  made, tokens = serving.sample_campaign(folder, video_path=None)
  app = server.build_app(made, title="Limits")
  with contextlib.closing(made.store), server.running(app, limits=limits) as url:
    parts = urllib.parse.urlsplit(url)
    yield (parts.hostname, parts.port), made, tokens["annotator"]


def well(address):
  with contextlib.closing(http.client.HTTPConnection(*address, timeout=5)) as client:
    client.request("GET", "/healthz")
    return client.getresponse().read() == b'{"status":"ok"}'


def rest(client):
  """All that comes until the server ends the connection, and the seconds that took."""
  start, found = time.monotonic(), b""
  with contextlib.suppress(ConnectionResetError):
    while more := client.recv(65536):
      found += more
  return found, time.monotonic() - start


HEAD = b"PUT /api/tasks/1/draft HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n"


@pytest.mark.parametrize(("sent", "status"), [
    (b"", b""), (b"GET /heal", b"408"), (b"GET / HTTP/1.1\r\nHost: x\r\n", b"408"),
    (HEAD, b"408"), (HEAD + b'{"revision"', b"408"),
    (b"POST /api/next HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b"408")])
def test_a_client_that_begins_and_waits(limited, sent, status):
  with socket.create_connection(limited, timeout=10) as client:
    client.sendall(sent)
    found, seconds = rest(client)
  assert found[9:12] == status and SECONDS / 2 < seconds < 5
  assert well(limited)


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
  pytest.importorskip("av")
  with strict(tmp_path_factory.mktemp("limited")) as (address, _, _):
    yield address


def test_a_client_that_sends_a_byte_now_and_then(limited):
  """The clock is on the whole head, and starts again with the next request only."""
  with socket.create_connection(limited, timeout=10) as client:
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 200")
    start = time.monotonic()
    with contextlib.suppress(OSError):
      while time.monotonic() < start + 10:
        client.sendall(b"G")
        time.sleep(0.05)
    assert SECONDS / 2 < time.monotonic() - start < 5
  assert well(limited)


def test_a_slow_request_that_goes_on_is_answered(limited):
  with socket.create_connection(limited, timeout=10) as client:
    for part in (b"GET /healthz HT", b"TP/1.1\r\nHost", b": x\r\n\r\n"):
      client.sendall(part)
      time.sleep(SECONDS / 10)
    assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_that_takes_nothing(tmp_path):
  """It asks for a video and does not read: the connection and the file are let go."""
  pytest.importorskip("av")
  big = tmp_path / "big.mp4"
  with strict(tmp_path) as (address, made, token):
    with open(big, "wb") as file:
      file.truncate(200 << 20)  # more than all buffers between the two
    with made.store.write() as db:
      db.execute("UPDATE videos SET media_path = ?", (str(big),))
    given = httpx.post(f"http://{address[0]}:{address[1]}/api/next",
                       headers={"Authorization": f"Bearer {token}"}).json()
    with socket.create_connection(address, timeout=10) as client:
      client.sendall(f"GET {given['task']['video']['url']} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
      assert client.recv(100).startswith(b"HTTP/1.1 200")
      assert soon(lambda: open_files(big) == 1)
      assert soon(lambda: not open_files(big))
      assert len(rest(client)[0]) < 200 << 20
    assert well(address)


def soon(condition):
  """Whether it comes true within a while."""
  deadline = time.monotonic() + 10
  while not (found := condition()) and time.monotonic() < deadline:
    time.sleep(0.02)
  return found


def open_files(path):
  """How often this process has the file open."""
  if not os.path.isdir("/proc/self/fd"):
    pytest.skip("no /proc")
  found = 0
  for name in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
      found += os.readlink(f"/proc/self/fd/{name}") == str(path)
  return found


def test_too_many_connections_of_clients_that_ask_for_nothing(tmp_path):
  """Those who were waited for longest go; who asks for something is served."""
  pytest.importorskip("av")
  patient = connections.Limits(8, head=60.0)
  with strict(tmp_path, patient) as (address, _, _), contextlib.ExitStack() as stack:
    silent = [stack.enter_context(socket.create_connection(address, timeout=10))
              for _ in range(30)]
    for _ in range(3):
      assert well(address)
    silent[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert silent[-1].recv(100).startswith(b"HTTP/1.1 200")  # the youngest is still there
    assert rest(silent[0])[1] < 5  # the oldest is not


def test_too_many_requests_under_way(tmp_path, monkeypatch):
  pytest.importorskip("av")
  begun, goes_on = threading.Semaphore(0), threading.Event()

  def slow(*_):
    begun.release()
    goes_on.wait(20)

  monkeypatch.setattr(leases, "next_visit", slow)
  few = LIMITS._replace(connections=3)  # fewer than there are threads
  with strict(tmp_path, few) as (address, _, token), contextlib.ExitStack() as stack:
    asked = []
    for _ in range(few.connections):
      asked.append(stack.enter_context(socket.create_connection(address, timeout=10)))
      asked[-1].sendall(f"POST /api/next HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}"
                        "\r\nConnection: close\r\n\r\n".encode())
      assert begun.acquire(timeout=10)
    with socket.create_connection(address, timeout=10) as client:
      head, body = rest(client)[0].split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503") and b"Retry-After: 5" in head
    assert "too many" in json.loads(body)["error"]
    goes_on.set()
    for client in asked:
      assert rest(client)[0].startswith(b"HTTP/1.1 200")
    assert well(address)


@pytest.mark.parametrize(("files", "most"), [
    (64, 16), (256, 28), (1024, 412), (1 << 20, 1000), (resource.RLIM_INFINITY, 1000)])
def test_the_number_of_connections_follows_the_open_files(monkeypatch, files, most):
  monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
  assert connections.limits().connections == most


@pytest.mark.parametrize(("before", "after"), [
    ((256, 1024), (1024, 1024)), ((256, 1 << 20), (2200, 1 << 20)), ((4096, 1 << 20), None),
    ((256, resource.RLIM_INFINITY), (2200, resource.RLIM_INFINITY)),
    ((resource.RLIM_INFINITY,) * 2, None)])
def test_more_open_files_where_the_system_permits_it(monkeypatch, before, after):
  made = []
  monkeypatch.setattr(resource, "getrlimit", lambda _: before)
  monkeypatch.setattr(resource, "setrlimit", lambda _, limit: made.append(limit))
  connections.allow_more()
  assert made == ([] if after is None else [after])


def test_another_program_keeps_the_database_locked(tmp_path, monkeypatch):
  """Writers hear of it in time, however many they are; nobody else notices."""
  monkeypatch.setattr(store, "WAIT_SECONDS", 2.0)
  with sites.running(tmp_path) as site:
    url = site.annotator.post("/api/next").json()["task"]["video"]["url"]
    other = sqlite3.connect(tmp_path / "campaign.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    token = site.annotator.headers["authorization"]
    reads = [operation.path.format(id=1, format="csv") for operation in server.OPERATIONS
             if operation.method == "GET"]
    assert {"/api/me", "/api/campaign", "/api/tasks/1", "/api/export/csv"} <= set(reads)

    def ask(_):
      start = time.monotonic()
      answer = httpx.post(site.url + "/api/next", headers={"Authorization": token}, timeout=60)
      return answer.status_code, answer.headers.get("retry-after"), time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(40) as crowd:
      waiting = crowd.map(ask, range(40))
      time.sleep(0.3)
      for client, paths in ((site.nobody, ("/", "/page/api.js", "/healthz", "/openapi.json", url)),
                            (site.operator, reads)):
        for path in paths:
          start = time.monotonic()
          assert client.get(path).status_code in (200, 404), path  # 404: not the operator's own
          assert time.monotonic() - start < 1.5, path
      answers = list(waiting)
    assert {answer[:2] for answer in answers} == {(503, "5")}
    assert max(seconds for *_, seconds in answers) < 8
    other.close()
    assert site.annotator.post("/api/next").status_code == 200
    campaigns.check(site.made)


def test_who_reads_waits_neither_for_files_nor_pages(tmp_path, monkeypatch):
  """All threads that read the database hang; pages come all the same."""
  from tal_jax.annotation.web import operations

  goes_on = threading.Event()
  with sites.running(tmp_path) as site:
    monkeypatch.setattr(operations, "authenticate", lambda *_, **__: goes_on.wait(20))
    with concurrent.futures.ThreadPoolExecutor(20) as crowd:
      asked = [crowd.submit(site.annotator.get, "/api/me") for _ in range(20)]
      time.sleep(0.3)
      for path in ("/", "/campaign", "/page/api.js", "/healthz", "/openapi.json", "/page/x"):
        assert site.nobody.get(path, timeout=2).status_code == (404 if path == "/page/x" else 200)
      monkeypatch.undo()
      goes_on.set()
      for future in asked:
        future.result()
    assert site.annotator.get("/api/me").status_code == 200


def test_a_fault_that_lasts_is_logged_once(tmp_path, monkeypatch, caplog):
  def full(*_):
    raise OSError(28, "No space left on device")

  with sites.running(tmp_path) as site:
    monkeypatch.setattr(leases, "next_visit", full)
    for _ in range(3):
      answer = site.annotator.post("/api/next")
      assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
      assert str(tmp_path) not in answer.text
    assert caplog.text.count(f"disk full: {tmp_path}") == 1 and "Traceback" not in caplog.text
    monkeypatch.undo()
    assert site.annotator.post("/api/next").status_code == 200


SMALL = """
import pathlib, resource, socket, sys, time
sys.path.insert(0, sys.argv[2])
from tal_jax.annotation.web import connections, server
from tests.annotation import campaigns
made = campaigns.make(pathlib.Path(sys.argv[1]) / "c.db")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
app = server.build_app(made, title="Small")
with server.running(app, limits=connections.Limits(1000, head=1.0)) as url:
  print(url, flush=True)
  sys.stdin.read()
made.store.close()
"""


def test_no_more_open_files(tmp_path):
  """Far more connections than the process may have open: it waits for them to end, and goes on."""
  command = [sys.executable, "-c", SMALL, str(tmp_path), os.getcwd()]
  with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True) as process:
    parts = urllib.parse.urlsplit(process.stdout.readline())
    address = parts.hostname, parts.port
    with contextlib.ExitStack() as stack:
      for _ in range(150):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(address)
      time.sleep(1.0)
    deadline, answered = time.monotonic() + 20, False
    while not answered and time.monotonic() < deadline:
      with contextlib.suppress(OSError, http.client.HTTPException):
        answered = well(address)
    assert answered
    said = process.communicate()[1]
  assert process.returncode == 0
  assert said.count("new connections wait: Too many open files") == 1 and "Traceback" not in said
