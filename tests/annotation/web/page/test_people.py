"""The operator's page names the tasks that too few people can still answer."""

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tal_jax.annotation.web import server
from tests.annotation import serving
from tests.annotation.web.page.pages import expect


def test_which_tasks_lack_people(tmp_path, counted, open_page):
  made, tokens = serving.sample_campaign(tmp_path, video_path=counted, num_videos=2, annotators=2)
  with made.store, serving.running(server.build_app(made, title="Too few")) as url:
    page = open_page(f"{url}/campaign#{tokens['operator']}")
    expect(page.get_by_text("2 tasks that too few people can still answer.")).to_be_visible()
    row = page.get_by_role("listitem").filter(has_text="sample-1, jump")
    expect(row).to_have_text("sample-1, jump (task 2) wants 1 more person than can still answer "
                             "it: invite somebody")
    serving.enrol(made, "cleo")
    expect(row).to_have_count(0)
