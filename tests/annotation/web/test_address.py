"""The public address: what it may be, behind which proxies the pages work, what is said of it."""

import re

import pytest

from tal_jax.annotation.web import address
from tests.annotation import sites

PUBLIC = "https://annotate.example"
FOLDER = "/lab/annotate"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
  with sites.running(tmp_path_factory.mktemp("site"), origin=PUBLIC + FOLDER) as made:
    yield made


def test_loopback_addresses():
  for given in ("http://127.0.0.1:8000", "http://localhost", "http://[::1]:80", "http://127.1.2.3"):
    assert address.is_loopback(given), given
  for given in ("http://192.168.1.5:8000", "https://lab.example", "http://[fe80::1]"):
    assert not address.is_loopback(given), given


def test_what_is_said_of_links_that_others_cannot_open(monkeypatch):
  monkeypatch.setattr(address.socket, "gethostname", lambda: "lab7")
  line, = address.for_others("http://127.0.0.1:8123")
  assert "work on this machine only" in line
  assert "--host=0.0.0.0 --config.campaign.address=http://lab7:8123 " in line
  assert address.for_others("http://lab7:8123") == []


@pytest.mark.parametrize("before", ["", FOLDER])  # the proxy takes the folder off, or leaves it
def test_pages_in_a_folder(site, before):
  """Everything that a page names is found where the page is."""
  for page in ("/", "/campaign"):
    text = site.nobody.get(before + page).text
    named = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert len(named) >= 5 and not any(name.startswith("/") for name in named)
    for name in named:
      assert site.nobody.get(f"{before}/{name}").status_code == 200, name
  task = site.annotator.post(f"{before}/api/next", headers={"Origin": PUBLIC}).json()
  url = re.search(r'"(/media/[^"]+)"', str(task).replace("'", '"'))[1]
  assert site.nobody.get(before + url, headers={"Range": "bytes=0-9"}).status_code == 206


def test_no_script_names_an_address_from_the_top():
  folder = sites.server.media.PAGES
  for file in folder.glob("*.js"):
    text = re.sub(r"\b(api|this\.world\.api|world\.api)\.(get|post|put|download)\(\s*['`]/api/", "",
                  file.read_text())
    assert not re.search(r"""(fetch\(|href:|src:|from|import\(?)\s*['"`]/""", text), file.name
  for file in (*folder.glob("*.css"), *folder.glob("*.html")):
    assert not re.search(r"""(url\(['"]?|href="|src=")/""", file.read_text()), file.name


def test_the_folder_itself_leads_inside(site):
  response = site.nobody.get(FOLDER)
  assert (response.status_code, response.headers["location"]) == (307, FOLDER + "/")
  assert site.nobody.get(FOLDER + "x").status_code == 404
  assert site.nobody.get("/other/").status_code == 404


def test_links_have_the_folder(site):
  for role, page in (("annotator", "/#"), ("operator", "/campaign#")):
    link = site.operator.post("/api/workers", json={"name": f"new {role}", "role": role},
                              headers={"Origin": PUBLIC}).json()["link"]
    assert link.startswith(PUBLIC + FOLDER + page)


def test_a_foreign_page_is_told_which_setting_names_the_address(tmp_path, caplog):
  with sites.running(tmp_path) as site:
    for _ in range(2):
      refused = site.annotator.post("/api/next", headers={"Origin": "https://Lab.example"})
      assert refused.status_code == 403
      said = refused.json()["error"]
      assert "--config.campaign.address=https://lab.example" in said and site.url in said
    for rubbish in ("null", "https://a.example/<b>", "--config.x=1", "https://a b"):
      said = site.annotator.post("/api/next", headers={"Origin": rubbish}).json()["error"]
      assert said == "a page of another site sent this request"
    for i in range(20):
      site.annotator.post("/api/next", headers={"Origin": f"https://{i}.example"})
  logged = [record.getMessage() for record in caplog.records if "campaign.address" in
            record.getMessage()]
  assert sum("https://lab.example" in line for line in logged) == 1
  assert len(logged) == 5
