"""Videos by ticket and in ranges; pages; and no way out of their folders."""

import http.client
import urllib.parse

import pytest

from tal_jax.annotation.errors import Forbidden
from tal_jax.annotation.web import tickets
from tests.annotation import serving, sites

SIZE = len(sites.MEDIA)
KEY = b"k" * 32


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  with sites.running(tmp_path_factory.mktemp("site")) as made:
    yield made


@pytest.fixture(scope="module")
def url(site):
  return site.annotator.post("/api/next").json()["task"]["video"]["url"]


def raw(site, target, method="GET", headers=()):
  """A request whose target is sent as it is."""
  host = urllib.parse.urlsplit(site.url).netloc
  connection = http.client.HTTPConnection(host)
  try:
    connection.putrequest(method, target)
    for name, value in headers:
      connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.read()
  finally:
    connection.close()


def test_the_whole_video(site, url):
  response = site.nobody.get(url)
  assert response.status_code == 200 and response.content == sites.MEDIA
  assert response.headers["accept-ranges"] == "bytes"
  assert response.headers["content-type"] == "video/mp4"
  assert response.headers["cache-control"] == "private, max-age=3600"
  head = site.nobody.head(url)
  assert head.status_code == 200 and head.headers["content-length"] == str(SIZE)


@pytest.mark.parametrize(("asked", "first", "last"), [
    ("0-", 0, SIZE - 1), ("0-0", 0, 0), ("100-199", 100, 199), (f"{SIZE - 1}-", SIZE - 1, SIZE - 1),
    ("65535-65536", 65535, 65536), ("131072-262143", 131072, 262143), ("-7", SIZE - 7, SIZE - 1),
    (f"10-{10 * SIZE}", 10, SIZE - 1), (f"-{10 * SIZE}", 0, SIZE - 1)])
def test_a_range(site, url, asked, first, last):
  response = site.nobody.get(url, headers={"Range": f"bytes={asked}"})
  assert response.status_code == 206
  assert response.content == sites.MEDIA[first:last + 1]
  assert response.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
  assert response.headers["content-length"] == str(last - first + 1)


def test_several_ranges(site, url):
  response = site.nobody.get(url, headers={"Range": "bytes=0-9,1000-1009"})
  assert response.status_code == 206
  assert response.headers["content-type"].startswith("multipart/byteranges; boundary=")
  boundary = response.headers["content-type"].split("=")[1].encode()
  parts = response.content.split(b"--" + boundary)[1:-1]
  assert [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts] == [
      sites.MEDIA[:10], sites.MEDIA[1000:1010]]


@pytest.mark.parametrize(("asked", "status"), [
    (f"bytes={SIZE}-", 416), (f"bytes={SIZE + 5}-{SIZE + 9}", 416), ("bytes=-0", 416),
    ("bytes=5-2", 400), ("bytes=", 400), ("bytes=a-b", 400), ("frames=0-1", 400), ("0-1", 400),
    ("bytes=" + "9" * 5000 + "-", 400), ("bytes=" + ",".join(["0-"] * 10_000), 200)])
def test_ranges_that_are_none(site, url, asked, status):
  response = site.nobody.get(url, headers={"Range": asked})
  assert response.status_code == status
  if status == 416:
    assert response.headers["content-range"] == f"bytes */{SIZE}"


def test_a_range_of_the_file_that_was_meant(site, url):
  etag = site.nobody.head(url).headers["etag"]
  for condition, status in ((etag, 206), ('"other"', 200)):
    response = site.nobody.get(url, headers={"Range": "bytes=0-1", "If-Range": condition})
    assert response.status_code == status


def test_a_ticket_by_hand():
  ticket = tickets.issue(KEY, 3, 7, 6 * 3600.0)
  assert tickets.check(KEY, ticket, 6 * 3600.0) == (3, 7, 18 * 3600)
  assert tickets.issue(KEY, 3, 7, 12 * 3600 - 1) == ticket  # the browser's cache holds it
  assert tickets.issue(KEY, 3, 7, 12 * 3600) != ticket
  assert tickets.check(KEY, ticket, 18 * 3600 - 0.01).video_id == 7
  with pytest.raises(Forbidden):
    tickets.check(KEY, ticket, 18 * 3600)


