"""A server with a small campaign and clients for it: what the tests of the server share."""

import contextlib
import random
from typing import Any, NamedTuple

import httpx

from tal_jax.annotation import campaign
from tal_jax.annotation.web import server
from tests.annotation import campaigns, serving

MEDIA = random.Random(7).randbytes(300_000)  # of all videos


class Site(NamedTuple):
  made: campaign.Campaign  # 6 videos of 100 s, v0 to v5, all asked for `jump`; its clock stands
  app: Any
  url: str
  nobody: httpx.Client
  annotator: httpx.Client
  operator: httpx.Client
  stack: contextlib.ExitStack  # closed with the site

  def client(self, token):
    return self.stack.enter_context(client_of(self.url, token))

  def rows(self):
    """The whole database, to compare."""
    with self.made.store.read() as db:
      return list(db.iterdump())


def client_of(url, token=None):
  headers = {} if token is None else {"Authorization": f"Bearer {token}"}
  return httpx.Client(base_url=url, headers=headers, timeout=30.0, verify=False)


@contextlib.contextmanager
def running(folder, *, labels=("jump",), policy=None, **options):
  """Opens round 0 for the first of `labels` (more classes exist) and serves with `options`."""
  made = campaigns.make(folder / "campaign.sqlite", **policy or {})
  (folder / "media.mp4").write_bytes(MEDIA)
  campaign.add_classes(made, [(label, f"How to see {label}.") for label in labels])
  names = [f"v{i}" for i in range(6)]
  campaign.add_videos(made, [campaign.Video(
      name, f"/videos/{name}.avi", 100.0, 25.0, media_path=str(folder / "media.mp4"), width=640,
      height=360, num_frames=2500) for name in names])
  campaigns.ask(made, 0, names, labels[0])
  app = server.build_app(made, **{"title": "A campaign"} | options)
  tokens = [serving.enrol(made, "ann"), serving.enrol(made, "op", "operator")]
  with contextlib.ExitStack() as stack:
    stack.callback(made.store.close)
    url = stack.enter_context(serving.running(app))
    clients = [stack.enter_context(client_of(url, token)) for token in (None, *tokens)]
    yield Site(made, app, url, *clients, stack)
