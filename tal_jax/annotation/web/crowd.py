"""The door for a crowd's workers, who come without a link: /mturk.

Amazon frames that address and adds who the worker is [note on annotation, Sec. 3]. It leads to the
annotator's page at /crowd, which only the crowd's own pages may frame. What the page needs stands
behind the #, as URL parameters: `token`, `submit_to` and `assignment` of an accepted task, with
`answered=1` if its answer is stored and only Amazon does not know yet; or `preview=1` of a task
that the worker only looks at.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tal_jax.annotation.errors import Forbidden
from tal_jax.annotation.web import guard, media
from tal_jax.annotation.web.operations import Site
from tal_jax.annotation.web.pools import Pool

if TYPE_CHECKING:
  from starlette.requests import Request
  from starlette.responses import Response
  from starlette.routing import Route


_FRAMES = ("https://worker.mturk.com",)  # shows tasks whose answers go to www.mturk.com


def routes(site: Site, threads: Pool, crowd_origins: Sequence[str],
           folder: str = "") -> tuple[Route, ...]:
  """/mturk and /crowd; `crowd_origins` and Amazon's page may frame them and get the page's form.

  `folder`: of the public address.
  """
  from starlette.responses import RedirectResponse
  from starlette.routing import Route

  from tal_jax.annotation.oracles import mturk_entry

  origins = " ".join(dict.fromkeys((*crowd_origins, *_FRAMES)))
  headers = {"Content-Security-Policy": guard.policy(origins, origins)}

  async def enter(request: Request) -> Response:
    query = dict(request.query_params)
    entry = await threads.run(mturk_entry.enter, site.campaign, query)
    if entry.preview:
      values = {"preview": "1"}
    else:
      if _origin(entry.submit_to) not in crowd_origins:
        raise Forbidden("this page may not send answers there")
      values = {"token": entry.token, "submit_to": entry.submit_to,
                "assignment": query.get("assignmentId", "")}
      values |= {"answered": "1"} if entry.answered else {}
    return RedirectResponse(f"{folder}/crowd#{urllib.parse.urlencode(values)}", 303,
                            headers=headers)

  return (Route("/mturk", enter, methods=["GET"]),
          Route("/crowd", media.page_of("annotate.html", headers), methods=["GET"]))


def _origin(url: str) -> str:
  parts = urllib.parse.urlsplit(url)
  return f"{parts.scheme}://{parts.netloc}"