def test_no_other_ticket_is_good():
  ticket = tickets.issue(KEY, 3, 7, 0.0)
  for i in range(len(ticket) - 1):  # the last character has bits that mean nothing
    other = ticket[:i] + ("A" if ticket[i] != "A" else "B") + ticket[i + 1:]
    with pytest.raises(Forbidden):
      tickets.check(KEY, other, 0.0)
  for other in ("", ticket[:-1], ticket + "A", ticket + "=", ticket + "\n", " " + ticket,
                "\u00e9" * 75, tickets.issue(b"j" * 32, 3, 7, 0.0)):
    with pytest.raises(Forbidden):
      tickets.check(KEY, other, 0.0)


def test_tickets_end(tmp_path):
  with sites.running(tmp_path) as site:
    token = serving.enrol(site.made, "bob")
    bob = site.client(token)
    url = bob.post("/api/next").json()["task"]["video"]["url"]
    assert site.nobody.get(url).status_code == 200
    worker, = [w["id"] for w in site.operator.get("/api/campaign").json()["workers"]
               if w["name"] == "bob"]
    assert site.operator.post(f"/api/workers/{worker}/revoke").status_code == 200
    response = site.nobody.get(url)
    assert response.status_code == 403 and "not valid" in response.json()["error"]
    url = site.annotator.post("/api/next").json()["task"]["video"]["url"]
    assert site.nobody.get(url).status_code == 200
    site.made.clock.now += 12 * 3600
    assert site.nobody.get(url).status_code == 403


def test_a_ticket_of_another_campaign(site, url, tmp_path):
  with sites.running(tmp_path) as other:
    foreign = other.annotator.post("/api/next").json()["task"]["video"]["url"]
    assert other.nobody.get(foreign).status_code == 200
    assert other.nobody.get(url).status_code == site.nobody.get(foreign).status_code == 403


def test_no_video_and_no_file(tmp_path):
  with sites.running(tmp_path) as site:
    key = tickets.signing_key(site.made.store)
    missing = "/media/" + tickets.issue(key, 1, 99, site.made.clock())
    assert site.nobody.get(missing).status_code == 404
    url = site.annotator.post("/api/next").json()["task"]["video"]["url"]
    (tmp_path / "media.mp4").unlink()
    response = site.nobody.get(url)
    assert response.status_code == 404 and str(tmp_path) not in response.text


def test_a_video_is_never_a_page(tmp_path):
  with sites.running(tmp_path) as site:
    file = tmp_path / "video.html"
    file.write_text("<script>")
    with site.made.store.write() as db:
      db.execute("UPDATE videos SET media_path = ?", (str(file),))
    response = site.nobody.get(site.annotator.post("/api/next").json()["task"]["video"]["url"])
    assert response.text == "<script>"
    assert response.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("path", [
    "../server.py", "..%2fserver.py", "..%2Fserver.py", "%2e%2e/server.py", "%2e%2e%2fserver.py",
    "..\\server.py", "..%5cserver.py", "%c0%ae%c0%ae/server.py", "....//server.py", "/etc/passwd",
    "%2fetc%2fpasswd", "//etc/passwd", "../../../../../../etc/passwd", "api.js/../../server.py",
    "api.js%00.css", ".", "..", "", "%00", "server.py", "__init__.py", "api.js/", "API.JS",
    "api.js%20", "*", "?x", "a" * 5000])
@pytest.mark.parametrize("folder", ["/page/", "/media/", "/", "/api/tasks/", "/api/export/"])
def test_paths_lead_nowhere(site, folder, path):
  if folder == "/" and path in ("", "?x"):
    pytest.skip("the page itself")
  status, body = raw(site, folder + path, headers=[
      ("Authorization", site.operator.headers["authorization"])])
  assert 400 <= status < 500, body
  assert b"build_app" not in body and b"root:" not in body and b"annotation" not in body


def test_pages_are_the_packages_files(site):
  from tal_jax.annotation.web.media import PAGES

  kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
           ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
  files = [file for file in PAGES.iterdir() if file.suffix in kinds]
  assert {".html", ".js", ".css"} <= {file.suffix for file in files}
  for file in files:
    response = site.nobody.get(f"/page/{file.name}")
    assert response.content == file.read_bytes()
    assert response.headers["content-type"] == kinds[file.suffix]
    assert response.headers["cache-control"] == "no-cache"
  assert site.nobody.get("/").content == (PAGES / "annotate.html").read_bytes()
  assert site.nobody.get("/campaign").content == (PAGES / "campaign.html").read_bytes()
